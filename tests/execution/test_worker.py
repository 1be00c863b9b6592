"""Targets into child orders: passive, patient, crossing; never beyond the Target by our own doing."""

from __future__ import annotations

from decimal import Decimal

from kernel_doubles import BUY, SELL, T0, D, Scripted, bbo, fill, limits, ready, wire

from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import SECOND
from slipstream.model.cloid import parse_cloid
from slipstream.model.commands import Cancel, Command, Place, Report
from slipstream.model.events import Ack, Closed, Reject, Timer
from slipstream.model.intents import Target
from slipstream.model.order import Tif


def target(position: str, urgency: float, deadline_ns: int = 0) -> Target:
    return Target("ETH", D(position), urgency, D(2000), deadline_ns)


def want(kernel: Kernel, puppet: Scripted, wanted: Target, ns: int = T0) -> list[Command]:
    puppet.next = [wanted]
    return list(wire(kernel.step(bbo(2000.0, 2001.0, ns))))


def only(commands: list[Command]) -> Place:
    (place,) = commands
    assert isinstance(place, Place)
    return place


def test_urgency_one_crosses_at_most_the_slippage_beyond_the_touch() -> None:
    kernel, puppet = ready()
    child = only(want(kernel, puppet, target("2", 1.0)))
    assert (child.side, child.sz, child.tif) == (BUY, D(2), Tif.IOC)
    assert child.px == D("2011") and parse_cloid(child.cloid).slice == 1


def test_urgency_zero_rests_at_our_touch_follows_it_and_never_crosses() -> None:
    kernel, puppet = ready("3")
    child = only(want(kernel, puppet, target("1", 0.0)))
    assert (child.side, child.px, child.sz, child.tif, child.reduce_only) == (SELL, D(2001), D(2), Tif.ALO, True)
    kernel.step(Ack(child.cloid, 7, T0))
    for second in (40, 80):
        assert want(kernel, puppet, target("1", 0.0), T0 + second * SECOND) == []
    moved = wire(kernel.step(bbo(2002.0, 2003.0, T0 + 90 * SECOND)))
    assert moved == [Cancel(child.cloid, "ETH")]
    again = only(list(wire(kernel.step(Closed(child.cloid, 7, "canceled", T0, D(0))))))
    assert again.px == 2003 and again.tif is Tif.ALO
    assert parse_cloid(again.cloid).intent == parse_cloid(child.cloid).intent
    assert parse_cloid(again.cloid).slice == 2


def test_between_it_crosses_when_patience_is_over() -> None:
    kernel, puppet = ready()
    child = only(want(kernel, puppet, target("1", 0.5)))
    assert child.tif is Tif.ALO
    kernel.step(Ack(child.cloid, 7, T0))
    assert want(kernel, puppet, target("1", 0.5), T0 + 14 * SECOND) == []
    assert want(kernel, puppet, target("1", 0.5), T0 + 15 * SECOND) == [Cancel(child.cloid, "ETH")]
    assert wire(kernel.step(Closed(child.cloid, 7, "canceled", T0, D("0.25")))) == []  # its fill is on the way
    crossing = only(list(wire(kernel.step(fill(child, "0.25", 1, 7, T0 + 15 * SECOND)))))
    assert (crossing.tif, crossing.sz) == (Tif.IOC, D("0.75"))


def test_a_deadline_crosses() -> None:
    kernel, puppet = ready()
    kernel.step(Timer("kernel:tick", T0 + 5 * SECOND))
    assert only(want(kernel, puppet, target("1", 0.1, T0 + 4 * SECOND), T0 + 5 * SECOND)).tif is Tif.IOC


def test_the_next_child_waits_for_the_end_of_the_last_and_asks_only_for_the_rest() -> None:
    kernel, puppet = ready()
    child = only(want(kernel, puppet, target("1", 1.0)))
    assert want(kernel, puppet, target("1", 1.0)) == []
    assert wire(kernel.step(fill(child, "0.6", 1, 9, T0 + 1))) == []
    rest = only(list(wire(kernel.step(Closed(child.cloid, 9, "iocCancelRejected", T0, D("0.6"))))) or later(kernel))
    assert rest.sz == Decimal("0.4")
    kernel.step(fill(rest, "0.4", 2, 10, T0 + 2))
    assert kernel.view.position("ETH") == 1
    assert want(kernel, puppet, target("1", 1.0), T0 + 9 * SECOND) == []


def later(kernel: Kernel) -> list[Command]:
    return list(wire(kernel.step(bbo(2000.0, 2001.0, T0 + 2 * SECOND))))


def test_an_end_that_is_told_before_its_fills_brings_no_second_child() -> None:
    kernel, puppet = ready("3")
    child = only(want(kernel, puppet, target("0", 1.0)))
    assert (child.side, child.sz) == (SELL, D(3))
    assert wire(kernel.step(Closed(child.cloid, 7, "filled", T0, D(3)))) == []
    for second in range(1, 5):  # whatever the market does meanwhile
        assert want(kernel, puppet, target("0", 1.0), T0 + second * SECOND) == []
    kernel.step(fill(child, "2", 1, 7, T0 + 5 * SECOND))
    assert want(kernel, puppet, target("0", 1.0), T0 + 6 * SECOND) == []
    kernel.step(fill(child, "1", 2, 7, T0 + 5 * SECOND))
    assert want(kernel, puppet, target("0", 1.0), T0 + 7 * SECOND) == []
    assert kernel.desk.ledger.position("ETH") == 0


def test_a_refused_child_pauses_before_the_next() -> None:
    kernel, puppet = ready()
    child = only(want(kernel, puppet, target("1", 1.0)))
    assert wire(kernel.step(Reject(child.cloid, "Order could not immediately match", T0))) == []
    assert want(kernel, puppet, target("1", 1.0)) == []
    assert only(want(kernel, puppet, target("1", 1.0), T0 + 2 * SECOND)).cloid != child.cloid


def test_large_targets_are_cut_to_the_largest_order() -> None:
    kernel, puppet = ready(limits=limits(max_order=D(3000)))
    assert only(want(kernel, puppet, target("4", 1.0))).sz == Decimal("1.4917")


def test_a_child_that_was_cut_keeps_its_place_when_the_price_moves() -> None:
    kernel, puppet = ready(limits=limits(max_order=D(3000)))
    child = only(want(kernel, puppet, target("4", 0.0)))
    kernel.step(Ack(child.cloid, 7, T0))
    assert wire(kernel.step(bbo(2004.0, 2005.0, T0 + SECOND // 2))) == []  # 3,000 USD are fewer coins now
    assert want(kernel, puppet, target("1", 0.0), T0 + SECOND // 2) == [Cancel(child.cloid, "ETH")]


def test_a_reached_or_worthless_target_leaves_nothing_resting() -> None:
    kernel, puppet = ready("1")
    assert want(kernel, puppet, target("1", 1.0)) == []
    assert want(kernel, puppet, target("1.004", 1.0)) == []
    child = only(want(kernel, puppet, target("3", 0.0)))
    kernel.step(Ack(child.cloid, 7, T0))
    assert want(kernel, puppet, target("1", 0.0)) == [Cancel(child.cloid, "ETH")]


def test_a_target_that_is_not_a_number_is_refused() -> None:
    kernel, puppet = ready()
    puppet.next = [target("NaN", 1.0), target("1", float("nan"))]
    out = kernel.step(bbo(2000.0, 2001.0, T0))
    assert wire(out) == [] and sum(isinstance(c, Report) and c.topic == "refused" for c in out) == 2
