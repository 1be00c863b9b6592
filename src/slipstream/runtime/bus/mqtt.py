"""The bus over any MQTT 3.1.1 broker: QoS 1, a last will, sessions that resume, reconnects with backoff.

Publishing never waits for the broker: messages go through an outbox that keeps the newest retained one of each topic
and a bounded number of others while the broker is away. The will says ``offline`` on the pod's status topic.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from itertools import islice
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomqtt
import msgspec

from slipstream.model.errors import ConfigError
from slipstream.model.messages import Message
from slipstream.runtime.bus.envelope import BusMessageError, pack, unpack
from slipstream.runtime.bus.port import Received

QUEUE = 10_000  # messages waiting in either direction
WINDOW = 32  # messages on their way to the broker at once
PAUSE, PAUSE_MAX = 0.2, 5.0  # seconds between two tries to connect
KEEPALIVE = 5
NO_DELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)


class Address(msgspec.Struct, frozen=True):
    """Where a broker listens, and as whom to speak."""

    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool


def read_url(url: str) -> Address:
    """``mqtt://user:password@host:port``; ``mqtts`` for TLS. Raises ConfigError, never repeating the password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"bus url: {error}; give mqtt://user:password@host:port") from None
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ConfigError(
            f"bus url: {parts.scheme or 'no scheme'}://{parts.hostname}: give mqtt://host:port or mqtts://"
        )
    tls = parts.scheme == "mqtts"
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return Address(parts.hostname, port or (8883 if tls else 1883), user, password, tls)


