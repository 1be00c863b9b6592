"""Tells people through apprise: mail, chat, webhooks by URL. Never raises, never blocks, says when it could not.

Each URL is a channel of its own: one that hangs does not keep the others waiting. Delivery is in a thread with a time
limit; a thread that does not come back is left behind, and only a few of them are.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import msgspec

from slipstream.model.errors import ConfigError
from slipstream.model.messages import Alert
from slipstream.runtime.telemetry import logger
from slipstream.runtime.throttle import Note, Throttle

QUEUE = 200  # notes that wait for one channel
STUCK_MAX = 3  # threads of one channel that may hang at a time
SECRET_LENGTH = 6  # parts of a URL at least so long are blanked in what is said of a failure


class Patience(msgspec.Struct, frozen=True):
    """Seconds: for one delivery (apprise itself may wait 5.5 s between two), between tries, and when leaving."""

    delivery: float = 20.0
    pauses: tuple[float, ...] = (1.0, 5.0, 25.0)
    leaving: float = 3.0


Send = Callable[[Note], str | None]
Failed = Callable[[str], None]


class Channel:
    """One URL. ``send`` blocks and answers None, or why it failed."""

    def __init__(self, name: str, send: Send, failed: Failed, patience: Patience) -> None:
        self.name = name
        self._send, self._failed, self._patience = send, failed, patience
        self._waiting: deque[Note] = deque()
        self._more = asyncio.Event()
        self._flight: asyncio.Future[str | None] | None = None
        self._stuck = 0
        self.sent = self.lost = self.dropped = 0
        self.error: str | None = None

    def put(self, note: Note) -> None:
        """Queue a note; the oldest goes when too many wait."""
        self._waiting.append(note)
        if len(self._waiting) > QUEUE:
            self._waiting.popleft()
            self.dropped += 1
        self._more.set()

    async def run(self) -> NoReturn:
        """Deliver until cancelled; then what is left, once and quickly."""
        note: Note | None = None
        try:
            while True:
                self._more.clear()
                while self._waiting:
                    note = self._waiting.popleft()
                    await self._deliver(note)
                    note = None
                await self._more.wait()
        except asyncio.CancelledError:
            await self._leave(note)
            raise

    async def _leave(self, note: Note | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.leaving):
                if note is not None:
                    # what is on its way may yet arrive: only a failure is tried again
                    if self._flight is not None and await self._flight is None:
                        self.sent += 1
                    else:
                        self._count(await self._try(note))
                while self._waiting:
                    note = self._waiting.popleft()
                    self._count(await self._try(note))
        self.lost += len(self._waiting)

    async def _deliver(self, note: Note) -> None:
        problem = await self._try(note)
        for pause in self._patience.pauses:
            if problem is None:
                break
            self._report(problem)
            await asyncio.sleep(pause)
            problem = await self._try(note)
        self._count(problem)

    def _count(self, problem: str | None) -> None:
        if problem is None:
            self.sent += 1
        else:
            self.lost += 1
            self._report(problem)

    def _report(self, problem: str) -> None:
        if self.error is None:
            self.error = problem
            self._failed(f"{self.name}: {problem}")

    async def _try(self, note: Note) -> str | None:
        if self._stuck >= STUCK_MAX:
            return f"{self._stuck} deliveries hang"
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def settle(problem: str | None) -> None:
            self._stuck -= 1
            if not answer.done():
                answer.set_result(problem)

        def work() -> None:
            try:
                problem = self._send(note)
            except Exception as error:  # a plugin's own bug: said, not raised, for alerts must go on
                problem = f"{type(error).__name__} in apprise"
            with suppress(RuntimeError):  # the loop ended before
                loop.call_soon_threadsafe(settle, problem)

        self._stuck += 1
        self._flight = answer
        threading.Thread(target=work, name=f"alert-{self.name}", daemon=True).start()
        try:
            async with asyncio.timeout(self._patience.delivery):
                return await asyncio.shield(answer)
        except TimeoutError:
            return f"no answer within {self._patience.delivery:g} s"


class AppriseNotifier:
    """See `slipstream.model.ports.Notifier`. To be called from the loop that runs `run`; ``tell`` is for alerts.

    ``failed`` hears a channel's first failure, as one line without secrets; it is logged whoever hears it.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        per_minute: float,
        failed: Failed | None = None,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ConfigError that names a URL by its place: URLs hold secrets."""
        self._log = logger(process="alerts")
        self._heard = failed
        self._clock = clock
        self._throttle = Throttle(per_minute)
        self._held = asyncio.Event()
        waits = patience or Patience()
        self.channels = [
            Channel(f"alerts.urls[{place}] ({_scheme(url)})", _sender(url, place), self._failed, waits)
            for place, url in enumerate(urls)
        ]

    def notify(self, lines: Iterable[str]) -> None:
        """Send some lines as they are, unthrottled; the first is the title."""
        title, *rest = list(lines) or [""]
        if title or rest:
            self._put(Note("info", title, "\n".join(rest)))

    def tell(self, alert: Alert) -> None:
        """Send an alert, unless its matter was told before or too many were sent: then it is counted."""
        note = self._throttle.take(alert, self._clock())
        if note is not None:
            self._put(note)
        elif self._throttle.summary_at(self._clock()) is not None:
            self._held.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for channel in self.channels:
                group.create_task(channel.run(), name=channel.name)
            group.create_task(self._summaries(), name="held back")

    def statistics(self) -> dict[str, Any]:
        """Counts, and each channel's first error."""
        return {
            "sent": sum(channel.sent for channel in self.channels),
            "lost": sum(channel.lost + channel.dropped for channel in self.channels),
            "counted": self._throttle.counted,
            "held_back": self._throttle.held_back,
            "errors": {channel.name: channel.error for channel in self.channels if channel.error is not None},
        }

    async def _summaries(self) -> NoReturn:
        while True:
            await self._held.wait()
            self._held.clear()
            while (at := self._throttle.summary_at(self._clock())) is not None:
                note = self._throttle.summary(self._clock())
                if note is None:
                    await asyncio.sleep(max(0.01, at - self._clock()))
                else:
                    self._put(note)

    def _put(self, note: Note) -> None:
        self._log.warning("told", level=note.level, title=note.title, body=note.body)
        for channel in self.channels:
            channel.put(note)

    def _failed(self, line: str) -> None:
        self._log.error("alert not delivered", problem=line)
        if self._heard is not None:
            self._heard(line)


