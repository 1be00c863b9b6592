"""What a fund on this machine decided before we listened, from the journals beside its ``fund.json``.

Decisions are said once on the bus, so that who comes later would see none. Journals are read, never written; what
cannot be read is left out, since it is history and not state.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from slipstream.console.fund_state import BETA, FEDERATION, KEPT_DECISIONS, FundState, Heard
from slipstream.model.errors import ConfigError, JournalError
from slipstream.model.messages import Decision

ROWS = 200  # of each journal, from its end


def past_decisions(run: Path | None) -> tuple[Heard, ...]:
    """The newest decisions in the journals of a run directory, the oldest first; none without a directory."""
    if run is None:
        return ()
    found = [heard for process in FEDERATION for heard in _read(run / process / "journal.db", process)]
    return tuple(sorted(found, key=lambda heard: heard.decision.ns)[-KEPT_DECISIONS:])


def with_past(state: FundState, past: tuple[Heard, ...]) -> FundState:
    """The state with what was decided before."""
    older = tuple(heard for heard in past if heard not in state.decisions)
    return msgspec.structs.replace(state, decisions=(*older, *state.decisions)[-KEPT_DECISIONS:])


def _read(path: Path, process: str) -> list[Heard]:
    if not path.is_file():
        return []
    # SQLAlchemy costs a quarter of a second that a command without history need not pay
    from slipstream.runtime.decisions import DecisionJournal

    out: list[Heard] = []
    try:
        with DecisionJournal[Any, Any](path, input_type=msgspec.Raw, output_type=Any, read_only=True) as journal:
            for _, _, outputs in journal.read_raw(max(0, journal.last_seq - ROWS)):
                out.extend(Heard(process, said) for said in _decisions(msgspec.msgpack.decode(outputs)))
    except (JournalError, ConfigError, msgspec.DecodeError):
        return out
    return out


def _decisions(outputs: Any) -> Iterator[Decision]:
    """Decisions among a step's outputs, also those that are wrapped with whom they are told to."""
    for output in outputs:
        for value in (output, output.get("message")) if isinstance(output, dict) else ():
            if isinstance(value, dict) and value.get("type") == "decision" and value.get("kind") != BETA:
                yield msgspec.convert(value, Decision)
