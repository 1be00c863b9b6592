"""Closed segments of our own recorder as tapes: every market of both venues, in one pass.

The frames are read by the recorder's own reader, in the order of receipt; of Hyperliquid's contexts the last of an hour
makes that hour's funding. Lines that cannot be read, torn ends and the recorder's own notes are told.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from slipstream.data.recorder.envelope import Note
from slipstream.data.recorder.folder import closed_segments
from slipstream.data.recorder.segment import torn_bytes
from slipstream.data.recorder.tables import read_segment
from slipstream.data.tape.fault import EmptyTape, TapeError
from slipstream.data.tape.findings import NOTED, SHIFT, UNREADABLE, Findings
from slipstream.data.tape.gathering import STREAMS, Gathering
from slipstream.data.tape.header import Source
from slipstream.data.tape.heard import Scale
from slipstream.data.tape.pipeline import Pipeline
from slipstream.data.tape.sourcing import hashed
from slipstream.data.tape.terms import Made, Report, Terms

NAME = "recorder"
CHUNK_ROWS = 1 << 16  # of each of hundreds of tapes that are written at once


def convert(source: Path, to: Path, terms: Terms) -> Report:
    """Convert a recorder's folder, or one closed segment. Raises TapeError, OSError."""
    try:
        paths = closed_segments(source) if source.is_dir() else [source]
    except ValueError as error:
        raise TapeError(str(error)) from None
    paths = [path for path in paths if not terms.venue or path.parent.parent.name == terms.venue]
    if not paths:
        raise TapeError(f"{source}: no closed segment (VENUE/DATE/*.jsonl.zst) in it")
    return Recording(paths, to, terms).report()


class Recording:
    """One pass over segments, oldest first within a venue."""

    def __init__(self, paths: list[Path], to: Path, terms: Terms) -> None:
        self._paths, self._to, self._terms = paths, to, terms
        self._names = [path.name for path in paths]
        self._found = Findings(self._names, strict=terms.strict)
        self._markets: dict[tuple[str, str], Gathering] = {}
        self._sources: list[Source] = []

    def report(self) -> Report:
        """Convert everything. Raises TapeError, OSError."""
        try:
            for file, path in enumerate(self._paths):
                self._sources.append(hashed(path, self._terms))
                self._read(file, path)
                self._terms.progress(file + 1, len(self._paths), "segments")
            made = [one for one in map(self._end, self._markets.values()) if one is not None]
        except BaseException as error:
            for market in self._markets.values():
                if market.pipeline is not None and market.pipeline.made is None:
                    market.pipeline.__exit__(type(error), error, error.__traceback__)
            raise
        if lacking := sorted(set(self._terms.coins) - {one.header.market.coin for one in made}):
            raise TapeError(f"{self._paths[0].parent}: no book of {', '.join(lacking)} was recorded")
        if not made:
            raise TapeError(f"{self._paths[0].parent}: no book of any coin was recorded: there is nothing to replay")
        return Report(format=NAME, made=tuple(made), findings=self._found.list())

    def _read(self, file: int, path: Path) -> None:
        try:
            torn = torn_bytes(path)
            if torn:
                self._found.tell(UNREADABLE, [f"{path.name}: its last {torn} bytes"])
            refused: list[str] = []
            for number, (_, heard) in enumerate(read_segment(path, refused), 1):
                if isinstance(heard, Note):
                    if heard.kind != "segment":
                        row = number + len(refused)
                        self._found.tell(NOTED, [f"{path.name}: row {row}: {heard.kind} {heard.feed} {heard.reason}"])
                    continue
                for event in heard:
                    if self._terms.wants(event.coin):
                        self._market(event.venue, event.coin).take(event, (file << SHIFT) + number + len(refused))
        except OSError as error:
            raise TapeError(f"{path}: cannot be read: {error.strerror or error}") from None
        self._found.tell(UNREADABLE, refused, len(refused))
        lines = number + len(refused) if refused else 0
        if len(refused) > 10 and len(refused) > 0.1 * lines:
            raise TapeError(f"{refused[0]}; and so are {len(refused)} of {lines} lines: is it a recorder's segment?")

    def _market(self, venue: str, coin: str) -> Gathering:
        key = (venue, coin)
        if key not in self._markets:
            found = Findings(self._names, strict=self._terms.strict)
            self._markets[key] = Gathering(venue, coin, found, self._terms, partial(begin, self._to, self._terms, NAME))
        return self._markets[key]

    def _end(self, market: Gathering) -> Made | None:
        market.flush()
        pipeline = market.pipeline
        if pipeline is None:
            return None
        pipeline.sources = self._sources
        try:
            pipeline.__exit__(None, None, None)
        except EmptyTape as error:
            self._found.tell(NOTED, [str(error)])
        return pipeline.made


def begin(to: Path, terms: Terms, form: str, scale: Scale, found: Findings) -> Pipeline:
    """An open pipeline for one market among many. Raises TapeError."""
    pipeline = Pipeline(to, scale, found, terms, form, streams=STREAMS, in_step=True, chunk_rows=CHUNK_ROWS)
    return pipeline.__enter__()
