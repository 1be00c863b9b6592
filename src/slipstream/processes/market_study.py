"""`slipstream market`: simulated markets made like recorded ones, and both measured side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.reader import Tape, open_tapes
from slipstream.model.errors import ConfigError
from slipstream.processes.exit_codes import ask
from slipstream.processes.market_chapters import (
    calibration_chapter,
    figure,
    impact_chapter,
    missing_chapter,
    picture_chapter,
    table_chapter,
)
from slipstream.research.report.chapters import Chapter, chapters_html
from slipstream.research.report.write import replace_file
from slipstream.simulation.market.calibration import Calibration, calibrate
from slipstream.simulation.market.market_file import decode_market, encode_market
from slipstream.simulation.market.metaorder import metaorders
from slipstream.simulation.market.observed import Observed
from slipstream.simulation.market.stylised import Facts, measure
from slipstream.simulation.market.terms import Grid
from slipstream.simulation.market.watched_flow import simulate
from slipstream.simulation.market.watching import watch

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Simulated markets made like recorded ones, and both measured.",
)
TapeArgument = Annotated[Path, typer.Argument(help="A tape (see `slipstream tape convert`).")]
SeedOption = Annotated[int, typer.Option(help="The same seed, the same market.", min=0)]
AnchorOption = Annotated[Path | None, typer.Option(help="A tape of the leading exchange over the same time.")]
PATHS = 60
WHAT_IT_SAYS = (
    "Every figure is measured by the same function on both sides. A simulation that was fitted to a recording of an "
    "hour knows that hour: another day is another market."
)


@contextmanager
def going(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, of: None
        return
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, of: bars.update(task, completed=done, total=of)


def check_out(out: Path) -> None:
    """Raises ConfigError for a file that cannot be written, before anything is computed for it."""
    if out.is_dir():
        raise ConfigError(f"{out}: is a folder; name a file")
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: there is no folder {out.parent}; make it first")


def one_tape(where: Path) -> Tape:
    """The only tape there. Raises TapeError."""
    tapes = open_tapes(where)
    if len(tapes) != 1:
        there = ", ".join(tape.folder.name for tape in tapes)
        raise TapeError(f"{where}: {len(tapes)} tapes ({there}): name one of them")
    return tapes[0]


def seen_of(tape: Tape) -> Observed:
    """A tape, watched. Raises TapeError, ValueError."""
    market = tape.header.market
    grid = Grid(
        lot=float(market.lot),
        decimals=max(0, market.grid.decimals),
        tick_size=float(market.grid.tick_size) if market.grid.tick_size else 0.0,
    )
    return watch(market.name, grid, tape.chunks())


@app.command("calibrate")
def calibrate_market(
    tape: TapeArgument,
    out: Annotated[Path, typer.Option(help="The file to write (JSON).")],
    anchor: AnchorOption = None,
    seed: SeedOption = 1,
    rounds: Annotated[int, typer.Option(help="Corrections by simulation.", min=0, max=50)] = 8,
    hours: Annotated[float, typer.Option(help="Simulated hours for each.", min=0.1, max=100.0)] = 3.0,
) -> None:
    """Make the terms of a simulated market that resembles a recording.

    Market orders (Poisson or self-exciting), sizes, limit orders and cancels, depth, volatility and its regimes, how
    far the price runs behind: estimated, then corrected by simulation. What still differs is told.
    """

    def act() -> None:
        check_out(out)
        rng = np.random.default_rng(seed)
        leader = seen_of(one_tape(anchor)) if anchor is not None else None
        seen = seen_of(one_tape(tape))
        with going("calibration") as progress:
            found = calibrate(seen, rng, anchor=leader, rounds=rounds, hours=hours, progress=progress)
        replace_file(out, encode_market(found).decode())
        typer.echo(f"{out}: {found.name}, {found.seconds / 60:.1f} minutes")
        for aim in found.aims:
            typer.echo(f"  {aim.name:<44} {figure(aim.recorded):>12} recorded {figure(aim.simulated):>12} simulated")
        for line in calibration_chapter(found).said:
            typer.echo(f"  {line}")

    ask(act)


@app.command("facts")
def show_facts(
    tape: Annotated[Path, typer.Option(help="The recording: a tape.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("market.html"),
    simulated: Annotated[
        Path | None, typer.Option("--simulate", help="A file of `slipstream market calibrate`: simulated beside it.")
    ] = None,
    hours: Annotated[float, typer.Option(help="Simulated hours.", min=0.1, max=1000.0)] = 6.0,
    seed: SeedOption = 1,
    paths: Annotated[int, typer.Option(help="Pairs of paths with and without a large order.", min=8)] = PATHS,
) -> None:
    """Measure a market: spread, depth, memory of returns and signs, signature plot, bunching, response, impact.

    With --simulate a simulated market is measured beside it, and the page says where the two do not agree.
    """

    def act() -> None:
        check_out(out)
        rng = np.random.default_rng(seed)
        market = decode_market(simulated.read_bytes(), str(simulated)) if simulated is not None else None
        recorded = seen_of(one_tape(tape))
        facts = [measure(recorded, rng)]
        chapters: list[Chapter] = []
        if market is not None:
            facts.append(_simulated(market, hours, rng))
            chapters.append(missing_chapter(facts))
        chapters += [table_chapter(facts), picture_chapter(facts)]
        if market is not None:
            with going("large orders") as progress:
                volume = float(recorded.prints["lots"].sum()) / recorded.seconds
                seeds = [int(one) for one in rng.integers(1 << 31, size=paths)]
                chapters.append(impact_chapter(metaorders(market.terms, volume, seeds, progress=progress)))
            chapters.append(calibration_chapter(market))
        replace_file(out, page(recorded, facts, chapters))
        typer.echo(f"{out}: {verdict(facts)}")
        for line in chapters[0].said if market is not None else ():
            typer.echo(f"  {line}")

    ask(act)


def _simulated(market: Calibration, hours: float, rng: np.random.Generator) -> Facts:
    block = max(1_000_000, int(market.takers.block_s * 1e9))
    return measure(simulate(market.terms, hours, int(rng.integers(1 << 31)), block_ns=block), rng)


def verdict(facts: list[Facts]) -> str:
    """One sentence."""
    if len(facts) == 1:
        return f"{facts[0].name} over {facts[0].seconds / 60:.1f} minutes"
    missing = missing_chapter(facts)
    return missing.lines[0]


def page(recorded: Observed, facts: list[Facts], chapters: list[Chapter]) -> str:
    """The page."""
    about = f"{recorded.name}: {recorded.seconds / 60:.1f} minutes recorded"
    if len(facts) > 1:
        about += f", {facts[1].seconds / 3600:.1f} hours simulated. {WHAT_IT_SAYS}"
    return chapters_html(f"The market of {recorded.name}", about, verdict(facts), chapters)
