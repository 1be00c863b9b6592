"""A strategy in a reactive market: its orders really rest, and the account is the sum of its fills."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from slipstream.lob.flow.own_orders import OWN
from slipstream.lob.replay import record
from slipstream.lob.replay.delay import constant
from slipstream.lob.replay.fee_tiers import flat
from slipstream.lob.replay.hook import idle
from slipstream.lob.replay.replay import Outcome
from slipstream.lob.replay.terms import MarketTerms, ReplayTerms
from slipstream.model.errors import ConfigError
from slipstream.simulation.market.session import Coin, Session, run
from slipstream.simulation.market.terms import Arrivals, FlowTerms, Grid, Makers, Size, Takers, Value
from tests.simulation.market.quoters import quote, script

MS = 1_000_000
SECOND = 1_000 * MS
START = 1_790_000_000 * SECOND
HOUR = 3_600 * SECOND
FEE = 1e-4
FLOW = FlowTerms(
    grid=Grid(lot=0.01, tick_size=0.01),
    arrivals=Arrivals(mu=(0.4, 0.4), alpha=((0.2, 0.05), (0.05, 0.2)), beta=((0.7, 0.7), (0.7, 0.7))),
    takers=Takers(size=Size(mean=400.0, cv=1.5, quote=True), informed=0.2, cost=1e-5, tilt=0.3),
    limits=(1.0,),
    limits_join=True,
    limit_size=Size(mean=200.0, cv=1.0, quote=True),
    cancels=(0.05,),
    makers=Makers(levels=12, level_size=3_000.0, parts=3.0, spread=2.0, lag=0.5),
    value=Value(px=100.0, volatility=3e-5, basis_sd=2e-4, basis_seconds=300.0),
    step_ns=50 * MS,
)
HOME = MarketTerms(
    "SIM",
    lot_size=0.01,
    tick_size=0.01,
    fees=flat(FEE, 3 * FEE),
    feed=constant(20 * MS),
    entry=constant(30 * MS),
    response=constant(20 * MS),
)
ANCHOR = MarketTerms("LEAD", lot_size=0.01, tick_size=0.001, feed=constant(5 * MS))
COIN = Coin(home=HOME, flow=FLOW, anchor=ANCHOR)
TERMS = ReplayTerms(horizons_ns=(SECOND, 10 * SECOND), sample_ns=10 * SECOND)


def session(hook: object = quote, *coins: Coin, seed: int = 3, size: float = 20.0) -> Session:
    return Session(coins or (COIN,), hook, TERMS, (size, 200.0), seed=seed, start_ns=START)


@pytest.fixture(scope="module")
def hour() -> Outcome:
    one = session()
    one.run_until(START + HOUR + 1)
    return one.finish()


def test_the_account_is_the_sum_of_the_fills(hour: Outcome) -> None:
    fills = hour.fills
    assert len(fills) > 200
    assert fills["maker"].all()
    signed = fills["side"] * fills["lots"]
    assert hour.positions[0] == signed.sum()
    assert np.array_equal(fills["position"], np.cumsum(signed))
    assert np.abs(fills["position"]).max() <= 200 + 40
    value = fills["price"] * fills["lots"] * 0.01
    assert hour.cash[0] == pytest.approx(-(fills["side"] * value).sum(), abs=1e-6)
    assert hour.fees[0] == pytest.approx(FEE * value.sum(), rel=1e-9)
    assert hour.funding[0] != 0.0  # one full hour came
    assert abs(hour.funding[0]) < 240 * 0.01 * 110.0 * 1.25e-5


def test_fills_come_after_their_orders_and_are_heard_later(hour: Outcome) -> None:
    fills = hour.fills
    assert (np.diff(fills["exch_ns"]) >= 0).all()
    assert (fills["local_ns"] == fills["exch_ns"] + 20 * MS).all()
    assert (fills["accepted_ns"] >= fills["placed_ns"] + 30 * MS).all()
    assert (fills["queue_front"] >= 0).all() and fills["queue_front"].max() > 0
    joined = hour.sent[np.isfinite(hour.sent["queue_front"])]
    assert set(joined["outcome"]) == {record.ACCEPTED, record.MODIFIED}
    fronts = set(zip(joined["order"].tolist(), joined["exch_ns"].tolist(), joined["queue_front"].tolist(), strict=True))
    made = fills[fills["maker"]]
    assert set(zip(*(made[x].tolist() for x in ("order", "accepted_ns", "queue_front")), strict=True)) <= fronts
    marks = hour.marks[: len(fills) - 40]
    assert np.isfinite(marks).all()
    assert np.mean(fills["side"][:-40] * (marks[:, 0] - fills["price"][:-40])) < 0.01  # makers are picked off, not paid
    assert (np.diff(hour.samples["ns"][hour.samples["market"] == 0]) == 10 * SECOND).all()


def test_the_run_is_a_function_of_its_seed_however_it_is_cut(hour: Outcome) -> None:
    parts = session()
    for at in (START + 1, START + 7 * SECOND + 13, START + 1_000 * SECOND, START + HOUR + 1):
        parts.run_until(at)
    again = parts.finish()
    for name in ("fills", "sent", "samples"):
        assert getattr(again, name).tobytes() == getattr(hour, name).tobytes(), name
    other = session(seed=4)
    other.run_until(START + 600 * SECOND)
    assert other.finish().fills.tobytes() != hour.fills[:1].tobytes()


def test_a_second_market_beside_changes_nothing_in_the_first(hour: Outcome) -> None:
    second = Coin(home=HOME, flow=msgspec.structs.replace(FLOW, step_ns=100 * MS))
    one = session(quote, COIN, second)
    one.run_until(START + HOUR + 1)
    outcome = one.finish()
    assert (
        outcome.fills[["exch_ns", "side", "tick", "lots"]].tolist()
        == hour.fills[["exch_ns", "side", "tick", "lots"]].tolist()
    )


def test_what_rests_changes_what_others_do() -> None:
    """With our size at the touch the same seed's market trades differently."""
    small, large = session(size=1.0), session(size=150.0)
    for one in (small, large):
        one.run_until(START + 300 * SECOND)
    assert small.books["seq"][0] != large.books["seq"][0]


