"""Tapes merged: nothing lost, nothing doubled, the order of each kept, and clocks moved as told."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.data.tape import merge
from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.merge import Merge
from slipstream.data.tape.reader import Tape, open_tape
from slipstream.data.tape.scale import Grid, Market
from slipstream.data.tape.writer import TapeWriter
from slipstream.lob.replay.rows import L3_ROW_DTYPE, ROW_DTYPE
from tests.data.tape.plain_book import MS, some_rows


def tape_of(folder: Path, coin: str, rows: Any) -> Tape:
    market = Market(venue="hl", coin=coin, grid=Grid(decimals=1), lot="1")
    layout = "orders" if rows.dtype == L3_ROW_DTYPE else "rows"
    with TapeWriter(folder / coin, market, layout=layout, chunk_rows=50) as writer:  # type: ignore[arg-type]
        writer.append(rows)
    return open_tape(folder / coin)


@given(
    st.lists(st.integers(0, 180), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
    st.integers(1, 300),
    st.integers(1, 90),
)
@settings(max_examples=30, deadline=None)
def test_nothing_lost_nothing_doubled_order_kept(sizes: list[int], seed: int, room: int, block: int) -> None:
    told = [some_rows(n, seed + k) for k, n in enumerate(sizes)]
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "BLOCK", block)
        tapes = [tape_of(Path(name), f"C{k}", rows) for k, rows in enumerate(told)]
        chunks = list(Merge(tapes, chunk_rows=room))
    rows = np.concatenate(chunks) if chunks else np.zeros(0, ROW_DTYPE)
    assert all(len(chunk) == room for chunk in chunks[:-1])
    assert (np.diff(rows["exch_ns"]) >= 0).all()
    for k, truth in enumerate(told):
        mine = rows[rows["market"] == k].copy()
        mine["market"] = 0
        assert np.array_equal(mine, truth)
    # at equal times the first of the list comes first
    order = np.lexsort((rows["market"], rows["exch_ns"]))
    assert np.array_equal(order, np.arange(len(rows)))


def test_an_end_is_a_cut_of_the_same_stream(tmp_path: Path) -> None:
    tapes = [tape_of(tmp_path, f"C{k}", some_rows(400, k)) for k in range(3)]
    whole = np.concatenate(list(Merge(tapes)))
    for end in (whole["exch_ns"][0], whole["exch_ns"][500], whole["exch_ns"][-1] + 1):
        parts = list(Merge(tapes, end_ns=int(end), chunk_rows=64))
        cut = np.concatenate(parts) if parts else whole[:0]
        assert np.array_equal(cut, whole[whole["exch_ns"] < end])


def test_clocks_are_moved_as_told_and_it_is_counted(tmp_path: Path) -> None:
    rows = [some_rows(300, k) for k in range(4)]
    tapes = [tape_of(tmp_path, f"C{k}", one) for k, one in enumerate(rows)]
    merged = Merge(tapes, clocks=["recorded", "exchange", "-3ms", "2.5ms"])
    out = np.concatenate(list(merged))
    heard = [out["local_ns"][out["market"] == k] for k in range(4)]
    exch = [one["exch_ns"] for one in rows]
    assert np.array_equal(heard[0], rows[0]["local_ns"]) and np.array_equal(heard[1], exch[1])
    moved = np.maximum(rows[2]["local_ns"] - 3 * MS, exch[2])
    assert np.array_equal(heard[2], np.maximum.accumulate(moved))
    assert np.array_equal(heard[3], rows[3]["local_ns"] + 5 * MS // 2)
    clock = merged.clocks[2]
    early = rows[2]["local_ns"] - 3 * MS < exch[2]
    assert clock.raised == early.sum() > 0 and clock.rows == 300 and clock.offset_ns == -3 * MS
    assert clock.median_ns == np.median(rows[2]["local_ns"] - exch[2])
    told = np.concatenate(list(Merge(tapes[2:3], clocks=["-3ms"], early=True)))
    assert np.array_equal(told["local_ns"], rows[2]["local_ns"] - 3 * MS)


def test_with_order_level_rows_all_have_their_layout(tmp_path: Path) -> None:
    orders = np.zeros(40, L3_ROW_DTYPE)
    for name in ROW_DTYPE.names or ():
        orders[name] = some_rows(40, 1)[name]
    orders["seq"] = np.arange(40) + 7
    plain = some_rows(60, 2)
    merged = Merge([tape_of(tmp_path, "A", orders), tape_of(tmp_path, "B", plain)])
    rows = np.concatenate(list(merged))
    assert rows.dtype == L3_ROW_DTYPE and len(rows) == 100
    assert np.array_equal(rows[rows["market"] == 0]["seq"], orders["seq"])
    assert (rows[rows["market"] == 1]["seq"] == 0).all()
    assert np.array_equal(rows[rows["market"] == 1]["tick"], plain["tick"])


def test_what_cannot_be_merged(tmp_path: Path) -> None:
    tape = tape_of(tmp_path, "A", some_rows(10))
    for tapes, clocks, said in (
        ([], (), "0 tapes"),
        ([tape, tape], (), "two tapes of one market"),
        ([tape], ("recorded", "recorded"), "2 clocks for 1"),
        ([tape], ("yesterday",), "--clock yesterday"),
        ([tape], ("nanms",), "--clock nanms"),
    ):
        with pytest.raises(TapeError, match=said):
            Merge(tapes, clocks=clocks)