def _scheme(url: str) -> str:
    return url.split("://", 1)[0] if re.match(r"^[a-z0-9+]{1,20}://", url) else "no scheme"


def _sender(url: str, place: int) -> Send:
    """How to send to a URL. Raises ConfigError."""
    import apprise  # 0.2 s to load: only who sends pays

    plugin = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if plugin is None:
        raise ConfigError(
            f"alerts.urls[{place}]: apprise cannot read it (it begins with {_scheme(url)}); give a URL such as "
            "json://host:port/path, mailto://user:password@host or slack://..."
        )
    kinds = {
        "info": apprise.NotifyType.INFO,
        "warning": apprise.NotifyType.WARNING,
        "error": apprise.NotifyType.FAILURE,
        "critical": apprise.NotifyType.FAILURE,
    }

    def send(note: Note) -> str | None:
        with _Said(url) as said:
            title = f"[{note.level}] {note.title}"
            if plugin.notify(body=note.body or note.title, title=title, notify_type=kinds[note.level]):
                return None
            return said.text or "not accepted"

    return send


class _Said(logging.Handler):
    """What apprise logs of one delivery, in this thread: its only word on why one failed."""

    def __init__(self, url: str) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self._secrets = [part for part in re.split(r"[:/@?&=]+", url) if len(part) >= SECRET_LENGTH]
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first line."""
        if record.thread == self._thread and not self.text:
            text = " ".join(record.getMessage().split())
            for secret in self._secrets:
                text = text.replace(secret, "...")
            self.text = text[:200]

    def __enter__(self) -> _Said:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)