class MqttBus:
    """See `slipstream.runtime.bus.port.Bus`. ``process`` is the client's id: a second one takes its place.

    ``lasting``: the broker keeps what comes while the connection is lost; a passer-by should leave no such session.
    ``forget_s``: after so long the session is begun anew: the broker may have dropped its subscriptions meanwhile, and
    a session without them is silent. What is retained comes again.
    """

    def __init__(
        self,
        url: str,
        process: str,
        *,
        will: tuple[str, Message] | None = None,
        tls: ssl.SSLContext | None = None,
        lasting: bool = True,
        forget_s: float = 60.0,
    ) -> None:
        self._address = read_url(url)
        self._process = process
        self._will = will
        self._tls = tls
        self._lasting = lasting
        self._forget_s = forget_s
        self._filters: list[str] = []
        self._retained: OrderedDict[str, bytes] = OrderedDict()
        self._outbox: deque[tuple[str, bytes]] = deque()
        self._send = asyncio.Event()
        self._inbox: asyncio.Queue[Received] = asyncio.Queue()
        self._client: aiomqtt.Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._lost: float | None = time.monotonic()
        self._seq = 0
        self._counts = dict.fromkeys(("sent", "received", "dropped", "unreadable", "connects"), 0)
        self._error: str | None = None

    async def __aenter__(self) -> MqttBus:
        self._task = asyncio.create_task(self._run(), name="bus")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is None:
            return
        if self.is_connected and (self._outbox or self._retained):
            # what was just said (a resume, a last report) should still go out
            give_up = time.monotonic() + 1.0
            while (self._outbox or self._retained) and self.is_connected and time.monotonic() < give_up:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def publish(self, topic: str, message: Message, *, retain: bool = False) -> None:
        """Send, or keep until the broker is back."""
        self._seq += 1
        data = pack(self._process, self._seq, time.time_ns(), message)
        if retain:
            self._retained[topic] = data
            self._retained.move_to_end(topic)
        else:
            self._outbox.append((topic, data))
            if len(self._outbox) > QUEUE:
                self._outbox.popleft()
                self._counts["dropped"] += 1
        self._send.set()

    async def subscribe(self, *filters: str) -> None:
        """Receive what matches; before or after connecting."""
        new = [one for one in filters if one not in self._filters]
        self._filters += new
        client = self._client
        if client is not None and new:
            try:
                await client.subscribe([(one, 1) for one in new])
            except aiomqtt.MqttError as error:
                self._note(error)  # the next connection subscribes to all

    async def messages(self) -> AsyncIterator[Received]:
        """Messages in the order they arrived, until the bus is left."""
        while True:
            yield await self._inbox.get()

    @property
    def is_connected(self) -> bool:
        """Whether the broker answers now."""
        return self._client is not None

    @property
    def lost_since(self) -> float | None:
        """Monotonic seconds since when the broker has been away; None while it is there."""
        return self._lost

    def statistics(self) -> dict[str, Any]:
        """Counts, and the first error."""
        waiting = len(self._outbox) + len(self._retained)
        return {**self._counts, "waiting": waiting, "unread": self._inbox.qsize(), "error": self._error}

    def _note(self, error: BaseException) -> None:
        if self._error is None:
            self._error = f"{type(error).__name__}: {error}"

    async def _run(self) -> None:
        pause = PAUSE
        fresh = self._lasting
        while True:
            try:
                if self._lost is not None and time.monotonic() - self._lost > self._forget_s:
                    fresh = self._lasting
                if fresh:
                    # what was queued for an earlier process of this name is not for this one
                    async with self._connect(clean=True):
                        fresh = False
                async with self._connect(clean=not self._lasting) as client:
                    if self._filters:
                        await client.subscribe([(one, 1) for one in self._filters])
                    self._client, self._lost = client, None
                    self._counts["connects"] += 1
                    pause = PAUSE
                    await self._converse(client)
            except (aiomqtt.MqttError, OSError, TimeoutError) as error:
                self._note(error)
            finally:
                self._client = None
                self._lost = self._lost or time.monotonic()
            await asyncio.sleep(pause)
            pause = min(PAUSE_MAX, pause * 2)

    def _connect(self, *, clean: bool) -> aiomqtt.Client:
        address = self._address
        will = None
        if self._will is not None and clean is not self._lasting:
            topic, message = self._will
            will = aiomqtt.Will(topic, pack(self._process, 0, time.time_ns(), message), qos=1, retain=True)
        client = aiomqtt.Client(
            address.host,
            address.port,
            username=address.user,
            password=address.password,
            identifier=f"slipstream-{self._process}",
            clean_session=clean,
            will=will,
            timeout=5.0,
            keepalive=KEEPALIVE,
            tls_context=(self._tls or ssl.create_default_context()) if address.tls else None,
            socket_options=NO_DELAY,
            max_queued_incoming_messages=0,
        )
        client.pending_calls_threshold = 2 * WINDOW  # a full window is no cause for alarm
        return client

    async def _converse(self, client: aiomqtt.Client) -> None:
        """Send and receive until the connection ends; either half ends the other."""
        tasks = [asyncio.create_task(self._receive(client)), asyncio.create_task(self._send_all(client))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for raw in client.messages:
            try:
                envelope = unpack(bytes(raw.payload))
            except (BusMessageError, TypeError) as error:
                self._counts["unreadable"] += 1
                self._note(error)
                continue
            self._counts["received"] += 1
            if self._inbox.qsize() >= QUEUE:
                self._inbox.get_nowait()
                self._counts["dropped"] += 1
            received = Received(raw.topic.value, envelope.body, envelope.sender, bool(raw.retain), time.time_ns())
            self._inbox.put_nowait(received)

    async def _send_all(self, client: aiomqtt.Client) -> None:
        while True:
            self._send.clear()
            while self._outbox or self._retained:
                await self._send_some(client)
            await self._send.wait()

    async def _send_some(self, client: aiomqtt.Client) -> None:
        """Send what waits, a window at a time, in order; a message leaves once the broker has acknowledged it."""
        plain = [self._outbox[number] for number in range(min(WINDOW, len(self._outbox)))]
        kept = list(islice(self._retained.items(), WINDOW - len(plain)))
        sending = [client.publish(topic, data, qos=1, timeout=5.0) for topic, data in plain]
        sending += [client.publish(topic, data, qos=1, retain=True, timeout=5.0) for topic, data in kept]
        await asyncio.gather(*sending)
        for one in plain:
            if self._outbox and self._outbox[0] is one:  # else it was dropped to make room meanwhile
                self._outbox.popleft()
        for topic, data in kept:
            if self._retained.get(topic) is data:
                del self._retained[topic]
        self._counts["sent"] += len(sending)
