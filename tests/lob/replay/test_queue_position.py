"""Queue models: the reference's traces, and what every model must hold."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.lob.replay.queue_position import EXACT, MODELS, RISK_AVERSE, behind, changed, executed, left

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/08_order_flow.json"
MODEL_OF = {  # name in the reference: (model, n)
    "risk_adverse": ("risk_averse", 0.0),
    "power_n3": ("power", 3.0),
    "power_n1": ("power", 1.0),
    "power2_n3": ("power2", 3.0),
    "power3_n3": ("power3", 3.0),
    "log": ("log", 0.0),
    "log2": ("log2", 0.0),
}
EVENTS: list[tuple[Any, ...]] = [
    ("new", 100.0),
    ("depth", 100.0, 130.0),
    ("trade", 10.0),
    ("depth", 130.0, 120.0),
    ("depth", 120.0, 95.0),
    ("trade", 40.0),
    ("trade", 15.0),
    ("depth", 95.0, 30.0),
    ("depth", 30.0, 50.0),
    ("depth", 50.0, 20.0),
    ("trade", 25.0),
]
# front after the last five events but one, and the fill of the last trade
TRACES = {
    "risk_adverse": ([90.0, 50.0, 35.0, 30.0, 30.0, 20.0], 5.0),
    "power_n3": (
        [65.89285714285714, 25.89285714285714, 10.892857142857139] + [10.871180881747984] * 2 + [10.241318142350837],
        15.0,
    ),
    "power_n1": ([71.25, 31.25, 16.25, 14.539473684210527, 14.539473684210527, 5.815789473684209], 19.0),
    "power2_n3": (
        [65.390625, 25.390625, 10.390625, 7.455177307128906, 7.455177307128906, -4.0627192815215665],
        29.0,
    ),
    "power3_n3": ([79.453125, 39.453125, 24.453125, 24.282582632427157, 24.282582632427157, 20.0], 5.0),
    "log": (
        [75.80570629427555, 35.80570629427555, 20.805706294275552] + [16.641873776850026] * 2 + [3.202396919228528],
        22.0,
    ),
    "log2": (
        [82.90104870008379, 42.90104870008379, 27.90104870008379, 27.148725775889062, 27.148725775889062, 20.0],
        5.0,
    ),
}


def trace(name: str, events: list[tuple[Any, ...]]) -> tuple[list[float], list[float]]:
    """(front, fill) after every event."""
    model, n = MODELS[MODEL_OF[name][0]], MODEL_OF[name][1]
    front = cum = 0.0
    fronts, fills = [], []
    for kind, *numbers in events:
        fill = 0
        if kind == "new":
            front, cum = numbers[0], 0.0
        elif kind == "trade":
            front, cum = front - numbers[0], cum + numbers[0]
            fill = executed(front, 1.0)
            if fill:
                front = 0.0
        else:
            front, cum = changed(model, n, front, cum, *numbers)
        fronts.append(front)
        fills.append(float(fill))
    return fronts, fills


@pytest.mark.parametrize("name", TRACES)
def test_traces(name: str) -> None:
    fronts, fills = trace(name, EVENTS)
    assert fronts[:4] == [100.0, 100.0, 90.0, 90.0]
    assert fronts[4:10] == pytest.approx(TRACES[name][0], rel=1e-12)
    assert fills == [0.0] * 10 + [TRACES[name][1]]
    assert fronts[10] == 0.0


@pytest.mark.parametrize("name", TRACES)
def test_traces_of_the_reference_file(name: str) -> None:
    if not REFERENCE.exists():
        pytest.skip(f"the reference values are not here: {REFERENCE}")
    reference = json.loads(REFERENCE.read_text())["queue_models"]
    fronts, fills = trace(name, [tuple(event) for event in reference["events"]])
    assert fronts == pytest.approx(reference["traces"][name]["front"], rel=1e-12)
    assert fills == reference["traces"][name]["fill"]


def test_every_reference_model_is_traced() -> None:
    assert {MODEL_OF[name][0] for name in TRACES} == set(MODELS) - {"exact"}


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """What may happen to an order's level: a consistent sequence of depth changes and trades, in lots."""
    level = draw(st.integers(0, 60))
    events: list[tuple[Any, ...]] = [("new", float(level))]
    for _ in range(draw(st.integers(1, 25))):
        if draw(st.booleans()):
            events.append(("trade", float(draw(st.integers(1, 30)))))
        else:
            new = draw(st.integers(0, 60))
            events.append(("depth", float(level), float(new)))
            level = new
    return events


