"""Raw socket lines become rows in the exchange's order; what is wrong is named by file and row.

The excerpt is of nkaz001/hftbacktest's samples, under the licence beside it.
"""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from slipstream.data.tape.binance import convert
from slipstream.data.tape.binance_lines import text_of, units
from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import HEARD_BACK, POLICIES
from slipstream.data.tape.formats import seeming
from slipstream.data.tape.reader import Tape, open_tape
from slipstream.data.tape.terms import Terms
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, KIND, MORE, TRADE

EXCERPT = Path(__file__).parent / "binance" / "btcusdt_excerpt.gz"
MS = 1_000_000
T0 = 1_723_161_256_000


def line(local_ms: int, **fields: object) -> str:
    return f"{(T0 + local_ms) * MS} " + json.dumps({"stream": "x", "data": {"s": "BTCUSDT", **fields}})


def depth(at: int, u: int, bids: list[list[str]], asks: list[list[str]], *, pu: int, heard: int = 5) -> str:
    return line(at + heard, e="depthUpdate", E=T0 + at, T=T0 + at, U=pu + 1, u=u, pu=pu, b=bids, a=asks)


def trade(at: int, px: str, qty: str, sold: bool, number: int, *, heard: int = 5, kind: str = "MARKET") -> str:
    return line(at + heard, e="trade", E=T0 + at, T=T0 + at, t=number, p=px, q=qty, m=sold, X=kind)


def ticker(at: int, u: int, bid: str, ask: str, *, heard: int = 5) -> str:
    return line(at + heard, e="bookTicker", E=T0 + at, T=T0 + at, u=u, b=bid, B="1.000", a=ask, A="2.000")


FIRST = depth(0, 10, [["100.1", "1.000"], ["100.0", "3.001"]], [["100.2", "2.000"]], pu=9)


def made(folder: Path, lines: list[str], terms: Terms | None = None) -> Tape:
    source = folder / "btcusdt.gz"
    source.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    report = convert(source, folder / "tapes", terms or Terms())
    return open_tape(report.made[0].folder)


