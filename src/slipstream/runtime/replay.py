"""Fold a journal: into a kernel that continues where the last process ended, or against itself, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from slipstream.execution.kernel import Kernel
from slipstream.execution.strategy import Strategy
from slipstream.model.commands import Command
from slipstream.runtime.journal import Journal
from slipstream.runtime.records import Session, encode_commands

Maker = Callable[[Session], Strategy]  # builds the strategy of a session from its strategy_config


class Verdict(msgspec.Struct, frozen=True):
    """What a replay found. ``difference`` shows the first row whose commands differ; None: all are equal."""

    sessions: int
    skipped: int
    rows: int
    commands: int
    difference: str | None = None

    @property
    def identical(self) -> bool:
        """Whether every replayed row gave the recorded bytes."""
        return self.difference is None


def recover(kernel: Kernel, journal: Journal) -> int:
    """Fold everything the journal holds into a fresh kernel; how many rows. Raises JournalError.

    Only rows the account's state depends on are read: prices of the past are of no use to the next process.
    """
    return _fold(kernel, journal, journal.sessions())


def replay(journal: Journal, make_strategy: Maker) -> Verdict:
    """Run every recorded session again and compare each row's commands with the recorded bytes.

    Each session starts from what `recover` makes of the rows before it, from the strategy snapshot it recorded, and
    from the config it recorded. Sessions whose public data was pruned are folded, not compared (``skipped``).
    """
    sessions = journal.sessions()
    pruned = journal.pruned_to
    rows = count = skipped = 0
    for number, session in enumerate(sessions):
        stop = sessions[number + 1].seq if number + 1 < len(sessions) else None
        if session.seq < pruned:
            skipped += 1
            continue
        strategy = make_strategy(session)
        strategy.restore(session.state)
        kernel = Kernel(strategy, session.instruments, session.config, session.slug, session.run)
        _fold(kernel, journal, sessions[:number], session.seq)
        kernel.begin(session.run, session.instruments, session.ns)
        for seq, event, recorded in journal.read(session.seq, stop=stop):
            commands = kernel.step(event)
            rows += 1
            count += len(commands)
            if encode_commands(commands) != encode_commands(recorded):
                found = show(seq, event, recorded, tuple(commands))
                return Verdict(number + 1, skipped, rows, count, found)
    return Verdict(len(sessions), skipped, rows, count)


def _fold(kernel: Kernel, journal: Journal, sessions: list[Session], stop: int | None = None) -> int:
    """Fold sessions in order; rows after sequence number ``stop`` are left."""
    rows = 0
    for number, session in enumerate(sessions):
        kernel.begin(session.run, session.instruments, session.ns)
        end = sessions[number + 1].seq if number + 1 < len(sessions) else stop
        for _, event, commands in journal.read(session.seq, needed_only=True, stop=end):
            kernel.recover(event, commands)
            rows += 1
    return rows


def show(seq: int, event: Any, recorded: tuple[Command, ...], again: tuple[Command, ...]) -> str:
    """The first difference of two lists of commands, for people."""
    lines = [f"row {seq}: {event}"]
    for place in range(max(len(recorded), len(again))):
        left = recorded[place] if place < len(recorded) else None
        right = again[place] if place < len(again) else None
        if left is None or right is None or encode_commands((left,)) != encode_commands((right,)):
            lines.append(f"  command {place + 1} recorded: {left}")
            lines.append(f"  command {place + 1} replayed: {right}")
            break
    return "\n".join(lines)
