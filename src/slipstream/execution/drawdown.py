"""The stop of a book that has lost too much: it latches, and only an operator's resume clears it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from slipstream.model.intents import Note
from slipstream.model.mandate import Resume


class DrawdownStop:
    """Trips once ``share`` of the capital is lost from the peak. Capital that is lent anew makes no loss larger."""

    def __init__(self, share: float) -> None:
        self.share = Decimal(repr(share))
        self.stopped = False
        self._peak: Decimal | None = None
        self._lent: Decimal | None = None  # the capital that the peak is measured against

    def watch(self, net: Decimal | None, capital: Decimal) -> list[Note]:
        """Take the profit of now, USD (None: not known), and the capital it is made with; what is said as it trips."""
        if net is None:
            return []
        if self._peak is not None and self._lent and capital != self._lent:
            # a loss is a part of what was lent when it was made: another lease leaves that part as it is
            self._peak = net + (self._peak - net) * capital / self._lent
        self._lent = capital
        self._peak = net if self._peak is None else max(self._peak, net)
        lost = (self._peak - net) / capital
        if self.stopped or lost < self.share:
            return []
        self.stopped = True
        return [Note("drawdown stop: everything is closed", {"lost": f"{lost:.2%}", "clears": "an operator's resume"})]

    def resumed(self, event: Resume) -> list[Note]:
        """A resume that is not for one writer's halts alone clears the stop; the peak begins anew."""
        if event.whose != "" or not self.stopped:
            return []
        self.stopped, self._peak = False, None
        return [Note("drawdown stop cleared", {"by": event.who, "why": event.why})]

    def snapshot(self) -> dict[str, object]:
        """Plain values that a restart must not forget."""
        return {
            "peak": None if self._peak is None else str(self._peak),
            "lent": None if self._lent is None else str(self._lent),
            "stopped": self.stopped,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a snapshot."""
        self._peak = Decimal(state["peak"]) if state.get("peak") is not None else None
        self._lent = Decimal(state["lent"]) if state.get("lent") is not None else None
        self.stopped = bool(state.get("stopped", False))
