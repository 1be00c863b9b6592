"""What a pod is made of, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from slipstream.execution.settings import KernelConfig
from slipstream.execution.strategy import Strategy
from slipstream.model.order import Order
from slipstream.model.ports import Broker, Feed
from slipstream.runtime.bus.port import Bus
from slipstream.runtime.clock import WaitingClock
from slipstream.runtime.journal import Journal
from slipstream.runtime.link import Linked, LinkOptions
from slipstream.runtime.secrets import Secret


class Running(Linked, Protocol):
    """A pod at work, as one sees it who waits for it to be ready."""

    def stop(self, why: str, *, failed: bool = False) -> None:
        """Stop in order: cancel what rests, wait for the ends. A second call stops at once."""
        ...

    def status(self) -> dict[str, Any]:
        """Plain values for people."""
        ...


@dataclass(frozen=True, kw_only=True)
class PodParts:
    """What a pod is made of. Times are wall seconds.

    ``run`` fixes the run number (tests); by default it is the wall's second, and above every run in the journal.
    ``bus`` and ``link`` tie it to its fund; without them it stands alone. ``account`` is the address it trades on.
    ``keep_rows`` bounds the public data kept in the journal; ``stop_timeout`` the wait for cancels at the end.
    """

    strategy: Strategy
    config: KernelConfig
    broker: Broker
    journal: Journal
    clock: WaitingClock
    feeds: Mapping[str, Feed] = field(default_factory=dict)
    strategy_config: Mapping[str, Any] = field(default_factory=dict)
    snapshot_path: Path | None = None
    snapshot_every: float = 60.0
    status_port: int | None = None
    status_token: Secret | None = None
    say: Callable[[str], None] = print
    on_ready: Callable[[Running], Coroutine[Any, Any, None]] | None = None
    run: int | None = None
    keep_rows: int = 5_000_000
    start_timeout: float = 60.0
    stop_timeout: float = 10.0
    handle_signals: bool = True
    account: str = ""
    bus: Bus | None = None
    link: LinkOptions | None = None


class Outcome(msgspec.Struct, frozen=True):
    """How a pod ended. ``left`` are orders whose end is not known."""

    error: str | None
    left: tuple[Order, ...]
    rows: int

    @property
    def rests(self) -> str:
        """What people are told of the orders that are left."""
        if not self.left:
            return "no orders left"
        each = "; ".join(f"{o.side.name.lower()} {o.remaining} {o.coin} at {o.px} ({o.state.value})" for o in self.left)
        return f"{len(self.left)} orders may still rest: {each}"

    @property
    def exit_code(self) -> int:
        """0: clean; 1: an error; 3: stopped as asked, but orders may still rest."""
        return 1 if self.error is not None else 3 if self.left else 0
