"""A journal's database in a schema of PostgreSQL: one connection that holds an advisory lock as long as it lives.

A commit waits for the server's disk, unless the journal's ``sync`` is "intents": then rows without orders may be lost
with a crash of the server, in order from the end, and never with a crash of this process.
"""

from __future__ import annotations

import hashlib
import os
import socket
from typing import Any

import psycopg
from psycopg import errors as pg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from slipstream.model.errors import JournalError
from slipstream.runtime.journal.address import ServerAddress
from slipstream.runtime.journal.database import Database

CONNECT_TIMEOUT = 10  # seconds
# a server or a network that vanished without a word is noticed after about 10 + 3 * 5 seconds
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
_OWNER = """
    SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.classid = %s::bigint::oid AND l.objid = %s::bigint::oid
"""


class PostgresDatabase(Database):
    """A schema. ``busy_timeout`` is how long a statement waits for a lock that somebody else holds, seconds."""

    errors = (SQLAlchemyError, OSError, psycopg.Error)
    always_strict = True  # a server can be killed like any process, and would lose what it had not written

    def __init__(self, address: ServerAddress, *, read_only: bool = False, busy_timeout: float = 2.0) -> None:
        self._address = address
        self._busy_timeout = busy_timeout
        self._connected = False
        super().__init__(str(address), read_only=read_only)

    def _connect(self) -> Engine:
        flags = [f"-csearch_path={self._address.schema}", f"-clock_timeout={int(self._busy_timeout * 1000)}"]
        flags.append(f"-cdefault_transaction_read_only={'on' if self.read_only else 'off'}")
        arguments: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, **_KEEPALIVE, **self._address.url.query}
        arguments["options"] = " ".join([str(arguments.get("options", "")), *flags]).strip()
        arguments["application_name"] = f"slipstream {os.getpid()}@{socket.gethostname()}"[:63]
        engine = create_engine(self._address.url.set(query={}), poolclass=StaticPool, connect_args=arguments)

        @event.listens_for(engine, "connect")
        def connected(connection: psycopg.Connection[Any], _: object) -> None:
            if self._connected:  # the lock went with the connection: somebody else may write by now
                connection.close()
                raise JournalError(f"journal {self.name}: the connection was lost; start again")
            self._connected = True
            if not self.read_only:
                self._take_lock(connection)

        return engine

    def _take_lock(self, connection: psycopg.Connection[Any]) -> None:
        key = hashlib.sha256(f"slipstream journal {self._address.schema}".encode()).digest()
        number = int.from_bytes(key[:8], "big", signed=True)
        halves = (int.from_bytes(key[:4], "big"), int.from_bytes(key[4:8], "big"))
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (number,)).fetchone()
        if row is None or not row[0]:
            owner = connection.execute(_OWNER, halves).fetchone()
            connection.close()
            who = (
                f"{owner[1].removeprefix('slipstream ') or 'unknown'} (server process {owner[0]})"
                if owner
                else "unknown"
            )
            raise JournalError(f"journal {self.name}: process {who} is writing it; stop that one first")
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (self._address.schema,)).fetchone()
        if found is None:
            connection.execute(f'CREATE SCHEMA "{self._address.schema}"')
        connection.commit()

    def _sync(self, strict: bool) -> None:
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(f"SET synchronous_commit = {'on' if strict else 'off'}")
            cursor.close()
            connection.commit()
        finally:
            connection.close()

    def _words(self, cause: str) -> str:
        said = "; ".join(line.strip() for line in cause.splitlines() if line.strip())
        password = self._address.url.password
        return said.replace(str(password), "***") if password else said

    def _hides(self, text: str) -> bool:
        password = self._address.url.password
        return bool(password) and str(password) in text

    def _advice(self, cause: BaseException) -> str:
        text = str(cause)
        for kinds, words, said in _ADVICE:
            if isinstance(cause, kinds) or any(word in text for word in words):
                return f"; {said}"
        return ""


_ADVICE: tuple[tuple[tuple[type[BaseException], ...], tuple[str, ...], str], ...] = (
    (
        (pg.DiskFull,),
        ("No space left on device",),
        "free space on the server's disk, then start again: nothing recorded was lost",
    ),
    (
        (pg.InvalidPassword, pg.InvalidAuthorizationSpecification),
        ("password authentication failed", "no password supplied", "no pg_hba.conf entry"),
        "check the user and the password (in the URL, PGPASSWORD or ~/.pgpass)",
    ),
    ((pg.InvalidCatalogName,), ('" does not exist',), "create the database, or the role, or mend the URL"),
    (
        (pg.InsufficientPrivilege,),
        ("permission denied",),
        "grant this user CREATE on the database, or make the schema and give it to the user",
    ),
    ((pg.ReadOnlySqlTransaction,), (), "it was opened read-only, or the server is a standby"),
    ((pg.LockNotAvailable,), (), "another program holds a table: end its transaction, then start again"),
    ((pg.TooManyConnections,), ("too many clients",), "raise max_connections, or stop other clients"),
    (
        (pg.AdminShutdown, pg.CrashShutdown, pg.CannotConnectNow, ConnectionError),
        ("refused", "closed", "terminat", "timeout", "could not receive", "could not send", "No such file"),
        "check that the server runs and is reachable, then start again: what was acknowledged is recorded",
    ),
    ((), ("could not translate host", "Name or service not known", "resolve host"), "check the host in the URL"),
)
