"""Fills that were claimed and did not come."""

from decimal import Decimal

from slipstream.venues.hyperliquid.owing import Owing


def test_a_claim_is_met_by_its_fills_in_any_order() -> None:
    owing = Owing()
    owing.delivered(7, Decimal("0.4"))
    owing.claimed(7, Decimal("1.0"), now=10.0)
    assert owing.is_late(11.0, 0.5)
    owing.delivered(7, Decimal("0.6"))
    assert not owing.is_late(99.0, 0.5)
    owing.claimed(7, Decimal("1.0"), now=12.0)
    assert not owing.is_late(99.0, 0.5)


def test_a_claim_is_late_only_after_the_grace_and_counts_from_its_first_word() -> None:
    owing = Owing()
    owing.claimed(7, Decimal(1), now=10.0)
    owing.claimed(7, Decimal(2), now=10.4)
    assert not owing.is_late(10.5, 0.5)
    assert owing.is_late(10.6, 0.5)
    owing.forgive()
    assert not owing.is_late(99.0, 0.5)
