from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.data.quality import Quality, examine
from slipstream.data.streams import HOUR, MINUTE, bars_stream, stream_of

T0 = 1_735_689_600_000_000_000  # 2025-01-01
BARS, FUNDING, CONTEXTS = bars_stream("1h"), stream_of("funding"), stream_of("minute_contexts")
LATER = T0 + 10_000 * HOUR


def bars(count: int) -> pd.DataFrame:
    opened = T0 + HOUR * np.arange(count, dtype=np.int64)
    close = 100.0 * np.exp(0.001 * np.sin(np.arange(count)))
    frame = pd.DataFrame({"open_ns": opened, "close_ns": opened + HOUR, "open": close, "close": close})
    return frame.assign(high=close * 1.01, low=close * 0.99, volume=2.0, trades=np.nan)


def funding(count: int) -> pd.DataFrame:
    settled = T0 + HOUR * np.arange(count, dtype=np.int64)
    return pd.DataFrame({"settle_ns": settled, "known_ns": settled + 12_000_000, "rate": 1e-5, "premium": np.nan})


def check(rows: pd.DataFrame, stream: Any = BARS, **more: Any) -> tuple[pd.DataFrame, Quality]:
    kept, quality = examine(rows, stream, "hl", "BTC", now_ns=more.pop("now_ns", LATER), **more)
    assert (quality.rows_in, quality.rows_out, quality.dropped) == (len(rows), len(kept), len(rows) - len(kept))
    told = sum(one.rows for one in quality.findings if one.action == "dropped")
    assert told == quality.dropped  # nothing is dropped in silence
    return kept, quality


def kinds(quality: Quality) -> list[tuple[str, str, int]]:
    return [(one.kind, one.action, one.rows) for one in quality.findings]


def at(rows: pd.DataFrame, place: int, **values: Any) -> pd.DataFrame:
    rows = rows.copy()
    for name, value in values.items():
        rows.loc[place, name] = value
    return rows


def test_good_rows_pass_untouched() -> None:
    for rows, stream in ((bars(50), BARS), (funding(50), FUNDING)):
        kept, quality = check(rows, stream)
        assert not quality.findings
        pd.testing.assert_frame_equal(kept[list(rows)], rows)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"close": np.nan}, ("not a number", "dropped", 1)),
        ({"volume": np.inf}, ("not a number", "dropped", 1)),
        ({"low": 0.0}, ("impossible", "dropped", 1)),
        ({"volume": -1.0}, ("impossible", "dropped", 1)),
        ({"close_ns": T0}, ("impossible", "dropped", 1)),
        ({"open_ns": T0 + 7 * HOUR + 1, "close_ns": T0 + 8 * HOUR + 1}, ("off grid", "dropped", 1)),
        ({"volume": 0.0}, ("zero volume", "kept", 1)),
        ({"high": 50.0}, ("range", "kept", 1)),
        ({"close": 160.0, "high": 161.0}, ("spike", "kept", 1)),
    ],
)
def test_one_bad_bar(values: dict[str, Any], expected: tuple[str, str, int]) -> None:
    _, quality = check(at(bars(50), 7, **values))
    gap = [] if expected[1] == "kept" else [("gap", "missing", 1)]
    assert kinds(quality) == [expected, *gap]
    assert quality.findings[0].first_ns // HOUR == T0 // HOUR + 7
    assert quality.lines()[0].startswith("hl bars_1h BTC: 1 ") and "2025-01-01 07:00:00" in quality.lines()[0]


def test_order_duplicates_and_contradictions() -> None:
    rows = pd.concat([bars(10), bars(3)], ignore_index=True)
    kept, quality = check(rows)
    assert kinds(quality) == [("unordered", "sorted", 1), ("duplicate", "dropped", 3)] and len(kept) == 10
    rows = pd.concat([bars(10), at(bars(10), 4, close=7.0).iloc[4:5]], ignore_index=True)
    kept, quality = check(rows)
    assert kinds(quality)[1:] == [("conflict", "dropped", 2), ("gap", "missing", 1)]
    assert T0 + 4 * HOUR not in set(kept["open_ns"])


