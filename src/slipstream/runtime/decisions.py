"""The journal of a decision process (allocator, auditor, breaker): every input, and what was decided because of it.

An input is recorded with its outputs before anything acts on them. Decisions are pure folds, so that the inputs give
the same outputs again, byte for byte (`verify`), and a process that starts anew continues where the last one ended
(`recover`). The same store, addresses, lock and errors as a pod's journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from slipstream.model.errors import JournalError
from slipstream.runtime.journal.address import Address
from slipstream.runtime.journal.database import CHUNK, Sync, drop_upto, get_key, set_key
from slipstream.runtime.journal.open import open_database
from slipstream.runtime.journal.tables import CHECKPOINTS, DECISION_SESSIONS, DECISIONS
from slipstream.runtime.records import decode

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
S = TypeVar("S")  # state
C = TypeVar("C")  # config

KEPT = 4  # checkpoints; an older one lets `verify` begin before a newer
_PRUNED = "decisions_pruned_to"
# equal values are equal bytes: Decimals as their digits, dictionaries and sets in the order of their keys
_ENCODE = msgspec.msgpack.Encoder(decimal_format="string", order="deterministic")


class DecisionSession(msgspec.Struct, frozen=True):
    """A process start: its run, the last row before it, its time and the bytes of the config it ran with."""

    run: int
    seq: int
    ns: int
    config: bytes

    def read_config(self, type_: type[C]) -> C:
        """The config as a value. Raises JournalError if it is of another type."""
        try:
            return msgspec.msgpack.decode(self.config, type=type_)
        except msgspec.DecodeError as error:
            raise JournalError(f"session {self.run}: its config cannot be read: {error}") from None


class Checkpoint(msgspec.Struct, frozen=True):
    """The bytes of a fold's state after row ``seq``."""

    seq: int
    state: bytes


