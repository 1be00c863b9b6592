"""POST /control/...: test money, faults, time and the truth about an address. Off by default, loopback only."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from typing import Any

import msgspec

from slipstream.venues.emulator import shapes
from slipstream.venues.emulator.exchange import Malformed
from slipstream.venues.emulator.faults import HTTP_KINDS, STREAM_KINDS, Rule
from slipstream.venues.emulator.query import Query
from slipstream.venues.emulator.venue import BLOCK_NS, Venue

MS = 1_000_000
Answer = dict[str, Any]


class Control:
    """The admin verbs. ``save`` writes a snapshot, if the venue keeps one."""

    def __init__(self, venue: Venue, save: Callable[[], str | None]) -> None:
        self._venue = venue
        self._save = save
        self._verbs: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "deposit": self.deposit,
            "drop": self.drop,
            "fault": self.fault,
            "clear": self.clear,
            "post_only": self.post_only,
            "clock": self.clock,
            "step": self.step,
            "truth": self.truth,
            "snapshot": self.snapshot,
        }

    def answer(self, verb: str, raw: bytes, remote: str) -> tuple[int, Answer]:
        """(HTTP status, body) of a request. Refuses anybody who is not on this machine."""
        try:
            local = ip_address(remote).is_loopback
        except ValueError:
            local = False
        if not local:
            return 403, {"error": f"control answers to loopback only, not to {remote or 'an unknown address'}"}
        rule = self._verbs.get(verb)
        if rule is None and verb not in (*HTTP_KINDS, *STREAM_KINDS):
            known = ", ".join(sorted([*self._verbs, *HTTP_KINDS, *STREAM_KINDS]))
            return 404, {"error": f"unknown verb {verb!r}; known: {known}"}
        try:
            body = msgspec.json.decode(raw or b"{}")
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            return 200, self.fault({**body, "kind": verb}) if rule is None else rule(body)
        except (Malformed, ValueError, InvalidOperation, RecursionError) as error:
            return 400, {"error": f"{verb}: {error}"}

    def deposit(self, body: dict[str, Any]) -> Answer:
        """{address, usdc}: test money for anybody."""
        address = Query(body).address("address")
        self._venue.exchange.deposit(address, Decimal(str(body.get("usdc"))))
        return {"address": address, "usdc": shapes.number(self._venue.exchange.accounts[address].usd)}

    def drop(self, body: dict[str, Any]) -> Answer:
        """{user?, channel?}: cut sockets, all of them or those listening to a user or channel."""
        user = Query(body).address() if body.get("user") else ""
        channel = Query(body).text("channel") if body.get("channel") else ""
        return {"dropped": self._venue.hub.drop(user=user, channel=channel)}

    def fault(self, body: dict[str, Any]) -> Answer:
        """{kind, ...}: put a fault in force (fields: `slipstream.venues.emulator.faults.Rule`)."""
        known = {field.name for field in msgspec.structs.fields(Rule)} - {"until", "hits"}
        if unknown := sorted(set(body) - known):
            raise ValueError(f"unknown field {unknown[0]!r}; known: {', '.join(sorted(known))}")
        if isinstance(body.get("user"), str):
            body = {**body, "user": body["user"].lower()}
        self._venue.faults.add(msgspec.convert(body, Rule))
        return {"rules": len(self._venue.faults.http) + len(self._venue.faults.streams)}

    def clear(self, _body: dict[str, Any]) -> Answer:
        """Lift every fault, post-only window and skew."""
        self._venue.faults.clear()
        self._venue.clock.skew_ns = 0
        self._venue.exchange.set_post_only_until(0)
        return {"rules": 0}

    def post_only(self, body: dict[str, Any]) -> Answer:
        """{seconds}: a window of venue time in which only post-only orders are taken."""
        seconds = float(body.get("seconds", 0))
        if not 0.0 < seconds <= 86_400.0:
            raise ValueError("seconds must be above 0 and at most 86400")
        until = self._venue.exchange.now_ns + int(seconds * 1e9)
        self._venue.exchange.set_post_only_until(until)
        return {"until": until // MS}

    def clock(self, body: dict[str, Any]) -> Answer:
        """{paused?, speed?, skew_ms?}: stop, re-pace or skew the venue's clock."""
        clock = self._venue.clock
        if isinstance(body.get("paused"), bool):
            (clock.pause if body["paused"] else clock.resume)()
        if body.get("speed") is not None:
            clock.set_speed(float(body["speed"]))
        if body.get("skew_ms") is not None:
            skew = float(body["skew_ms"])
            if not abs(skew) <= 7 * 86_400_000.0:
                raise ValueError("skew_ms must be within a week")
            clock.skew_ns = int(skew * MS)
        return {"paused": clock.paused, "speed": clock.speed, "skew_ms": clock.skew_ns / MS}

    def step(self, body: dict[str, Any]) -> Answer:
        """{blocks?, ms?}: make blocks by hand, each ``ms`` of venue time long; the clock moves along."""
        blocks, ms = Query(body).integer("blocks", 1), Query(body).integer("ms", BLOCK_NS // MS)
        if not (1 <= blocks <= 10_000 and ms >= 1 and blocks * ms <= 3_600_000):
            raise ValueError("blocks must be from 1 to 10000 and blocks x ms at most an hour (3600000)")
        self._venue.clock.forward(blocks * ms * MS)
        self._venue.step(blocks, ms * MS)
        return {"time": self._venue.exchange.now_ns // MS, "height": self._venue.exchange.height}

    def truth(self, body: dict[str, Any]) -> Answer:
        """{user}: everything the exchange holds about an address, past any lag, fault or limit."""
        user = Query(body).address()
        exchange = self._venue.exchange
        account = exchange.accounts.get(user)
        return {
            "user": user,
            "known": exchange.knows(user),
            "time": exchange.now_ns // MS,
            "height": exchange.height,
            "clearinghouse": shapes.clearinghouse(exchange, user),
            "account": None if account is None else msgspec.to_builtins(account, str_keys=True),
        }

    def snapshot(self, _body: dict[str, Any]) -> Answer:
        """Write the snapshot now."""
        path = self._save()
        if path is None:
            raise ValueError("this venue keeps no snapshot; start it with --snapshot FILE")
        return {"file": path}
