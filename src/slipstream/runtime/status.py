"""A window on one process: GET /status (JSON), /metrics, /healthz; POST /halt, /resume and /configure with a token.

It listens on a loopback address only, and answers only requests that name one as their host, so that no web page can
reach it through a name of its own.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from slipstream.model.errors import ConfigError
from slipstream.model.mandate import TradingState
from slipstream.runtime.secrets import Secret

Status = Callable[[], dict[str, Any]]
_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]", "::1"}


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /halt and /resume."""

    why: str
    state: TradingState = TradingState.HALTED
    who: str = "operator"


class Configure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /configure: names of limits and their new text; an empty text returns one to the config."""

    why: str
    values: dict[str, str]
    who: str = "operator"


class StatusServer:
    """Serves a process's status; an async context manager. ``port`` 0 takes a free one."""

    def __init__(
        self,
        status: Status,
        metrics: Callable[[], bytes],
        *,
        halt: Callable[[Order], int] | None = None,
        resume: Callable[[Order], int] | None = None,
        configure: Callable[[Configure], int] | None = None,
        token: Secret | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if not _is_loopback(host):
            raise ConfigError(f"status host {host!r} is not a loopback address; use 127.0.0.1")
        self._status = status
        self._metrics = metrics
        self._actions: dict[str, tuple[type[Order | Configure], Callable[[Any], int] | None]] = {
            "/halt": (Order, halt),
            "/resume": (Order, resume),
            "/configure": (Configure, configure),
        }
        self._token = token
        self._host = host
        self.port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> StatusServer:
        app = web.Application(client_max_size=16_384, middlewares=[_local_only])
        app.router.add_get("/status", self._get_status)
        app.router.add_get("/healthz", self._get_health)
        app.router.add_get("/metrics", self._get_metrics)
        app.router.add_post("/halt", self._post)
        app.router.add_post("/resume", self._post)
        app.router.add_post("/configure", self._post)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError(f"status port {self.port} on {self._host}: {error.strerror}; choose another") from None
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def _get_status(self, _: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(self._status()), content_type="application/json")

    async def _get_health(self, _: web.Request) -> web.Response:
        phase = self._status().get("phase", "running")
        body = msgspec.json.encode({"status": "ok" if phase == "running" else phase})
        return web.Response(body=body, content_type="application/json", status=200 if phase == "running" else 503)

    async def _get_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _post(self, request: web.Request) -> web.Response:
        shape, action = self._actions[request.path]
        if action is None or self._token is None:
            return _refuse(403, "this process takes no orders here: it was started without a status token")
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode(), self._token.reveal().encode()):
            return _refuse(401, "the token is missing or wrong: send `Authorization: Bearer <token>`")
        try:
            order = msgspec.json.decode(await request.read(), type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _refuse(400, f'the body must be JSON such as {{"why": "..."}}: {error}')
        if not order.why.strip():
            return _refuse(400, "say why: `why` is empty")
        try:
            body = msgspec.json.encode({"generation": action(order)})
        except ConfigError as error:
            return _refuse(400, str(error))
        return web.Response(body=body, content_type="application/json")


def _refuse(status: int, text: str) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode({"error": text}), content_type="application/json")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@web.middleware
async def _local_only(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    name = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    if name not in _LOCAL_NAMES and not _is_loopback(name.strip("[]")):
        return _refuse(403, f"host {request.host!r} is not this machine's loopback name")
    response: web.StreamResponse = await handler(request)
    return response
