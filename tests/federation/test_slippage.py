"""What aggressive orders cost, from a journal's rows."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.federation.slippage import OPEN_ORDERS, Slippage
from slipstream.model.commands import Place
from slipstream.model.events import Bbo, Closed, Fill, Reject, Timer
from slipstream.model.instrument import Side
from slipstream.model.order import Tif

TICK = Timer("x", 1)


def quote(mid: float, venue: str = "hl") -> Bbo:
    return Bbo(venue, "BTC", mid - 1, 1.0, mid + 1, 1.0, 1, 1)


def place(cloid: str, side: Side = Side.BUY, tif: Tif = Tif.IOC, sz: str = "2") -> Place:
    return Place(cloid, "BTC", side, Decimal(1), Decimal(sz), tif)


def fill(cloid: str, px: str, sz: str, side: Side = Side.BUY, tid: int = 1) -> Fill:
    return Fill("BTC", side, Decimal(px), Decimal(sz), Decimal(0), tid, 1, 1, cloid=cloid, crossed=True)


def test_an_order_s_fills_are_one_sample_against_the_mid_of_its_decision() -> None:
    tape = Slippage()
    tape.take(quote(1000.0), ())
    tape.take(TICK, (place("a"),))
    tape.take(quote(2000.0), ())  # what the market does later is not its reference
    tape.take(quote(5.0, "binance"), ())
    assert tape.take(fill("a", "1001", "1"), ()) is None
    found = tape.take(fill("a", "1003", "1", tid=2), ())
    assert found is not None
    assert found.own_fill and found.coin == "BTC"
    assert found.notional == pytest.approx(2004.0)
    assert found.slippage_bp == pytest.approx((1001 * 10 + 1003 * 30) / 2004)
    assert tape.take(fill("a", "1003", "1", tid=3), ()) is None  # it has ended


def test_a_sale_below_the_mid_costs_and_what_is_cancelled_counts_for_what_it_filled() -> None:
    tape = Slippage()
    tape.take(quote(1000.0), (place("s", Side.SELL),))
    tape.take(fill("s", "999", "1", Side.SELL), ())
    found = tape.take(Closed("s", 1, "canceled", 2), ())
    assert found is not None and found.slippage_bp == pytest.approx(10.0)
    tape.take(TICK, (place("n"),))
    assert tape.take(Closed("n", 1, "iocCancelRejected", 2), ()) is None


def test_resting_orders_refused_ones_and_unpriced_coins_say_nothing() -> None:
    tape = Slippage()
    tape.take(TICK, (place("early"),))
    assert tape.take(fill("early", "1001", "2"), ()) is None
    tape.take(quote(1000.0), (place("rest", tif=Tif.GTC), place("no")))
    assert tape.take(fill("rest", "1001", "2"), ()) is None
    tape.take(Reject("no", "why", 1), ())
    assert tape.take(fill("no", "1001", "2"), ()) is None


def test_memory_is_bounded() -> None:
    tape = Slippage()
    tape.take(quote(1000.0), tuple(place(str(i)) for i in range(OPEN_ORDERS + 5)))
    assert tape.take(fill("0", "1001", "2"), ()) is None
    assert tape.take(fill("5", "1001", "2"), ()) is not None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.floats(10.0, 1e5)),
        st.tuples(st.just("place"), st.integers(0, 5), st.sampled_from(Side), st.integers(1, 9)),
        st.tuples(st.just("fill"), st.integers(0, 5), st.integers(1, 9), st.integers(1, 10**6)),
        st.tuples(st.just("close"), st.integers(0, 5)),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_fill_is_counted_twice_and_nothing_without_a_price(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    tape, filled, counted, priced = Slippage(), 0.0, 0.0, False
    for number, step in enumerate(steps):
        found = None
        if step[0] == "quote":
            priced = True
            found = tape.take(quote(step[1]), ())
        elif step[0] == "place":
            found = tape.take(TICK, (place(f"{step[1]}", step[2], sz=str(step[3])),))
        elif step[0] == "fill":
            filled += step[2] * step[3]
            found = tape.take(fill(f"{step[1]}", str(step[3]), str(step[2]), tid=number), ())
        else:
            found = tape.take(Closed(f"{step[1]}", 1, "canceled", 2), ())
        if found is not None:
            assert priced and found.notional > 0.0
            counted += found.notional
    assert counted <= filled * (1 + 1e-12)
