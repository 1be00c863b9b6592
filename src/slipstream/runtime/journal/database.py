"""The database under a journal: one writer, readers at any time, and one failure is the last.

What SQLite and PostgreSQL do alike is here; `sqlite` and `postgres` know how each locks, syncs and words its errors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine, Row, Select, Table, delete, insert, inspect, select, update
from sqlalchemy.exc import SQLAlchemyError

from slipstream.model.errors import JournalError
from slipstream.runtime.journal.schema import check, migrate, revision
from slipstream.runtime.journal.tables import HEAD

CHUNK = 2_000  # rows read at once: memory on replay does not grow with the journal
Sync = Literal["normal", "full", "intents"]
T = TypeVar("T")


class Database(ABC):
    """A database that is open: `read` and `write` run a function in a transaction of its own.

    After anything failed, everything fails: after one lost write, none may follow.
    """

    errors: tuple[type[Exception], ...] = (SQLAlchemyError, OSError)
    always_strict = False  # whether a commit that does not wait for the disk can be lost without a loss of power

    def __init__(self, name: str, *, read_only: bool) -> None:
        self.name = name
        self.read_only = read_only
        self._failed: str | None = None
        self._strict: bool | None = None
        self._engine = self._connect()

    def open(self) -> None:
        """Take the lock, check for damage, migrate. Raises JournalError; nothing stays open then."""
        try:
            self.guard("open", self._open)
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._check()
        if not self.read_only:
            with self._engine.begin() as connection:
                migrate(connection, self.name)
        with self._engine.connect() as connection:
            if revision(connection, self.name) is None:
                raise JournalError(f"journal {self.name}: nothing was recorded there yet")
            check(connection, self.name)

    def guard(self, doing: str, action: Callable[[], T]) -> T:
        """Do something with the database; what it raises becomes a JournalError, and stays one."""
        if self._failed is not None:
            raise JournalError(self._failed)
        try:
            return action()
        except self.errors as error:
            cause = getattr(error, "orig", None) or error
            said = self._words(str(cause))
            self._failed = f"journal {self.name}: cannot {doing}: {said}{self._advice(cause)}"
            raise JournalError(self._failed) from None if self._hides(str(error)) else error

    def read(self, doing: str, action: Callable[[Connection], T]) -> T:
        """What ``action`` makes of one consistent view. Raises JournalError."""

        def run() -> T:
            with self._engine.connect() as connection:
                return action(connection)

        return self.guard(doing, run)

    def rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        """The rows of a query, all at once. Raises JournalError."""
        return self.read("read", lambda connection: connection.execute(query).all())

    def write(self, doing: str, action: Callable[[Connection], T], *, strict: bool = False) -> T:
        """Run ``action`` whole or not at all; ``strict`` waits until it would survive a power loss. JournalError."""

        def run() -> T:
            self._set_strict(strict)
            with self._engine.begin() as connection:
                return action(connection)

        return self.guard(doing, run)

    def insert(self, table: Table, rows: Sequence[tuple[Any, ...]], *, strict: bool = False) -> None:
        """Write rows, values in the order of the table's columns, whole or not at all. Raises JournalError."""
        names = table.columns.keys()
        values = [dict(zip(names, row, strict=True)) for row in rows]
        self.write("write", lambda connection: connection.execute(insert(table), values), strict=strict)

    def _set_strict(self, strict: bool) -> None:
        if strict is not self._strict and not self.read_only:
            self._sync(strict)
            self._strict = strict

    def has(self, table: Table) -> bool:
        """Whether the database has a table: one that an older release wrote may lack some."""
        return self.read("read", lambda connection: inspect(connection).has_table(table.name))

    def close(self) -> None:
        """Close the connection and give up the lock."""
        self._engine.dispose()

    def reclaim(self) -> None:  # noqa: B027 - a database that frees by itself has nothing to do
        """Give space of dropped rows back."""

    @abstractmethod
    def _connect(self) -> Engine:
        """An engine over a single connection; a writer's takes the single writer's lock. Raises JournalError."""

    @abstractmethod
    def _sync(self, strict: bool) -> None:
        """Have the following commits wait for the disk, or not."""

    @abstractmethod
    def _advice(self, cause: BaseException) -> str:
        """What to do about an error, "; ..."; empty if there is nothing to say."""

    def _check(self) -> None:  # noqa: B027 - not every database can be asked
        """Raise JournalError if the database is damaged."""

    def _words(self, cause: str) -> str:
        """An error on one line, with nothing secret in it."""
        return cause

    def _hides(self, text: str) -> bool:
        """Whether the text of an error must not be shown."""
        return self._words(text) != text


def get_key(connection: Connection, key: str) -> str | None:
    """One of the journal's own keys."""
    found: str | None = connection.execute(select(HEAD.c.value).where(HEAD.c.key == key)).scalar()
    return found


def set_key(connection: Connection, key: str, value: str) -> None:
    """Set one of the journal's own keys."""
    if not connection.execute(update(HEAD).where(HEAD.c.key == key).values(value=value)).rowcount:
        connection.execute(insert(HEAD).values(key=key, value=value))


def drop_upto(connection: Connection, table: Table, upto: int) -> int:
    """Delete the rows of a table up to a sequence number; how many went."""
    return connection.execute(delete(table).where(table.c.seq <= upto)).rowcount
