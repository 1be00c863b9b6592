"""Frames as events, and segments as Parquet: every row once, whatever is run twice or killed."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.data.recorder import tables
from slipstream.data.recorder.envelope import LineError, Note, read_line
from slipstream.data.recorder.folder import Folder, Turnover, closed_segments
from slipstream.data.recorder.frames import read_frame
from slipstream.data.recorder.tables import DONE, compact
from slipstream.model.events import AssetContext, Bbo, L2Book, Trade
from slipstream.model.instrument import Side

DAY = 86_400_000_000_000
NOON = 20_158 * DAY + DAY // 2
MS = 1_000_000
COINS = {"1000PEPEUSDT": "kPEPE"}
BOOK = (
    b'{"channel":"l2Book","data":{"coin":"BTC","time":%d,"levels":'
    b'[[{"px":"100.5","sz":"2","n":1}],[{"px":"101","sz":"3","n":2}]]}}'
)
TRADES = (
    b'{"channel":"trades","data":[{"coin":"BTC","side":"A","px":"100","sz":"1","time":7,"hash":"0x","tid":%d,'
    b'"users":["a","b"]}]}'
)


def test_hyperliquids_frames() -> None:
    (book,) = read_frame(BOOK % 7, 9, {})
    assert book == L2Book("hl", "BTC", ((100.5, 2.0),), ((101.0, 3.0),), 7 * MS, 9)
    raw = b'{"channel":"bbo","data":{"coin":"BTC","time":7,"bbo":[null,{"px":"101","sz":"3","n":1}]}}'
    assert read_frame(raw, 9, {}) == [Bbo("hl", "BTC", 0.0, 0.0, 101.0, 3.0, 7 * MS, 9)]
    assert read_frame(TRADES % 5, 9, {}) == [Trade("hl", "BTC", 100.0, 1.0, Side.SELL, 5, 7 * MS, 9)]
    raw = (
        b'{"channel":"activeAssetCtx","data":{"coin":"BTC","ctx":'
        b'{"markPx":"1.5","oraclePx":"1.25","funding":"-0.00001","openInterest":"7"}}}'
    )
    assert read_frame(raw, 9, {}) == [AssetContext("hl", "BTC", 1.5, 1.25, -0.00001, 7.0, 9, 9)]
    assert read_frame(b'{"channel":"pong"}', 9, {}) == []


def test_binances_frames() -> None:
    head = b'{"stream":"1000pepeusdt@'
    raw = head + b'bookTicker","data":{"s":"1000PEPEUSDT","b":"1","B":"2","a":"3","A":"4","T":7}}'
    assert read_frame(raw, 9, COINS) == [Bbo("binance", "kPEPE", 1.0, 2.0, 3.0, 4.0, 7 * MS, 9)]
    assert read_frame(raw, 9, {}) == []
    raw = head + b'aggTrade","data":{"s":"1000PEPEUSDT","a":11,"p":"1","q":"2","T":7,"m":true}}'
    assert read_frame(raw, 9, COINS) == [Trade("binance", "kPEPE", 1.0, 2.0, Side.SELL, 11, 7 * MS, 9)]
    raw = head + b'depth20@100ms","data":{"s":"1000PEPEUSDT","T":7,"b":[["1","2"]],"a":[["3","4"],["5","6"]]}}'
    assert read_frame(raw, 9, COINS) == [L2Book("binance", "kPEPE", ((1, 2),), ((3, 4), (5, 6)), 7 * MS, 9)]
    raw = head + b'markPrice@1s","data":{"s":"1000PEPEUSDT","E":7,"p":"1","i":"2","r":""}}'
    (context,) = read_frame(raw, 9, COINS)
    assert isinstance(context, AssetContext) and math.isnan(context.funding) and context.oracle_px == 2.0


@given(st.one_of(st.binary(max_size=200), st.integers(0, len(BOOK)).map(lambda n: (BOOK % 7)[:n])))
def test_no_frame_breaks_the_reader(raw: bytes) -> None:
    try:
        found = read_frame(raw, 9, COINS)
    except LineError:
        return
    assert isinstance(found, list | Note)


@pytest.mark.parametrize(
    "raw",
    [
        TRADES.replace(b'"px":"100"', b'"px":"nan"') % 5,
        TRADES.replace(b'"sz":"1"', b'"sz":"inf"') % 5,
        TRADES % 10**30,
        BOOK.replace(b'"100.5"', b'"-100.5"') % 7,
        BOOK % 10**20,
        b'{"channel":"pong","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"stream":"1000pepeusdt@markPrice@1s","data":{"s":"1000PEPEUSDT","E":7,"p":"1","i":"2","r":"nan"}}',
    ],
)
def test_numbers_that_no_venue_sends_are_refused(raw: bytes) -> None:
    with pytest.raises(LineError, match="a frame that cannot be read"):
        read_frame(raw, 9, COINS)


@pytest.mark.parametrize(
    "text",
    [
        b'{"time":"\xff","ver_num":1,"raw":{}}',
        b"\xff\xfe\x00",
        b'{"time":"2025-03-11T09:00:03.1","ver_num":1,"raw":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"time":"1925-03-11T09:00:03.1","ver_num":1,"raw":{}}',
        b'{"time":"2925-03-11T09:00:03.1","ver_num":1,"raw":{}}',
        b'{"time":"2025-02-30T09:00:03.1","ver_num":1,"raw":{}}',
        b"",
    ],
)
def test_lines_that_are_no_envelope(text: bytes) -> None:
    with pytest.raises(LineError):
        read_line(text)


def record(folder: Path, lines: list[tuple[int, bytes]], **turnover: int) -> None:
    with Folder(folder, {"hl": {"BTC": "BTC"}}, Turnover(**turnover)) as kept:
        kept.note(lines[0][0], Note(kind="lost", venue="hl", feed="hl", reason="1006"))
        for ns, raw in lines:
            kept.frame("hl", ns, raw)


def test_compaction_partitions_by_day_and_repeats_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "VALUES", 40)  # several row groups
    lines = [(NOON + k * DAY // 40, BOOK % k) for k in range(40)]
    lines += [(NOON + DAY + k, TRADES % (k % 5)) for k in range(20)]
    record(tmp_path / "raw", lines, seconds=86_400)
    before = [path.read_bytes() for path in closed_segments(tmp_path / "raw")]
    done = compact(tmp_path / "raw", tmp_path / "lake")
    assert (done.segments, done.rows, done.doubles, done.refused) == (2, 40 + 5 + 1, 15, [])
    assert closed_segments(tmp_path / "raw") == []
    books = rows_of(tmp_path / "lake", "books")
    assert [row["event_ns"] for row in books] == [k * MS for k in range(40)]
    assert {(row["venue"], row["coin"], str(row["date"])) for row in books} == {
        ("hl", "BTC", "2025-03-11"), ("hl", "BTC", "2025-03-12")
    }  # fmt: skip
    assert books[0]["bid_px"] == [100.5] and books[0]["ask_sz"] == [3.0]
    assert [row["tid"] for row in rows_of(tmp_path / "lake", "trades")] == [0, 1, 2, 3, 4]
    (gap,) = rows_of(tmp_path / "lake", "gaps")
    assert (gap["kind"], gap["reason"]) == ("lost", "1006")
    aside = sorted((tmp_path / "raw" / DONE).glob("*/*/*.zst"))
    assert [path.read_bytes() for path in aside] == before


def rows_of(lake: Path, stream: str) -> list[dict[str, object]]:
    """Rows of a stream; streams have columns of their own, so each is read by itself."""
    files = [str(path) for path in lake.glob(f"venue=*/stream={stream}/**/*.parquet")]
    table = ds.dataset(files, partitioning="hive", format="parquet", partition_base_dir=str(lake)).to_table()
    return table.sort_by("recv_ns").to_pylist()


def test_a_compaction_that_died_half_way_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path / "raw", [(NOON + k, TRADES % k) for k in range(10)])
    record(tmp_path / "raw", [(NOON + 5_000_000_000 + k, TRADES % (k + 5)) for k in range(10)])

    def die(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("slipstream.data.recorder.tables.os.replace", die)
        with pytest.raises(OSError, match="No space"):
            compact(tmp_path / "raw", tmp_path / "lake")
    assert len(closed_segments(tmp_path / "raw")) == 2
    compact(tmp_path / "raw", tmp_path / "lake")
    assert [row["tid"] for row in rows_of(tmp_path / "lake", "trades")] == list(range(15))
    for path in sorted((tmp_path / "raw" / DONE).glob("*/*/*.zst")):  # as if it had died before setting them aside
        path.rename(tmp_path / "raw" / path.relative_to(tmp_path / "raw" / DONE))
    again = compact(tmp_path / "raw", tmp_path / "lake")
    assert again.segments == 2
    assert [row["tid"] for row in rows_of(tmp_path / "lake", "trades")] == list(range(15))
    assert not list((tmp_path / "lake").rglob(".*.parquet"))


def test_lines_that_cannot_be_read_are_named_and_the_others_kept(tmp_path: Path) -> None:
    wrong = b'{"channel":"bbo","data":{"coin":7}}'
    record(tmp_path / "raw", [(NOON, BOOK % 1), (NOON + 1, wrong), (NOON + 2, BOOK % 2)])
    done = compact(tmp_path / "raw", tmp_path / "lake")
    (line,) = done.refused
    assert ".jsonl.zst:4: a frame that cannot be read" in line
    assert len(rows_of(tmp_path / "lake", "books")) == 2


def test_a_hostile_line_is_named_and_stays_within_the_lake(tmp_path: Path) -> None:
    hostile = [b'{"\xff":1}', TRADES.replace(b'"coin":"BTC"', b'"coin":"../../../out"') % 4, TRADES % 10**25]
    record(tmp_path / "in" / "rec", [(NOON + n, raw) for n, raw in enumerate([*hostile, TRADES % 5])])
    done = compact(tmp_path / "in" / "rec", tmp_path / "in" / "lake")
    assert [line.partition("coin '../../../out' cannot name")[1] != "" for line in done.refused] == [True, False]
    assert done.rows == 2 and [path.name for path in tmp_path.iterdir()] == ["in"]
