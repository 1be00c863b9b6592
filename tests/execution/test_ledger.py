"""The ledger against a brute-force fold of cash, and its manners with duplicates, openings and breaks."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from kernel_doubles import BUY, SELL, T0, D, account

from slipstream.execution.ledger import Ledger, Line
from slipstream.model.events import Fill, FundingPayment
from slipstream.model.instrument import Side

TRADES = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]),
        st.integers(1, 500),
        st.integers(1_000, 9_000),
        st.integers(-30, 30),
    ),
    max_size=60,
)


def fill(number: int, side: Side, lots: int, px: int, fee: int) -> Fill:
    size, price = D(lots).scaleb(-2), D(px).scaleb(-1)
    return Fill("ETH", side, price, size, D(fee).scaleb(-3), number, number, T0 + 1 + number)


def opened() -> Ledger:
    ledger = Ledger()
    ledger.open(T0, account(T0).positions)
    return ledger


@given(TRADES, st.integers(1_000, 9_000))
def test_realised_and_unrealised_add_up_to_the_cash_that_moved(
    trades: list[tuple[Side, int, int, int]], mark: int
) -> None:
    ledger, cash, position, fees = opened(), D(0), D(0), D(0)
    for number, trade in enumerate(trades):
        one = fill(number, *trade)
        assert ledger.fill(one)
        cash -= one.side.sign * one.sz * one.px
        position += one.side.sign * one.sz
        fees += one.fee
    line, px = ledger.line("ETH"), D(mark).scaleb(-1)
    assert line.position == position and line.fees == fees and line.fills == len(trades)
    assert abs(line.realised + line.unrealised(px) - (cash + position * px)) < D("1e-18")
    assert abs(line.net(px) - (cash + position * px - fees)) < D("1e-18")
    assert line.position != 0 or abs(line.cost) < D("1e-18")


@given(TRADES, st.randoms(use_true_random=False))
def test_a_fill_seen_twice_counts_once_and_order_does_not_move_the_position(trades: list, rng: object) -> None:
    fills = [fill(number, *trade) for number, trade in enumerate(trades)]
    shuffled = fills * 2
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    one, two = opened(), opened()
    for item in fills:
        one.fill(item)
    assert sum(two.fill(item) for item in shuffled) == len(fills)
    assert one.line("ETH").position == two.line("ETH").position
    assert one.line("ETH").fees == two.line("ETH").fees


def test_average_price_of_a_reduced_and_of_a_flipped_position() -> None:
    line = Line()
    line = line.filled(Fill("ETH", BUY, D(10), D(2), D(0), 1, 1, 1))
    line = line.filled(Fill("ETH", SELL, D(12), D(1), D(0), 2, 2, 2))
    assert (line.position, line.average_px, line.realised) == (D(1), D(10), D(2))
    line = line.filled(Fill("ETH", SELL, D(13), D(3), D(0), 3, 3, 3))
    assert (line.position, line.average_px, line.realised) == (D(-2), D(13), D(5))


def test_an_opening_contains_every_fill_up_to_its_time() -> None:
    ledger = Ledger()
    early = Fill("ETH", BUY, D(10), D(2), D(0), 1, 1, T0 - 5)
    assert not ledger.fill(early)
    ledger.open(T0, account(T0, "2").positions)
    assert not ledger.fill(early)
    assert not ledger.fill(Fill("ETH", BUY, D(10), D(2), D(0), 9, 9, T0))
    assert ledger.position("ETH") == 2
    assert ledger.fill(Fill("ETH", BUY, D(10), D(1), D(0), 2, 2, T0 + 1))
    assert ledger.position("ETH") == 3


def test_breaks_compare_the_position_at_the_states_time() -> None:
    ledger = opened()
    ledger.fill(Fill("ETH", BUY, D(10), D(1), D(0), 1, 1, T0 + 10))
    ledger.fill(Fill("ETH", BUY, D(10), D(1), D(0), 2, 2, T0 + 20))
    assert ledger.breaks(account(T0 + 15, "1")) == []
    found = ledger.breaks(account(T0 + 25, "1"))
    assert [str(item) for item in found] == ["ETH: our fills say 2, the venue says 1"]
    assert ledger.position("ETH") == 2, "a break is told, never booked"


def test_funding_is_booked_once_per_coin_and_hour() -> None:
    ledger = opened()
    row = FundingPayment("ETH", D("-0.25"), D(1), D("0.0001"), T0 + 3600)
    assert ledger.funding(row) and not ledger.funding(row)
    assert ledger.line("ETH").funding == Decimal("-0.25")
    assert ledger.line("ETH").net(D(0)) == Decimal("-0.25")
