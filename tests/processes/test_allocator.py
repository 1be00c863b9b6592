"""`slipstream allocator` on a real venue of this process and a bus in memory: leases, orders of people, restarts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from slipstream.federation.shortfall import OrderCost
from slipstream.model.breaks import Break, BreakKind, Level
from slipstream.model.cloid import Cloid, pod_id
from slipstream.model.commands import Place
from slipstream.model.errors import VenueRejected
from slipstream.model.events import Bbo, Fill
from slipstream.model.instrument import Side
from slipstream.model.mandate import Mandate, Stage, TradingState
from slipstream.model.messages import (
    AuditedPod,
    AuditReport,
    CoinLine,
    Configure,
    Decision,
    Forecast,
    PodReport,
    StageChange,
)
from slipstream.model.order import Tif
from slipstream.model.topics import Topics
from slipstream.processes.allocator import Allocator, open_allocator, verify_allocator
from slipstream.processes.fund import FundConfig, FundOptions, load_fund
from slipstream.processes.host import Host
from slipstream.processes.lending import asked, observed, terms_of, unread
from slipstream.processes.tapes import JournalTape, Reading
from slipstream.runtime.bus.memory import MemoryBroker, MemoryBus
from slipstream.runtime.clock import ScaledClock
from slipstream.runtime.journal.events import open_journal
from slipstream.runtime.telemetry import logger
from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest

FUND = Path(__file__).resolve().parents[2] / "configs" / "fund.yml"
S = 1_000_000_000


@pytest.fixture(scope="module")
def fund() -> FundConfig:
    config = load_fund(FundOptions(fund=FUND))
    quick = config.lease.model_copy(update={"renew_s": 0.1})
    return config.model_copy(
        update={
            "lease": quick,
            "allocation": config.allocation.model_copy(update={"every_s": 0.1}),
        }
    )


def audit(cycle: int, *, equity: str = "100000", breaks: tuple[Break, ...] = ()) -> AuditReport:
    line = CoinLine("BTC", Decimal("0.1"), Decimal(60_000), Decimal(0), Decimal(1), Decimal(0), Decimal(6_000), 3)
    pods = (
        AuditedPod("brawler", (line,), Decimal(-1), Decimal(6_000), Decimal(6_000), 2),
        AuditedPod("gradient", (), Decimal(0), Decimal(0), Decimal(0), 0),
    )
    return AuditReport(cycle, time.time_ns(), time.time_ns(), 1000, Decimal(equity), pods, breaks)


def broken(pod: str, level: Level) -> Break:
    return Break(
        id=f"position/{pod or 'fund'}/BTC",
        kind=BreakKind.POSITION,
        pod=pod,
        subject="BTC",
        size=Decimal(1),
        unit="BTC",
        level=level,
        first_ns=1,
        last_ns=2,
        evidence=(),
        clears="by itself",
    )


class Ear:
    """Everything that was said on the bus."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.heard: list[Any] = []

    async def listen(self) -> None:
        await self.bus.subscribe("#")
        async for received in self.bus.messages():
            self.heard.append(received.message)

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.heard if isinstance(one, kind)]


@asynccontextmanager
async def lending(
    tmp_path: Path, fund: FundConfig, broker: MemoryBroker, venue: RunningVenue
) -> AsyncIterator[tuple[Allocator, MemoryBus, Ear]]:
    mine, auditor, ear = MemoryBus(broker, "allocator"), MemoryBus(broker, "auditor"), MemoryBus(broker, "ear")
    async with mine, auditor, ear, aiohttp.ClientSession() as session:
        host = Host("allocator", fund, ScaledClock(60.0), mine, Topics(fund.realm), 1)
        rest = Rest(session, venue.url, Weights(time.monotonic), timeout=5.0)
        with open_allocator(tmp_path / "journal.db") as journal:
            process = Allocator(host, terms_of(fund, 60.0), journal, rest, logger(process="allocator"))
            listener = Ear(ear)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(part()) for part in (listener.listen, process.listen, process.watch)]
                await asyncio.sleep(0)
                yield process, auditor, listener
                for task in tasks:
                    task.cancel()


