"""`slipstream report` of a fund: where its money came from, pod by pod, out of the journals. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from slipstream.execution.kernel import Kernel
from slipstream.execution.markouts import HORIZONS, SECOND, Mids
from slipstream.federation.attribution import FillSeen, PodHour, PodRecord, attribute, render_lines
from slipstream.federation.forecast import ANCHORS
from slipstream.federation.parents import Parents
from slipstream.federation.shortfall import Parent
from slipstream.model.cloid import breaker_prefix, pod_prefix
from slipstream.model.errors import JournalError
from slipstream.model.events import AccountState, Bbo, Candle, Event, Fill
from slipstream.model.messages import Decision
from slipstream.pods import strategy_of
from slipstream.processes.allocator import open_allocator
from slipstream.processes.fund import FundConfig, FundOptions, load_fund
from slipstream.runtime.journal import Journal, open_journal
from slipstream.runtime.self_report import self_report

HOUR = 3_600 * SECOND
HOME = "hl"


class Mark(msgspec.Struct, frozen=True):
    """A pod at the end of an hour: net since its books began and capital it had, USD; the anchors' prices."""

    hour: int
    net: float
    capital: float
    anchors: dict[str, float]


class Read(msgspec.Struct):
    """What one pod's journal told. ``pruned``: prices of before were given up, so some fills have no mids."""

    pod: str
    marks: list[Mark]
    fills: tuple[FillSeen, ...]
    orders: tuple[Parent, ...]
    funding: dict[str, Decimal]
    pruned: bool


class _Reader:
    """Folds one journal."""

    def __init__(self, pod: str, kernel: Kernel) -> None:
        self.pod, self.kernel = pod, kernel
        self.own = (pod_prefix(pod), breaker_prefix(pod))
        self.parents = Parents(pod)
        self.orders: list[Parent] = []
        self.mids: defaultdict[str, Mids] = defaultdict(Mids)
        self.fills: dict[tuple[int, int], Fill] = {}
        self.anchors: dict[str, float] = {}
        self.marks: list[Mark] = []
        self.equity = 0.0
        self.hour = 0

    def take(self, event: Event, commands: tuple[object, ...]) -> None:
        """One row."""
        self.orders += self.parents.take(event, commands)  # type: ignore[arg-type]
        self.kernel.recover(event, commands)  # type: ignore[arg-type]
        if isinstance(event, Bbo) and event.venue == HOME:
            self.mids[event.coin].add(event)
            if event.coin in ANCHORS and event.mid > 0.0:
                self.anchors[event.coin] = event.mid
        elif isinstance(event, Candle) and event.coin in ANCHORS:
            self.anchors.setdefault(event.coin, event.close)
        elif isinstance(event, AccountState):
            self.equity = self.equity or float(event.equity)
        elif isinstance(event, Fill) and self._counts(event):
            self.fills.setdefault((event.tid, event.oid), event)
        hour = self.kernel.desk.now_ns // HOUR
        if hour > self.hour:
            self.mark(hour)

    def _counts(self, fill: Fill) -> bool:
        """Ours, or the breaker's for us; what happened before the books began is inside their opening."""
        ours = fill.cloid is not None and fill.cloid.startswith(self.own)
        return ours and fill.ns > (self.kernel.desk.ledger.opened_ns or 0)

    def mark(self, hour: int) -> None:
        """The end of an hour, as first seen after it."""
        self.hour = hour
        report = self_report(self.kernel, account="", phase="", error=None, seq=0, ns=0, wall_ns=0)
        mandate = self.kernel.desk.permit.mandate
        capital = float(mandate.capital) if mandate is not None else self.equity
        self.marks.append(Mark(hour, float(report.net), capital, dict(self.anchors)))

    def seen(self, fill: Fill) -> FillSeen:
        """A fill with the mids that followed it."""
        later = {h: self.mids[fill.coin].at(fill.ns + h * SECOND) for h in HORIZONS}
        return FillSeen(
            coin=fill.coin,
            side=fill.side,
            px=fill.px,
            sz=fill.sz,
            fee=fill.fee,
            crossed=fill.crossed,
            mids={h: None if mid is None else Decimal(repr(mid)) for h, mid in later.items()},
        )


