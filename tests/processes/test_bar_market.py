"""A market that is kept for the next request is read anew once its files, or its lake, have changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from slipstream.data.lake import Lake
from slipstream.data.streams import HOUR, bars_stream
from slipstream.processes.bar_market import stamp_of

BEGIN = 1_735_689_600_000_000_000


def rows(first: int, count: int) -> pd.DataFrame:
    opened = BEGIN + np.arange(first, first + count, dtype=np.int64) * HOUR
    prices = dict.fromkeys(("open", "high", "low", "close", "volume", "trades"), 2.0)
    return pd.DataFrame({"open_ns": opened, "close_ns": opened + HOUR, **prices})


def test_rows_that_come_into_a_lake_change_its_stamp_and_nothing_else_does(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    lake, stream = Lake(folder), bars_stream("1h")
    lake.append("hl", stream, "BTC", rows(0, 3), now_ns=BEGIN)
    before = stamp_of(folder)
    assert before == stamp_of(folder) == stamp_of(folder / "venue=hl") and before is not None
    lake.append("hl", stream, "BTC", rows(0, 3), now_ns=BEGIN)  # there already
    assert stamp_of(folder) == before
    lake.append("hl", stream, "BTC", rows(3, 1), now_ns=BEGIN)
    assert stamp_of(folder) != before and stamp_of(folder) == stamp_of(folder / "venue=hl")


def test_a_file_and_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    assert stamp_of(path) is None and stamp_of(None) is None
    path.write_text("coin\n")
    before = stamp_of(path)
    path.write_text("coin,ts\n")
    assert before is not None and stamp_of(path) != before
    (tmp_path / "empty").mkdir()
    assert stamp_of(tmp_path / "empty") is not None