@pytest.mark.parametrize("seed", [15, 16])
def test_nothing_is_made_of_nothing_whatever_is_asked(seed: int) -> None:
    """Random requests of every kind: at each wake the book is uncrossed and holds our orders and no other of ours; at
    the end position and cash are those of the fills, as the exchange and we know them."""
    rng, one, wakes = np.random.default_rng(seed), session(None, seed=seed), 0
    book, end_ns = one.book(0), START + 20 * SECOND
    while one.run_until(end_ns):
        sim, wakes = one.sim, wakes + 1
        if wakes % 5 == 0:
            assert 0 < book.best_bid() < book.best_ask()
            rows = np.concatenate([book.l3(1, 4_000), book.l3(-1, 4_000)])
            ours = sim["orders"][sim["orders"]["resting"] != 0]
            assert (rows[:, 4] > 0).all()
            in_book = sorted(rows[rows[:, 2] == OWN][:, [0, 4]].tolist())
            assert in_book == sorted(np.column_stack([ours["book_level"], ours["book_left"]]).tolist())
            reducing = ours[ours["reduce_only"] != 0]
            for side in (1, -1):
                bears = max(0, -side * int(one.markets["position"][0]))
                assert reducing[reducing["side"] == side]["book_left"].sum() <= bears
        kind, side, lots = int(rng.integers(0, 40)), int(rng.choice([-1, 1])), int(rng.integers(1, 400))
        touch = int(sim["quotes"][0]["bid_tick" if side > 0 else "ask_tick"])
        tick = touch + int(rng.integers(-6, 7)) if rng.random() < 0.9 else -1
        live = np.flatnonzero(sim["orders"]["state"] == record.OPEN)
        if kind < 6 and touch > 0:
            one.place(0, side, tick, lots, int(rng.integers(0, 3)), bool(rng.random() < 0.3))
        elif kind < 10 and live.size and touch > 0:
            slot = int(rng.choice(live))
            _ = one.cancel(slot) if kind < 8 else one.modify(slot, max(tick, 1), lots)
    while one.advance(None):
        pass
    outcome = one.finish()
    fills = outcome.fills
    lots_done = fills["side"].astype(np.int64) * fills["lots"]
    assert len(fills) > 10 and fills["maker"].any() and (fills["lots"] > 0).all() and (fills["left"] >= 0).all()
    assert outcome.positions[0] == lots_done.sum() == one.sim["position"][0]
    assert outcome.cash[0] == pytest.approx(-(lots_done * fills["price"]).sum() * HOME.lot_size, abs=1e-6)


