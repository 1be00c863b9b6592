"""Orders against the cost model: nothing beyond it for orders that pay what it says, and errors where they differ."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from slipstream.core.costs.model import TransactionCostModel
from slipstream.federation.excess import excess
from slipstream.federation.shortfall import Child, Parent
from slipstream.model.instrument import Side

MODEL = TransactionCostModel(4.5e-4, [1e-4, 3e-4], [1e-7, 5e-7], ("A", "B"))
MID = Decimal(50)


def order(coin: str, usd: float, per_dollar: float, side: Side = Side.BUY, delay: str = "0", left: int = 0) -> Parent:
    """Filled whole at the middle and ``per_dollar`` beyond it, but for ``left`` that was never filled."""
    size = Decimal(repr(usd)) / MID
    px = MID * (1 + side.sign * Decimal(repr(float(per_dollar))))
    fill = Child(size, px, size * MID * Decimal("0.00045"), MID)
    return Parent(
        coin=coin, side=side, size=size + left, decision_px=MID - side.sign * Decimal(delay), arrival_px=MID,
        end_px=MID, fills=(fill,) if usd else (),
    )  # fmt: skip


def test_orders_that_pay_what_the_model_says_are_nothing_beyond_it() -> None:
    orders = [
        order("A", usd, 1e-4 + 1e-7 * usd**0.5, side)
        for usd in (1_000.0, 5_000.0, 40_000.0)
        for side in (Side.BUY, Side.SELL)
    ]
    (found,) = excess(orders, MODEL)
    assert (found.coin, found.orders, found.notional) == ("A", 6, pytest.approx(92_000.0))
    assert found.paid == pytest.approx(found.expected)
    assert found.beyond == pytest.approx(0.0, abs=1e-9) and found.error == pytest.approx(0.0, abs=1e-9)
    assert found.late == 0.0


def test_dearer_orders_are_told_with_their_error_and_waiting_apart() -> None:
    rng = np.random.default_rng(2)
    usd = rng.uniform(500.0, 20_000.0, 400)
    orders = [
        order("B", float(q), 3e-4 + 5e-7 * q**0.5 + 1e-4 * (2.0 + float(e)), delay="0.01")
        for q, e in zip(usd, rng.normal(size=400), strict=True)
    ]
    (found,) = excess(orders, MODEL)
    assert found.beyond is not None and found.error is not None
    assert abs(found.beyond - 2.0) < 3.0 * found.error < 0.25
    assert found.late == pytest.approx(2.0)  # a cent of 50


def test_what_is_not_known_is_not_made_up() -> None:
    found = excess([order("C", 1_000.0, 1e-4), order("A", 0.0, 0.0, left=5), order("B", 1_000.0, 1e-3)], MODEL)
    assert [one.coin for one in found] == ["B", "C"]
    assert found[1].expected is None and found[1].beyond is None and found[1].paid == pytest.approx(5.5)
    assert found[0].error is None and found[0].beyond == pytest.approx(10.0 - 3.0 - 1e4 * 5e-7 * 1_000.0**0.5)
