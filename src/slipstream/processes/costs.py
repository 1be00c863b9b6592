"""`slipstream costs`: what taking costs, by coin, from recorded books; one file that every cost-aware command takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from slipstream.core.costs.calibrated import (
    LEAST_BOOKS,
    LEAST_MINUTES,
    Calibrated,
    CoinCosts,
    CostsError,
    calibrate,
    encode,
    read_costs,
)
from slipstream.core.costs.curve import Curve, grid
from slipstream.data.books import BooksError, Snapshots, Thinning, files_of, from_file, from_lake
from slipstream.data.streams import LakeError
from slipstream.federation.excess import excess
from slipstream.federation.shortfall import Parent
from slipstream.model.errors import SlipstreamError

OUTPUT = Path("var/costs.json")
SHOWN_USD = (1_000.0, 10_000.0, 100_000.0)
DAY_MINUTES = 1_440.0

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Calibrate what trading costs from recorded books, and show it."
)


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where books are read from: a lake, or files by pattern; ``coins`` empty: all that are there."""

    lake: Path | None = None
    patterns: tuple[str, ...] = ()
    coins: tuple[str, ...] = ()
    every_ms: int = 5_000

    def named(self) -> tuple[str, ...]:
        """The sources as the file of costs tells them."""
        return (*([f"lake {self.lake}"] if self.lake is not None else []), *self.patterns)

    def snapshots(self, refused: list[str]) -> Iterator[Snapshots]:
        """All books of it. Raises BooksError, LakeError, OSError."""
        if self.lake is not None:
            yield from from_lake(self.lake, "hl", self.coins, self.every_ms)
        thinning = Thinning(self.every_ms)
        files = list(dict.fromkeys(one for pattern in self.patterns for one in files_of(pattern, self.coins)))
        for path, coin in files:
            for part in from_file(path, coin, thinning, refused):
                if not self.coins or part.coin in self.coins:
                    yield part


def measured(sources: Sources, notional: np.ndarray, refused: list[str]) -> dict[str, Curve]:
    """The curve of every coin. Raises BooksError (also where a coin that was asked for has no books), LakeError."""
    curves: dict[str, Curve] = {}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("books", total=None)
        for part in sources.snapshots(refused):
            curve = curves.setdefault(part.coin, Curve(notional))
            curve.add(part.ms, part.bid_px, part.bid_sz, part.ask_px, part.ask_sz)
            progress.advance(task, len(part.ms))
    lacking = [coin for coin in sources.coins if coin not in curves]
    if lacking or not curves:
        raise BooksError(f"no books of {', '.join(lacking) or 'any coin'} in {', '.join(sources.named())}")
    return curves


