"""Probes: orders that were never sent, in books that are known order by order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.lob.book import Book
from slipstream.lob.replay.order_book import OrderBook
from slipstream.lob.replay.order_record import record
from slipstream.lob.replay.order_rows import ADD, CANCEL, EXECUTE, ORDER_ROW_DTYPE, REDUCE
from slipstream.lob.replay.rows import ROW_DTYPE
from slipstream.simulation.tick.queue_flow import QueueFlow, session
from slipstream.simulation.tick.queue_probe import MODELS, OFFSETS_S, SWEPT, TRADED, Probes
from tests.lob.replay.sessions import random_ops

LEVELS, ORDERS = 64, 256
SECOND = 10**9
EXACT = len(MODELS) - 1
PLACE_OF = {name: m for m, (name, _, _) in enumerate(MODELS)}


def log_of(*events: tuple[float, int, int, int, int, int]) -> npt.NDArray[Any]:
    """(second, kind, order, side, tick, lots)."""
    log = np.zeros(len(events), ORDER_ROW_DTYPE)
    for i, (at, kind, order, side, tick, lots) in enumerate(events):
        log[i] = (round(at * SECOND), round(at * SECOND), order, lots, tick, 0, kind, side)
    return log


def probed(log: npt.NDArray[Any], start_s: float, until_s: float, step_s: float, horizon_s: float) -> npt.NDArray[Any]:
    probes = Probes(round(start_s * SECOND), round(until_s * SECOND), step_s, horizon_s, 100, LEVELS)
    probes.feed(OrderBook(100, LEVELS, ORDERS).feed(log))
    return probes.seen


BOOK = [(0.0, ADD, 1, 1, 110, 40), (0.1, ADD, 2, 1, 110, 60), (0.2, ADD, 3, -1, 112, 9), (0.3, ADD, 4, 1, 108, 5)]


def at_touch(*events: tuple[float, int, int, int, int, int]) -> Any:
    """The probe that joined the best bid (100 lots in front) at second 1."""
    seen = probed(log_of(*BOOK, *events, (9.0, ADD, 99, -1, 119, 1)), 1.0, 1.5, 1.0, 100.0)
    assert len(seen) == 3  # two bids and an ask
    return seen[0]


def test_probes_join_the_occupied_levels_of_both_sides() -> None:
    seen = probed(log_of(*BOOK, (9.0, ADD, 99, -1, 119, 1)), 1.0, 1.5, 1.0, 100.0)
    shown = [tuple(int(p[name]) for name in ("side", "tick", "depth", "first")) for p in seen]
    assert shown == [(1, 110, 0, 100), (1, 108, 1, 5), (-1, 112, 0, 9)]


def test_an_order_in_front_that_leaves_moves_the_truth_and_one_behind_does_not() -> None:
    probe = at_touch((1.1, ADD, 5, 1, 110, 100), (1.2, CANCEL, 1, 1, 110, 40), (2.5, CANCEL, 5, 1, 110, 100))
    assert probe["truth_at"][:4].tolist() == [60, 60, 60, -1]  # a second, two, five; then nothing was heard
    assert probe["doubts"] == 2 and probe["doubts_at"][:3].tolist() == [1, 2, 2]
    assert probe["front_at"][2, EXACT] == 60
    # half of the level stood behind: power n=1 puts half of each cancel there
    assert probe["front_at"][0, PLACE_OF["power n=1"]] == 80
    assert probe["front_at"][0, PLACE_OF["risk_averse"]] == 100
    assert probe["front_at"][2, PLACE_OF["risk_averse"]] == 60  # no more than the level holds


def test_a_trade_beyond_the_queue_fills_and_one_up_to_it_does_not() -> None:
    upto = at_touch((1.1, EXECUTE, 1, 1, 110, 40), (1.2, EXECUTE, 2, 1, 110, 60))
    assert upto["filled_ns"] == 0 and upto["truth"] == 0 and not upto["model_ns"].any()
    beyond = at_touch(
        (1.1, ADD, 5, 1, 110, 3),
        (1.2, EXECUTE, 1, 1, 110, 40),
        (1.3, EXECUTE, 2, 1, 110, 60),
        (1.4, EXECUTE, 5, 1, 110, 1),
    )
    assert (beyond["filled_ns"], beyond["how"]) == (1.4 * SECOND, TRADED)
    assert (beyond["model_ns"] == round(1.4 * SECOND)).all()  # only trades: no model can be wrong


@pytest.mark.parametrize(
    "passing",
    [
        [(1.4, EXECUTE, 4, 1, 108, 1)],
        [(1.2, CANCEL, 1, 1, 110, 40), (1.3, CANCEL, 2, 1, 110, 60), (1.4, ADD, 6, -1, 110, 1)],
    ],
)
def test_a_price_that_is_passed_fills_the_probe_for_everybody(passing: list[Any]) -> None:
    probe = at_touch(*passing)
    assert (probe["filled_ns"], probe["how"]) == (round(1.4 * SECOND), SWEPT)
    assert (probe["model_ns"] == round(1.4 * SECOND)).all()


def test_an_order_that_shrinks_keeps_its_place() -> None:
    probe = at_touch((1.1, REDUCE, 1, 1, 110, 15))
    assert probe["truth"] == 85 and probe["doubts"] == 0  # nobody was behind


def test_a_probe_waits_no_longer_than_its_horizon() -> None:
    events = [*BOOK, (4.0, CANCEL, 1, 1, 110, 40), (5.0, EXECUTE, 2, 1, 110, 60), (6.0, EXECUTE, 4, 1, 108, 5)]
    seen = probed(log_of(*events), 1.0, 1.5, 1.0, 3.5)
    assert seen["filled_ns"].tolist() == [0, 0, 0] and seen[0]["truth"] == 60
    assert (seen["truth_at"][0][:3] == [100, 100, -1]).all()


def brute(log: npt.NDArray[Any], probe: Any, offset_s: float) -> int:
    """The lots in front of a probe so long after it joined, from the orders of a book that is rebuilt up to then."""
    book = OrderBook(100, LEVELS, ORDERS)
    book.feed(log[log["exch_ns"] <= probe["joined_ns"] + round(offset_s * SECOND)])
    orders = book.book.l3(int(probe["side"]), ORDERS)
    return int(orders[(orders[:, 3] == probe["tick"]) & (orders[:, 2] <= probe["seq"])][:, 4].sum())


@pytest.mark.parametrize("seed", range(2))
def test_the_truth_is_what_stands_in_front_in_the_book(seed: int) -> None:
    log = record(Book(100, LEVELS, ORDERS, 512), random_ops(seed, 2000))
    seen = probed(log, 20.05, 180.0, 4.0, 40.0)
    compared = 0
    for probe in seen:
        for s in np.flatnonzero(probe["truth_at"] >= 0):
            assert probe["truth_at"][s] == brute(log, probe, OFFSETS_S[s])
            compared += 1
    assert compared > 200
    assert ((seen["how"] == TRADED).sum() > 10) and ((seen["how"] == SWEPT).sum() > 10)


def test_the_exact_model_is_never_wrong_and_the_risk_averse_one_never_early() -> None:
    flow = QueueFlow(400.0, middle=132, distance=1.0, volatility=0.2, hasty=0.3)
    log = record(Book(100, LEVELS, ORDERS, 512), session(flow, np.random.default_rng(3)))
    seen = probed(log, 30.0, 300.0, 1.0, 60.0)
    assert (seen["model_ns"][:, EXACT] == seen["filled_ns"]).all() and (seen["filled_ns"] > 0).mean() > 0.3
    counted = seen["truth_at"] >= 0
    assert (seen["front_at"][:, :, EXACT] == seen["truth_at"])[counted].all()
    averse = PLACE_OF["risk_averse"]
    assert (seen["front_at"][:, :, averse] >= seen["truth_at"])[counted].all()
    late = seen["model_ns"][:, averse]
    assert ((late == 0) | (late >= seen["filled_ns"])).all()
    assert (np.diff(seen["joined_ns"]) >= 0).all()


def test_a_session_is_its_seeds_and_keeps_its_rates() -> None:
    flow = QueueFlow(2000.0, limit_rate=2.0, take_rate=0.5, hasty=1.0, hasty_s=5.0, round_to=100, size=300.0)
    ops = session(flow, np.random.default_rng(7))
    assert (ops == session(flow, np.random.default_rng(7))).all()
    assert (np.diff(ops["ns"]) >= 0).all()
    placed, taken, gone = ((ops["kind"] == kind).sum() for kind in (0, 1, 2))
    assert placed == pytest.approx(8000, rel=0.05) and taken == pytest.approx(2000, rel=0.1)
    assert gone == pytest.approx(placed, rel=0.02)
    assert (ops["lots"][ops["kind"] < 2] % 100 == 0).all()
    lives = ops["ns"][ops["kind"] == 2] - ops["ns"][ops["tag"][ops["kind"] == 2]]
    assert lives.mean() / SECOND == pytest.approx(5.0, rel=0.05)


@pytest.mark.parametrize(("terms", "what"), [({"seconds": 0.0}, "seconds"), ({"seconds": 1.0, "hasty": 1.5}, "hasty")])
def test_a_flow_that_cannot_be_is_refused(terms: dict[str, float], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        QueueFlow(**terms)


def test_probes_refuse_other_rows_and_no_time() -> None:
    with pytest.raises(ValueError, match="L3_ROW_DTYPE"):
        Probes(0, SECOND, 1.0, 1.0, 100, LEVELS).feed(np.zeros(1, ROW_DTYPE))
    with pytest.raises(ValueError, match="horizon"):
        Probes(0, SECOND, 1.0, 0.0, 100, LEVELS)
