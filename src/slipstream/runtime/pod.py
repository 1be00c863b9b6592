"""The pod host: runs one kernel against the world.

Start: fold the journal, start the broker (which reconciles the account), record the session, then handle events.
Loop: take what waits, step each event, append events and commands to the journal, only then send. Stop (SIGTERM,
SIGINT): a Halt cancels every resting order; the ends are awaited for a bounded time; what is left is said.

Three things end a pod at once: a journal that cannot be written, a strategy or feed that raises, a second signal. Then
nothing more is placed and every live order is cancelled once, unrecorded: a cancel is safe to repeat, and the next
start reads the truth from the venue.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any

import msgspec
import uvloop

from slipstream.execution.kernel import Kernel
from slipstream.execution.permit import SHUTDOWN
from slipstream.model.commands import Command
from slipstream.model.errors import JournalError
from slipstream.model.events import Disconnect, Event
from slipstream.model.instrument import Instrument
from slipstream.model.mandate import Halt, TradingState
from slipstream.model.messages import PodReport
from slipstream.model.ports import Feed
from slipstream.runtime.bus.port import Bus
from slipstream.runtime.controls import Controls
from slipstream.runtime.inbox import Inbox
from slipstream.runtime.leaving import catch_signals, close_feeds
from slipstream.runtime.link import Link, LinkOptions
from slipstream.runtime.parts import Outcome, PodParts
from slipstream.runtime.records import Session
from slipstream.runtime.replay import recover
from slipstream.runtime.self_report import self_report
from slipstream.runtime.sender import Sender, not_sent
from slipstream.runtime.snapshot import restore
from slipstream.runtime.starting import start_broker
from slipstream.runtime.status import StatusServer
from slipstream.runtime.timers import Timers
from slipstream.runtime.upkeep import Upkeep
from slipstream.runtime.watch import Watch

CHUNK = 64  # steps between two commits while the pod catches up


class Pod:
    """One strategy at work. Use `run_pod`."""

    def __init__(self, parts: PodParts) -> None:
        self.parts = parts
        self._slug = parts.strategy.slug
        self.inbox = Inbox()
        self.watch = Watch(self.slug, parts.say)
        self.phase = "starting"
        self.status_url: str | None = None
        self._timers = Timers()
        self._state: dict[str, Any] = {}
        self._sender = Sender(parts.broker, parts.clock, self.inbox.put)
        self._kernel = Kernel(parts.strategy, (), parts.config, self.slug, 0)
        self._fault: str | None = None
        self._stop_why: str | None = None
        self._stop_fault: str | None = None
        self._stop_at: float | None = None
        self._upkeep = Upkeep(parts, self._kernel, self.inbox, self.watch)

    @property
    def slug(self) -> str:
        """The pod's name: its strategy's."""
        return self._slug

    @property
    def kernel(self) -> Kernel:
        """The kernel, for views; only the pod steps it."""
        return self._kernel

    async def run(self) -> Outcome:
        """Start, handle events until told to stop, and stop. Raises what keeps it from starting."""
        parts = self.parts
        self.watch.say("recovering")
        self._state = restore(parts.strategy, parts.snapshot_path)
        rows = recover(self._kernel, parts.journal)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(close_feeds, {**parts.feeds, "broker": parts.broker}, self.watch)
            if parts.handle_signals:
                catch_signals(stack, self.stop)
            instruments = await start_broker(
                parts.broker, self.watch, patience=parts.start_timeout, is_stopped=lambda: self._stop_why is not None
            )
            if instruments is None:
                return self._outcome()
            self._begin(instruments)
            if parts.status_port is not None:
                controls = Controls(self.slug, self._kernel, parts.clock, self.inbox.put)
                server = StatusServer(
                    self.status,
                    self.watch.metrics.text,
                    halt=controls.halt,
                    resume=controls.resume,
                    configure=controls.configure,
                    token=parts.status_token,
                    port=parts.status_port,
                )
                self.status_url = (await stack.enter_async_context(server)).url
            where = f"  status {self.status_url}/status" if self.status_url else ""
            self.watch.say("running", f"{len(instruments)} perps, {rows} rows recovered{where}")
            await self._live()
        if self._fault is None:
            self._upkeep.save()
        return self._outcome()

    def _begin(self, instruments: Sequence[Instrument]) -> None:
        parts = self.parts
        run = parts.run if parts.run is not None else int(time.time()) & 0xFFFFFFFF
        session = parts.journal.begin(
            Session(
                run=run,
                ns=parts.clock.now(),
                slug=self.slug,
                config=parts.config,
                instruments=tuple(instruments),
                strategy_config=dict(parts.strategy_config),
                state=self._state,
                software=version("slipstream"),
            )
        )
        self._timers.arm(self._kernel.begin(session.run, session.instruments, session.ns))
        self.phase = "running"
        self.watch.metrics.gauge("up", 1)

    async def _live(self) -> None:
        """Feeds and sender as tasks around the loop; all end with it."""
        parts = self.parts
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._sender.run(), name="sender")]
            tasks.append(group.create_task(self._pump("hl", parts.broker), name="broker"))
            tasks.extend(group.create_task(self._pump(name, feed), name=name) for name, feed in parts.feeds.items())
            if parts.bus is not None and parts.link is not None:
                tasks.append(group.create_task(self._linked(parts.bus, parts.link), name="link"))
            if parts.on_ready is not None:
                tasks.append(group.create_task(parts.on_ready(self), name="on_ready"))
            try:
                try:
                    await self._loop()
                except Exception as error:
                    self.watch.log.exception("pod loop failed")
                    self._fail(f"{type(error).__name__}: {error}")
                if self._fault is not None:
                    await self._last_words()
            finally:
                for task in tasks:
                    task.cancel()

    async def _pump(self, name: str, feed: Feed) -> None:
        """Move a feed's events into the inbox. A feed that raises or ends by itself ends the pod."""
        try:
            async for event in feed.events():
                self.inbox.put(event)
            text = f"feed {name} ended by itself"
        except Exception as error:
            self.watch.log.exception("feed failed", feed=name)
            text = f"feed {name}: {type(error).__name__}: {error}"
        self.watch.first_error(text)
        self.inbox.put(Disconnect(name, text, self.parts.clock.now()))
        self.stop(text, failed=True)

    async def _linked(self, bus: Bus, options: LinkOptions) -> None:
        """Talk with the fund. A link that raises ends the pod: a pod that nobody can reach must not trade on."""
        try:
            async with bus:
                await Link(bus, self, options).run()
        except Exception as error:
            self.watch.log.exception("link failed")
            self.stop(f"link: {type(error).__name__}: {error}", failed=True)

    def put(self, event: Event) -> None:
        """Take an event in."""
        self.inbox.put(event)

    def now(self) -> int:
        """Venue time, ns."""
        return self.parts.clock.now()

    def report(self, seq: int) -> PodReport:
        """What the pod says of itself, as of the last event handled."""
        parts = self.parts
        return self_report(
            self._kernel,
            account=parts.account,
            phase=self.phase,
            error=self.watch.error,
            seq=seq,
            ns=parts.clock.now(),
            wall_ns=time.time_ns(),
        )

    async def _loop(self) -> None:
        while self._fault is None and not self._is_over():
            until_ns = self._timers.next_ns
            if self._stop_at is not None:
                # while stopping, wake often enough to see the end on any clock
                wait = asyncio.wait_for(self.inbox.ready.wait(), 0.05)
                await asyncio.gather(wait, return_exceptions=True)
            else:
                await self.parts.clock.wait(self.inbox.ready, until_ns)
            batch: list[Event] = [*self.inbox.take(), *self._timers.due(self.parts.clock.now())]
            for start in range(0, len(batch), CHUNK):
                if start:
                    await asyncio.sleep(0)  # months of bars come at once: the pod must not look dead meanwhile
                if not self._handle(batch[start : start + CHUNK]):
                    return
            try:
                self._upkeep.keep()
            except JournalError as error:
                self._fail(str(error))
            await asyncio.sleep(0)

    def _handle(self, batch: Sequence[Event]) -> bool:
        """Step, append, send. False if the pod cannot go on."""
        steps: list[tuple[Event, list[Command]]] = []
        failure: str | None = None
        for event in batch:
            began = time.perf_counter()
            try:
                commands = self._kernel.step(event)
            except Exception as error:
                self.watch.log.exception("kernel step failed", event_=repr(event))
                failure = f"strategy {self.slug}: {type(error).__name__}: {error} (on {type(event).__name__})"
                steps.append((event, []))
                break
            self.watch.metrics.step_seconds.observe(time.perf_counter() - began)
            self.watch.metrics.event(event)
            steps.append((event, commands))
        began = time.perf_counter()
        try:
            self.parts.journal.append_steps(steps)
        except JournalError as error:
            self._fail(str(error))
            self._take_back([command for _, commands in steps for command in commands])
            return False
        self.watch.metrics.commit_seconds.observe(time.perf_counter() - began)
        for _, commands in steps:
            self._timers.arm(commands)
            self._sender.put(commands)
            self.watch.commands(commands)
        if failure is not None:
            self._fail(failure)
        return failure is None

    def stop(self, why: str, *, failed: bool = False) -> None:
        """Stop in order: cancel what rests, wait for the ends. A second call stops at once."""
        if self._stop_why is not None:
            if not failed:
                self._stop_at = 0.0
                self.inbox.ready.set()
            return
        self._stop_why = why
        if failed:
            self._stop_fault = why
            self.watch.first_error(why)
        if self.phase != "running":
            return
        self.phase = "stopping"
        self._stop_at = time.monotonic() + self.parts.stop_timeout
        generation = self._kernel.desk.permit.next_generation
        now_ns = self.parts.clock.now()
        self.inbox.put(Halt(generation, TradingState.HALTED, SHUTDOWN, why, "the next start", now_ns))
        self.watch.say("stopping", why)

    def _is_over(self) -> bool:
        if self._stop_at is None:
            return False
        if time.monotonic() >= self._stop_at:
            return True
        halted = any(halt.who == SHUTDOWN for halt in self._kernel.desk.permit.halts.values())
        return halted and not self._kernel.live_orders() and self._sender.is_idle

    def _fail(self, why: str) -> None:
        self._fault = why
        self.watch.first_error(why)
        self.watch.log.error("pod failed", error=why)

    def _take_back(self, commands: Sequence[Command]) -> None:
        """Tell the kernel of commands that were decided on and will never be sent."""
        for command in commands:
            for event in not_sent(command, "the pod stopped before", self.parts.clock.now()):
                self._kernel.recover(event, ())

    async def _last_words(self) -> None:
        """Nothing more can be recorded or decided: take back what was not sent, cancel what lives, listen briefly."""
        self._take_back(self._sender.drop())
        cancels = self._kernel.cancel_all()
        self._sender.put(cancels)
        self.watch.say("failing", f"cancelling {len(cancels)} live orders")
        give_up = time.monotonic() + self.parts.stop_timeout
        while self._kernel.live_orders() and time.monotonic() < give_up:
            await asyncio.gather(asyncio.wait_for(self.inbox.ready.wait(), 0.05), return_exceptions=True)
            for event in self.inbox.take():
                self._kernel.recover(event, ())

    def _outcome(self) -> Outcome:
        failed = self._fault or (
            self.watch.error if self.phase == "stopping" and self._stop_why == self.watch.error else None
        )
        self.phase = "failed" if failed else "stopped"
        self.watch.metrics.gauge("up", 0)
        outcome = Outcome(failed, tuple(self._kernel.live_orders()), self.parts.journal.last_seq)
        self.watch.say(self.phase, outcome.rests)
        return outcome

    def status(self) -> dict[str, Any]:
        """Plain values for people: who, since when, doing what, and the kernel's state."""
        return {
            "pod": self.slug,
            "pid": os.getpid(),
            "phase": self.phase,
            "error": self.watch.error,
            "stopping": self._stop_why,
            "uptime_s": round(time.monotonic() - self.watch.started, 3),
            "venue_ns": self.parts.clock.now(),
            "run": self._kernel.desk.run,
            "rows": self.parts.journal.last_seq,
            "inbox": msgspec.structs.asdict(self.inbox.counts()),
            "send_error": self._sender.first_error,
            "fills": list(self.watch.fills),
            "notes": list(self.watch.notes),
            "kernel": self._kernel.status(),
            "report": msgspec.to_builtins(self.report(0)),
        }


async def run_pod(parts: PodParts) -> Outcome:
    """Run a pod until a signal, a failure, or `Pod.stop`. Raises what keeps it from starting."""
    return await Pod(parts).run()


def run(main: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run a coroutine on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
