from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.data.bars import BarsError, read_bars
from slipstream.data.history import CandleRow, FundingRow, bar_pages, bar_span, candle_rows, funding_rows, funding_span
from slipstream.data.lake import Lake, Query
from slipstream.data.load import FileTerms, coin_of, load_file, panel_files
from slipstream.data.streams import DAY, HOUR, MINUTE, MS, LakeError
from slipstream.data.tables import rows_of

T0 = 1_735_689_600_000_000_000  # 2025-01-01
PANEL = Path(__file__).resolve().parents[2] / "../shared/data/hyperliquid_panel"
CSV = "ts,coin,open,high,low,close,volume\n1735689600000,BTC,1,2,0.5,1.5,10\n1735693200000,BTC,1.5,2,1,1.2,11\n"


def put(folder: Path, text: str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_csv_feather_and_parquet_say_the_same(tmp_path: Path) -> None:
    path = put(tmp_path, CSV)
    stream, ((coin, rows),) = rows_of(path, "bars_1h")
    assert (stream.name, coin) == ("bars_1h", "BTC")
    assert rows["open_ns"].tolist() == [T0, T0 + HOUR] and rows["close_ns"].tolist() == [T0 + HOUR, T0 + 2 * HOUR]
    assert rows["volume"].tolist() == [10.0, 11.0] and rows["trades"].isna().all()
    frame = pd.read_csv(path)
    frame.to_feather(tmp_path / "bars.feather")
    frame.to_parquet(tmp_path / "bars.parquet")
    for name in ("bars.feather", "bars.parquet"):
        pd.testing.assert_frame_equal(rows_of(tmp_path / name, "bars_1h")[1][0][1], rows)


@pytest.mark.parametrize(
    ("column", "values", "unit"),
    [
        ("Date", ["2025-01-01 00:00:00+00:00", "2025-01-01 01:00:00+00:00"], "ms"),
        ("open_time", [1735689600, 1735693200], "s"),
        ("timestamp", ["2025-01-01T00:00:00Z", "2025-01-01T02:00:00+01:00"], "ms"),
        ("t", [1735689600000000, 1735693200000000], "us"),
        ("time", pd.to_datetime(["2025-01-01 00:00", "2025-01-01 01:00"]), "ms"),
    ],
)
def test_times_by_any_name_and_unit(tmp_path: Path, column: str, values: Any, unit: Any) -> None:
    frame = pd.read_csv(put(tmp_path, CSV)).drop(columns=["ts", "coin"])
    frame[column] = values
    frame.to_parquet(tmp_path / "x.parquet")
    ((coin, rows),) = rows_of(tmp_path / "x.parquet", "bars_1h", coin="ETH", unit=unit)[1]
    assert coin == "ETH" and rows["open_ns"].tolist() == [T0, T0 + HOUR]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot be read: No columns"),
        ("ts,coin\n", "no rows"),
        ("ts,open,high,low,close,volume\n1735689600000,1,1,1,1,1\n", "no column coin; name the coin"),
        ("coin,open,high,low,close,volume\nA,1,1,1,1,1\n", r"no column for time \(ts or time or"),
        ("ts,coin,open,high,low,close\n1,A,1,1,1,1\n", r"no column for volume \(volume or vol or v\); it has ts, coin"),
        (
            CSV.replace("1735693200000", "1735693200"),
            "row 3: time 1735693200 ms is not between 2009 and 2100; is it in",
        ),
        (CSV.replace("1735693200000", "1735693200000.5"), "row 3: time 1735693200000.5 is not a whole number of ms"),
        (CSV.replace("1735693200000", ""), "row 3: time nan is not a whole number"),
        (CSV.replace("1735693200000", "tomorrow"), "row 3: time tomorrow is not a whole number of ms"),
        (
            CSV.replace("1735689600000", "2025-01-01").replace("1735693200000", "soon"),
            "row 3: 'soon' is not a time; write",
        ),
        ("ts,TS,coin\n1,2,A\n", "two columns differ only by case"),
        ('ts,coin,"open\n1,2', "cannot be read"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(LakeError, match=problem) as caught:
        rows_of(put(tmp_path, text), "bars_1h")
    assert "bars.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_other_bad_input(tmp_path: Path) -> None:
    for path, stream, problem in (
        (tmp_path / "none.csv", "bars_1h", "there is no such file"),
        (put(tmp_path, "", "x.xlsx"), "bars_1h", "ending `.xlsx` is not known"),
        (put(tmp_path, "no", "x.parquet"), "bars_1h", "cannot be read"),
        (put(tmp_path, "no", "x.feather"), "funding", "cannot be read"),
        (put(tmp_path, CSV), "books", "only funding and bars come from files"),
    ):
        with pytest.raises(LakeError, match=problem):
            rows_of(path, stream)
    assert coin_of(Path("a/BTC_USDT-1h.csv"), "{coin}_USDT-1h.csv") == "BTC"
    for pattern in ("BTC.csv", "{coin}{coin}", "{coin}.feather", "x{coin}BTC.csv"):
        with pytest.raises(LakeError):
            coin_of(Path("BTC.csv"), pattern)


def test_cells_that_are_no_numbers_are_dropped_and_told(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    path = put(tmp_path, CSV.replace("1.2,11", "n/a,11"))
    terms = FileTerms(venue="hl", stream="bars_1h")
    (done,) = load_file(lake, path, terms, now_ns=T0 + DAY)
    assert done.appended.new == 1 and done.quality.findings[0].detail == "close"
    with pytest.raises(LakeError, match="1 rows would be dropped: hl bars_1h BTC: 1 not a number"):
        strict = FileTerms(venue="hl", stream="bars_1h", strict=True)
        load_file(Lake(tmp_path / "other"), path, strict, now_ns=T0 + DAY)
    assert not (tmp_path / "other").exists()


def test_a_lake_is_read_as_a_file_is(tmp_path: Path) -> None:
    opened = np.arange(0, 60, dtype=np.int64) * 3_600_000 + T0 // MS
    bars = pd.DataFrame({"coin": "A", "ts": opened, "open": 5.0, "high": 6.0, "low": 4.0, "close": 5.5, "volume": 2.0})
    bars = pd.concat([bars, bars.iloc[30:].assign(coin="B")], ignore_index=True)
    rates = pd.DataFrame({"coin": "A", "ts": opened + 3_600_017, "rate": np.arange(60) * 1e-6})
    for name, frame in (("bars", bars), ("funding", rates)):
        frame.to_parquet(tmp_path / f"{name}.parquet")
    lake = tmp_path / "lake"
    with pytest.raises(BarsError, match="no such file"):
        read_bars(lake)
    load_file(Lake(lake), tmp_path / "bars.parquet", FileTerms(venue="hl", stream="bars_1h"), now_ns=T0 + 9 * DAY)
    load_file(Lake(lake), tmp_path / "funding.parquet", FileTerms(venue="hl", stream="funding"), now_ns=T0 + 9 * DAY)
    ours = read_bars(lake, lake)
    theirs = read_bars(tmp_path / "bars.parquet", tmp_path / "funding.parquet")
    for name in ("opened", "open", "high", "close", "volume_usd", "funding", "funding_gaps"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    for source in ((lake, lake), (tmp_path / "bars.parquet", tmp_path / "funding.parquet")):
        then = read_bars(*source, as_of_ms=T0 // MS + 20 * 3_600_000)
        assert then.coins == ("A",) and len(then.opened) == 20
    assert read_bars(lake, coins=("B",)).coins == ("B",)
    with pytest.raises(BarsError, match="no settlement of a coin of the bars"):
        read_bars(lake, lake, coins=("B",))
    with pytest.raises(BarsError, match="no bars of Z"):
        read_bars(lake, coins=("B", "Z"))
    with pytest.raises(BarsError, match="no bars of 4 h of hl; it has bars_1h"):
        read_bars(lake, hours=4.0)


def test_the_venues_rows() -> None:
    rows = [CandleRow(t=T0 // MS, o="1", h="2", l="0.5", c="1.5", v="7", n=3), CandleRow(0, "x", "", "1", "1", "1")]
    frame = candle_rows(rows, "15m")
    assert frame.loc[0].tolist() == [T0, T0 + 15 * MINUTE, 1.0, 2.0, 0.5, 1.5, 7.0, 3.0]
    assert frame.loc[1, ["open", "high"]].isna().all()
    found = funding_rows([FundingRow(T0 // MS + 12, "0.0000125", "-0.001"), FundingRow(T0 // MS - 1, "x")])
    assert found["settle_ns"].tolist() == [T0, T0] and found["known_ns"].tolist() == [T0 + 12 * MS, T0]
    assert found["rate"].tolist()[0] == 1.25e-5 and found["rate"].isna()[1] and found["premium"].isna()[1]
    assert candle_rows([], "1h").empty and funding_rows([]).empty


def test_spans_and_pages() -> None:
    now = T0 + 17 * MINUTE
    start, end = bar_span(now, 2, "1h")
    assert (start, end) == (T0 - 48 * HOUR, T0)
    assert funding_span(now, 2) == (T0 - 48 * HOUR + HOUR // 2, T0 + HOUR // 2)
    assert funding_span(T0 + 30_000_000_000, 1)[1] == T0 - HOUR // 2  # the hour's own is perhaps not told yet
    pages = bar_pages([(T0 - 9 * HOUR, T0 - 3 * HOUR)], (start, end), "1h")
    assert pages == [(start, T0 - 9 * HOUR), (T0 - 3 * HOUR, T0)]
    assert len(bar_pages([], (T0 - 9_000 * HOUR, T0), "1h")) == 3


@settings(max_examples=120, deadline=None)
@given(st.text(alphabet='ts,coinopenhighlwclosevum1735689600000.-ABnaT:Z"\n', max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "x.csv"
    for head in ("", "ts,coin,open,high,low,close,volume\n"):
        path.write_text(head + text)
        try:
            _, groups = rows_of(path, "bars_1h")
        except LakeError:
            continue
        assert all(str(rows["open_ns"].dtype) == "int64" for _, rows in groups)


def test_the_panel_of_real_bars(tmp_path: Path) -> None:
    if not PANEL.is_dir():
        pytest.skip("the panel of real data is not beside this checkout (../shared/data/hyperliquid_panel)")
    files = {stream: path for path, stream in panel_files(PANEL)}
    assert set(files) == {"bars_1h", "bars_4h", "funding"}
    _, groups = rows_of(files["bars_1h"], "bars_1h")
    some = dict(groups)
    celo = some["CELO"]
    frame = celo.assign(coin="CELO", ts=celo["open_ns"] // MS)
    frame.to_parquet(tmp_path / "celo.parquet")
    lake = Lake(tmp_path / "lake")
    (done,) = load_file(lake, tmp_path / "celo.parquet", FileTerms(venue="hl", stream="bars_1h"), now_ns=T0 + 400 * DAY)
    # the source drew about a thousand bars before the coin was listed
    assert done.quality.findings[0].kind == "back-fill" and 900 < done.quality.dropped < 1_100
    kept = lake.frame(Query(venue="hl", stream="bars_1h"))
    assert len(kept) == len(celo) - done.quality.dropped and kept["volume"].iloc[0] > 0.0
