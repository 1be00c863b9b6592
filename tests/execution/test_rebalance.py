"""When a rebalance is due, and what is traded for it."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from slipstream.execution.rebalance import Band, Room, last_due, lots, notionals, shrunk
from slipstream.model.instrument import Instrument

D = Decimal
COIN = Instrument(coin="A", asset=0, size_decimals=2, max_leverage=10)
sizes = st.decimals(-1000, 1000, places=2)


@given(st.integers(0, 2**62), st.integers(1, 10**15), st.integers(0, 10**14))
def test_a_due_time_is_the_last_of_its_grid(now: int, every: int, offset: int) -> None:
    due = last_due(now, every, offset)
    assert due <= now < due + every and (due - offset) % every == 0


@given(st.dictionaries(st.sampled_from("ABCDEF"), st.floats(-3, 3), max_size=6), st.integers(0, 10_000))
def test_notionals_stay_within_every_cap_and_keep_their_signs(weights: dict[str, float], gross: int) -> None:
    room = Room(D(10_000), D(gross), {"A": D(500)}, D(4_000))
    found = notionals(weights, room)
    assert sum(map(abs, found.values())) <= D(gross) * D("1.000000000001")
    for coin, usd in found.items():
        assert abs(usd) <= room.of(coin) and usd * D(repr(weights[coin])) >= 0


def test_lots_round_towards_zero_and_never_value_at_no_price() -> None:
    assert lots(D("100"), D("3"), COIN) == D("33.33") and lots(D("-100"), D("3"), COIN) == D("-33.33")
    assert lots(D("100"), D("0"), COIN) == 0


@given(sizes, sizes)
def test_what_only_closes_never_grows_and_never_turns(held: Decimal, wanted: Decimal) -> None:
    size = shrunk(held, wanted)
    assert abs(size) <= abs(held) and size * held >= 0
    assert abs(size - wanted) <= abs(held - wanted)


def test_the_band_keeps_small_changes_and_never_a_closing() -> None:
    band = Band(D(25), D("0.1"))
    assert band.holds(D(10), D("10.5"), D(1000))  # 5 % of the position
    assert band.holds(D(1), D(2), D(20))  # 20 USD
    assert not band.holds(D(10), D("11.5"), D(1000))
    assert not band.holds(D("0.01"), D(0), D(1))
