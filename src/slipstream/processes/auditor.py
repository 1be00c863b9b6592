"""`slipstream auditor`: the process that believes nobody. It has no key; it reads the venue by address.

Every cycle: read the accounts, take what the bus said, record both with what follows from them, then tell it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import typer

from slipstream.federation.auditor.auditor import WHO, Auditor, Told, standing, standing_orders
from slipstream.federation.auditor.limits import SECOND, AuditLimits
from slipstream.federation.auditor.memory import Memory
from slipstream.federation.auditor.observe import (
    AccountView,
    Heard,
    Observation,
)
from slipstream.federation.auditor.roster import PodSpec, Roster
from slipstream.model.breaks import Break
from slipstream.model.mandate import Halt, Resume
from slipstream.model.messages import Alert, AuditReport, Decision, Flatten, PodReport
from slipstream.processes.audit_words import heard_from, view_of
from slipstream.processes.fund import FundConfig, FundOptions, load_fund
from slipstream.processes.host import Host, hosted
from slipstream.runtime.addresses import is_local
from slipstream.runtime.decisions import DecisionJournal, DecisionSession, Fold, Verdict, recover, verify
from slipstream.runtime.status import StatusServer
from slipstream.runtime.telemetry import Log, logger, process_line, start_logging
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.reader import AccountReader
from slipstream.venues.hyperliquid.rest import Rest

KEEP_ROWS = 20_000
CHECKPOINT_ROWS = 1_000
REPEAT_EVERY = 10  # cycles: a breaker that was away must hear of an order to flatten as well
OTHERS = ("allocator", "breaker")  # processes that must be heard besides the pods


class AuditTerms(msgspec.Struct, frozen=True):
    """What a run of the auditor goes by; recorded with its start, so that a replay goes by the same."""

    pods: tuple[PodSpec, ...]
    limits: AuditLimits
    processes: tuple[str, ...]

    def auditor(self) -> Auditor:
        """The rules. Raises ConfigError where pods cannot be told apart."""
        return Auditor(Roster(self.pods), self.limits, self.processes)


def terms_of(fund: FundConfig, speed: float) -> AuditTerms:
    """A fund's terms at a venue's speed."""
    block = fund.audit
    limits = AuditLimits(
        grace_ns=int(block.grace_s * SECOND),
        confirm=block.confirm,
        clear_after=block.clear_after,
        report_stale_ns=int(block.report_stale_s * SECOND),
        beat_missed_ns=int(block.beat_missed_s * SECOND),
        max_skew_ns=int(block.max_skew_s * SECOND),
        escalate_ns=int(block.escalate_s * SECOND),
        pnl_usd=block.pnl_tolerance,
    )
    pods = tuple(
        PodSpec(pod.slug, fund.account_of(pod.slug), pod.coins, Decimal(str(pod.maker_share))) for pod in fund.pods
    )
    return AuditTerms(pods, limits.scaled(speed), (*(pod.slug for pod in fund.pods), *OTHERS))


class AuditorProcess:
    """The process: readers, a fold, a journal, and the bus."""

    def __init__(
        self,
        host: Host,
        terms: AuditTerms,
        journal: DecisionJournal[Observation, Told],
        readers: dict[str, AccountReader],
        log: Log,
    ) -> None:
        self.host = host
        self.terms = terms
        self.journal = journal
        self.readers = readers
        self.log = log
        self.error: str | None = None
        self._fold = fold_of(terms)
        self.recovered = recover(journal, self._fold, on_session=_sessions(self._fold), restore=_restorer(self._fold))
        self._fold.step = terms.auditor().step
        journal.begin(terms, ns=host.clock.now())
        for account, reader in readers.items():
            known = self.memory.accounts.get(account)
            if known is not None and known.view is not None:
                reader.begin_at(known.view.sure_ns)
        self._heard: list[Heard] = []
        self._bus_since_ns = 0
        self._took_ns = 0
        self.report: AuditReport | None = None

    @property
    def memory(self) -> Memory:
        """What it knows."""
        return self._fold.state

    async def listen(self) -> None:
        """Hear the bus."""
        topics = self.host.topics
        await self.host.bus.subscribe(
            topics.beat("+"),
            topics.pod("+", "report"),
            topics.mandate("+"),
            topics.stage("+"),
            topics.halt("+", "+"),
            topics.configure(WHO),
        )
        async for received in self.host.bus.messages():
            heard = heard_from(received)
            if heard is not None:
                self._heard.append(heard)

    async def watch(self) -> None:
        """Cycle after cycle."""
        await self.repeat_halts()
        every = self.host.fund.audit.every_s
        due = time.monotonic()
        while True:
            self.host.work.done()
            await self.cycle()
            due = max(due + every, time.monotonic())
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def cycle(self) -> None:
        """Look, listen, record, tell."""
        began = time.perf_counter_ns()
        seen = self._observe()
        told = self._fold(seen)
        self.journal.append([(seen, told)])
        if self.journal.last_seq % CHECKPOINT_ROWS == 0:
            self.journal.checkpoint(self.journal.last_seq, msgspec.msgpack.encode(self.memory))
            self.journal.prune(KEEP_ROWS)
        for account in self.memory.doubted:
            self.readers[account].doubt()
        again = standing_orders(self.memory) if self.memory.cycle % REPEAT_EVERY == 0 else ()
        for item in (*told, *again):
            await self._tell(item)
        self._took_ns = time.perf_counter_ns() - began

    def _observe(self) -> Observation:
        now = self.host.clock.now()
        if not self.host.bus.is_connected:
            self._bus_since_ns = 0
        elif not self._bus_since_ns:
            self._bus_since_ns = now
        heard, self._heard = tuple(self._heard), []
        views, marks, marks_ns, errors = [], {}, 0, []
        for account, reader in self.readers.items():
            look = reader.look()
            if reader.error:
                errors.append(f"{account}: {reader.error}")
            if look is not None:
                views.append(view_of(account, look))
                marks, marks_ns = look.mids, look.mids_ns
        wanted = self._coins(views, heard)
        return Observation(
            ns=now,
            wall_ns=time.time_ns(),
            took_ns=self._took_ns,
            accounts=tuple(views),
            marks={coin: px for coin, px in marks.items() if coin in wanted},
            marks_ns=marks_ns,
            heard=heard,
            bus_since_ns=self._bus_since_ns,
            error="; ".join(errors),
        )

    def _coins(self, views: Sequence[AccountView], heard: Sequence[Heard]) -> set[str]:
        """Coins whose prices matter: anything held, ordered, traded or spoken of."""
        coins = {coin for account in self.memory.accounts.values() for coin in account.books.coins()}
        for view in views:
            coins |= view.positions.keys() | {row.coin for row in view.orders} | {fill.coin for fill in view.fills}
        for item in heard:
            if isinstance(item, PodReport):
                coins |= item.marks.keys()
        return coins

    async def _tell(self, told: Told) -> None:
        topics, bus, message = self.host.topics, self.host.bus, told.message
        if isinstance(message, AuditReport):
            self.report = message
            await bus.publish(topics.audit, message, retain=True)
        elif isinstance(message, Break):
            await bus.publish(topics.broken(told.target), message)
        elif isinstance(message, Halt | Resume):
            await bus.publish(topics.halt(WHO, told.target), message, retain=True)
        elif isinstance(message, Flatten):
            await bus.publish(topics.flatten(told.target), message)
        elif isinstance(message, Alert):
            await bus.publish(topics.alert(WHO), message)
        elif isinstance(message, Decision):
            self.log.warning(message.text, pod=message.pod, reasons=message.reasons)
            await bus.publish(topics.decision(WHO), message)

    async def repeat_halts(self) -> None:
        """What stands is told again: a new broker remembers nothing."""
        for item in standing(self.memory):
            await self._tell(item)

    def status(self) -> dict[str, Any]:
        """Plain values for people."""
        report = self.report
        return {
            "process": WHO,
            "pid": os.getpid(),
            "phase": "running",
            "error": "; ".join(r.error for r in self.readers.values() if r.error) or self.error,
            "cycle": self.memory.cycle,
            "took_ms": round(self._took_ns / 1e6, 3),
            "rows": self.journal.last_seq,
            "equity": str(report.equity) if report is not None else None,
            "breaks": [msgspec.to_builtins(item) for item in report.breaks] if report is not None else [],
            "halted": {target: level.value for target, level in self.memory.halted.items()},
            "pods": [msgspec.to_builtins(pod) for pod in report.pods] if report is not None else [],
            "bus": self.host.bus.statistics(),
        }


def fold_of(terms: AuditTerms) -> Fold[Memory, Observation, Told]:
    """The auditor's fold from the very beginning."""
    return Fold(terms.auditor().step, Memory())