class DecisionJournal(Generic[I, O]):
    """Append-only rows of inputs and outputs. ``input_type`` and ``output_type`` may be unions of tagged structs.

    ``where`` is a path, ``sqlite:///path`` or ``postgresql://user@host/database?schema=name``. Refuses a second
    writer; close it or use it as a context manager. Raises ConfigError and JournalError.
    """

    def __init__(
        self,
        where: str | Path | Address,
        *,
        input_type: Any,
        output_type: Any,
        read_only: bool = False,
        sync: Sync = "normal",
        busy_timeout: float = 2.0,
    ) -> None:
        self._input = msgspec.msgpack.Decoder(input_type)
        self._outputs = msgspec.msgpack.Decoder(tuple[output_type, ...])
        self._sync = sync
        self._database = open_database(where, read_only=read_only, busy_timeout=busy_timeout)
        self.name = self._database.name
        try:
            if not self._database.has(DECISIONS):
                raise JournalError(f"journal {self.name}: no decisions were recorded there yet")
            self._seq: int = self._database.read("read", _last)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> DecisionJournal[I, O]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def last_seq(self) -> int:
        """Sequence number of the last durable row this object knows of; 0 in an empty journal."""
        return self._seq

    @property
    def _strict(self) -> bool:
        return self._sync != "normal" or self._database.always_strict

    def begin(self, config: Any, *, ns: int = 0) -> int:
        """Record a process start with its config (a struct or a dict); its run, one above the last."""

        def write(connection: Connection) -> int:
            run: int = (connection.execute(select(func.max(DECISION_SESSIONS.c.run))).scalar() or 0) + 1
            # names for keys that are enums: only texts have an order
            body = _ENCODE.encode(msgspec.to_builtins(config, str_keys=True, builtin_types=(Decimal,)))
            connection.execute(insert(DECISION_SESSIONS).values(run=run, seq=self._seq, ns=ns, config=body))
            return run

        return self._database.write("record the start", write, strict=self._strict)

    def append(self, steps: Sequence[tuple[I, Sequence[O]]]) -> int:
        """Make inputs and their outputs durable, all or none; the last row's number. JournalError: do not act.

        A row's time is the input's ``ns``, 0 if it has none.
        """
        if not steps:
            return self._seq
        rows = [
            (number, int(getattr(given, "ns", 0)), _ENCODE.encode(given), encode_outputs(outputs))
            for number, (given, outputs) in enumerate(steps, self._seq + 1)
        ]
        self._database.insert(DECISIONS, rows, strict=self._strict)
        self._seq += len(rows)
        return self._seq

    def read(self, start: int = 0, *, stop: int | None = None) -> Iterator[tuple[int, I, tuple[O, ...]]]:
        """Rows after sequence number ``start`` up to ``stop``, in order, in bounded memory. Raises JournalError."""
        for seq, given, outputs in self.read_raw(start, stop=stop):
            yield seq, decode(self._input, given, self.name, seq), decode(self._outputs, outputs, self.name, seq)

    def read_raw(self, start: int = 0, *, stop: int | None = None) -> Iterator[tuple[int, bytes, bytes]]:
        """Rows as their bytes."""
        query = select(DECISIONS.c.seq, DECISIONS.c.input, DECISIONS.c.outputs).order_by(DECISIONS.c.seq).limit(CHUNK)
        if stop is not None:
            query = query.where(DECISIONS.c.seq <= stop)
        while True:
            after = query.where(DECISIONS.c.seq > start)
            chunk = self._database.rows(after)
            if not chunk:
                return
            for row in chunk:
                yield row.seq, row.input, row.outputs
            start = chunk[-1].seq

    def sessions(self) -> list[DecisionSession]:
        """Every recorded start, oldest first. Raises JournalError."""
        query = select(DECISION_SESSIONS).order_by(DECISION_SESSIONS.c.run)
        rows = self._database.rows(query)
        return [DecisionSession(row.run, row.seq, row.ns, row.config) for row in rows]

    def checkpoint(self, seq: int, state: bytes) -> None:
        """Record the state of the fold after row ``seq``: earlier rows may then be pruned. Raises JournalError."""
        if not self.pruned_to <= seq <= self._seq:
            raise JournalError(
                f"journal {self.name}: no checkpoint after row {seq}: it has rows {self.pruned_to + 1} to {self._seq}"
            )

        def write(connection: Connection) -> None:
            connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.seq == seq))
            connection.execute(insert(CHECKPOINTS).values(seq=seq, state=state))
            newest = select(CHECKPOINTS.c.seq).order_by(CHECKPOINTS.c.seq.desc()).limit(KEPT)
            kept = [row.seq for row in connection.execute(newest)]
            connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.seq < kept[-1]))

        self._database.write("write a checkpoint", write, strict=self._strict)

    def checkpoints(self) -> list[Checkpoint]:
        """The checkpoints that are kept, oldest first. Raises JournalError."""
        query = select(CHECKPOINTS).order_by(CHECKPOINTS.c.seq)
        rows = self._database.rows(query)
        return [Checkpoint(row.seq, row.state) for row in rows]

    @property
    def pruned_to(self) -> int:
        """Rows up to this sequence number are gone; 0 if nothing was pruned."""
        return int(self._database.read("read", lambda c: get_key(c, _PRUNED)) or 0)

    def prune(self, keep_rows: int) -> int:
        """Drop all but the last ``keep_rows`` rows; how many went.

        Raises JournalError, and drops nothing, if the newest `checkpoint` does not cover what would go.
        """
        upto = self._seq - keep_rows
        if upto <= self.pruned_to:
            return 0
        covered = max((one.seq for one in self.checkpoints()), default=0)
        if covered < upto:
            raise JournalError(
                f"journal {self.name}: rows up to {upto} are not dropped: the newest checkpoint covers up to {covered};"
                " record one first"
            )

        def write(connection: Connection) -> int:
            gone = drop_upto(connection, DECISIONS, upto)
            connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.seq < upto))
            set_key(connection, _PRUNED, str(upto))
            return gone

        gone = self._database.write("prune", write, strict=self._strict)
        self._database.reclaim()
        return gone

    def close(self) -> None:
        """Close the database and give up the lock."""
        self._database.close()


class Fold(Generic[S, I, O]):
    """A pure step (state, input) -> (state, outputs) that remembers its state between calls."""

    def __init__(self, step: Callable[[S, I], tuple[S, Sequence[O]]], state: S) -> None:
        self.step = step
        self.state = state

    def __call__(self, given: I) -> Sequence[O]:
        self.state, outputs = self.step(self.state, given)
        return outputs


