"""Properties of kernel, order table, gate and ledger together, against a venue that loses, delays and repeats."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hostile_venue import MID, ChaosVenue, Coded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_doubles import BTC, ETH, T0, D, config, limits

from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import SECOND
from slipstream.model.mandate import Halt, Resume, TradingState

ACTS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 1000), st.integers(0, 1000)), max_size=120)
CAP = D(MID) * 4
SMALL = config(limits=limits(coin_cap=CAP, gross_cap=CAP))
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def digest(kernel: Kernel) -> bytes:
    """What must be the same after a restart, however it was reached."""
    desk = kernel.desk
    orders = [(w.order.cloid, w.order.state.value, str(w.order.filled), w.order.oid) for w in desk.orders.live()]
    lines = {coin: [str(v) for v in msgspec.structs.astuple(line)] for coin, line in sorted(desk.ledger.lines.items())}
    halts = [(g, h.who) for g, h in sorted(desk.permit.halts.items())]
    return msgspec.json.encode((sorted(orders), lines, halts, desk.permit.breaks, desk.permit.cleared))


@FEW
@given(ACTS)
def test_the_truth_is_always_within_the_worst_case_and_the_worst_case_within_the_cap(
    acts: list[tuple[int, int, int]],
) -> None:
    venue = ChaosVenue(SMALL)
    for act in acts:
        venue.act(*act)
        low, high = venue.kernel.desk.worst("ETH")
        assert low <= venue.position <= high
        # the fills' own prices move nothing: the reference price stands at MID
        assert max(abs(low), abs(high)) * MID <= CAP


@FEW
@given(ACTS)
def test_no_fill_is_lost_or_counted_twice_and_no_intent_has_two_orders(acts: list[tuple[int, int, int]]) -> None:
    venue = ChaosVenue()
    for act in acts:
        venue.act(*act)
    venue.settle()
    line = venue.kernel.desk.ledger.line("ETH")
    assert line.position == venue.position
    assert line.fills == len(venue.fills)
    assert line.fees == sum((fill.fee for fill in venue.fills), Decimal(0))
    assert len(venue.placed) == len(set(venue.placed))
    assert {order.cloid for order in venue.kernel.live_orders()} == set(venue.resting)
    assert venue.kernel.desk.permit.breaks == ()


@FEW
@given(ACTS)
def test_the_same_events_give_the_same_bytes_and_recovery_gives_the_same_state(
    acts: list[tuple[int, int, int]],
) -> None:
    venue = ChaosVenue()
    for act in acts:
        venue.act(*act)
    again = Kernel(Coded(), [ETH, BTC], config(), "coded", 1)
    again.begin(1, [ETH, BTC], T0)
    back = Kernel(Coded(), [ETH, BTC], config(), "coded", 1)
    back.begin(1, [ETH, BTC], T0)
    for event, commands in venue.rows:
        assert msgspec.msgpack.encode(again.step(event)) == msgspec.msgpack.encode(commands)
        back.recover(event, commands)
    for kernel in (venue.kernel, back):
        kernel.begin(2, [ETH, BTC], venue.now)
    assert digest(back) == digest(venue.kernel)


@FEW
@given(st.lists(st.tuples(ACTS, st.booleans()), min_size=1, max_size=4))
def test_a_process_killed_anywhere_leaves_a_journal_that_the_next_one_continues(
    lives: list[tuple[list[tuple[int, int, int]], bool]],
) -> None:
    venue = ChaosVenue(SMALL)
    for acts, lose in lives:
        for act in acts:
            venue.act(*act)
            low, high = venue.kernel.desk.worst("ETH")
            assert low <= venue.position <= high
            assert max(abs(low), abs(high)) * MID <= CAP
        venue.crash(lose)
        assert venue.kernel.desk.ledger.position("ETH") == venue.position
    venue.settle()
    assert {order.cloid for order in venue.kernel.live_orders()} == set(venue.resting)
    run = f"{len(venue.starts):08x}"
    assert all(cloid[10:18] == run for cloid in venue.resting), "nothing of an earlier run rests"
    assert len(venue.placed) == len(set(venue.placed))
    assert venue.kernel.desk.ledger.line("ETH").fills == len(venue.fills)


@FEW
@given(ACTS, st.sampled_from([TradingState.REDUCING, TradingState.HALTED]))
def test_a_halt_ends_what_rests_and_lets_nothing_increase(
    acts: list[tuple[int, int, int]], state: TradingState
) -> None:
    venue = ChaosVenue()
    for act in acts:
        venue.act(*act)
    venue.settle()
    venue.step(Halt(1, state, "auditor", "test", "a resume"))
    before = venue.position
    for code in range(12):
        venue.bbo(code, code + 1)
        venue.settle()
        for cloid in sorted(venue.resting):
            venue.fill(cloid, D(10))
        venue.settle()
        if state is TradingState.HALTED:
            assert not venue.resting
            assert venue.position == before
        assert abs(venue.position) <= abs(before) and venue.position * before >= 0
        before = venue.position
    venue.step(Resume(1, "operator", "over"))
    assert venue.kernel.desk.state is TradingState.ACTIVE


@pytest.mark.parametrize("seed", range(3))
def test_a_long_run_keeps_bounded_state(seed: int) -> None:
    import random

    rng = random.Random(seed)
    venue = ChaosVenue()
    for _ in range(3000):
        venue.act(rng.choice([0, 0, 1, 2, 2, 5, 6, 6, 7, 7, 9, 10]), rng.randrange(1000), rng.randrange(1000))
        venue.rows.clear()
    venue.settle()
    assert venue.kernel.desk.ledger.position("ETH") == venue.position
    assert len(venue.kernel.live_orders()) <= 4
    assert venue.now - T0 > 100 * SECOND
