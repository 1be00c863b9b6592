"""The tick engine on rows that name orders: its fills are those of the truth, or of the model, to the nanosecond."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.lob.book import GTC, Book
from slipstream.lob.replay import delay
from slipstream.lob.replay.order_book import OrderBook
from slipstream.lob.replay.order_record import record
from slipstream.lob.replay.replay import Replay
from slipstream.lob.replay.rows import L3_ROW_DTYPE
from slipstream.lob.replay.terms import MarketTerms
from slipstream.simulation.tick.queue_flow import QueueFlow, session
from slipstream.simulation.tick.queue_probe import MODELS, SWEPT, TRADED, Probes

LEVELS, ORDERS = 64, 256
SECOND = 10**9
FIRST, LAST, EVERY = 60, 600, 5  # seconds


@pytest.fixture(scope="module")
def rows() -> npt.NDArray[Any]:
    """A session of the matching engine with young cancels, as the engine reads it."""
    flow = QueueFlow(700.0, middle=132, distance=1.0, volatility=0.1, hasty=0.4, hasty_s=3.0)
    log = record(Book(100, LEVELS, ORDERS, 512), session(flow, np.random.default_rng(5)))
    return OrderBook(100, LEVELS, ORDERS).feed(log)


def orders_at_the_touch(rows: npt.NDArray[Any], queue: str) -> dict[tuple[int, int], int]:
    """{(second it joined, side): ns of its fill} of orders of one lot that join both best prices every few seconds."""
    market = MarketTerms(
        "TEST", lot_size=1.0, tick_size=1.0, queue=queue, feed=delay.constant(0), entry=delay.constant(0)
    )
    run = Replay([market], row=L3_ROW_DTYPE)
    times = [second * SECOND for second in range(FIRST, LAST, EVERY)]
    joined: dict[int, tuple[int, int]] = {}
    run.wake(times[0])
    while run.advance(rows):
        if times and int(run.sim["now_ns"]) >= times[0] and not int(run.sim["more"]):
            at = times.pop(0)
            quote = run.sim["quotes"][0]
            for side, tick in ((1, int(quote["bid_tick"])), (-1, int(quote["ask_tick"]))):
                slot = run.place(0, side, tick, 1, GTC)
                joined[int(run.sim["orders"][slot]["id"])] = (at // SECOND, side)
            if times:
                run.wake(times[0])
    while run.advance(None):
        pass
    fills = run.finish().fills
    return {joined[int(fill["order"])]: int(fill["exch_ns"]) for fill in fills}


@pytest.fixture(scope="module")
def touch(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Probes that joined at the same moments."""
    probes = Probes(FIRST * SECOND, LAST * SECOND, float(EVERY), 1000.0, 100, LEVELS)
    probes.feed(rows)
    return probes.seen[probes.seen["depth"] == 0]


def filled(touch: npt.NDArray[Any], times: npt.NDArray[np.int64]) -> dict[tuple[int, int], int]:
    """``times`` of the fills that there were, as `orders_at_the_touch` tells them."""
    return {
        (int(one["joined_ns"]) // SECOND, int(one["side"])): int(at) for one, at in zip(touch, times, strict=True) if at
    }


def test_with_exact_queues_the_fills_are_the_truth(rows: npt.NDArray[Any], touch: npt.NDArray[Any]) -> None:
    assert (touch["how"] == TRADED).sum() > 80 and (touch["how"] == SWEPT).sum() > 10
    assert orders_at_the_touch(rows, "exact") == filled(touch, touch["filled_ns"])


@pytest.mark.parametrize(
    ("queue", "model"), [("risk_averse", "risk_averse"), ("power3", "power3 n=3"), ("log2", "log2"), ("log", "log")]
)
def test_a_model_fills_in_the_engine_as_it_does_in_the_study(
    rows: npt.NDArray[Any], touch: npt.NDArray[Any], queue: str, model: str
) -> None:
    place = [name for name, _, _ in MODELS].index(model)
    told = filled(touch, touch["model_ns"][:, place])
    assert orders_at_the_touch(rows, queue) == told
    assert told != filled(touch, touch["filled_ns"])
