"""Delays: what each kind gives, that messages never overtake, and that streams are their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from slipstream.lob.replay import delay as module
from slipstream.lob.replay.delay import (
    LATENCY_DTYPE,
    MAX_DELAY_NS,
    TABLE_DTYPE,
    Delay,
    constant,
    lognormal,
    measured,
    recorded,
    table_of,
)

MS = 1_000_000


@njit  # type: ignore[misc]
def _delays(records: Any, table: Any, sent: Any, out: Any) -> None:
    for i in range(len(sent)):
        out[i] = module.delay(records[0], table, sent[i])


@njit  # type: ignore[misc]
def _arrivals(records: Any, table: Any, sent: Any, out: Any) -> None:
    for i in range(len(sent)):
        out[i] = module.arrival(records[0], table, sent[i])


def ask(one: Delay, sent: list[int], arrivals: bool = False, recorded_ns: int = 0) -> list[int]:
    table, (first,) = table_of([one])
    records = np.zeros(1, dtype=LATENCY_DTYPE)
    one.into(records[0], first)
    records["recorded_ns"] = recorded_ns
    out = np.zeros(len(sent), dtype=np.int64)
    (_arrivals if arrivals else _delays)(records, table, np.array(sent, dtype=np.int64), out)
    return [int(taken) for taken in out]


def test_constant() -> None:
    assert ask(constant(5 * MS), [0, 7, 10**18]) == [5 * MS] * 3


def test_recorded_is_the_tapes_plus_an_offset_and_never_negative() -> None:
    assert ask(recorded(), [3], recorded_ns=12) == [12]
    assert ask(recorded(-5), [3], recorded_ns=12) == [7]
    assert ask(recorded(-50), [3], recorded_ns=12) == [0]


def test_lognormal_has_its_median_and_sigma_and_repeats_itself() -> None:
    drawn = ask(lognormal(20.0 * MS, 0.4, seed=7), list(range(20_000)))
    logs = np.log(np.array(drawn, dtype=float))
    assert math.exp(float(np.median(logs))) == pytest.approx(20 * MS, rel=0.02)
    assert float(logs.std()) == pytest.approx(0.4, rel=0.02)
    assert abs(float(np.corrcoef(logs[:-1], logs[1:])[0, 1])) < 0.03
    assert drawn == ask(lognormal(20.0 * MS, 0.4, seed=7), list(range(20_000)))
    assert drawn[:5] != ask(lognormal(20.0 * MS, 0.4, seed=8), list(range(5)))
    assert ask(lognormal(20.0 * MS, 0.0, seed=8), list(range(3))) == [20 * MS] * 3
    assert max(ask(lognormal(float(MAX_DELAY_NS), 10.0, seed=1), list(range(50)))) == MAX_DELAY_NS


def test_the_stream_is_splitmix64() -> None:
    """The first outputs of the published generator from state 0."""
    records = np.zeros(1, dtype=LATENCY_DTYPE)

    @njit  # type: ignore[misc]
    def first(all_of_them: Any) -> float:
        return float(module.uniform(all_of_them[0]))

    for word in (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F):
        assert first(records) == ((word >> 11) + 0.5) * 2.0**-53


ROWS = [(1_000, 100, 50), (2_000, 300, 70), (4_000, 200, 30)]


def test_a_table_is_interpolated_between_its_rows_and_flat_outside() -> None:
    entry, response = measured(ROWS)
    assert ask(entry, [0, 1_000, 1_500, 2_000, 3_000, 3_999, 4_000, 9_000]) == [100, 100, 200, 300, 250, 201, 200, 200]
    # responses are measured at 1100, 2300 and 4200, when the exchange made them
    assert ask(response, [1_000, 1_100, 1_700, 2_300, 3_250, 4_200, 5_000]) == [50, 50, 60, 70, 50, 30, 30]


def test_a_table_asked_for_an_earlier_time_answers_rightly() -> None:
    assert ask(measured(ROWS)[0], [9_000, 1_500, 3_000]) == [200, 200, 250]


def test_several_tables_share_one_array() -> None:
    entry, response = measured(ROWS)
    table, firsts = table_of([constant(3), entry, response])
    assert firsts == [0, 0, 3] and len(table) == 6 and table.dtype == TABLE_DTYPE
    records = np.zeros(1, dtype=LATENCY_DTYPE)
    response.into(records[0], 3)
    out = np.zeros(1, dtype=np.int64)
    _delays(records, table, np.array([1_700]), out)
    assert out.tolist() == [60]
    assert len(table_of([constant(3)])[0]) == 1  # compiled code indexes it: never empty


@given(
    st.lists(st.integers(0, 40 * MS), min_size=1, max_size=40).map(sorted),
    st.sampled_from([constant(MS), recorded(), lognormal(8.0 * MS, 1.5, seed=3), measured(ROWS)[0]]),
)
@settings(max_examples=60, deadline=None)
def test_messages_of_one_direction_never_overtake(sent: list[int], one: Delay) -> None:
    arrived = ask(one, sent, arrivals=True)
    assert arrived == sorted(arrived)
    alone = ask(one, sent)
    latest = 0
    for at, taken, got in zip(sent, alone, arrived, strict=True):
        latest = max(latest, at + taken)
        assert got == latest  # its own time, or its predecessor's


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: constant(-1), "constant delay must lie in 0"),
        (lambda: constant(MAX_DELAY_NS + 1), "constant delay"),
        (lambda: recorded(-MAX_DELAY_NS - 1), "offset"),
        (lambda: lognormal(0.0, 1.0, 1), "median"),
        (lambda: lognormal(math.nan, 1.0, 1), "median"),
        (lambda: lognormal(5.0, -0.1, 1), "sigma"),
        (lambda: lognormal(5.0, 1.0, -1), "seed"),
        (lambda: measured([]), "at least one row"),
        (lambda: measured([(5, 1, 1), (5, 1, 1)]), "row 1 .* not after row 0"),
        (lambda: measured([(5, -1, 1)]), "entry delay of row 0"),
        (lambda: measured([(5, 1, -1)]), "response delay of row 0"),
    ],
)
def test_delays_that_are_none_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