def test_requests_get_the_answers_of_the_matching_engine() -> None:
    one = session(script)
    one.run_until(START + 8 * SECOND + SECOND // 2)
    reducing = one.sim["orders"][int(one.sim["imemory"][1])]
    assert reducing["book_left"] == one.book(0).order_left(int(reducing["book_level"])) == 20
    one.run_until(START + 20 * SECOND)
    outcome = one.finish()
    assert outcome.sent["outcome"].tolist() == [
        record.WOULD_TRADE,
        record.NOT_REDUCING,
        record.FILLED,
        record.NO_LIQUIDITY,
        record.ACCEPTED,
        record.NOT_REDUCING,
        record.MODIFIED,
        record.FILLED,
        record.CANCELLED,
        record.FILLED,
        record.ACCEPTED,
        record.EXPIRED,
        record.BAD_REQUEST,
    ]
    lots = outcome.fills["side"] * outcome.fills["lots"]
    assert not outcome.fills["maker"].any()
    taken = outcome.sent[-2]
    last = outcome.fills["exch_ns"] == taken["exch_ns"]
    assert lots[~last].sum() == 0
    assert outcome.positions[0] == lots[last].sum() < 0
    assert one.sim["orders"]["state"].max() == record.FREE, "nothing is left out, our own bid was taken off"


def test_requests_need_not_be_written_down(hour: Outcome) -> None:
    quiet = Session([COIN], quote, ReplayTerms(requests=False), (20.0, 200.0), seed=3, start_ns=START)
    quiet.run_until(START + 600 * SECOND)
    outcome = quiet.finish()
    assert len(outcome.sent) == 0
    n = int(np.searchsorted(hour.fills["exch_ns"], START + 590 * SECOND))
    assert n > 5
    assert outcome.fills["exch_ns"][:n].tolist() == hour.fills["exch_ns"][:n].tolist()


def test_the_leading_exchange_leads() -> None:
    fast = msgspec.structs.replace(FLOW, value=Value(px=100.0, volatility=3e-4))
    one = session(idle, Coin(home=HOME, flow=fast, anchor=ANCHOR))
    homes, leads = [], []
    for k in range(1, 2_400):
        one.run_until(START + k * SECOND // 4)
        quotes = one.sim["quotes"]
        homes.append(float(quotes[0]["bid_tick"] + quotes[0]["ask_tick"]))
        leads.append(float(quotes[1]["bid_tick"] + quotes[1]["ask_tick"]))
    home, lead = np.diff(np.log(homes)), np.diff(np.log(leads))
    after = np.corrcoef(lead[:-1], home[1:])[0, 1]
    before = np.corrcoef(lead[1:], home[:-1])[0, 1]
    assert after > 0.15 > 2.0 * abs(before)


def test_a_paused_run_is_the_same_run() -> None:
    """Who answers each wake from outside does to the market what the compiled strategy does."""
    compiled, driven = session(script), session(None)
    compiled.run_until(START + 4 * SECOND)
    second = 0
    while driven.run_until(START + 4 * SECOND):
        sim = driven.sim
        if sim["event"] == record.START:
            driven.wake(int(sim["now_ns"]) + SECOND)
        elif sim["event"] == record.TIMER:
            second += 1
            driven.wake(int(sim["now_ns"]) + SECOND)
            ask = int(sim["quotes"][0]["ask_tick"])
            if second == 1:
                driven.place(0, 1, ask, 5, record.ALO)
            elif second == 2:
                driven.place(0, -1, ask, 5, record.GTC, True)
            elif second == 3:
                driven.place(0, 1, -1, 50, record.IOC)
    assert driven.sim["n_sent"] == 3
    assert driven.sim["fills"][:9].tobytes() == compiled.sim["fills"][:9].tobytes()
    assert driven.books["seq"][0] == compiled.books["seq"][0]


@pytest.mark.parametrize(
    ("coin", "says"),
    [
        (Coin(home=HOME, flow=msgspec.structs.replace(FLOW, grid=Grid(lot=0.1, tick_size=0.01))), "lot and tick size"),
        (Coin(home=HOME, flow=FLOW, anchor=ANCHOR, anchor_lots=0), "anchor_lots must be at least 1"),
        (Coin(home=HOME, flow=msgspec.structs.replace(FLOW, step_ns=0)), "makers need a step_ns"),
        (
            Coin(home=HOME, flow=msgspec.structs.replace(FLOW, arrivals=Arrivals(alpha=((2.0, 0.0), (0.0, 2.0))))),
            "not stationary",
        ),
        (
            Coin(home=HOME, flow=msgspec.structs.replace(FLOW, makers=Makers(levels=1, level_size=1.0, delay_ns=HOUR))),
            "makers' delay_ns",
        ),
    ],
)
def test_terms_that_do_not_fit_are_refused(coin: Coin, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Session([coin], quote, seed=1, start_ns=0)


def test_a_run_needs_coins_and_hours() -> None:
    with pytest.raises(ConfigError, match="at least one coin"):
        run([], quote, seed=1, hours=1.0)
    with pytest.raises(ConfigError, match="between 0 and 100000 hours"):
        run([COIN], quote, seed=1, hours=0.0)
    outcome, end_ns = run([COIN], quote, (5.0, 50.0), seed=1, hours=0.01, start_ns=START)
    assert end_ns == START + 36 * SECOND
    assert outcome.counters["requests"] > 0
