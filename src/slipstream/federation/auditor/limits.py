"""What the auditor forgives and for how long. Times are venue nanoseconds."""

from __future__ import annotations

from decimal import Decimal

import msgspec

SECOND = 1_000_000_000


class AuditLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Tolerances and patience; `docs/auditor.md` derives them.

    - ``grace_ns``: what is younger may be in flight, and how long a difference must last.
    - ``confirm``: in how many cycles in a row a difference must be seen.
    - ``clear_after``: after how many cycles in a row without it a difference that is not latched is over.
    - ``order_grace_ns``: how much later than a pod's report an order of it may bear its time.
    - ``funding_grace_ns``: pods learn of funding by sweeps, half a minute apart.
    - ``obey_ns``: how soon a mandate, stage or halt must be obeyed after it was heard.
    - ``pending_ns``: how long an order may stay unacknowledged in a pod's reports.
    - ``start_ns``: how long a pod may be in another phase than running, and a process silent after the auditor starts.
    - ``report_stale_ns``, ``beat_missed_ns``, ``venue_stale_ns``, ``max_skew_ns``, ``silent_ns``: silences and skews.
    - ``escalate_ns``: after how long a difference that stands rises by a level.
    - ``keep_ns``: how far back books can be read.
    - ``cancel_ns``: how long after a halt an order may still rest.
    - ``money_usd``: rounding allowed on sums of fees and funding; ``pnl_usd`` on profits and exposures.
    - ``entry_share``: an average entry depends on the order of fills, profit does not; as a fraction.
    - ``mark_band``: how far a report's price may lie outside the venue's own of the last moments, as a fraction.
    - ``cap_band``, ``gross_band``: how far beyond a cap prices alone may carry a position that grows, or all of them.
    - ``big_usd``: a difference this large begins at REDUCING.
    - ``intent_fills``, ``intent_band``: how many fills make a maker share, and what it may lack.
    """

    grace_ns: int = 7 * SECOND // 10
    confirm: int = 2
    clear_after: int = 4
    order_grace_ns: int = SECOND // 4
    funding_grace_ns: int = 45 * SECOND
    obey_ns: int = SECOND
    cancel_ns: int = 5 * SECOND
    pending_ns: int = 30 * SECOND
    start_ns: int = 30 * SECOND
    report_stale_ns: int = 24 * SECOND // 10
    beat_missed_ns: int = 4 * SECOND
    venue_stale_ns: int = 5 * SECOND
    max_skew_ns: int = 2 * SECOND
    silent_ns: int = 5 * SECOND
    escalate_ns: int = 20 * SECOND
    keep_ns: int = 120 * SECOND
    speed: Decimal = Decimal(1)
    money_usd: Decimal = Decimal("0.000001")
    pnl_usd: Decimal = Decimal("0.05")
    entry_share: Decimal = Decimal("0.005")
    mark_band: Decimal = Decimal("0.01")
    cap_band: Decimal = Decimal("0.02")
    gross_band: Decimal = Decimal("0.05")
    big_usd: Decimal = Decimal(1_000)
    intent_fills: int = 50
    intent_band: Decimal = Decimal("0.15")

    def scaled(self, speed: float) -> AuditLimits:
        """The same patience in wall time at a venue whose clock runs ``speed`` times as fast."""
        times = {name: int(getattr(self, name) * speed) for name in self.__struct_fields__ if name.endswith("_ns")}
        return msgspec.structs.replace(self, **times, speed=self.speed * Decimal(str(speed)))
