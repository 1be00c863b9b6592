from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipstream.data.bars import read_bars
from slipstream.data.context_bars import VENUE, bars_of, draw_bars
from slipstream.data.lake import Lake, Query
from slipstream.data.streams import HOUR, MINUTE, LakeError, stream_of

T0 = 1_735_689_600_000_000_000  # 2025-01-01
CONTEXTS = stream_of("minute_contexts")


def contexts(minutes: int, late_ns: int = 0) -> pd.DataFrame:
    rows = pd.DataFrame({"time_ns": T0 + late_ns + MINUTE * np.arange(minutes, dtype=np.int64)})
    rows = rows.assign(**dict.fromkeys(CONTEXTS.numbers, 1.0)).assign(day_ntl_vlm=2_400.0, funding=1e-5)
    return rows.assign(mid_px=100.0 + np.arange(minutes), mark_px=50.0)


def test_bars_of_samples() -> None:
    bars = bars_of(contexts(181), "1h")
    assert bars["open_ns"].tolist() == [T0, T0 + HOUR, T0 + 2 * HOUR]
    # the sample on the hour closes one bar and opens the next
    assert bars.loc[1, ["open", "high", "low", "close"]].tolist() == [160.0, 220.0, 160.0, 220.0]
    assert (bars["close_ns"] - bars["open_ns"]).eq(HOUR).all()
    assert bars["volume"].tolist() == [100.0 / 160.0, 100.0 / 220.0, 100.0 / 280.0]
    assert len(bars_of(contexts(181), "4h")) == 1
    late = bars_of(contexts(120, 5_000_000_000), "1h")
    assert late["open"].tolist() == [100.0, 160.0] and late["close"].tolist() == [159.0, 219.0]


def test_no_bar_knows_what_came_after_its_close() -> None:
    whole = bars_of(contexts(300), "1h")
    for minutes in (120, 150, 181, 240):
        part = bars_of(contexts(minutes), "1h")
        closed = part[part["close_ns"] <= T0 + (minutes - 1) * MINUTE]
        pd.testing.assert_frame_equal(closed, whole.iloc[: len(closed)])


def test_a_bar_of_few_samples_stays_missing() -> None:
    rows = contexts(240).drop(index=range(61, 110))
    assert bars_of(rows, "1h")["open_ns"].tolist() == [T0, T0 + 2 * HOUR, T0 + 3 * HOUR]
    rows = contexts(60).assign(mid_px=np.nan)
    assert bars_of(rows, "1h")["close"].tolist() == [50.0]
    assert bars_of(contexts(0), "1h").empty


def test_drawn_bars_are_a_venue_of_their_own(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(LakeError, match="no minute_contexts of BTC"):
        draw_bars(lake, "BTC", "1h", now_ns=T0)
    lake.append("hl", CONTEXTS, "BTC", contexts(1_470), now_ns=T0)
    done = draw_bars(lake, "BTC", "1h", now_ns=T0 + 100 * HOUR)
    assert done.appended.new == 24 and not done.quality.findings
    assert draw_bars(lake, "BTC", "1h", now_ns=T0 + 101 * HOUR).appended.same == 24
    assert lake.coins("hl", "bars_1h") == () and len(lake.frame(Query(venue=VENUE, stream="bars_1h"))) == 24
    bars = read_bars(tmp_path / f"venue={VENUE}", hours=1.0)
    assert bars.close.shape == (24, 1) and bars.volume_usd[5, 0] == pytest.approx(100.0, rel=0.2)
    with pytest.raises(LakeError, match="draw bars of 5m or longer"):
        draw_bars(lake, "BTC", "1m", now_ns=T0)
