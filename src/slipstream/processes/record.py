"""`slipstream record` and `slipstream compact`: the markets as they were heard, and Parquet tables of them."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from slipstream.data.recorder.folder import Folder, FolderError, Turnover, closed_segments
from slipstream.model.errors import ConfigError, JournalError
from slipstream.processes.listings import check_listings
from slipstream.processes.public_streams import KINDS, VENUES, PublicStreams, Wanted, clock_of, wanted_of
from slipstream.processes.serve import serve
from slipstream.runtime.telemetry import process_line

NAME = "record"
FILES = 4_096  # a segment of all coins is a thousand tables, written at once


class RecordOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to record, where to, and for how long (seconds of the venue's time; 0: until told to stop)."""

    wanted: Wanted
    folder: Path
    seconds: float = 0.0
    turnover: Turnover = Turnover()


async def run_record(options: RecordOptions) -> None:
    """Record until the time is over or cancelled.

    Raises ConfigError (the folder), NotConnected (a venue never told anything), JournalError (the disk).
    """
    where = ", ".join(options.wanted.venues)
    folder = Folder(options.folder, options.wanted.names, options.turnover)
    try:
        with folder:
            for one in folder.recovered:
                typer.echo(f"{NAME}: {one.path or one.venue}: closed after a kill, {one.torn} bytes cut off")
            async with clock_of(options.wanted.hl_url) as clock:
                unchecked = await check_listings(options.wanted)
                if unchecked is not None:
                    typer.echo(f"{NAME}: {unchecked}", err=True)
                detail = f"{len(options.wanted.coins)} coins of {where} into {options.folder}"
                typer.echo(process_line(NAME, "running", os.getpid(), detail))
                streams = PublicStreams(options.wanted, clock, folder, lambda text: typer.echo(f"{NAME}: {text}"))
                try:
                    await streams.hear(options.seconds)
                finally:
                    counts = ", ".join(f"{venue} {count}" for venue, count in streams.frames.items())
                    typer.echo(process_line(NAME, "stopped", os.getpid(), f"frames: {counts}; gaps: {streams.gaps}"))
    except FolderError as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        raise JournalError(f"{error.filename or options.folder}: {error.strerror or error}") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def record(
    config: Annotated[Path | None, typer.Option(help="Brawler's configuration: symbols and addresses.")] = None,
    coins: Annotated[str, typer.Option(help="Coins, such as BTC,ETH; empty: the configuration's.")] = "",
    directory: Annotated[Path, typer.Option("--dir", help="Where segments go.")] = Path("var/recording"),
    duration: Annotated[float, typer.Option(min=0.0, help="Seconds of the venue's time; 0: until stopped.")] = 0.0,
    streams: Annotated[str, typer.Option(help="Which streams.")] = ",".join(KINDS),
    venues: Annotated[str, typer.Option(help="Which venues.")] = ",".join(VENUES),
    hl_url: Annotated[str | None, typer.Option(help="Hyperliquid, or a local venue.")] = None,
    cex_url: Annotated[str | None, typer.Option(help="Binance's WebSocket base; http(s) is turned into it.")] = None,
    segment_minutes: Annotated[int, typer.Option(min=1, help="A new segment every so many minutes.")] = 60,
    segment_mb: Annotated[int, typer.Option(min=1, help="And whenever one has this size, compressed.")] = 256,
) -> None:
    """Record books, best prices, trades and contexts of both venues.

    Lines in the envelope of Hyperliquid's archive, in segments (*.jsonl.zst) that a kill cannot tear.
    """

    async def run() -> None:
        wanted = wanted_of(
            config, coins=_words(coins), hl_url=hl_url, cex_url=cex_url, venues=_words(venues), kinds=_words(streams)
        )
        turnover = Turnover(seconds=segment_minutes * 60, size=segment_mb * 1024 * 1024)
        await run_record(RecordOptions(wanted=wanted, folder=directory, seconds=duration, turnover=turnover))

    serve(NAME, run())


def compact(
    directory: Annotated[Path, typer.Option("--dir", help="A recorder's folder.")] = Path("var/recording"),
    lake: Annotated[Path, typer.Option(help="Where the tables go.")] = Path("var/lake"),
) -> None:
    """Make Parquet tables of the closed segments of a recording.

    May be run again, and while a recorder is at work. 1 if lines could not be read: they are named, and their segment
    is kept in compacted/ like any other.
    """
    from slipstream.data.lake import Lake
    from slipstream.data.recorder.tables import compact as run
    from slipstream.data.streams import LakeError

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wish = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wish, most))
    try:
        count = len(closed_segments(directory))
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("segments", total=count)
            done = run(directory, lake, done=lambda _path: progress.advance(task))
        adopted = Lake(lake).adopt(time.time_ns(), source="recorder")
    except (FolderError, LakeError) as error:
        typer.echo(f"compact: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"compact: {error.filename or lake}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(
        f"compact: {done.segments} segments, {done.lines} lines, {done.rows} rows in {len(done.partitions)} partitions,"
        f" {done.doubles} doubles left out, {done.torn} torn bytes; {adopted} files new in the catalogue"
    )
    for line in done.refused[:20]:
        typer.echo(f"compact: {line}", err=True)
    if done.refused:
        typer.echo(f"compact: {len(done.refused)} lines could not be read", err=True)
        raise typer.Exit(1)


def main() -> None:
    """`python -m slipstream.processes.record record|compact`: the commands by themselves."""
    app = typer.Typer(add_completion=False, no_args_is_help=True)
    app.command("record")(record)
    app.command("compact")(compact)
    app()


if __name__ == "__main__":
    main()