def test_back_fill_is_dropped_and_a_quiet_market_is_not() -> None:
    rows = bars(20)
    rows.loc[:4, "volume"] = 0.0
    rows.loc[9, "volume"] = 0.0
    kept, quality = check(rows)
    assert kinds(quality) == [("back-fill", "dropped", 5), ("zero volume", "kept", 1)] and len(kept) == 15
    kept, quality = check(rows, begun=True)
    assert kinds(quality) == [("zero volume", "kept", 6)] and len(kept) == 20
    rows["volume"] = 0.0
    assert check(rows)[0].empty


def test_gaps_and_the_future() -> None:
    rows = bars(40).drop(index=[5, 6, 7, 20]).reset_index(drop=True)
    _, quality = check(rows)
    (gap,) = quality.findings
    assert (gap.kind, gap.rows) == ("gap", 4) and "2 holes, the longest of 3 from 2025-01-01 05:00:00" in gap.detail
    assert (gap.first_ns, gap.last_ns) == (T0 + 5 * HOUR, T0 + 20 * HOUR)
    kept, quality = check(bars(40), now_ns=T0 + 30 * HOUR)
    assert kinds(quality) == [("future", "dropped", 10)] and kept["close_ns"].max() == T0 + 30 * HOUR


def test_spikes_are_dropped_only_when_told_and_crashes_never() -> None:
    spike = at(bars(50), 7, close=160.0, high=161.0)
    assert kinds(check(spike, drop_spikes=True)[1]) == [("spike", "dropped", 1), ("gap", "missing", 1)]
    crash = bars(50)
    crash.loc[20:, ["open", "high", "low", "close"]] *= 0.5
    assert not check(crash, drop_spikes=True)[1].findings


def test_funding_faults() -> None:
    rows = at(at(at(funding(30), 3, rate=0.05), 4, rate=np.nan), 5, settle_ns=T0 + 5 * HOUR + 1)
    _, quality = check(rows, FUNDING)
    assert kinds(quality) == [
        ("not a number", "dropped", 1),
        ("off grid", "dropped", 1),
        ("impossible", "dropped", 1),
        ("gap", "missing", 3),
    ]
    old = funding(6).assign(settle_ns=lambda f: f["settle_ns"] - 900 * 24 * HOUR)
    old = old.assign(settle_ns=T0 - 900 * 24 * HOUR + 8 * HOUR * np.arange(6), known_ns=T0)
    assert not check(old, FUNDING)[1].findings  # every 8 hours, before hourly settlements
    assert not check(funding(9).iloc[::4], FUNDING, hourly_since_ns=None)[1].findings


def test_context_faults() -> None:
    columns = dict.fromkeys(CONTEXTS.numbers, 1.0) | {"funding": 1e-5}
    rows = pd.DataFrame({"time_ns": T0 + MINUTE * np.arange(10, dtype=np.int64)}).assign(**columns)
    rows = at(at(at(rows, 2, mark_px=0.0), 4, funding=0.5), 6, mid_px=np.nan)
    _, quality = check(rows, CONTEXTS)
    assert kinds(quality) == [("impossible", "dropped", 1), ("impossible", "dropped", 1), ("gap", "missing", 2)]


def test_lots_add_up() -> None:
    first, second = check(at(bars(9), 3, close=np.nan))[1], check(bars(5))[1]
    assert ((first + second).rows_in, (first + second).dropped) == (14, 1)


NUMBER = st.sampled_from([1.0, 100.0, 0.0, -1.0, np.nan, np.inf, -np.inf, 1e300])


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 12), NUMBER, NUMBER, NUMBER), max_size=12))
def test_whatever_comes_only_bars_that_can_be_go_out(rows: list[tuple[int, float, float, float]]) -> None:
    opened = np.array([T0 + n * HOUR // 2 for n, *_ in rows], dtype=np.int64)
    frame = pd.DataFrame({"open_ns": opened, "close_ns": opened + HOUR})
    for name, place in (("open", 1), ("high", 1), ("low", 2), ("close", 2), ("volume", 3), ("trades", 3)):
        frame[name] = np.array([row[place] for row in rows], dtype=np.float64)
    kept, _ = check(frame, now_ns=T0 + 4 * HOUR)
    assert kept["open_ns"].is_monotonic_increasing and kept["open_ns"].is_unique
    prices = kept[["open", "high", "low", "close"]].to_numpy()
    assert (prices > 0.0).all() and np.isfinite(prices).all() and (kept["volume"] >= 0.0).all()
    assert (kept["open_ns"] % HOUR == 0).all() and (kept["close_ns"] <= T0 + 4 * HOUR).all()
