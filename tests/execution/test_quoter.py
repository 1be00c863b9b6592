"""Quotes into orders: what stays, what is modified, what waits, what is tried again."""

from __future__ import annotations

from decimal import Decimal

import pytest
from kernel_doubles import BUY, ETH, SELL, T0, D, Scripted, bbo, config, fill, limits, quote, ready, wire

from slipstream.execution.kernel import Kernel
from slipstream.execution.quoter import outside
from slipstream.execution.settings import SECOND
from slipstream.model.commands import Cancel, Modify, Place, Query, Report
from slipstream.model.events import Ack, CancelReject, Closed, Event, Reject, Timer, Unknown
from slipstream.model.instrument import Side
from slipstream.model.intents import Note, Quote, QuoteSide, Wake


def ask(kernel: Kernel, puppet: Scripted, wanted: Quote, ns: int = T0) -> list[Place | Modify | Cancel | Query]:
    puppet.next = [wanted]
    return wire(kernel.step(bbo(2000.0, 2001.0, ns)))


def resting(sz: str = "1", **changes: object) -> tuple[Kernel, Scripted, Place]:
    kernel, puppet = ready(**changes)  # type: ignore[arg-type]
    (order,) = ask(kernel, puppet, quote("1999", None, sz))
    assert isinstance(order, Place)
    assert wire(kernel.step(Ack(order.cloid, 5, T0))) == []
    return kernel, puppet, order


def test_an_equal_order_stays_and_a_different_one_is_modified() -> None:
    kernel, puppet, order = resting()
    assert ask(kernel, puppet, quote("1999.0", None)) == []
    (change,) = ask(kernel, puppet, quote("1998", None))
    assert isinstance(change, Modify) and change.cloid == order.cloid and change.new.px == 1998
    assert kernel.view.worst_position("ETH") == (D(0), D(2)), "old and new may both fill"
    assert ask(kernel, puppet, quote("1997", None)) == [], "one change at a time"
    kernel.step(Ack(change.new.cloid, 6, T0))
    (last,) = wire(kernel.step(Closed(order.cloid, 5, "canceled", T0, D(0))))
    assert isinstance(last, Modify) and last.new.px == 1997, "and then the newest wish"


def test_the_end_of_a_superseded_oid_is_ignored() -> None:
    kernel, _, order = resting()
    kernel.step(Ack(order.cloid, 9, T0))
    kernel.step(Closed(order.cloid, 5, "canceled", T0, D(0)))
    (live,) = kernel.live_orders()
    assert live.oid == 9 and live.state.is_live


def test_a_partly_filled_order_stays_until_less_than_half_is_left() -> None:
    kernel, puppet, order = resting()
    kernel.step(fill(order, "0.4", 1, 5, T0 + 1))
    assert ask(kernel, puppet, quote("1999", None)) == []
    (change,) = wire(kernel.step(fill(order, "0.2", 2, 5, T0 + 2)))
    assert isinstance(change, Modify) and change.new.sz == 1


def test_near_the_cap_it_cancels_confirms_and_only_then_places() -> None:
    kernel, puppet, order = resting(limits=limits(coin_cap=D(3000)))
    assert ask(kernel, puppet, quote("1998", None)) == [Cancel(order.cloid, "ETH")]
    assert ask(kernel, puppet, quote("1998", None)) == []
    (fresh,) = wire(kernel.step(Closed(order.cloid, 5, "canceled", T0, D(0))))
    assert isinstance(fresh, Place) and fresh.px == 1998 and fresh.cloid != order.cloid


def test_an_order_closed_with_more_filled_than_seen_still_counts() -> None:
    kernel, puppet, order = resting(limits=limits(coin_cap=D(3000)))
    ask(kernel, puppet, quote("1998", None))
    assert wire(kernel.step(Closed(order.cloid, 5, "canceled", T0, D("0.7")))) == []
    assert kernel.view.worst_position("ETH") == (D(0), D("0.7"))
    kernel.step(fill(order, "0.7", 1, 5, T0 + 1))
    assert kernel.view.position("ETH") == D("0.7")
    assert kernel.view.worst_position("ETH") == (D("0.7"), D("0.7"))


def test_a_fill_after_the_cancel_is_taken() -> None:
    kernel, puppet, order = resting()
    ask(kernel, puppet, quote(None, None))
    kernel.step(Closed(order.cloid, 5, "canceled", T0))
    assert kernel.view.worst_position("ETH") == (D(0), D(1)), "nobody told the total"
    kernel.step(fill(order, "1", 1, 5, T0 + 1))
    assert kernel.view.position("ETH") == 1 and kernel.live_orders() == []


def test_an_order_without_an_answer_is_read_until_settled_and_never_sent_again() -> None:
    kernel, puppet = ready()
    (order,) = ask(kernel, puppet, quote("1999", None))
    sent: list[object] = []
    for second in range(1, 40):
        sent += wire(kernel.step(Timer("kernel:tick", T0 + second * SECOND)))
    assert {type(command) for command in sent} == {Query}
    assert 4 <= len(sent) <= 8, "reads back off"
    assert kernel.view.worst_position("ETH") == (D(0), D(1))
    assert isinstance(order, Place)
    kernel.step(Reject(order.cloid, "unknownOid", T0 + 40 * SECOND))
    assert kernel.live_orders() == [] and kernel.view.worst_position("ETH") == (D(0), D(0))


