"""The fund's config, the auditor's report and an operator's orders, in the allocator's words."""

from __future__ import annotations

from decimal import Decimal

from slipstream.federation.allocation import AllocationTerms
from slipstream.federation.allocator import AllocatorTerms, Input, Observation, Rebase
from slipstream.federation.capacity import Sample
from slipstream.federation.life import Override, Rules
from slipstream.federation.mandate import LeaseTerms, PodTerms
from slipstream.federation.shortfall import OrderCost
from slipstream.federation.stress import StressTerms
from slipstream.model.breaks import Level
from slipstream.model.mandate import Stage
from slipstream.model.messages import AuditReport, Configure
from slipstream.processes.fund import FundConfig

SECOND = 1_000_000_000
LEASE_LIVES = 2.0  # renewals whose requests one lease pays for: one renewal may be lost


def terms_of(fund: FundConfig, speed: float) -> AllocatorTerms:
    """The fund's rules for lending at a venue's speed."""
    block, lease, tests = fund.allocation, fund.lease, fund.stress

    def venue_ns(seconds: float) -> int:
        return int(seconds * SECOND * speed)

    return AllocatorTerms(
        pods=tuple(
            PodTerms(pod.slug, pod.coins, float(pod.gross_cap), float(pod.coin_cap), pod.stage) for pod in fund.pods
        ),
        allocation=AllocationTerms(
            reserve=block.reserve,
            kelly_fraction=block.kelly_fraction,
            max_drawdown=block.max_drawdown,
            max_turnover=block.max_turnover,
            move_cost=block.move_cost,
            prior_sharpe_sd=block.prior_sharpe_sd,
            min_hours=block.min_hours,
            stage_caps=dict(block.stage_caps),
        ),
        stress=StressTerms(
            tests.max_beta, tests.max_correlation, tests.max_loss, tests.vol_factor, tests.correlated_beta
        ),
        lease=LeaseTerms(
            venue_ns(lease.valid_s),
            venue_ns(lease.renew_s),
            venue_ns(lease.grace_s),
            actions=int(block.action_budget_per_s * lease.renew_s * LEASE_LIVES),
        ),
        life=rules_of(fund),
        every_ns=venue_ns(block.every_s),
        pod_drawdown=min(0.9, 2.0 * block.max_drawdown),
        gross_leverage=block.gross_leverage,
        max_slippage_bp=block.max_slippage_bp,
    )


def rules_of(fund: FundConfig) -> Rules:
    """The fund's rules of promotion and retirement."""
    block = fund.lifecycle
    return Rules(
        alpha=block.alpha,
        retire_alpha=block.retire_alpha,
        demote_alpha=max(Rules().demote_alpha, block.retire_alpha),
        min_hours=block.min_hours,
        min_fills=block.min_fills,
        cooldown_hours=block.cooldown_hours,
        max_shortfall_bp=block.max_shortfall_bp,
    )


def unread(report: AuditReport, ns: int, patience_ns: int) -> str:
    """Why an audit's books are no ground to lend on, however young the audit is; empty: they are one."""
    for pod in report.pods:
        if pod.known_ns == 0:
            return f"the auditor has not read the account of {pod.pod} yet"
        if pod.known_ns is not None and ns - pod.known_ns > patience_ns:
            return f"the auditor has not read the account of {pod.pod} for {(ns - pod.known_ns) / SECOND:.0f} s"
    return ""


def halted_by(report: AuditReport) -> dict[str, tuple[str, ...]]:
    """Ids of each pod's own open breaks that halt it."""
    grave = (Level.HALTED, Level.BREAKER)
    found: dict[str, tuple[str, ...]] = {}
    for one in report.breaks:
        if one.pod and one.is_open and one.level in grave:
            found[one.pod] = (*found.get(one.pod, ()), one.id)
    return found


def blocked_by(report: AuditReport) -> dict[str, str]:
    """Pods with an open break above a warning, and its name. A break of the fund's own blocks all of them."""
    found: dict[str, str] = {}
    slugs = [pod.pod for pod in report.pods]
    for one in report.breaks:
        if one.is_open and one.level is not Level.WARN:
            for slug in [one.pod] if one.pod else slugs:
                found.setdefault(slug, f"break {one.id} is {one.level.value}")
    return found


def observed(
    report: AuditReport,
    mids: dict[str, Decimal],
    coins: frozenset[str],
    samples: tuple[Sample, ...],
    costs: dict[str, tuple[OrderCost, ...]],
    ns: int,
) -> Observation:
    """The auditor's view of the fund in the allocator's words; ``coins`` are the venue's perps.

    ``samples`` and ``costs`` are what the pods' journals told.
    """
    marks = {coin: float(px) for coin, px in sorted(mids.items()) if coin in coins and px > 0}
    positions = {
        pod.pod: {
            line.coin: float(line.position) * marks[line.coin]
            for line in pod.lines
            if line.position and line.coin in marks
        }
        for pod in report.pods
    }
    return Observation(
        ns=ns,
        equity=float(report.equity),
        nets={pod.pod: float(pod.net) for pod in report.pods},
        marks=marks,
        positions=positions,
        fills={pod.pod: sum(line.fills for line in pod.lines) for pod in report.pods},
        blocked=blocked_by(report),
        halted=halted_by(report),
        samples=samples,
        costs={pod: fresh for pod, fresh in costs.items() if fresh},
    )


def asked(terms: AllocatorTerms, order: Configure, ns: int) -> list[Input]:
    """What an operator's Configure to the allocator means: ``stage.<pod>`` = a stage, ``high_water`` = USD.

    Raises ValueError with what is wrong and what may be said.
    """
    found: list[Input] = []
    pods = {one.pod for one in terms.pods}
    stages = {stage.value: stage for stage in Stage}
    for name, text in order.values.items():
        verb, _, pod = name.partition(".")
        if verb == "stage" and pod in pods:
            if text not in stages:
                raise ValueError(f"{name}: {text!r} is no stage; choose of {', '.join(stages)}")
            found.append(Override(pod, stages[text], order.who, order.why, ns))
        elif name == "high_water":
            found.append(Rebase(ns, _usd(name, text), order.who, order.why))
        else:
            choice = ", ".join(["high_water", *(f"stage.{one}" for one in sorted(pods))])
            raise ValueError(f"{name!r} cannot be configured; choose of {choice}")
    return found


def _usd(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not an amount of USD") from None