@given(lives())
@settings(max_examples=200, deadline=None)
def test_the_risk_averse_model_fills_no_more_and_no_earlier_than_any_other(events: list[tuple[Any, ...]]) -> None:
    """But where a model's own formula has put the order before the front: then it may move back later, as upstream."""
    _, cautious = trace("risk_adverse", events)
    first = next((i for i, fill in enumerate(cautious) if fill), len(events))
    for name in TRACES:
        fronts, fills = trace(name, events)
        if any(front < 0.0 for event, front in zip(events, fronts, strict=True) if event[0] == "depth"):
            continue
        assert next((i for i, fill in enumerate(fills) if fill), len(events)) <= first, name
        if first < len(events):
            assert sum(fills[: first + 1]) >= cautious[first], name


@given(lives())
@settings(max_examples=100, deadline=None)
def test_front_is_a_number_and_never_more_than_the_level(events: list[tuple[Any, ...]]) -> None:
    for name in TRACES:
        fronts, _ = trace(name, events)
        assert all(math.isfinite(front) for front in fronts), name
        for event, front in zip(events, fronts, strict=True):
            if event[0] == "depth":
                assert front <= event[2]


@pytest.mark.parametrize("model", [number for name, number in MODELS.items() if name not in ("risk_averse", "exact")])
def test_of_an_empty_level_all_was_behind(model: int) -> None:
    assert behind(model, 3.0, 0.0, 0.0) == 1.0
    assert changed(model, 3.0, 0.0, 0.0, 0.0, 0.0) == (0.0, 0.0)


@pytest.mark.parametrize("model", [number for name, number in MODELS.items() if name not in ("risk_averse", "exact")])
def test_at_the_back_all_decreases_are_in_front_and_at_the_front_all_are_behind(model: int) -> None:
    assert behind(model, 2.0, 10.0, 0.0) == 0.0
    assert behind(model, 2.0, 0.0, 10.0) == 1.0
    assert changed(model, 2.0, 10.0, 0.0, 10.0, 7.0) == (7.0, 0.0)
    assert changed(model, 2.0, 0.0, 0.0, 10.0, 7.0) == (0.0, 0.0)


def test_a_power_that_a_negative_front_does_not_have_puts_the_order_at_the_back() -> None:
    assert changed(MODELS["power"], 1.5, -2.0, 0.0, 10.0, 7.0) == (7.0, 0.0)


def test_exact_leaves_the_queue_by_name_and_counts_a_trade_once() -> None:
    assert left(30.0, 0.0, 5, 3, 50.0, 40.0) == (20.0, 0.0)  # in front
    assert left(30.0, 0.0, 5, 6, 50.0, 40.0) == (30.0, 0.0)  # behind
    assert left(30.0, 0.0, 5, 6, 50.0, 60.0) == (30.0, 0.0)  # newcomers join behind
    assert left(20.0, 10.0, 5, 3, 50.0, 40.0) == (20.0, 0.0)  # the trade of 10 has moved it already
    assert left(20.0, 10.0, 5, 3, 50.0, 35.0) == (15.0, 0.0)
    assert left(20.0, 10.0, 5, 3, 50.0, 46.0) == (20.0, 6.0)
    assert left(30.0, 0.0, 5, 6, 50.0, 25.0) == (25.0, 0.0)  # no more in front than there is
    assert changed(EXACT, 0.0, 30.0, 4.0, 50.0, 25.0) == changed(RISK_AVERSE, 0.0, 30.0, 4.0, 50.0, 25.0) == (25.0, 4.0)


def test_executed_counts_whole_lots() -> None:
    assert [executed(front, 1.0) for front in (3.0, 0.0, -0.49, -0.5, -1.2, -29.06)] == [0, 0, 0, 1, 1, 29]
    assert executed(-0.004, 0.001) == 4


def test_an_order_record_joins_and_moves_up() -> None:
    from numba import njit

    from slipstream.lob.replay.queue_position import joined, traded

    @njit  # type: ignore[misc]
    def life(orders: Any) -> None:
        joined(orders[0], 12.0)
        traded(orders[0], 5.0)

    orders = np.zeros(1, dtype=[("front", np.float64), ("cum", np.float64)])
    orders["cum"] = 9.0
    life(orders)
    assert orders.tolist() == [(7.0, 5.0)]
