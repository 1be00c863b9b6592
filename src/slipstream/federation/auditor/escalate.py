"""From findings to breaks, from breaks to halts: what lasts rises; some ends by itself, some only people may end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from slipstream.federation.auditor.case import Finding
from slipstream.federation.auditor.limits import AuditLimits
from slipstream.federation.auditor.memory import Tracked
from slipstream.federation.auditor.observe import Resolve
from slipstream.model.breaks import Break, BreakKind, Level, break_id
from slipstream.model.mandate import TradingState

LEVELS = (Level.WARN, Level.REDUCING, Level.HALTED, Level.BREAKER)
K = BreakKind
# the highest level that age or size alone can bring a difference to
MOST = {
    K.POSITION: Level.HALTED,
    K.FUND_POSITION: Level.HALTED,
    K.FILL_MISSING: Level.HALTED,
    K.FILL_FORGED: Level.BREAKER,
    K.ORDER_HIDDEN: Level.BREAKER,
    K.ORDER_PHANTOM: Level.REDUCING,
    K.ORDER_UNCLAIMED: Level.REDUCING,
    K.PNL: Level.HALTED,
    K.ENTRY: Level.WARN,  # it hangs on the order in which fills were heard, and no money does
    K.FEES: Level.HALTED,
    K.FUNDING: Level.HALTED,
    K.EXPOSURE: Level.HALTED,
    K.CAP_EXCEEDED: Level.BREAKER,
    K.FOREIGN_COIN: Level.BREAKER,
    K.MANDATE_STALE: Level.REDUCING,
    K.LEASE_EXPIRED: Level.BREAKER,
    K.STAGE: Level.REDUCING,
    K.HALT_IGNORED: Level.BREAKER,
    K.REPORT_STALE: Level.HALTED,
    K.REPORT_REPLAYED: Level.HALTED,
    K.BEAT_MISSED: Level.REDUCING,
    K.CLOCK_SKEW: Level.REDUCING,
    K.BUDGET_ABUSE: Level.HALTED,
    K.INTENT: Level.REDUCING,
    K.AUDITOR_SILENT: Level.WARN,
    K.VENUE_UNREACHABLE: Level.REDUCING,
}
BY_SIZE = frozenset({K.POSITION, K.FUND_POSITION, K.FILL_MISSING, K.PNL, K.FEES, K.FUNDING, K.EXPOSURE, K.ORDER_HIDDEN})
# what only a comparison with a pod's report can show, or show to be over
BY_REPORT = frozenset(
    {
        K.POSITION,
        K.FILL_MISSING,
        K.FILL_FORGED,
        K.ORDER_HIDDEN,
        K.ORDER_PHANTOM,
        K.PNL,
        K.ENTRY,
        K.FEES,
        K.FUNDING,
        K.EXPOSURE,
        K.MANDATE_STALE,
        K.STAGE,
    }
)

# what a fill that a stream lost would look like
ON_FILLS = frozenset({K.POSITION, K.FILL_MISSING, K.FILL_FORGED, K.PNL, K.ENTRY, K.FEES, K.EXPOSURE, K.INTENT})


def level_of(finding: Finding, age_ns: int, limits: AuditLimits) -> Level:
    """How far a finding has risen: where it begins, a level more if it is big, one more for every ``escalate_ns``."""
    first = LEVELS.index(finding.level)
    if finding.kind in BY_SIZE and finding.usd >= limits.big_usd:
        first = max(first, LEVELS.index(Level.REDUCING))
    most = max(LEVELS.index(MOST[finding.kind]), LEVELS.index(finding.level))
    return LEVELS[min(first + age_ns // limits.escalate_ns, most)]


def how_it_clears(finding: Finding, limits: AuditLimits) -> str:
    """In plain words."""
    if finding.latched:
        return "an operator resolves it, with a reason"
    if finding.kind in BY_REPORT:
        return f"by itself, once report and venue agree in {limits.clear_after} looks in a row"
    return f"by itself, once it is not seen in {limits.clear_after} looks in a row"


def state_for(level: Level) -> TradingState:
    """What a pod may still do at a level."""
    if level is Level.WARN:
        return TradingState.ACTIVE
    return TradingState.REDUCING if level is Level.REDUCING else TradingState.HALTED


def merge(findings: Iterable[Finding]) -> dict[str, Finding]:
    """One finding per difference: the largest of those that are the same, with the evidence of all (a few)."""
    out: dict[str, Finding] = {}
    for item in findings:
        key = break_id(item.kind, item.pod, item.subject)
        known = out.get(key)
        if known is None:
            out[key] = item
            continue
        big, small = (item, known) if item.usd > known.usd else (known, item)
        out[key] = msgspec.structs.replace(
            big,
            evidence=(*big.evidence, *small.evidence)[:8],
            latched=big.latched or small.latched,
            proven=big.proven or small.proven,
            sure=big.sure or small.sure,
            level=max(big.level, small.level, key=LEVELS.index),
        )
    return out


def follow(
    tracked: dict[str, Tracked], findings: dict[str, Finding], blind: frozenset[str], ns: int, limits: AuditLimits
) -> tuple[dict[str, Tracked], tuple[Break, ...]]:
    """Track findings; also every break that opened, rose, grew by half, or ended.

    ``blind``: pods that cannot be compared with their reports just now; what their reports showed stays as it is.
    """
    out: dict[str, Tracked] = {}
    changed: list[Break] = []
    for key, finding in findings.items():
        out[key] = _seen(tracked.get(key), key, finding, ns, limits)
        before = tracked[key].broken if key in tracked else None
        now = out[key].broken
        if now is not None and (before is None or before.level is not now.level or now.size * 2 >= before.size * 3 > 0):
            changed.append(now)
        elif now is not None and before is not None:
            # what was told last is what the next change is measured against
            kept = msgspec.structs.replace(now, size=before.size, evidence=before.evidence)
            out[key] = msgspec.structs.replace(out[key], broken=kept)
    for key, item in tracked.items():
        if key in findings or item.broken is None:
            continue
        waits = item.latched or (item.broken.kind in BY_REPORT and item.broken.pod in blind)
        missed = item.missed if waits else item.missed + 1
        if missed >= limits.clear_after:
            changed.append(msgspec.structs.replace(item.broken, resolved_ns=ns, resolved_by="the accounts agree again"))
        else:
            out[key] = msgspec.structs.replace(item, missed=missed)
    return out, tuple(changed)


def _seen(item: Tracked | None, key: str, finding: Finding, ns: int, limits: AuditLimits) -> Tracked:
    """A finding was made (again). One that is not sure counts, but opens and raises nothing."""
    item = item or Tracked(first_ns=ns, last_ns=ns, seen=0)
    item = msgspec.structs.replace(item, last_ns=ns, seen=item.seen + 1, missed=0)
    if not finding.sure:
        return item
    item = msgspec.structs.replace(item, latched=item.latched or finding.latched)
    lasted = item.seen >= limits.confirm and ns - item.first_ns >= limits.grace_ns
    if item.broken is None and not finding.proven and not lasted:
        return item
    level = level_of(finding, ns - item.first_ns, limits)
    before = item.broken
    if before is not None:
        level = max(level, before.level, key=LEVELS.index)
    latched = msgspec.structs.replace(finding, latched=item.latched)
    broken = Break(
        id=key,
        kind=finding.kind,
        pod=finding.pod,
        subject=finding.subject,
        size=max(finding.size, before.size) if before is not None and before.unit == finding.unit else finding.size,
        unit=finding.unit,
        level=level,
        first_ns=item.first_ns,
        last_ns=ns,
        evidence=finding.evidence,
        clears=how_it_clears(latched, limits),
    )
    return msgspec.structs.replace(item, broken=broken)


def resolve(
    tracked: dict[str, Tracked], asked: Sequence[Resolve], ns: int
) -> tuple[dict[str, Tracked], tuple[Break, ...], tuple[str, ...]]:
    """Close breaks that an operator resolves; also those closed, and what could not be done and why.

    What still stands is found, and opened, again.
    """
    tracked, closed, refused = dict(tracked), [], []
    for item in asked:
        found = tracked.get(item.break_id)
        if not item.reason.strip():
            refused.append(f"{item.break_id}: not resolved, say why")
        elif found is None or found.broken is None:
            near = ", ".join(sorted(k for k, t in tracked.items() if t.broken is not None)) or "none"
            refused.append(f"no break {item.break_id!r} is open; open: {near}")
        else:
            by = f"{item.operator}: {item.reason}"
            closed.append(msgspec.structs.replace(found.broken, resolved_ns=ns, resolved_by=by))
            del tracked[item.break_id]
    return tracked, tuple(closed), tuple(refused)


def wanted(tracked: dict[str, Tracked], everybody: str) -> dict[str, tuple[Level, tuple[Break, ...]]]:
    """The worst level of each pod (and of ``everybody``, for the fund's own breaks) above WARN, with its breaks."""
    out: dict[str, list[Break]] = {}
    for item in tracked.values():
        if item.broken is not None and item.broken.level is not Level.WARN:
            out.setdefault(item.broken.pod or everybody, []).append(item.broken)
    return {
        target: (max((b.level for b in breaks), key=LEVELS.index), tuple(sorted(breaks, key=lambda b: b.id)))
        for target, breaks in sorted(out.items())
    }


def in_words(broken: Break) -> str:
    """A break in a line."""
    size = format(broken.size.normalize() if broken.size else Decimal(0), "f")
    whom = broken.pod or "the fund"
    about = f" {broken.subject}" if broken.subject else ""
    return (
        f"{broken.kind.value}{about} of {whom}: {size} {broken.unit}; {broken.evidence[0] if broken.evidence else ''}"
    )
