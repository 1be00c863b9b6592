"""Who listens to what. A message is encoded once per topic and shared by all its listeners."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

import msgspec

from slipstream.venues.emulator.faults import Faults

ENCODER = msgspec.json.Encoder()


class Peer(Protocol):
    """One socket's way out."""

    def push(self, frame: bytes) -> None:
        """Queue a text frame; never blocks."""
        ...

    def close(self) -> None:
        """Cut the connection, without a closing handshake."""
        ...


class Hub:
    """Topics and their listeners, in the order they subscribed. Topics are any hashable with ``kind`` and ``user``."""

    def __init__(self, faults: Faults) -> None:
        self.topics: dict[Any, dict[Peer, None]] = {}
        self.peers: dict[Peer, set[Hashable]] = {}
        self._faults = faults

    def join(self, peer: Peer) -> None:
        """A new connection."""
        self.peers[peer] = set()

    def leave(self, peer: Peer) -> None:
        """A connection is gone; its subscriptions with it."""
        for topic in self.peers.pop(peer, set()):
            self._remove(peer, topic)
        self._faults.forget(peer)

    def subscribe(self, peer: Peer, topic: Any) -> bool:
        """Whether the subscription is new."""
        mine = self.peers[peer]
        if topic in mine:
            return False
        mine.add(topic)
        self.topics.setdefault(topic, {})[peer] = None
        return True

    def unsubscribe(self, peer: Peer, topic: Any) -> bool:
        """Whether there was such a subscription."""
        mine = self.peers[peer]
        if topic not in mine:
            return False
        mine.discard(topic)
        self._remove(peer, topic)
        return True

    def _remove(self, peer: Peer, topic: Any) -> None:
        listeners = self.topics.get(topic)
        if listeners is not None:
            listeners.pop(peer, None)
            if not listeners:
                del self.topics[topic]

    def publish(self, topic: Any, frame: bytes) -> None:
        """Send one frame to everybody who listens to a topic."""
        for peer in list(self.topics.get(topic, ())):
            self.deliver(peer, topic, frame)

    def deliver(self, peer: Peer, topic: Any, frame: bytes) -> None:
        """Send one frame to one listener, through whatever fault is in force."""
        if self._faults.disturbed:
            self._faults.deliver(peer, topic.kind, topic.user, topic.coin, frame)
        else:
            peer.push(frame)

    def drop(self, *, user: str = "", channel: str = "") -> int:
        """Cut connections: all, or those that listen to a user or a channel; how many."""
        chosen = [
            peer
            for peer, topics in self.peers.items()
            if (not user and not channel)
            or any((not user or t.user == user) and (not channel or t.kind == channel) for t in topics)  # type: ignore[attr-defined]
        ]
        for peer in chosen:
            peer.close()
        return len(chosen)


def message(channel: str, data: Any) -> bytes:
    """A frame of the venue."""
    return ENCODER.encode({"channel": channel, "data": data})
