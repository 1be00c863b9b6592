"""What a pod says of its own permission: the mandate it obeys, its stage, the state it trades in."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from slipstream.federation.auditor.case import Case, Finding
from slipstream.federation.auditor.checks.conduct import STRICT, halted_at
from slipstream.federation.auditor.memory import HeardReport
from slipstream.model.breaks import BreakKind


def _newest(case: Case) -> HeardReport | None:
    return case.pod.reports[-1] if case.pod.reports and not case.pod.not_running_ns else None


def _has_none_yet(case: Case, heard: HeardReport) -> bool:
    """Whether a pod that has just started waits for its mandate; it can do nothing without one."""
    return heard.report.mandate_version == 0 and heard.made_ns < case.pod.run_ns + case.limits.start_ns


def _just_back(case: Case, heard: HeardReport) -> bool:
    """Whether a pod has only just started again, and may not have heard what the bus retains for it."""
    return bool(case.pod.restarted_ns) and heard.made_ns < case.pod.restarted_ns + case.limits.cancel_ns


def check_mandate(case: Case) -> Iterator[Finding]:
    """MANDATE_STALE: an older mandate than the one in force, or one that was never granted."""
    heard = _newest(case)
    if heard is None or not case.pod.mandates or not case.bus_since_ns or _has_none_yet(case, heard):
        return
    report = heard.report
    due = [g.mandate.version for g in case.pod.mandates if g.ns + case.limits.obey_ns <= heard.made_ns]
    known = case.pod.mandates[-1].mandate.version
    heard_ns = case.pod.mandates[-1].ns
    if due and report.mandate_version < due[-1] and not _just_back(case, heard):
        text, size = f"mandate {due[-1]} has been in force", due[-1] - report.mandate_version
    elif report.mandate_version > known and case.hears(heard.made_ns):
        text, size = f"no mandate above {known} was granted", report.mandate_version - known
    else:
        return
    yield Finding(
        kind=BreakKind.MANDATE_STALE,
        pod=case.slug,
        subject="",
        size=Decimal(size),
        unit="versions",
        evidence=(f"the pod obeys mandate {report.mandate_version}", f"{text}; the newest was heard at {heard_ns}"),
    )


def check_stage(case: Case) -> Iterator[Finding]:
    """STAGE: another stage than the mandate that the pod obeys, or the last change, gives it."""
    heard = _newest(case)
    if heard is None or not case.bus_since_ns or heard.report.mandate_version == 0:
        return
    report = heard.report
    allowed = {g.mandate.stage for g in case.pod.mandates if g.mandate.version == report.mandate_version}
    change = case.pod.stage
    if change is not None and (allowed or change.ns + case.limits.obey_ns <= heard.made_ns):
        allowed.add(change.after)
    if not allowed or report.stage in allowed:
        return
    given = " or ".join(sorted(stage.value for stage in allowed))
    yield Finding(
        kind=BreakKind.STAGE,
        pod=case.slug,
        subject="",
        size=Decimal(1),
        unit="stages",
        evidence=(f"the pod claims stage {report.stage.value if report.stage else 'none'}; it was given {given}",),
    )


def check_state(case: Case) -> Iterator[Finding]:
    """HALT_IGNORED: claims a freer state than a halt allows."""
    heard = _newest(case)
    if heard is None:
        return
    report = heard.report
    state, words, _ = halted_at(case, heard.made_ns)
    if not _just_back(case, heard) and STRICT[report.state] < STRICT[state]:
        yield Finding(
            kind=BreakKind.HALT_IGNORED,
            pod=case.slug,
            subject="state",
            size=Decimal(1),
            unit="states",
            evidence=(f"the pod says it is {report.state.value}", words),
        )
