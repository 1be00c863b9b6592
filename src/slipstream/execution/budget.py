"""How many requests may still be sent: our own rate, the venue's address budget and the mandate's."""

from __future__ import annotations

from slipstream.execution.settings import SECOND, Limits
from slipstream.model.events import Budget
from slipstream.model.mandate import Mandate


def refilled(tokens: float, elapsed_ns: int, rate: float, burst: float) -> float:
    """A bucket after some time at a rate a second; never more than the burst. Compiled strategies call it, too."""
    return min(burst, tokens + elapsed_ns / SECOND * rate)


class ActionBudget:
    """Counts every request; placements stop while a reserve for cancels is left, cancels are never held back."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._since_mandate = 0
        self.begin()

    def begin(self) -> None:
        """A process starts: a full bucket, and the venue's count is to be read anew."""
        self._tokens = float(self.limits.burst)
        self._refilled_ns = 0
        self.last: Budget | None = None
        self.sent = 0
        self._since_read = 0

    def fold(self, event: Budget) -> None:
        """The venue told its count."""
        self.last = event
        self._since_read = 0

    def spend(self, now_ns: int) -> None:
        """One request goes out."""
        self._refill(now_ns)
        self._tokens = max(0.0, self._tokens - 1.0)
        self.sent += 1
        self._since_read += 1
        self._since_mandate += 1

    def _refill(self, now_ns: int) -> None:
        elapsed = max(0, now_ns - self._refilled_ns)
        self._tokens = refilled(self._tokens, elapsed, self.limits.actions_per_second, float(self.limits.burst))
        self._refilled_ns = max(now_ns, self._refilled_ns)

    def leased(self, mandate: Mandate) -> None:
        """A new mandate's action budget counts from now."""
        self._since_mandate = 0

    @property
    def address_left(self) -> int | None:
        """Requests left of the address budget by our reckoning, or None if the venue has not told."""
        return None if self.last is None else self.last.cap - self.last.used - self._since_read

    def refusal(self, now_ns: int, mandate: Mandate | None) -> str | None:
        """Why no order may be placed now, or None. A mandate's ``action_budget`` of 0 sets no bound."""
        self._refill(now_ns)
        if self._tokens < self.limits.cancel_reserve + 1:
            return f"action rate: more than {self.limits.actions_per_second:g} a second, the rest is for cancels"
        left = self.address_left
        if left is not None and left <= self.limits.address_reserve:
            return f"address budget: {left} requests left, {self.limits.address_reserve} are reserved for cancels"
        if mandate is not None and 0 < mandate.action_budget <= self._since_mandate:
            return f"mandate {mandate.version}: its {mandate.action_budget} actions are spent"
        return None