def test_a_refused_cancel_is_read() -> None:
    kernel, puppet, order = resting()
    assert ask(kernel, puppet, quote(None, None)) == [Cancel(order.cloid, "ETH")]
    kernel.step(CancelReject(order.cloid, "Order was never placed, already canceled, or filled.", T0))
    assert Query(order.cloid, "ETH") in kernel.step(Timer("kernel:tick", T0 + SECOND))
    assert wire(kernel.step(Ack(order.cloid, 5, T0))) == [Cancel(order.cloid, "ETH")], "it rests: cancel again"


def test_an_unknown_cancel_keeps_the_order_counted() -> None:
    kernel, puppet, order = resting()
    ask(kernel, puppet, quote(None, None))
    kernel.step(Unknown(order.cloid, "reset", T0))
    assert kernel.view.worst_position("ETH") == (D(0), D(1))
    assert Query(order.cloid, "ETH") in kernel.step(Timer("kernel:tick", T0 + SECOND))
    kernel.step(Closed(order.cloid, 5, "canceled", T0, D(0)))
    assert kernel.live_orders() == []


CROSSED = "Post only order would have immediately matched, bbo was 1997.5@1998.5. asset=1"


def test_a_crossing_post_only_quote_is_priced_outside_the_touch_it_names_and_then_rests() -> None:
    kernel, puppet = ready()
    (order,) = ask(kernel, puppet, quote("1999", None))
    prices = []
    while isinstance(order, Place):
        prices.append(order.px)
        again = wire(kernel.step(Reject(order.cloid, CROSSED, T0)))
        order = again[0] if again else None  # type: ignore[assignment]
    assert prices == [D(1999), D("1998.4"), D("1998.3"), D("1998.2")]
    assert ask(kernel, puppet, quote("1999", None)) == [], "the side rests"
    (later,) = ask(kernel, puppet, quote("1999", None), T0 + 6 * SECOND)
    assert isinstance(later, Place)


def test_a_change_that_lost_the_race_against_a_fill_is_placed_anew_at_once() -> None:
    kernel, puppet, order = resting()
    (change,) = ask(kernel, puppet, quote("1998", None))
    assert isinstance(change, Modify)
    kernel.step(fill(order, "1", 1, 5, T0 + 1))
    gone = "Cannot modify canceled or filled order asset=1"
    commands = wire(kernel.step(Reject(change.new.cloid, gone, T0 + 2)))
    commands += wire(kernel.step(CancelReject(order.cloid, gone, T0 + 2)))
    (again,) = [c for c in commands if isinstance(c, Place)]
    assert (again.px, again.sz) == (1998, 1) and again.cloid != change.new.cloid


def test_another_price_is_tried_at_once_after_other_refusals() -> None:
    kernel, puppet = ready()
    (order,) = ask(kernel, puppet, quote("1999", None))
    out = kernel.step(Reject(order.cloid, "Insufficient margin to place order.", T0))
    assert wire(out) == [] and any(isinstance(c, Report) and c.topic == "quote_rests" for c in out)
    assert ask(kernel, puppet, quote("1999", None)) == []
    assert len(ask(kernel, puppet, quote("1990", None))) == 1


@pytest.mark.parametrize(
    ("side", "px", "reason", "expected"),
    [
        (BUY, "1999", CROSSED, "1998.4"),
        (SELL, "1996", CROSSED, "1997.6"),
        (BUY, "1999", "no bbo here", "1998.9"),
        (BUY, "1990", CROSSED, "1989.9"),
        (SELL, "99999", "bbo was 99999.9@100001", "100001"),
    ],
)
def test_outside(side: Side, px: str, reason: str, expected: str) -> None:
    assert outside(ETH, side, Decimal(px), reason) == Decimal(expected)


def test_quotes_that_are_not_numbers_pull_the_coin() -> None:
    kernel, puppet, order = resting()
    bad = Quote("ETH", QuoteSide(Decimal("sNaN"), D(1)), None)
    assert ask(kernel, puppet, bad) == [Cancel(order.cloid, "ETH")]


def test_a_refusal_is_told_once_until_it_changes() -> None:
    kernel, puppet = ready(limits=limits(coin_cap=D(100)))
    told: list[Event] = []
    for step in range(5):
        puppet.next = [quote("1999", None)]
        told += [c for c in kernel.step(bbo(2000.0 + step, 2001.0 + step, T0)) if isinstance(c, Report)]
    assert len(told) == 1


def test_notes_and_wakes_pass_and_the_kernels_timers_are_its_own() -> None:
    kernel, puppet = ready()
    puppet.next = [Note("suspended: basis", {"bp": 12.5}), Wake("resume", T0 + 5), Wake("kernel:tick", T0)]
    out = kernel.step(bbo(2000.0, 2001.0, T0))
    assert [c.topic for c in out if isinstance(c, Report)] == ["note", "odd"]
    assert [c.name for c in out if type(c).__name__ == "SetTimer"] == ["resume"]  # type: ignore[union-attr]


def test_orders_of_an_earlier_run_are_cancelled_once_reconciled() -> None:
    kernel, _, order = resting()
    live = kernel.live_orders()
    kernel.begin(2, [ETH], T0 + SECOND)
    assert wire(kernel.step(bbo(2000.0, 2001.0, T0 + SECOND))) == []
    from kernel_doubles import account

    assert wire(kernel.step(account(T0 + SECOND, orders=tuple(live)))) == [Cancel(order.cloid, "ETH")]
    stranger = type(live[0])("0xfbfe21d6" + "0" * 24, "ETH", BUY, D(1990), D(1), order.tif, oid=77)
    out = wire(kernel.step(account(T0 + 2 * SECOND, orders=(stranger,))))
    assert Cancel(stranger.cloid, "ETH") in out, "an order of our prefix that no journal knows"
    assert config().owns_account and kernel.view.worst_position("ETH")[1] >= 1
