"""What the bus said, folded into what is remembered of each pod. Messages may come late, twice and in any order."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from slipstream.federation.auditor.limits import AuditLimits
from slipstream.federation.auditor.memory import Granted, HeardReport, Pod, Pulse, Standing
from slipstream.federation.auditor.observe import Addressed, Heard
from slipstream.model.mandate import Halt, Mandate, Resume
from slipstream.model.messages import Beat, PodReport, StageChange
from slipstream.model.topics import ALL

KEPT_REPORTS = 6
KEPT_MANDATES = 32
KEPT_HALTS = 64


def heard_report(pod: Pod, report: PodReport, now_ns: int, wall_ns: int, limits: AuditLimits) -> Pod:
    """A report came: newer than all before, or one that was told before."""
    newest = pod.newest
    if newest is not None and (report.run, report.seq) <= (newest.run, newest.seq):
        if report == newest:
            return pod  # the bus delivers at least once
        text = f"run {report.run} seq {report.seq} came after run {newest.run} seq {newest.seq}"
        first_ns = pod.old_ns[0] if pod.old else now_ns
        return msgspec.structs.replace(pod, old=pod.old + 1, old_ns=(first_ns, now_ns), old_text=text)
    backwards = ""
    if newest is not None:
        forgiven = limits.order_grace_ns if report.run == newest.run else limits.max_skew_ns
        if report.ns + forgiven < newest.ns:
            late = (newest.ns - report.ns) / 1e9
            backwards = f"seq {report.seq} bears a time {late:.3f} s before that of seq {newest.seq}"
    made_ns = min(max(report.ns, now_ns - limits.max_skew_ns - limits.grace_ns), now_ns)
    same = newest is not None and newest.run == report.run
    return msgspec.structs.replace(
        pod,
        run_ns=pod.run_ns if same else now_ns,
        restarted_ns=pod.restarted_ns if same or newest is None else now_ns,
        reports=(*pod.reports[1 - KEPT_REPORTS :], HeardReport(report, now_ns, wall_ns, made_ns)),
        old=0,
        old_ns=(0, 0),
        old_text="",
        backwards=backwards,
        not_running_ns=0 if report.phase == "running" else pod.not_running_ns or now_ns,
        pending={o.cloid: pod.pending.get(o.cloid, now_ns) for o in report.orders if not o.oid},
    )


def heard_mandate(pod: Pod, mandate: Mandate, now_ns: int) -> Pod:
    """A mandate came; an old version changes nothing."""
    if pod.mandates and mandate.version <= pod.mandates[-1].mandate.version:
        return pod
    return msgspec.structs.replace(
        pod, mandates=(*pod.mandates[1 - KEPT_MANDATES :], Granted(mandate, now_ns)), actions=0
    )


def heard_halt(pod: Pod, halt: Halt, now_ns: int) -> Pod:
    """A halt came; it stands unless a Resume of its generation or a later one was heard."""
    if halt.generation <= max(pod.cleared.get("", 0), pod.cleared.get(halt.who, 0)):
        return pod
    halts = dict(pod.halts)
    since = now_ns
    for key, standing in pod.halts.items():
        known = standing.halt
        if (known.who, known.state, known.why) == (halt.who, halt.state, halt.why):
            since = min(since, standing.ns)
            halt = max(halt, known, key=lambda h: h.generation)
            del halts[key]
    halts[f"{halt.who}/{halt.generation}"] = Standing(halt, since)
    while len(halts) > KEPT_HALTS:
        del halts[min(halts, key=lambda key: halts[key].halt.generation)]
    return msgspec.structs.replace(pod, halts=halts)


def heard_resume(pod: Pod, resume: Resume) -> Pod:
    """A resume came: it clears halts up to its generation, of one writer if it names one."""
    cleared = pod.cleared | {resume.whose: max(pod.cleared.get(resume.whose, 0), resume.generation)}
    halts = {
        key: standing
        for key, standing in pod.halts.items()
        if standing.halt.generation > resume.generation or resume.whose not in ("", standing.halt.who)
    }
    return msgspec.structs.replace(pod, cleared=cleared, halts=halts)


def heard_addressed(pods: dict[str, Pod], item: Addressed, now_ns: int) -> None:
    """A halt or resume came for one pod or for all of them."""
    targets = list(pods) if item.target == ALL else [item.target] if item.target in pods else []
    for slug in targets:
        if isinstance(item.message, Halt):
            pods[slug] = heard_halt(pods[slug], item.message, now_ns)
        else:
            pods[slug] = heard_resume(pods[slug], item.message)


def _pulse(pulses: dict[str, Pulse], key: str, now: tuple[int, int], said: tuple[int, int]) -> None:
    before = pulses[key].lags if key in pulses else ()
    pulses[key] = Pulse(now[0], (*before[-1:], (now[0] - said[0], now[1] - said[1])))


def listen(
    pods: dict[str, Pod],
    pulses: dict[str, Pulse],
    heard: Iterable[Heard],
    now: tuple[int, int],
    limits: AuditLimits,
) -> tuple[dict[str, Pod], dict[str, Pulse]]:
    """Fold what was heard. ``now`` is (venue ns, wall ns). What concerns no pod of the fund is passed over."""
    pods, pulses = dict(pods), dict(pulses)
    for item in heard:
        if isinstance(item, PodReport):
            if item.pod in pods:
                before = pods[item.pod]
                pods[item.pod] = heard_report(before, item, *now, limits)
                if pods[item.pod].reports is not before.reports:
                    _pulse(pulses, f"report/{item.pod}", now, (item.ns, item.wall_ns))
        elif isinstance(item, Beat):
            _pulse(pulses, f"beat/{item.process}", now, (item.ns, item.wall_ns))
        elif isinstance(item, Mandate):
            if item.pod in pods:
                pods[item.pod] = heard_mandate(pods[item.pod], item, now[0])
        elif isinstance(item, StageChange):
            stage = pods[item.pod].stage if item.pod in pods else None
            if item.pod in pods and (stage is None or item.version > stage.version):
                pods[item.pod] = msgspec.structs.replace(pods[item.pod], stage=item)
        elif isinstance(item, Addressed):
            heard_addressed(pods, item, now[0])
    return pods, pulses
