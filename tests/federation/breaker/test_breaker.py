"""The breaker's decisions: each cause on its own, and what no sequence of inputs can make it do."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.execution.permit import Permit
from slipstream.federation.breaker.breaker import needs_sight, step
from slipstream.federation.breaker.state import (
    SECOND,
    Answered,
    Arm,
    BreakerState,
    BreakerTerms,
    CancelOrders,
    Heard,
    Input,
    Latch,
    Output,
    Reduce,
    Seen,
    Tick,
    begin,
    resume,
)
from slipstream.model.cloid import Cloid, pod_id
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate, Resume, TradingState
from slipstream.model.messages import Alert, AuditedPod, AuditReport, Beat, CoinLine, Flatten
from slipstream.model.order import Order, OrderState, Tif

W0 = 1_000_000 * SECOND
T0 = 1_700_000_000 * SECOND
TERMS = BreakerTerms(pods=("maker", "trend"))
PODS = ("maker", "trend")


def order(pod: str, number: int = 1, coin: str = "BTC", side: Side = Side.BUY, sz: str = "1") -> Order:
    cloid = str(Cloid(pod_id(pod), 1, number))
    return Order(cloid, coin, side, D(100), D(sz), Tif.ALO, False, oid=number, state=OrderState.OPEN)


class Street:
    """A breaker, the time, and everything it said."""

    def __init__(self, terms: BreakerTerms = TERMS) -> None:
        self.terms = terms
        self.state: BreakerState = begin(terms, W0)
        self.s = 0.0
        self.said: list[Output] = []

    @property
    def ns(self) -> int:
        return T0 + int(self.s * SECOND)

    @property
    def wall(self) -> int:
        return W0 + int(self.s * SECOND)

    def give(self, one: Input) -> tuple[Output, ...]:
        self.state, out = step(self.terms, self.state, one)
        self.said.extend(out)
        return out

    def hear(self, message: Any, slug: str = "") -> tuple[Output, ...]:
        return self.give(Heard(message, slug, self.ns, self.wall))

    def pass_time(self, seconds: float, *, beating: tuple[str, ...] = ("maker", "trend", "auditor")) -> list[Output]:
        out: list[Output] = []
        for _ in range(int(seconds * 2)):
            self.s += 0.5
            for process in beating:
                self.hear(Beat(process, 1, 1, 1, self.ns, self.wall), process)
            out += self.give(Tick(self.ns, self.wall))
        return out

    def see(self, *orders: Order, **positions: str) -> tuple[Output, ...]:
        held = {coin: D(szi) for coin, szi in positions.items()}
        return self.give(Seen(orders, held, dict.fromkeys(held, D(100)), self.ns, self.wall))

    def audit(self, known_ns: int | None = None, *, sure_ns: int | None = None, **positions: dict[str, str]) -> None:
        pods = tuple(
            AuditedPod(
                pod,
                tuple(CoinLine(c, D(s), D(0), D(0), D(0), D(0), D(0), 0) for c, s in lines.items()),
                D(0),
                D(0),
                D(0),
                0,
                known_ns=known_ns,
                sure_ns=sure_ns,
            )
            for pod, lines in positions.items()
        )
        self.hear(AuditReport(1, self.ns, self.wall, 0, D(0), pods, ()))


def cancelled(out: tuple[Output, ...] | list[Output]) -> list[str]:
    return [cloid for one in out if isinstance(one, CancelOrders) for _, cloid in one.orders]


def lease(pod: str, valid_s: float = 1e6, version: int = 1) -> Mandate:
    return Mandate(version, pod, D(1), D(1), expires_ns=T0 + int(valid_s * SECOND), grace_ns=10 * SECOND)


def test_while_all_is_well_it_does_nothing_and_does_not_even_look() -> None:
    street = Street(msgspec.structs.replace(TERMS, schedule_cancel_ns=0))
    for pod in PODS:
        street.hear(lease(pod), pod)
    assert street.pass_time(60) == []
    assert not needs_sight(street.terms, street.state, street.ns, street.wall)
    assert street.see(order("maker"), BTC="1") == ()


def test_a_silent_pods_orders_are_cancelled_and_nobody_elses() -> None:
    street = Street()
    said = street.pass_time(6, beating=("trend", "auditor"))
    assert any(isinstance(one, Alert) and one.key == "dead/maker" for one in said)
    assert needs_sight(street.terms, street.state, street.ns, street.wall)
    mine = order("maker")
    assert cancelled(street.see(mine, order("trend", 2))) == [mine.cloid]
    street.pass_time(1)
    assert cancelled(street.see(mine)) == []


def test_an_expired_lease_ends_increases_then_everything() -> None:
    street = Street()
    street.hear(lease("maker", valid_s=5.0), "maker")
    street.audit(maker={"BTC": "1"})
    street.pass_time(6)
    more, less, flip = order("maker", 1), order("maker", 2, side=Side.SELL), order("maker", 3, side=Side.SELL, sz="2")
    assert cancelled(street.see(more, less, flip, BTC="1")) == [more.cloid, flip.cloid]
    street.pass_time(10)
    assert cancelled(street.see(more, less, BTC="1")) == [more.cloid, less.cloid]
    street.hear(lease("maker", valid_s=500.0, version=2), "maker")
    assert cancelled(street.see(more, less, BTC="1")) == []


def test_orders_that_together_would_turn_a_position_round_do_not_all_stay() -> None:
    street = Street()
    street.hear(lease("maker", valid_s=5.0), "maker")
    street.audit(maker={"BTC": "3"})
    street.pass_time(6)
    sells = [order("maker", n, side=Side.SELL, sz="1") for n in range(1, 6)]
    kept = [one.cloid for one in sells if one.cloid not in cancelled(street.see(*sells, BTC="3"))]
    assert len(kept) == 3, "three close it, a fourth and a fifth would open a short"


def test_a_halted_pod_has_a_moment_to_cancel_by_itself() -> None:
    street = Street()
    street.pass_time(1)
    street.hear(Halt(street.ns, TradingState.HALTED, "auditor", "a break", "resolve", street.ns), "maker")
    mine = order("maker")
    assert cancelled(street.see(mine)) == []
    street.pass_time(4)
    assert cancelled(street.see(mine)) == [mine.cloid]
    street.hear(Resume(street.ns, "auditor", "gone", whose="operator"), "maker")
    assert cancelled(street.see(mine)) == [mine.cloid]
    street.hear(Resume(street.ns, "auditor", "gone", whose="auditor"), "maker")
    assert cancelled(street.see(mine)) == []
    street.hear(Halt(T0 + 1, TradingState.HALTED, "auditor", "an old one again", "resolve", T0 + 1), "maker")
    street.pass_time(4)
    assert cancelled(street.see(mine)) == [], "cleared halts stay cleared"


def test_a_pod_resumed_by_name_from_a_halt_of_everybody_is_left_alone() -> None:
    street = Street()
    street.pass_time(1)
    street.hear(Halt(street.ns, TradingState.HALTED, "operator", "stop", "resume", street.ns), "all")
    street.pass_time(4)
    mine, theirs = order("maker"), order("trend", 2)
    street.hear(Resume(street.ns, "operator", "this one may go on", street.ns), "maker")
    # the pod trades again: to cancel what it places would be a fight without end
    assert cancelled(street.see(mine, theirs)) == [theirs.cloid]
    street.pass_time(1)
    street.hear(Halt(street.ns, TradingState.HALTED, "operator", "stop again", "resume", street.ns), "all")
    street.pass_time(4)
    assert cancelled(street.see(mine, theirs)) == [mine.cloid, theirs.cloid]


@pytest.mark.parametrize("target", ["maker", "all"])
def test_an_older_or_a_milder_halt_does_not_loosen_one_that_stands(target: str) -> None:
    street = Street()
    street.pass_time(1)
    mild = Halt(street.ns, TradingState.REDUCING, "auditor", "a break", "itself", street.ns)
    street.pass_time(1)
    hard = Halt(street.ns, TradingState.HALTED, "auditor", "it lies", "operator", street.ns)
    milder = Halt(street.ns + 1, TradingState.REDUCING, "auditor", "another break", "itself", street.ns)
    street.audit(maker={"BTC": "1"})
    for halt in (mild, hard, mild, milder):  # a pod keeps all that are not cleared, so what holds it is the strictest
        street.hear(halt, target)
    street.pass_time(4)
    sells = order("maker", side=Side.SELL)
    assert cancelled(street.see(sells, BTC="1")) == [sells.cloid]
    street.hear(Resume(hard.generation, "auditor", "over", street.ns, whose="auditor"), target)
    assert cancelled(street.see(sells, BTC="1")) == [], "the milder one is younger, and stands"
    assert cancelled(street.see(order("maker"), BTC="1")) == [order("maker").cloid]


def test_without_the_auditor_everybody_only_reduces_until_it_is_back() -> None:
    street = Street()
    said = street.pass_time(6, beating=PODS)
    (latch,) = [one for one in said if isinstance(one, Latch)]
    assert latch.slug == "all" and isinstance(latch.message, Halt)
    assert latch.message.state is TradingState.REDUCING
    said = street.pass_time(1)
    (latch,) = [one for one in said if isinstance(one, Latch)]
    assert isinstance(latch.message, Resume) and latch.message.whose == "breaker"


def test_what_it_latches_outranks_every_resume_that_was_heard() -> None:
    street, permit = Street(), Permit("maker", require_mandate=False)
    street.pass_time(1)
    clear = Resume(street.ns + 3600 * SECOND, "operator", "all is well", street.ns)  # by a clock that is ahead
    street.hear(clear, "all")
    permit.fold(clear)
    for beating, state in ((PODS, TradingState.REDUCING), ((*PODS, "auditor"), TradingState.ACTIVE)):
        for one in street.pass_time(6, beating=beating):
            if isinstance(one, Latch):
                permit.fold(one.message)
        assert permit.state(street.ns) is state


def test_flatten_halts_cancels_then_closes_no_more_than_there_is_and_waits_for_the_books() -> None:
    street = Street()
    street.pass_time(1)
    street.audit(maker={"BTC": "3"}, trend={"BTC": "-1", "ETH": "2"})
    order_to = Flatten(street.ns, "maker", "operator", "enough", street.ns)
    (latch, _) = street.hear(order_to, "maker")
    assert isinstance(latch, Latch) and latch.slug == "maker"
    assert street.hear(order_to, "maker") == (), "a second copy is the same order"
    mine = order("maker")
    assert cancelled(street.see(mine, BTC="2", ETH="2")) == [mine.cloid]
    street.pass_time(3)
    street.audit(maker={"BTC": "3"}, trend={"BTC": "-1", "ETH": "2"})
    (reduce,) = [one for one in street.see(BTC="2", ETH="2") if isinstance(one, Reduce)]
    assert (reduce.pod, reduce.coin, reduce.side, reduce.sz, reduce.px) == ("maker", "BTC", Side.SELL, D(2), D(98))
    assert street.see(BTC="2", ETH="2") == (), "the audit may not have its fills yet"
    street.pass_time(3)
    street.audit(maker={}, trend={"BTC": "-1", "ETH": "2"})
    street.see(BTC="-1", ETH="2")
    assert street.state.pods["maker"].flatten is None


def test_flatten_everything_ends_flat_even_without_an_auditor() -> None:
    street = Street()
    street.pass_time(6, beating=PODS)
    street.hear(Flatten(street.ns, "", "operator", "the end", street.ns))
    foreign = order("stranger")
    assert cancelled(street.see(foreign, BTC="2")) == [foreign.cloid]
    (reduce,) = [one for one in street.see(BTC="2", ETH="-3") if isinstance(one, Reduce) and one.coin == "ETH"]
    assert reduce.side is Side.BUY and reduce.sz == 3
    street.see()
    assert street.state.flatten_all is None


def test_the_auditors_return_sets_nobody_free_who_was_flattened() -> None:
    street, permits = Street(), {pod: Permit(pod, require_mandate=False) for pod in PODS}
    said: list[Output] = []
    street.pass_time(1)
    said += street.hear(Flatten(street.ns, "maker", "operator", "enough", street.ns), "maker")
    said += street.pass_time(6, beating=PODS)  # the auditor dies, and comes back
    said += street.pass_time(1)
    for one in said:
        if isinstance(one, Latch):
            for pod in PODS if one.slug == "all" else (one.slug,):
                permits[pod].fold(one.message)
            street.hear(one.message, one.slug)
    assert permits["trend"].state(street.ns) is TradingState.ACTIVE
    assert permits["maker"].state(street.ns) is TradingState.HALTED, "until an operator resumes it"
    street.pass_time(4)
    mine = order("maker")
    assert cancelled(street.see(mine)) == [mine.cloid], "and it is guarded as such"


def test_everybody_flattened_stays_halted_for_who_joins_after_the_auditor_died_and_came_back() -> None:
    street, retained = Street(), {}
    street.pass_time(1)
    said = [*street.hear(Flatten(street.ns, "", "operator", "the end", street.ns), "all")]
    said += street.pass_time(6, beating=PODS)
    said += street.pass_time(1)
    for one in said:
        if isinstance(one, Latch):
            retained[one.slug] = one.message  # a topic keeps its newest message
    late = Permit("maker", require_mandate=False)
    for slug in ("maker", "all"):
        late.fold(retained[slug])
    assert late.state(street.ns) is TradingState.HALTED
    late.fold(Resume(street.ns, "operator", "begin again", street.ns))
    assert late.state(street.ns) is TradingState.ACTIVE


def test_an_order_to_flatten_outranks_only_older_ones_of_the_same_pod_and_writer() -> None:
    street = Street()
    street.pass_time(1)
    ahead, behind = street.ns + 2 * SECOND, street.ns  # the operator guesses the venue's time, the auditor knows it
    assert street.hear(Flatten(ahead, "trend", "auditor", "it lies", ahead), "trend")
    assert street.hear(Flatten(behind, "maker", "operator", "enough", behind), "maker")
    assert street.state.pods["maker"].flatten is not None
    assert street.hear(Flatten(behind, "", "operator", "the end", behind), "all")
    assert street.state.flatten_all is not None
    assert street.hear(Flatten(behind, "", "operator", "the end", behind), "all") == (), "a copy"


def test_an_order_to_flatten_that_comes_after_the_resume_that_ended_it_is_over() -> None:
    street = Street()
    street.pass_time(1)
    late = Flatten(street.ns, "maker", "auditor", "it lies", street.ns)
    street.pass_time(1)
    street.hear(Resume(street.ns, "operator", "all is well", street.ns), "all")
    assert street.hear(late, "maker") == (), "the pod takes its halt for cleared: it would be closed while it trades"


def test_an_audit_whose_books_stand_still_does_not_close_a_position_twice() -> None:
    street = Street()
    street.pass_time(1)
    read_ns = street.ns
    street.audit(read_ns, maker={"BTC": "1"}, trend={"BTC": "1"})
    street.hear(Flatten(street.ns, "maker", "operator", "enough", street.ns), "maker")
    (first,) = [one for one in street.see(BTC="2") if isinstance(one, Reduce)]
    assert (first.pod, first.sz) == ("maker", D(1))
    street.pass_time(10)
    street.audit(read_ns, maker={"BTC": "1"}, trend={"BTC": "1"})  # told now, but the auditor cannot read the venue
    assert street.see(BTC="1") == (), "what is left is the other pod's"
    street.audit(street.ns, maker={}, trend={"BTC": "1"})
    street.see(BTC="1")
    assert street.state.pods["maker"].flatten is None


def test_everybody_flattened_takes_in_orders_that_bear_no_cloid() -> None:
    street = Street()
    street.pass_time(1)
    street.hear(Flatten(street.ns, "", "operator", "the end", street.ns))
    by_hand = msgspec.structs.replace(order("stranger", 77), cloid="")
    assert cancelled(street.see(by_hand, BTC="2")) == ["77"]


def test_a_fill_that_the_auditors_stream_lost_does_not_close_a_position_twice() -> None:
    street = Street()
    street.pass_time(1)
    street.audit(street.ns, sure_ns=street.ns, maker={"BTC": "1"}, trend={"BTC": "1"})
    swept_ns = street.ns
    street.hear(Flatten(street.ns, "maker", "operator", "enough", street.ns), "maker")
    assert [one.sz for one in street.see(BTC="2") if isinstance(one, Reduce)] == [D(1)]
    street.pass_time(6)
    street.audit(street.ns, sure_ns=swept_ns, maker={"BTC": "1"}, trend={"BTC": "1"})  # no second reading yet
    assert street.see(BTC="1") == ()
    street.audit(street.ns, sure_ns=street.ns, maker={}, trend={"BTC": "1"})
    street.see(BTC="1")
    assert street.state.pods["maker"].flatten is None


def test_halted_and_dead_for_long_is_flattened() -> None:
    street = Street()
    street.pass_time(1)
    street.audit(maker={"BTC": "-2"})
    street.hear(Halt(street.ns, TradingState.HALTED, "auditor", "a break", "resolve", street.ns), "maker")
    street.pass_time(20, beating=("trend", "auditor"))
    street.audit(maker={"BTC": "-2"})
    assert not any(isinstance(one, Reduce) for one in street.see(BTC="-2"))
    street.pass_time(12, beating=("trend", "auditor"))
    street.audit(maker={"BTC": "-2"})
    assert [one.side for one in street.see(BTC="-2") if isinstance(one, Reduce)] == [Side.BUY]


def test_the_venues_switch_is_kept_armed_and_a_refusal_is_told_once() -> None:
    street = Street()
    first = [one for one in street.pass_time(0.5) if isinstance(one, Arm)]
    assert len(first) == 1
    street.give(Answered(first[0].at_ns, "", street.ns))
    assert [one for one in street.pass_time(9) if isinstance(one, Arm)] == []
    (again,) = [one for one in street.pass_time(1.5) if isinstance(one, Arm)][:1]
    assert again.at_ns > first[0].at_ns
    told = street.give(Answered(0, "Cannot set scheduled cancel time until enough volume traded", street.ns))
    assert len(told) == 1
    assert [one for one in street.pass_time(100) if isinstance(one, Arm)] == []
    street.s += 3600
    assert len([one for one in street.pass_time(0.5) if isinstance(one, Arm)]) == 1
    assert street.give(Answered(0, "no", street.ns)) == ()


def test_a_new_process_remembers_orders_and_gives_everyone_time() -> None:
    street = Street()
    street.pass_time(1)
    street.hear(Halt(street.ns, TradingState.HALTED, "operator", "stop", "resume", street.ns), "trend")
    street.pass_time(600)
    street.state = resume(TERMS, street.state, street.wall)
    assert needs_sight(TERMS, street.state, street.ns, street.wall), "the halt still stands"
    assert not any(isinstance(one, Alert) for one in street.give(Tick(street.ns, street.wall)))


def test_a_new_process_does_not_take_a_dead_auditor_for_one_that_came_back() -> None:
    street = Street()
    street.pass_time(10, beating=PODS)
    street.state = resume(TERMS, street.state, street.wall)
    assert not any(isinstance(one, Latch) for one in street.pass_time(20, beating=PODS)), "they go on reducing"
    (latch,) = [one for one in street.pass_time(1) if isinstance(one, Latch)]
    assert isinstance(latch.message, Resume)


AMOUNT = st.integers(-5, 5).map(D)
MESSAGES = st.one_of(
    st.tuples(st.just("beat"), st.sampled_from([*PODS, "auditor"])),
    st.tuples(st.just("halt"), st.sampled_from([*PODS, "all"]), st.sampled_from(list(TradingState)[1:])),
    st.tuples(st.just("resume"), st.sampled_from([*PODS, "all"]), st.sampled_from(["", "auditor", "operator"])),
    st.tuples(st.just("flatten"), st.sampled_from([*PODS, ""])),
    st.tuples(st.just("lease"), st.sampled_from(PODS), st.integers(-20, 60)),
    st.tuples(st.just("audit"), AMOUNT, AMOUNT),
    st.tuples(st.just("time"), st.integers(1, 20)),
    st.tuples(st.just("see"), AMOUNT, st.integers(0, 3)),
)


@given(st.lists(MESSAGES, max_size=60))
@pytest.mark.timeout(120)
def test_whatever_happens_it_only_cancels_and_reduces(script: list[Any]) -> None:
    street, given_inputs = Street(), []
    original = street.give

    def give(one: Input) -> tuple[Output, ...]:
        given_inputs.append(one)
        out = original(one)
        for each in out:
            if isinstance(each, Reduce):
                assert isinstance(one, Seen)
                held = one.positions[each.coin]
                assert held * each.side.sign < 0 and 0 < each.sz <= abs(held)
            if isinstance(each, CancelOrders):
                assert isinstance(one, Seen)
                assert {cloid for _, cloid in each.orders} <= {o.cloid for o in one.orders}
        assert len({(r.coin, r.pod) for r in out if isinstance(r, Reduce)}) == sum(isinstance(r, Reduce) for r in out)
        return out

    street.give = give  # type: ignore[method-assign]
    for number, (kind, *rest) in enumerate(script, 1):
        if kind == "beat":
            street.hear(Beat(rest[0], 1, 1, number, street.ns, street.wall), rest[0])
        elif kind == "halt":
            street.hear(Halt(street.ns + number, rest[1], "auditor", "w", "c", street.ns), rest[0])
        elif kind == "resume":
            street.hear(Resume(street.ns + number, rest[1] or "operator", "w", street.ns, whose=rest[1]), rest[0])
        elif kind == "flatten":
            street.hear(Flatten(street.ns + number, rest[0], "operator", "w", street.ns), rest[0])
        elif kind == "lease":
            street.hear(lease(rest[0], street.s + rest[1], number), rest[0])
        elif kind == "audit":
            street.audit(maker={"BTC": str(rest[0])}, trend={"BTC": str(rest[1])})
        elif kind == "time":
            street.pass_time(rest[0], beating=())
        else:
            orders = [order(pod, n) for n, pod in enumerate(("maker", "trend", "stranger")[: rest[1]], 1)]
            street.see(*orders, **({"BTC": str(rest[0])} if rest[0] else {}))
    again = begin(TERMS, W0)
    said: list[Output] = []
    for one in given_inputs:
        again, out = step(TERMS, again, one)
        said.extend(out)
    assert msgspec.json.encode(said) == msgspec.json.encode(street.said)
    assert again == street.state
