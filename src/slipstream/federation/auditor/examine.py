"""Every check of a pod, and how sure a finding is: a stream may lose a fill, and what it lost looks like a lie."""

from __future__ import annotations

from msgspec.structs import replace

from slipstream.federation.auditor.case import Case, Finding
from slipstream.federation.auditor.checks import claims, conduct, flow, lines, money, orders, silence
from slipstream.federation.auditor.escalate import ON_FILLS
from slipstream.federation.auditor.memory import Memory
from slipstream.model.breaks import break_id

CHECKS = (
    lines.check_lines,
    money.check_totals,
    money.check_marks,
    money.check_funding,
    money.check_volumes,
    orders.check_hidden,
    orders.check_phantom,
    conduct.check_caps,
    conduct.check_coins,
    conduct.check_lease,
    conduct.check_halts,
    conduct.check_left_over,
    claims.check_mandate,
    claims.check_stage,
    claims.check_state,
    silence.check_reports,
    flow.check_budget,
    flow.check_maker_share,
)


def examine(case: Case) -> list[Finding]:
    """What every check finds. What a lost fill could explain is sure only if it is found again in the newest report
    whose fills were read twice.
    """
    found = [item for check in CHECKS for item in check(case)]
    twice = case.surely
    if twice is case or not any(item.kind in ON_FILLS for item in found):
        return found
    again = [item for check in CHECKS for item in check(twice) if item.kind in ON_FILLS]
    known = {(item.kind, item.subject) for item in again}
    rest = [replace(item, sure=False) if item.kind in ON_FILLS else item for item in found]
    return [*again, *(item for item in rest if item.sure or (item.kind, item.subject) not in known)]


def since_seen(memory: Memory, address: str, found: list[Finding], ns: int) -> list[Finding]:
    """Sums of an account that do not fit are sure once its fills were read twice since they were first seen."""
    view = memory.accounts[address].view
    sure_ns = view.sure_ns if view is not None else 0
    out = []
    for item in found:
        known = memory.tracked.get(break_id(item.kind, item.pod, item.subject))
        out.append(replace(item, sure=sure_ns >= (known.first_ns if known is not None else ns)))
    return out
