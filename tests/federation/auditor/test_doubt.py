"""A stream that loses fills makes honest pods look like liars: nobody is accused before a second reading."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import msgspec
import pytest

from slipstream.execution.ledger import Ledger
from slipstream.federation.auditor.books import Books
from slipstream.federation.auditor.case import Case
from slipstream.federation.auditor.checks.silence import check_reports
from slipstream.federation.auditor.escalate import ON_FILLS
from slipstream.federation.auditor.hearing import heard_report
from slipstream.federation.auditor.limits import SECOND, AuditLimits
from slipstream.federation.auditor.memory import Account, Pod
from slipstream.federation.auditor.roster import PodSpec
from slipstream.model.breaks import Break, BreakKind
from slipstream.model.mandate import TradingState
from slipstream.model.messages import PodReport
from tests.federation.auditor.reporting import honest_report, totalled
from tests.federation.auditor.street import Street

LIMITS = AuditLimits()


def breaks(street: Street, cycles: int) -> list[Break]:
    told = [item.message for _ in range(cycles) for item in street.cycle()]
    return [item for item in told if isinstance(item, Break)]


def lossy(seed: int, speed: float) -> Street:
    street = Street(Random(seed), speed, busy=0.5)
    street.lost = 0.3
    return street


@pytest.mark.parametrize(("seed", "speed"), [(1, 1.0), (2, 10.0), (3, 60.0), (4, 60.0)])
def test_what_a_stream_lost_accuses_nobody(seed: int, speed: float) -> None:
    street = lossy(seed, speed)
    found = breaks(street, 700)
    assert len(street.log) > 50
    assert not [item for item in found if item.kind is not BreakKind.FUND_POSITION], found[:3]
    assert not [item for item in found if item.level.value != "warn"], found[:3]


def test_while_nothing_can_be_read_twice_nobody_is_called_a_liar() -> None:
    street = lossy(5, 60.0)
    assert breaks(street, 100) == []
    street.sweeps = False
    doubts = ON_FILLS | {BreakKind.FUND_POSITION}
    assert not [item for item in breaks(street, 240) if item.kind in doubts]
    assert street.memory.doubted
    street.sweeps = True
    assert not [item for item in breaks(street, 200) if item.kind in ON_FILLS]


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_a_liar_is_caught_all_the_same(speed: float) -> None:
    street = lossy(6, speed)
    breaks(street, 400)
    assert street.fills_of("gradient")

    def lie(report: PodReport) -> PodReport:
        if report.pod != "gradient" or not report.lines:
            return report
        lines = tuple(
            msgspec.structs.replace(x, fills=x.fills + 1, position=x.position + 1, volume=x.volume + 1)
            for x in report.lines
        )
        return totalled(msgspec.structs.replace(report, lines=lines))

    street.lie = lie
    found = breaks(street, 8)
    assert BreakKind.FILL_FORGED in {item.kind for item in found}
    assert {item.pod for item in found if item.pod} == {"gradient"}


def test_a_pod_that_lacks_fills_is_believed_again_once_it_has_them() -> None:
    street = Street(Random(7), 60.0, 0.5, AuditLimits(big_usd=Decimal(200)))
    breaks(street, 400)
    lines = street.pods[1].ledger.lines
    coin = max(lines, key=lambda name: abs(lines[name].position) * street.px[name])
    assert abs(lines[coin].position) * street.px[coin] > street.limits.big_usd

    def lacks(report: PodReport) -> PodReport:
        if report.pod != "gradient":
            return report
        return totalled(msgspec.structs.replace(report, lines=tuple(x for x in report.lines if x.coin != coin)))

    street.lie = lacks
    found = [item for item in breaks(street, 12) if item.kind in (BreakKind.POSITION, BreakKind.FILL_MISSING)]
    assert {item.level.value for item in found} == {"reducing"}
    assert not any("operator" in item.clears for item in found)
    street.lie = lambda report: report
    assert all(not item.is_open for item in breaks(street, 40)[-1:])
    assert not street.memory.halted


def told(pod: Pod, seq: int, at: float) -> Pod:
    when = seq * SECOND
    report = honest_report(
        Ledger(),
        {},
        (),
        None,
        pod="trend",
        account="0x",
        run=1,
        seq=seq,
        ns=when,
        wall_ns=when,
        as_of_ns=when,
        state=TradingState.ACTIVE,
    )
    return heard_report(pod, report, int(at * SECOND), 0, LIMITS)


def case_of(pod: Pod, ns: int, bus_since_ns: int) -> Case:
    return Case(
        limits=LIMITS,
        ns=ns,
        spec=PodSpec("trend", "0x"),
        pod=pod,
        account=Account(books=Books("0x")),
        fills=(),
        orders=(),
        marks=(),
        bus_since_ns=bus_since_ns,
        started_ns=1,
        awake_ns=1,
    )


def replayed(pod: Pod, at: float, bus_since: float = 1.0) -> list[str]:
    return [item.kind.value for item in check_reports(case_of(pod, int(at * SECOND), int(bus_since * SECOND)))]


def test_what_a_bus_delivers_again_is_no_replay_and_what_goes_on_is() -> None:
    pod = Pod()
    for seq in range(100, 111):
        pod = told(pod, seq, seq + 0.1)
    again = pod
    for number, seq in enumerate(range(103, 109)):  # all at once, whenever it is back
        again = told(again, seq, 112.0 + 0.05 * number)
    assert replayed(again, 113.0) == ["report_stale"]
    slow = pod
    for number, seq in enumerate(range(103, 109)):  # slowly, but the bus has just come back
        slow = told(slow, seq, 112.0 + 0.3 * number)
    assert replayed(slow, 114.9, 111.9) == ["report_stale"]
    assert replayed(slow, 114.0) == ["report_replayed"]
