"""The venue's HTTP face: /info, /exchange, /ws, /healthz, and the reference exchange beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from slipstream.venues.emulator import binance_rest, info
from slipstream.venues.emulator.binance_stream import BinancePublisher, BinanceSession, streams_of
from slipstream.venues.emulator.control import Control
from slipstream.venues.emulator.depth import Unsupported
from slipstream.venues.emulator.exchange import Malformed
from slipstream.venues.emulator.hub import ENCODER
from slipstream.venues.emulator.limits import action_weight, info_weight
from slipstream.venues.emulator.outbox import QUIET_SECONDS, Outbox
from slipstream.venues.emulator.publish import Publisher
from slipstream.venues.emulator.session import Session, decode
from slipstream.venues.emulator.venue import Venue

SCHEMA_ERROR = "Failed to deserialize the JSON body into the target type"
BAD_GATEWAY = (
    "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n"
    "<center><h1>{status} {reason}</h1></center>\r\n<hr><center>cloudfront</center>\r\n</body>\r\n</html>\r\n"
)
REASONS = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
BINANCE_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
Work = Callable[[Any], Awaitable[web.StreamResponse]]


def json_response(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    body = ENCODER.encode(data)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def too_many(text: str = "Too Many Requests") -> web.Response:
    """The rate limiter's answer."""
    return web.Response(text=text, status=429)


class Server:
    """Routes over one venue."""

    def __init__(self, venue: Venue, control: Control | None) -> None:
        self.venue = venue
        self.publisher = Publisher(venue)
        self.binance = BinancePublisher(venue)
        self._control = control
        venue.listeners += [self.publisher.on_block, self.binance.on_block]

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/info", self.info)
        app.router.add_post("/exchange", self.exchange)
        app.router.add_get("/healthz", self.health)
        app.router.add_post("/control/{verb}", self.control)
        for prefix in ("", "/public", "/market", "/private"):
            app.router.add_get(f"{prefix}/ws", self.socket)
            app.router.add_get(f"{prefix}/ws/{{streams}}", self.socket)
            app.router.add_get(f"{prefix}/stream", self.socket)
        app.router.add_get("/fapi/{version}/{path:.+}", self.reference)
        return app

    async def health(self, _request: web.Request) -> web.Response:
        """Ready or not, and how fast."""
        return json_response(self.venue.health(), 200 if self.venue.ready else 503)

    async def info(self, request: web.Request) -> web.StreamResponse:
        """POST /info."""

        async def work(body: Any) -> web.StreamResponse:
            try:
                data = info.answer(self.venue, body)
            except Unsupported:
                return json_response(None, 500)
            rows = len(data) if isinstance(data, list) else 0
            if not self.venue.limits.weigh(request.remote or "", info_weight(body["type"], rows)):
                return too_many()
            return json_response(data)

        return await self._guarded(request, "info", work)

    async def exchange(self, request: web.Request) -> web.StreamResponse:
        """POST /exchange."""

        async def work(body: Any) -> web.StreamResponse:
            action = body.get("action") if isinstance(body, dict) else None
            weight = action_weight(action if isinstance(action, dict) else {})
            if not self.venue.limits.weigh(request.remote or "", weight):
                return too_many()
            return json_response(await self.venue.act(body))

        return await self._guarded(request, "exchange", work)

    async def _guarded(self, request: web.Request, path: str, work: Work) -> web.StreamResponse:
        """A request through the faults in force; schema errors become 422."""
        raw = await request.read()
        trouble = await self.venue.befall(path)
        if trouble == "too_many":
            return too_many()
        if trouble == "server_error":
            status = self.venue.faults.status
            page = BAD_GATEWAY.format(status=status, reason=REASONS.get(status, "Server Error"))
            return web.Response(text=page, status=status, content_type="text/html")
        if trouble == "drop_before_execute":
            return cut(request)
        if trouble == "hang":
            await asyncio.Event().wait()  # until the client leaves or the server stops
        try:
            answer = await work(msgspec.json.decode(raw))
        except (Malformed, msgspec.DecodeError, RecursionError) as error:
            return web.Response(text=f"{SCHEMA_ERROR}: {error}", status=422)
        return cut(request) if trouble == "reset_after_accept" else answer

    async def control(self, request: web.Request) -> web.Response:
        """POST /control/{verb}."""
        if self._control is None:
            return json_response({"error": "control is off; start the venue with --control"}, 404)
        status, body = self._control.answer(request.match_info["verb"], await request.read(), request.remote or "")
        return json_response(body, status)

    async def reference(self, request: web.Request) -> web.StreamResponse:
        """GET /fapi/..."""
        path = f"{request.match_info['version']}/{request.match_info['path']}"
        status, body = binance_rest.answer(self.venue, path, dict(request.query))
        weight = {"X-MBX-USED-WEIGHT-1M": "1"}
        return json_response(body, status, weight)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """GET /ws and its relatives: Hyperliquid on the bare path, unless the client speaks Binance."""
        ip = request.remote or ""
        if refusal := self.venue.limits.connect(ip):
            return too_many(refusal)
        ws = web.WebSocketResponse(compress=False, max_msg_size=1 << 20, timeout=2.0)
        try:
            await ws.prepare(request)
        except BaseException as error:
            self.venue.limits.disconnect(ip, [])
            if isinstance(error, ConnectionError):  # it left before it was greeted
                return ws
            raise
        outbox = Outbox(request.transport)
        self.venue.hub.join(outbox)
        names = streams_of(request.match_info.get("streams"), request.query.get("streams"))
        foreign = request.path != "/ws"
        try:
            async with asyncio.TaskGroup() as group:
                tasks: set[asyncio.Task[None]] = set()

                def spawn(work: Any) -> None:
                    task = group.create_task(work)
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)

                spawn(outbox.write(ws, None if foreign else QUIET_SECONDS))
                ours = Session(self.venue, self.publisher, outbox, ip, spawn)
                theirs = BinanceSession(self.venue, outbox, combined=request.path.endswith("/stream"))
                theirs.subscribe(names)
                await self._listen(ws, ours, theirs, foreign)
                for task in list(tasks):
                    task.cancel()
        finally:
            self.venue.limits.disconnect(ip, list(self.venue.hub.peers.get(outbox, ())))
            outbox.gone = True
            self.venue.hub.leave(outbox)
        return ws

    async def _listen(self, ws: web.WebSocketResponse, ours: Session, theirs: BinanceSession, foreign: bool) -> None:
        async for item in ws:
            if item.type is WSMsgType.TEXT:
                text = item.data
            elif item.type is WSMsgType.BINARY:
                text = item.data.decode("utf-8", "replace")
            else:
                break
            decoded = decode(text)
            if foreign or (isinstance(decoded, dict) and decoded.get("method") in BINANCE_METHODS):
                theirs.receive(decoded)
            else:
                ours.receive(text, decoded)


def cut(request: web.Request) -> web.Response:
    """Close the connection under a request, without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
