"""`slipstream tape`: recordings made into tapes, and tapes looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import POLICIES
from slipstream.data.tape.formats import FORMATS, convert
from slipstream.data.tape.header import Clock, Finding
from slipstream.data.tape.inspecting import Inspected, inspect
from slipstream.data.tape.reader import open_tapes
from slipstream.data.tape.terms import Made, Terms, no_progress
from slipstream.processes.exit_codes import ask

REFUSED = {policy.reason for policy in POLICIES.values() if policy.strict}
PLACES = 2  # of a finding that are shown
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make tapes of recordings, and look at them.",
)
DirArgument = Annotated[Path, typer.Argument(help="A tape, or a folder of tapes.")]
CoinsOption = Annotated[str, typer.Option(help="Coins, such as BTC,ETH; empty: all.")]
GapOption = Annotated[float, typer.Option("--gap", help="A silence of so many seconds is told.", min=0.001)]
EXAMPLES = """\b
Examples:
  slipstream tape convert recordings/ --to tapes/
  slipstream tape convert var/record --to tapes/ --coins BTC,ETH --clock -400ms
  slipstream tape convert market_data/ --to tapes/ --format archive --packed
"""


@contextmanager
def showing() -> Iterator[Callable[[int, int, str], None]]:
    """A bar for each thing that goes on, on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield no_progress
        return
    with Progress(console=console, transient=True) as bars:
        tasks: dict[str, object] = {}

        def progress(done: int, of: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done)  # type: ignore[arg-type]

        yield progress


