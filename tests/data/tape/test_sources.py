"""Our own recorder's segments, the lake and the archive's objects as tapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import pytest

from slipstream.data.lake import Lake
from slipstream.data.recorder.envelope import Note, line
from slipstream.data.recorder.folder import Folder, Turnover
from slipstream.data.recorder.tables import compact
from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.formats import convert, seeming
from slipstream.data.tape.reader import open_tape, open_tapes
from slipstream.data.tape.terms import Terms
from slipstream.lob.replay.rows import FUNDING, KIND, RATE_UNIT, TRADE
from tests.data.tape.plain_book import MS, PlainBook, messages

HOUR_MS = 3_600_000
START_MS = 480_000 * HOUR_MS + HOUR_MS - 30_000  # half a minute before a full hour
LAG_NS = 37 * MS


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def book(ms: int, k: int) -> dict[str, Any]:
    bids = [{"px": f"{100_000 - i - k % 3}", "sz": f"0.{1 + (k + i) % 9}0001", "n": 1} for i in range(3)]
    asks = [{"px": f"{100_001 + i}", "sz": "0.5", "n": 1} for i in range(3)]
    return {"channel": "l2Book", "data": {"coin": "BTC", "time": ms, "levels": [bids, asks]}}


def deal(ms: int, tid: int) -> dict[str, Any]:
    one = {"coin": "BTC", "side": "A", "px": "100000", "sz": "0.25", "time": ms, "hash": "0x", "tid": tid, "users": []}
    return {"channel": "trades", "data": [one]}


def best(ms: int) -> dict[str, Any]:
    sides = [{"px": "100000", "sz": "0.2", "n": 1}, {"px": "100001", "sz": "0.4", "n": 1}]
    return {"channel": "bbo", "data": {"coin": "BTC", "time": ms, "bbo": sides}}


def context(rate: str) -> dict[str, Any]:
    ctx = {"markPx": "100000", "oraclePx": "100002.7", "funding": rate, "openInterest": "7"}
    return {"channel": "activeAssetCtx", "data": {"coin": "BTC", "ctx": ctx}}


def frames() -> list[tuple[str, int, dict[str, Any]]]:
    """(venue, ms, frame): a minute around a full hour, of both venues."""
    out: list[tuple[str, int, dict[str, Any]]] = []
    for k in range(120):
        ms = START_MS + 500 * k
        out.append(("hl", ms, deal(ms, k)))
        out.append(("hl", ms, book(ms, k)))
        out.append(("hl", ms + 200, best(ms + 200)))
        if k % 10 == 0:
            out.append(("hl", ms + 300, context(f"0.0000{k + 100}")))
        levels = {"s": "BTCUSDT", "T": ms, "b": [["99999.9", "1.5"]], "a": [["100000.0", "2"], ["100000.1", "0.001"]]}
        out.append(("binance", ms, {"stream": "btcusdt@depth20@100ms", "data": levels}))
        traded = {"s": "BTCUSDT", "a": 7 + k + (k > 50), "p": "100000.0", "q": "0.001", "T": ms + 1, "m": False}
        out.append(("binance", ms, {"stream": "btcusdt@aggTrade", "data": traded}))
    out.append(("hl", START_MS + 60_000, deal(START_MS + 59_500, 119)))  # repeated after a reconnect
    return out


def record(folder: Path, extra: bytes = b"") -> Path:
    venues = {"hl": {}, "binance": {"BTCUSDT": "BTC"}}
    with Folder(folder, venues, Turnover(seconds=20)) as recorder:
        for venue, ms, frame in frames():
            recorder.frame(venue, ms * MS + LAG_NS, text(frame))
        recorder.note((START_MS + 60_100) * MS, Note(kind="lost", venue="hl", feed="l2Book", reason="closed"))
        if extra:
            recorder.frame("hl", (START_MS + 60_200) * MS, extra)
    return folder


def check_hl(folder: Path) -> None:
    tape = open_tape(folder)
    rows = tape.rows
    assert tape.header.market.grid.decimals == 1 and tape.header.market.lot == "0.00001"
    plain, at = PlainBook(), 0
    for message in messages(rows):
        for row in message:
            plain.read(row)
        ms = int(message["exch_ns"][0]) // MS
        if (ms - START_MS) % 500 == 0 and int(message["kind"][0]) & KIND not in (TRADE, FUNDING):
            told = book(ms, at)["data"]["levels"]
            price = tape.header.market.grid.price
            for side, levels in ((plain.bids, told[0]), (plain.asks, told[1])):
                assert {float(price(t)): n for t, n in side.items()} == {
                    float(one["px"]): round(float(one["sz"]) * 1e5) for one in levels
                }
            at += 1
    assert at == 120
    kinds = rows["kind"] & KIND
    # the first trade comes before the first book
    assert (kinds == TRADE).sum() == 119 and (rows["lots"][kinds == TRADE] == 25_000).all()
    assert (rows["side"][kinds == TRADE] == -1).all()
    (settled,) = rows[kinds == FUNDING]
    hour_ms = START_MS // HOUR_MS * HOUR_MS + HOUR_MS
    # the last estimate before the hour, told by the first one after it, at the tick next to the oracle's price
    assert settled["exch_ns"] == hour_ms * MS and settled["lots"] == round(0.0000150 * RATE_UNIT)
    assert settled["local_ns"] == (hour_ms + 300) * MS + LAG_NS
    assert float(tape.header.market.grid.price(int(settled["tick"]))) == 100_003.0
    assert tape.header.clock.median_ns == LAG_NS


def test_a_recorders_segments(tmp_path: Path) -> None:
    record(tmp_path / "in", b'{"channel":"l2Book","data":{"coin":"BTC"}}')
    assert seeming(tmp_path / "in") == "recorder"
    report = convert(tmp_path / "in", tmp_path / "out", Terms())
    assert [made.folder.name for made in report.made] == ["binance_BTC", "hl_BTC"]
    check_hl(tmp_path / "out" / "hl_BTC")
    found = {one.reason: one for one in report.findings}
    assert (
        found["the recorder's own note"].count == 1
        and "lost l2Book closed" in found["the recorder's own note"].places[0]
    )
    assert found["cannot be read"].count == 1
    told = {one.reason: one.count for one in open_tape(tmp_path / "out" / "hl_BTC").header.findings}
    assert told["a trade that came before"] == 1
    other = open_tape(tmp_path / "out" / "binance_BTC")
    assert other.header.market.grid.tick_size == "0.1" and other.header.market.lot == "0.001"
    (skipped,) = other.header.findings
    assert (skipped.reason, skipped.count) == ("a gap in the sequence numbers", 1)
    assert other.header.kinds == {
        "depth": 3,
        "best": 119,
        "trade": 120,
    }  # nothing changes there, and it is heard each time


def test_the_lake_gives_the_same_tapes(tmp_path: Path) -> None:
    convert(record(tmp_path / "in"), tmp_path / "direct", Terms())
    compact(tmp_path / "in", tmp_path / "lake")
    Lake(tmp_path / "lake").adopt(START_MS * MS)
    assert seeming(tmp_path / "lake") == "lake"
    convert(tmp_path / "lake", tmp_path / "out", Terms())
    for direct, stored in zip(open_tapes(tmp_path / "direct"), open_tapes(tmp_path / "out"), strict=True):
        assert direct.header.market == stored.header.market
        assert np.array_equal(direct.rows, stored.rows)
    check_hl(tmp_path / "out" / "hl_BTC")
    with pytest.raises(TapeError, match="those of binance BTC, hl BTC"):
        convert(tmp_path / "lake", tmp_path / "out", Terms(coins=("ETH",)))


def archived(folder: Path, *, cut: int = 0) -> None:
    for hour in (9, 10):
        lines = [
            line((START_MS + 500 * k) * MS + LAG_NS, text(book(START_MS + 500 * k, k)))
            for k in range((hour - 9) * 60, (hour - 8) * 60)
        ]
        path = folder / "market_data" / "20241004" / str(hour) / "l2Book" / "BTC.lz4"
        path.parent.mkdir(parents=True)
        data = lz4.frame.compress(b"".join(lines))
        path.write_bytes(data[: len(data) - cut])


def test_objects_of_the_archive(tmp_path: Path) -> None:
    archived(tmp_path / "in")
    assert seeming(tmp_path / "in") == "archive"
    (made,) = convert(tmp_path / "in", tmp_path / "out", Terms()).made
    assert [source.name for source in made.header.sources] == ["BTC.lz4", "BTC.lz4"]  # hour 9 before hour 10
    plain, seen = PlainBook(), 0
    for message in messages(open_tape(made.folder).rows):
        for row in message:
            plain.read(row)
        told = book(0, seen)["data"]["levels"][0]
        price = made.header.market.grid.price
        assert {float(price(t)) for t in plain.bids} == {float(one["px"]) for one in told}
        seen += 1
    assert seen == 120
    one = tmp_path / "in" / "market_data" / "20241004" / "9" / "l2Book" / "BTC.lz4"
    (alone,) = convert(one, tmp_path / "alone", Terms()).made
    assert alone.header.last_ns < made.header.last_ns


def test_what_is_cut_off_or_none_of_ours(tmp_path: Path) -> None:
    archived(tmp_path / "cut", cut=9)
    with pytest.raises(TapeError, match=r"BTC.lz4: not a whole LZ4 object"):
        convert(tmp_path / "cut", tmp_path / "out", Terms())
    record(tmp_path / "in")
    path = sorted((tmp_path / "in" / "hl").rglob("*.jsonl.zst"))[-1]
    path.write_bytes(path.read_bytes()[:-5])
    report = convert(tmp_path / "in", tmp_path / "torn", Terms(venue="hl"))
    assert any("its last" in place for one in report.findings for place in one.places)
    with pytest.raises(TapeError, match=r"its last .* bytes.*--strict"):
        convert(tmp_path / "in", tmp_path / "strict", Terms(strict=True, venue="hl"))
    with pytest.raises(TapeError, match="no book of ETH"):
        convert(tmp_path / "in", tmp_path / "none", Terms(coins=("ETH",)))
    (tmp_path / "empty").mkdir()
    for form in ("recorder", "archive", "lake"):
        with pytest.raises(TapeError, match="no "):
            convert(tmp_path / "empty", tmp_path / "none", Terms(), form)
    assert not list((tmp_path / "none").glob("*"))
