"""Bars from files: what is refused, what is dropped, what is joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipstream.core.signals.bars import HOUR_MS
from slipstream.data.bars import HOURLY_SINCE_MS, BarsError, read_bars

START = HOURLY_SINCE_MS + 16 * HOUR_MS
START -= START % (4 * HOUR_MS)


def frame(coin: str, n: int, *, first: int = 0, price: float = 10.0) -> pd.DataFrame:
    ts = START + (first + np.arange(n)) * 4 * HOUR_MS
    return pd.DataFrame({"coin": coin, "ts": ts, "open": price, "close": price + 1, "volume": 100.0})


def rates(coin: str, hours: int) -> pd.DataFrame:
    ts = START + np.arange(hours) * HOUR_MS + 105  # the venue's stamps are late by milliseconds
    return pd.DataFrame({"coin": coin, "ts": ts, "rate": np.arange(hours) / 1024})


def put(tmp_path: Path, table: pd.DataFrame, name: str = "bars.parquet") -> Path:
    path = tmp_path / name
    {".parquet": table.to_parquet, ".csv": lambda p: table.to_csv(p, index=False), ".feather": table.to_feather}[
        path.suffix
    ](path)
    return path


@pytest.mark.parametrize("name", ["bars.parquet", "bars.csv", "bars.feather"])
def test_reads_every_format_onto_one_grid(tmp_path: Path, name: str) -> None:
    table = pd.concat([frame("B", 5), frame("A", 3, first=1)], ignore_index=True).sample(frac=1, random_state=1)
    bars = read_bars(put(tmp_path, table.reset_index(drop=True), name))
    assert (bars.coins, bars.hours, bars.close.shape) == (("A", "B"), 4.0, (5, 2))
    assert np.isfinite(bars.close[:, 0]).tolist() == [False, True, True, True, False]
    assert bars.volume_usd[1, 0] == 1050.0
    assert any("A" in note and "end" in note for note in bars.notes)


def test_funding_falls_into_the_bar_that_ends_with_it(tmp_path: Path) -> None:
    table = rates("A", 10).drop(index=6)
    bars = read_bars(put(tmp_path, frame("A", 3)), put(tmp_path, table, "f.parquet"))
    # settlement 0 is at the first bar's open: before it; 1..4 are in bar 0, 5..8 (6 is missing) in bar 1
    assert bars.funding is not None and bars.funding_gaps is not None
    assert (bars.funding[:, 0] * 1024).tolist() == [10.0, 20.0, 9.0]
    assert bars.funding_gaps[:, 0].tolist() == [0, 1, 3]


def test_back_filled_bars_before_the_listing_are_dropped(tmp_path: Path) -> None:
    table = frame("A", 6)
    table.loc[:2, "volume"] = 0.0
    table.loc[4, "volume"] = 0.0  # a quiet bar later on stays
    bars = read_bars(put(tmp_path, table))
    assert len(bars.opened) == 3
    assert bars.notes[0] == "dropped 3 bars before the first trade of 1 coins"


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [("close", 0.0, "not a positive price"), ("open", np.nan, "not a positive price"), ("volume", -1.0, "volume -1.0")],
)
def test_bad_values_name_the_row(tmp_path: Path, column: str, value: float, says: str) -> None:
    table = frame("A", 4)
    table.loc[2, column] = value
    with pytest.raises(BarsError, match=says) as caught:
        read_bars(put(tmp_path, table))
    assert str(table["ts"][2]) in str(caught.value)


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    table = frame("A", 4)
    with pytest.raises(BarsError, match="1 rows twice"):
        read_bars(put(tmp_path, pd.concat([table, table[:1]], ignore_index=True)))
    with pytest.raises(BarsError, match="no column volume"):
        read_bars(put(tmp_path, table.drop(columns="volume")))
    with pytest.raises(BarsError, match="no such file"):
        read_bars(tmp_path / "none.csv")
    with pytest.raises(BarsError, match="ending"):
        read_bars(tmp_path / "bars.xlsx")
    with pytest.raises(BarsError, match="no bars of Z"):
        read_bars(put(tmp_path, table), coins=("Z",))
    table.loc[1, "ts"] += 7
    with pytest.raises(BarsError, match="grid"):
        read_bars(put(tmp_path, table))


def test_high_and_low_come_along_and_hold_the_bar(tmp_path: Path) -> None:
    assert read_bars(put(tmp_path, frame("A", 4))).high is None
    table = frame("A", 4).assign(high=12.0, low=9.5)
    bars = read_bars(put(tmp_path, table))
    assert bars.high is not None
    assert bars.low is not None
    assert (bars.high[0, 0], bars.low[3, 0]) == (12.0, 9.5)
    for column, value in (("high", 10.5), ("low", 10.5), ("low", 0.0), ("high", np.nan)):
        mended = read_bars(put(tmp_path, table.assign(**{column: [value, *table[column][1:]]})))
        assert mended.high is not None
        assert mended.low is not None
        assert (mended.high[0, 0], mended.low[0, 0]) == (11.0, 10.0)
        assert "did not hold open and close" in mended.notes[0]


def test_a_part_of_the_bars(tmp_path: Path) -> None:
    whole = read_bars(put(tmp_path, pd.concat([frame("A", 6), frame("B", 6, price=20.0)], ignore_index=True)))
    part = whole.of(("B",)).between(2, 5)
    assert (part.coins, part.close.shape, part.close[0, 0]) == (("B",), (3, 1), 21.0)
    assert part.opened.tolist() == whole.opened[2:5].tolist()
    with pytest.raises(ValueError, match="no bars of C"):
        whole.of(("A", "C"))
