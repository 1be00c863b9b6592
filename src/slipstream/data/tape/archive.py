"""Objects of Hyperliquid's archive as tapes: books only, hour by hour, ``.../YYYYMMDD/H/l2Book/COIN.lz4``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from slipstream.data.archive import Object, books_of
from slipstream.data.streams import LakeError
from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import SHIFT, UNREADABLE, Findings
from slipstream.data.tape.gathering import book_rows
from slipstream.data.tape.heard import Heard, Scale
from slipstream.data.tape.pipeline import Pipeline, run
from slipstream.data.tape.sourcing import HYPERLIQUID, Hashed, market_of, only_hyperliquid
from slipstream.data.tape.terms import Made, Report, Terms
from slipstream.model.events import L2Book

NAME = "archive"
EVENTS = 1 << 10  # books at a time


def convert(source: Path, to: Path, terms: Terms) -> Report:
    """Convert objects of the archive, in the folders of their keys, or one of them. Raises TapeError, OSError."""
    only_hyperliquid(NAME, terms)
    paths = sorted(source.rglob("*.lz4")) if source.is_dir() else [source]
    objects = sorted(map(_object, paths), key=lambda one: (one[0].coin, one[0].day, one[0].hour, one[1]))
    coins = list(dict.fromkeys(one.coin for one, _ in objects))
    if lacking := [coin for coin in terms.coins if coin not in coins]:
        raise TapeError(f"{source}: no object of {', '.join(lacking)}; there are those of {', '.join(coins) or 'none'}")
    if not objects:
        raise TapeError(f"{source}: no object (market_data/YYYYMMDD/H/l2Book/COIN.lz4) in it")
    made = [_coin([item for item in objects if item[0].coin == coin], to, terms) for coin in coins if terms.wants(coin)]
    return Report(format=NAME, made=tuple(made))


def _object(path: Path) -> tuple[Object, Path]:
    """What a path says that it holds; an object alone may lie anywhere."""
    parts = path.parts
    hour, day = (parts[-3], parts[-4]) if len(parts) > 3 and parts[-2] == "l2Book" else ("", "")
    number = int(hour) if hour.isdigit() else -1
    one = Object(
        key=path.name, size=0, etag="", kind="books", day=day, coin=path.name.removesuffix(".lz4"), hour=number
    )
    return one, path


def _coin(objects: list[tuple[Object, Path]], to: Path, terms: Terms) -> Made:
    names = ["/".join(path.parts[-4:]) for _, path in objects]
    found = Findings(names, strict=terms.strict)
    files: list[Hashed] = []
    try:
        batches = _batches(objects, files, found, terms)
        head = next(batches, None)
        if head is None:
            raise TapeError(f"{objects[0][1]}: no book in it")
        scale = _scale(objects[0][0].coin, head, terms)
        with Pipeline(to, scale, found, terms, NAME) as pipeline:
            pipeline.push(book_rows(scale, found, head))
            run(pipeline, [_rows(batches, scale, found)])
            pipeline.sources = [file.source() for file in files]
    finally:
        for file in files:
            file.leave()
    assert pipeline.made is not None
    return pipeline.made


def _rows(batches: Iterator[list[tuple[L2Book, int]]], scale: Scale, found: Findings) -> Iterator[Heard]:
    for placed in batches:
        yield book_rows(scale, found, placed)


def _scale(coin: str, placed: list[tuple[L2Book, int]], terms: Terms) -> Scale:
    levels = np.array([level for book, _ in placed for side in (book.bids, book.asks) for level in side]).reshape(-1, 2)
    return Scale(*market_of(HYPERLIQUID, coin, levels[:, 0], levels[:, 1], terms))


def _batches(
    objects: list[tuple[Object, Path]], files: list[Hashed], found: Findings, terms: Terms
) -> Iterator[list[tuple[L2Book, int]]]:
    kept: list[tuple[L2Book, int]] = []
    for number, (one, path) in enumerate(objects):
        files.append(Hashed(path, terms))
        refused: list[str] = []
        count = 0
        try:
            for book in books_of(files[-1], one, refused):  # type: ignore[arg-type]
                count += 1
                kept.append((book, (number << SHIFT) + count + len(refused)))
                if len(kept) == EVENTS:
                    yield kept
                    kept = []
        except LakeError as error:
            raise TapeError(f"{path.parent}: after row {count + len(refused)}: {error}") from None
        found.tell(UNREADABLE, refused, len(refused))
        if len(refused) > max(10, 0.1 * count):
            raise TapeError(f"{refused[0]}; and so are {len(refused)} lines: is it an object of books?")
    if kept:
        yield kept
