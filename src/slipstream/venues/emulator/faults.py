"""Trouble on demand: what a venue and the way to it do on bad days. Nothing happens unless a rule is set."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random
from typing import Any, Literal

import msgspec

HTTP_KINDS = ("too_many", "server_error", "reset_after_accept", "drop_before_execute", "hang", "latency")
STREAM_KINDS = ("freeze", "delay", "duplicate", "reorder")
Kind = Literal[
    "too_many",
    "server_error",
    "reset_after_accept",
    "drop_before_execute",
    "hang",
    "latency",
    "freeze",
    "delay",
    "duplicate",
    "reorder",
]
FOREVER = float("inf")


class Rule(msgspec.Struct, kw_only=True):
    """One fault. It ends after ``count`` hits or ``seconds`` of wall time, whichever comes first (neither: never).

    HTTP faults select by ``path`` ("info", "exchange"; empty: both; "exchange" covers actions posted over a socket).
    Stream faults select by ``channel``, ``user`` and ``coin`` (empty: any). ``ms`` is the delay or latency,
    ``jitter_ms`` adds up to that much, ``status`` is that of a server error, ``probability`` of each chance to hit.
    """

    kind: Kind
    count: int | None = None
    seconds: float | None = None
    probability: float = 1.0
    path: Literal["", "info", "exchange"] = ""
    channel: str = ""
    user: str = ""
    coin: str = ""
    ms: float = 0.0
    jitter_ms: float = 0.0
    status: int = 502
    until: float = FOREVER
    hits: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.probability <= 1.0:
            raise ValueError("probability must be above 0 and at most 1")
        if self.count is not None and self.count < 1:
            raise ValueError("count must be at least 1")
        if not (0.0 <= self.ms <= 3_600_000.0 and 0.0 <= self.jitter_ms <= 3_600_000.0):
            raise ValueError("ms and jitter_ms must be from 0 to 3600000")
        if self.seconds is not None and not 0.0 < self.seconds <= 86_400.0:
            raise ValueError("seconds must be above 0 and at most 86400")
        if not 500 <= self.status <= 599:
            raise ValueError("status must be from 500 to 599")


class Faults:
    """The rules in force. Seeded: the same rules and requests meet the same faults."""

    def __init__(self, seed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rng = Random(seed)
        self._clock = clock
        self.http: list[Rule] = []
        self.streams: list[Rule] = []
        self.status = 502  # of the last server error
        self._held: dict[Any, list[bytes]] = {}
        self._due: dict[Any, float] = {}

    def add(self, rule: Rule) -> None:
        """Put a rule in force from now on."""
        rule.until = FOREVER if rule.seconds is None else self._clock() + rule.seconds
        (self.http if rule.kind in HTTP_KINDS else self.streams).append(rule)

    @property
    def disturbed(self) -> bool:
        """Whether messages have to come through `deliver`: a rule is in force, or one has left some on the way."""
        return bool(self.streams or self._held or self._due)

    def clear(self) -> None:
        """Back to a good day; held messages go out."""
        self.http.clear()
        self.streams.clear()
        for peer, frames in self._held.items():
            for frame in frames:
                peer.push(frame)
        self._held.clear()

    def forget(self, peer: Any) -> None:
        """A connection is gone."""
        self._held.pop(peer, None)
        self._due.pop(peer, None)

    def _hit(self, rules: list[Rule], rule: Rule) -> bool:
        if self._clock() >= rule.until:
            rules.remove(rule)
            return False
        if rule.probability < 1.0 and self._rng.random() >= rule.probability:
            return False
        rule.hits += 1
        if rule.count is not None and rule.hits >= rule.count:
            rules.remove(rule)
        return True

    def request(self, path: str) -> Rule | None:
        """The fault that befalls a request, latency aside."""
        for rule in list(self.http):
            if rule.kind != "latency" and rule.path in ("", path) and self._hit(self.http, rule):
                return rule
        return None

    def latency(self, path: str) -> float:
        """Seconds by which a request is late."""
        total = 0.0
        for rule in list(self.http):
            if rule.kind == "latency" and rule.path in ("", path) and self._hit(self.http, rule):
                total += rule.ms + self._rng.random() * rule.jitter_ms
        return total / 1_000.0

    def deliver(self, peer: Any, channel: str, user: str, coin: str, frame: bytes) -> None:
        """Hand a message to a connection, or not, or late, or twice, or after the next one."""
        frames, late = [frame], 0.0
        for rule in list(self.streams):
            if not (
                rule.channel in ("", channel) and rule.user in ("", user) and rule.coin in ("", coin)
            ) or not self._hit(self.streams, rule):
                continue
            if rule.kind == "freeze":
                return
            if rule.kind == "duplicate":
                frames = [f for f in frames for _ in range(2)]
            elif rule.kind == "delay":
                late += (rule.ms + self._rng.random() * rule.jitter_ms) / 1_000.0
            elif rule.kind == "reorder" and peer not in self._held:
                self._held[peer] = frames
                return
        frames = frames + self._held.pop(peer, [])
        self._send(peer, frames, late)

    def _send(self, peer: Any, frames: list[bytes], late: float) -> None:
        loop = asyncio.get_running_loop()
        due = max(loop.time() + late, self._due.get(peer, 0.0))
        if due <= loop.time():
            self._due.pop(peer, None)
            for frame in frames:
                peer.push(frame)
            return
        self._due[peer] = due  # a delayed socket stays in order, as TCP does
        for frame in frames:
            loop.call_at(due, peer.push, frame)
