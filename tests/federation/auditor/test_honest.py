"""Honest pods are never accused: thirty simulated days with every ordinary race, and any legal interleaving."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.federation.auditor.memory import Memory
from slipstream.model.breaks import Break
from slipstream.model.messages import AuditReport
from tests.federation.auditor.street import SECOND, Street

DAY = 86_400 * SECOND


def run(street: Street, cycles: int) -> None:
    for cycle in range(cycles):
        told = street.cycle()
        accused = [item.message for item in told if isinstance(item.message, Break)]
        assert not accused, f"cycle {cycle}: {accused}"


@pytest.mark.slow
def test_thirty_honest_days() -> None:
    street = Street(Random(20_261), speed=180.0, busy=0.06)
    cycles = 30 * DAY // street.wall(0.5)
    half = cycles // 2
    run(street, half)
    street.memory = msgspec.msgpack.decode(msgspec.msgpack.encode(street.memory), type=Memory)  # the auditor restarts
    run(street, cycles - half)
    print(
        f"30 days: {street.cycles} cycles, {street.reports} reports, {len(street.log)} fills, "
        f"{len(street.funding_log)} funding rows, {street.restarts} restarts, 0 breaks"
    )
    assert len(street.log) > 5_000
    assert street.restarts > 10
    assert len(street.funding_log) > 700


@given(st.integers(0, 2**32), st.sampled_from((1.0, 10.0, 60.0)), st.sampled_from((0.05, 0.3, 0.9)))
@settings(max_examples=25, deadline=None)
def test_any_legal_interleaving_is_believed(seed: int, speed: float, busy: float) -> None:
    run(Street(Random(seed), speed, busy), 60)


def test_the_books_are_the_pods_own() -> None:
    street = Street(Random(5), busy=0.5)
    for _ in range(400):
        told = street.cycle()
    street.busy = 0.0
    for _ in range(80):
        told = street.cycle()
    report = told[-1].message
    assert isinstance(report, AuditReport)
    for pod, seen in zip(street.pods, report.pods, strict=True):
        lines = {line.coin: line for line in seen.lines}
        assert lines.keys() == pod.ledger.lines.keys()
        for coin, own in pod.ledger.lines.items():
            assert (lines[coin].position, lines[coin].fees, lines[coin].fills) == (own.position, own.fees, own.fills)
            seen_cash = lines[coin].realised - lines[coin].position * lines[coin].average_px
            assert abs(seen_cash - (own.realised - own.cost)) < 1e-9  # the average entry depends on the order of fills
            assert abs(lines[coin].funding - own.funding) < 1e-9
