"""A lease runs out in two steps: first nothing may grow, then nothing may rest."""

from decimal import Decimal

from slipstream.model.mandate import Mandate, TradingState


def test_lease_expires_to_reducing_then_halted() -> None:
    lease = Mandate(1, "brawler", Decimal(1000), Decimal(2000), issued_ns=0, expires_ns=100, grace_ns=50)
    assert lease.state_at(99) is TradingState.ACTIVE
    assert lease.state_at(100) is TradingState.REDUCING
    assert lease.state_at(149) is TradingState.REDUCING
    assert lease.state_at(150) is TradingState.HALTED
