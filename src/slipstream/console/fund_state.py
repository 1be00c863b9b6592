"""The fund as heard on the bus: a pure fold of messages into one frozen value. Every view is drawn from it.

Each thing heard keeps the wall time it is true for, so that an old figure can say its age: the time it arrived, or,
where it had lain on the bus before we came (retained), the time its sender put on it.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from slipstream.model.breaks import Break
from slipstream.model.mandate import Halt, Mandate, Resume
from slipstream.model.messages import (
    Alert,
    AuditReport,
    Beat,
    Decision,
    Flatten,
    Forecast,
    PodReport,
    StageChange,
)
from slipstream.model.topics import ALL, Topics
from slipstream.runtime.bus.port import Received

KEPT_DECISIONS = 60
KEPT_ALERTS = 30
KEPT_RESOLVED = 30
KEPT_HALTS = 64
SPEED_SPAN_NS = 30_000_000_000  # wall time over which the venue clock's speed is measured
OPERATOR = "operator"
BETA = "beta"  # kind of the decision that tells the fund's beta (``after``): a figure, not an event
FEDERATION = ("allocator", "auditor", "breaker")

Item = TypeVar("Item")


class ProcessView(msgspec.Struct, frozen=True):
    """A process by its beats. ``first_*`` is an earlier beat of the same run: with the last one it shows the speed."""

    beat: Beat
    heard_ns: int
    first_ns: int
    first_wall_ns: int

    @property
    def speed(self) -> float | None:
        """Venue ns per wall ns, or None after one beat."""
        wall = self.beat.wall_ns - self.first_wall_ns
        return (self.beat.ns - self.first_ns) / wall if wall > 0 else None


class PodView(msgspec.Struct, frozen=True):
    """What is known of a pod: what it says of itself, what it was given, what it last acknowledged."""

    slug: str
    report: PodReport | None = None
    report_heard_ns: int = 0
    mandate: Mandate | None = None
    stage: StageChange | None = None
    ack: Decision | None = None
    ack_heard_ns: int = 0
    phase: str = ""


class Placed(msgspec.Struct, frozen=True):
    """A halt and whom it was told to: a slug or ``all``."""

    target: str
    halt: Halt


class Heard(msgspec.Struct, frozen=True):
    """A decision and who said it (a process)."""

    process: str
    decision: Decision


class FundState(msgspec.Struct, frozen=True):
    """The fund. ``expected`` are the processes that should beat; ``speed_hint`` 0: not told.

    ``cleared`` holds the highest Resume by ``target/whose``. ``ns`` is the newest venue time heard, ``ns_wall`` when.
    ``since_ns``: wall time since when we listen, so that nobody counts as dead before he could speak; 0: long enough.
    """

    realm: str
    expected: tuple[str, ...] = ()
    speed_hint: float = 0.0
    since_ns: int = 0
    processes: dict[str, ProcessView] = {}
    pods: dict[str, PodView] = {}
    audit: AuditReport | None = None
    audit_heard_ns: int = 0
    breaks: dict[str, Break] = {}
    resolved: tuple[Break, ...] = ()
    halts: tuple[Placed, ...] = ()
    cleared: dict[str, int] = {}
    flattens: tuple[Flatten, ...] = ()
    decisions: tuple[Heard, ...] = ()
    alerts: tuple[Alert, ...] = ()
    forecast: Forecast | None = None
    beta: Decision | None = None
    generation: int = 0
    ns: int = 0
    ns_wall: int = 0
    heard: int = 0
    heard_ns: int = 0


def begin(realm: str, pods: tuple[str, ...] = (), *, speed: float = 0.0, since_ns: int = 0) -> FundState:
    """A fund of which nothing was heard yet; with ``pods`` its processes are known and missed if they are silent."""
    return FundState(
        realm=realm,
        expected=(*FEDERATION, *pods) if pods else (),
        speed_hint=speed,
        since_ns=since_ns,
        pods={slug: PodView(slug) for slug in pods},
    )


def filters(realm: str) -> tuple[str, ...]:
    """What to subscribe to, to hear all that the fold understands."""
    topics = Topics(realm)
    return (
        topics.beat("+"),
        topics.pod("+", "status"),
        topics.pod("+", "report"),
        topics.pod("+", "ack"),
        topics.mandate("+"),
        topics.stage("+"),
        topics.forecast,
        topics.decision("+"),
        topics.halt("+", "+"),
        topics.flatten("+"),
        topics.audit,
        topics.broken("+"),
        topics.alert("+"),
    )


def fold(state: FundState, received: Received) -> FundState:
    """The state after one more message. Old, repeated and foreign messages change nothing but the count."""
    message = received.message
    level = received.topic.split("/")
    at = _heard_at(received)
    state = _change(state, heard=state.heard + 1, heard_ns=max(state.heard_ns, received.received_ns))
    if isinstance(message, Beat):
        return _beat(state, message, received) if message.process == level[-1] else state
    if isinstance(message, PodReport):
        if level[-1] == "status":
            return _status(state, level[-2], message.phase, retained=received.retained)
        return _report(state, message, at) if message.pod == level[-2] else state
    if isinstance(message, AuditReport):
        return _audit(state, message, at)
    if isinstance(message, Break):
        return _break(state, message)
    if isinstance(message, Mandate | StageChange):
        return _given(state, message)
    if isinstance(message, Halt | Resume):
        return _permit(state, message, writer=level[-2], target=level[-1])
    if isinstance(message, Decision):
        return _decision(state, message, level, received)
    if isinstance(message, Alert):
        return _change(state, alerts=_newest(state.alerts, message, KEPT_ALERTS))
    if isinstance(message, Flatten):
        return _change(_generation(state, message.generation), flattens=_newest(state.flattens, message, KEPT_ALERTS))
    if isinstance(message, Forecast):
        newer = state.forecast is None or message.version >= state.forecast.version
        return _change(state, forecast=message) if newer else state
    return _generation(state, message.generation)


def _change(state: FundState, **values: Any) -> FundState:
    return msgspec.structs.replace(state, **values)


def _newest(items: tuple[Item, ...], item: Item, kept: int) -> tuple[Item, ...]:
    return items if items and items[-1] == item else (*items[1 - kept :], item)


def _heard_at(received: Received) -> int:
    """The wall time a message is true for: a retained one is as old as its sender says."""
    said = getattr(received.message, "wall_ns", 0)
    return said if received.retained and said else received.received_ns


def _generation(state: FundState, generation: int) -> FundState:
    return _change(state, generation=max(state.generation, generation))


def _time(state: FundState, ns: int, wall_ns: int) -> FundState:
    return _change(state, ns=ns, ns_wall=wall_ns) if ns > state.ns else state


def _beat(state: FundState, beat: Beat, received: Received) -> FundState:
    known = state.processes.get(beat.process)
    if known is not None and (beat.run, beat.seq) <= (known.beat.run, known.beat.seq):
        return state
    at = received.received_ns
    if known is None or known.beat.run != beat.run or beat.wall_ns <= known.beat.wall_ns:
        view = ProcessView(beat, at, beat.ns, beat.wall_ns)
    elif beat.wall_ns - known.first_wall_ns > SPEED_SPAN_NS:
        view = ProcessView(beat, at, known.beat.ns, known.beat.wall_ns)
    else:
        view = ProcessView(beat, at, known.first_ns, known.first_wall_ns)
    state = _change(state, processes={**state.processes, beat.process: view})
    return _time(state, beat.ns, at)


def _pod(state: FundState, slug: str, **values: Any) -> FundState:
    view = msgspec.structs.replace(state.pods.get(slug) or PodView(slug), **values)
    return _change(state, pods={**state.pods, slug: view})


def _report(state: FundState, report: PodReport, at: int) -> FundState:
    known = state.pods.get(report.pod)
    newest = known.report if known is not None else None
    if newest is not None and (report.run, report.seq) <= (newest.run, newest.seq):
        return state
    return _time(_pod(state, report.pod, report=report, report_heard_ns=at, phase=report.phase), report.ns, at)


def _status(state: FundState, slug: str, phase: str, *, retained: bool) -> FundState:
    """A pod's status, or its last will: an old one tells nothing once the pod has spoken since."""
    known = state.pods.get(slug)
    if retained and known is not None and known.phase:
        return state
    return _pod(state, slug, phase=phase)


