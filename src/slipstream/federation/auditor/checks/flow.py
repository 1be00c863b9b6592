"""How a pod trades: requests against its action budget, maker share against what it declares."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from slipstream.federation.auditor.case import ZERO, Case, Finding
from slipstream.model.breaks import BreakKind, Level


def check_budget(case: Case) -> Iterator[Finding]:
    """BUDGET_ABUSE: more orders seen on the venue since the newest mandate than its action budget."""
    if not case.pod.mandates:
        return
    mandate = case.pod.mandates[-1].mandate
    if 0 < mandate.action_budget < case.pod.actions:
        yield Finding(
            kind=BreakKind.BUDGET_ABUSE,
            pod=case.slug,
            subject="",
            size=Decimal(case.pod.actions - mandate.action_budget),
            unit="orders",
            proven=True,
            level=Level.REDUCING,
            evidence=(
                f"the venue took {case.pod.actions} orders since mandate {mandate.version}, "
                f"which allows {mandate.action_budget} actions",
            ),
        )


def check_maker_share(case: Case) -> Iterator[Finding]:
    """INTENT: the part of its last fills' worth that the pod made, against the least it declares."""
    flow, declared = case.pod.flow, case.spec.maker_share
    if not declared or len(flow) < case.limits.intent_fills:
        return
    worth = sum((item.worth for item in flow), ZERO)
    made = sum((item.worth for item in flow if not item.crossed), ZERO)
    if worth and made / worth < declared - case.limits.intent_band:
        yield Finding(
            kind=BreakKind.INTENT,
            pod=case.slug,
            subject="",
            size=worth * declared - made,
            unit="USD",
            usd=worth * declared - made,
            proven=True,
            evidence=(
                f"of its last {len(flow)} fills for {worth:.2f} USD it made {made / worth:.1%}; "
                f"it declares at least {declared:.1%}",
            ),
        )
