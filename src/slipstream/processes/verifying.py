"""Replays the journal of any process of a fund: a pod's commands, or a decision process's words, byte for byte."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from slipstream.federation.allocator import AllocatorTerms
from slipstream.model.errors import ConfigError
from slipstream.pods import strategy_of
from slipstream.processes.allocator import open_allocator, verify_allocator
from slipstream.processes.auditor import AuditTerms, open_audit, verify_audit
from slipstream.processes.breaker import Story, open_breaker
from slipstream.runtime.decisions import DecisionJournal, verify
from slipstream.runtime.journal import open_journal
from slipstream.runtime.journal.address import FileAddress, parse_address
from slipstream.runtime.replay import replay

DECIDERS = ("allocator", "auditor", "breaker")


class Replayed(msgspec.Struct, frozen=True):
    """What a replay found. ``difference`` None: every byte is the same."""

    sessions: int
    skipped: int
    rows: int
    outputs: int
    what: str
    difference: str | None


def process_of(where: str) -> str:
    """Whose journal an address names: the folder of a file, the schema of a database. Raises ConfigError."""
    address = parse_address(where)
    return address.path.resolve().parent.name if isinstance(address, FileAddress) else address.schema


def replay_journal(where: str, process: str | None = None) -> Replayed:
    """Run a journal again. Raises ConfigError and JournalError."""
    name = process or process_of(where)
    if name not in DECIDERS:
        with open_journal(where, read_only=True) as journal:
            found = replay(journal, strategy_of)
        return Replayed(found.sessions, found.skipped, found.rows, found.commands, "commands", found.difference)
    verifiers: dict[str, Callable[[], Replayed]] = {
        "allocator": lambda: _allocator(where),
        "auditor": lambda: _auditor(where),
        "breaker": lambda: _breaker(where),
    }
    return verifiers[name]()


def _started(journal: DecisionJournal[object, object], where: str) -> None:
    if not journal.sessions():
        raise ConfigError(f"{where}: nothing was recorded there yet")


def _allocator(where: str) -> Replayed:
    with open_allocator(where, read_only=True) as journal:
        _started(journal, where)  # type: ignore[arg-type]
        verdict = verify_allocator(journal, journal.sessions()[0].read_config(AllocatorTerms))
    return Replayed(verdict.sessions, verdict.skipped, verdict.rows, verdict.outputs, "decisions", verdict.difference)


def _auditor(where: str) -> Replayed:
    with open_audit(where, read_only=True) as journal:
        _started(journal, where)  # type: ignore[arg-type]
        verdict = verify_audit(journal, journal.sessions()[0].read_config(AuditTerms))
    return Replayed(verdict.sessions, verdict.skipped, verdict.rows, verdict.outputs, "decisions", verdict.difference)


def _breaker(where: str) -> Replayed:
    story = Story()
    with open_breaker(where, read_only=True) as journal:
        _started(journal, where)  # type: ignore[arg-type]
        verdict = verify(journal, story, on_session=story.turn, restore=story.restore)
    return Replayed(verdict.sessions, verdict.skipped, verdict.rows, verdict.outputs, "decisions", verdict.difference)
