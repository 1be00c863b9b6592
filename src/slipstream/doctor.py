"""`slipstream doctor`: everything that keeps a pod from trading well, found before it trades. Places no order."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import Enum
from pathlib import Path

import aiohttp
import msgspec

from slipstream.model.errors import ConfigError, SlipstreamError
from slipstream.model.events import Bbo, Event
from slipstream.model.ports import Clock
from slipstream.pods import BrawlerOptions, Plan, anchor_feed, plan_brawler
from slipstream.runtime.addresses import is_local
from slipstream.runtime.clock import WallClock, venue_clock
from slipstream.runtime.journal import SqliteJournal
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.account import check_owner
from slipstream.venues.hyperliquid.broker import check_signer, source_of
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest

PATIENCE = 10.0  # seconds that a feed has for its first price
SKEW_WARN, SKEW_FAIL = 1.0, 30.0  # seconds between the venue's clock and ours
DISK_WARN, DISK_FAIL = 2 << 30, 200 << 20  # bytes free
BUDGET_WARN = 500  # requests left of the address budget


class Grade(Enum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


class Finding(msgspec.Struct, frozen=True):
    """One line of the diagnosis."""

    grade: Grade
    what: str
    text: str

    def line(self) -> str:
        """For people."""
        return f"{self.grade.value:<5}{self.what:<10}{self.text}"


class ServerTime(msgspec.Struct):
    """`exchangeStatus`."""

    time: int


class Book(msgspec.Struct):
    """`l2Book`."""

    coin: str
    time: int
    levels: tuple[list[dict[str, str | int]], list[dict[str, str | int]]]


def check_disk(folder: Path) -> Finding:
    """Room, and leave to write, where the journal goes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as error:
        return Finding(Grade.FAIL, "disk", f"{folder}: {error.strerror}; choose another --state-dir")
    free = shutil.disk_usage(folder).free
    grade = Grade.OK if free > DISK_WARN else Grade.WARN if free > DISK_FAIL else Grade.FAIL
    return Finding(grade, "disk", f"{folder}: {free / 2**30:.1f} GiB free")


def check_journal(path: Path) -> Finding:
    """Whether the journal, if there is one, can be read."""
    if not path.exists():
        return Finding(Grade.OK, "journal", f"{path}: none yet")
    with SqliteJournal(path, read_only=True) as journal:
        return Finding(Grade.OK, "journal", f"{path}: {len(journal.sessions())} sessions, {journal.last_seq} rows")


async def check_clock(rest: Rest, clock: Clock) -> Finding:
    """Our clock against the venue's: nonces and the age of prices depend on it."""
    before = clock.now()
    answer = await rest.info("exchangeStatus", ServerTime)
    after = clock.now()
    skew = (answer.time * wire.MS - (before + after) / 2) / 1e9
    grade = Grade.OK if abs(skew) < SKEW_WARN else Grade.WARN if abs(skew) < SKEW_FAIL else Grade.FAIL
    mend = "" if grade is Grade.OK else "; synchronise this machine's clock (NTP)"
    trip = (after - before) / 1e6
    return Finding(grade, "clock", f"the venue is {skew:+.2f} s from us, round trip {trip:.0f} ms{mend}")


async def check_account(rest: Rest, plan: Plan) -> list[Finding]:
    """The key against the account, money, and what is left of the address budget."""
    address, signer = plan.keys.account.lower(), plan.keys.signer.lower()
    state = await rest.info("clearinghouseState", wire.Clearinghouse, user=address)
    await check_owner(rest, address, signer)
    limit = await rest.info("userRateLimit", wire.RateLimit, user=address)
    equity = state.margin_summary.account_value
    kind = "its own key" if address == signer else f"agent {signer}"
    left = limit.n_requests_cap - limit.n_requests_used
    return [
        Finding(Grade.OK, "key", f"account {address}, {kind}"),
        Finding(
            Grade.OK if equity > 0 else Grade.FAIL,
            "equity",
            f"{equity} USDC, {len(state.asset_positions)} positions" + ("" if equity > 0 else "; deposit first"),
        ),
        Finding(
            Grade.OK if left > BUDGET_WARN else Grade.WARN,
            "budget",
            f"{left} of {limit.n_requests_cap} requests left; each USD traded adds one",
        ),
    ]