def _sessions(fold: Fold[Memory, Observation, Told]) -> Any:
    def turn(session: DecisionSession) -> None:
        fold.step = session.read_config(AuditTerms).auditor().step

    return turn


def _restorer(fold: Fold[Memory, Observation, Told]) -> Any:
    def restore(state: bytes) -> None:
        fold.state = msgspec.msgpack.decode(state, type=Memory)

    return restore


def verify_audit(journal: DecisionJournal[Observation, Told], terms: AuditTerms) -> Verdict:
    """Replay a journal, each run by the terms it had, and compare every output byte for byte."""
    fold = fold_of(terms)
    return verify(journal, fold, on_session=_sessions(fold), restore=_restorer(fold))


def open_audit(where: str | Path, *, read_only: bool = False) -> DecisionJournal[Observation, Told]:
    """The auditor's journal. Raises ConfigError and JournalError."""
    return DecisionJournal(where, input_type=Observation, output_type=Told, read_only=read_only)


async def run_auditor(options: FundOptions, *, status_port: int = 0) -> None:
    """Run until cancelled. Raises what keeps it from starting: config, journal, venue."""
    fund = load_fund(options)
    log = logger(process=WHO)
    async with hosted(fund, WHO, local=is_local(fund.hl_url)) as host, aiohttp.ClientSession() as session:
        terms = terms_of(fund, host.speed)
        rest = Rest(session, fund.hl_url, Weights(time.monotonic, fund.audit.ip_weight, reserve=0), timeout=5.0)
        behind_ns = int(SECOND * host.speed) // 10
        accounts = tuple(dict.fromkeys(pod.account for pod in terms.pods))
        pause = sweep_pause(len(accounts), fund.audit.ip_weight)
        readers = {
            account: AccountReader(rest, fund.hl_url, account, host.clock.now, behind_ns=behind_ns, sweep_every=pause)
            for account in accounts
        }
        with open_audit(fund.journal_of(WHO)) as journal:
            process = AuditorProcess(host, terms, journal, readers, log)
            async with (
                StatusServer(process.status, lambda: b"", port=status_port) as server,
                asyncio.TaskGroup() as group,
            ):
                typer.echo(
                    process_line(
                        WHO,
                        "running",
                        os.getpid(),
                        f"{len(terms.pods)} pods, {process.recovered} rows recovered  status {server.url}/status",
                    )
                )
                for reader in readers.values():
                    group.create_task(reader.run(), name=f"read {reader.address}")
                group.create_task(process.listen(), name="listen")
                group.create_task(process.watch(), name="watch")


def sweep_pause(accounts: int, ip_weight: int) -> float:
    """Wall seconds between two sweeps of an account, so that all fit the request weight: one weighs about 30."""
    return max(8.0, accounts * 30.0 * 60.0 / (0.8 * (ip_weight - 100)))


def auditor(
    fund: Annotated[Path, typer.Option(help="The fund's configuration.")] = Path("configs/fund.yml"),
    hl_url: Annotated[str | None, typer.Option(help="Hyperliquid, or a local venue.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where journals go.")] = None,
    account: Annotated[str | None, typer.Option(help="The address that the pods trade on.")] = None,
    status_port: Annotated[int, typer.Option(help="Port of the status page on loopback; 0: a free one.")] = 0,
    log_level: Annotated[str, typer.Option(help="debug, info, warning, error.")] = "info",
) -> None:
    """Hold what pods report against what the venue shows.

    It stops those that differ. Needs no key. The bus is SLIPSTREAM_FUND_BUS__URL.
    """
    from slipstream.processes.serve import serve

    start_logging(log_level)
    options = FundOptions(fund=fund, hl_url=hl_url, state_dir=state_dir, account=account)
    serve(WHO, run_auditor(options, status_port=status_port))
