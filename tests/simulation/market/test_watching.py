"""Rows of a tape as what was seen: best prices, trades, depth, comings and goings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, L3_ROW_DTYPE, MORE, ROW_DTYPE, TRADE
from slipstream.simulation.market.observed import Observed
from slipstream.simulation.market.terms import Grid
from slipstream.simulation.market.watching import watch

GRID = Grid(lot=0.01, tick_size=0.5)
SECOND = 1_000_000_000
OPENING = [
    (0, DEPTH | MORE, 1, 100, 10),
    (0, DEPTH | MORE, 1, 99, 20),
    (0, DEPTH | MORE, -1, 102, 5),
    (0, DEPTH, -1, 103, 8),
]


def rows_of(told: list[tuple[int, int, int, int, int]], dtype: npt.DTypeLike = ROW_DTYPE) -> npt.NDArray[np.void]:
    """Rows from (ms, kind, side, tick, lots)."""
    rows = np.zeros(len(told), dtype)
    for row, (ms, kind, side, tick, lots) in zip(rows, told, strict=True):
        row["exch_ns"] = row["local_ns"] = ms * 1_000_000
        row["kind"], row["side"], row["tick"], row["lots"] = kind, side, tick, lots
    return rows


def seen(told: list[tuple[int, int, int, int, int]], dtype: npt.DTypeLike = ROW_DTYPE) -> Observed:
    return watch("x", GRID, [rows_of(told, dtype)])


def quotes(found: Observed) -> list[tuple[int, ...]]:
    return [
        (int(q["ns"]) // 1_000_000, *(int(q[k]) for k in ("bid", "bid_lots", "ask", "ask_lots"))) for q in found.quotes
    ]


def test_quotes_are_told_at_the_end_of_a_message_and_only_when_they_change() -> None:
    found = seen(
        [
            *OPENING,
            (100, DEPTH | MORE, 1, 101, 7),
            (100, DEPTH, -1, 102, 6),
            (200, DEPTH, 1, 98, 50),  # deep: nothing new at the top
            (300, DEPTH, 1, 101, 0),
        ]
    )
    assert quotes(found) == [(0, 100, 10, 102, 5), (100, 101, 7, 102, 6), (300, 100, 10, 102, 6)]
    assert found.prices(np.array([100, 101])).tolist() == [50.0, 50.5]
    assert found.mids().tolist() == [50.5, 50.75, 50.5]


def test_a_best_price_drops_what_is_better_and_what_it_passes() -> None:
    found = seen([*OPENING, (100, BEST, 1, 99, 15), (200, BEST, -1, 99, 4)])
    assert quotes(found)[1] == (100, 99, 15, 102, 5)
    assert quotes(found)[2:] == []  # no bid is left in sight: one side only


def test_a_cleared_side_is_filled_anew_and_nothing_came() -> None:
    found = seen([*OPENING, (100, CLEAR | MORE, 1, -1, 0), (100, DEPTH, 1, 97, 3), (200, DEPTH, 1, 98, 4)])
    assert quotes(found)[-1] == (200, 98, 4, 102, 5)
    assert found.tally is not None and found.tally["came"].sum() == 1  # the bid at 98: all else came into sight


def test_prints_are_orders_by_side_and_time() -> None:
    found = seen(
        [*OPENING, (50, TRADE, 1, 102, 5), (50, TRADE, 1, 103, 1), (50, TRADE, -1, 100, 2), (60, TRADE, 1, 103, 1)]
    )
    orders = found.orders_taken()
    assert [(int(o["ns"]) // 1_000_000, int(o["side"]), int(o["lots"]), int(o["tick"])) for o in orders] == [
        (50, -1, 2, 100),
        (50, 1, 6, 103),
        (60, 1, 1, 103),
    ]


def test_fills_of_one_taker_that_a_log_of_orders_tells_one_by_one_are_one_order() -> None:
    told = [
        *OPENING,
        *((50 + 30 * k, TRADE, 1, 102, 5) for k in range(3)),
        (112, TRADE, -1, 100, 2),
        (300, TRADE, 1, 103, 1),
    ]
    orders = seen(told, L3_ROW_DTYPE).orders_taken()
    assert [(int(o["ns"]) // 1_000_000, int(o["side"]), int(o["lots"])) for o in orders] == [
        (110, 1, 15),
        (112, -1, 2),
        (300, 1, 1),
    ]
    assert len(seen(told).orders_taken()) == 5  # a recording of blocks has one time for all of a taker's fills


def test_depth_is_sampled_as_it_stood() -> None:
    found = seen([*OPENING, (1500, DEPTH, 1, 100, 11), (2500, DEPTH, 1, 99, 0)])
    assert found.depth["ns"].tolist() == [0, SECOND, 2 * SECOND]
    assert found.depth["bid_lots"][:, 0].tolist() == [10, 10, 11]
    assert found.depth["bid_lots"][:, 1].tolist() == [20, 20, 20]
    assert found.depth["ask_lots"][0, :3].tolist() == [5, 8, 0]


def test_what_trades_explain_did_not_leave() -> None:
    told = [
        *OPENING,
        (100, TRADE, 1, 102, 3),
        (110, DEPTH, -1, 102, 1),
        (200, DEPTH, -1, 102, 9),
        (300, DEPTH, 1, 99, 25),
    ]
    found = seen(told)
    assert found.tally is not None
    at = {name: found.tally[name] for name in ("came", "came_lots", "left", "left_lots")}
    assert at["left"][1] == 1 and at["left_lots"][1] == 1.0  # 5 - 3 traded - 1 left over: one lot went
    assert at["came"][1] == 1 and at["came_lots"][1] == 8.0
    assert at["came"][2] == 1 and at["came_lots"][2] == 5.0  # bid 99 is three from the ask, 102
    assert found.size_log[0] == 2 and not found.orders
    assert seen(told[:4], L3_ROW_DTYPE).orders


def test_chunks_are_one_tape() -> None:
    rng = np.random.default_rng(2)
    told = list(OPENING)
    for k in range(3000):
        side = 1 if rng.random() < 0.5 else -1
        tick = int(100 - rng.integers(0, 9)) if side > 0 else int(102 + rng.integers(0, 9))
        told.append((10 * k, DEPTH if rng.random() < 0.9 else TRADE, side, tick, int(rng.integers(1, 30))))
    rows = rows_of(told)
    whole, parts = watch("x", GRID, [rows]), watch("x", GRID, np.array_split(rows, 7))
    for name in ("quotes", "prints", "depth", "tally"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name)), name
    assert whole.end_ns == parts.end_ns and whole.size_log == pytest.approx(parts.size_log)


def test_rows_out_of_order_and_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="x: rows go back in time"):
        seen([(100, DEPTH, 1, 100, 1), (50, DEPTH, 1, 100, 2)])
    with pytest.raises(ValueError, match="x: no rows"):
        watch("x", GRID, [])
