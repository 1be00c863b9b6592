"""A wide CSV of returns: what becomes of it, and what is said where it is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slipstream.data.bars import BarsError
from slipstream.data.returns import read_returns

HOUR = 3_600_000
GOOD = "time,BTC,ETH\n2024-01-01T04:00Z,0.01,\n2024-01-01T08:00Z,-0.02,0.5\n2024-01-01T12:00Z,0.0,-0.5\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "returns.csv"
    path.write_text(text)
    return path


def test_returns_become_an_index(tmp_path: Path) -> None:
    bars = read_returns(write(tmp_path, GOOD))
    assert bars.coins == ("BTC", "ETH") and bars.hours == 4.0 and bars.funding is None
    assert bars.opened[0] == 1_704_067_200_000  # the stamp is the end of the period
    np.testing.assert_allclose(bars.close[:, 0], [101.0, 98.98, 98.98])
    np.testing.assert_allclose(bars.close[1:, 1] / bars.open[1:, 1] - 1.0, [0.5, -0.5])
    assert np.isnan(bars.close[0, 1]) and np.isnan(bars.volume_usd[0, 1])
    assert "index" in bars.notes[0]


def test_milliseconds_funding_and_missing_rows(tmp_path: Path) -> None:
    rows = "\n".join(f"{1_704_067_200_000 + k * HOUR},0.01,0.02" for k in (0, 1, 2, 4, 5))
    funding = tmp_path / "funding.csv"
    funding.write_text("coin,ts,rate\n" + "\n".join(f"BTC,{1_704_067_200_000 + k * HOUR},0.001" for k in range(6)))
    bars = read_returns(write(tmp_path, f"ts,BTC,ETH\n{rows}\n"), funding)
    assert len(bars.opened) == 6 and np.isnan(bars.close[3]).all()
    assert any("1 rows are missing" in note for note in bars.notes)
    assert bars.funding is not None and bars.funding_gaps is not None
    np.testing.assert_allclose(bars.funding[:, 0], 0.001)
    assert bars.funding_gaps[:, 1].sum() == 6


def test_rows_out_of_order_are_sorted_and_said(tmp_path: Path) -> None:
    lines = GOOD.splitlines()
    bars = read_returns(write(tmp_path, "\n".join([lines[0], lines[3], lines[1], lines[2]])))
    assert (bars.close[:, 0] == read_returns(write(tmp_path, GOOD)).close[:, 0]).all()
    assert any("sorted" in note for note in bars.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,BTC\n2024-01-01,0.1\n", "at least 2 rows"),
        ("2024-01-01\n2024-01-02\n2024-01-03\n", "a column of returns for each coin"),
        ("time,BTC\nsoon,0.1\nlater,0.1\n", "row 2: 'soon' is not a time; write .*column time, the first"),
        ("time,BTC\n2024-01-01,x\n2024-01-02,0.1\n", "row 2: column BTC holds 'x', not a number"),
        ("time,BTC\n2024-01-01,-1.0\n2024-01-02,0.1\n", "BTC at .* returns -1"),
        ("time,BTC\n2024-01-01,100.5\n2024-01-02,0.1\n", "percentage or a price by mistake"),
        ("time,BTC\n2024-01-01,0.1\n2024-01-01,0.1\n2024-01-02,0.1\n", "come twice"),
        ("time,BTC,BTC\n2024-01-01,0.1,0.1\n2024-01-02,0.1,0.2\n", "column BTC comes twice"),
        ("time,BTC,ETH\n2024-01-01,0.1,\n2024-01-02,0.1,\n", "column ETH is empty"),
        (
            "time,BTC\n2024-01-01,0.1\n2024-01-02,0.1\n2024-01-03,0.1\n2024-01-03T07:00,0.1\n",
            "row 5 is not on the grid",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BarsError, match=said):
        read_returns(write(tmp_path, text))


def test_unknown_coins_and_files(tmp_path: Path) -> None:
    with pytest.raises(BarsError, match="no column of SOL; it has BTC, ETH"):
        read_returns(write(tmp_path, GOOD), coins=("SOL",))
    with pytest.raises(BarsError, match="there is no such file"):
        read_returns(tmp_path / "nothing.csv")
