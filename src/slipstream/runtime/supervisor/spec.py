"""What to run and within which bounds, and what became of it: plain values."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from pathlib import Path

import msgspec

from slipstream.model.errors import ConfigError

Probe = Callable[[], Awaitable[bool]]


class State(Enum):
    """Where a supervised process is."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    HUNG = "hung"  # it does not answer and was killed for it
    OVER = "over limit"  # it took more memory than it may and was killed for it
    BACKOFF = "backoff"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one process; 0 sets none.

    ``memory_mb`` is of resident memory, watched once per ``Spec.watch_every`` (Linux); ``address_space_mb`` is
    RLIMIT_AS, which the kernel enforces and compilers that reserve much may not like; ``open_files`` is RLIMIT_NOFILE.
    """

    memory_mb: int = 0
    address_space_mb: int = 0
    open_files: int = 0


class Spec(msgspec.Struct, frozen=True):
    """What to run. Times are seconds.

    ``ready`` is asked until it says True (None: ready when started). ``alive`` is asked every ``watch_every`` once the
    process is ready; ``alive_misses`` answers in a row that are False, an error or later than ``alive_timeout`` mean
    that it hangs: it is killed and started again. ``max_restarts`` are allowed within any ``restart_window``. It
    starts when everything in ``after`` is ready and stops when all that came after it has; None: after all specs
    before it.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = {}
    ready: Probe | None = None
    ready_timeout: float = 60.0
    stop_timeout: float = 20.0
    max_restarts: int = 5
    backoff: float = 0.5
    restart_window: float = 600.0
    alive: Probe | None = None
    alive_misses: int = 5
    alive_timeout: float = 2.0
    watch_every: float = 1.0
    limits: Limits = Limits()
    after: tuple[str, ...] | None = None


class Life(msgspec.Struct, frozen=True):
    """One life of a process, from its start to its end. ``exit_code`` is negative for a signal, as in subprocess."""

    number: int
    pid: int | None = None
    seconds: float = 0.0
    exit_code: int | None = None
    reason: str = ""
    first_error: str = ""

    @property
    def last_exit(self) -> str:
        """How it ended, in words; empty while it lives."""
        if self.exit_code is None:
            return ""
        if self.exit_code < 0:
            known = -self.exit_code in set(signal.Signals)
            how = f"killed by {signal.Signals(-self.exit_code).name if known else f'signal {-self.exit_code}'}"
        else:
            how = f"exit code {self.exit_code}"
        return f"{how}: {self.reason}" if self.reason else how


class Row(msgspec.Struct, frozen=True):
    """A supervised process for a status page. ``restarts_left`` is what the window still allows."""

    name: str
    state: str
    pid: int | None
    restarts: int
    restarts_left: int
    up_s: float
    memory_mb: float | None
    exit_code: int | None
    last_exit: str
    first_error: str


def dependencies(specs: list[Spec]) -> dict[str, tuple[str, ...]]:
    """After whom each process starts. Raises ConfigError for names that are unknown, doubled or wait in a circle."""
    names = [spec.name for spec in specs]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise ConfigError(f"two processes are called {doubled.pop()!r}; rename one")
    found: dict[str, tuple[str, ...]] = {}
    for number, spec in enumerate(specs):
        found[spec.name] = tuple(names[:number]) if spec.after is None else spec.after
        for name in found[spec.name]:
            if name not in names:
                raise ConfigError(
                    f"{spec.name} starts after {name!r}, which is not there; there are {', '.join(names)}"
                )
    free: set[str] = set()
    while len(free) < len(names):
        next_ = {name for name in names if name not in free and free.issuperset(found[name])}
        if not next_:
            circle = ", ".join(name for name in names if name not in free)
            raise ConfigError(f"{circle} wait for each other; take one name out of an `after`")
        free |= next_
    return found