def _write(path: Path, data: bytes) -> None:
    """The file whole, or the one that was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(data)
    os.replace(fresh, path)


def costs_table(found: Calibrated) -> Table:
    """A row a coin: the law with its intervals, how well it fits, and what sizes cost after it (fee included)."""
    named = [f"{usd:,.0f} USD, bp" for usd in SHOWN_USD]
    table = Table(
        "coin", "half spread, bp", "impact, bp at 10 k", "fit error", "R²", "exponent", "books", "hours", *named
    )
    model = found.model()
    for coin, one in sorted(found.coins.items(), key=lambda item: item[1].bps(SHOWN_USD[1])):
        sizes = [_size(one, usd, float(model.of(coin).bps(usd))) for usd in SHOWN_USD]
        root = 1e4 * SHOWN_USD[1] ** 0.5
        table.add_row(
            coin,
            f"{1e4 * one.half_spread:.3f} [{1e4 * one.half_spread_low:.3f}, {1e4 * one.half_spread_high:.3f}]",
            f"{root * one.impact:.3f} [{root * one.impact_low:.3f}, {root * one.impact_high:.3f}]",
            f"{one.rms:.0%}",
            f"{one.r2:.2f}",
            "–" if one.exponent is None else f"{one.exponent:.2f}",
            f"{one.books:,}",
            f"{one.minutes / 60.0:.1f}",
            *sizes,
        )
    return table


def _size(one: CoinCosts, usd: float, bps: float) -> str:
    """Cost of a size; a tilde where the books were too thin to measure it."""
    return f"{bps:.2f}" if usd <= one.notional_usd[-1] * (1.0 + 1e-9) else f"~{bps:.2f}"


def remarks(found: Calibrated) -> list[str]:
    """What a reader should know before using the costs."""
    out = ["cost of taking at once, the fee included; ~ lies beyond what the books could fill, and is extrapolated"]
    short = sorted(coin for coin, one in found.coins.items() if one.minutes < DAY_MINUTES)
    if short:
        out.append(f"less than a day of books: the hours that were not seen may cost more ({', '.join(short)})")
    bent = sorted(c for c, one in found.coins.items() if one.exponent is not None and abs(one.exponent - 0.5) > 0.25)
    if bent:
        out.append(f"the books bend otherwise than a square root: trust the sizes seen only ({', '.join(bent)})")
    return out


def page(found: Calibrated) -> str:
    """The costs as one HTML page: a picture a coin of what was measured beside the law, and the table."""
    from slipstream.research.report import sheet
    from slipstream.research.report.charts import LINES, picture, plain, usd

    pictures = []
    for coin, one in sorted(found.coins.items()):

        def draw(axes: object, narrow: bool, one: CoinCosts = one) -> None:
            axes.plot(one.notional_usd, one.cost_bp, "o", markersize=3, color=LINES[0], label="books")  # type: ignore[attr-defined]
            law = [one.bps(q) for q in one.notional_usd]
            axes.plot(one.notional_usd, law, color=LINES[1], linewidth=1.4, label="law")  # type: ignore[attr-defined]
            axes.set_xscale("log")  # type: ignore[attr-defined]
            axes.xaxis.set_major_formatter(lambda value, _: usd(value))  # type: ignore[attr-defined]
            axes.set_ylabel("bp")  # type: ignore[attr-defined]
            axes.legend(loc="upper left")  # type: ignore[attr-defined]

        note = (
            f"{one.books:,} books, {one.minutes / 60.0:.1f} hours; half spread {1e4 * one.half_spread:.3f} bp, the fit "
            f"is off by {one.rms:.0%} on average, {one.worst:.0%} at most. Without the fee."
        )
        pictures.append(picture(f"{plain(coin, 20)}: cost of taking, bp of the notional (USD)", note, draw))
    rows = [
        {
            "coin": coin,
            "half spread, bp": f"{1e4 * one.half_spread:.3f}",
            "impact per sqrt(USD)": f"{one.impact:.3g}",
            "fit error": f"{one.rms:.0%}",
            "books": f"{one.books:,}",
            **{f"{size:,.0f} USD, bp": _size(one, size, float(found.model().of(coin).bps(size))) for size in SHOWN_USD},
        }
        for coin, one in sorted(found.coins.items())
    ]
    return sheet("What trading costs", pictures, lines=remarks(found), rows=rows)


def _tell(found: Calibrated) -> None:
    console = Console()
    console = console if console.is_terminal else Console(width=200)
    console.print(costs_table(found))
    times = [(one.first_ms, one.last_ms) for one in found.coins.values()]
    first, last = (
        datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        for ms in (min(a for a, _ in times), max(b for _, b in times))
    )
    console.print(f"books of {first} to {last} UTC; taker's fee {found.fee:.5%}", markup=False)
    for line in remarks(found):
        console.print(f"note: {line}", markup=False)


@app.command("calibrate")
def calibrate_command(
    lake: Annotated[Path | None, typer.Option(help="A lake with the stream books.")] = None,
    hl_pattern: Annotated[
        list[str] | None,
        typer.Option(
            help="Files of books: *.jsonl.zst, *.lz4, *.jsonl, orderbooks_*.csv.gz; {symbol} stands for a coin."
        ),
    ] = None,
    coins: Annotated[str, typer.Option(help="Such as BTC,ETH; empty: all that are there.")] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The file of costs.")] = OUTPUT,
    html: Annotated[Path | None, typer.Option("--html", help="A page with a picture a coin, too.")] = None,
    fee: Annotated[float, typer.Option(min=0.0, max=0.1, help="The taker's, a fraction.")] = 0.00045,
    smallest_usd: Annotated[float, typer.Option(help="Least notional measured.")] = 1_000.0,
    largest_usd: Annotated[float, typer.Option(help="Largest notional measured.")] = 1_000_000.0,
    every: Annotated[float, typer.Option(min=0.001, help="Seconds between the books that are taken.")] = 5.0,
    least_books: Annotated[int, typer.Option(min=1, help="Fewer are refused.")] = LEAST_BOOKS,
    least_minutes: Annotated[float, typer.Option(min=1.0, help="Shorter records are refused.")] = LEAST_MINUTES,
    skip: Annotated[bool, typer.Option("--skip", help="Leave out coins that have too little, and name them.")] = False,
    seed: Annotated[int, typer.Option(help="Of the intervals' resamples.")] = 1,
) -> None:
    """Fit half spread and impact of every coin to its recorded books, and write them to one file.

    1 if lines could not be read, or coins were skipped: they are named.
    """
    refused: list[str] = []
    named = tuple(part.strip() for part in coins.split(",") if part.strip())
    sources = Sources(lake=lake, patterns=tuple(hl_pattern or ()), coins=named, every_ms=max(1, round(1000.0 * every)))
    try:
        if not sources.named():
            raise BooksError("no books: give --lake DIR or --hl-pattern GLOB (slipstream record makes both)")
        curves = measured(sources, grid(smallest_usd, largest_usd), refused)
        kept, faults = _calibrated(curves, seed, least_books, least_minutes)
        if faults and not (skip and kept):
            raise CostsError(
                "; ".join(faults) + (". Nothing was written; --skip leaves such coins out" if kept else "")
            )
        found = Calibrated(coins=kept, fee=fee, sources=sources.named())
        _write(output, encode(found))
        if html is not None:
            _write(html, page(found).encode())
    except (CostsError, BooksError, LakeError, ValueError) as error:
        typer.echo(f"costs calibrate: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"costs calibrate: {error.filename or output}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
    _tell(found)
    typer.echo(f"wrote {output}" + (f" and {html}" if html is not None else ""))
    for line in [*faults, *refused[:20]]:
        typer.echo(f"costs calibrate: {line}", err=True)
    if refused:
        typer.echo(f"costs calibrate: {len(refused)} lines could not be read", err=True)
    if refused or faults:
        raise typer.Exit(1)


def _calibrated(
    curves: dict[str, Curve], seed: int, least_books: int, least_minutes: float
) -> tuple[dict[str, CoinCosts], list[str]]:
    """Costs by coin, and why others have none. A coin's interval does not depend on which others there are."""
    kept: dict[str, CoinCosts] = {}
    faults = []
    for coin, curve in sorted(curves.items()):
        try:
            rng = np.random.default_rng(seed)
            kept[coin] = calibrate(curve, rng, least_books=least_books, least_minutes=least_minutes)
        except CostsError as error:
            faults.append(f"{coin}: {error}")
    return kept, faults


