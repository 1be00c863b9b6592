"""Volume gaps: listings that trade far less here, relative to Binance, than the benchmarks do.

``ratio`` = 24 h notional on Hyperliquid / 24 h quote volume on Binance. ``relative`` = ratio / the benchmarks' median
ratio: 1 is a listing with its fair share of traffic, 0.1 one with a tenth of it.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import aiohttp
import msgspec
import typer
from rich.console import Console
from rich.table import Table

from slipstream.model.errors import ConfigError, SlipstreamError, VenueRejected
from slipstream.processes.candidates import named
from slipstream.runtime.addresses import is_local
from slipstream.runtime.config import load
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.venues.binance.feed import symbol_of
from slipstream.venues.binance.rest import URL, BinanceRest
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.wire import Meta

NAME = "volume-gap"
BENCHMARKS = ("BTC", "ETH")


class Volume(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of a coin's context."""

    day_ntl_vlm: str


class Gap(msgspec.Struct, frozen=True):
    """A listing's traffic on both venues, USD of 24 h."""

    symbol: str
    cex_symbol: str
    hl_usd: float
    cex_usd: float
    ratio: float
    relative: float
    flagged: bool


class Screen(msgspec.Struct, frozen=True):
    """Every listing of both venues, the least trafficked first; ``baseline`` is the benchmarks' median ratio."""

    baseline: float
    benchmarks: dict[str, float]
    gaps: tuple[Gap, ...]
    alone: tuple[str, ...]


def find_gaps(
    hl: Mapping[str, float],
    cex: Mapping[str, float],
    names: Mapping[str, str],
    *,
    threshold: float,
    benchmarks: tuple[str, ...] = BENCHMARKS,
    min_cex_usd: float = 0.0,
) -> Screen:
    """Compare. ``hl``: USD by coin; ``cex``: USD by Binance symbol; ``names``: coin -> Binance symbol.

    Listings below ``min_cex_usd`` on Binance are left out; those that Binance does not have, or that did not trade
    there, are ``alone``. Raises ConfigError for a benchmark that is missing on a venue or did not trade.
    """
    ratios: dict[str, float] = {}
    for coin in benchmarks:
        here, there = hl.get(coin), cex.get(names.get(coin, ""))
        if not here or not there:
            where = "Hyperliquid" if not here else f"Binance ({names.get(coin, 'no name')})"
            raise ConfigError(f"benchmark {coin}: no 24 h volume on {where}; choose other --benchmarks")
        ratios[coin] = here / there
    if not ratios:
        raise ConfigError("no benchmarks; name some, such as --benchmarks BTC,ETH")
    baseline = statistics.median(ratios.values())
    gaps, alone = [], []
    for coin, here in hl.items():
        there = cex.get(names[coin], 0.0)
        if there <= 0.0:
            alone.append(coin)
        elif there >= min_cex_usd:
            relative = here / there / baseline
            gaps.append(Gap(coin, names[coin], here, there, here / there, relative, relative < threshold))
    gaps.sort(key=lambda gap: (gap.relative, gap.symbol))
    return Screen(baseline, ratios, tuple(gaps), tuple(sorted(alone)))


