"""What the engine does when its memory ends: rings grow, logs are emptied, the window of levels follows the prices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from slipstream.lob.replay import record
from slipstream.lob.replay.delay import constant
from slipstream.lob.replay.fee_tiers import flat
from slipstream.lob.replay.hook import ALO, BUY, FEED, GTC, IOC, SELL, place, strategy, wake
from slipstream.lob.replay.random_tape import RandomTape
from slipstream.lob.replay.replay import BadTape, Replay
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, MORE, ROW_DTYPE, TRADE
from slipstream.lob.replay.terms import MarketTerms, ReplayTerms

MARKET = MarketTerms("X", lot_size=1.0, tick_size=0.5, fees=flat(0.0, 0.0), queue="risk_averse")


def rows(*each: tuple[int, int, int, int, int]) -> Any:
    """Rows of market 0 from (exch_ns, kind, side, tick, lots), heard 5 ns later."""
    made = np.zeros(len(each), ROW_DTYPE)
    for row, (ns, kind, side, tick, lots) in zip(made, each, strict=True):
        row["exch_ns"], row["local_ns"], row["kind"], row["side"], row["tick"], row["lots"] = (
            ns,
            ns + 5,
            kind,
            side,
            tick,
            lots,
        )
    return made


@strategy
def taker(sim: Any) -> None:
    """Buys a lot at every row heard, sells it at the next; asks for a timer now and then."""
    if sim.event == FEED and sim.quotes[0].bid_tick >= 0 and sim.quotes[0].ask_tick >= 0:
        sim.imemory[0] += 1
        place(sim, 0, BUY if sim.imemory[0] & 1 else SELL, -1, 1, IOC, False)
        wake(sim, sim.now_ns + 1000)


def test_full_logs_are_emptied_and_nothing_is_lost() -> None:
    tape = RandomTape(np.random.default_rng(3), gap_ns=1000, feed_ns=0).rows(270_000)
    replay = Replay([MARKET], taker, ReplayTerms(horizons_ns=(500, 20_000), sample_ns=1_000_000))
    for start in range(0, len(tape), 50_000):
        replay.feed(tape[start : start + 50_000])
    outcome = replay.finish()
    assert len(outcome.fills) > record.FILLS
    assert len(outcome.fills) == len(outcome.sent) == outcome.counters["fills"]
    assert (np.diff(outcome.fills["order"]) == 1).all() and outcome.fills["order"][0] == 1
    assert outcome.counters["unmarked"] == 0
    assert outcome.marks.shape == (len(outcome.fills), 2)
    marks = outcome.marks[:-100]
    assert np.isfinite(marks).all()
    at = 200_123  # a mark is the mid of the last rows at or before its time
    due = outcome.fills["exch_ns"][at] + 20_000
    later = outcome.fills[outcome.fills["exch_ns"] <= due][-1]
    assert later["mid"] == pytest.approx(marks[at, 1], abs=2.0)
    assert (
        outcome.positions[0] == outcome.fills["position"][-1] == (outcome.fills["side"] * outcome.fills["lots"]).sum()
    )
    assert (np.diff(outcome.samples["ns"]) == 1_000_000).all()


def test_the_ring_of_rows_on_their_way_grows_and_keeps_their_order() -> None:
    tape = RandomTape(np.random.default_rng(4), gap_ns=1000, feed_ns=5_000_000).rows(14_000)
    near = RandomTape(np.random.default_rng(4), gap_ns=1000, feed_ns=0).rows(14_000)
    late = Replay([MARKET])
    heard: list[tuple[int, int, int]] = []
    soon: list[tuple[int, int, int]] = []
    for replay, source, into, lag in ((late, tape, heard, 5_000_000), (Replay([MARKET]), near, soon, 0)):
        sim = replay.sim
        for part in (source[:9_000], source[9_000:], None):
            while replay.advance(part):
                if sim["event"] == FEED and int(sim["now_ns"]) % 8 == lag % 8:
                    quote = sim["quotes"][0]
                    into.append((int(sim["now_ns"]) - lag, int(quote["bid_tick"]), int(quote["ask_tick"])))
    assert late.markets[0]["ring_mask"] + 1 >= 4096
    assert len(heard) > 1000
    assert heard == soon


def test_more_rows_on_their_way_than_the_ring_holds_is_an_error() -> None:
    tape = RandomTape(np.random.default_rng(4), gap_ns=10, feed_ns=10**12).rows(record.NEWS + 300)
    with pytest.raises(BadTape, match="on their way to us"):
        Replay([MARKET], taker).feed(tape)


def test_the_window_of_levels_follows_the_prices() -> None:
    high = 5_000_000
    each = []
    for i in range(40):  # the market climbs far beyond a window, and there is a level that is too far to be kept
        tick = high + i * 20_000
        each += [(10 * i, BEST, -1, tick + 1, 7), (10 * i + 1, BEST, 1, tick, 5), (10 * i + 2, DEPTH, 1, tick - 2, 9)]
    each.append((1000, DEPTH, 1, 10, 3))
    each.append((1001, DEPTH, -1, high + 39 * 20_000 + 1, 0))
    each.append((1002, DEPTH, -1, high + 39 * 20_000 + 4, 2))
    replay = Replay([MARKET])
    seen = []
    tape = rows(*each)
    resting = -1
    for part in (tape, None):
        while replay.advance(part):
            quote = replay.sim["quotes"][0]
            seen.append((int(quote["bid_tick"]), int(quote["ask_tick"])))
            if len(seen) == 60:  # rests while the window moves on
                resting = replay.place(0, SELL, int(quote["ask_tick"]) + 900_000, 3, GTC)
    outcome = replay.finish()
    assert resting >= 0
    assert seen[-1] == (high + 39 * 20_000, high + 39 * 20_000 + 4)
    assert outcome.counters["outside"] == 1
    side = replay.markets[0]["sides"][0]
    assert side["lots"][int(side["best"])] == 5
    order = replay.sim["orders"][resting]
    asks = replay.markets[0]["sides"][1]
    assert order["book_level"] == asks["origin"] - order["tick"] == asks["own_best"]


def test_a_message_is_heard_at_its_last_row() -> None:
    tape = rows(
        (1, CLEAR | MORE, 0, -1, 0), (1, DEPTH | MORE, 1, 100, 5), (1, DEPTH, -1, 101, 6), (2, TRADE, 1, 101, 1)
    )
    replay = Replay([MARKET])
    seen = []
    for part in (tape, None):
        while replay.advance(part):
            seen.append((int(replay.sim["event"]), int(replay.sim["now_ns"]), int(replay.sim["quotes"][0]["ask_tick"])))
    assert seen == [(record.START, 1, -1), (FEED, 6, 101), (FEED, 7, 101)]


def test_slots_are_used_again_only_after_others() -> None:
    tape = rows(*[(i, DEPTH, 1, 100, 1 + i % 5) for i in range(1, 200)])
    replay = Replay([MARKET])
    used = []
    for part in (tape, None):
        while replay.advance(part):
            if replay.sim["event"] == FEED:
                used.append(replay.place(0, BUY, -1, 1, IOC))
    assert len(set(used)) == 16
    assert all(len(set(used[i : i + 16])) == 16 for i in range(len(used) - 16))
    assert replay.place(0, BUY, 100, 1, ALO) >= 0


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"exch_ns": 1}, "row 2 .*before that of the row before"),
        ({"market": 3}, "row 2 .*no such market"),
        ({"market": -1}, "row 2 .*no such market"),
        ({"kind": 9}, "row 2 .*no such kind"),
    ],
)
def test_a_bad_row_is_named(bad: dict[str, int], why: str) -> None:
    tape = rows((5, DEPTH, 1, 100, 1), (6, DEPTH, -1, 102, 1), (7, DEPTH, -1, 103, 1))
    for name, value in bad.items():
        tape[2][name] = value
    with pytest.raises(BadTape, match=why):
        Replay([MARKET], taker).feed(tape)


def test_terms_that_make_no_sense_are_refused() -> None:
    for wrong, why in (
        ({"tick_size": 1.0, "decimals": 2}, "either tick_size or decimals"),
        ({}, "either tick_size or decimals"),
        ({"tick_size": -1.0}, "tick_size must be"),
        ({"tick_size": 1.0, "queue": "luck"}, "no queue model 'luck'"),
        ({"tick_size": 1.0, "block_ns": -1}, "block_ns"),
    ):
        with pytest.raises(ValueError, match=why):
            MarketTerms("X", lot_size=1.0, **wrong)
    with pytest.raises(ValueError, match="horizons"):
        ReplayTerms(horizons_ns=(0,))
    with pytest.raises(ValueError, match=r"1\.\.32 markets"):
        Replay([])
    with pytest.raises(BadTape, match="this replay reads"):
        Replay([MARKET], taker).feed(np.zeros(1, np.int64))


def test_markets_at_once_do_as_they_do_alone() -> None:
    """A strategy in one market does the same whether others are replayed beside it or not."""
    own = RandomTape(np.random.default_rng(5), gap_ns=3000, feed_ns=7000).rows(20_000)
    other = RandomTape(np.random.default_rng(6), gap_ns=2000, feed_ns=90_000, market=1).rows(20_000)
    both = np.concatenate([own, other])
    both = both[np.argsort(both["exch_ns"], kind="stable")]
    market = MarketTerms(
        "X", lot_size=1.0, tick_size=0.5, fees=flat(0.0, 0.0), entry=constant(4000), response=constant(5000)
    )
    made = []
    for tape, markets in ((own, [market]), (both, [market, market])):
        replay = Replay(markets, only_first)
        replay.feed(tape)
        made.append(replay.finish())
    assert len(made[0].fills) > 100
    assert made[0].fills.tobytes() == made[1].fills.tobytes()
    assert made[0].sent.tobytes() == made[1].sent.tobytes()


@strategy
def only_first(sim: Any) -> None:
    if sim.event == FEED and sim.market == 0 and sim.quotes[0].bid_tick >= 0 and sim.quotes[0].ask_tick >= 0:
        sim.imemory[0] += 1
        if sim.imemory[0] % 50 == 0:
            place(sim, 0, BUY, sim.quotes[0].bid_tick, 5, ALO, False)
        elif sim.imemory[0] % 50 == 25:
            place(sim, 0, SELL, sim.quotes[0].ask_tick, 5, ALO, False)