def _given(state: FundState, message: Mandate | StageChange) -> FundState:
    known = state.pods.get(message.pod) or PodView(message.pod)
    before = known.mandate if isinstance(message, Mandate) else known.stage
    if before is not None and message.version <= before.version:
        return state
    if isinstance(message, Mandate):
        return _pod(state, message.pod, mandate=message)
    return _pod(state, message.pod, stage=message)


def _audit(state: FundState, report: AuditReport, at: int) -> FundState:
    known = state.audit
    if known is not None and (report.ns, report.cycle) <= (known.ns, known.cycle):
        return state
    # a report has every open break; one that it no longer has is over
    still = {b.id: b for b in report.breaks if b.is_open}
    return _time(_change(state, audit=report, audit_heard_ns=at, breaks=still), report.ns, at)


def _break(state: FundState, told: Break) -> FundState:
    known = state.breaks.get(told.id)
    if known is not None and told.last_ns < known.last_ns:
        return state
    rest = {key: b for key, b in state.breaks.items() if key != told.id}
    if told.is_open:
        return _change(state, breaks={**rest, told.id: told})
    kept = tuple(b for b in state.resolved if (b.id, b.first_ns) != (told.id, told.first_ns))
    return _change(state, breaks=rest, resolved=_newest(kept, told, KEPT_RESOLVED))


