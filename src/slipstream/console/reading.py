"""What a person reads off a FundState at a moment: ages, sums, what the venue's clock shows, what is wrong.

Everything here is a function of the state and of ``now_ns`` (the wall's clock, ns). USD unless said otherwise.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.console.fund_state import FundState, Placed, PodView, stands
from slipstream.model.breaks import Break, Level
from slipstream.model.mandate import Stage, TradingState
from slipstream.model.messages import AuditedPod, CoinLine
from slipstream.model.topics import ALL

BEAT_MISSED_S = 4.0  # wall seconds without a beat after which a process counts as dead
STALE_S = 5.0  # wall seconds after which a report is called old
ZERO = Decimal(0)
LEVELS = tuple(Level)
STATES = tuple(TradingState)


class Sums(msgspec.Struct, frozen=True):
    """The fund in sums. ``net``: PnL after costs, by the auditor where it has spoken; None: not known."""

    equity: Decimal | None
    net_audited: Decimal | None
    net_reported: Decimal | None
    gross: Decimal | None
    net_exposure: Decimal | None
    fees: Decimal | None
    funding: Decimal | None
    fills: int | None
    orders: int | None
    beta: float | None

    @property
    def net(self) -> Decimal | None:
        """The audited figure, or the reported one while there is no other."""
        return self.net_audited if self.net_audited is not None else self.net_reported


class CoinView(msgspec.Struct, frozen=True):
    """One coin of a pod: what the pod says (``said``) beside what the venue shows (``audited``)."""

    coin: str
    said: CoinLine | None
    audited: CoinLine | None
    mark: Decimal | None

    @property
    def position(self) -> Decimal:
        """The signed position: the venue's where it is known."""
        line = self.audited or self.said
        return line.position if line is not None else ZERO


def seconds(later_ns: int, earlier_ns: int) -> float | None:
    """Seconds between two times, or None where the earlier one is not known."""
    return max(0.0, (later_ns - earlier_ns) / 1e9) if earlier_ns else None


def speed_of(state: FundState) -> float:
    """Venue seconds per wall second: measured on beats, else as told, else 1."""
    spans = [
        (view.beat.wall_ns - view.first_wall_ns, view.speed)
        for view in state.processes.values()
        if view.speed is not None
    ]
    span, speed = max(spans, default=(0, None), key=lambda pair: pair[0])
    if speed is None or speed <= 0 or (span < 2_000_000_000 and state.speed_hint):
        return state.speed_hint or 1.0
    return speed


def venue_ns(state: FundState, now_ns: int) -> int:
    """The venue's time now, carried on from the newest time heard; 0 while none was."""
    if not state.ns:
        return 0
    return state.ns + int(max(0, now_ns - state.ns_wall) * speed_of(state))


def lease_left(state: FundState, pod: PodView, now_ns: int) -> float | None:
    """Wall seconds until the mandate ends, negative after it; None without one."""
    now = venue_ns(state, now_ns)
    if pod.mandate is None or not now:
        return None
    return (pod.mandate.expires_ns - now) / 1e9 / speed_of(state)


def beat_age(state: FundState, process: str, now_ns: int) -> float | None:
    """Wall seconds since a process's last beat was heard; None: never."""
    view = state.processes.get(process)
    return None if view is None else seconds(now_ns, view.heard_ns)


def process_names(state: FundState) -> tuple[str, ...]:
    """Those that should beat, then others that do."""
    return (*state.expected, *sorted(name for name in state.processes if name not in state.expected))


def is_dead(state: FundState, process: str, now_ns: int) -> bool:
    """Whether a process that should beat does not."""
    age = beat_age(state, process, now_ns)
    if age is not None:
        return age > BEAT_MISSED_S
    waited = (now_ns - state.since_ns) / 1e9 if state.since_ns else BEAT_MISSED_S
    return process in state.expected and waited >= BEAT_MISSED_S


def report_age(pod: PodView, now_ns: int) -> float | None:
    """Wall seconds since the pod spoke of itself."""
    return seconds(now_ns, pod.report_heard_ns) if pod.report is not None else None


def audit_age(state: FundState, now_ns: int) -> float | None:
    """Wall seconds since the auditor's last cycle."""
    return seconds(now_ns, state.audit_heard_ns) if state.audit is not None else None


def is_stale(age: float | None) -> bool:
    """Whether a figure of this age must say so."""
    return age is None or age > STALE_S


def audited(state: FundState, slug: str) -> AuditedPod | None:
    """A pod as the venue shows it, by the auditor's last cycle."""
    if state.audit is None:
        return None
    return next((pod for pod in state.audit.pods if pod.pod == slug), None)


def stage_of(pod: PodView) -> Stage | None:
    """The stage it was given: by the lifecycle, else by its mandate, else what it says."""
    if pod.stage is not None:
        return pod.stage.after
    if pod.mandate is not None:
        return pod.mandate.stage
    return pod.report.stage if pod.report is not None else None


