"""Writes a backtest's report: a page to look at, Markdown to paste, JSON to compute with."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.record import BacktestRecord
from slipstream.research.report.chapters import Chapter, appended_markdown
from slipstream.research.report.figures import Report, report
from slipstream.research.report.gallery import gallery
from slipstream.research.report.page import html, markdown
from slipstream.research.report.sweep import Sweep


class ReportPaths(NamedTuple):
    """The files of a report."""

    html: Path
    markdown: Path
    json: Path


def write_report(
    record: BacktestRecord,
    directory: Path | str,
    *,
    others: Sequence[BacktestRecord] = (),
    sweep: Sweep | npt.ArrayLike | None = None,
    seed: int = 0,
    chapters: Sequence[Chapter] = (),
) -> ReportPaths:
    """Write ``report.html``, ``report.md`` and ``report.json`` into ``directory``, which is made if it is not there.

    ``others`` are records to compare with (paired by time), ``sweep`` the returns of every trial that the record was
    chosen from (`Sweep`, or a bare matrix of the record's periods by trials), ``seed`` that of the resamples: the same
    arguments give the same files. ``chapters`` are the strategy's own: the page has them before what was assumed, the
    Markdown at its end, the JSON their tables. Each file is replaced whole. Raises ValueError where records or sweep do
    not fit (which, and how to mend), OSError where nothing can be written.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    found = report(record, rng, others=others, sweep=sweep)
    pages = {
        "report.html": html(found, gallery(found, record, others), chapters),
        "report.md": appended_markdown(markdown(found), chapters),
        "report.json": as_json(found, chapters),
    }
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        replace_file(folder / name, text)
    return ReportPaths(*(folder / name for name in pages))


def check_folder(folder: Path) -> None:
    """Whether a report could be written there, asked before what it is about is computed. Raises OSError."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    if not there.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
    if not os.access(there, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(there))


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or leave it as it was. Raises OSError that names it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")  # two runs into one folder do not mix
    try:
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        fresh.unlink(missing_ok=True)


def as_json(found: Report, chapters: Sequence[Chapter] = ()) -> str:
    """The figures as strict JSON; ``chapters`` by title with their sentences and tables."""
    # numpy's scalars get into records through mappings that nobody checks
    told = msgspec.to_builtins(found, enc_hook=float)
    if chapters:
        told["chapters"] = {
            one.title: {"lines": one.lines, "tables": [list(map(dict, rows)) for rows in one.tables], "said": one.said}
            for one in chapters
        }
    return json.dumps(told, indent=1, allow_nan=False) + "\n"
