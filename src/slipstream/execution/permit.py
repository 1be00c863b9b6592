"""What the pod may do now: latched halts, the lease, and whether our books agree with the venue's."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from slipstream.model.mandate import Halt, Mandate, Resume, TradingState

Said = TypeVar("Said", Halt, Resume)
_ORDER = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}
SHUTDOWN = "pod"  # who of the halt that a stopping pod gives itself; the next start clears it
WATCH = "beat watch"  # who of the halt that a pod gives itself while nobody watches it; the next start watches anew


class Permit:
    """A fold of Mandate, Halt and Resume, and of the reconciliations that the kernel reports."""

    def __init__(self, slug: str, require_mandate: bool) -> None:
        self._slug = slug
        self._require_mandate = require_mandate
        self.halts: dict[tuple[int, str], Halt] = {}  # by generation and writer
        self.cleared = 0  # by a Resume of everybody's halts
        self._cleared_of: dict[str, int] = {}  # by a Resume of one writer's
        self.mandate: Mandate | None = None
        self.breaks: tuple[str, ...] = ()
        self.reconciled = False

    def begin(self) -> None:
        """A process starts: it must reconcile first; the halts that the last one gave itself are over."""
        self.reconciled = False
        self.halts = {key: halt for key, halt in self.halts.items() if halt.who not in (SHUTDOWN, WATCH)}

    def fold(self, event: Mandate | Halt | Resume) -> bool:
        """Take one; False if it is stale, or for another pod."""
        if isinstance(event, Mandate):
            known = self.mandate.version if self.mandate is not None else -1
            if event.pod != self._slug or event.version <= known:
                return False
            self.mandate = event
        elif isinstance(event, Halt):
            event = self._own(event)
            if event.generation <= max(self.cleared, self._cleared_of.get(event.who, 0)):
                return False
            # the same words again are the same halt, only later
            same = [k for k, h in self.halts.items() if (h.who, h.state, h.why) == (event.who, event.state, event.why)]
            for key in same:
                event = max(event, self.halts.pop(key), key=lambda halt: halt.generation)
            self.halts[event.generation, event.who] = event
        else:
            event = self._own(event)
            if event.whose:
                self._cleared_of[event.whose] = max(self._cleared_of.get(event.whose, 0), event.generation)
            else:
                self.cleared = max(self.cleared, event.generation)
            self.halts = {
                key: halt
                for key, halt in self.halts.items()
                if halt.generation > event.generation or event.whose not in ("", halt.who)
            }
        return True

    def _own(self, event: Said) -> Said:
        """What the pod's own watch says comes once and in order: no number of somebody else's clock outranks it."""
        if isinstance(event, Halt):
            number = self.next_generation if event.who == WATCH else 0
        else:
            number = self.next_generation - 1 if event.whose == WATCH else 0
        return msgspec.structs.replace(event, generation=number) if number > event.generation else event

    @property
    def next_generation(self) -> int:
        """A generation above every one seen, for a halt raised here."""
        return max([self.cleared, *self._cleared_of.values(), *(h.generation for h in self.halts.values())]) + 1

    def state(self, now_ns: int) -> TradingState:
        """The strictest of halts, lease and breaks."""
        states = [halt.state for halt in self.halts.values()]
        if self.mandate is not None:
            states.append(self.mandate.state_at(now_ns))
        elif self._require_mandate:
            states.append(TradingState.HALTED)
        if self.breaks:
            states.append(TradingState.REDUCING)
        return max(states, key=_ORDER.__getitem__, default=TradingState.ACTIVE)

    def reasons(self, now_ns: int) -> list[str]:
        """Why trading is not ACTIVE, one line each."""
        lines = [f"{h.state.value} by {h.who}: {h.why} (clears: {h.clears})" for _, h in sorted(self.halts.items())]
        if self.mandate is None:
            if self._require_mandate:
                lines.append("halted: no mandate has arrived")
        elif self.mandate.state_at(now_ns) is not TradingState.ACTIVE:
            late = (now_ns - self.mandate.expires_ns) / 1e9
            state = self.mandate.state_at(now_ns).value
            lines.append(f"{state}: mandate {self.mandate.version} expired {late:.1f} s ago")
        lines.extend(f"reducing: {text}" for text in self.breaks)
        return lines
