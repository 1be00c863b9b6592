"""Who has not been heard, whose clock is off, who says the same thing again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from slipstream.federation.auditor.case import Case, Finding
from slipstream.federation.auditor.limits import AuditLimits
from slipstream.federation.auditor.memory import Memory, Pulse
from slipstream.model.breaks import BreakKind, Level

NS = Decimal(1_000_000_000)


def seconds(ns: int) -> Decimal:
    """Nanoseconds as seconds, to the millisecond."""
    return (Decimal(ns) / NS).quantize(Decimal("0.001"))


def check_reports(case: Case) -> Iterator[Finding]:
    """REPORT_STALE, REPORT_REPLAYED: no new report for too long; if old ones keep coming instead, a replay.

    A bus that delivers again what it was not thanked for tells old reports all at once, soon after it is back: that
    is no pod's doing.
    """
    limits, pod = case.limits, case.pod
    if not case.bus_since_ns:
        return
    heard_ns = max(pod.reports[-1].ns if pod.reports else 0, case.bus_since_ns)
    allowed = limits.report_stale_ns if pod.reports else limits.start_ns
    silent = case.ns - max(heard_ns, case.awake_ns)
    if silent > allowed:
        first_ns, last_ns = pod.old_ns
        calm_ns = max(case.bus_since_ns, case.awake_ns) + limits.report_stale_ns
        replayed = last_ns - max(first_ns, calm_ns) >= limits.grace_ns
        yield Finding(
            kind=BreakKind.REPORT_REPLAYED if replayed else BreakKind.REPORT_STALE,
            pod=case.slug,
            subject="",
            size=seconds(silent),
            unit="s",
            proven=True,
            latched=replayed,
            level=Level.REDUCING if replayed else Level.WARN,
            evidence=(
                f"no new report for {seconds(silent)} s",
                *((f"{pod.old} old ones came: {pod.old_text}",) if replayed else ()),
            ),
        )
    elif pod.not_running_ns and case.ns - pod.not_running_ns > limits.start_ns:
        phase = pod.reports[-1].report.phase
        yield Finding(
            kind=BreakKind.REPORT_STALE,
            pod=case.slug,
            subject="phase",
            size=seconds(case.ns - pod.not_running_ns),
            unit="s",
            evidence=(f"phase {phase} for {seconds(case.ns - pod.not_running_ns)} s: nothing it says can be checked",),
        )
    if pod.backwards:
        yield Finding(
            kind=BreakKind.REPORT_REPLAYED,
            pod=case.slug,
            subject="time",
            size=Decimal(1),
            unit="reports",
            proven=True,
            latched=True,
            level=Level.REDUCING,
            evidence=(pod.backwards,),
        )


def check_skew(pod: str, pulse: Pulse | None, limits: AuditLimits) -> Iterator[Finding]:
    """CLOCK_SKEW: a clock ahead of ours (nothing comes from the future), or behind in two messages in a row.

    A message that was held up looks like a clock that is behind, so one alone does not count.
    """
    if pulse is None:
        return
    wall_limit = int(limits.max_skew_ns / limits.speed)
    found = []
    for what, place, allowed in (("venue", 0, limits.max_skew_ns), ("wall", 1, wall_limit)):
        lags = [lag[place] for lag in pulse.lags]
        if lags[-1] < -allowed:
            found.append((what, lags[-1]))
        elif len(lags) > 1 and min(lags) > allowed:
            found.append((what, min(lags)))
    for what, lag in found:
        side = "ahead of" if lag < 0 else "behind"
        yield Finding(
            kind=BreakKind.CLOCK_SKEW,
            pod=pod,
            subject=what,
            size=seconds(abs(lag)),
            unit="s",
            proven=lag > 0,  # two messages said so already
            evidence=(f"its {what} time is {seconds(abs(lag))} s {side} the auditor's",),
        )


def check_beats(
    memory: Memory, processes: Iterable[str], ns: int, bus_since_ns: int, limits: AuditLimits
) -> list[Finding]:
    """BEAT_MISSED: a process of the fund that is not heard; a pod's is its own, the others' are the fund's."""
    found: list[Finding] = []
    if not bus_since_ns:
        return found
    since = max(memory.awake_ns, bus_since_ns)
    for process in processes:
        pulse = memory.pulses.get(f"beat/{process}")
        allowed = limits.beat_missed_ns if pulse is not None else limits.start_ns
        silent = ns - max(pulse.ns if pulse is not None else 0, since)
        if silent > allowed:
            found.append(
                Finding(
                    kind=BreakKind.BEAT_MISSED,
                    pod=process if process in memory.pods else "",
                    subject="" if process in memory.pods else process,
                    size=seconds(silent),
                    unit="s",
                    proven=True,
                    evidence=(f"{process} has not been heard for {seconds(silent)} s",),
                )
            )
    return found
