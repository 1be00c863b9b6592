"""`slipstream import` and `slipstream lake`: files into the lake, and what it holds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from slipstream.data.context_bars import draw_bars
from slipstream.data.export import export
from slipstream.data.files import Unit
from slipstream.data.lake import Lake, Query
from slipstream.data.load import FINDINGS, FileTerms, Loaded, check_lake, coin_of, load_file, note_findings, panel_files
from slipstream.data.quality import when
from slipstream.data.recorder.samples import path_of
from slipstream.data.streams import CONTEXTS, DAY, FUNDING, INTERVALS, LakeError, check_word
from slipstream.data.tables import interval_of
from slipstream.processes.exit_codes import ask
from slipstream.venues.binance.feed import symbol_of

LAKE = Path("var/lake")
SHOWN = 12
app = typer.Typer(add_completion=False, no_args_is_help=True, help="Look at the lake of market data.")
LakeOption = Annotated[Path, typer.Option("--lake", help="The lake's folder.")]
SpikesOption = Annotated[bool, typer.Option("--drop-spikes", help="Drop closes that the next bar takes back.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Any row that would be dropped is an error.")]


def report(loaded: Sequence[Loaded], lake: Path) -> None:
    """Say what came in and what was found, the gravest first."""
    new, same, revised = (sum(getattr(one.appended, name) for one in loaded) for name in ("new", "same", "revised"))
    dropped = sum(one.quality.dropped for one in loaded)
    typer.echo(f"{len(loaded)} series: {new} rows new, {same} there already, {revised} revised, {dropped} dropped")
    found = sorted((one.quality for one in loaded if one.quality.findings), key=lambda one: -one.dropped)
    lines = [line for one in found for line in one.lines()]
    for line in lines[:SHOWN]:
        typer.echo(f"  {line}")
    if len(lines) > SHOWN:
        typer.echo(f"  and {len(lines) - SHOWN} more findings, in {lake / FINDINGS}")


def import_files(
    files: Annotated[list[Path], typer.Argument(help="CSV, Feather or Parquet files; or one folder with a panel.")],
    lake: LakeOption = LAKE,
    venue: Annotated[str, typer.Option(help="Whose rows these are, such as hl or binance.")] = "hl",
    stream: Annotated[Literal["bars", "funding"], typer.Option(help="What the files hold.")] = "bars",
    interval: Annotated[str, typer.Option(help=f"Length of the bars: {', '.join(INTERVALS)}.")] = "1h",
    coin: Annotated[str, typer.Option(help="The coin of a file without such a column.")] = "",
    pattern: Annotated[
        str, typer.Option(help="Where a file's name tells the coin, such as {coin}_USDT_USDT-1h-futures.feather.")
    ] = "",
    unit: Annotated[Unit, typer.Option(help="Unit of times that are numbers.")] = "ms",
    stamped: Annotated[Literal["open", "close"], typer.Option(help="Which time of a bar the file tells.")] = "open",
    drop_spikes: SpikesOption = False,
    strict: StrictOption = False,
) -> None:
    """Bring bars or funding from files into the lake.

    May be run again: rows that are there already are left out. What is dropped is told, and kept in quality.jsonl.
    """

    def act() -> None:
        check_word("--venue", venue)
        name = FUNDING if stream == "funding" else interval_of(interval)
        if coin and pattern:
            raise LakeError("--coin and --pattern both name the coin: give one of the two")
        if len(files) == 1 and files[0].is_dir():
            work = [(path, kind, "") for path, kind in panel_files(files[0])]
        else:
            work = [(path, name, coin_of(path, pattern) if pattern else coin) for path in files]
        offset = -INTERVALS[interval] if stamped == "close" and stream == "bars" else 0
        target = Lake(lake)
        loaded: list[Loaded] = []
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            for path, kind, one in work:
                task = progress.add_task(path.name, total=None)
                terms = FileTerms(
                    venue=venue, stream=kind, unit=unit, offset_ns=offset, drop_spikes=drop_spikes, strict=strict
                )
                step = partial(progress.advance, task)
                loaded += load_file(target, path, terms, coin=one, now_ns=time.time_ns(), done=step)
                progress.remove_task(task)
        report(loaded, lake)

    ask(act)


@app.command("show")
def show(lake: LakeOption = LAKE) -> None:
    """Show what the lake holds."""

    def act() -> None:
        target = Lake(lake)
        table = Table("venue", "stream", "coins", "files", "rows", "MB", "from", "to", title=str(lake))
        for venue, stream in target.streams():
            entries = target.entries(Query(venue=venue, stream=stream))
            table.add_row(
                venue,
                stream,
                str(len({entry.coin for entry in entries})),
                str(len(entries)),
                str(sum(entry.rows for entry in entries)),
                f"{sum(entry.size for entry in entries) / 1e6:.1f}",
                when(min(entry.first_ns for entry in entries)),
                when(max(entry.last_ns for entry in entries)),
            )
        Console(width=130).print(table)

    ask(act)


@app.command("verify")
def verify(
    lake: LakeOption = LAKE,
    mend: Annotated[bool, typer.Option("--mend", help="Let damaged files count no longer: load them again.")] = False,
) -> None:
    """Check every file against the catalogue; 1 if one is damaged or gone."""

    def act() -> None:
        target = Lake(lake)
        found = list(target.verify())
        bad = [(entry, text) for entry, text in found if text]
        for entry, text in bad:
            typer.echo(f"{lake / entry.path}: {text}; its rows came from {entry.source or 'a recording'}")
            if mend:
                target.forget(entry)
        typer.echo(f"{len(found)} files, {len(bad)} damaged")
        if bad and mend:
            typer.echo("they count no longer; the next load by API or from the archive brings their rows again")
        elif bad:
            typer.echo("let them count no longer by --mend, then load their rows again")
            raise typer.Exit(1)

    ask(act)


@app.command("check")
def check(lake: LakeOption = LAKE) -> None:
    """Run the checks over every series as a whole: gaps between loads, spikes, bars without volume."""

    def act() -> None:
        target, count, faulty = Lake(lake), 0, 0
        for quality in check_lake(target, time.time_ns()):
            count += 1
            faulty += bool(quality.findings)
            for line in quality.lines():
                typer.echo(line)
        typer.echo(f"{count} series, {faulty} with findings")

    ask(act)


@app.command("adopt")
def adopt(lake: LakeOption = LAKE) -> None:
    """Catalogue the tables that recordings were made into, and remove what killed writers left."""

    def act() -> None:
        target, now = Lake(lake), time.time_ns()
        typer.echo(f"{target.adopt(now)} files adopted, {target.sweep(now)} left-overs removed")

    ask(act)


@app.command("bars")
def draw(
    lake: LakeOption = LAKE,
    interval: Annotated[str, typer.Option(help="Length of the bars.")] = "1h",
    coins: Annotated[str, typer.Option(help="Coins, such as BTC,ETH; empty: all.")] = "",
) -> None:
    """Draw bars from the archive's minute contexts, under the venue hl_mid: mid prices, and a smooth volume."""

    def act() -> None:
        target, now = Lake(lake), time.time_ns()
        names = tuple(word.strip() for word in coins.split(",") if word.strip()) or target.coins("hl", CONTEXTS)
        if not names:
            raise LakeError(f"{lake}: no {CONTEXTS} there; fetch_s3_historical.py brings them")
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            loaded = [draw_bars(target, name, interval, now_ns=now) for name in progress.track(names)]
        note_findings(target, (one.quality for one in loaded), now)
        report(loaded, lake)

    ask(act)