def shown(tape: Tape) -> list[tuple[int, int, int, int, int]]:
    """(ms, kind with its MORE bit, side, tick, lots) of every row."""
    return [
        (int(row["exch_ns"]) // MS - T0, int(row["kind"]), int(row["side"]), int(row["tick"]), int(row["lots"]))
        for row in tape.rows
    ]


def found(tape: Tape) -> dict[str, int]:
    return {one.reason: one.count for one in tape.header.findings}


def test_every_stream_by_hand(tmp_path: Path) -> None:
    tape = made(tmp_path, [FIRST, ticker(1, 11, "100.1", "100.2"), trade(2, "100.2", "0.500", False, 1)])
    assert tape.header.market.grid.tick_size == "0.1" and tape.header.market.lot == "0.001"
    assert shown(tape) == [
        (0, DEPTH | MORE, 1, 1001, 1000),
        (0, DEPTH | MORE, 1, 1000, 3001),
        (0, DEPTH, -1, 1002, 2000),
        (1, BEST | MORE, 1, 1001, 1000),
        (1, BEST, -1, 1002, 2000),
        (2, TRADE, 1, 1002, 500),
    ]
    assert [int(ns) // MS - T0 for ns in tape.rows["local_ns"]] == [5, 5, 5, 6, 6, 7] and not found(tape)


def test_streams_that_overtook_each_other_are_sorted_and_hearing_never_goes_back(tmp_path: Path) -> None:
    late = depth(2, 12, [["100.0", "0.000"]], [], pu=10, heard=40)
    lines = [FIRST, ticker(3, 13, "100.1", "100.2", heard=1), trade(2, "100.1", "0.100", True, 7, heard=3), late]
    tape = made(tmp_path, lines)
    assert [(at, kind & KIND) for at, kind, *_ in shown(tape)[3:]] == [(2, TRADE), (2, DEPTH), (3, BEST), (3, BEST)]
    assert [int(ns) // MS - T0 for ns in tape.rows["local_ns"]] == [5, 5, 5, 5, 42, 42, 42]
    assert found(tape) == {POLICIES[HEARD_BACK].reason: 1}
    assert tape.header.clock.delayed == 2 and tape.header.clock.longest_delay_ns == 38 * MS


def test_a_gap_forgets_the_book_and_is_told_by_row(tmp_path: Path) -> None:
    lines = [FIRST, depth(1, 13, [["100.0", "1.000"]], [], pu=12), depth(2, 13, [["99.9", "1.000"]], [], pu=12)]
    tape = made(tmp_path, lines)
    assert shown(tape)[3:] == [
        (1, CLEAR | MORE, 1, -1, 0),
        (1, CLEAR | MORE, -1, -1, 0),
        (1, DEPTH, 1, 1000, 1000),
    ]
    assert sorted(one.count for one in tape.header.findings) == [1, 1]
    text = " ".join(place for one in tape.header.findings for place in one.places)
    assert "row 2: follows update 12, the last was 10" in text and "row 3: update 13 is not after 13" in text
    with pytest.raises(TapeError, match=r"row 2: follows update 12.*--strict"):
        made(tmp_path, lines, Terms(strict=True, replace=True))


def test_a_snapshot_is_laid_under_the_diffs_that_are_newer(tmp_path: Path) -> None:
    later = depth(1, 20, [["100.0", "7.000"], ["99.9", "0.000"]], [], pu=10)
    snapshot = f"{(T0 + 9) * MS} " + json.dumps(
        {
            "lastUpdateId": 15,
            "E": T0 + 3,
            "T": T0 + 3,
            "bids": [["100.0", "5.000"], ["99.9", "4.000"], ["99.8", "1.000"]],
            "asks": [["100.3", "6.000"]],
        }
    )
    tape = made(tmp_path, [FIRST, later, snapshot])
    # 100.1 and 100.2 were better than anything it shows; 100.0 and 99.9 are known better
    assert shown(tape)[5:] == [
        (3, DEPTH | MORE, 1, 1001, 0),
        (3, DEPTH | MORE, 1, 998, 1000),
        (3, DEPTH | MORE, -1, 1002, 0),
        (3, DEPTH, -1, 1003, 6000),
    ]


def test_bad_lines_are_named_and_left_out(tmp_path: Path) -> None:
    lines = [
        FIRST,
        "not a line",
        f'{(T0 + 6) * MS} {{"data": {{"e": "trade", "p": 1}}}}',
        trade(7, "100.25", "0.500", False, 1),
        trade(8, "100.2", "0.500", False, 2, kind="INSURANCE_FUND"),
        trade(9, "-1", "0.500", False, 3),
        ticker(10, 30, "100.3", "100.2"),
        trade(11, "100.2", "0.500", False, 9),
    ]
    source = tmp_path / "btcusdt.gz"
    source.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    report = convert(source, tmp_path / "tapes", Terms(tick_sizes={"BTCUSDT": "0.1"}))
    tape = open_tape(report.made[0].folder)
    assert tape.header.kinds == {"depth": 3, "trade": 1}
    (unreadable,) = report.findings
    assert unreadable.count == 2 and unreadable.places[0].startswith("btcusdt.gz: row 2: begins with b'not'")
    text = " ".join(place for one in tape.header.findings for place in one.places)
    for row, why in (
        (4, "'100.25' is not a multiple of 0.1"),
        (6, "'-1' is not a plain"),
        (7, "bid 100.3 is not below"),
    ):
        assert f"row {row}: " in text and why in text
    assert found(tape)["trades that met no book (INSURANCE_FUND)"] == 1


def test_a_file_that_is_cut_off_or_something_else_is_refused(tmp_path: Path) -> None:
    whole = EXCERPT.read_bytes()
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TapeError, match=r"cut\.gz: row \d+: cut off or damaged"):
        convert(tmp_path / "cut.gz", tmp_path / "t", Terms())
    (tmp_path / "other.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    with pytest.raises(TapeError, match="no depthUpdate, bookTicker or trade"):
        convert(tmp_path / "other.gz", tmp_path / "t", Terms())
    with pytest.raises(TapeError, match="nothing of ETHUSDT in it; there is"):
        convert(EXCERPT, tmp_path / "t", Terms(coins=("ETHUSDT",)))
    assert not [path for path in (tmp_path / "t").glob("*") if not path.name.startswith(".")]


def test_the_excerpt_is_never_crossed_at_its_best_prices(tmp_path: Path) -> None:
    assert seeming(EXCERPT) == "binance"
    report = convert(EXCERPT, tmp_path, Terms(clock="1300ms"))
    (one,) = report.made
    rows = open_tape(one.folder).rows
    assert one.header.market.name == "binance_BTCUSDT" and one.header.clock.raised == 0
    assert one.header.kinds["trade"] > 10 and one.header.kinds["best"] > 100
    books: dict[int, dict[int, int]] = {1: {}, -1: {}}
    checked = 0
    for row in rows:
        kind, side, tick, lots = (int(row[name]) for name in ("kind", "side", "tick", "lots"))
        book = books.get(side, {})
        if kind & KIND == DEPTH:
            book[tick] = lots
        elif kind & KIND == BEST:
            for level in [level for level in book if side * level > side * tick]:
                del book[level]
            book[tick] = lots
        if kind & KIND != TRADE and not kind & MORE:
            best = [max((s * t for t, n in books[s].items() if n), default=None) for s in (1, -1)]
            if best[0] is not None and best[1] is not None:
                assert best[0] < -best[1], row
                checked += 1
    assert checked > 200
    assert (np.diff(rows["exch_ns"]) >= 0).all() and (np.diff(rows["local_ns"]) >= 0).all()


@pytest.mark.parametrize(
    ("text", "value"), [("1.50", 1_500_000_000_000), ("0", 0), ("61800.20", 61_800_200_000_000_000)]
)
def test_decimals_are_exact(text: str, value: int) -> None:
    assert units(text) == value
    assert units(text_of(value)) == value


@pytest.mark.parametrize("text", ["", "1e5", "-1", "nan", ".5", "1.0000000000001", "1,5", "١"])
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"decimal"):
        units(text)
