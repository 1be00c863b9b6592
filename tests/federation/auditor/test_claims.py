"""What a pod says of its permission, and how long it may take to hear of one."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from slipstream.federation.auditor.memory import Memory
from slipstream.federation.auditor.observe import Observation
from slipstream.model.breaks import Break, BreakKind
from slipstream.model.mandate import TradingState
from slipstream.model.messages import AuditReport, PodReport
from tests.federation.auditor.reporting import totalled
from tests.federation.auditor.street import SECOND, Street


def kinds(street: Street, cycles: int) -> set[BreakKind]:
    told = [item.message for _ in range(cycles) for item in street.cycle()]
    return {item.kind for item in told if isinstance(item, Break)}


def without_mandate(report: PodReport) -> PodReport:
    return msgspec.structs.replace(report, mandate_version=0, stage=None, state=TradingState.HALTED)


def test_a_pod_that_starts_may_wait_for_its_mandate_but_not_for_ever() -> None:
    street = Street(Random(1), speed=1.0, busy=0.0)
    street.lie = without_mandate
    assert kinds(street, 50) == set()
    assert kinds(street, 20) == {BreakKind.MANDATE_STALE}


@pytest.mark.parametrize(("run", "expected"), [(0, {BreakKind.MANDATE_STALE}), (1, set())])
def test_a_pod_that_comes_back_may_obey_what_it_knew(run: int, expected: set[BreakKind]) -> None:
    street = Street(Random(1), speed=1.0, busy=0.0)
    kinds(street, 40)
    street.lie = lambda report: msgspec.structs.replace(
        report, run=report.run + run, mandate_version=report.mandate_version - 1, stage=None
    )
    assert kinds(street, 8) - {BreakKind.STAGE} == expected


@pytest.mark.parametrize("skew", [-600, 600])
def test_a_false_clock_hides_nothing(skew: int) -> None:
    street = Street(Random(2), speed=1.0, busy=0.5)
    assert kinds(street, 40) == set()

    def lie(report: PodReport) -> PodReport:
        ns = report.ns + skew * SECOND
        if report.pod == "gradient":
            return report
        lines = tuple(msgspec.structs.replace(x, position=x.position + 1) for x in report.lines)
        return totalled(msgspec.structs.replace(report, ns=ns, as_of_ns=ns, lines=lines))

    street.lie = lie
    found = kinds(street, 12)
    assert found >= {BreakKind.POSITION, BreakKind.CLOCK_SKEW}


def test_an_audit_says_how_far_its_books_are_known() -> None:
    street = Street(Random(3), speed=1.0, busy=0.0)
    (report,) = [item.message for item in street.cycle() if isinstance(item.message, AuditReport)]
    known = {pod.known_ns for pod in report.pods}
    (then,) = known
    assert then is not None and report.ns - SECOND <= then <= report.ns
    blind = Observation(ns=report.ns + 60 * SECOND, wall_ns=report.wall_ns + 60 * SECOND)
    for memory, expected in ((street.memory, then), (Memory(), 0)):
        _, told = street.auditor.step(memory, blind)
        (later,) = [item.message for item in told if isinstance(item.message, AuditReport)]
        assert later.ns == blind.ns and {pod.known_ns for pod in later.pods} == {expected}
        assert all(pod.sure_ns is not None and pod.sure_ns <= expected for pod in later.pods)
