"""Opens the database that an address means."""

from __future__ import annotations

from pathlib import Path

from slipstream.runtime.journal.address import Address, FileAddress, parse_address
from slipstream.runtime.journal.database import Database
from slipstream.runtime.journal.sqlite import SqliteDatabase


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