async def check_symbols(rest: Rest, plan: Plan) -> Finding:
    """Every configured symbol is listed."""
    listed = {i.coin: i for i in wire.to_instruments(await rest.info("meta", wire.Meta))}
    wanted = [entry.symbol for entry in plan.config.symbols]
    lost = [coin for coin in wanted if coin not in listed or listed[coin].delisted]
    if lost:
        return Finding(Grade.FAIL, "symbols", f"{', '.join(lost)} not listed; the venue has {len(listed)} perps")
    return Finding(Grade.OK, "symbols", f"{', '.join(wanted)} listed")


async def check_price(what: str, coins: set[str], events: AsyncIterator[Event], clock: Clock) -> Finding:
    """The first price of every coin within the patience, and its age."""
    missing, oldest = set(coins), 0.0
    try:
        async with asyncio.timeout(PATIENCE):
            async for event in events:
                if isinstance(event, Bbo) and event.coin in missing:
                    missing.discard(event.coin)
                    oldest = max(oldest, (clock.now() - event.event_ns) / 1e9)
                if not missing:
                    return Finding(Grade.OK, what, f"{len(coins)} prices, the oldest {oldest:.1f} s")
    except TimeoutError:
        pass
    return Finding(Grade.FAIL, what, f"no price of {', '.join(sorted(missing))} within {PATIENCE:.0f} s")


async def _best_prices(rest: Rest, plan: Plan, clock: Clock) -> AsyncIterator[Event]:
    """The venue's books once, as events."""
    for entry in plan.config.symbols:
        book = await rest.info("l2Book", Book, coin=entry.symbol)
        bid, ask = (side[0] if side else {"px": "0", "sz": "0"} for side in book.levels)
        prices = (float(bid["px"]), float(bid["sz"]), float(ask["px"]), float(ask["sz"]))
        yield Bbo("hl", book.coin, *prices, book.time * wire.MS, clock.now())


async def _guard(what: str, check: Awaitable[Finding | list[Finding]]) -> list[Finding]:
    try:
        found = await check
    except SlipstreamError as error:
        return [Finding(Grade.FAIL, what, str(error))]
    return found if isinstance(found, list) else [found]


async def diagnose(plan: Plan, tell: Callable[[Finding], None]) -> bool:
    """Run every check; whether none failed."""
    url = plan.config.hl_url
    well = True

    def say(found: list[Finding]) -> None:
        nonlocal well
        for finding in found:
            well = well and finding.grade is not Grade.FAIL
            tell(finding)

    async def offline() -> list[Finding]:
        check_signer()
        source_of(url, plan.mainnet)
        return [check_disk(plan.state_dir), check_journal(plan.state_dir / "journal.db")]

    say(await _guard("local", offline()))
    try:
        clock = await venue_clock(url) if is_local(url) else WallClock()
    except SlipstreamError as error:
        say([Finding(Grade.FAIL, "venue", str(error))])
        return False
    async with aiohttp.ClientSession() as session:
        rest = Rest(session, url, Weights(time.monotonic), PATIENCE)
        coins = {entry.symbol for entry in plan.config.symbols}
        say(await _guard("clock", check_clock(rest, clock)))
        say(await _guard("key", check_account(rest, plan)))
        say(await _guard("symbols", check_symbols(rest, plan)))
        say(await _guard("venue", check_price("venue", coins, _best_prices(rest, plan, clock), clock)))
        feed = anchor_feed(plan, clock)
        say(await _guard("anchor", check_price("anchor", coins, feed.events(), clock)))
        await feed.close()
    return well


def doctor(options: BrawlerOptions, environ: Mapping[str, str], tell: Callable[[str], None]) -> int:
    """Diagnose a Brawler configuration: 0 well, 1 something fails."""
    try:
        plan = plan_brawler(options, environ, Path.cwd())
    except ConfigError as error:
        tell(Finding(Grade.FAIL, "config", str(error)).line())
        return 1
    tell(
        Finding(
            Grade.OK, "config", f"{options.config}: {len(plan.config.symbols)} symbols on {plan.config.hl_url}"
        ).line()
    )
    return 0 if asyncio.run(diagnose(plan, lambda finding: tell(finding.line()))) else 1


def run(options: BrawlerOptions) -> int:
    """With this process's environment and output."""
    return doctor(options, os.environ, print)
