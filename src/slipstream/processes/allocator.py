"""`slipstream allocator`: the process that lends. It has no key: it hears the auditor and reads public prices.

Every cycle: what the auditor saw of the pods, prices, some order books; recorded with what follows; then told. Without
a fresh audit nothing is renewed, and leases end by themselves.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import typer

from slipstream.federation import capacity
from slipstream.federation.allocator import (
    AllocatorState,
    AllocatorTerms,
    Input,
    Output,
    Outranked,
    capacities,
    stage_of,
    step,
)
from slipstream.federation.capacity import Sample
from slipstream.federation.shortfall import OrderCost
from slipstream.model.errors import Retry, VenueRejected
from slipstream.model.mandate import Mandate
from slipstream.model.messages import (
    Alert,
    AuditReport,
    Configure,
    Decision,
    Forecast,
    Message,
    PodReport,
    StageChange,
)
from slipstream.processes.fund import FundOptions, load_fund
from slipstream.processes.host import Host, hosted
from slipstream.processes.lending import SECOND, asked, observed, terms_of, unread
from slipstream.processes.tapes import JournalTape
from slipstream.runtime.addresses import is_local
from slipstream.runtime.decisions import DecisionJournal, DecisionSession, Fold, Verdict, recover, verify
from slipstream.runtime.status import StatusServer
from slipstream.runtime.telemetry import Log, logger, process_line, start_logging
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest

WHO = "allocator"
IP_WEIGHT = 200
AUDIT_FRESH_S = 10.0  # wall seconds
BOOKS_A_CYCLE = 4  # order books read each time, in turn: two of weight each
CHECKPOINT_ROWS = 500
HIGHEST = 1 << 53  # a version: whoever claims to obey a higher one is not believed
KEEP_ROWS = 50_000


class BookLevel(msgspec.Struct):
    """A level of an answered book."""

    px: Decimal
    sz: Decimal


class BookAnswer(msgspec.Struct):
    """`l2Book`: bids, then asks, best first."""

    levels: tuple[list[BookLevel], list[BookLevel]]


class Allocator:
    """The process: a fold, a journal, public prices, and the bus."""

    def __init__(
        self,
        host: Host,
        terms: AllocatorTerms,
        journal: DecisionJournal[Input, Output],
        rest: Rest,
        log: Log,
        tapes: Sequence[JournalTape] = (),
    ) -> None:
        self.host = host
        self.terms = terms
        self.journal = journal
        self.log = log
        self.error: str | None = None
        self.decisions: dict[str, Decision] = {}
        self._rest = rest
        self._tapes = tapes
        self._coins: frozenset[str] = frozenset()
        self._turn = 0
        self._audit: AuditReport | None = None
        self._audit_at = 0.0
        self._unread: dict[str, str] = {}  # books that could not be read, and why
        self._fold = fold_of(terms)
        self.recovered = recover(journal, self._fold, on_session=_sessions(self._fold), restore=_restorer(self._fold))
        self._fold.step = _stepper(terms)
        journal.begin(terms, ns=host.clock.now())
        self._lock = asyncio.Lock()

    @property
    def state(self) -> AllocatorState:
        """What it knows."""
        return self._fold.state

    async def take(self, given: Input) -> None:
        """Fold, record, tell: in that order, one input at a time."""
        async with self._lock:
            outputs = self._fold(given)
            self.journal.append([(given, outputs)])
            if self.journal.last_seq % CHECKPOINT_ROWS == 0:
                self.journal.checkpoint(self.journal.last_seq, msgspec.msgpack.encode(self.state))
                self.journal.prune(KEEP_ROWS)
            for output in outputs:
                await self._tell(output)

    async def listen(self) -> None:
        """Hear the bus: audits, and the operator."""
        topics = self.host.topics
        in_force = (topics.mandate("+"), topics.stage("+"), topics.pod("+", "report"))
        await self.host.bus.subscribe(topics.audit, topics.configure(WHO), *in_force)
        async for received in self.host.bus.messages():
            message = received.message
            # a retained audit may be of any age: only what is said now is fresh
            if isinstance(message, AuditReport) and not received.retained:
                self._audit, self._audit_at = message, time.monotonic()
            elif isinstance(message, Configure):
                await self._obey(message)
            else:
                await self._heed(message)

    async def _heed(self, message: Message) -> None:
        """Versions in force that are above ours: our journal is younger than they are."""
        given, stage = 0, 0
        if isinstance(message, Mandate):
            given = message.version
        elif isinstance(message, PodReport):
            given = message.mandate_version
        elif isinstance(message, StageChange):
            stage = message.version
        given, stage = min(given, HIGHEST), min(stage, HIGHEST)
        life = self.state.life
        if given > self.state.versions or stage > (life.version if life is not None else 0):
            await self.take(Outranked(self.host.clock.now(), given, stage))

    async def _obey(self, order: Configure) -> None:
        try:
            inputs = asked(self.terms, order, self.host.clock.now())
        except ValueError as error:
            now = self.host.clock.now()
            said = Decision("refused", "", f"refused: {error}", now, (order.why, f"by {order.who}"))
            await self.host.bus.publish(self.host.topics.decision(WHO), said)
            return
        for one in inputs:
            await self.take(one)

    async def watch(self) -> None:
        """Cycle after cycle; the first as soon as there is an audit."""
        await self._repeat()
        every = min(self.host.fund.allocation.every_s, self.host.fund.lease.renew_s)
        while True:
            began = time.monotonic()
            self.host.work.done()
            done = await self.cycle()
            await asyncio.sleep(max(0.0, every - (time.monotonic() - began)) if done else min(0.5, every))

    async def cycle(self) -> bool:
        """Look once. False: there is no fresh audit or no price, and nothing was decided."""
        report = self._audit
        if report is None or time.monotonic() - self._audit_at > AUDIT_FRESH_S:
            self._note("no fresh audit: no lease is renewed until there is one")
            return False
        # an equity of nothing, or one of long ago, would take or leave everybody's capital on a guess
        trouble = unread(report, self.host.clock.now(), int(AUDIT_FRESH_S * SECOND * self.host.speed))
        if trouble:
            self._note(f"{trouble}: no lease is renewed until it has")
            return False
        try:
            if not self._coins:
                meta = await self._rest.info("meta", wire.Meta)
                self._coins = frozenset(one.coin for one in wire.to_instruments(meta))
            mids = await self._rest.info("allMids", dict[str, Decimal])
            samples = await self._depth()
            costs: dict[str, tuple[OrderCost, ...]] = {}
            for tape in self._tapes:
                found = await asyncio.to_thread(tape.read)
                samples += found.samples
                costs[tape.pod] = found.costs
        except (Retry, VenueRejected) as error:
            self._note(f"cannot see the venue: {error}")
            return False
        self.error = None
        await self.take(observed(report, mids, self._coins, samples, costs, self.host.clock.now()))
        return True

    async def _depth(self) -> tuple[Sample, ...]:
        """Walk some order books of the coins that pods may trade, in turn."""
        named = {coin for pod in self.terms.pods for coin in pod.coins}
        held = {coin for grant in self.state.grants.values() for coin in grant.coin_caps}
        coins = sorted((named | held) & self._coins)
        chosen = [coins[(self._turn + k) % len(coins)] for k in range(min(BOOKS_A_CYCLE, len(coins)))]
        self._turn += BOOKS_A_CYCLE
        samples: list[Sample] = []
        for coin in chosen:
            try:
                book = await self._rest.info("l2Book", BookAnswer, coin=coin)
            except (Retry, VenueRejected) as error:
                # one coin's book is no reason to let everybody's lease run out
                self._unread[coin] = str(error)
                continue
            self._unread.pop(coin, None)
            bids, asks = (tuple((float(level.px), float(level.sz)) for level in side) for side in book.levels)
            samples += capacity.walk(coin, bids, asks)
        return tuple(samples)

    async def _tell(self, output: Output) -> None:
        topics, bus = self.host.topics, self.host.bus
        if isinstance(output, Mandate):
            await bus.publish(topics.mandate(output.pod), output, retain=True)
        elif isinstance(output, Forecast):
            await bus.publish(topics.forecast, output, retain=True)
        elif isinstance(output, StageChange):
            await bus.publish(topics.stage(output.pod), output, retain=True)
        elif isinstance(output, Alert):
            self.log.error(output.title, body=output.body)
            await bus.publish(topics.alert(WHO), output)
        else:
            key = output.pod or output.kind
            before = self.decisions.get(key)
            self.decisions[key] = output
            if before is None or before.text != output.text:
                self.log.info(output.text, pod=output.pod, reasons=output.reasons)
            # a figure that stands until the next one; whoever looks for a moment should see it
            await bus.publish(topics.decision(WHO), output, retain=output.kind == "beta")

    async def _repeat(self) -> None:
        """Stages are told again: a new broker remembers nothing."""
        now = self.host.clock.now()
        life = self.state.life
        if life is None:
            return
        for pod, one in sorted(life.pods.items()):
            again = StageChange(life.version, pod, one.stage, one.stage, WHO, "as it was before the restart", now)
            await self.host.bus.publish(self.host.topics.stage(pod), again, retain=True)

    def _note(self, text: str) -> None:
        if self.error != text:
            self.log.warning(text)
        self.error = text

    def status(self) -> dict[str, Any]:
        """Plain values for people."""
        state = self.state
        return {
            "process": WHO,
            "pid": os.getpid(),
            "phase": "running",
            "error": self.error,
            "high_water": round(state.high_water, 2),
            "stages": {pod.pod: stage_of(self.terms, state, pod.pod).value for pod in self.terms.pods},
            "capital": {pod: round(usd, 2) for pod, usd in state.capital.items()},
            "mandates": {pod: msgspec.to_builtins(lease) for pod, lease in state.leases.items()},
            "capacity_usd": {coin: round(min(cap, 1e15), 0) for coin, cap in capacities(self.terms, state).items()},
            "unread_books": dict(self._unread),
            "hours_of_record": {pod: len(record.returns) for pod, record in state.records.items()},
            "decisions": [msgspec.to_builtins(one) for one in self.decisions.values()],
            "journals": {tape.where: tape.error for tape in self._tapes},
            "rows": self.journal.last_seq,
            "bus": self.host.bus.statistics(),
        }


def _stepper(terms: AllocatorTerms) -> Any:
    return lambda state, given: step(terms, state, given)


def fold_of(terms: AllocatorTerms) -> Fold[AllocatorState, Input, Output]:
    """The allocator's fold from the very beginning."""
    return Fold(_stepper(terms), AllocatorState())