def _permit(state: FundState, message: Halt | Resume, *, writer: str, target: str) -> FundState:
    """As a pod takes it: a writer speaks for itself alone, but the operator clears what anybody latched."""
    if message.who.partition(":")[0] != writer and writer != OPERATOR:
        return state
    state = _generation(state, message.generation)
    if isinstance(message, Halt):
        same = (message.who, message.state, message.why)
        rest = tuple(p for p in state.halts if (p.halt.who, p.halt.state, p.halt.why) != same or p.target != target)
        newest = [p.halt for p in state.halts if p not in rest]
        halt = max([message, *newest], key=lambda h: h.generation)
        placed = Placed(target, halt)
        return _change(state, halts=(*rest[1 - KEPT_HALTS :], placed)) if stands(state, placed, target) else state
    key = f"{target}/{message.whose if writer == OPERATOR else writer}"
    highest = max(state.cleared.get(key, 0), message.generation)
    state = _change(state, cleared={**state.cleared, key: highest})
    return _change(state, halts=tuple(p for p in state.halts if stands(state, p, p.target)))


def stands(state: FundState, placed: Placed, slug: str) -> bool:
    """Whether a halt holds a pod (``all``: everybody): no Resume of its generation or a later one was heard."""
    keys = [f"{whom}/{whose}" for whom in {ALL, slug} for whose in ("", placed.halt.who)]
    return placed.halt.generation > max(state.cleared.get(key, 0) for key in keys)


def _decision(state: FundState, decision: Decision, level: list[str], received: Received) -> FundState:
    if decision.kind == BETA and not decision.pod:
        return _change(state, beta=decision)
    if level[-3] != "pod":
        heard = Heard(level[-1], decision)
    elif level[-1] == "ack":
        heard = Heard(level[-2], decision)
        before = state.pods[level[-2]].ack if level[-2] in state.pods else None
        state = _pod(state, level[-2], ack=decision, ack_heard_ns=received.received_ns)
        # every renewed lease is acknowledged; worth telling is that the pod's state has changed
        if before is not None and before.text.split(" ")[0] == decision.text.split(" ")[0]:
            return state
    else:
        return _status(state, level[-2], decision.text, retained=received.retained)
    if heard in state.decisions:
        return state
    return _change(state, decisions=_newest(state.decisions, heard, KEPT_DECISIONS))