def words_of(text: str) -> tuple[str, ...]:
    """Words between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def pairs_of(flag: str, given: Sequence[str]) -> dict[str, str]:
    """COIN=VALUE of a flag that may be given several times. Raises TapeError."""
    out = {}
    for one in given:
        coin, equals, value = one.partition("=")
        if not (coin and equals and value):
            raise TapeError(f"{flag} {one}: write COIN=VALUE, such as {flag} BTC=5")
        out[coin] = value
    return out


def decimals_of(given: Sequence[str]) -> dict[str, int]:
    """COIN=N of --size-decimals. Raises TapeError."""
    out = {}
    for coin, value in pairs_of("--size-decimals", given).items():
        if not value.isdigit() or int(value) > 12:
            raise TapeError(f"--size-decimals {coin}={value}: write a whole number from 0 to 12")
        out[coin] = int(value)
    return out


def time_of(ns: int) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def gaps_of(findings: Sequence[Finding]) -> int:
    """How many gaps are among findings."""
    return sum(one.count for one in findings if one.reason.startswith("a gap"))


def _findings(findings: Sequence[Finding]) -> list[str]:
    lines = []
    for one in findings:
        places = "; ".join(one.places[:PLACES])
        more = ", ..." if one.count > PLACES else ""
        lines.append(f"  {one.count} {one.action}: {one.reason}" + (f" ({places}{more})" if places else ""))
    return lines


def _told(made: Made) -> list[str]:
    header, clock = made.header, made.header.clock
    size = sum(chunk.size for chunk in header.chunks)
    kinds = ", ".join(f"{count} {name}" for name, count in header.kinds.items())
    return [
        f"{made.folder}: {header.rows} rows ({kinds}), {header.seconds:.0f} s, {size / 1e6:.1f} MB",
        f"  heard {clock.median_ns / 1e6:.1f} ms after it happened (median; least {clock.least_ns / 1e6:.1f}); "
        f"clock {clock.mode}: {clock.raised} rows raised to when they happened, {clock.delayed} heard with the row "
        f"before them (by {clock.longest_delay_ns / 1e6:.0f} ms at most)",
        *_hint(clock),
        *_findings(header.findings),
    ]


def _hint(clock: Clock) -> list[str]:
    """What to do where the clock that heard was behind the exchange's."""
    if clock.mode != "recorded" or 2 * clock.raised <= clock.rows:
        return []
    lead = -(clock.least_ns // 10**6)
    return [f"  most rows were heard before they happened: that clock was behind; --clock {lead}ms puts it right"]


@app.command("convert", epilog=EXAMPLES)
def convert_(
    source: Annotated[Path, typer.Argument(help="A file or folder of recordings.")],
    to: Annotated[Path, typer.Option("--to", help="The folder that the tapes go into, one folder a market.")],
    form: Annotated[str, typer.Option("--format", help=f"auto, or one of {', '.join(FORMATS)}.")] = "auto",
    coins: CoinsOption = "",
    venue: Annotated[str, typer.Option(help="Only this venue's; empty: all, or the format's own.")] = "",
    clock: Annotated[
        str,
        typer.Option(help="When rows were heard: as recorded, when they happened (exchange), or an offset, -400ms."),
    ] = "recorded",
    early: Annotated[bool, typer.Option("--early", help="Rows may be heard before they happened.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what would be dropped, sorted or moved.")] = False,
    packed: Annotated[bool, typer.Option("--packed", help="Small and slower: for tapes that are seldom read.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace tapes that are there.")] = False,
    gap: GapOption = 5.0,
    window: Annotated[float, typer.Option(help="Seconds that a row may come late and be sorted in.", min=0.0)] = 60.0,
    size_decimals: Annotated[
        list[str] | None, typer.Option(help="Decimals of a coin's sizes where the source does not tell: BTC=5.")
    ] = None,
    tick_size: Annotated[list[str] | None, typer.Option(help="A coin's tick on a linear grid: BTC=0.1.")] = None,
) -> None:
    """Make tapes of recordings.

    A tape appears whole or not at all; a conversion that was stopped starts from the beginning when it is run again.
    What was found and done is told, and kept in the tape.
    """

    def act() -> None:
        with showing() as progress:
            terms = Terms(
                coins=words_of(coins),
                venue=venue,
                clock=clock,
                early=early,
                strict=strict,
                packed=packed,
                replace=replace,
                gap_s=gap,
                window_s=window,
                size_decimals=decimals_of(size_decimals or ()),
                tick_sizes=pairs_of("--tick-size", tick_size or ()),
                progress=progress,
            )
            done = convert(source, to, terms, form)
        for made in done.made:
            typer.echo("\n".join(_told(made)))
        for line in _findings(done.findings):
            typer.echo(line)

    ask(act)


def _inspected(where: Path, coins: str, gap_s: float) -> list[Inspected]:
    with showing() as progress:
        return [inspect(tape, gap_s=gap_s, progress=progress) for tape in open_tapes(where, words_of(coins))]


@app.command("check")
def check(
    where: DirArgument,
    coins: CoinsOption = "",
    strict: Annotated[bool, typer.Option("--strict", help="Findings that --strict refuses: exit code 1.")] = False,
    gap: GapOption = 5.0,
) -> None:
    """Hold tapes against their checksums and walk their rows.

    A damaged tape, and one with a row that no tape may hold, is refused with its place and exit code 2.
    """

    def act() -> None:
        odd = 0
        for one in _inspected(where, coins, gap):
            typer.echo(f"{one.header.market.name}: {one.header.rows} rows in {len(one.header.chunks)} chunks are whole")
            for line in _findings(one.findings):
                typer.echo(line)
            odd += sum(found.reason in REFUSED for found in one.findings)
        if strict and odd:
            typer.echo(f"error: findings that --strict refuses: {odd}", err=True)
            raise typer.Exit(1)

    ask(act)


@app.command("show")
def show(where: DirArgument, coins: CoinsOption = "", gap: GapOption = 5.0) -> None:
    """Show what tapes hold: spans, rows, spreads, silences."""

    def act() -> None:
        table = Table()
        for name in ("tape", "from (UTC)", "minutes", "rows", "trades", "bytes a row"):
            table.add_column(name, justify="left" if name in ("tape", "from (UTC)") else "right")
        for name in ("spread, ticks", "bps", "longest silence, s", "gaps", "heard after, ms"):
            table.add_column(name, justify="right")
        for one in _inspected(where, coins, gap):
            header = one.header
            # the source knows of gaps that its rows do not show
            gaps = max(gaps_of(header.findings), gaps_of(one.findings))
            table.add_row(
                header.market.name,
                time_of(header.first_ns) if header.rows else "-",
                f"{header.seconds / 60:.1f}",
                str(header.rows),
                str(header.kinds.get("trade", 0)),
                f"{one.size / max(1, header.rows):.1f}",
                f"{one.mean_spread:.2f}" if one.mean_spread else "-",  # its book never had two sides
                f"{one.spread_bps:.3f}" if one.spread_bps else "-",
                f"{one.longest_gap_s:.2f}",
                str(gaps),
                f"{header.clock.median_ns / 1e6:.1f}",
            )
        Console(width=None if Console().is_terminal else 160).print(table)

    ask(act)
