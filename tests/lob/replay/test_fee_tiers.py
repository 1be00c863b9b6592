"""Fees: the venue's schedule, its window of volume, and its truncation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.lob.replay.fee_tiers import (
    DAY_NS,
    FEES_DTYPE,
    MAX_TIERS,
    VOLUME_DTYPE,
    FeeTiers,
    Tier,
    count,
    fee,
    flat,
    hyperliquid,
    rate,
    rebate_of,
    start_volume,
    turnover,
)

DAY_0 = 20_000 * DAY_NS


def fees_of(schedule: FeeTiers) -> Any:
    record = np.zeros(1, dtype=FEES_DTYPE)[0]
    schedule.into(record)
    return record


def volume_of(past: float = 0.0, now_ns: int = DAY_0) -> Any:
    record = np.zeros(1, dtype=VOLUME_DTYPE)[0]
    start_volume(record, now_ns, past)
    return record


@pytest.mark.parametrize(
    ("volume", "taker", "maker"),
    [
        (0.0, 0.00045, 0.00015),
        (5e6, 0.00045, 0.00015),  # a tier begins above its cutoff
        (5.1e6, 0.00040, 0.00012),
        (26e6, 0.00035, 0.00008),
        (101e6, 0.00030, 0.00004),
        (501e6, 0.00028, 0.0),
        (2.1e9, 0.00026, 0.0),
        (7.1e9, 0.00024, 0.0),
    ],
)
def test_the_venues_schedule(volume: float, taker: float, maker: float) -> None:
    record = fees_of(hyperliquid())
    assert rate(record, volume, False) == taker
    assert rate(record, volume, True) == maker


def test_rebates_are_by_the_share_of_the_venues_maker_volume() -> None:
    assert [rebate_of(share) for share in (0.0, 0.005, 0.006, 0.016, 0.031)] == [0.0, 0.0, -1e-5, -2e-5, -3e-5]
    assert rate(fees_of(hyperliquid(maker_share=0.031)), 6e8, True) == -3e-5
    assert rate(fees_of(hyperliquid(maker_share=0.031)), 6e8, False) == 0.00028


def test_a_scale_is_of_what_is_paid_not_of_what_is_received() -> None:
    record = fees_of(hyperliquid(maker_share=0.031, scale=0.6))
    assert rate(record, 0.0, False) == pytest.approx(0.00027)
    assert rate(record, 6e8, True) == -3e-5


def test_fees_are_truncated_to_the_sixth_decimal() -> None:
    record = fees_of(hyperliquid())
    assert fee(record, 0.0025 * 4307.4, 0.0, False) == 0.004845  # measured: 0.00484583 before
    assert fee(record, 0.0025 * 4303.7, 0.0, False) == 0.004841
    assert fee(record, 100.0, 0.0, True) == 0.015  # exact already: a float below must not lose a unit
    assert fee(fees_of(hyperliquid(maker_share=0.031)), 10_000.05, 6e8, True) == -0.300001
    assert fee(fees_of(flat(0.0001, 0.0002)), 1.23456789, 0.0, False) == 1.23456789 * 0.0002


@given(st.integers(1, 10**14), st.integers(1, 50))
@settings(max_examples=200, deadline=None)
def test_truncation_never_takes_more_than_is_due(micros: int, rate_in_1e5: int) -> None:
    """Against integers: notional in millionths times a rate in hundred-thousandths."""
    record = fees_of(FeeTiers((Tier(0.0, rate_in_1e5 / 1e5, 0.0),), decimals=6))
    assert round(fee(record, micros / 1e6, 0.0, False) * 1e6) == micros * rate_in_1e5 // 10**5


def test_the_window_is_the_fourteen_whole_days_before_today() -> None:
    volume = volume_of()
    count(volume, DAY_0 + 5, 100.0)
    assert turnover(volume, DAY_0 + DAY_NS - 1) == 0.0  # today does not count
    assert turnover(volume, DAY_0 + DAY_NS) == 100.0
    count(volume, DAY_0 + DAY_NS, 7.0)
    assert turnover(volume, DAY_0 + 2 * DAY_NS) == 107.0
    assert turnover(volume, DAY_0 + 14 * DAY_NS) == 107.0
    assert turnover(volume, DAY_0 + 15 * DAY_NS) == 7.0
    assert turnover(volume, DAY_0 + 16 * DAY_NS) == 0.0


def test_a_volume_from_before_fades_evenly() -> None:
    volume = volume_of(14e6)
    assert [turnover(volume, DAY_0 + day * DAY_NS) for day in (0, 1, 7, 13, 14)] == pytest.approx(
        [14e6, 13e6, 7e6, 1e6, 0.0]
    )


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10**6)), max_size=30).map(sorted), st.integers(0, 45))
@settings(max_examples=100, deadline=None)
def test_the_window_against_a_plain_sum(fills: list[tuple[int, int]], more: int) -> None:
    volume = volume_of()
    for day, notional in fills:
        count(volume, DAY_0 + day * DAY_NS + 9, float(notional))
    today = max((day for day, _ in fills), default=0) + more
    expected = sum(notional for day, notional in fills if today - 14 <= day < today)
    assert turnover(volume, DAY_0 + today * DAY_NS) == expected


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FeeTiers(()), "1..8 tiers"),
        (lambda: FeeTiers((Tier(0.0, 0.1, 0.0),)), "rates of tier 0"),
        (lambda: FeeTiers((Tier(0.0, math.nan, 0.0),)), "rates of tier 0"),
        (lambda: FeeTiers((Tier(5.0, 0.0, 0.0),)), "tier 0 begins at 5.0"),
        (lambda: FeeTiers((Tier(0.0, 0.0, 0.0), Tier(0.0, 0.0, 0.0))), "tier 1 begins at 0.0"),
        (lambda: FeeTiers((Tier(0.0, 0.0, 0.0),) * (MAX_TIERS + 1)), "not 9"),
        (lambda: FeeTiers((Tier(0.0, 0.0, 0.0),), rebate=0.001), "rebate"),
        (lambda: FeeTiers((Tier(0.0, 0.0, 0.0),), scale=-1.0), "scale"),
        (lambda: FeeTiers((Tier(0.0, 0.0, 0.0),), decimals=10), "decimals"),
        (lambda: rebate_of(1.5), "share"),
        (lambda: volume_of(-1.0), "volume"),
    ],
)
def test_schedules_that_are_none_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