@app.command("show")
def show_command(
    file: Annotated[Path, typer.Argument(help="A file of costs.")] = OUTPUT,
    html: Annotated[Path | None, typer.Option("--html", help="A page with a picture a coin, too.")] = None,
) -> None:
    """Show a file of costs."""
    try:
        found = read_costs(file)
        if html is not None:
            _write(html, page(found).encode())
    except CostsError as error:
        typer.echo(f"costs show: {error}", err=True)
        raise typer.Exit(2) from None
    _tell(found)


@app.command("compare")
def compare_command(
    journal: Annotated[Path, typer.Argument(help="A pod's journal, or the run directory of `slipstream up`.")],
    costs: Annotated[Path, typer.Option(help="A file of costs.")] = OUTPUT,
) -> None:
    """Hold what a pod's orders cost against what the file expects of them, coin by coin."""
    try:
        model = read_costs(costs).model()
        reads = _orders(journal)
    except SlipstreamError as error:
        typer.echo(f"costs compare: {error}", err=True)
        raise typer.Exit(2) from None
    table = Table("pod", "coin", "orders", "USD", "paid, bp", "expected, bp", "beyond, bp", "late, bp")
    for pod, orders in reads:
        for one in excess(orders, model):
            within = "" if one.error is None else f" ± {one.error:.2f}"
            table.add_row(
                pod,
                one.coin,
                f"{one.orders:,}",
                f"{one.notional:,.0f}",
                f"{one.paid:.2f}",
                "not calibrated" if one.expected is None else f"{one.expected:.2f}",
                "" if one.beyond is None else f"{one.beyond:+.2f}{within}",
                f"{one.late:+.2f}",
            )
    if not table.row_count:
        typer.echo("costs compare: no order that works a target was filled there: there is nothing to compare")
        return
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    typer.echo("paid: half spread, impact and fees of what filled; expected: of taking it at once; late: of waiting")


def _orders(where: Path) -> list[tuple[str, tuple[Parent, ...]]]:
    """Parent orders by pod, of one journal or of every pod of a run. Raises ConfigError, JournalError."""
    from slipstream.processes.attributing import fund_of, read_pod
    from slipstream.runtime.journal import open_journal

    found = []
    if where.is_dir():
        config = fund_of(where, None)
        named = [(pod.slug, str(config.journal_of(pod.slug))) for pod in config.pods]
    else:
        named = [("", str(where))]
    for slug, path in named:
        with open_journal(path, read_only=True) as journal:
            sessions = journal.sessions()
            pod = slug or (sessions[-1].slug if sessions else "")
            found.append((pod, read_pod(pod, journal).orders))
    return found