async def until(found: Callable[[], Any], seconds: float = 30.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (out := found()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return out


async def test_it_lends_obeys_and_goes_on_after_a_restart(tmp_path: Path, fund: FundConfig) -> None:
    broker, topics = MemoryBroker(), Topics(fund.realm)
    async with running_venue(ServeOptions(port=0, coins=("BTC", "ETH"), pace="stepped", control=True)) as venue:
        async with lending(tmp_path, fund, broker, venue) as (process, auditor, ear):
            await asyncio.sleep(0.05)
            assert ear.of(Mandate) == []  # nothing is lent on nothing
            await auditor.publish(topics.audit, audit(1), retain=True)
            await until(lambda: len(ear.of(Mandate)) >= 2)
            assert {one.pod for one in ear.of(Mandate)} == {"brawler", "gradient"}
            assert {"BTC", "ETH"} <= ear.of(Forecast)[0].daily_vol.keys()
            assert all(one.reasons for one in ear.of(Decision) if one.kind == "allocation")
            order = Configure(1, "allocator", {"stage.gradient": "retirement"}, "ann", "no edge", 1)
            await auditor.publish(topics.configure("allocator"), order)
            change = await until(lambda: [c for c in ear.of(StageChange) if c.after is Stage.RETIREMENT])
            assert change[0].who == "ann" and "no edge" in change[0].why
            wrong = Configure(2, "allocator", {"stage.gradient": "glory"}, "ann", "why not", 1)
            await auditor.publish(topics.configure("allocator"), wrong)
            said = await until(lambda: [d for d in ear.of(Decision) if d.kind == "refused"])
            assert "glory" in said[0].text and "maturity" in said[0].text
            last = max(one.version for one in ear.of(Mandate))
            status = process.status()
            assert status["error"] is None and status["stages"]["gradient"] == "retirement"
        async with lending(tmp_path, fund, broker, venue) as (process, auditor, ear):
            assert process.recovered > 0
            assert process.status()["stages"]["gradient"] == "retirement"
            seen = len(ear.of(Mandate))
            await asyncio.sleep(0.25)
            assert max((m.version for m in ear.of(Mandate)[seen:]), default=last) <= last  # a retained audit is old
            await auditor.publish(topics.audit, audit(2), retain=True)
            await until(lambda: any(one.version > last for one in ear.of(Mandate)))
    with open_allocator(tmp_path / "journal.db", read_only=True) as journal:
        verdict = verify_allocator(journal, terms_of(fund, 60.0))
    assert verdict.identical, verdict.difference
    assert verdict.sessions == 2 and verdict.rows >= 3


def test_an_audit_of_accounts_that_nobody_has_read_is_no_ground_to_lend_on() -> None:
    def known(*times: int | None) -> AuditReport:
        report = audit(1)
        pods = tuple(msgspec.structs.replace(pod, known_ns=ns) for pod, ns in zip(report.pods, times, strict=True))
        return msgspec.structs.replace(report, pods=pods)

    assert unread(known(100 * S, 100 * S), 105 * S, 10 * S) == ""
    assert unread(known(None, None), 105 * S, 10 * S) == ""
    assert "gradient yet" in unread(known(100 * S, 0), 105 * S, 10 * S)
    assert "brawler for 15 s" in unread(known(90 * S, 100 * S), 105 * S, 10 * S)


async def test_before_the_auditor_has_read_the_venue_nothing_is_taken_from_anybody(
    tmp_path: Path, fund: FundConfig
) -> None:
    broker, topics = MemoryBroker(), Topics(fund.realm)
    async with (
        running_venue(ServeOptions(port=0, coins=("BTC", "ETH"), pace="stepped", control=True)) as venue,
        lending(tmp_path, fund, broker, venue) as (process, auditor, ear),
    ):
        await auditor.publish(topics.audit, audit(1), retain=True)
        await until(lambda: ear.of(Mandate))
        lent = dict(process.state.capital)
        first = audit(2, equity="0")  # an auditor whose journal is new: its first words come before its first look
        pods = tuple(msgspec.structs.replace(pod, known_ns=0) for pod in first.pods)
        await auditor.publish(topics.audit, msgspec.structs.replace(first, pods=pods), retain=True)
        await until(lambda: "has not read" in (process.error or ""))
        assert sum(lent.values()) > 0
        assert all(process.state.capital[pod] >= usd for pod, usd in lent.items())


async def test_a_book_that_cannot_be_read_keeps_no_lease_from_being_renewed(
    tmp_path: Path, fund: FundConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, topics = MemoryBroker(), Topics(fund.realm)
    asked_for: list[str] = []
    honest = Rest.info

    async def info(self: Rest, kind: str, answer: Any, **body: Any) -> Any:
        if kind == "l2Book":
            asked_for.append(body["coin"])
            if body["coin"] == "BTC":
                raise VenueRejected("l2Book: the venue answers 422")
        return await honest(self, kind, answer, **body)

    monkeypatch.setattr(Rest, "info", info)
    async with (
        running_venue(ServeOptions(port=0, coins=("BTC", "ETH"), pace="stepped", control=True)) as venue,
        lending(tmp_path, fund, broker, venue) as (process, auditor, ear),
    ):
        await auditor.publish(topics.audit, audit(1), retain=True)
        await until(lambda: "BTC" in asked_for and "ETH" in asked_for)
        await until(lambda: bool(ear.of(Mandate)))
        seen = max(one.version for one in ear.of(Mandate))
        await until(lambda: max(one.version for one in ear.of(Mandate)) > seen)
        await until(lambda: process.status()["capacity_usd"].keys() == {"ETH"})
        assert "BTC" in process.status()["unread_books"]


async def test_an_allocator_without_its_journal_is_still_obeyed(tmp_path: Path, fund: FundConfig) -> None:
    broker, topics = MemoryBroker(), Topics(fund.realm)
    async with (
        running_venue(ServeOptions(port=0, coins=("BTC", "ETH"), pace="stepped", control=True)) as venue,
        MemoryBus(broker, "allocator") as before,
    ):
        old = Mandate(700, "brawler", Decimal(1), Decimal(1))
        await before.publish(topics.mandate("brawler"), old, retain=True)
        knows = PodReport(
            pod="gradient",
            account="",
            run=1,
            seq=1,
            ns=1,
            wall_ns=1,
            phase="running",
            state=TradingState.REDUCING,
            mandate_version=900,
        )
        await before.publish(topics.pod("gradient", "report"), knows, retain=True)
        async with lending(tmp_path, fund, broker, venue) as (_, auditor, ear):
            await auditor.publish(topics.audit, audit(1), retain=True)
            await until(lambda: {one.pod for one in ear.of(Mandate) if one.version > 900} == {"brawler", "gradient"})
    with open_allocator(tmp_path / "journal.db", read_only=True) as journal:
        verdict = verify_allocator(journal, terms_of(fund, 60.0))
    assert verdict.identical, verdict.difference


def test_breaks_block_pods_and_the_fund_s_block_all(fund: FundConfig) -> None:
    mids = {"BTC": Decimal(60_000), "@1": Decimal(3)}
    one = observed(audit(1, breaks=(broken("brawler", Level.REDUCING),)), mids, frozenset({"BTC"}), (), {}, 7)
    assert one.blocked == {"brawler": "break position/brawler/BTC is reducing"}
    assert one.halted == {}
    assert one.marks == {"BTC": 60_000.0}
    assert one.positions["brawler"] == {"BTC": 6_000.0}
    assert one.fills == {"brawler": 3, "gradient": 0}
    every = observed(audit(1, breaks=(broken("", Level.HALTED),)), mids, frozenset({"BTC"}), (), {}, 7)
    assert every.blocked.keys() == {"brawler", "gradient"}
    assert every.halted == {}
    grave = observed(audit(1, breaks=(broken("brawler", Level.BREAKER),)), mids, frozenset({"BTC"}), (), {}, 7)
    assert grave.halted == {"brawler": ("position/brawler/BTC",)}
    warned = observed(audit(1, breaks=(broken("brawler", Level.WARN),)), mids, frozenset({"BTC"}), (), {}, 7)
    assert warned.blocked == {}


def test_venue_time_runs_as_fast_as_the_venue(fund: FundConfig) -> None:
    slow, fast = terms_of(fund, 1.0), terms_of(fund, 60.0)
    assert fast.lease.valid_ns == 60 * slow.lease.valid_ns == 60 * 30 * S
    assert fast.every_ns == 60 * slow.every_ns
    assert fast.lease.actions == slow.lease.actions  # requests are of the wall
    assert fast.life.min_hours == slow.life.min_hours  # hours of the venue


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"stage.nobody": "growth"}, "stage.brawler"),
        ({"high_water": "much"}, "USD"),
        ({"stage.brawler": "x"}, "growth"),
    ],
)
def test_orders_that_make_no_sense_say_what_would(fund: FundConfig, values: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        asked(terms_of(fund, 1.0), Configure(1, "allocator", values, "ann", "why", 1), 5)


def test_a_journal_is_read_while_its_pod_writes(tmp_path: Path) -> None:
    tape = JournalTape("trend", str(tmp_path / "journal.db"))
    assert tape.read() == Reading() and tape.error  # not there yet
    with open_journal(tmp_path / "journal.db") as journal:
        journal.append([Bbo("hl", "BTC", 99.0, 1.0, 101.0, 1.0, 1, 1)], [])
        assert tape.read() == Reading()
        assert tape.error is None
        order = Place("0x1", "BTC", Side.BUY, Decimal(102), Decimal(2), Tif.IOC)
        journal.append([Bbo("hl", "BTC", 99.0, 1.0, 101.0, 1.0, 2, 2)], [order])
        journal.append([Fill("BTC", Side.BUY, Decimal(101), Decimal(2), Decimal(0), 1, 1, 3, cloid="0x1")], [])
        found = tape.read()
        assert [(one.notional, round(one.slippage_bp, 6)) for one in found.samples] == [(202.0, 100.0)]
        assert tape.read() == Reading()
        bought = Place(str(Cloid(pod_id("trend"), 1, 1, 1)), "BTC", Side.BUY, Decimal(100), Decimal(2), Tif.ALO)
        sold = Place(str(Cloid(pod_id("trend"), 1, 2, 1)), "BTC", Side.SELL, Decimal(100), Decimal(2), Tif.ALO)
        journal.append([Bbo("hl", "BTC", 99.0, 1.0, 101.0, 1.0, 4, 4)], [bought])
        paid = Fill("BTC", Side.BUY, Decimal(101), Decimal(2), Decimal(0), 2, 2, 5, cloid=bought.cloid)
        journal.append([paid], [sold])
        assert tape.read().costs == (OrderCost(2.0, 200.0),)
    tape.close()
