"""A pod on an account that others trade too: whose fills, whose funding, whose halts."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from kernel_doubles import BUY, SELL, T0, D, Scripted, account, bbo, config, quote, ready, wire
from kernel_doubles import fill as told
from test_worker import only, target, want

from slipstream.execution.kernel import Kernel
from slipstream.execution.ledger import Ledger
from slipstream.execution.permit import WATCH, Permit
from slipstream.execution.settings import SECOND
from slipstream.model.cloid import Cloid, pod_id
from slipstream.model.commands import Place
from slipstream.model.events import Ack, Closed, Fill, FundingPayment
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Resume, TradingState

MINE, OTHER, BREAKER = pod_id("puppet"), pod_id("other"), pod_id("breaker")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.integers(0, 2), st.sampled_from([BUY, SELL]), st.integers(1, 9)),
        st.tuples(st.just("fund"), st.integers(-50, 50)),
    ),
    max_size=40,
)


def fill(number: int, pod: int, side: Side = BUY, size: Decimal = D(1), run: int = 1, ns: int = 0) -> Fill:
    cloid = str(Cloid(pod, run, number))
    return Fill("ETH", side, D(2000), size, D("0.1"), number, number, ns or T0 + number, cloid=cloid)


def shared() -> Kernel:
    kernel = Kernel(Scripted(), (), config(owns_account=False), "puppet", 1)
    kernel.begin(1, (), T0)
    kernel.step(account(T0, "5"))
    return kernel


def test_it_begins_flat_and_counts_its_own_fills_and_the_breakers_for_it() -> None:
    kernel = shared()
    assert kernel.desk.ledger.position("ETH") == 0
    kernel.step(fill(1, MINE, size=D(3)))
    kernel.step(fill(2, OTHER, size=D(7)))
    kernel.step(fill(3, BREAKER, SELL, D(2), run=MINE))
    kernel.step(fill(4, BREAKER, SELL, D(2), run=OTHER))
    assert kernel.desk.ledger.position("ETH") == 1
    assert kernel.step(Ack(str(Cloid(OTHER, 1, 9)), 99, T0 + 5)) == []
    kernel.step(account(T0 + 6, "8"))
    assert kernel.desk.state is TradingState.ACTIVE


@given(STEPS, st.randoms(use_true_random=False))
def test_the_parts_of_all_pods_add_up_to_each_funding_row_in_any_order(steps: list, rng: object) -> None:
    books = [Ledger() for _ in range(3)]
    for book in books:
        book.open(T0, ())
    total, paid, events = D(0), D(0), []
    for number, step in enumerate(steps, 1):
        ns = T0 + number
        if step[0] == "fill":
            _, pod, side, lots = step
            total += side.sign * lots
            events.append((pod, fill(number, pod, side, D(lots), ns=ns)))
        elif total:
            usdc = D(step[1]).scaleb(-3)
            paid += usdc
            events.append((None, FundingPayment("ETH", usdc, total, D("0.0001"), ns)))
    rng.shuffle(events)  # type: ignore[attr-defined]
    for pod, event in events * 2:
        for number, book in enumerate(books):
            if isinstance(event, FundingPayment):
                book.funding(event, shared=True)
            elif number == pod:
                book.fill(event)
    assert abs(sum(book.line("ETH").funding for book in books) - paid) < D("1e-18")


def test_a_resume_may_clear_one_writers_halts_alone() -> None:
    permit = Permit("puppet", require_mandate=False)
    permit.reconciled = True
    for who, state in (("auditor", TradingState.HALTED), ("operator", TradingState.REDUCING)):
        permit.fold(Halt(5, state, who, "why", "how"))
    assert permit.state(T0) is TradingState.HALTED
    permit.fold(Resume(9, "auditor", "gone", whose="auditor"))
    assert permit.state(T0) is TradingState.REDUCING
    assert not permit.fold(Halt(8, TradingState.HALTED, "auditor", "an old one, come late", "how"))
    assert permit.fold(Halt(8, TradingState.REDUCING, "operator", "why", "how")) and len(permit.halts) == 1
    permit.fold(Resume(9, "operator", "all clear"))
    assert permit.state(T0) is TradingState.ACTIVE and not permit.halts


def test_a_pod_that_nobody_watches_reduces_whatever_numbers_were_cleared_before() -> None:
    permit = Permit("puppet", require_mandate=False)
    permit.fold(Resume(10_000, "operator", "all is well"))  # its sender's clock is ahead of the pod's
    permit.fold(Halt(77, TradingState.REDUCING, WATCH, "no beat of the breaker", "its beat comes back", 77))
    assert permit.state(0) is TradingState.REDUCING
    permit.fold(Resume(78, WATCH, "the breaker is back", 78, whose=WATCH))
    assert permit.state(0) is TradingState.ACTIVE
    permit.fold(Halt(79, TradingState.REDUCING, WATCH, "no beat of the breaker", "its beat comes back", 79))
    assert permit.state(0) is TradingState.REDUCING


def test_while_reducing_what_is_owed_cannot_be_sold_a_second_time() -> None:
    kernel, puppet = ready(owns_account=False)
    bought = only(want(kernel, puppet, target("3", 1.0)))
    kernel.step(told(bought, "3", 1, 7, T0 + SECOND))
    assert kernel.desk.ledger.position("ETH") == 3
    kernel.step(Halt(5, TradingState.REDUCING, "auditor", "a doubt", "itself", T0))
    puppet.next = [quote(None, "2001", "3", reduce_only=True)]
    (sold,) = list(wire(kernel.step(bbo(2000.0, 2001.0, T0 + 2 * SECOND))))
    assert isinstance(sold, Place) and sold.side is SELL and sold.sz == 3
    kernel.step(Closed(sold.cloid, 8, "filled", T0, D(3)))  # the venue says so, the fill has not come
    for price in (2002, 2003):
        puppet.next = [quote(None, str(price), "3", reduce_only=True)]
        commands = list(wire(kernel.step(bbo(price - 1.0, float(price), T0 + 3 * SECOND))))
        assert not [one for one in commands if isinstance(one, Place)]
    kernel.step(told(sold, "3", 2, 8, T0 + 4 * SECOND))
    assert kernel.desk.ledger.position("ETH") == 0
