"""Markouts and results against figures worked out by hand."""

from decimal import Decimal

import pytest

from slipstream.execution.markouts import SECOND, Mids, markout, result
from slipstream.model.events import Bbo, Fill, FundingPayment
from slipstream.model.instrument import Side


def mids(*points: tuple[int, float]) -> Mids:
    out = Mids()
    for second, mid in points:
        out.add(Bbo("hl", "BTC", mid - 1, 1.0, mid + 1, 1.0, second * SECOND, 0))
    return out


def fill(second: int, side: Side, px: str, sz: str, fee: str = "0", tid: int = 1, crossed: bool = False) -> Fill:
    return Fill("BTC", side, Decimal(px), Decimal(sz), Decimal(fee), tid, tid, second * SECOND, crossed=crossed)


def test_markouts_by_hand() -> None:
    path = mids((0, 100.0), (10, 101.0), (20, 99.0))
    bought = fill(0, Side.BUY, "99", "2")
    assert markout([bought], path, 0) == pytest.approx(1 / 99 * 1e4)
    assert markout([bought], path, 10) == pytest.approx(2 / 99 * 1e4)
    assert markout([bought], path, 20) == pytest.approx(0.0)
    assert markout([bought], path, 21) is None, "no mid that far on"
    sold = fill(10, Side.SELL, "102", "1", tid=2)
    both = (2 * 2 + -(99 - 102)) / (2 * 99 + 102) * 1e4
    assert markout([bought, sold], path, 10) == pytest.approx(both)


def test_the_parts_add_up() -> None:
    path = mids((0, 100.0), (10, 101.0), (20, 99.0))
    fills = [fill(0, Side.BUY, "99", "2", "0.1"), fill(10, Side.SELL, "102", "1", "0.2", tid=2, crossed=True)]
    paid = [FundingPayment("BTC", Decimal("-0.05"), Decimal(1), Decimal("0.0001"), 15 * SECOND)]
    got = result("BTC", fills, paid, path)
    assert (got.fills, got.volume, got.position, got.max_position) == (2, 300.0, 1.0, 2.0)
    assert got.maker_share == pytest.approx(198 / 300)
    assert got.spread_captured == pytest.approx(2 * 1 + 1 * 1)
    assert got.gross_pnl == pytest.approx(-198 + 102 + 99)
    assert got.net_pnl == pytest.approx(3 - 0.3 - 0.05)


def test_nothing_traded_is_nothing_earned() -> None:
    got = result("BTC", [], [], Mids())
    assert (got.net_pnl, got.markouts[0], got.maker_share) == (0.0, None, 0.0)
