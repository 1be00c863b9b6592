"""Opens the database that an address means, and says what it holds."""

from __future__ import annotations

from pathlib import Path

import msgspec
from sqlalchemy import Connection, Table, func, select

from slipstream.runtime.journal.address import Address, FileAddress, parse_address
from slipstream.runtime.journal.database import Database
from slipstream.runtime.journal.schema import revision
from slipstream.runtime.journal.sqlite import SqliteDatabase
from slipstream.runtime.journal.tables import DECISION_SESSIONS, DECISIONS, FILLS, PAYMENTS, ROWS, SESSIONS


class Description(msgspec.Struct, frozen=True):
    """What a journal holds. ``revision`` is of its tables, "" if they are older than revisions; counts are of rows."""

    name: str
    revision: str
    rows: int
    sessions: int
    decisions: int
    decision_sessions: int
    fills: int
    payments: int


def open_database(where: str | Path | Address, *, read_only: bool = False, busy_timeout: float = 2.0) -> Database:
    """The database of a journal, locked for its only writer or open for reading. Raises ConfigError, JournalError."""
    address = where if not isinstance(where, str | Path) else parse_address(where)
    database: Database
    if isinstance(address, FileAddress):
        database = SqliteDatabase(address.path, read_only=read_only, busy_timeout=busy_timeout)
    else:
        # imported here: a fund on files does not load the driver
        from slipstream.runtime.journal.postgres import PostgresDatabase

        database = PostgresDatabase(address, read_only=read_only, busy_timeout=busy_timeout)
    database.open()
    return database


def describe(where: str | Path | Address) -> Description:
    """What a journal holds, read beside its writer. Raises ConfigError, JournalError."""
    database = open_database(where, read_only=True)
    try:
        found = database.read("read", lambda connection: revision(connection, database.name))

        def count(table: Table) -> int:
            return database.read("read", lambda connection: _count(connection, table)) if database.has(table) else 0

        return Description(
            name=database.name,
            revision=found or "",
            rows=count(ROWS),
            sessions=count(SESSIONS),
            decisions=count(DECISIONS),
            decision_sessions=count(DECISION_SESSIONS),
            fills=count(FILLS),
            payments=count(PAYMENTS),
        )
    finally:
        database.close()


def _count(connection: Connection, table: Table) -> int:
    found: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return found