@app.command("export")
def export_files(
    pattern: Annotated[str, typer.Argument(help="Where to: a file, or one a coin, such as data/funding/{symbol}.csv.")],
    lake: LakeOption = LAKE,
    venue: Annotated[str, typer.Option(help="Whose rows.")] = "hl",
    stream: Annotated[Literal["bars", "funding"], typer.Option(help="Which.")] = "funding",
    interval: Annotated[str, typer.Option(help=f"Length of the bars: {', '.join(INTERVALS)}.")] = "1h",
    coins: Annotated[str, typer.Option(help="Coins, such as BTC,ETH; empty: all.")] = "",
    days: Annotated[float | None, typer.Option(min=0.001, help="Only the last so many; default: all.")] = None,
) -> None:
    """Write bars or funding as CSV files, such as the candidate scan's --funding-pattern reads.

    Columns: coin, ts (ms UTC: a bar's open, or the settlement), then rate, or open, high, low, close, volume. The
    pattern's tokens are {symbol}, {lower}, {cex_symbol}, {cex_lower}; without one, all coins go into one file.
    """

    def act() -> None:
        query = Query(
            venue=check_word("--venue", venue),
            stream=FUNDING if stream == "funding" else interval_of(interval),
            coins=tuple(dict.fromkeys(word.strip() for word in coins.split(",") if word.strip())),
            start_ns=None if days is None else time.time_ns() - round(days * DAY),
        )
        written = export(Lake(lake), query, lambda coin: path_of(pattern, coin, symbol_of(coin)))
        for path, rows in written.items():
            typer.echo(f"{path}: {rows} rows")

    ask(act)
