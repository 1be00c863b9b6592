"""Which tables a database has: what a reader accepts, and how a writer brings it to this release."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, select, text

from slipstream.model.errors import JournalError
from slipstream.runtime.journal.migrations import REVISIONS
from slipstream.runtime.journal.tables import HEAD

SCHEMA = 1  # the form of the records' bytes; the tables have their own revisions
VERSIONS = "alembic_version"


def revision(connection: Connection, name: str) -> str | None:
    """The revision of a database's tables, "" if they are older than revisions, None if it holds no journal.

    Raises JournalError if a newer release made them.
    """
    tables = inspect(connection).get_table_names()
    if VERSIONS in tables:
        found: str | None = connection.execute(text(f"SELECT version_num FROM {VERSIONS}")).scalar()
        if found is not None and found not in REVISIONS:
            raise JournalError(
                f"journal {name}: its tables are of revision {found}, this release knows up to {REVISIONS[-1]}; "
                "a newer release wrote it: use that one"
            )
        if found is not None:
            return found
    return "" if HEAD.name in tables else None


def check(connection: Connection, name: str) -> None:
    """Raise JournalError unless this release can read the records."""
    found = connection.execute(select(HEAD.c.value).where(HEAD.c.key == "schema")).scalar()
    if found != str(SCHEMA):
        raise JournalError(
            f"journal {name}: schema {found}, this release reads {SCHEMA}; use the release that wrote it"
        )


def migrate(connection: Connection, name: str) -> None:
    """Bring the tables to this release, in the transaction of ``connection``. Raises JournalError."""
    found = revision(connection, name)
    if found == "":
        check(connection, name)
    if found != REVISIONS[-1]:
        _upgrade(connection, stamp=REVISIONS[0] if found == "" else None)


def _upgrade(connection: Connection, stamp: str | None) -> None:
    # imported here: a journal that needs no step does not pay for loading Alembic
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    if stamp is not None:
        command.stamp(config, stamp)
    command.upgrade(config, "head")
