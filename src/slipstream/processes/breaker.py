"""`slipstream breaker`: the process that can only cancel and reduce.

It hears beats, halts, mandates and audits on the bus, looks at the account when something is amiss, records what it was
given and what it decides, and only then acts. One breaker guards one account.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import typer

from slipstream.accounts import Given, find_keys, read_environment
from slipstream.federation.breaker.breaker import needs_sight, step
from slipstream.federation.breaker.state import (
    Answered,
    Arm,
    BreakerState,
    BreakerTerms,
    CancelOrders,
    Heard,
    Input,
    Latch,
    Output,
    Reduce,
    Seen,
    Tick,
    begin,
    resume,
)
from slipstream.model.cloid import BREAKER, Cloid, pod_id
from slipstream.model.errors import ConfigError, OutcomeUnknown, Retry, VenueRejected
from slipstream.model.mandate import Halt, Resume
from slipstream.model.messages import Alert, Beat, Decision
from slipstream.processes.fund import FundConfig, FundOptions, load_fund
from slipstream.processes.host import Host, hosted
from slipstream.runtime.addresses import is_local
from slipstream.runtime.bus.acl import OPERATOR
from slipstream.runtime.bus.port import Received
from slipstream.runtime.clock import ScaledClock, WallClock
from slipstream.runtime.decisions import DecisionJournal, DecisionSession, recover
from slipstream.runtime.status import StatusServer
from slipstream.runtime.telemetry import Log, logger, process_line, start_logging
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.broker import source_of
from slipstream.venues.hyperliquid.hands import Hands
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.nonce import Nonces
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.signing import Signer

SECOND = 1_000_000_000
LOOK_EVERY = 2.5  # wall seconds between two looks at a troubled account: the address of this machine has one budget
IP_WEIGHT = 600  # spent in trouble alone: a look weighs 24
CHECKPOINT_ROWS = 2_000  # beats come by the second: a start must not take the time of all that were ever heard
KEEP_ROWS = 200_000


def terms_of(fund: FundConfig, account: str, speed: float) -> BreakerTerms:
    """The breaker's terms for the pods of one account at a venue's speed."""
    block = fund.breaker
    return BreakerTerms(
        pods=tuple(pod.slug for pod in fund.pods if fund.account_of(pod.slug) == account),
        beat_missed_wall_ns=int(block.beat_missed_s * SECOND),
        flatten_after_wall_ns=int(block.flatten_after_s * SECOND),
        halt_grace_ns=int(3 * SECOND * speed),
        settle_ns=int(2 * SECOND * speed),
        max_slippage=block.max_slippage,
        schedule_cancel_ns=int(block.schedule_cancel_s * SECOND * speed),
        schedule_retry_ns=int(600 * SECOND * speed),
    )


def unguarded(fund: FundConfig, account: str) -> tuple[str, ...]:
    """Pods that trade on another account than the one a breaker guards."""
    return tuple(pod.slug for pod in fund.pods if fund.account_of(pod.slug) != account)


class BreakerRun(msgspec.Struct, frozen=True):
    """A start of the process: its terms, and the wall time from which everyone has time to be heard."""

    terms: BreakerTerms
    wall_ns: int


class Known(msgspec.Struct, frozen=True):
    """A checkpoint: what was known after a row."""

    seq: int
    state: BreakerState


class Story:
    """The breaker's fold over all its lives: what was ordered is remembered, who was heard is not."""

    def __init__(self) -> None:
        self.terms: BreakerTerms | None = None
        self._state: BreakerState | None = None
        self._restored = 0  # the row after which it was taken up

    @property
    def state(self) -> BreakerState:
        """What is known. Before any start there is nothing to know."""
        assert self._state is not None
        return self._state

    def start(self, run: BreakerRun) -> None:
        """Another life begins."""
        self.terms = run.terms
        known = self._state
        self._state = begin(run.terms, run.wall_ns) if known is None else resume(run.terms, known, run.wall_ns)

    def turn(self, session: DecisionSession) -> None:
        """Another life begins, as journalled; one that was under way when the checkpoint was made goes on."""
        run = session.read_config(BreakerRun)
        if session.seq < self._restored:
            self.terms = run.terms
        else:
            self.start(run)

    def checkpoint(self, seq: int) -> bytes:
        """What is known after a row."""
        return msgspec.msgpack.encode(Known(seq, self.state))

    def restore(self, state: bytes) -> None:
        """Continue from a checkpoint."""
        known = msgspec.msgpack.decode(state, type=Known)
        self._state, self._restored = known.state, known.seq

    def __call__(self, given: Input) -> tuple[Output, ...]:
        assert self.terms is not None
        self._state, outputs = step(self.terms, self.state, given)
        return outputs


def open_breaker(where: str | Path, *, read_only: bool = False) -> DecisionJournal[Input, Output]:
    """The breaker's journal. Raises ConfigError and JournalError."""
    return DecisionJournal(where, input_type=Input, output_type=Output, read_only=read_only)


