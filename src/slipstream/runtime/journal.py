"""The journal: every event a pod handled and every command it decided on, durable before anything is sent.

One SQLite file in WAL mode, written by one process. A row is one step: an event and its commands, as MessagePack
(Decimals as their digits, so the bytes are the same wherever they are written). A session row opens every process
start with what `replay` needs: run number, instruments, kernel config, strategy config and state.

Durability: a committed row survives ``kill -9`` of the process always; power loss with ``sync="full"``, or, for rows
that carry orders, with ``sync="intents"``. State is fold(journal): rows that are public data without orders matter to
`replay` alone, and `prune` may drop them; what the account consists of is kept for good.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import quote

import msgspec
from sqlalchemy import Engine, create_engine, delete, event, func, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from slipstream.model.commands import Command
from slipstream.model.errors import JournalError
from slipstream.model.events import Event
from slipstream.runtime.records import (
    COMMANDS,
    ENCODE,
    EVENT,
    HEAD,
    META,
    ROWS,
    SCHEMA,
    SESSION,
    SESSIONS,
    Session,
    Step,
    decode,
    encode_commands,
    is_needed,
)

CHUNK = 2_000  # rows read at once: memory on replay does not grow with the journal
Sync = Literal["normal", "full", "intents"]


class SqliteJournal:
    """A journal in a file. Opens it, locks it, refuses a second writer; `close` or use as a context manager.

    ``busy_timeout`` is how long a write waits for a lock that a foreign program holds, seconds.
    """

    def __init__(
        self, path: Path, *, sync: Sync = "normal", read_only: bool = False, busy_timeout: float = 2.0
    ) -> None:
        self.path = path
        self._sync = sync
        self._read_only = read_only
        self._lock: IO[str] | None = None
        self._failed: str | None = None
        self._pragma = ""
        if read_only and not path.is_file():
            raise JournalError(f"journal {path}: no such file")
        if not read_only:
            self._lock = _lock(path)
        self._engine = _engine(path, read_only, busy_timeout)
        try:
            self._guard("open", self._open)
        except JournalError:
            self.close()
            raise

    def __enter__(self) -> SqliteJournal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        with self._engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if found != "ok":
                raise JournalError(f"journal {self.path}: damaged: {found}; move it away and start anew, or restore it")
        if not self._read_only:
            with self._engine.begin() as connection:
                META.create_all(connection)
                if connection.execute(select(HEAD.c.value).where(HEAD.c.key == "schema")).scalar() is None:
                    connection.execute(insert(HEAD).values(key="schema", value=str(SCHEMA)))
        with self._engine.connect() as connection:
            schema = connection.execute(select(HEAD.c.value).where(HEAD.c.key == "schema")).scalar()
            if schema != str(SCHEMA):
                raise JournalError(
                    f"journal {self.path}: schema {schema}, this release reads {SCHEMA}; use the release that wrote it"
                )
            self._seq = connection.execute(select(func.max(ROWS.c.seq))).scalar() or 0

    def _guard(self, doing: str, action: Callable[[], None]) -> None:
        """Turn what the database raises into a JournalError, and stay failed: after one lost write, none may follow."""
        if self._failed is not None:
            raise JournalError(self._failed)
        try:
            action()
        except (SQLAlchemyError, OSError) as error:
            cause = getattr(error, "orig", None) or error
            self._failed = f"journal {self.path}: cannot {doing}: {cause}{_advice(str(cause))}"
            raise JournalError(self._failed) from error

    def _run(self, pragma: str) -> None:
        """Run a pragma outside of any transaction."""
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(pragma)
            cursor.fetchall()
            cursor.close()
        finally:
            connection.close()

    @property
    def last_seq(self) -> int:
        """Sequence number of the last durable row; 0 in an empty journal."""
        return self._seq

    def begin(self, session: Session) -> Session:
        """Record a process start; the session as recorded, its run above every earlier one. Raises JournalError."""
        recorded: list[Session] = []

        def write() -> None:
            with self._engine.begin() as connection:
                last = connection.execute(select(func.max(SESSIONS.c.run))).scalar()
                run = session.run if last is None else max(session.run, last + 1)
                stamped = msgspec.structs.replace(session, run=run, seq=self._seq)
                body = ENCODE.encode(stamped)
                # two starts with no row between share a seq: only the later one did anything
                connection.execute(delete(SESSIONS).where(SESSIONS.c.seq == self._seq))
                connection.execute(insert(SESSIONS).values(seq=self._seq, run=run, ns=session.ns, body=body))
                recorded.append(stamped)

        self._guard("record the start", write)
        return recorded[0]

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
        for number, (one, commands) in enumerate(steps, self._seq + 1):
            needed = is_needed(one, commands)
            orders = orders or (needed and bool(commands))
            rows.append(
                {
                    "seq": number,
                    "needed": int(needed),
                    "event": ENCODE.encode(one),
                    "commands": encode_commands(commands),
                }
            )
        pragma = "FULL" if self._sync == "full" or (self._sync == "intents" and orders) else "NORMAL"

        def write() -> None:
            if pragma != self._pragma:
                self._run(f"PRAGMA synchronous={pragma}")
                self._pragma = pragma
            with self._engine.begin() as connection:
                connection.execute(insert(ROWS), rows)

        self._guard("write", write)
        self._seq += len(steps)
        return self._seq

    def sessions(self) -> list[Session]:
        """Every recorded start, oldest first. Raises JournalError."""
        out: list[Session] = []

        def fetch() -> None:
            with self._engine.connect() as connection:
                out.extend(
                    decode(SESSION, row.body, self.path, row.seq)
                    for row in connection.execute(select(SESSIONS).order_by(SESSIONS.c.seq))
                )

        self._guard("read", fetch)
        return out

    def read(
        self, start: int = 0, *, needed_only: bool = False, stop: int | None = None
    ) -> Iterator[tuple[int, Event, tuple[Command, ...]]]:
        """Rows after sequence number ``start`` up to ``stop``, in order, in bounded memory. Raises JournalError."""
        for seq, event_, commands in self.read_raw(start, needed_only=needed_only, stop=stop):
            yield (
                seq,
                decode(EVENT, event_, self.path, seq),
                decode(COMMANDS, commands, self.path, seq),
            )

    def read_raw(
        self, start: int = 0, *, needed_only: bool = False, stop: int | None = None
    ) -> Iterator[tuple[int, bytes, bytes]]:
        """Rows as their bytes."""
        while True:
            query = select(ROWS.c.seq, ROWS.c.event, ROWS.c.commands).where(ROWS.c.seq > start)
            if needed_only:
                query = query.where(ROWS.c.needed == 1)
            if stop is not None:
                query = query.where(ROWS.c.seq <= stop)
            chunk: list[tuple[int, bytes, bytes]] = []

            def fetch(query: Any = query, chunk: list[tuple[int, bytes, bytes]] = chunk) -> None:
                with self._engine.connect() as connection:
                    found = connection.execute(query.order_by(ROWS.c.seq).limit(CHUNK))
                    chunk.extend((row.seq, row.event, row.commands) for row in found)

            self._guard("read", fetch)
            if not chunk:
                return
            yield from chunk
            start = chunk[-1][0]

    @property
    def pruned_to(self) -> int:
        """Rows up to this sequence number may lack public data; 0 if nothing was pruned."""
        found: list[int] = []

        def fetch() -> None:
            with self._engine.connect() as connection:
                value = connection.execute(select(HEAD.c.value).where(HEAD.c.key == "pruned_to")).scalar()
                found.append(int(value or 0))

        self._guard("read", fetch)
        return found[0]

    def prune(self, keep_rows: int) -> int:
        """Drop public data older than the last ``keep_rows`` rows; how many rows went. Raises JournalError."""
        upto = self._seq - keep_rows
        gone: list[int] = []

        def write() -> None:
            with self._engine.begin() as connection:
                result = connection.execute(delete(ROWS).where(ROWS.c.seq <= upto, ROWS.c.needed == 0))
                gone.append(result.rowcount)
                if result.rowcount:
                    changed = connection.execute(update(HEAD).where(HEAD.c.key == "pruned_to").values(value=str(upto)))
                    if not changed.rowcount:
                        connection.execute(insert(HEAD).values(key="pruned_to", value=str(upto)))
            self._run("PRAGMA incremental_vacuum")

        if upto > 0:
            self._guard("prune", write)
        return gone[0] if gone else 0

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _advice(cause: str) -> str:
    if "full" in cause:
        return "; free space on that disk, then start again: nothing recorded was lost"
    if "locked" in cause:
        return "; another program holds the file: close it, then start again"
    if "malformed" in cause or "not a database" in cause:
        return "; the file is damaged: move it away and start anew, or restore it"
    return ""


def _lock(path: Path) -> IO[str]:
    """Take the single writer's lock, a file beside the journal that names its owner. Raises JournalError."""
    name = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(name, "a+", encoding="utf-8")  # noqa: SIM115 - held open for as long as the journal is
    except OSError as error:
        raise JournalError(f"journal {path}: cannot be opened: {error}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise JournalError(f"journal {path}: process {owner} is writing it; stop that one first") from None
    except OSError as error:
        file.close()
        raise JournalError(f"journal {path}: cannot be locked: {error}{_advice(str(error))}") from None
    return file


def _engine(path: Path, read_only: bool, busy_timeout: float) -> Engine:
    """An engine over one connection whose transactions begin IMMEDIATE, so that a writer never fails half-way."""
    url = f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true" if read_only else f"sqlite:///{path}"
    engine = create_engine(url, poolclass=StaticPool, connect_args={"timeout": busy_timeout, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        if not read_only:
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def began(connection: Any) -> None:
        connection.execute(text("BEGIN" if read_only else "BEGIN IMMEDIATE"))

    return engine
