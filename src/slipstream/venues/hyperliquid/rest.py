"""Hyperliquid's REST: reads that may be repeated, and actions whose failure is named by what it means.

Reads: a failure is Retry, nothing happened. Actions: refused before anything was sent is NotConnected; an answer that
says no is VenueRejected; a request that was sent and not answered is OutcomeUnknown, whatever the reason, and is never
sent again.
"""

from __future__ import annotations

from typing import Any, TypeVar

import aiohttp
import msgspec

from slipstream.model.errors import NotConnected, OutcomeUnknown, RateLimited, Retry, VenueRejected
from slipstream.venues.hyperliquid.limits import Weights, action_weight, info_weight, rows_weight

T = TypeVar("T")
JSON = {"Content-Type": "application/json"}


class Answer(msgspec.Struct):
    """The envelope of every /exchange answer."""

    status: str
    response: Any = None


class _Unanswered(Exception):
    """Sent, and no answer came."""


class Rest:
    """One HTTP session to one venue, with our own weight accounting. ``timeout`` is seconds for a whole request."""

    def __init__(self, session: aiohttp.ClientSession, url: str, weights: Weights, timeout: float = 10.0) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._weights = weights
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(5.0, timeout))

    async def _post(self, path: str, payload: bytes) -> tuple[int, bytes]:
        """Status and body. Raises NotConnected if nothing was sent, _Unanswered if no answer came."""
        try:
            async with self._session.post(
                self._url + path, data=payload, headers=JSON, timeout=self._timeout
            ) as response:
                return response.status, await response.read()
        except aiohttp.ClientConnectorError as error:
            raise NotConnected(f"{self._url}: {error.os_error.strerror or error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _Unanswered(f"{type(error).__name__} {error}") from error

    async def info(self, kind: str, answer: type[T], **body: Any) -> T:
        """One /info request, read as a type. Raises Retry (RateLimited, NotConnected) or VenueRejected."""
        self._weights.spend(info_weight(kind))
        try:
            status, text = await self._post("/info", msgspec.json.encode({"type": kind, **body}))
        except _Unanswered as error:
            raise Retry(f"{kind}: {error}") from error
        if status == 429:
            raise RateLimited(f"{kind}: the venue says 429", 10.0)
        if status >= 500:
            raise Retry(f"{kind}: the venue answers {status}")
        if status != 200:
            raise VenueRejected(f"{kind}: the venue answers {status}: {text[:200].decode('utf-8', 'replace')}")
        try:
            out = msgspec.json.decode(text, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Retry(f"{kind}: cannot read the answer: {error}") from error
        self._weights.add(rows_weight(kind, len(out) if isinstance(out, list) else 0))
        return out

    async def exchange(self, payload: bytes, batch: int = 1) -> Any:
        """One signed /exchange request: the ``response`` of an "ok" answer.

        Raises NotConnected or RateLimited (nothing was sent or taken), VenueRejected (the venue's text), or
        OutcomeUnknown.
        """
        self._weights.spend(action_weight(batch), action=True)
        try:
            status, text = await self._post("/exchange", payload)
        except _Unanswered as error:
            raise OutcomeUnknown(f"no answer: {error}") from error
        return read_answer(status, text)


def read_answer(status: int, text: bytes) -> Any:
    """The ``response`` of an /exchange answer. Raises as `Rest.exchange` does."""
    if status == 429:
        raise RateLimited("the venue says 429", 10.0)
    if status >= 500 or status == 408:
        raise OutcomeUnknown(f"the venue answers {status}")
    if status != 200:
        raise VenueRejected(f"the venue answers {status}: {text[:200].decode('utf-8', 'replace')}")
    try:
        answer = msgspec.json.decode(text, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OutcomeUnknown(f"an answer that cannot be read: {error}") from error
    if answer.status != "ok":
        raise VenueRejected(str(answer.response))
    return answer.response