def halts_of(state: FundState, slug: str) -> tuple[Placed, ...]:
    """The halts in force for a pod, its own and everybody's, oldest first. ``all``: those of everybody."""
    found = [p for p in state.halts if p.target in (ALL, slug) and stands(state, p, slug)]
    return tuple(sorted(found, key=lambda p: (p.halt.generation, p.halt.who)))


def halts_in_force(state: FundState) -> tuple[Placed, ...]:
    """Every halt that holds somebody: one for ``all`` from which each pod was resumed by name holds nobody."""
    slugs = tuple(state.pods) or (ALL,)
    found = {p for slug in slugs for p in halts_of(state, slug)}
    return tuple(sorted(found, key=lambda p: (p.halt.generation, p.target, p.halt.who)))


def state_of(state: FundState, pod: PodView, now_ns: int) -> TradingState | None:
    """What the pod may do: what it says, or stricter where a halt or its lease already say so; None: unknown."""
    found = [p.halt.state for p in halts_of(state, pod.slug)]
    now = venue_ns(state, now_ns)
    if pod.mandate is not None and now:
        found.append(pod.mandate.state_at(now))
    if pod.report is not None:
        found.append(pod.report.state)
    return max(found, key=STATES.index, default=None)


def reasons_of(state: FundState, pod: PodView) -> tuple[str, ...]:
    """Why it may not trade freely: its own words, then halts that it has not yet spoken of."""
    said = pod.report.reasons if pod.report is not None else ()
    unsaid = tuple(
        f"{p.halt.state.value} by {p.halt.who}: {p.halt.why} (clears: {p.halt.clears})"
        for p in halts_of(state, pod.slug)
        if not any(p.halt.who in line and p.halt.why in line for line in said)
    )
    return (*said, *unsaid)


def coins_of(state: FundState, pod: PodView) -> tuple[CoinView, ...]:
    """Every coin the pod or the auditor speaks of, the largest position first."""
    said = {line.coin: line for line in pod.report.lines} if pod.report is not None else {}
    shown = audited(state, pod.slug)
    seen = {line.coin: line for line in shown.lines} if shown is not None else {}
    marks = pod.report.marks if pod.report is not None else {}
    coins = [CoinView(coin, said.get(coin), seen.get(coin), marks.get(coin)) for coin in {**said, **seen}]
    return tuple(sorted(coins, key=lambda c: (-abs(c.position * (c.mark or ZERO)), c.coin)))


def sums_of(state: FundState) -> Sums:
    """The fund in sums: the venue's side where the auditor has spoken, the pods' own words elsewhere."""
    audit = state.audit
    reports = [pod.report for pod in state.pods.values() if pod.report is not None]
    lines = [line for pod in audit.pods for line in pod.lines] if audit is not None else []
    lines = lines if audit is not None else [line for report in reports for line in report.lines]
    told = audit is not None or bool(reports)
    sides = audit.pods if audit is not None else reports
    return Sums(
        equity=audit.equity if audit is not None else None,
        net_audited=sum((pod.net for pod in audit.pods), ZERO) if audit is not None else None,
        net_reported=sum((report.net for report in reports), ZERO) if reports else None,
        gross=sum((pod.gross for pod in sides), ZERO) if told else None,
        net_exposure=sum((pod.net_exposure for pod in sides), ZERO) if told else None,
        fees=sum((line.fees for line in lines), ZERO) if told else None,
        funding=sum((line.funding for line in lines), ZERO) if told else None,
        fills=sum(line.fills for line in lines) if told else None,
        orders=sum(len(report.orders) for report in reports) if reports else None,
        beta=state.beta.after if state.beta is not None else None,
    )


def open_breaks(state: FundState) -> tuple[Break, ...]:
    """Open breaks, the worst first, then the oldest."""
    return tuple(sorted(state.breaks.values(), key=lambda b: (-LEVELS.index(b.level), b.first_ns, b.id)))


def problems(state: FundState, now_ns: int) -> tuple[str, ...]:
    """What makes `slipstream status` say 1: dead processes and open breaks at REDUCING or above, a line each."""
    if not state.heard:
        return ("nothing was heard on the bus: no process of the fund is alive, or its broker is away",)
    out = []
    for name in process_names(state):
        if is_dead(state, name, now_ns):
            age = beat_age(state, name, now_ns)
            out.append(
                f"{name} is dead: " + ("no beat was heard" if age is None else f"its last beat is {age:.0f} s old")
            )
    out.extend(
        f"break {b.id} is {b.level.value}: {b.size} {b.unit}; clears: {b.clears}"
        for b in open_breaks(state)
        if b.level is not Level.WARN
    )
    return tuple(out)
