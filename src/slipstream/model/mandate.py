"""What a pod may do, and for how long: the lease, the trading state and the halt."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import msgspec


class Stage(Enum):
    """The life of a strategy in the fund."""

    INCUBATION = "incubation"
    EVALUATION = "evaluation"
    GROWTH = "growth"
    MATURITY = "maturity"
    RETIREMENT = "retirement"


class TradingState(Enum):
    """What the gate lets through. REDUCING: only orders that shrink a position. HALTED: only cancels."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class Mandate(msgspec.Struct, frozen=True, tag="mandate"):
    """A lease of capital. Amounts are USD; ``coin_caps`` bounds the absolute notional of one coin.

    After ``expires_ns`` the pod only reduces; ``grace_ns`` later it cancels everything.
    """

    version: int
    pod: str
    capital: Decimal
    gross_cap: Decimal
    coin_caps: dict[str, Decimal] = {}
    action_budget: int = 0
    stage: Stage = Stage.INCUBATION
    issued_ns: int = 0
    expires_ns: int = 0
    grace_ns: int = 60_000_000_000

    def state_at(self, now_ns: int) -> TradingState:
        """What the lease alone permits at a time."""
        if now_ns < self.expires_ns:
            return TradingState.ACTIVE
        return TradingState.REDUCING if now_ns < self.expires_ns + self.grace_ns else TradingState.HALTED


class Halt(msgspec.Struct, frozen=True, tag="halt"):
    """A latched stop: who, why, how it clears. ``generation`` only grows; a Resume clears up to its own."""

    generation: int
    state: TradingState
    who: str
    why: str
    clears: str
    ns: int = 0


class Resume(msgspec.Struct, frozen=True, tag="resume"):
    """Clears every halt whose generation is not above this one; ``whose`` narrows it to the halts of one writer."""

    generation: int
    who: str
    why: str
    ns: int = 0
    whose: str = ""
