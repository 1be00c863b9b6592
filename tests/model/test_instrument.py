"""The one place that rounds: legal in, legal out, in the direction asked for."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.model.errors import InvalidOrder
from slipstream.model.instrument import Instrument, MarginTier, Side, plain

PRICES = st.decimals("0.00001", "999999", allow_nan=False, allow_infinity=False)


def perp(size_decimals: int) -> Instrument:
    return Instrument("X", 0, size_decimals, 10)


def significant(px: Decimal) -> int:
    return len(px.normalize().as_tuple().digits)


@given(st.integers(0, 5), PRICES)
def test_a_quantised_price_is_legal_near_and_on_the_right_side(size_decimals: int, px: Decimal) -> None:
    instrument = perp(size_decimals)
    for mode, sign in ((ROUND_FLOOR, 1), (ROUND_CEILING, -1)):
        try:
            out = instrument.quantise(px, mode)
        except InvalidOrder:
            assert px < Decimal(1).scaleb(-instrument.price_decimals)
            continue
        assert instrument.is_legal_price(out)
        assert (px - out) * sign >= 0
        assert abs(px - out) < instrument.tick_size(px)
        assert instrument.quantise(out, mode) == out, "a legal price is a fixed point"
        decimals = -int(out.normalize().as_tuple().exponent)
        assert decimals <= instrument.price_decimals and (significant(out) <= 5 or out == out.to_integral_value())


def test_passive_prices_lean_away_and_aggressive_ones_towards() -> None:
    instrument = perp(2)
    px = Decimal("204.1734")
    assert (instrument.passive_price(px, Side.BUY), instrument.passive_price(px, Side.SELL)) == (
        Decimal("204.17"),
        Decimal("204.18"),
    )
    assert instrument.aggressive_price(px, Side.BUY) == instrument.passive_price(px, Side.SELL)


@given(st.integers(0, 5), st.decimals("-100000", "100000", allow_nan=False, allow_infinity=False))
def test_sizes_round_towards_zero_to_lots(size_decimals: int, sz: Decimal) -> None:
    instrument = perp(size_decimals)
    out = instrument.round_size(sz)
    assert abs(out) <= abs(sz) and abs(sz - out) < instrument.lot and out * sz >= 0
    assert instrument.from_lots(instrument.to_lots(out)) == out


@pytest.mark.parametrize("px", ["0", "-1", "NaN", "Infinity"])
def test_prices_that_are_none_are_refused(px: str) -> None:
    with pytest.raises(InvalidOrder, match="not a positive number"):
        perp(2).quantise(Decimal(px), ROUND_FLOOR)
    assert not perp(2).is_legal_price(Decimal(px))


def test_illegal_prices_and_sizes_have_no_number() -> None:
    with pytest.raises(InvalidOrder, match="tick size"):
        perp(2).to_tick(Decimal("204.175"))
    with pytest.raises(InvalidOrder, match=r"multiple of 0\.01"):
        perp(2).to_lots(Decimal("0.005"))


def test_margin_tiers_are_continuous() -> None:
    btc = Instrument("BTC", 0, 5, 40, (MarginTier(Decimal(0), 40), MarginTier(Decimal(150_000_000), 20)), 56)
    edge = Decimal(150_000_000)
    assert btc.maintenance_margin(edge) == btc.maintenance_margin(edge - 1) + Decimal(1) / 80
    assert btc.maintenance_margin(Decimal(200_000_000)) == edge / 80 + Decimal(50_000_000) / 40
    assert (btc.leverage_limit(edge - 1), btc.leverage_limit(edge)) == (40, 20)


@pytest.mark.parametrize(
    ("value", "text"),
    [("100.0", "100"), ("1E+3", "1000"), ("0.00010", "0.0001"), ("-0.0", "0"), ("0", "0"), ("-1.50", "-1.5")],
)
def test_decimals_as_the_venue_writes_them(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text
