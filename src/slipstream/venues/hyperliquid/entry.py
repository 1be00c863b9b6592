"""Order entry: signs actions, posts them, and turns every answer, refusal and silence into events.

Nothing waits for an answer longer than a moment: a request that hangs must not hold back the cancel behind it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec

from slipstream.model.commands import Cancel, Command, Modify, Place, Query
from slipstream.model.errors import OutcomeUnknown, Retry, VenueRejected
from slipstream.model.events import Ack, Closed, Event, Reject, Unknown
from slipstream.model.instrument import MIN_NOTIONAL, Instrument
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.account import Seen
from slipstream.venues.hyperliquid.actions import Request, events_of, requests, signed, statuses
from slipstream.venues.hyperliquid.nonce import Nonces
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.signing import Signer

REJECTED = "Rejected"
KEPT = 4_096  # unanswered requests whose nonce is remembered


class OrderEntry:
    """One signer's way in. ``deliver`` takes events, ``fail`` what nobody expected; ``now_ns`` is the venue's time.

    ``moment`` (s): how long `send` waits for answers. ``read_pause`` (s): between the two reads that say "never was".
    """

    def __init__(
        self,
        rest: Rest,
        signer: Signer,
        nonces: Nonces,
        instruments: Mapping[str, Instrument],
        *,
        address: str,
        source: str,
        vault: str | None,
        deliver: Callable[[Event], None],
        fail: Callable[[BaseException], None],
        now_ns: Callable[[], int],
        shared: bool = False,
        moment: float = 0.25,
        read_pause: float = 2.0,
    ) -> None:
        self._rest = rest
        self._signer = signer
        self._nonces = nonces
        self._instruments = instruments
        self._address = address
        self._source = source
        self._vault = vault
        self._deliver = deliver
        self._fail = fail
        self._now_ns = now_ns
        self._shared = shared
        self._moment = moment
        self._pause = read_pause
        self._acked = Seen()
        self._in_flight: set[str] = set()
        self._settling: set[str] = set()
        self._lost: OrderedDict[str, int] = OrderedDict()  # cloid -> nonce of a placement nobody answered
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, commands: Sequence[Command]) -> None:
        """Send a batch: cancels, modifies and placements as one request each; reads go on by themselves."""
        by_kind: dict[type, list[Any]] = {Place: [], Modify: [], Cancel: [], Query: []}
        for command in commands:
            by_kind[type(command)].append(_asking_less(command) if self._shared else command)
        batches = requests(by_kind[Place], by_kind[Modify], by_kind[Cancel], self._instruments)
        acting = [self._start(self._act(request)) for request in batches]
        for query in by_kind[Query]:
            if query.cloid not in self._settling:
                self._settling.add(query.cloid)
                self._start(self._settle(query.cloid))
        if acting:
            await asyncio.wait(acting, timeout=self._moment)

    async def close(self) -> None:
        """Stop waiting for answers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _act(self, request: Request) -> None:
        nonce = 0
        cloids = {c.new.cloid if isinstance(c, Modify) else c.cloid for c in request.commands if _places(c)}
        self._in_flight |= cloids
        try:
            nonce = self._nonces.next()
            body = signed(request, self._signer, nonce, self._source, self._vault)
            response = await self._rest.exchange(body, len(request.commands))
        except OSError as error:
            self._refused(request, f"not sent: nonce file: {error.strerror}")
        except (Retry, VenueRejected) as error:
            self._refused(request, str(error))
        except OutcomeUnknown as error:
            self._unknown(request, str(error), nonce)
        else:
            now = self._now_ns()
            for command, status in zip(request.commands, statuses(response, len(request.commands)), strict=True):
                found = events_of(command, status, now)
                if found is None:
                    self._unknown(Request(request.action, [command]), f"an answer that cannot be read: {status}", nonce)
                for event in found or ():
                    self._told(event)
        finally:
            self._in_flight -= cloids

    def _told(self, event: Event) -> None:
        if isinstance(event, Ack):
            self._acked.add((event.cloid, event.oid))
        self._deliver(event)

    def _refused(self, request: Request, reason: str) -> None:
        now = self._now_ns()
        for command in request.commands:
            for event in events_of(command, {"error": reason}, now) or ():
                self._deliver(event)

    def _unknown(self, request: Request, reason: str, nonce: int) -> None:
        now = self._now_ns()
        for command in request.commands:
            if _places(command):
                self._lost[command.new.cloid if isinstance(command, Modify) else command.cloid] = nonce
                if len(self._lost) > KEPT:
                    self._lost.popitem(last=False)
            if isinstance(command, Modify):
                self._deliver(Unknown(command.new.cloid, reason, now))
            self._deliver(Unknown(command.cloid, reason, now))

    def streamed(self, update: wire.OrderUpdate) -> None:
        """Deliver what the order stream says, except what an answer has told already."""
        event = event_of(update)
        if event is None or (isinstance(event, Ack) and not self._acked.add((event.cloid, event.oid))):
            return
        self._deliver(event)

    async def _settle(self, cloid: str) -> None:
        """What became of an order. Only two reads apart, its nonce used up between them, may say it never was."""
        try:
            if cloid in self._in_flight or await self._read(cloid) or not await self._bury(cloid):
                return  # still open; the kernel asks again if need be
            await asyncio.sleep(self._pause)
            if not await self._read(cloid):
                self._deliver(Reject(cloid, "the venue does not know this order", self._now_ns()))
        except (Retry, VenueRejected, OutcomeUnknown):
            return  # the kernel asks again
        finally:
            self._settling.discard(cloid)

    async def _read(self, cloid: str) -> bool:
        """Deliver an order's state; False if the venue does not know it."""
        answer = await self._rest.info("orderStatus", wire.OrderStatus, user=self._address, oid=cloid)
        if answer.order is None:
            return False
        self._lost.pop(cloid, None)
        event = event_of(answer.order)
        if event is not None:
            self._deliver(event)
        return True

    async def _bury(self, cloid: str) -> bool:
        """Use up the nonce of a lost request, so that it can never arrive late. False if that is not certain."""
        nonce = self._lost.get(cloid)
        if nonce is None:
            return True
        body = signed(Request({"type": "noop"}, ()), self._signer, nonce, self._source, self._vault)
        try:
            await self._rest.exchange(body)
        except VenueRejected as error:
            if "nonce" not in str(error).lower():  # a used nonce: the request did arrive, the reads tell
                return False
        self._lost.pop(cloid, None)
        return True


def _asking_less(command: Command) -> Command:
    """An order without reduce-only, unless it is one so small that only a closing order may be."""
    if isinstance(command, Modify):
        return msgspec.structs.replace(command, new=_asking_less(command.new))
    if isinstance(command, Place) and command.reduce_only and command.px * command.sz >= MIN_NOTIONAL:
        return msgspec.structs.replace(command, reduce_only=False)
    return command


def _places(command: Command) -> bool:
    return isinstance(command, Place | Modify)


def event_of(update: wire.OrderUpdate) -> Event | None:
    """What an order's status means; None for an order without a cloid (not ours) or a trigger's own states."""
    order, ns = update.order, update.status_timestamp * wire.MS
    if order.cloid is None:
        return None
    if update.status == "open":
        return Ack(order.cloid, order.oid, ns)
    if update.status == "triggered":
        return None
    if update.status.endswith(REJECTED) or update.status == "rejected":
        return Reject(order.cloid, update.status, ns)
    total = order.orig_sz if update.status == "filled" else order.orig_sz - order.sz
    return Closed(order.cloid, order.oid, update.status, ns, total)
