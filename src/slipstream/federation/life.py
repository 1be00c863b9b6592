"""The words of a pod's life in the fund: what is heard of it, the rules, and what is remembered."""

from __future__ import annotations

import math

import msgspec

from slipstream.core.stats.eprocess import BETS
from slipstream.core.stats.residual import HOURS_A_YEAR, new_hedge, new_scale
from slipstream.model.mandate import Stage

NOTHING = -1e9  # the logarithm of no evidence at all; finite, so that JSON can carry it
HOUR = 3_600_000_000_000
LADDER = (Stage.INCUBATION, Stage.EVALUATION, Stage.GROWTH, Stage.MATURITY)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What promotes, demotes and retires. Times are hours of the venue.

    ``alpha``: chance, over the fund's whole life and all its pods, that any pod without alpha is ever promoted.
    ``retire_alpha``, ``demote_alpha``: chance a year that a pod that is still good is retired, or demoted, for decay.
    ``rungs``: how many times its claim's level a pod's evidence must reach for each promotion.
    """

    alpha: float = 0.05
    planned_pods: int = 10
    reserve: float = 0.25
    rungs: tuple[float, float, float] = (1.0, 4.0, 16.0)
    fresh: float = 20.0
    retire_alpha: float = 0.05
    demote_alpha: float = 0.25
    min_hours: float = 168.0
    min_fills: int = 100
    cooldown_hours: float = 48.0
    max_shortfall_bp: float = 50.0
    block_hours: int = 12
    warm_blocks: int = 6
    keep: float = 0.5
    prior_vol: float = 0.2

    def __post_init__(self) -> None:
        for name in ("alpha", "retire_alpha", "demote_alpha", "reserve", "keep"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"lifecycle: {name} {getattr(self, name)} must be between 0 and 1")
        for name in ("min_hours", "min_fills", "cooldown_hours", "warm_blocks"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"lifecycle: {name} {getattr(self, name)} must be finite and not negative")
        for name in ("max_shortfall_bp", "prior_vol", "planned_pods", "block_hours"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"lifecycle: {name} {getattr(self, name)} must be positive and finite")
        if not 1.0 <= self.rungs[0] <= self.rungs[1] <= self.rungs[2] < math.inf or not 1.0 <= self.fresh < math.inf:
            raise ValueError(f"lifecycle: rungs {self.rungs} must rise from 1 or more, fresh {self.fresh} be 1 or more")
        if self.demote_alpha < self.retire_alpha:
            raise ValueError("lifecycle: demote_alpha must not be below retire_alpha: demotion is the milder step")

    @property
    def blocks_a_year(self) -> float:
        """Observations of the tests in a year."""
        return HOURS_A_YEAR / self.block_hours

    @property
    def cooldown_ns(self) -> int:
        """The cool-down in ns."""
        return int(self.cooldown_hours * HOUR)


class Admit(msgspec.Struct, frozen=True, tag="admit"):
    """A pod joins at the stage that the fund's config gives it. A second one of the same pod changes nothing."""

    pod: str
    stage: Stage
    ns: int


class HourSeen(msgspec.Struct, frozen=True, tag="hour"):
    """An hour that ended at ``ns``: the pod's return net of fees and funding on the capital it had, BTC's and ETH's.

    Returns are fractions; ``fills`` is how many it had in the hour.
    """

    pod: str
    ns: int
    ret: float
    btc: float
    eth: float
    fills: int = 0


class Conduct(msgspec.Struct, frozen=True, tag="conduct"):
    """How a pod stands now. Replaces what was known before.

    ``drawdown`` and ``max_drawdown``: fractions of capital. ``shortfall_bp``: mean implementation shortfall; None:
    unknown. ``room``: the capital its coins can bear over the capital it has; None: unknown. ``halted``: ids of its
    open breaks at level HALTED or above.
    """

    pod: str
    ns: int
    drawdown: float = 0.0
    max_drawdown: float = 1.0
    shortfall_bp: float | None = None
    room: float | None = None
    halted: tuple[str, ...] = ()


class Override(msgspec.Struct, frozen=True, tag="override"):
    """A person puts a pod into a stage and says why. Spends nothing of the budget and proves nothing."""

    pod: str
    stage: Stage
    who: str
    why: str
    ns: int


Input = Admit | HourSeen | Conduct | Override


class PodLife(msgspec.Struct, frozen=True, kw_only=True):
    """A pod's life so far. Evidence is in natural logarithms, one entry a bet.

    ``wealth``: against "no alpha", since it joined. ``fresh``: the same since its last demotion or override.
    ``decay``: the detector against "still earns ``reference`` standard deviations a block". ``falls_ns``: drawdowns
    count from then, the last demotion or override: what it was moved for is not held against it twice.
    """

    pod: str
    stage: Stage
    since_ns: int
    level: float  # share of the fund's alpha that its claim may spend
    cool_until_ns: int = 0
    falls_ns: int = 0
    last_hour_ns: int = 0
    stage_hours: int = 0
    stage_fills: int = 0
    hedge: tuple[float, ...]
    scale: tuple[float, ...]
    block_hours: int = 0
    block_sum: float = 0.0
    block_scale: float = 0.0
    blocks: int = 0
    z_sum: float = 0.0
    wealth: tuple[float, ...] = (0.0,) * len(BETS)
    fresh: tuple[float, ...] | None = None
    decay: tuple[float, ...] = (NOTHING,) * len(BETS)
    reference: float = 0.0
    warned: bool = False
    conduct: Conduct
    answered: tuple[str, ...] = ()  # breaks it was demoted for
    held: tuple[str, ...] = ()  # what last kept it from a promotion it had the evidence for


class LifecycleState(msgspec.Struct, frozen=True):
    """Every pod's life, by slug; claims made and the budget they may spend at most; the version of stage changes."""

    rules: Rules
    pods: dict[str, PodLife] = {}
    claims: int = 0
    spent: float = 0.0
    version: int = 0


def born(pod: str, stage: Stage, ns: int, level: float, rules: Rules) -> PodLife:
    """A pod of which nothing is known."""
    return PodLife(
        pod=pod,
        stage=stage,
        since_ns=ns,
        level=level,
        hedge=tuple(new_hedge().tolist()),
        scale=tuple(new_scale(rules.prior_vol).tolist()),
        conduct=Conduct(pod, ns),
    )