class Breaker:
    """The process: a fold, a journal, and hands."""

    def __init__(
        self,
        host: Host,
        terms: BreakerTerms,
        journal: DecisionJournal[Input, Output],
        hands: Hands,
        log: Log,
        *,
        wall: ScaledClock | None = None,
    ) -> None:
        self.host = host
        self.terms = terms
        self.journal = journal
        self.hands = hands
        self.log = log
        self.error: str | None = None
        self.decisions: list[Decision] = []
        # silence is measured with it: a step of the machine's clock must neither kill a pod nor hide a dead one
        self._wall = wall or WallClock()
        self._story = Story()
        self.recovered = recover(journal, self._story, on_session=self._story.turn, restore=self._story.restore)
        run = BreakerRun(terms, self._wall.now())
        journal.begin(run, ns=host.clock.now())
        self._story.start(run)
        self._turn = asyncio.Lock()
        self._looked = 0.0

    async def take(self, given: Input) -> None:
        """Fold, record, act: in that order, one input at a time."""
        async with self._turn:
            waiting: list[Input] = [given]
            while waiting:
                one = waiting.pop(0)
                outputs = self._story(one)
                self.journal.append([(one, outputs)])
                if self.journal.last_seq % CHECKPOINT_ROWS == 0:
                    self.journal.checkpoint(self.journal.last_seq, self._story.checkpoint(self.journal.last_seq))
                    self.journal.prune(KEEP_ROWS)
                for output in outputs:
                    answer = await self._act(output)
                    if answer is not None:
                        waiting.append(answer)

    async def listen(self) -> None:
        """Hear the bus."""
        topics = self.host.topics
        await self.host.bus.subscribe(
            topics.beat("+"), topics.halt("+", "+"), topics.mandate("+"), topics.flatten("+"), topics.audit
        )
        async for received in self.host.bus.messages():
            heard = self.hears(received)
            if heard is not None:
                await self.take(heard)

    def hears(self, received: Received) -> Heard | None:
        """A message with whom it concerns. None where it speaks in another's name: the topic says who may write it."""
        writer, slug = received.topic.rsplit("/", 2)[1:]
        message = received.message
        if isinstance(message, Beat) and message.process != slug:
            return None
        if isinstance(message, Halt | Resume) and writer != OPERATOR:
            if message.who.partition(":")[0] != writer:
                return None
            if isinstance(message, Resume):
                message = msgspec.structs.replace(message, whose=writer)
        return Heard(message, slug, self.host.clock.now(), self._wall.now())

    async def warn(self, slugs: tuple[str, ...]) -> None:
        """Say which pods nobody will stop: they hear our beat, and would take themselves for guarded."""
        if not slugs:
            return
        body = f"{', '.join(slugs)}: on another account than the breaker guards; nobody cancels or closes for them"
        self._note(f"unguarded pods: {body}")
        alert = Alert("unguarded/" + "+".join(slugs), "critical", "unguarded pods", body, self.host.clock.now())
        await self.host.bus.publish(self.host.topics.alert(BREAKER), alert)

    def tick(self) -> Tick:
        """The time, in the fold's words."""
        return Tick(self.host.clock.now(), self._wall.now())

    async def watch(self) -> None:
        """Tick, and look at the account whenever something is amiss."""
        while True:
            self.host.work.done()
            tick = self.tick()
            await self.take(tick)
            troubled = needs_sight(self.terms, self._story.state, tick.ns, tick.wall_ns)
            if troubled and time.monotonic() - self._looked > LOOK_EVERY:
                self._looked = time.monotonic()
                try:
                    sight = await self.hands.look()
                except (Retry, VenueRejected) as error:
                    self._note(f"cannot see the account: {error}")
                else:
                    seen = Seen(sight.orders, sight.positions, sight.mids, max(tick.ns, sight.ns), self._wall.now())
                    await self.take(seen)
            await asyncio.sleep(self.host.fund.breaker.every_s)

    async def _act(self, output: Output) -> Answered | None:
        topics, bus = self.host.topics, self.host.bus
        try:
            if isinstance(output, Latch):
                await bus.publish(topics.halt(BREAKER, output.slug), output.message, retain=True)
            elif isinstance(output, Decision):
                self.decisions = [*self.decisions[-49:], output]
                self.log.warning(output.text, pod=output.pod, reasons=output.reasons)
                await bus.publish(topics.decision(BREAKER), output)
            elif isinstance(output, CancelOrders):
                self.log.warning("cancelling", orders=len(output.orders), why=output.why)
                for said in await self.hands.cancel(output.orders):
                    self.log.info("not cancelled", said=said)
            elif isinstance(output, Reduce):
                slug = output.pod
                cloid = Cloid(pod_id(BREAKER), pod_id(slug) if slug else 0, output.intent, _slice(output.coin))
                said = await self.hands.reduce(str(cloid), output.coin, output.side, output.sz, output.px)
                self.log.warning("reducing", pod=slug, coin=output.coin, sz=str(output.sz), why=output.why, said=said)
                if "error" in said:
                    self._note(f"{slug or 'the account'}: {output.coin} is not reduced: {said}")
            elif isinstance(output, Arm):
                return await self._arm(output)
            else:
                await bus.publish(topics.alert(BREAKER), output)
        except (Retry, VenueRejected, OutcomeUnknown) as error:
            # safe to repeat: the next look finds what is left
            self._note(f"{type(output).__name__}: {error}")
        return None

    async def _arm(self, output: Arm) -> Answered:
        try:
            await self.hands.arm(output.at_ns // 1_000_000)
        except (Retry, VenueRejected, OutcomeUnknown) as error:
            return Answered(0, str(error), self.host.clock.now())
        return Answered(output.at_ns, "", self.host.clock.now())

    def _note(self, text: str) -> None:
        self.error = self.error or text
        self.log.error(text)

    def status(self) -> dict[str, Any]:
        """Plain values for people."""
        state = self._story.state
        return {
            "process": BREAKER,
            "pid": os.getpid(),
            "phase": "running",
            "error": self.error,
            "silent": list(state.silent),
            "pods": {slug: list(watch.troubles) for slug, watch in state.pods.items()},
            "armed_until_ns": state.armed_until_ns,
            "rows": self.journal.last_seq,
            "decisions": [f"{d.pod or 'fund'}: {d.text} ({'; '.join(d.reasons)})" for d in self.decisions],
            "bus": self.host.bus.statistics(),
        }


def _slice(coin: str) -> int:
    """A number for a coin within a cloid's 16 bits: two coins reduced in one millisecond have two cloids."""
    return pod_id(coin) & 0xFFFF


async def run_breaker(options: FundOptions, *, key_folder: Path | None = None, status_port: int | None = None) -> None:
    """Run until cancelled. Raises what keeps it from starting: config, key, journal, venue."""
    fund = load_fund(options)
    if fund.account is None:
        raise ConfigError("breaker: `account` is missing: the address to guard")
    account, local = fund.account.lower(), is_local(fund.hl_url)
    folder = key_folder or fund.state_dir / BREAKER
    environment = read_environment(BREAKER, os.environ, Path.cwd())
    keys = find_keys(BREAKER, Given(main_wallet=account), Given(), environment)
    log = logger(process=BREAKER)
    async with hosted(fund, BREAKER, local=local) as host, aiohttp.ClientSession() as session:
        terms = terms_of(fund, account, host.speed)
        rest = Rest(session, fund.hl_url, Weights(time.monotonic, IP_WEIGHT), timeout=5.0)
        instruments = {i.coin: i for i in wire.to_instruments(await rest.info("meta", wire.Meta))}
        with (
            Nonces(folder / f"nonce-{keys.signer}", lambda: time.time_ns() // 1_000_000) as nonces,
            open_breaker(fund.journal_of(BREAKER)) as journal,
        ):
            hands = Hands(
                rest,
                Signer(keys.key.reveal()),
                nonces,
                instruments,
                address=account,
                source=source_of(fund.hl_url, allow_mainnet=not local),
            )
            breaker = Breaker(host, terms, journal, hands, log)
            server = StatusServer(breaker.status, lambda: b"", port=status_port or 0)
            async with server, asyncio.TaskGroup() as group:
                typer.echo(
                    process_line(BREAKER, "running", os.getpid(), f"guards {account}  status {server.url}/status")
                )
                await breaker.warn(unguarded(fund, account))
                group.create_task(breaker.listen(), name="listen")
                group.create_task(breaker.watch(), name="watch")


def breaker(
    fund: Annotated[Path, typer.Option(help="The fund's configuration.")] = Path("configs/fund.yml"),
    hl_url: Annotated[str | None, typer.Option(help="Hyperliquid, or a local venue.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where journals go.")] = None,
    account: Annotated[str | None, typer.Option(help="The address to guard.")] = None,
    status_port: Annotated[int, typer.Option(help="Port of the status page on loopback; 0: a free one.")] = 0,
    log_level: Annotated[str, typer.Option(help="debug, info, warning, error.")] = "info",
) -> None:
    """Cancel and reduce what a stopped pod left.

    It acts on halts, missing beats, expired leases and orders to flatten, and can open nothing. Its key
    (SLIPSTREAM_BREAKER_API_SECRET) is an agent of its own; the bus is SLIPSTREAM_FUND_BUS__URL.
    """
    from slipstream.processes.serve import serve

    start_logging(log_level)
    options = FundOptions(fund=fund, hl_url=hl_url, state_dir=state_dir, account=account)
    serve(BREAKER, run_breaker(options, status_port=status_port))
