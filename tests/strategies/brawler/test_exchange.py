"""Brawler on the emulated exchange's matching engine and synthetic market: money agrees to the cent."""

from __future__ import annotations

from decimal import Decimal

from brawler_exchange import USER, Session

from slipstream.model.instrument import Side
from slipstream.strategies.brawler.config import BrawlerConfig

SETTINGS = BrawlerConfig.model_validate(
    {
        "symbols": [
            {"symbol": "WLFI", "order_size": "2000", "max_inventory": "10000"},
            {"symbol": "LTC", "order_size": "4", "max_inventory": "20"},
        ],
        "base_spread": 0.00035,
        "k": 0.5,
        "sigma_window": 60,
        "basis_halflife_s": 15.0,
        "portfolio": {"gross_cap": "20000"},
    }
)


def test_ten_minutes_of_venue_time() -> None:
    session = Session(SETTINGS)
    session.open()
    account = session.exchange.accounts[USER]
    caps = {terms.symbol: terms.max_inventory for terms in SETTINGS.terms}

    def watch() -> None:
        for coin, position in account.positions.items():
            assert abs(position.szi) <= caps[coin]

    for _ in range(10):
        session.run(60, watch)
        session.told_budget()
    assert len(session.fills) > 20
    assert {fill.coin for fill in session.fills} == set(caps)
    assert {fill.side for fill in session.fills} == {Side.BUY, Side.SELL}
    assert not any(fill.crossed for fill in session.fills)
    # our books and the exchange's agree
    ledger = session.kernel.desk.ledger
    for coin in caps:
        held = account.positions.get(coin)
        assert ledger.position(coin) == (held.szi if held is not None else 0)
    assert sum(ledger.line(coin).fees for coin in caps) == account.fees_paid == sum(f.fee for f in session.fills)
    resting = {order.cloid for order in account.open_orders.values()}
    assert resting == {order.cloid for order in session.kernel.live_orders()}
    # a maker's spread: fills are better than the anchor's mid by more than nothing
    assert session.markout_bps(0.0) > 0.5
    # the address budget outlives the session
    assert account.requests_used < session.exchange.settings.budget_start // 4 + account.volume
    assert not [report for report in session.reports if report.topic in ("odd", "break")]
    assert session.net() > Decimal(-50)
