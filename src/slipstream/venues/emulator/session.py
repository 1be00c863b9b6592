"""A Hyperliquid WebSocket conversation: subscribe, unsubscribe, ping, post."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from slipstream.venues.emulator import info
from slipstream.venues.emulator.depth import Unsupported
from slipstream.venues.emulator.exchange import Malformed
from slipstream.venues.emulator.hub import ENCODER, message
from slipstream.venues.emulator.limits import action_weight, info_weight
from slipstream.venues.emulator.outbox import Outbox
from slipstream.venues.emulator.publish import Publisher
from slipstream.venues.emulator.subscriptions import Topic, read_topic
from slipstream.venues.emulator.venue import Venue

PONG = ENCODER.encode({"channel": "pong"})
POST = Topic("post")
Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Session:
    """What one client has asked for. ``spawn`` runs a coroutine for as long as the connection lives."""

    def __init__(self, venue: Venue, publisher: Publisher, outbox: Outbox, ip: str, spawn: Spawn) -> None:
        self._venue = venue
        self._publisher = publisher
        self._outbox = outbox
        self._ip = ip
        self._spawn = spawn
        self._posts = 0

    def receive(self, text: str, decoded: Any) -> None:
        """One message of the client."""
        method = decoded.get("method") if isinstance(decoded, dict) else None
        if not self._venue.limits.message(self._ip):
            self._error("Too many websocket messages")
        elif method == "ping":
            self._outbox.push(PONG)
        elif method in ("subscribe", "unsubscribe"):
            self._subscribe(str(method), decoded.get("subscription"))
        elif method == "post":
            self._post(text, decoded)
        else:
            self._error(f"Error parsing JSON into valid websocket request: {text[:500]}")

    def _error(self, text: str) -> None:
        self._outbox.push(message("error", text))

    def _subscribe(self, method: str, raw: Any) -> None:
        hub, outbox = self._venue.hub, self._outbox
        shown = ENCODER.encode(raw).decode()
        try:
            topic = read_topic(raw, self._venue.exchange.instruments)
        except Malformed:
            self._error(f"Invalid subscription {shown[:500]}")
            return
        echo = topic.echo()
        if method == "unsubscribe":
            if not hub.unsubscribe(outbox, topic):
                self._error(f"Already unsubscribed: {ENCODER.encode(echo).decode()}")
                return
            self._venue.limits.unsubscribe(self._ip, topic)
            outbox.push(message("subscriptionResponse", {"method": method, "subscription": echo}))
            return
        if topic in hub.peers[outbox]:
            self._error(f"Already subscribed: {ENCODER.encode(echo).decode()}")
            return
        if refusal := self._venue.limits.subscribe(self._ip, topic):
            self._error(refusal)
            return
        if topic.user:
            self._venue.exchange.faucet(topic.user)
        hub.subscribe(outbox, topic)
        outbox.push(message("subscriptionResponse", {"method": method, "subscription": echo}))
        for data in self._publisher.first(topic):
            hub.deliver(outbox, topic, message(topic.channel, data))

    def _post(self, text: str, decoded: dict[str, Any]) -> None:
        request = decoded.get("request")
        number = decoded.get("id")
        if (
            not isinstance(number, int)
            or not isinstance(request, dict)
            or request.get("type") not in ("info", "action")
            or not isinstance(request.get("payload"), dict)
        ):
            self._error(f"Error parsing JSON into valid websocket request: {text[:500]}")
            return
        if self._posts >= self._venue.limits.settings.posts:
            self._error("too many pending post requests")
            return
        self._posts += 1
        self._spawn(self._answer(number, request["type"], request["payload"]))

    async def _answer(self, number: int, kind: str, payload: dict[str, Any]) -> None:
        try:
            response = await (self._info(payload) if kind == "info" else self._action(payload))
        except Malformed as error:
            response = {"type": "error", "payload": f"422 Failed to deserialize: {error}"}
        finally:
            self._posts -= 1
        if response is not None:
            frame = message("post", {"id": number, "response": response})
            self._venue.hub.deliver(self._outbox, POST, frame)

    async def _info(self, payload: dict[str, Any]) -> Any:
        kind = payload.get("type")
        trouble = await self._venue.befall("info")
        if trouble is not None and (cut := self._cut(trouble)) is not False:
            return cut
        try:
            data = info.answer(self._venue, payload)
        except Unsupported:
            return {"type": "error", "payload": "500 null"}
        rows = len(data) if isinstance(data, list) else 0
        if not self._venue.limits.weigh(self._ip, info_weight(str(kind), rows)):
            return {"type": "error", "payload": "429 Too Many Requests"}
        if trouble == "reset_after_accept":
            self._outbox.close()
        return {"type": "info", "payload": {"type": kind, "data": data}}

    async def _action(self, payload: dict[str, Any]) -> Any:
        action = payload.get("action")
        trouble = await self._venue.befall("exchange")
        if trouble is not None and (cut := self._cut(trouble)) is not False:
            return cut
        if not self._venue.limits.weigh(self._ip, action_weight(action if isinstance(action, dict) else {})):
            return {"type": "error", "payload": "429 Too Many Requests"}
        answer = await self._venue.act(payload)
        if trouble == "reset_after_accept":
            self._outbox.close()
        return {"type": "action", "payload": answer}

    def _cut(self, trouble: str) -> Any:
        """The response that a fault before execution leaves (None: no response), or False if it comes later."""
        if trouble == "too_many":
            return {"type": "error", "payload": "429 Too Many Requests"}
        if trouble == "server_error":
            return {"type": "error", "payload": "502 Bad Gateway"}
        if trouble == "hang":
            return None
        if trouble == "drop_before_execute":
            self._outbox.close()
            return None
        return False


def decode(text: str) -> Any:
    """JSON, or None for what is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
