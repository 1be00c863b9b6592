"""The local market without ourselves."""

from decimal import Decimal

import pytest

from slipstream.model.events import Bbo, L2Book
from slipstream.model.instrument import Side
from slipstream.model.order import Order, OrderState, Tif
from slipstream.strategies.brawler.touch import others_mid

BOOK = L2Book("hl", "X", ((10.0, 1.0), (9.9, 4.0)), ((10.2, 1.0), (10.5, 2.0)), 0, 0)


def own(side: Side, px: str, sz: str) -> Order:
    return Order("0x", "X", side, Decimal(px), Decimal(sz), Tif.ALO, state=OrderState.OPEN)


@pytest.mark.parametrize(
    ("orders", "mid"),
    [
        ([], 10.1),
        ([own(Side.BUY, "10", "1")], 10.05),  # the best bid is ours alone: the next one counts
        ([own(Side.BUY, "10", "0.4")], 10.1),  # somebody else is there too
        ([own(Side.BUY, "10", "1"), own(Side.SELL, "10.2", "1")], 10.2),
        ([own(Side.BUY, "10", "1"), own(Side.BUY, "9.9", "4")], 0.0),  # nobody else bids
        ([own(Side.SELL, "10", "1")], 10.1),  # another side
    ],
)
def test_others_mid(orders: list[Order], mid: float) -> None:
    assert others_mid(Bbo("hl", "X", 10.0, 1.0, 10.2, 1.0, 0, 0), BOOK, orders) == pytest.approx(mid)


def test_no_market_no_mid() -> None:
    assert others_mid(Bbo("hl", "X", 0.0, 0.0, 10.2, 1.0, 0, 0), BOOK, []) == 0.0
    assert others_mid(Bbo("hl", "X", 10.0, 1.0, 10.2, 1.0, 0, 0), None, [own(Side.BUY, "10", "1")]) == 0.0
