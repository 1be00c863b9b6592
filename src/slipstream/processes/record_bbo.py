"""Records what the candidate scan reads: best prices of both venues and Hyperliquid's depth, a CSV per symbol."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from slipstream.data.recorder.envelope import LineError, Note
from slipstream.data.recorder.frames import read_frame
from slipstream.data.recorder.samples import BBO, DEPTH, SampleError, SampleFile, depth_usd, path_of
from slipstream.model.errors import ConfigError, JournalError
from slipstream.model.events import Bbo, L2Book
from slipstream.processes.listings import check_listings
from slipstream.processes.public_streams import PublicStreams, Wanted, clock_of, wanted_of
from slipstream.processes.serve import serve
from slipstream.runtime.telemetry import process_line

NAME = "record-bbo"
HL_PATTERN = "data/hl/{symbol}.csv"
CEX_PATTERN = "data/binance/{cex_lower}.csv"
DEPTH_PATTERN = "data/hl_depth/{symbol}.csv"
MS = 1_000_000


class BboSamples:
    """A sink of frames that keeps best prices and depth. A context manager over its files."""

    def __init__(self, wanted: Wanted, hl: str, cex: str, depth: str) -> None:
        """Patterns of the three kinds of file. Raises SampleError: a pattern that gives one file to two symbols."""
        self.refused = 0
        self.gaps = 0
        self._symbols = dict(wanted.symbols)
        self._newest: dict[str, int] = {}
        self._stack = ExitStack()
        self._files: dict[tuple[str, str, str], SampleFile] = {}
        seen: dict[Path, str] = {}
        for name, coin in wanted.symbols.items():
            for venue, kind, pattern in (("hl", "bbo", hl), ("binance", "bbo", cex), ("hl", "books", depth)):
                path = path_of(pattern, coin, name)
                if path in seen:
                    raise SampleError(f"{path}: named for {seen[path]} and for {venue} {kind} of {coin}; use a token")
                seen[path] = f"{venue} {kind} of {coin}"
                self._files[venue, kind, coin] = SampleFile(path, BBO if kind == "bbo" else DEPTH)

    def __enter__(self) -> BboSamples:
        """Open the files. Raises SampleError, OSError."""
        with self._stack:
            for file in self._files.values():
                self._stack.enter_context(file)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """Write what is kept, and close. Raises OSError."""
        self._stack.close()

    @property
    def rows(self) -> dict[str, int]:
        """Rows so far, by file."""
        return {str(file.path): file.rows for file in self._files.values()}

    def frame(self, venue: str, recv_ns: int, raw: bytes) -> None:
        """Keep what a frame says of best prices and books."""
        try:
            found = read_frame(raw, recv_ns, self._symbols)
        except LineError:
            self.refused += 1
            return
        if isinstance(found, Note):
            return
        for event in found:
            if isinstance(event, Bbo):
                self._best(venue, event)
            elif isinstance(event, L2Book):
                file = self._files.get((venue, "books", event.coin))
                if file is not None:
                    file.write((event.recv_ns // MS, event.event_ns // MS, *depth_usd(event)))
                    # a best price is told when it moves; the book, told again and again, says that it still stands
                    if event.bids and event.asks and event.event_ns >= self._newest.get(event.coin, 0):
                        tops = (*event.bids[0], *event.asks[0])
                        self._best(venue, Bbo(venue, event.coin, *tops, event.event_ns, event.recv_ns))

    def _best(self, venue: str, event: Bbo) -> None:
        file = self._files.get((venue, "bbo", event.coin))
        if file is None:
            return
        if venue == "hl":
            self._newest[event.coin] = event.event_ns
        times = (event.recv_ns // MS, event.event_ns // MS)
        file.write((*times, event.bid_px, event.bid_sz, event.ask_px, event.ask_sz))

    def note(self, recv_ns: int, note: Note) -> None:
        """Count a gap: the scan leaves out times at which the newest price is old."""
        self.gaps += note.kind == "lost"

    def flush(self) -> None:
        """Make every row survive a kill. Raises OSError."""
        for file in self._files.values():
            file.flush()


async def run_record_bbo(wanted: Wanted, patterns: tuple[str, str, str], seconds: float) -> None:
    """Record until the time is over or cancelled. Raises ConfigError, NotConnected, JournalError."""
    wanted = msgspec.structs.replace(wanted, kinds={"hl": ("books", "bbo"), "binance": ("bbo",)})
    try:
        with BboSamples(wanted, *patterns) as samples:
            async with clock_of(wanted.hl_url) as clock:
                unchecked = await check_listings(wanted)
                if unchecked is not None:
                    typer.echo(f"{NAME}: {unchecked}", err=True)
                streams = PublicStreams(wanted, clock, samples, lambda text: typer.echo(f"{NAME}: {text}"))
                typer.echo(process_line(NAME, "running", os.getpid(), f"{len(wanted.coins)} symbols"))
                try:
                    await streams.hear(seconds)
                finally:
                    for path, rows in samples.rows.items():
                        typer.echo(f"{NAME}: {path}: {rows} rows")
                    if samples.refused:
                        typer.echo(f"{NAME}: {samples.refused} frames could not be read", err=True)
                    typer.echo(process_line(NAME, "stopped", os.getpid(), f"gaps: {samples.gaps}"))
    except SampleError as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        raise JournalError(f"{error.filename or 'samples'}: {error.strerror or error}") from None


def record_bbo(
    config: Annotated[Path, typer.Option(help="Brawler's configuration: symbols and addresses.")] = Path(
        "configs/brawler.yml"
    ),
    duration: Annotated[float, typer.Option(min=0.0, help="Seconds of the venue's time; 0: until stopped.")] = 0.0,
    hl_pattern: Annotated[str, typer.Option(help="Hyperliquid's best prices.")] = HL_PATTERN,
    cex_pattern: Annotated[str, typer.Option(help="Binance's best prices.")] = CEX_PATTERN,
    depth_pattern: Annotated[str, typer.Option(help="Hyperliquid's depth.")] = DEPTH_PATTERN,
    hl_url: Annotated[str | None, typer.Option(help="Hyperliquid, or a local venue.")] = None,
    cex_url: Annotated[str | None, typer.Option(help="Binance's WebSocket base.")] = None,
) -> None:
    """Record best prices and depth for the candidate scan.

    Patterns name one file per symbol by {symbol}, {lower}, {cex_symbol}, {cex_lower}. Files grow: run it again at will.
    """

    async def run() -> None:
        wanted = wanted_of(config, hl_url=hl_url, cex_url=cex_url)
        await run_record_bbo(wanted, (hl_pattern, cex_pattern, depth_pattern), duration)

    serve(NAME, run())


def main() -> None:
    """The command by itself."""
    typer.run(record_bbo)


if __name__ == "__main__":
    main()
