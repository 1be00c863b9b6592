"""The journal: every event a pod handled and every command it decided on, durable before anything is sent.

One database (an SQLite file in WAL mode, or a schema of PostgreSQL), written by one process. A row is one step: an
event and its commands, as MessagePack (Decimals as their digits, so the bytes are the same wherever they are written).
A session row opens every process start with what `replay` needs: run number, instruments, kernel config, strategy
config and state.

Durability: a committed row survives ``kill -9`` of the process always; power loss with ``sync="full"``, or, for rows
that carry orders, with ``sync="intents"``. State is fold(journal): rows that are public data without orders matter to
`replay` alone, and `prune` may drop them; what the account consists of is kept for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from slipstream.model.commands import Command
from slipstream.model.errors import JournalError
from slipstream.model.events import Event, Fill, FundingPayment
from slipstream.runtime.journal.address import Address, FileAddress
from slipstream.runtime.journal.database import CHUNK, Database, Sync, get_key, set_key
from slipstream.runtime.journal.ledger import record
from slipstream.runtime.journal.open import open_database
from slipstream.runtime.journal.tables import ROWS, SESSIONS
from slipstream.runtime.records import (
    COMMANDS,
    ENCODE,
    EVENT,
    SESSION,
    Session,
    Step,
    decode,
    encode_commands,
    is_needed,
)


class Journal:
    """A pod's journal over an open database, which it closes; `close` or use as a context manager."""

    def __init__(self, database: Database, *, sync: Sync = "normal") -> None:
        self.name = database.name
        self._sync = sync
        self._database = database
        self._seq: int = database.read("read", lambda c: c.execute(select(func.max(ROWS.c.seq))).scalar() or 0)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def last_seq(self) -> int:
        """Sequence number of the last durable row; 0 in an empty journal."""
        return self._seq

    def begin(self, session: Session) -> Session:
        """Record a process start; the session as recorded, its run above every earlier one. Raises JournalError."""

        def write(connection: Connection) -> Session:
            last = connection.execute(select(func.max(SESSIONS.c.run))).scalar()
            run = session.run if last is None else max(session.run, last + 1)
            stamped = msgspec.structs.replace(session, run=run, seq=self._seq)
            # two starts with no row between share a seq: only the later one did anything
            connection.execute(delete(SESSIONS).where(SESSIONS.c.seq == self._seq))
            body = ENCODE.encode(stamped)
            connection.execute(insert(SESSIONS).values(seq=self._seq, run=run, ns=session.ns, body=body))
            return stamped

        return self._database.write("record the start", write, strict=self._is_strict(True))

    def _is_strict(self, orders: bool) -> bool:
        """Whether a commit waits until it survives a loss of power (on a server: of the server)."""
        if self._sync == "intents":
            return orders
        return self._sync == "full" or self._database.always_strict

    def append(self, events: Sequence[Event], commands: Sequence[Command]) -> int:
        """Make events durable, in order, the commands with the last of them. Raises JournalError: stop sending."""
        if commands and not events:
            raise JournalError("commands without an event: a command is caused by something")
        return self.append_steps([*((one, ()) for one in events[:-1]), *((one, commands) for one in events[-1:])])

    def append_steps(self, steps: Sequence[Step]) -> int:
        """Make steps durable in one transaction; the sequence number of the last row. Raises JournalError."""
        if not steps:
            return self._seq
        orders = False
        rows = []
        money: list[tuple[int, Event]] = []
        for number, (one, commands) in enumerate(steps, self._seq + 1):
            needed = is_needed(one, commands)
            orders = orders or (needed and bool(commands))
            if isinstance(one, Fill | FundingPayment):
                money.append((number, one))
            rows.append((number, int(needed), ENCODE.encode(one), encode_commands(commands)))
        strict = self._is_strict(orders)
        if money:
            self._database.write("write", lambda c: _write_money(c, rows, money), strict=strict)
        else:
            self._database.insert(ROWS, rows, strict=strict)
        self._seq += len(steps)
        return self._seq

    def sessions(self) -> list[Session]:
        """Every recorded start, oldest first. Raises JournalError."""
        rows = self._database.rows(select(SESSIONS).order_by(SESSIONS.c.seq))
        return [decode(SESSION, row.body, self.name, row.seq) for row in rows]

    def read(
        self, start: int = 0, *, needed_only: bool = False, stop: int | None = None
    ) -> Iterator[tuple[int, Event, tuple[Command, ...]]]:
        """Rows after sequence number ``start`` up to ``stop``, in order, in bounded memory. Raises JournalError."""
        for seq, event_, commands in self.read_raw(start, needed_only=needed_only, stop=stop):
            yield (
                seq,
                decode(EVENT, event_, self.name, seq),
                decode(COMMANDS, commands, self.name, seq),
            )

    def read_raw(
        self, start: int = 0, *, needed_only: bool = False, stop: int | None = None
    ) -> Iterator[tuple[int, bytes, bytes]]:
        """Rows as their bytes."""
        query = select(ROWS.c.seq, ROWS.c.event, ROWS.c.commands).order_by(ROWS.c.seq).limit(CHUNK)
        if needed_only:
            query = query.where(ROWS.c.needed == 1)
        if stop is not None:
            query = query.where(ROWS.c.seq <= stop)
        while True:
            after = query.where(ROWS.c.seq > start)
            chunk = self._database.rows(after)
            if not chunk:
                return
            for row in chunk:
                yield row.seq, row.event, row.commands
            start = chunk[-1].seq

    @property
    def pruned_to(self) -> int:
        """Rows up to this sequence number may lack public data; 0 if nothing was pruned."""
        return int(self._database.read("read", lambda c: get_key(c, "pruned_to")) or 0)

    def prune(self, keep_rows: int) -> int:
        """Drop public data older than the last ``keep_rows`` rows; how many rows went. Raises JournalError."""
        upto = self._seq - keep_rows
        if upto <= 0:
            return 0

        def write(connection: Connection) -> int:
            gone = connection.execute(delete(ROWS).where(ROWS.c.seq <= upto, ROWS.c.needed == 0)).rowcount
            if gone:
                set_key(connection, "pruned_to", str(upto))
            return gone

        gone = self._database.write("prune", write, strict=self._is_strict(False))
        self._database.reclaim()
        return gone

    def close(self) -> None:
        """Close the database and give up the lock."""
        self._database.close()


