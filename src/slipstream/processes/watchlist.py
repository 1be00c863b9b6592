"""The watchlist: a candidate scan written down as CSV, JSON and Markdown, the newest under a name that stays."""

from __future__ import annotations

import csv
import io
import os
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from slipstream.model.errors import ConfigError, JournalError
from slipstream.processes.candidates import (
    COLUMNS,
    LAST_HOURS,
    MAX_AGE_MS,
    ORDER_USD,
    CexPattern,
    Config,
    DepthPattern,
    FundingPattern,
    HlPattern,
    LastHours,
    MaxAge,
    More,
    OrderUsd,
    Request,
    Scan,
    Symbols,
    cells,
    named,
    scan,
    table,
    tell_skipped,
)

NAME = "watchlist"
OUTPUT = Path("logs/brawler_watchlist")


def stamp_of(seconds: float) -> str:
    """A time since the epoch as it stands in file names, UTC."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def rows(found: Scan) -> list[dict[str, Any]]:
    """Every candidate as a flat row, the best first; units are in the names (`Measures`)."""
    out = []
    for rank, one in enumerate(found.candidates, 1):
        parts = {
            f"part_{name}": one.parts.get(name) for name in ("basis", "drift", "parity", "edge", "depth", "funding")
        }
        verdict = {"rank": rank, "passed": one.passed, "score": round(one.score, 4), "failed": "; ".join(one.failed)}
        out.append({**verdict, **msgspec.to_builtins(one.measures), **parts})
    return out


def csv_text(found: Scan) -> str:
    """The rows as CSV."""
    flat = rows(found)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def json_text(found: Scan, stamp: str) -> str:
    """The rows, what was left out, the gates in force and the configuration's piece."""
    body = {
        "made": stamp,
        "candidates": rows(found),
        "skipped": found.skipped,
        "screening": found.screening.model_dump(mode="json"),
        "snippet": found.snippet,
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode() + "\n"


def markdown_text(found: Scan, stamp: str) -> str:
    """The ranking for people."""
    passed = sum(one.passed for one in found.candidates)
    lines = [f"# Watchlist {stamp}", "", f"{len(found.candidates)} listings judged, {passed} pass every gate.", ""]
    head = ["#", "symbol", *COLUMNS, "gates"]
    lines += ["| " + " | ".join(head) + " |", "|" + "--|" * len(head)]
    for rank, one in enumerate(found.candidates, 1):
        gates = "pass" if one.passed else "; ".join(one.failed)
        lines.append("| " + " | ".join([str(rank), one.measures.symbol, *cells(one), gates]) + " |")
    if found.skipped:
        lines += ["", "## Left out", ""] + [f"- **{symbol}**: {reason}" for symbol, reason in found.skipped.items()]
    lines += ["", "## Configuration", "", "```yaml", found.snippet.rstrip("\n"), "```", ""]
    return "\n".join(lines)


def _put(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _point(link: Path, target: Path) -> None:
    """Let a link name the newest file; whoever reads it finds the old or the new one, never none."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(target.name)
        os.replace(temporary, link)
    finally:
        temporary.unlink(missing_ok=True)


def write(found: Scan, folder: Path, stamp: str) -> list[Path]:
    """``watchlist_STAMP.csv``, ``.json``, ``.md``, then the links ``watchlist_latest.*``. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"csv": csv_text(found), "json": json_text(found, stamp), "md": markdown_text(found, stamp)}
    paths = []
    for ending, text in texts.items():
        path = folder / f"watchlist_{stamp}.{ending}"
        _put(path, text)
        paths.append(path)
    for path in paths:
        _point(folder / f"watchlist_latest{path.suffix}", path)
    return paths


def watchlist(
    hl_pattern: HlPattern,
    cex_pattern: CexPattern,
    symbols: Symbols = None,
    more: More = None,
    output_dir: Annotated[Path, typer.Option(help="Where the files go.")] = OUTPUT,
    hl_depth_pattern: DepthPattern = None,
    funding_pattern: FundingPattern = None,
    config: Config = None,
    order_usd: OrderUsd = ORDER_USD,
    max_age_ms: MaxAge = MAX_AGE_MS,
    last_hours: LastHours = LAST_HOURS,
) -> None:
    """Scan, and keep the ranking: a summary here, and CSV, JSON and Markdown with the time in their names.

    The newest are also watchlist_latest.csv, .json and .md. Leaves with 1 if some listings could not be judged (the
    files say which), 2 if none could (nothing is written).
    """
    request = Request(
        hl_pattern=hl_pattern,
        cex_pattern=cex_pattern,
        symbols=named(symbols, more),
        hl_depth_pattern=hl_depth_pattern,
        funding_pattern=funding_pattern,
        config=config,
        order_usd=order_usd,
        max_age_ms=max_age_ms,
        last_hours=last_hours,
    )
    try:
        found = scan(request, progress=True)
        if found.candidates:
            console = Console()
            (console if console.is_terminal else Console(width=200)).print(table(found))
            for path in _written(found, output_dir, stamp_of(time.time())):
                typer.echo(str(path))
    except (ConfigError, JournalError) as error:
        typer.echo(f"{NAME}: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    tell_skipped(found, NAME)


def _written(found: Scan, folder: Path, stamp: str) -> list[Path]:
    try:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"--output-dir {folder}: a file is there; name a folder")
        return write(found, folder, stamp)
    except OSError as error:
        raise JournalError(f"--output-dir {folder}: cannot be written: {error.strerror or error}") from None


def main() -> None:
    """The command by itself."""
    typer.run(watchlist)


if __name__ == "__main__":
    main()
