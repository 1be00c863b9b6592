"""Our engine in the market of Cont, Stoikov and Talreja (2010), held to closed forms and to a plain simulation of it.

The literals are of an exact solution (birth-death chains, linear solve) and of a simulation over 60,000 minutes.
`benchmarks/flow_truth.py` runs the same with more paths.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from slipstream.model.errors import ConfigError
from slipstream.simulation.market.books import Markets
from slipstream.simulation.market.races import race
from slipstream.simulation.market.terms import cont_stoikov_talreja

MINUTE = 60_000_000_000
PATHS = 4_000
UP = {(1, 1): 0.5, (1, 2): 0.3351729534, (2, 1): 0.6648270466, (3, 4): 0.4365516760, (5, 2): 0.6928010587}
BID_FILLS = {(1, 1): 0.5025454760, (1, 2): 0.6980010343, (2, 1): 0.3588665596, (3, 3): 0.5784464086}
BOTH_FILL = {(1, 1): 0.2657503470, (1, 2): 0.3079798937, (2, 2): 0.3855833252, (5, 5): 0.4909006817}
DEPTH = (1.5777805876, 1.6350788942, 1.5834976078, 1.5750781593, 1.5836439255)
SPREAD, ONE_TICK = 1.3541789287, 0.7436823661


def z(count: int, p: float) -> float:
    """How many standard errors a count over PATHS is from its probability."""
    return (count / PATHS - p) / (p * (1.0 - p) / PATHS) ** 0.5


@pytest.mark.parametrize(("bids", "asks"), UP)
def test_the_mid_moves_up_as_often_as_the_queues_say(bids: int, asks: int) -> None:
    seen = race(cont_stoikov_talreja(5), bids, asks, PATHS, 21)
    assert abs(z(seen.up, UP[bids, asks])) < 4.0
    assert seen.unended == 0


@pytest.mark.parametrize(("bids", "asks"), BID_FILLS)
def test_our_last_in_queue_bid_fills_before_a_move_as_often_as_it_should(bids: int, asks: int) -> None:
    seen = race(cont_stoikov_talreja(5), bids, asks, PATHS, 22, own_bid=True)
    assert abs(z(seen.bid_filled, BID_FILLS[bids, asks])) < 4.0


@pytest.mark.parametrize(("bids", "asks"), BOTH_FILL)
def test_both_orders_of_ours_fill_before_a_move_as_often_as_they_should(bids: int, asks: int) -> None:
    seen = race(cont_stoikov_talreja(5), bids, asks, PATHS, 23, own_bid=True, own_ask=True)
    assert abs(z(seen.both_filled, BOTH_FILL[bids, asks])) < 4.0


def test_depth_and_spread_of_the_whole_book() -> None:
    """Errors by batches: four books, each looked at every two minutes, averaged in batches of 500 looks."""
    markets = Markets([cont_stoikov_talreja()] * 4, 31)
    markets.advance(600 * MINUTE)
    batches = []
    for _ in range(10):
        rows = []
        for _ in range(500):
            markets.advance(2 * MINUTE)
            for record, (bid, ask) in zip(markets.books, markets.best().tolist(), strict=True):
                lots, base = record["level_lots"], int(record["base"])
                near = [int(lots[ask - base - i]) + int(lots[bid - base + i]) for i in range(1, 6)]
                rows.append([*(count / 2.0 for count in near), ask - bid, float(ask - bid == 1)])
        batches.append(np.mean(rows, axis=0))
    seen, error = np.mean(batches, axis=0), np.std(batches, axis=0, ddof=1) / len(batches) ** 0.5
    # the reference's own error is about half of ours: 60,000 minutes of one book against 40,000
    assert (np.abs(seen - np.array([*DEPTH, SPREAD, ONE_TICK])) < 4.0 * 1.3 * error).all(), (seen, error)
    assert seen[1] > seen[0] and seen[1] > seen[2]  # the hump at two ticks


def test_races_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        race(cont_stoikov_talreja(5), 0, 1, 10, 1)
    wrong = msgspec.structs.replace(cont_stoikov_talreja(5), cancels=(-1.0,))
    with pytest.raises(ConfigError, match="reactive market: rates of cancellations: entry 0"):
        race(wrong, 1, 1, 10, 1)
