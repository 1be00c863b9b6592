"""Files into the lake, each coin checked on its way; and the checks' findings kept with the lake."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from slipstream.data.files import Unit
from slipstream.data.lake import Lake, Query
from slipstream.data.quality import HOURLY_SINCE_NS, Quality, examine, finding_text
from slipstream.data.series import Appended
from slipstream.data.streams import FUNDING, LakeError, Stream, stream_of
from slipstream.data.tables import rows_of

FINDINGS = "quality.jsonl"
WRONG = ("not a number", "impossible", "off grid", "conflict", "future")  # more than half of a file: all of it is wrong
LINES = 12
PANEL = (("hl_1h_ohlcv", "bars_1h"), ("hl_4h_ohlcv", "bars_4h"), ("hl_funding_hourly", FUNDING))


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one coin's rows."""

    quality: Quality
    appended: Appended

    def __add__(self, other: Loaded) -> Loaded:
        return Loaded(quality=self.quality + other.quality, appended=self.appended + other.appended)


class FileTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How files are read: see `rows_of`. ``strict``: any row dropped is an error, and nothing goes in."""

    venue: str
    stream: str
    unit: Unit = "ms"
    offset_ns: int = 0
    drop_spikes: bool = False
    strict: bool = False


def load_rows(
    lake: Lake,
    venue: str,
    stream: Stream,
    coin: str,
    rows: Any,
    *,
    now_ns: int,
    source: str,
    known_by_ns: int | None = None,
    asked: tuple[int, int] | None = None,
    drop_spikes: bool = False,
) -> Loaded:
    """Check a coin's rows and append those that can be kept. Raises LakeError, OSError.

    ``known_by_ns`` is the source's own time, where that is another than ours.
    """
    known_ns = now_ns if known_by_ns is None else known_by_ns
    kept, quality = _examined(lake, venue, stream, coin, rows, now_ns=known_ns, drop_spikes=drop_spikes)
    appended = lake.append(venue, stream, coin, kept, now_ns=now_ns, source=source, asked=asked)
    return Loaded(quality=quality, appended=appended)


def _examined(
    lake: Lake, venue: str, stream: Stream, coin: str, rows: Any, *, now_ns: int, drop_spikes: bool
) -> tuple[Any, Quality]:
    """What `examine` says of rows that come into a lake, which knows whether the coin has traded before."""
    begun = bool(len(rows)) and bool(
        lake.entries(Query(venue=venue, stream=stream.name, coins=(coin,), end_ns=int(rows[stream.time].min())))
    )
    return examine(
        rows,
        stream,
        venue,
        coin,
        now_ns=now_ns,
        drop_spikes=drop_spikes,
        begun=begun,
        hourly_since_ns=HOURLY_SINCE_NS if venue == "hl" else None,
    )


def load_file(
    lake: Lake, path: Path, terms: FileTerms, *, coin: str = "", now_ns: int, done: Callable[[], None] = lambda: None
) -> list[Loaded]:
    """Bring a file in, a coin after the other; ``done`` is called after each. Raises LakeError, OSError."""
    stream, groups = rows_of(path, terms.stream, coin=coin, unit=terms.unit, offset_ns=terms.offset_ns)
    found = [
        (name, *_examined(lake, terms.venue, stream, name, rows, now_ns=now_ns, drop_spikes=terms.drop_spikes))
        for name, rows in groups
    ]
    _check_whole(path, [quality for *_, quality in found], terms.strict)
    out = []
    for name, kept, quality in found:
        appended = lake.append(terms.venue, stream, name, kept, now_ns=now_ns, source=path.name)
        out.append(Loaded(quality=quality, appended=appended))
        done()
    note_findings(lake, (one.quality for one in out), now_ns)
    return out


def _check_whole(path: Path, found: list[Quality], strict: bool) -> None:
    """Raises LakeError for a file that is wrong as a whole: then the rows that would pass are not to be trusted."""
    rows, dropped = sum(one.rows_in for one in found), sum(one.dropped for one in found)
    faulty = [part for one in found for part in one.findings if part.action == "dropped"]
    counts = Counter[str]()
    for part in faulty:
        counts[part.kind] += part.rows
    said = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    if strict and dropped:
        lines = [line for one in found for line in one.lines()]
        raise LakeError(f"{path}: {dropped} rows would be dropped: {'; '.join(lines[:LINES])}")
    if dropped == rows or 2 * sum(counts[kind] for kind in WRONG) > rows:
        first = max(faulty, key=lambda part: part.rows)
        raise LakeError(
            f"{path}: {dropped} of {rows} rows cannot be kept ({said}; {finding_text(first)}): the file as a whole is "
            "wrong in its units, its columns or its times, and nothing of it was brought in"
        )


def panel_files(folder: Path) -> list[tuple[Path, str]]:
    """(file, stream) of a panel: bars of 1 h and of 4 h, hourly funding. Raises LakeError."""
    found = [(folder / f"{name}.parquet", stream) for name, stream in PANEL]
    present = [(path, stream) for path, stream in found if path.is_file()]
    if not present:
        names = ", ".join(f"{name}.parquet" for name, _ in PANEL)
        raise LakeError(f"{folder}: no panel there; it has at least one of {names}")
    return present


def coin_of(path: Path, pattern: str) -> str:
    """The coin that a file's name tells by a pattern such as ``{coin}_USDT-1h.feather``. Raises LakeError."""
    before, token, after = pattern.partition("{coin}")
    if not token or "{coin}" in after:
        raise LakeError(f"pattern {pattern!r} has {'no' if not token else 'more than one'} {{coin}}")
    name = path.name
    fits = name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after)
    if not fits:
        raise LakeError(f"{path}: its name does not fit the pattern {pattern}")
    return name[len(before) : len(name) - len(after)]


def check_lake(lake: Lake, now_ns: int) -> Iterable[Quality]:
    """The checks over every series that the lake holds, a coin at a time; nothing is changed. Raises LakeError."""
    for venue, name in lake.streams():
        stream = stream_of(name)
        for coin in lake.coins(venue, name) if stream.series else ():
            rows = lake.frame(Query(venue=venue, stream=name, coins=(coin,)))
            since = HOURLY_SINCE_NS if venue == "hl" else None
            yield examine(rows, stream, venue, coin, now_ns=now_ns, hourly_since_ns=since)[1]


def note_findings(lake: Lake, found: Iterable[Quality], now_ns: int) -> None:
    """Keep what the checks found, a line a coin with findings, in ``quality.jsonl``. Raises OSError."""
    lines = [
        msgspec.json.encode({"checked_ns": now_ns, **msgspec.to_builtins(one)}) + b"\n" for one in found if one.findings
    ]
    if not lines:
        return
    lake.path.mkdir(parents=True, exist_ok=True)
    handle = os.open(lake.path / FINDINGS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        data = memoryview(b"".join(lines))
        while data:
            data = data[os.write(handle, data) :]
    finally:
        os.close(handle)
