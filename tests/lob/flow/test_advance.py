"""A market's tape is a function of its seed; books react to what rests in them."""

from __future__ import annotations

import numpy as np
import pytest

from slipstream.lob.book import ALO, BUY, GTC, IOC, SELL
from slipstream.lob.flow.record import INFORMED, LIMIT, TAKE
from slipstream.simulation.market.books import Markets
from slipstream.simulation.market.terms import (
    Arrivals,
    FlowTerms,
    Grid,
    Makers,
    Size,
    Takers,
    Value,
    cont_stoikov_talreja,
)

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
ME = 1


def lively(**changes: object) -> FlowTerms:
    """Makers, takers that excite each other, small orders, a value with regimes: every part at once."""
    terms = {
        "grid": Grid(lot=0.01, tick_size=0.01),
        "arrivals": Arrivals(mu=(0.5, 0.5), alpha=((0.3, 0.1), (0.1, 0.3)), beta=((0.8, 0.8), (0.8, 0.8))),
        "takers": Takers(size=Size(mean=300.0, cv=1.5, quote=True), tilt=0.3, informed=0.3, cost=1e-5),
        "limits": (2.0, 1.0, 0.5),
        "limit_size": Size(mean=3.0, cv=1.0),
        "cancels": (0.3, 0.2, 0.1),
        "makers": Makers(levels=8, level_size=2_000.0, parts=3.0, spread=2.0, lag=0.4, delay_ns=SECOND // 10),
        "value": Value(
            px=100.0,
            volatility=5e-5,
            basis_sd=1e-4,
            basis_seconds=100.0,
            regime_seconds=(20.0, 10.0),
            regime_volatility=(0.5, 2.0),
            regime_activity=(0.7, 1.6),
        ),
        "step_ns": SECOND // 20,
    }
    return FlowTerms(**{**terms, **changes})  # type: ignore[arg-type]


def same(one: Markets, i: int, other: Markets, j: int) -> bool:
    """Whether two markets are in the same state, to the bit (tapes aside)."""
    mine, theirs = one.book(i), other.book(j)
    books = all(np.array_equal(mine.l3(side, 4_000), theirs.l3(side, 4_000)) for side in (BUY, SELL))
    return books and one.flows[i].tobytes() == other.flows[j].tobytes()


def test_a_span_in_one_call_or_many_is_the_same_tape_whatever_the_number_of_books() -> None:
    whole, parts = Markets([lively()] * 2, 5), Markets([lively()] * 5, 5)
    whole.advance(90 * SECOND)
    for span in (1, 17, SECOND // 3, 20 * SECOND, 0, SECOND // 20):
        parts.advance(span)
    parts.advance(whole.now_ns - parts.now_ns)
    assert same(whole, 0, parts, 0)
    assert same(whole, 1, parts, 1)
    assert not same(whole, 0, whole, 1)
    other = Markets([lively()], 6)
    other.advance(90 * SECOND)
    assert not same(whole, 0, other, 0)
    assert whole.flows["counts"][0][[LIMIT, TAKE, INFORMED]].min() > 5, "every part took part"


def test_books_are_never_crossed_and_lots_are_conserved() -> None:
    markets = Markets([lively()], 3)
    for _ in range(300):
        markets.advance(SECOND)
        bid, ask = markets.best()[0]
        assert 0 < bid < ask
    assert markets.flows["lost"][0] == 0
    record = markets.books[0]
    live = record["slots"][record["slots"]["generation"] % 2 == 1]
    assert int(live["lots"].sum()) == int(record["level_lots"].sum())
    assert len(live) == int(record["resting"])


def test_informed_takers_pick_off_stale_quotes_and_nothing_else() -> None:
    """Every trade of those who know the value is a gain beyond their cost; slow makers give them many."""
    cost, trades = 2e-5, []
    takers = Takers(size=Size(mean=500.0, cv=1.0, quote=True), informed=1.0, cost=cost)
    for lag in (0.0, 3.0):
        slow = Makers(levels=8, level_size=1_000.0, parts=2.0, spread=2.0, lag=lag)
        value = Value(px=100.0, volatility=2e-4)
        terms = lively(takers=takers, makers=slow, value=value, limits=(), arrivals=Arrivals.poisson(2.0))
        markets = Markets([terms], 8)
        seen = 0
        for _ in range(6_000):
            worth = float(markets.flows[0]["value"]["leader"])  # until the next step, which ends the span
            markets.advance(SECOND // 20)
            for row in markets.fills(0).tolist():
                side, tick = row[8], row[9]
                assert side * (worth - np.log(tick * 0.01)) >= cost - 1e-12
                seen += 1
        trades.append(seen)
    assert trades[1] > 20 + 5 * trades[0]


def test_a_users_order_keeps_its_place_and_moves_the_market() -> None:
    markets = Markets([cont_stoikov_talreja()], 4)
    markets.advance(600 * MINUTE)
    book = markets.book(0)
    bid = book.best_bid()
    handle = book.place(9, ME, BUY, bid, 40, ALO, markets.now_ns)
    ahead = book.queue_ahead(handle)
    for _ in range(2_000):
        markets.advance(MINUTE)
        left = book.order_left(handle)
        if left < 0:
            break
        assert book.queue_ahead(handle) <= ahead
        ahead = book.queue_ahead(handle)
        assert book.best_bid() >= bid  # what rests supports the price
    assert left < 0
    wall = Markets([cont_stoikov_talreja()], 4)
    wall.advance(600 * MINUTE)
    book = wall.book(0)
    top = book.best_ask()
    book.place(9, ME, SELL, top, 1_000_000, GTC, wall.now_ns)
    for _ in range(100):
        wall.advance(20 * MINUTE)
        assert book.best_ask() <= top
    assert book.place(10, ME + 1, BUY, top, 10, IOC, wall.now_ns) == -1


def test_regimes_change_activity() -> None:
    counts = []
    for activity in ((1.0, 1.0), (3.0, 3.0)):
        value = Value(px=100.0, regime_seconds=(20.0, 10.0), regime_activity=activity)
        markets = Markets([lively(value=value, makers=Makers(), takers=Takers())], 2)
        markets.book(0).place(1, ME, BUY, 9_000, 10_000_000, GTC, 0)
        markets.book(0).place(2, ME, SELL, 11_000, 10_000_000, GTC, 0)
        markets.advance(400 * SECOND)
        counts.append(int(markets.flows["counts"][0][TAKE]))
    assert counts[1] == pytest.approx(3.0 * counts[0], rel=0.25)


def test_time_only_goes_on() -> None:
    with pytest.raises(ValueError, match="time only goes on"):
        Markets([cont_stoikov_talreja()], 1).advance(-1)