def read_pod(pod: str, journal: Journal) -> Read:
    """All that a pod's journal tells of its money. Raises JournalError, also for a journal that holds nothing."""
    sessions = journal.sessions()
    if not sessions:
        raise JournalError(f"journal {journal.name}: nothing was recorded there yet")
    last = sessions[-1]
    reader = _Reader(pod, Kernel(strategy_of(last), last.instruments, last.config, last.slug, last.run))
    for number, session in enumerate(sessions):
        reader.kernel.begin(session.run, session.instruments, session.ns)
        stop = sessions[number + 1].seq if number + 1 < len(sessions) else None
        for _, event, commands in journal.read(session.seq, stop=stop):
            reader.take(event, commands)
    reader.mark(reader.hour + 1)
    lines = reader.kernel.desk.ledger.lines
    return Read(
        pod,
        reader.marks,
        tuple(reader.seen(fill) for fill in sorted(reader.fills.values(), key=lambda fill: fill.ns)),
        (*reader.orders, *reader.parents.flush()),
        {coin: line.funding for coin, line in lines.items() if line.funding},
        journal.pruned_to > 0,
    )


def hours_of(read: Read, anchors: dict[int, dict[str, float]]) -> tuple[PodHour, ...]:
    """PnL of each hour on the capital it began with, beside the anchors' returns (0 where they are not known)."""
    found = []
    for before, after in zip(read.marks, read.marks[1:], strict=False):
        old, new = anchors.get(before.hour, {}), anchors.get(after.hour, {})
        btc, eth = (new[coin] / old[coin] - 1.0 if coin in old and coin in new else 0.0 for coin in ANCHORS)
        found.append(PodHour(after.hour * HOUR, after.net - before.net, before.capital, btc, eth))
    return tuple(found)


def records(reads: list[Read], maker_shares: dict[str, float]) -> list[PodRecord]:
    """The pods in attribution's words. All see one market: the price of an hour is the first that any pod knew."""
    anchors: dict[int, dict[str, float]] = {}
    for read in reads:
        for mark in read.marks:
            anchors[mark.hour] = {**mark.anchors, **anchors.get(mark.hour, {})}
    return [
        PodRecord(
            pod=read.pod,
            hours=hours_of(read, anchors),
            fills=read.fills,
            orders=read.orders,
            funding=read.funding,
            maker_share=maker_shares.get(read.pod, 0.0),
        )
        for read in reads
    ]


def moves(where: str) -> Iterator[Decision]:
    """Capital that was moved, in order. Raises ConfigError and JournalError."""
    with open_allocator(where, read_only=True) as journal:
        for _, _, outputs in journal.read(0):
            for one in outputs:
                if isinstance(one, Decision) and one.kind == "allocation" and one.before != one.after:
                    yield one


def fund_of(directory: Path | None, fund: Path | None) -> FundConfig:
    """The fund that a run directory or a config names. Raises ConfigError."""
    return load_fund(FundOptions(fund=fund if fund is not None else (directory or Path()) / "fund.yml"))


def show_fund(config: FundConfig, console: Console) -> None:
    """Print where the fund's money came from, and how capital was moved."""
    quiet: AbstractContextManager[Progress | None] = nullcontext() if not console.is_terminal else Progress()
    reads = []
    with quiet as progress:
        pods = progress.track(config.pods, description="journals") if progress is not None else config.pods
        for pod in pods:
            with open_journal(config.journal_of(pod.slug), read_only=True) as journal:
                reads.append(read_pod(pod.slug, journal))
    found = attribute(records(reads, {pod.slug: pod.maker_share for pod in config.pods}))
    for line in render_lines(found):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for read in reads:
        if read.pruned:
            console.print(f"{read.pod}: old prices were pruned; fills of then have no markouts", highlight=False)
    console.print(_moved(list(moves(config.journal_of("allocator")))))


def _moved(found: list[Decision]) -> Table:
    table = Table(title="capital moved", caption="USD; the first reason of each")
    for name in ("venue time", "pod", "from", "to", "why"):
        table.add_column(name, justify="right" if name in ("from", "to") else "left", no_wrap=name != "why")
    for one in found:
        when = datetime.fromtimestamp(one.ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
        why = one.reasons[0] if one.reasons else ""
        table.add_row(when, one.pod, f"{one.before or 0.0:,.2f}", f"{one.after or 0.0:,.2f}", why)
    return table
