"""Parent orders out of a journal's rows."""

from __future__ import annotations

from decimal import Decimal

from slipstream.federation.parents import PAUSE_NS, Parents
from slipstream.federation.shortfall import paper_less_real, shortfall
from slipstream.model.cloid import Cloid, pod_id
from slipstream.model.commands import Place
from slipstream.model.events import Ack, Bbo, Event, Fill, Timer
from slipstream.model.instrument import Side
from slipstream.model.order import Tif

D = Decimal
TICK: Event = Timer("x", 1)


def cloid(intent: int, part: int, pod: str = "trend") -> str:
    return str(Cloid(pod_id(pod), 1, intent, part))


def place(intent: int, part: int, sz: str, side: Side = Side.BUY, pod: str = "trend") -> Place:
    return Place(cloid(intent, part, pod), "BTC", side, D(100), D(sz), Tif.ALO)


def quote(mid: float, ns: int = 1) -> Bbo:
    return Bbo("hl", "BTC", mid - 1, 1.0, mid + 1, 1.0, ns, ns)


def fill(intent: int, part: int, sz: str, px: str, side: Side = Side.BUY, tid: int = 1) -> Fill:
    return Fill("BTC", side, D(px), D(sz), D("0.1"), tid, 1, 5, cloid=cloid(intent, part))


def test_children_of_several_intents_are_one_order_until_it_is_over() -> None:
    tape = Parents("trend")
    assert tape.take(quote(100.0, 1), (place(1, 1, "10"),)) == ()
    tape.take(quote(101.0, 2), ())
    tape.take(Ack(cloid(1, 1), 7, 3), ())
    tape.take(fill(1, 1, "4", "100"), ())
    tape.take(TICK, (place(2, 1, "6"),))  # the sweep of what is left
    tape.take(quote(103.0, 6), ())
    tape.take(fill(2, 1, "5", "104", tid=2), ())
    assert tape.take(quote(105.0, 5 + PAUSE_NS), ()) == ()
    (order,) = tape.take(quote(110.0, 7 + PAUSE_NS), ())
    assert (order.size, order.filled, order.decision_px, order.arrival_px) == (D(10), D(9), D("100.0"), D("101.0"))
    assert order.end_px == D("105.0")  # the last mid that was known when it was over
    assert [child.mid for child in order.fills] == [D("101.0"), D("103.0")]
    cost = shortfall(order)
    assert cost.total == paper_less_real(order)
    assert cost.opportunity == D(1) * (D(105) - D(100))
    assert tape.flush() == ()


def test_the_other_side_ends_an_order() -> None:
    tape = Parents("trend")
    tape.take(quote(100.0), (place(1, 1, "10"),))
    tape.take(fill(1, 1, "10", "100"), ())
    (order,) = tape.take(quote(102.0, 2), (place(2, 1, "3", Side.SELL),))
    assert order.side is Side.BUY and order.size == D(10)
    (left,) = tape.flush()
    assert left.side is Side.SELL and left.size == D(3) and left.filled == 0


def test_quotes_other_pods_and_coins_without_a_price_are_no_parent_orders() -> None:
    tape = Parents("trend")
    tape.take(TICK, (place(1, 1, "10"),))
    tape.take(quote(100.0), (place(2, 0, "10"), place(3, 1, "10", pod="maker")))
    tape.take(fill(2, 0, "10", "100"), ())
    assert tape.flush() == ()