class Verdict(msgspec.Struct, frozen=True):
    """What `verify` found. ``difference`` shows the first row whose outputs differ; None: all are equal.

    ``skipped`` rows lie before the checkpoint that the replay had to begin from.
    """

    sessions: int
    skipped: int
    rows: int
    outputs: int
    difference: str | None = None

    @property
    def identical(self) -> bool:
        """Whether every replayed row gave the recorded bytes."""
        return self.difference is None


def verify(
    journal: DecisionJournal[I, O],
    fold: Callable[[I], Sequence[O]],
    *,
    on_session: Callable[[DecisionSession], None] | None = None,
    restore: Callable[[bytes], None] | None = None,
) -> Verdict:
    """Replay the inputs through ``fold`` (see `Fold`) and compare the bytes of its outputs with those recorded.

    ``on_session`` is told every start before its first row: configs change there. A pruned journal is replayed from
    its oldest checkpoint, whose bytes ``restore`` gets. Raises JournalError.
    """
    start = _restored(journal, restore, oldest=True)
    skipped = sum(1 for _ in journal.read_raw(stop=start)) if start else 0
    rows = count = 0
    for seq, given, recorded in _replayed(journal, start, on_session):
        again = tuple(fold(given))
        rows += 1
        count += len(again)
        if encode_outputs(again) != encode_outputs(recorded):
            found = _show(seq, given, recorded, again)
            return Verdict(len(journal.sessions()), skipped, rows, count, found)
    return Verdict(len(journal.sessions()), skipped, rows, count)


def recover(
    journal: DecisionJournal[I, O],
    fold: Callable[[I], Sequence[O]],
    *,
    on_session: Callable[[DecisionSession], None] | None = None,
    restore: Callable[[bytes], None] | None = None,
) -> int:
    """Bring ``fold`` to where the journal ends, from the newest checkpoint if ``restore`` is given; how many rows.

    The outputs of the past are dropped: they were acted on. Raises JournalError.
    """
    rows = 0
    for _, given, _ in _replayed(journal, _restored(journal, restore, oldest=False), on_session):
        fold(given)
        rows += 1
    return rows


def _restored(journal: DecisionJournal[I, O], restore: Callable[[bytes], None] | None, *, oldest: bool) -> int:
    """Give the fold the state it has to begin from; the row that is after. 0: from the very beginning."""
    pruned = journal.pruned_to
    if restore is None:
        if pruned:
            raise JournalError(f"journal {journal.name}: rows up to {pruned} were pruned; a replay needs `restore`")
        return 0
    found = [one for one in journal.checkpoints() if one.seq >= pruned]
    if not found or (oldest and not pruned):
        return 0
    chosen = found[0 if oldest else -1]
    restore(chosen.state)
    return chosen.seq


def _replayed(
    journal: DecisionJournal[I, O], start: int, on_session: Callable[[DecisionSession], None] | None
) -> Iterator[tuple[int, I, tuple[O, ...]]]:
    """Rows after ``start``; tells ``on_session`` of the session they begin in and of every later one, in order."""
    sessions = journal.sessions()
    # the start from which the first row runs: the last one at or before it
    first = max((number for number, session in enumerate(sessions) if session.seq <= start), default=0)
    waiting = sessions[first:]
    for seq, given, recorded in journal.read(start):
        while on_session is not None and waiting and waiting[0].seq < seq:
            on_session(waiting.pop(0))
        yield seq, given, recorded
    while on_session is not None and waiting:
        on_session(waiting.pop(0))


def encode_outputs(outputs: Sequence[Any]) -> bytes:
    """The bytes of a step's outputs; equal outputs are equal bytes."""
    return _ENCODE.encode(tuple(outputs))


def _last(connection: Connection) -> int:
    """The last row's number; after pruning everything, the number it was pruned to."""
    found: int | None = connection.execute(select(func.max(DECISIONS.c.seq))).scalar()
    return found or int(get_key(connection, _PRUNED) or 0)


def _show(seq: int, given: object, recorded: tuple[object, ...], again: tuple[object, ...]) -> str:
    """The first difference of two rows of outputs, for people."""
    lines = [f"row {seq}: {given}"]
    for place in range(max(len(recorded), len(again))):
        left = recorded[place : place + 1]
        right = again[place : place + 1]
        if encode_outputs(left) != encode_outputs(right):
            lines.append(f"  output {place + 1} recorded: {left[0] if left else 'none'}")
            lines.append(f"  output {place + 1} replayed: {right[0] if right else 'none'}")
            break
    return "\n".join(lines)
