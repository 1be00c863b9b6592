"""A journal of any earlier release is brought to this one when its writer opens it; a later release's is refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory
from kernel_doubles import BUY, T0, D, account
from pg_server import Server
from sqlalchemy import create_engine, inspect

from slipstream.model.errors import JournalError
from slipstream.model.events import Fill, FundingPayment
from slipstream.runtime.decisions import DecisionJournal
from slipstream.runtime.journal import LedgerRows, describe, migrations, open_journal
from slipstream.runtime.journal.migrations import REVISIONS
from slipstream.runtime.journal.tables import META
from slipstream.runtime.records import ENCODE, NONE

# the tables as the first release made them, before there were revisions
FIRST = """
    CREATE TABLE journal ("key" TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY ("key"));
    CREATE TABLE sessions (seq {long} NOT NULL, run {long} NOT NULL, ns {long} NOT NULL, body {bytes} NOT NULL,
                           PRIMARY KEY (seq), UNIQUE (run));
    CREATE TABLE rows (seq {long} NOT NULL, needed INTEGER NOT NULL, event {bytes} NOT NULL, commands {bytes} NOT NULL,
                       PRIMARY KEY (seq));
    INSERT INTO journal VALUES ('schema', '1');
"""
FILL = Fill("ETH", BUY, D("1999.50"), D("0.10"), D("-0.0001"), 7, 8, T0)
PAID = FundingPayment("ETH", D("-0.0120"), D("0.10"), D("0.0000125"), T0)
EVENTS = [FILL, account(T0, "1"), PAID, FILL]


def make_first(where: str) -> None:
    """A journal of the first release, by raw SQL."""
    rows = [(number, 1, ENCODE.encode(event), NONE) for number, event in enumerate(EVENTS, 1)]
    if where.startswith("sqlite"):
        raw = sqlite3.connect(where.removeprefix("sqlite:///"))
        raw.executescript(FIRST.format(long="INTEGER", bytes="BLOB"))
        raw.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", rows)
        raw.commit()
        raw.close()
        return
    address, _, schema = where.partition("?schema=")
    with psycopg.connect(address, autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}".encode())
        server.execute(FIRST.format(long="BIGINT", bytes="BYTEA").encode())
        server.cursor().executemany("INSERT INTO rows VALUES (%s, %s, %s, %s)", rows)


def test_the_first_release_is_read_as_it_is_and_migrated_by_a_writer(where: str) -> None:
    make_first(where)
    with open_journal(where, read_only=True) as journal:
        assert [event for _, event, _ in journal.read()] == EVENTS
    assert describe(where).revision == ""
    with pytest.raises(JournalError, match="an older release wrote it, without ledger rows; start its process once"):
        LedgerRows(where)
    with pytest.raises(JournalError, match="no decisions were recorded there yet"):
        DecisionJournal(where, input_type=int, output_type=int, read_only=True)
    with open_journal(where) as journal:
        assert [event for _, event, _ in journal.read()] == EVENTS and journal.last_seq == 4
        assert journal.append([FILL], []) == 5
    assert describe(where).revision == REVISIONS[-1]
    with LedgerRows(where) as ledger:
        assert list(ledger.fills()) == [(1, FILL)] and list(ledger.payments()) == [(3, PAID)]
        assert str(next(ledger.fills())[1].px) == "1999.50"


def test_opening_again_migrates_nothing(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_journal(where).close()

    def no(*_: object, **__: object) -> None:
        raise AssertionError("migrated twice")

    monkeypatch.setattr("slipstream.runtime.journal.schema._upgrade", no)
    open_journal(where).close()


def test_a_newer_release_is_refused_and_left_alone(where: str, server: Server) -> None:
    open_journal(where).close()
    statement = "UPDATE {}alembic_version SET version_num = '0999'"
    if where.startswith("sqlite"):
        raw = sqlite3.connect(where.removeprefix("sqlite:///"))
        raw.execute(statement.format(""))
        raw.commit()
        raw.close()
    else:
        server.run(statement.format(where.partition("?schema=")[2] + "."))
    for read_only in (False, True):
        with pytest.raises(JournalError, match=r"of revision 0999, this release knows up to 0003; a newer release"):
            open_journal(where, read_only=read_only)


def test_a_migration_that_fails_changes_nothing(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_first(where)
    real = "slipstream.runtime.journal.schema._upgrade"

    def half(connection: object, stamp: str | None) -> None:
        from slipstream.runtime.journal import schema

        monkeypatch.undo()
        schema._upgrade(connection, stamp)  # type: ignore[arg-type]
        raise OSError("the machine stopped here")

    monkeypatch.setattr(real, half)
    with pytest.raises(JournalError, match="cannot open: the machine stopped here"):
        open_journal(where)
    assert describe(where).revision == ""
    open_journal(where).close()
    assert describe(where).fills == 1


def test_a_row_that_cannot_be_migrated_names_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    make_first(f"sqlite:///{path}")
    raw = sqlite3.connect(path)
    raw.execute("UPDATE rows SET event = x'00' WHERE seq = 2")
    raw.commit()
    raw.close()
    with pytest.raises(JournalError, match="row 2 cannot be read"):
        open_journal(path)
    assert describe(path).revision == ""


def test_the_revisions_are_those_there_are() -> None:
    (folder,) = migrations.__path__
    found = [one.revision for one in ScriptDirectory(folder).walk_revisions()]
    assert tuple(reversed(found)) == REVISIONS


def test_migrations_make_the_tables_that_are_used(where: str) -> None:
    open_journal(where).close()
    plain, _, schema = where.partition("?schema=")
    engine = create_engine(plain.replace("postgresql:", "postgresql+psycopg:"))
    try:
        found = inspect(engine)
        names = set(found.get_table_names(schema=schema or None))
        assert names == {*META.tables, "alembic_version"}
        for name, table in META.tables.items():
            columns = {one["name"]: one["nullable"] for one in found.get_columns(name, schema=schema or None)}
            assert columns == {one.name: one.nullable for one in table.columns}
    finally:
        engine.dispose()
