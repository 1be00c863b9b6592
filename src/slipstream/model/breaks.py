"""A break: a difference between two accounts of one thing, with its kind, size, age and evidence."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import msgspec


class Level(Enum):
    """How far a break has escalated. BREAKER: the breaker cancels and flattens, whatever the pod does."""

    WARN = "warn"
    REDUCING = "reducing"
    HALTED = "halted"
    BREAKER = "breaker"


class BreakKind(Enum):
    """What differs. The first group is about money and orders, the second about conduct."""

    POSITION = "position"  # a pod's reported position is not what its fills on the venue make
    FUND_POSITION = "fund_position"  # the venue's position is not the sum of attributed fills
    FILL_MISSING = "fill_missing"  # the venue has a fill that the pod's books lack
    FILL_FORGED = "fill_forged"  # the pod's books have what the venue never filled
    ORDER_HIDDEN = "order_hidden"  # an order of the pod rests that it does not report
    ORDER_PHANTOM = "order_phantom"  # the pod reports an order that does not rest
    ORDER_UNCLAIMED = "order_unclaimed"  # an order or fill of no known pod
    PNL = "pnl"
    ENTRY = "entry"  # realised against unrealised: the sum is right, its parts are not
    FEES = "fees"
    FUNDING = "funding"
    EXPOSURE = "exposure"  # reported exposure is not what the positions are worth

    CAP_EXCEEDED = "cap_exceeded"  # beyond the mandate, also between two reports
    FOREIGN_COIN = "foreign_coin"  # trades a coin that its mandate does not grant
    MANDATE_STALE = "mandate_stale"  # obeys an older mandate than the one in force
    LEASE_EXPIRED = "lease_expired"  # increases exposure after its lease ended
    STAGE = "stage"  # claims another stage than it was given
    HALT_IGNORED = "halt_ignored"  # places orders although halted
    REPORT_STALE = "report_stale"  # frozen: no new report
    REPORT_REPLAYED = "report_replayed"  # an old report again
    BEAT_MISSED = "beat_missed"
    CLOCK_SKEW = "clock_skew"
    BUDGET_ABUSE = "budget_abuse"  # more requests than the mandate's action budget
    INTENT = "intent"  # maker and taker volume against what the pod declares
    AUDITOR_SILENT = "auditor_silent"
    VENUE_UNREACHABLE = "venue_unreachable"


class Break(msgspec.Struct, frozen=True, kw_only=True, tag="break"):
    """One difference. ``id`` is a function of kind, pod and subject: the same difference is the same break.

    ``pod`` empty: the fund's. ``size`` is in ``unit`` (``USD``, a coin, ``orders``, ``s``); ``clears``: how it ends.
    """

    id: str
    kind: BreakKind
    pod: str
    subject: str
    size: Decimal
    unit: str
    level: Level
    first_ns: int
    last_ns: int
    evidence: tuple[str, ...]
    clears: str
    resolved_ns: int = 0
    resolved_by: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it still stands."""
        return self.resolved_ns == 0

    def age_ns(self, now_ns: int) -> int:
        """How long it has stood, or stood."""
        return (self.resolved_ns or now_ns) - self.first_ns


def break_id(kind: BreakKind, pod: str, subject: str) -> str:
    """The id of a difference, readable: ``position/brawler/BTC``."""
    return "/".join(part for part in (kind.value, pod or "fund", subject) if part)
