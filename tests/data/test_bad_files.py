"""Files of bars, funding and returns as people bring them: read, mended aloud, or refused with what and where."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipstream.data.bars import BarsError, read_bars
from slipstream.data.files import read_table
from slipstream.data.lake import Lake, Query
from slipstream.data.load import FileTerms, load_file
from slipstream.data.returns import read_returns
from slipstream.data.streams import LakeError

HOUR = 3_600_000
T0 = 1_735_689_600_000  # 2025-01-01
NOW_NS = (T0 + 400 * 24 * HOUR) * 1_000_000
COUNT = 40
TERMS = FileTerms(venue="hl", stream="bars_4h")
RATES = FileTerms(venue="hl", stream="funding")


def bars() -> pd.DataFrame:
    opened = T0 + np.arange(COUNT) * 4 * HOUR
    close = 100.0 + np.arange(COUNT) % 3
    one = {"ts": opened, "open": 100.0, "high": 103.0, "low": 99.0, "close": close, "volume": 5.0}
    return pd.concat([pd.DataFrame({"coin": coin, **one}) for coin in ("A", "B")], ignore_index=True)


def cell(column: str, value: object) -> Callable[[], str]:
    def made() -> str:
        table = bars().astype(object)
        table.loc[5, column] = value
        return table.to_csv(index=False)

    return made


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[], str]:
    return lambda: "\n".join(change(bars().to_csv(index=False).splitlines())) + "\n"


def moved(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[], str]:
    return lambda: change(bars()).to_csv(index=False)


# name: the file, what `slipstream import` says, what `read_bars` (backtests, research) says; "" reads it
FILES: dict[str, tuple[Callable[[], str], str, str]] = {
    "empty": (lambda: "", "cannot be read: No columns", "cannot be read: No columns"),
    "header only": (lines(lambda rows: rows[:1]), "no rows", "no rows"),
    "semicolons": (lines(lambda rows: [row.replace(",", ";") for row in rows]), "no column for time", "no column coin"),
    "byte order mark": (lambda: "\ufeff" + bars().to_csv(index=False), "", ""),
    "column twice": (
        lines(lambda rows: [rows[0] + ",close", *(row + ",7" for row in rows[1:])]),
        "column close comes twice",
        "column close comes twice",
    ),
    "rows too long": (
        lines(lambda rows: [rows[0], *(row + ",7" for row in rows[1:])]),
        "more fields than the header",
        "more fields than the header",
    ),
    "no column": (moved(lambda t: t.drop(columns="close")), "no column for close", "no column close"),
    "renamed": (moved(lambda t: t.rename(columns={"ts": "wann"})), "no column for time", "no column ts"),
    "text": (cell("close", "abc"), "1 not a number (dropped)", "row 7: close is 'abc', not a number"),
    "thousands": (cell("close", "1,234.5"), "1 not a number (dropped)", "row 7: close is '1,234.5', not a number"),
    "nan": (cell("close", "NaN"), "1 not a number (dropped)", "close nan of A at ts 1735761600000"),
    "infinite": (cell("open", "inf"), "1 not a number (dropped)", "open inf of A"),
    "negative": (cell("close", -1.0), "1 impossible (dropped)", "close -1.0 of A"),
    "zero": (cell("open", 0.0), "1 impossible (dropped)", "open 0.0 of A"),
    "huge": (cell("close", 1e300), "1 impossible (dropped)", "close 1e+300 of A"),
    "huge volume": (cell("volume", 1e300), "1 impossible (dropped)", "volume 1e+300 of A"),
    "no coin": (cell("coin", ""), "row 7: no coin", "row 7: no coin"),
    "coin of a path": (cell("coin", "../../x"), "cannot name a folder", "cannot name a folder"),
    "unsorted": (
        moved(lambda t: t.iloc[::-1]),
        "39 unordered (sorted)",
        "the time went back 78 times within a coin: sorted",
    ),
    "duplicate": (lines(lambda rows: [*rows, rows[3]]), "1 duplicate (dropped)", "1 rows twice, the first A"),
    "conflict": (
        lines(lambda rows: [*rows, rows[3].rpartition(",")[0] + ",9"]),
        "2 conflict (dropped)",
        "1 rows twice, the first A",
    ),
    "seconds": (moved(lambda t: t.assign(ts=t.ts // 1000)), "row 2: time 1735689600 ms", "row 2: time 1735689600 ms"),
    "ns": (moved(lambda t: t.assign(ts=t.ts * 10**6)), "is it in another unit", "is it in another unit"),
    "american dates": (
        moved(lambda t: t.assign(ts=pd.to_datetime(t.ts, unit="ms").dt.strftime("%m/%d/%Y %H:%M"))),
        "row 2: '01/01/2025 00:00' is not a time",
        "row 2: '01/01/2025 00:00' is not a time",
    ),
    "Tokyo": (
        moved(lambda t: t.assign(ts=pd.to_datetime(t.ts, unit="ms", utc=True).dt.tz_convert("Asia/Tokyo"))),
        "",
        "",
    ),
    "all future": (moved(lambda t: t.assign(ts=t.ts + 8766 * HOUR * 2)), "80 of 80 rows cannot be kept", "and it is"),
    "one future": (cell("ts", 4_000_003_200_000), "1 future (dropped)", "and it is 2026-02-05"),
    "off the grid": (cell("ts", T0 + 20 * HOUR + 7), "1 off grid (dropped)", "does not open on the grid of 4 h"),
    "a gap": (lines(lambda rows: rows[:10] + rows[20:]), "10 gap (missing)", "10 bars are missing between first"),
    "delisted": (lines(lambda rows: rows[:61]), "", "1 coins end before the file does: B"),
    "a leap": (cell("close", 5e4), "1 spike (kept)", "closes are more than 5 times"),
    "never traded": (moved(lambda t: t.assign(volume=0.0)), "80 of 80 rows cannot be kept", "no bar has any volume"),
    "other length": (
        moved(lambda t: t.assign(ts=T0 + (t.ts - T0) // 4)),
        "most bars are 1h apart",
        "bars of 4 h are asked",
    ),
    "one row": (lines(lambda rows: rows[:2]), "", "at least 2 bars of 1 coin"),
    "quote": (lines(lambda rows: [*rows, '"A,1']), "cannot be read", "cannot be read"),
    "null bytes": (
        lines(lambda rows: [row.replace("103.0", "10\0\0") for row in rows]),
        "80 of 80 rows",
        "not a number",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_bars_as_people_bring_them(tmp_path: Path, name: str) -> None:
    made, imported, read = FILES[name]
    path, lake = tmp_path / "bars.csv", Lake(tmp_path / "lake")
    path.write_text(made(), encoding="utf-8")
    try:
        done = load_file(lake, path, TERMS, now_ns=NOW_NS)
        said = "\n".join(line for one in done for line in one.quality.lines())
        whole = sum(one.appended.new + one.quality.dropped for one in done)
        assert whole == sum(one.quality.rows_in for one in done)  # every row is in, or counted as dropped
    except LakeError as error:
        said = str(error)
        assert str(path) in said and "\n" not in said and not lake.coins("hl", "bars_4h")
    assert imported in said and (imported or not said)
    try:
        said = "\n".join(read_bars(path, hours=4.0, now_ms=NOW_NS // 1_000_000).notes)
    except (BarsError, ValueError) as error:
        said = str(error)
        assert "\n" not in said
    assert read in said and (read or not said)


FUNDING: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str, str]] = {
    "good": (lambda t: t, "", ""),
    "no rate": (lambda t: t.assign(rate=t.rate.where(t.index != 3)), "1 not a number (dropped)", "is not a number"),
    "percentages": (lambda t: t.assign(rate=t.rate * 1e5), "rows cannot be kept", "beyond 0.04 a settlement"),
    "twice": (lambda t: pd.concat([t, t.iloc[:1]]), "1 duplicate (dropped)", "1 settlements twice"),
    "other coins": (lambda t: t.assign(coin="Z" + t.coin), "", "no settlement of a coin of the bars"),
    "other years": (lambda t: t.assign(ts=t.ts - 365 * 24 * HOUR), "", "no settlement of a coin of the bars"),
    "mostly missing": (lambda t: t[t.ts < T0 + 60 * HOUR], "", "settlements that the bars' coins had are missing"),
    "seconds": (lambda t: t.assign(ts=t.ts // 1000), "is it in another unit", "is it in another unit"),
}


@pytest.mark.parametrize("name", FUNDING)
def test_funding_as_people_bring_it(tmp_path: Path, name: str) -> None:
    change, imported, read = FUNDING[name]
    hours = T0 + np.arange(1, 4 * COUNT + 1) * HOUR
    rates = pd.concat([pd.DataFrame({"coin": coin, "ts": hours, "rate": 1e-5}) for coin in ("A", "B")])
    change(rates.reset_index(drop=True)).to_csv(tmp_path / "funding.csv", index=False)
    bars().to_csv(tmp_path / "bars.csv", index=False)
    try:
        done = load_file(Lake(tmp_path / "lake"), tmp_path / "funding.csv", RATES, now_ns=NOW_NS)
        said = "\n".join(line for one in done for line in one.quality.lines())
    except LakeError as error:
        said = str(error)
    assert imported in said and (imported or not said)
    try:
        read_bars(tmp_path / "bars.csv", tmp_path / "funding.csv")
        said = ""
    except BarsError as error:
        said = str(error)
        assert "funding.csv" in said
    assert read in said and (read or not said)


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_binary_files_that_are_cut_empty_or_something_else(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"bars.{ending}"
    getattr(bars(), f"to_{ending}")(path)
    data = path.read_bytes()
    for broken in (b"", data[: len(data) // 2], data[:-4], gzip.compress(b"coin,ts\n"), b"coin,ts\n"):
        path.write_bytes(broken)
        with pytest.raises(LakeError, match=r"bars\.\w+: cannot be read: ."):
            read_table(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "zipped.csv").write_bytes(gzip.compress(b"coin,ts\n"))
    for name, said in (
        ("none.csv", "there is no such file"),
        ("folder.csv", "is a folder; name the file in it"),
        ("zipped.csv", "cannot be read: 'utf-8' codec"),
        ("bars.xlsx", "ending `.xlsx` is not known"),
        ("x" * 300 + ".csv", "cannot be looked at: File name too long"),
    ):
        with pytest.raises(LakeError, match=said):
            read_table(tmp_path / name)


def test_a_flipped_bit_in_the_lake_is_an_error_and_no_number(tmp_path: Path) -> None:
    bars().to_csv(tmp_path / "bars.csv", index=False)
    lake = Lake(tmp_path / "lake")
    load_file(lake, tmp_path / "bars.csv", TERMS, now_ns=NOW_NS)
    query = Query(venue="hl", stream="bars_4h", coins=("A",))
    held = lake.frame(query)
    (entry,) = lake.entries(query)
    path = lake.path / entry.path
    data = bytearray(path.read_bytes())
    wrong = []
    for place in range(8, len(data) // 2, 97):
        data[place] ^= 0x40
        path.write_bytes(bytes(data))
        try:
            if not Lake(lake.path).frame(query).equals(held):
                wrong.append(place)
        except LakeError as error:
            assert "`slipstream lake verify --mend`" in str(error)
        data[place] ^= 0x40
    assert wrong == []


RETURNS: dict[str, tuple[Callable[[pd.DataFrame], str], str]] = {
    "text": (lambda t: t.astype(object).replace({"A": {0.01: "x"}}).to_csv(), "row 2: column A holds 'x'"),
    "unnamed": (lambda t: t.assign(C=0.0).to_csv().replace(",C\n", ",\n"), "column 4 has no name"),
    "coin of a path": (lambda t: t.set_axis(["<b>", "B"], axis=1).to_csv(), "coin '<b>' cannot name a folder"),
    "prices": (lambda t: (t + 100.0).to_csv(), "a percentage or a price by mistake"),
    "seconds": (lambda t: t.set_axis(t.index // 1000).to_csv(), "is it in another unit"),
    "a stray time": (lambda t: t.set_axis([*t.index[:-1], T0 * 2]).to_csv(), "is a time wrong"),
    "future": (lambda t: t.set_axis(t.index + 9000 * HOUR * 2).to_csv(), "and it is"),
    "too long": (lambda t: t.to_csv().replace("\n", ",1\n").replace("B,1\n", "B\n"), "more fields than the header"),
}


@pytest.mark.parametrize("name", RETURNS)
def test_returns_as_people_bring_them(tmp_path: Path, name: str) -> None:
    change, said = RETURNS[name]
    table = pd.DataFrame({"A": 0.01, "B": -0.01}, index=pd.Index(T0 + np.arange(COUNT) * HOUR, name="ts"))
    (tmp_path / "returns.csv").write_text(change(table))
    now = None if name == "a stray time" else NOW_NS // 1_000_000
    with pytest.raises(BarsError) as caught:
        read_returns(tmp_path / "returns.csv", now_ms=now)
    assert said in str(caught.value) and "\n" not in str(caught.value)