def _sessions(fold: Fold[AllocatorState, Input, Output]) -> Any:
    def turn(session: DecisionSession) -> None:
        fold.step = _stepper(session.read_config(AllocatorTerms))

    return turn


def _restorer(fold: Fold[AllocatorState, Input, Output]) -> Any:
    def restore(state: bytes) -> None:
        fold.state = msgspec.msgpack.decode(state, type=AllocatorState)

    return restore


def open_allocator(where: str | Path, *, read_only: bool = False) -> DecisionJournal[Input, Output]:
    """The allocator's journal. Raises ConfigError and JournalError."""
    return DecisionJournal(where, input_type=Input, output_type=Output, read_only=read_only)


def verify_allocator(journal: DecisionJournal[Input, Output], terms: AllocatorTerms) -> Verdict:
    """Replay a journal, each run by the terms it had, and compare every output byte for byte."""
    fold = fold_of(terms)
    return verify(journal, fold, on_session=_sessions(fold), restore=_restorer(fold))


async def run_allocator(options: FundOptions, *, status_port: int = 0) -> None:
    """Run until cancelled. Raises what keeps it from starting: config, journal, venue."""
    fund = load_fund(options)
    log = logger(process=WHO)
    async with hosted(fund, WHO, local=is_local(fund.hl_url)) as host, aiohttp.ClientSession() as session:
        terms = terms_of(fund, host.speed)
        rest = Rest(session, fund.hl_url, Weights(time.monotonic, IP_WEIGHT), timeout=5.0)
        with open_allocator(fund.journal_of(WHO)) as journal, ExitStack() as stack:
            tapes = [JournalTape(pod.slug, fund.journal_of(pod.slug)) for pod in fund.pods]
            for tape in tapes:
                stack.enter_context(closing(tape))
            process = Allocator(host, terms, journal, rest, log, tapes)
            async with (
                StatusServer(process.status, lambda: b"", port=status_port) as server,
                asyncio.TaskGroup() as group,
            ):
                detail = f"{len(terms.pods)} pods, {process.recovered} rows recovered  status {server.url}/status"
                typer.echo(process_line(WHO, "running", os.getpid(), detail))
                group.create_task(process.listen(), name="listen")
                group.create_task(process.watch(), name="watch")


def allocator(
    fund: Annotated[Path, typer.Option(help="The fund's configuration.")] = Path("configs/fund.yml"),
    hl_url: Annotated[str | None, typer.Option(help="Hyperliquid, or a local venue.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where journals go.")] = None,
    account: Annotated[str | None, typer.Option(help="The address that the pods trade on.")] = None,
    status_port: Annotated[int, typer.Option(help="Port of the status page on loopback; 0: a free one.")] = 0,
    log_level: Annotated[str, typer.Option(help="debug, info, warning, error.")] = "info",
) -> None:
    """Lend capital to pods by lease.

    A reason for every number; the volatility forecast is broadcast. Needs no key.

    The bus is SLIPSTREAM_FUND_BUS__URL.
    """
    from slipstream.processes.serve import serve

    start_logging(log_level)
    options = FundOptions(fund=fund, hl_url=hl_url, state_dir=state_dir, account=account)
    serve(WHO, run_allocator(options, status_port=status_port))