def _usd(where: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0.0:
        raise VenueRejected(f"{where}: the 24 h volume of {name} is {text!r}, not an amount")
    return value


async def read_volumes(hl_url: str, cex_url: str) -> tuple[dict[str, float], dict[str, float]]:
    """(USD by coin that is listed on Hyperliquid, USD by Binance symbol). Raises Retry and VenueRejected."""
    async with aiohttp.ClientSession() as session:
        rest = Rest(session, hl_url, Weights(time.monotonic))
        meta, contexts = await rest.info("metaAndAssetCtxs", tuple[Meta, list[Volume]])
        days = await BinanceRest(session, cex_url).days()
    if len(contexts) != len(meta.universe):
        raise VenueRejected(f"metaAndAssetCtxs: {len(meta.universe)} perps, {len(contexts)} contexts")
    here = {
        perp.name: _usd("Hyperliquid", perp.name, context.day_ntl_vlm)
        for perp, context in zip(meta.universe, contexts, strict=True)
        if not perp.is_delisted
    }
    return here, {day.symbol: _usd("Binance", day.symbol, day.quote_volume) for day in days}


def show(found: Screen, threshold: float) -> Table:
    """The screen as a person reads it."""
    shown = Table(title=f"24 h notional, Hyperliquid / Binance; baseline {found.baseline:.4f}, threshold {threshold:g}")
    for name in ("symbol", "Binance"):
        shown.add_column(name)
    for name in ("HL USD", "Binance USD", "ratio", "relative"):
        shown.add_column(name, justify="right")
    shown.add_column("")
    for gap in found.gaps:
        amounts = (f"{gap.hl_usd:,.0f}", f"{gap.cex_usd:,.0f}", f"{gap.ratio:.4f}", f"{gap.relative:.3f}")
        shown.add_row(gap.symbol, gap.cex_symbol, *amounts, "under-trafficked" if gap.flagged else "")
    return shown


def volume_gap(
    config: Annotated[Path, typer.Option(help="Brawler's configuration: addresses and names.")] = Path(
        "configs/brawler.yml"
    ),
    ratio_threshold: Annotated[
        float, typer.Option(help="Listings below this share of the baseline are flagged.")
    ] = 0.3,
    benchmarks: Annotated[str, typer.Option(help="Listings whose ratio is the baseline.")] = ",".join(BENCHMARKS),
    symbols: Annotated[str, typer.Option(help="Only these coins; empty: every coin that is listed.")] = "",
    min_cex_usd: Annotated[float, typer.Option(min=0.0, help="Leave out what trades less on Binance.")] = 0.0,
    hl_url: Annotated[str | None, typer.Option(help="Hyperliquid, or a local venue.")] = None,
    cex_url: Annotated[str | None, typer.Option(help="Binance's REST base.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """Find listings that trade far less here, relative to Binance, than the benchmarks do."""
    try:
        if not (math.isfinite(ratio_threshold) and ratio_threshold > 0.0):
            raise ConfigError(f"--ratio-threshold must be above 0, not {ratio_threshold}")
        found = load(config, BrawlerConfig)
        here = hl_url or found.hl_url
        hl, cex = asyncio.run(read_volumes(here, cex_url or (here if is_local(here) else URL)))
        listed = {entry.symbol: entry.cex_symbol for entry in found.symbols}
        screen = find_gaps(
            hl,
            cex,
            {coin: listed.get(coin) or symbol_of(coin) for coin in hl},
            threshold=ratio_threshold,
            benchmarks=named([benchmarks], None),
            min_cex_usd=min_cex_usd,
        )
        screen = _only(screen, named([symbols], None), hl)
    except SlipstreamError as error:
        typer.echo(f"{NAME}: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(screen), indent=2).decode())
        return
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(show(screen, ratio_threshold))
    flagged = [gap.symbol for gap in screen.gaps if gap.flagged]
    typer.echo(f"under-trafficked: {', '.join(flagged) or 'none'} ({len(flagged)} of {len(screen.gaps)})")
    if screen.alone:
        typer.echo(f"not compared, without volume on Binance: {', '.join(screen.alone)}")


def _only(screen: Screen, chosen: tuple[str, ...], listed: Mapping[str, float]) -> Screen:
    unknown = [coin for coin in chosen if coin not in listed]
    if unknown:
        raise ConfigError(f"--symbols: {', '.join(unknown)} is not listed on Hyperliquid")
    if not chosen:
        return screen
    gaps = tuple(gap for gap in screen.gaps if gap.symbol in chosen)
    return msgspec.structs.replace(screen, gaps=gaps, alone=tuple(coin for coin in screen.alone if coin in chosen))


def main() -> None:
    """The command by itself."""
    typer.run(volume_gap)


if __name__ == "__main__":
    main()
