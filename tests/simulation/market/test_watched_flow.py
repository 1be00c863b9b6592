"""What makers are told to keep at the best price is what the book shows."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from slipstream.simulation.market import watched_flow
from slipstream.simulation.market.observed import Observed
from slipstream.simulation.market.terms import Arrivals, FlowTerms, Grid, Makers, Size, Takers, Value
from slipstream.simulation.market.watched_flow import simulate

SPREADS = ((0.0, 1.0), (0.8, 1.0), (0.801, 4.0), (1.0, 4.0))
QUIET = FlowTerms(
    grid=Grid(lot=0.01, tick_size=0.01),
    makers=Makers(levels=20, level_size=20_000.0, lag=0.5),
    value=Value(px=200.0, volatility=1e-5),
    step_ns=200_000_000,
)


def market(makers: dict[str, Any], hours: float = 0.2, **others: Any) -> Observed:
    terms = msgspec.structs.replace(QUIET, makers=msgspec.structs.replace(QUIET.makers, **makers), **others)
    return simulate(terms, hours, 3)


def touch(seen: Observed) -> np.ndarray:
    return seen.depth["bid_lots"][:, 0] * 2.0  # USD: a lot of 0.01 at 200


def test_spreads_are_those_of_their_law() -> None:
    seen = market({"spreads": Size(quantiles=SPREADS)})
    ns = np.arange(seen.begin_ns, seen.end_ns, 100_000_000)
    quotes = seen.quotes[np.searchsorted(seen.quotes["ns"], ns, side="right") - 1]
    spread = quotes["ask"] - quotes["bid"]
    shares = [(spread == ticks).mean() for ticks in (1, 4)]
    assert shares == pytest.approx([0.8, 0.2], abs=0.03)


def test_the_best_price_holds_what_makers_keep_there_and_varies_as_told() -> None:
    order = Size(mean=500.0, cv=1.0, quote=True)
    steady, drawn = (market({"order": order, "touch": 9_000.0, "touch_varies": v}, 0.5) for v in (0.0, 1.0))
    assert touch(steady).mean() == pytest.approx(9_000.0, rel=0.35)
    variation = [touch(seen).std() / touch(seen).mean() for seen in (steady, drawn)]
    assert variation[0] < 0.6 < variation[1]
    assert (touch(drawn) < 1_000.0).mean() > 0.05 > (touch(steady) < 1_000.0).mean()


def test_a_market_order_is_more_trades_where_resting_orders_are_smaller() -> None:
    takers = {"arrivals": Arrivals.poisson(0.5), "takers": Takers(size=Size(mean=3_000.0, cv=0.0, quote=True))}
    coarse, fine = (market({"order": Size(mean=mean, cv=0.3, quote=True)}, 0.5, **takers) for mean in (6_000.0, 600.0))
    trades = [len(seen.prints) / len(seen.orders_taken()) for seen in (coarse, fine)]
    assert trades[0] < 1.8 and trades[1] == pytest.approx(3_000.0 / 600.0, rel=0.25)
    assert fine.arrived == pytest.approx(2 * 0.5 * 1_800, rel=0.15)


def test_sellers_take_what_they_take() -> None:
    size, smaller = (Size(mean=mean, cv=0.0, quote=True) for mean in (400.0, 100.0))
    seen = market({}, arrivals=Arrivals.poisson(0.5), takers=Takers(size=size, sell_size=smaller))
    orders = seen.orders_taken()
    worth = [float(np.median(orders["lots"][orders["side"] == side])) * 2.0 for side in (1, -1)]
    assert worth == pytest.approx([400.0, 100.0], rel=0.02)


def test_a_price_of_few_ticks_is_run_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    visits = []
    follow = watched_flow._follow
    monkeypatch.setattr(watched_flow, "_follow", lambda book: (visits.append(1), follow(book)))
    seen = market({}, 0.02)  # tick 20,000: the window of levels begins at 0 and cannot move down
    assert int(seen.quotes["bid"][0]) == pytest.approx(20_000, abs=100)
    assert len(visits) == 2  # while it warms up, and after
