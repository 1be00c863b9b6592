"""What people see of a pod: its metrics, its last fills and notes, the first error, one line per change of state."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from slipstream.execution.kernel import Kernel
from slipstream.model.commands import Command, Report
from slipstream.runtime.telemetry import Log, Metrics, log_report, logger, process_line

KEPT = 100  # fills and notes shown


class Watch:
    """Counts and remembers; decides nothing."""

    def __init__(self, slug: str, say: Callable[[str], None]) -> None:
        self.metrics = Metrics(slug)
        self.log: Log = logger(pod=slug)
        self.error: str | None = None
        self.started = time.monotonic()
        self.fills: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.notes: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._slug = slug
        self._say = say

    def say(self, state: str, detail: str = "") -> None:
        """Tell people the pod's state, with the first error if there is one."""
        self._say(process_line(f"pod {self._slug}", state, os.getpid(), detail, self.error))

    def first_error(self, text: str) -> None:
        """Remember an error if it is the first."""
        if self.error is None:
            self.error = text

    def commands(self, commands: Sequence[Command]) -> None:
        """Count commands; log and keep reports."""
        for command in commands:
            self.metrics.command(command)
            if isinstance(command, Report):
                log_report(self.log, command)
                kept = self.fills if command.topic == "fill" else self.notes
                if command.topic != "refused":
                    kept.append({"topic": command.topic, "ns": command.ns, **command.body})

    def measure(self, kernel: Kernel, rows: int, superseded: int) -> None:
        """Set the gauges."""
        desk = kernel.desk
        self.metrics.gauge("live_orders", len(kernel.live_orders()))
        self.metrics.gauge("journal_rows", rows)
        self.metrics.gauge("superseded_events", superseded)
        self.metrics.gauge("equity_usd", float(desk.equity))
        gross = desk.gate.gross()
        self.metrics.gauge("gross_usd", float("nan") if gross is None else float(gross))
        for coin, line in desk.ledger.lines.items():
            self.metrics.position(coin, float(line.position))
