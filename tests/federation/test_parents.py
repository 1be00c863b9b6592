"""Parent orders out of a journal's rows."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

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


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.floats(10.0, 1e5), st.integers(0, 2 * PAUSE_NS)),
        st.tuples(st.just("place"), st.sampled_from(Side), st.integers(1, 9)),
        st.tuples(st.just("fill"), st.integers(1, 9), st.integers(1, 10**6)),
    ),
    max_size=60,
)


@given(STEPS)
def test_every_fill_of_a_child_is_in_one_order_and_the_parts_add_up(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    tape, orders, now, sent, filled = Parents("trend"), [], 1, 0, D(0)
    under_way = False
    for number, step in enumerate(steps):
        if step[0] == "quote":
            now += step[2]
            ended = tape.take(quote(step[1], now), ())
        elif step[0] == "place":
            sent += 1
            ended = tape.take(TICK, (place(sent, 1, str(step[2]), step[1]),))
        else:
            ended = tape.take(fill(sent, 1, str(step[1]), str(step[2]), tid=number), ())
            under_way = bool(sent) and f"{cloid(sent, 1)}" in tape._coins
            filled += D(step[1]) if under_way else D(0)
        orders += ended
    orders += tape.flush()
    assert sum((order.filled for order in orders), D(0)) == filled
    for order in orders:
        assert order.filled <= order.size
        assert shortfall(order).total == paper_less_real(order)