def _write_money(
    connection: Connection, rows: Sequence[tuple[int, int, bytes, bytes]], money: Sequence[tuple[int, Event]]
) -> None:
    """Rows, and the ledger's rows of the fills and payments among them."""
    names = ROWS.columns.keys()
    connection.execute(insert(ROWS), [dict(zip(names, row, strict=True)) for row in rows])
    record(connection, money)


class SqliteJournal(Journal):
    """A journal in a file. Opens it, locks it, refuses a second writer.

    ``busy_timeout`` is how long a write waits for a lock that a foreign program holds, seconds.
    """

    def __init__(
        self, path: Path, *, sync: Sync = "normal", read_only: bool = False, busy_timeout: float = 2.0
    ) -> None:
        self.path = path
        super().__init__(open_database(FileAddress(path), read_only=read_only, busy_timeout=busy_timeout), sync=sync)

    def __enter__(self) -> SqliteJournal:
        return self


def open_journal(
    where: str | Path | Address, *, sync: Sync = "normal", read_only: bool = False, busy_timeout: float = 2.0
) -> Journal:
    """A pod's journal by its address: a path, ``sqlite:///path`` or ``postgresql://user@host/database?schema=name``.

    Raises ConfigError if the address makes no sense, JournalError if the journal cannot be opened.
    """
    return Journal(open_database(where, read_only=read_only, busy_timeout=busy_timeout), sync=sync)
