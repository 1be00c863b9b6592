"""Every reason of the gate, one by one: what is refused, in which words, and what still passes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from kernel_doubles import BTC, BUY, ETH, SELL, T0, D, Scripted, account, bbo, config, limits, quote, ready, wire

from slipstream.execution.desk import make_place
from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import SECOND, Limits
from slipstream.model.commands import Cancel, Place
from slipstream.model.errors import ConfigError
from slipstream.model.events import Ack, Budget, Disconnect, Reconnect, Timer
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate, Resume, TradingState
from slipstream.model.order import Tif


def refusal(kernel: Kernel, side: Side = BUY, px: str = "2000", sz: str = "1", reduce_only: bool = False) -> str | None:
    desk = kernel.desk
    place = make_place(desk.cloid(desk.next_intent()), "ETH", side, D(px), D(sz), Tif.ALO, reduce_only)
    return desk.gate.refusal(place, ETH)


def lease(expires: int, **changes: object) -> Mandate:
    values = {"version": 1, "pod": "puppet", "capital": D(10_000), "gross_cap": D(10_000), "expires_ns": expires}
    return Mandate(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("side", "px", "sz", "words"),
    [
        (BUY, "NaN", "1", "not a legal price"),
        (BUY, "2000", "NaN", "not a positive number of lots"),
        (BUY, "Infinity", "1", "not a legal price"),
        (BUY, "2000.05", "1", "not a legal price"),
        (BUY, "2000", "0.00001", "not a positive number of lots"),
        (BUY, "2000", "-1", "not a positive number of lots"),
        (BUY, "2101", "1", "5.0% from the reference price"),
        (SELL, "1850", "1", "from the reference price"),
        (BUY, "2000", "0.0049", "less than 10"),
        (BUY, "2000", "11", "more than max_order 20000"),
    ],
)
def test_an_order_of_the_wrong_shape_or_price(side: Side, px: str, sz: str, words: str) -> None:
    kernel, _ = ready()
    assert words in (refusal(kernel, side, px, sz) or "")
    assert refusal(kernel) is None


def test_nothing_before_the_first_account_state() -> None:
    kernel = Kernel(Scripted(), [ETH], config(), "puppet", 1)
    kernel.begin(1, [ETH], T0)
    kernel.step(bbo(2000.0, 2001.0, T0))
    assert refusal(kernel) == "the account has not been reconciled yet"
    kernel.step(account(T0, complete=False))
    assert refusal(kernel) == "the account has not been reconciled yet"
    kernel.step(account(T0))
    assert refusal(kernel) is None


@pytest.mark.parametrize("feed", ["hl", "hl.user"])
def test_a_lost_feed_stops_orders_and_pulls_quotes_until_it_is_back(feed: str) -> None:
    kernel, puppet = ready()
    puppet.next = [quote("1999", None)]
    (order,) = wire(kernel.step(bbo(2000.0, 2001.0, T0 + 1)))
    assert isinstance(order, Place)
    kernel.step(Ack(order.cloid, 1, T0 + 2))
    assert wire(kernel.step(Disconnect(feed, "no pong", T0 + 3))) == [Cancel(order.cloid, "ETH")]
    assert refusal(kernel) == f"{feed} is disconnected: no pong"
    kernel.step(Reconnect(feed, T0 + 4))
    assert refusal(kernel) is None


def test_an_old_price_stops_orders() -> None:
    kernel, _ = ready(limits=limits(max_feed_age_ns=2 * SECOND))
    kernel.step(Timer("kernel:tick", T0 + 3 * SECOND))
    assert refusal(kernel) == "the price of ETH is 3.0 s old (limit 2.0 s)"
    kernel.step(bbo(2000.0, 0.0, T0 + 3 * SECOND))
    assert refusal(kernel) == "no two-sided price of ETH"
    kernel.step(bbo(2000.0, 2001.0, T0 + 3 * SECOND))
    assert refusal(kernel) is None


def test_a_price_that_was_old_when_it_came_stops_orders() -> None:
    kernel, _ = ready(limits=limits(max_feed_age_ns=2 * SECOND))
    late = bbo(2000.0, 2001.0, T0)
    now = T0 + 9 * SECOND
    kernel.step(Timer("kernel:tick", now))
    kernel.step(type(late)("hl", "ETH", 2000.0, 1.0, 2001.0, 1.0, T0 + 5 * SECOND, now))
    assert refusal(kernel) == "the price of ETH is 4.0 s old (limit 2.0 s)"


def test_caps_count_what_rests_and_what_is_on_its_way() -> None:
    kernel, puppet = ready(limits=limits(coin_cap=D(5000), gross_cap=D(5000)))
    puppet.next = [quote("1999", None, sz="2")]
    kernel.step(bbo(2000.0, 2001.0, T0 + 1))
    assert "worst case 6001.50 USD of ETH would exceed the cap 5000" in (refusal(kernel) or "")
    assert refusal(kernel, SELL, "2001") is None
    assert refusal(kernel, SELL, "2001", "3") is not None


def test_the_gross_cap_spans_coins_and_needs_a_price_for_each() -> None:
    kernel, _ = ready("2", limits=limits(gross_cap=D(7000)))
    assert refusal(kernel) is None
    kernel.desk.ledger.open(T0, account(T0, "0.1", coin="BTC").positions)
    assert refusal(kernel, sz="3") == "worst case 10202.50 USD in all would exceed the gross cap 7000"
    assert refusal(kernel, SELL, "2001", "2") is None


def test_above_a_cap_only_what_does_not_raise_exposure_passes() -> None:
    kernel, _ = ready("5", limits=limits(coin_cap=D(5000)))
    assert refusal(kernel, BUY, sz="0.01") is not None
    assert refusal(kernel, SELL, "2001", "5") is None


def test_reduce_only_must_reduce() -> None:
    kernel, _ = ready("1")
    assert refusal(kernel, SELL, "2001", "1", True) is None
    assert refusal(kernel, BUY, "2000", "1", True) == "reduce-only, and the position is 1"
    assert refusal(kernel, SELL, "2001", "1.5", True) == "reduce-only, and the position is 1"


def test_a_full_close_may_be_smaller_than_the_least_notional() -> None:
    kernel, _ = ready("0.001")
    assert refusal(kernel, SELL, "2001", "0.001", True) is None
    assert "less than 10" in (refusal(kernel, SELL, "2001", "0.0005", True) or "")


def test_a_lease_narrows_then_reduces_then_halts() -> None:
    kernel, _ = ready("1")
    kernel.step(lease(T0 + 10 * SECOND, coin_caps={"ETH": D(3000)}))
    assert "exceed the cap 3000" in (refusal(kernel) or "")
    assert refusal(kernel, sz="0.4") is None
    kernel.step(Timer("kernel:tick", T0 + 11 * SECOND))
    kernel.step(bbo(2000.0, 2001.0, T0 + 11 * SECOND))
    assert kernel.desk.state is TradingState.REDUCING
    assert "mandate 1 expired 1.0 s ago" in (refusal(kernel) or "")
    assert refusal(kernel, SELL, "2001", "1") is None
    kernel.step(Timer("kernel:tick", T0 + 80 * SECOND))
    assert kernel.desk.state is TradingState.HALTED
    assert refusal(kernel, SELL, "2001", "1") is not None
    kernel.step(lease(T0 + 900 * SECOND, version=1))
    assert kernel.desk.state is TradingState.HALTED, "an old version does not renew a lease"
    kernel.step(lease(T0 + 900 * SECOND, version=2, pod="other"))
    assert kernel.desk.state is TradingState.HALTED, "another pod's lease is not ours"
    kernel.step(lease(T0 + 900 * SECOND, version=2))
    assert kernel.desk.state is TradingState.ACTIVE


def test_a_required_mandate_that_never_came_halts() -> None:
    kernel, _ = ready(limits=limits(require_mandate=True))
    assert refusal(kernel) == "halted: no mandate has arrived"


def test_halts_are_latched_by_generation() -> None:
    kernel, _ = ready()
    kernel.step(Halt(3, TradingState.HALTED, "auditor", "break", "the auditor"))
    kernel.step(Resume(2, "operator", "too early"))
    assert refusal(kernel) == "halted by auditor: break (clears: the auditor)"
    kernel.step(Resume(3, "operator", "found"))
    kernel.step(Halt(3, TradingState.HALTED, "auditor", "late duplicate", "the auditor"))
    assert refusal(kernel) is None


def test_a_break_stops_increases_until_the_accounts_agree() -> None:
    kernel, _ = ready("1")
    out = kernel.step(account(T0 + 5, "3"))
    assert any(getattr(c, "topic", "") == "break" for c in out)
    assert "our fills say 1, the venue says 3" in (refusal(kernel) or "")
    assert kernel.desk.ledger.position("ETH") == 1
    kernel.step(account(T0 + 6, "1"))
    assert refusal(kernel) is None


def test_budgets_keep_a_reserve_for_cancels() -> None:
    kernel, puppet = ready(limits=limits(burst=4, cancel_reserve=2, actions_per_second=1.0))
    puppet.next = [quote("1999", "2002")]
    assert len(wire(kernel.step(bbo(2000.0, 2001.0, T0)))) == 2
    assert "action rate" in (refusal(kernel) or "")
    for oid, order in enumerate(kernel.live_orders(), 1):
        kernel.step(Ack(order.cloid, oid, T0))
    puppet.next = [quote(None, None)]
    assert [type(c) for c in wire(kernel.step(bbo(2000.0, 2001.0, T0)))] == [Cancel, Cancel]
    kernel.step(bbo(2000.0, 2001.0, T0 + 5 * SECOND))
    assert refusal(kernel) is None
    kernel.step(Budget(9_900, 10_000, T0))
    assert "100 requests left" in (refusal(kernel) or "")


def test_a_mandates_actions_run_out() -> None:
    kernel, puppet = ready()
    kernel.step(lease(T0 + 900 * SECOND, action_budget=2))
    puppet.next = [quote("1999", "2002")]
    kernel.step(bbo(2000.0, 2001.0, T0))
    assert refusal(kernel) == "mandate 1: its 2 actions are spent"


def test_other_coins_and_delisted_ones() -> None:
    kernel, _ = ready()
    place = make_place(kernel.desk.cloid(9), "DOGE", BUY, D(1), D(100), Tif.ALO)
    assert kernel.desk.gate.refusal(place, None) == "DOGE is not a perp of this venue"
    gone = type(BTC)(coin="BTC", asset=0, size_decimals=5, max_leverage=40, delisted=True)
    place = make_place(kernel.desk.cloid(9), "BTC", BUY, D(60_000), D("0.01"), Tif.ALO)
    assert kernel.desk.gate.refusal(place, gone) == "BTC is delisted"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: limits(gross_cap=Decimal("NaN")), "gross_cap is NaN"),
        (lambda: limits(coin_caps={"ETH": D(-1)}), "coin_caps.ETH is -1"),
        (lambda: limits(fat_finger=2.0), "fat_finger is 2.0"),
        (lambda: limits(cancel_reserve=9, burst=9), "cancel_reserve 9 must be less than burst 9"),
        (lambda: config(tick_ns=0), "tick_ns is 0"),
    ],
)
def test_limits_that_make_no_sense_are_refused(make: Callable[[], Limits], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()


def test_a_faster_clock_scales_every_patience() -> None:
    fast = config(limits=limits(max_feed_age_ns=SECOND)).scaled(20.0)
    assert fast.tick_ns == 10 * SECOND and fast.limits.max_feed_age_ns == 20 * SECOND
    assert fast.limits.actions_per_second == 50.0
