"""Bars drawn from the archive's minute contexts, for times that the venue's candles no longer reach.

They are not candles: prices are mid prices sampled once a minute (the mark where a book had one side only), so highs
and lows are those of the samples; volume is a 24th of the rolling day's notional for each hour, at the bar's close.
They stand under a venue of their own (`VENUE`), so that nobody takes them for what was traded.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from slipstream.data.lake import Lake, Query
from slipstream.data.load import Loaded, load_rows
from slipstream.data.streams import CONTEXTS, HOUR, INTERVALS, MINUTE, LakeError, bars_stream

VENUE = "hl_mid"
SHARE = 0.5  # of a bar's minutes must be there: a bar of fewer stays missing


def bars_of(contexts: Any, interval: str) -> Any:
    """Bars of one coin's minute contexts (in the order of time), as rows of ``bars_<interval>``.

    A sample on the very end of a bar is its close, and the open of the next.
    """
    import pandas as pd

    step = INTERVALS[interval]
    times = contexts["time_ns"].to_numpy(dtype=np.int64)
    price = np.where(np.isfinite(contexts["mid_px"]), contexts["mid_px"], contexts["mark_px"]).astype(np.float64)
    usable = np.isfinite(price) & (price > 0.0)
    times, price = times[usable], price[usable]
    day = np.nan_to_num(contexts["day_ntl_vlm"].to_numpy(dtype=np.float64)[usable])
    edge = times % step == 0
    frame = pd.DataFrame(
        {
            "open_ns": np.concatenate([times // step * step, times[edge] - step]),
            "time": np.concatenate([times, times[edge]]),
            "price": np.concatenate([price, price[edge]]),
            "day": np.concatenate([day, day[edge]]),
        }
    ).sort_values("time", kind="stable")
    groups = frame.groupby("open_ns", sort=True)
    bars = groups["price"].agg(open="first", high="max", low="min", close="last", samples="size")
    bars["volume"] = groups["day"].last() / 24.0 * (step / HOUR) / bars["close"]
    bars = bars[bars["samples"] >= SHARE * step / MINUTE].reset_index()
    bars["close_ns"] = bars["open_ns"] + step
    bars["trades"] = np.nan
    return bars[list(bars_stream(interval).columns)]


def draw_bars(lake: Lake, coin: str, interval: str, *, now_ns: int) -> Loaded:
    """Bars of a coin's contexts, brought into the lake. Raises LakeError: no contexts of it, bars under 5 min."""
    if INTERVALS[bars_stream(interval).name.removeprefix("bars_")] < 5 * MINUTE:
        raise LakeError(f"interval {interval}: contexts come once a minute; draw bars of 5m or longer")
    columns = ("time_ns", "mid_px", "mark_px", "day_ntl_vlm")
    contexts = lake.frame(Query(venue="hl", stream=CONTEXTS, coins=(coin,), columns=columns))
    if contexts.empty:
        raise LakeError(f"{lake.path}: no {CONTEXTS} of {coin}; fetch_s3_historical.py brings them")
    rows = bars_of(contexts, interval)
    last = int(contexts["time_ns"].iloc[-1])
    rows = rows[rows["close_ns"] <= last + MINUTE]
    return load_rows(lake, VENUE, bars_stream(interval), coin, rows, now_ns=now_ns, source=CONTEXTS)
