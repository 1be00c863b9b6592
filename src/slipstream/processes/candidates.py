"""The candidate scan: recordings of listings, measured, judged by the `candidate_screening` block, and ranked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from slipstream.data.recorder.samples import (
    BBO,
    DEPTH,
    FUNDING,
    Floats,
    SampleError,
    check_bbo,
    check_rates,
    path_of,
    read_samples,
)
from slipstream.model.errors import ConfigError
from slipstream.runtime.config import load
from slipstream.strategies.brawler.candidates import (
    Candidate,
    Measures,
    Prices,
    ScanError,
    align,
    judge,
    measure,
    ranked,
    snippet,
)
from slipstream.strategies.brawler.config import BrawlerConfig, CandidateScreening, Quoting
from slipstream.venues.binance.feed import symbol_of

CONFIG = Path("configs/brawler.yml")
NAME = "candidates"
ORDER_USD = 100.0
MAX_AGE_MS = 10_000.0
LAST_HOURS = 24.0
MAKER_FEE = 0.00015


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to scan. ``order_usd``: value of one order of a listing that the configuration does not have.

    ``last_hours``: how much of the end of each recording of prices and depth.
    """

    hl_pattern: str
    cex_pattern: str
    symbols: tuple[str, ...] = ()
    hl_depth_pattern: str | None = None
    funding_pattern: str | None = None
    config: Path | None = None
    order_usd: float = ORDER_USD
    max_age_ms: float = MAX_AGE_MS
    last_hours: float = LAST_HOURS


class Scan(msgspec.Struct, frozen=True):
    """Candidates, the best first, and what could not be judged, by symbol with the reason."""

    candidates: tuple[Candidate, ...]
    skipped: dict[str, str]
    screening: CandidateScreening
    snippet: str

    @property
    def exit_code(self) -> int:
        """0: every symbol was judged; 1: some were; 2: none."""
        return 0 if not self.skipped else 1 if self.candidates else 2


def scan(request: Request, *, progress: bool = False) -> Scan:
    """Read, measure, judge and rank. Raises ConfigError; a listing's own trouble is told in ``skipped``."""
    path = request.config if request.config is not None else CONFIG if CONFIG.is_file() else None
    config = load(path, BrawlerConfig) if path is not None else None
    listed = {terms.symbol: terms for terms in config.terms} if config is not None else {}
    symbols = request.symbols or tuple(listed)
    if not symbols:
        raise ConfigError("no symbols: name them, such as --symbols BTC ETH, or give a --config that lists some")
    twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
    if twice:
        raise ConfigError(f"--symbols: {', '.join(twice)} is named twice")
    if not all(0.0 < value < math.inf for value in (request.order_usd, request.max_age_ms, request.last_hours)):
        raise ConfigError("--order-usd, --max-age-ms and --last-hours must be above 0, and no infinity")
    screening = config.candidate_screening if config is not None else CandidateScreening()
    found, skipped = [], {}
    console = Console(stderr=True)
    quiet = not (progress and console.is_terminal)
    for symbol in track(symbols, "listings", console=console, transient=True, disable=quiet):
        try:
            found.append(judge(_measure(request, symbol, listed.get(symbol)), screening))
        except (SampleError, ScanError) as error:
            skipped[symbol] = str(error)
    fee = (config.maker_fee if config is not None else None) or MAKER_FEE
    candidates = ranked(found)
    return Scan(tuple(candidates), skipped, screening, snippet(candidates, fee))


def _measure(request: Request, symbol: str, terms: Quoting | None) -> Measures:
    cex_symbol = (terms.cex_symbol if terms is not None else "") or symbol_of(symbol)
    step_ms = float(terms.sigma_interval_ms if terms is not None else 1_000)
    last_ms = request.last_hours * 3_600_000.0
    hl, cex = (_prices(path_of(p, symbol, cex_symbol), last_ms) for p in (request.hl_pattern, request.cex_pattern))
    try:
        aligned = align(hl, cex, step_ms=step_ms, max_age_ms=request.max_age_ms)
        depth = funding = None
        if request.hl_depth_pattern is not None:
            span = (float(hl.times[0]), float(hl.times[-1]))
            depth = _depth(path_of(request.hl_depth_pattern, symbol, cex_symbol), last_ms, span)
        if request.funding_pattern is not None:
            path = path_of(request.funding_pattern, symbol, cex_symbol)
            rates = read_samples(path, FUNDING)
            check_rates(path, rates)
            funding = rates["rate"]
        mid = float(np.median(aligned.hl_mid))
        order_usd = float(terms.order_size) * mid if terms is not None else request.order_usd
        return measure(symbol, cex_symbol, aligned, order_usd=order_usd, depth=depth, funding=funding)
    except ScanError as error:
        raise ScanError(f"{symbol}: {error}") from None


def _prices(path: Path, last_ms: float) -> Prices:
    samples = read_samples(path, BBO, last_ms)
    check_bbo(path, samples)
    return Prices(samples["recv_ms"], samples["bid_px"], samples["ask_px"])


