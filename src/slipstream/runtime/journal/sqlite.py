"""A journal's database in one SQLite file: WAL, a lock file beside it that names the writer."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from sqlalchemy import Engine, Table, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from slipstream.model.errors import JournalError
from slipstream.runtime.journal.database import Database


class SqliteDatabase(Database):
    """A file. ``busy_timeout`` is how long a write waits for a lock that a foreign program holds, seconds."""

    errors = (SQLAlchemyError, OSError, sqlite3.Error)

    def __init__(self, path: Path, *, read_only: bool = False, busy_timeout: float = 2.0) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._lock: IO[str] | None = None
        self._raw: sqlite3.Connection | None = None
        super().__init__(str(path), read_only=read_only)

    def _connect(self) -> Engine:
        if not self.read_only:
            self._lock = _lock(self._path)
        elif not self._path.is_file():
            raise JournalError(f"journal {self._path}: no such file")
        return _engine(self._path, self.read_only, self._busy_timeout)

    def _check(self) -> None:
        with self._engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if found != "ok":
            raise JournalError(f"journal {self.name}: damaged: {found}; move it away and start anew, or restore it")

    def insert(self, table: Table, rows: Sequence[tuple[Any, ...]], *, strict: bool = False) -> None:
        """As `Database.insert`, past SQLAlchemy: a pod does this with every event, and it is five times as fast."""
        marks = ", ".join("?" * len(table.columns))
        statement = f"INSERT INTO {table.name} ({', '.join(table.columns.keys())}) VALUES ({marks})"

        def run() -> None:
            self._set_strict(strict)
            connection = self._driver()
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(statement, rows)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

        self.guard("write", run)

    def _driver(self) -> sqlite3.Connection:
        """The one connection there is, as the driver knows it."""
        if self._raw is None:
            fairy = self._engine.raw_connection()
            self._raw = fairy.driver_connection
            fairy.close()
        assert self._raw is not None
        return self._raw

    def _sync(self, strict: bool) -> None:
        self._run(f"PRAGMA synchronous={'FULL' if strict else 'NORMAL'}")

    def reclaim(self) -> None:
        """Shrink the file by the pages that are free."""
        self.guard("shrink", lambda: self._run("PRAGMA incremental_vacuum"))

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

    def _advice(self, cause: BaseException) -> str:
        return advice(str(cause))

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._raw = None
        super().close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def advice(cause: str) -> str:
    """What to do about an error of a file."""
    if "full" in cause:
        return "; free space on that disk, then start again: nothing recorded was lost"
    if "locked" in cause:
        return "; another program holds the file: close it, then start again"
    if "malformed" in cause or "not a database" in cause:
        return "; the file is damaged: move it away and start anew, or restore it"
    if "readonly" in cause or "unable to open" in cause:
        return "; give this user the right to write the file and its folder"
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
        raise JournalError(f"journal {path}: cannot be locked: {error}{advice(str(error))}") from None
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
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
