"""`hl-load`: bars and funding of Hyperliquid into the lake, as far back as its API goes.

May be stopped, or killed, at any time and run again: every answer is in the lake, whole, before the next request, and
what was answered once is not asked again. Request weight stays below the venue's limit.
"""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import aiohttp
import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from slipstream.data.catalogue import Span, missing
from slipstream.data.history import (
    FUNDING_PAGE,
    KEPT,
    CandleRow,
    FundingRow,
    bar_pages,
    bar_span,
    bars_weight,
    candle_rows,
    funding_rows,
    funding_span,
    funding_weight,
)
from slipstream.data.lake import Lake
from slipstream.data.load import Loaded, load_rows, note_findings
from slipstream.data.streams import DAY, FUNDING, INTERVALS, MS, LakeError, bars_stream, stream_of
from slipstream.model.errors import ConfigError, RateLimited, Retry, SlipstreamError, VenueRejected
from slipstream.processes.import_data import LAKE, report
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest

URL = "https://api.hyperliquid.xyz"
VENUE = "hl"
ATTEMPTS = 8
PAUSE, PAUSE_MAX = 0.5, 30.0
LOST = 3  # coins in a row that failed: the venue is away, and the rest need not wait for it
T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to load. No coins: every coin that the venue lists, delisted ones too. ``weight``: a minute."""

    lake: Path
    url: str = URL
    coins: tuple[str, ...] = ()
    interval: str = "1h"
    days: int = 180
    weight: int = 1_000


class Done(msgspec.Struct):
    """What a run did: requests, what came in a series, and coins that failed with their reasons."""

    requests: int = 0
    loaded: dict[tuple[str, str], Loaded] = {}
    failed: dict[str, str] = {}
    notes: list[str] = []


class _Asset(msgspec.Struct, rename="camel"):
    name: str
    is_delisted: bool = False


class _Meta(msgspec.Struct):
    universe: list[_Asset]


class _Status(msgspec.Struct):
    time: int


class Loader:
    """One run against one venue. ``step`` hears the weight of what was done."""

    def __init__(self, rest: Rest, plan: LoadPlan, *, sleep: Sleep, step: Callable[[int], None]) -> None:
        self.done = Done()
        self._rest = rest
        self._plan = plan
        self._lake = Lake(plan.lake)
        self._sleep = sleep
        self._step = step
        self._now_ns = 0

    async def prepare(self) -> tuple[str, ...]:
        """The venue's time, and the coins of the plan. Raises Retry, VenueRejected, ConfigError (no such coin)."""
        self._now_ns = (await self._info("exchangeStatus", _Status)).time * MS
        listed = [asset.name for asset in (await self._info("meta", _Meta)).universe]
        for coin in self._plan.coins:
            if coin not in listed:
                near = difflib.get_close_matches(coin, listed, 3, 0.5)
                hint = f"; did you mean {' or '.join(near)}" if near else ""
                raise ConfigError(f"--coins: {self._plan.url} lists no {coin!r}{hint}")
        step, days = INTERVALS[self._plan.interval], self._plan.days
        if days * DAY > KEPT * step:
            self.done.notes.append(
                f"the venue keeps {KEPT} bars of {self._plan.interval}, {KEPT * step / DAY:.0f} days: older bars do "
                f"not come; a longer --interval reaches further back"
            )
        return self._plan.coins or tuple(dict.fromkeys(listed))

    def weight(self, coin: str) -> int:
        """Request weight that a coin still needs, about."""
        bars, rates = self._missing(coin)
        return sum(bars_weight(page, self._plan.interval) for page in bars) + sum(map(funding_weight, rates))

    def _missing(self, coin: str) -> tuple[list[Span], tuple[Span, ...]]:
        interval, days = self._plan.interval, self._plan.days
        asked = self._lake.asked(VENUE, f"bars_{interval}", coin)
        pages = bar_pages(asked, bar_span(self._now_ns, days, interval), interval)
        rates = missing(self._lake.asked(VENUE, FUNDING, coin), *funding_span(self._now_ns, days))
        return pages, rates

    async def load(self, coin: str) -> None:
        """Everything that is missing of a coin; what fails is noted and leaves the rest as it is."""
        try:
            bars, rates = self._missing(coin)
            for page in bars:
                await self._bars(coin, page)
            for span in rates:
                await self._funding(coin, span)
        except (Retry, VenueRejected, LakeError) as error:
            self.done.failed[coin] = str(error)

    async def _bars(self, coin: str, page: Span) -> None:
        interval = self._plan.interval
        body = {"coin": coin, "interval": interval, "startTime": page[0] // MS, "endTime": page[1] // MS - 1}
        rows = await self._info("candleSnapshot", list[CandleRow], req=body)
        frame = candle_rows(rows, interval)
        frame = frame[(frame["open_ns"] >= page[0]) & (frame["open_ns"] < page[1])]
        self._keep(coin, bars_stream(interval).name, frame, page)
        self._step(bars_weight(page, interval))

    async def _funding(self, coin: str, span: Span) -> None:
        start, end = span
        while start < end:
            rows = await self._info(
                "fundingHistory", list[FundingRow], coin=coin, startTime=start // MS, endTime=end // MS - 1
            )
            rows = [row for row in rows if start <= row.time * MS < end]
            full = len(rows) >= FUNDING_PAGE
            until = max(row.time for row in rows) * MS + MS if full else end
            self._keep(coin, FUNDING, funding_rows(rows), (start, until))
            self._step(funding_weight((start, until)))
            start = until

    def _keep(self, coin: str, stream: str, frame: object, asked: Span) -> None:
        now = time.time_ns()
        loaded = load_rows(
            self._lake,
            VENUE,
            stream_of(stream),
            coin,
            frame,
            now_ns=now,
            known_by_ns=self._now_ns,
            source=self._plan.url,
            asked=asked,
        )
        note_findings(self._lake, [loaded.quality], now)
        held = self.done.loaded.get((coin, stream))
        if held is not None:
            loaded = held + loaded
        self.done.loaded[(coin, stream)] = loaded

    async def _info(self, kind: str, answer: type[T], **body: object) -> T:
        """A request that waits for its weight, and is sent again when nothing came. Raises Retry, VenueRejected."""
        pause, attempt = PAUSE, 0
        while True:
            try:
                self.done.requests += 1
                return await self._rest.info(kind, answer, **body)
            except RateLimited as error:
                self.done.requests -= 1
                await self._sleep(min(60.0, max(0.05, error.retry_after)))
            except Retry:
                attempt += 1
                if attempt >= ATTEMPTS:
                    raise
                await self._sleep(pause)
                pause = min(PAUSE_MAX, pause * 2)


async def run_load(
    plan: LoadPlan,
    progress: Progress,
    *,
    sleep: Sleep = asyncio.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Done:
    """Load what is missing. ``now`` (seconds) and ``sleep`` pace the requests. Raises Retry, ConfigError, OSError."""
    task = TaskID(-1)

    def step(weight: int) -> None:
        if task >= 0:
            progress.advance(task, weight)

    async with aiohttp.ClientSession() as session:
        rest = Rest(session, plan.url, Weights(now, plan.weight, reserve=0), 30.0)
        loader = Loader(rest, plan, sleep=sleep, step=step)
        coins = await loader.prepare()
        todo = {coin: weight for coin in coins if (weight := loader.weight(coin))}
        total = sum(todo.values())
        typer.echo(
            f"{len(coins)} coins, {plan.days} days, {plan.interval}: {len(todo)} with rows to come, "
            f"about {total / plan.weight:.0f} min at {plan.weight} request weight a minute"
        )
        task = progress.add_task("loading", total=total)
        lost = 0
        for coin in todo:
            progress.update(task, description=coin)
            await loader.load(coin)
            lost = lost + 1 if coin in loader.done.failed else 0
            if lost == LOST:
                loader.done.notes.append(f"stopped: {LOST} coins in a row failed")
                break
        Lake(plan.lake).sweep(time.time_ns())
        return loader.done


def hl_load(
    all_coins: Annotated[bool, typer.Option("--all", help="Every coin that the venue lists.")] = False,
    coins: Annotated[str, typer.Option(help="Coins, such as BTC,ETH.")] = "",
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How far back.")] = 180,
    interval: Annotated[str, typer.Option(help=f"Length of the bars: {', '.join(INTERVALS)}.")] = "1h",
    url: Annotated[str, typer.Option(help="Hyperliquid, or a local venue.")] = URL,
    lake: Annotated[Path, typer.Option(help="The lake's folder.")] = LAKE,
    weight: Annotated[
        int, typer.Option(min=120, max=1_200, help="Request weight a minute; the venue's is 1200.")
    ] = 1_000,
) -> None:
    """Load bars and funding of Hyperliquid into the lake; only what is missing is asked for."""
    wanted = tuple(dict.fromkeys(part.strip() for part in coins.split(",") if part.strip()))
    try:
        if all_coins == bool(wanted):
            raise ConfigError("say which coins: --all, or --coins BTC,ETH")
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"--url {url}: write a whole address, such as {URL}")
        bars_stream(interval)
        plan = LoadPlan(lake=lake, url=url, coins=wanted, interval=interval, days=days, weight=weight)
        console = Console(stderr=True)
        columns = (TextColumn("{task.description:>10}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        with Progress(
            *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
        ) as progress:
            done = asyncio.run(run_load(plan, progress))
    except (ConfigError, ValueError) as error:
        typer.echo(f"hl-load: {error}", err=True)
        raise typer.Exit(2) from None
    except SlipstreamError as error:
        typer.echo(f"hl-load: {url}: {error}; what was loaded is kept, run it again", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"hl-load: {error.filename or lake}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
    for note in done.notes:
        typer.echo(note)
    typer.echo(f"{done.requests} requests")
    report(list(done.loaded.values()), lake)
    for coin, reason in done.failed.items():
        typer.echo(f"hl-load: {coin}: {reason}", err=True)
    if done.failed:
        typer.echo(f"hl-load: {len(done.failed)} coins failed; run it again for what is missing", err=True)
        raise typer.Exit(1)


def main() -> None:
    """The console script."""
    typer.run(hl_load)


if __name__ == "__main__":
    main()