def _depth(path: Path, last_ms: float, span: tuple[float, float]) -> Floats:
    samples = read_samples(path, DEPTH, last_ms)
    times = samples["recv_ms"]
    if times[-1] < span[0] or times[0] > span[1]:
        raise SampleError(f"{path}: its depth and the prices do not overlap in time; record both at once")
    found: Floats = np.stack([samples["bid_usd"], samples["ask_usd"]], axis=1)
    if (found < 0.0).any():
        raise SampleError(f"{path}: a depth is below 0")
    return found


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


COLUMNS: dict[str, str] = {
    "score": ".1f",
    "basis bp": "+.2f",
    "drift bp": "+.2f",
    "sigma bp": ".2f",
    "sigma ratio": ".2f",
    "spread bp": ".2f",
    "edge bp": "+.2f",
    "depth x": ".1f",
    "funding vol bp": ".3f",
    "samples": "d",
    "hours": ".2f",
}


def cells(one: Candidate) -> list[str]:
    """A candidate's row of numbers, in the order of `COLUMNS`."""
    m = one.measures
    values: list[float | None] = [one.score, m.basis_bps, m.basis_drift_bps, m.cex_sigma * 1e4, m.sigma_ratio]
    values += [m.spread_bps, m.spread_edge_bps, m.depth_multiple, m.funding_vol_bps, m.samples, m.hours]
    return [_number(value, form) for value, form in zip(values, COLUMNS.values(), strict=True)]


def table(found: Scan) -> Table:
    """The ranking as a person reads it."""
    shown = Table(title="Candidates")
    for name in ("#", "symbol"):
        shown.add_column(name)
    for name in COLUMNS:
        shown.add_column(name, justify="right")
    shown.add_column("gates")
    for rank, one in enumerate(found.candidates, 1):
        shown.add_row(str(rank), one.measures.symbol, *cells(one), "pass" if one.passed else "; ".join(one.failed))
    return shown


def tell_skipped(found: Scan, name: str) -> None:
    """What could not be judged, on stderr, and the exit code; leaves if there was any."""
    for symbol, reason in found.skipped.items():
        typer.echo(f"{name}: {symbol} is left out: {reason}", err=True)
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def named(symbols: list[str] | None, more: list[str] | None) -> tuple[str, ...]:
    """The symbols of ``--symbols BTC ETH``, ``--symbols BTC --symbols ETH`` and ``--symbols BTC,ETH`` alike."""
    words = [*(symbols or []), *(more or [])]
    return tuple(part.strip() for word in words for part in word.split(",") if part.strip())


HlPattern = Annotated[str, typer.Option(help="Hyperliquid's best prices, such as data/hl/{symbol}.csv.")]
CexPattern = Annotated[str, typer.Option(help="Binance's best prices, such as data/binance/{cex_lower}.csv.")]
Symbols = Annotated[list[str] | None, typer.Option(help="Symbols; default: the configuration's.")]
More = Annotated[list[str] | None, typer.Argument(metavar="[SYMBOL]...", help="Further symbols.", show_default=False)]
DepthPattern = Annotated[str | None, typer.Option(help="Hyperliquid's depth, as record_bbo writes it.")]
FundingPattern = Annotated[str | None, typer.Option(help="Funding rates: ts (ms), rate.")]
Config = Annotated[Path | None, typer.Option(help=f"Brawler's configuration; default: {CONFIG}, if it is there.")]
OrderUsd = Annotated[float, typer.Option(help="Value of one order where the configuration has no order_size.")]
MaxAge = Annotated[float, typer.Option(help="A price older than this, in ms, does not count.")]

LastHours = Annotated[float, typer.Option(help="Look at so many hours at the end of each recording of prices.")]


def candidates(
    hl_pattern: HlPattern,
    cex_pattern: CexPattern,
    symbols: Symbols = None,
    more: More = None,
    hl_depth_pattern: DepthPattern = None,
    funding_pattern: FundingPattern = None,
    config: Config = None,
    order_usd: OrderUsd = ORDER_USD,
    max_age_ms: MaxAge = MAX_AGE_MS,
    last_hours: LastHours = LAST_HOURS,
) -> None:
    """Rank listings by what was recorded of them.

    Patterns name one file per symbol by {symbol}, {lower}, {cex_symbol}, {cex_lower}. Prints the ranking and a piece of
    configuration for those that pass every gate. Leaves with 1 if some listings could not be judged, 2 if none could.
    """
    request = Request(
        hl_pattern=hl_pattern,
        cex_pattern=cex_pattern,
        symbols=named(symbols, more),
        hl_depth_pattern=hl_depth_pattern,
        funding_pattern=funding_pattern,
        config=config,
        order_usd=order_usd,
        max_age_ms=max_age_ms,
        last_hours=last_hours,
    )
    try:
        found = scan(request, progress=True)
    except ConfigError as error:
        typer.echo(f"{NAME}: {error}", err=True)
        raise typer.Exit(2) from None
    console = Console()
    console = console if console.is_terminal else Console(width=200)
    if found.candidates:
        console.print(table(found))
        typer.echo(f"\n{found.snippet}", nl=False)
    tell_skipped(found, NAME)


def main() -> None:
    """The command by itself."""
    typer.run(candidates)


if __name__ == "__main__":
    main()
