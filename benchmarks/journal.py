"""Journals: rows a second, group by group, beside the drivers' own executemany in the same run.

    uv run python benchmarks/journal.py [--rows 20000] [--postgres postgresql://...] [--repeat 3]

Each cell appends the same steps (an account event, no commands) in groups of the given size, one commit a group. The
plain side writes bytes that were encoded before the clock ran; the journal's side encodes, numbers and guards as in a
pod. Best of ``--repeat`` runs, the two sides taking turns. PostgreSQL commits wait for the disk on both sides; SQLite
does so at "full" alone.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import psycopg

from slipstream.model.events import AccountState, Position
from slipstream.runtime.journal import Sync, open_journal
from slipstream.runtime.records import ENCODE, NONE, Step

# the tests' server, but with fsync
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "runtime" / "journal"))
from pg_server import Server

GROUPS = (1, 10, 100, 1_000)
LIMIT = 4.0  # seconds that one cell may take; fewer rows are written then
SETTINGS = ("fsync=on", "max_connections=10", "shared_buffers=64MB")
Rows = list[tuple[int, int, bytes, bytes]]
Write = Callable[[int, int], None]  # first row, how many


def steps(count: int) -> list[Step]:
    """What is written: account states as a pod gets them."""
    held = (Position("ETH", Decimal("1.5"), Decimal("1999.50"), Decimal("3.25")),)
    money = Decimal("100000.50")
    return [(AccountState(money, money, held, (), number), ()) for number in range(count)]


def timed(write: Write, count: int, group: int) -> float:
    """Rows a second."""
    began, done = time.perf_counter(), 0
    while done < count and time.perf_counter() - began < LIMIT:
        write(done, min(group, count - done))
        done += min(group, count - done)
    return done / (time.perf_counter() - began)


def journal_writer(where: str, sync: Sync, given: Sequence[Step], group: int) -> float:
    """The journal's rate on a fresh database."""
    with open_journal(where, sync=sync) as journal:
        return timed(lambda start, many: _append(journal.append_steps, given[start : start + many]), len(given), group)


def _append(append: Callable[[Sequence[Step]], int], part: Sequence[Step]) -> None:
    append(part)


def plain_sqlite(path: Path, full: bool, rows: Rows, group: int) -> float:
    """sqlite3's rate: the same table, the same pragmas."""
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
    raw.execute("CREATE TABLE rows (seq INTEGER PRIMARY KEY, needed INTEGER, event BLOB, commands BLOB)")

    def write(start: int, many: int) -> None:
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", rows[start : start + many])
        raw.execute("COMMIT")

    try:
        return timed(write, len(rows), group)
    finally:
        raw.close()


def plain_postgres(url: str, schema: str, rows: Rows, group: int) -> float:
    """psycopg's rate: the same table."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
        connection.execute(f"SET search_path = {schema}".encode())
        connection.execute("CREATE TABLE rows (seq BIGINT PRIMARY KEY, needed INTEGER, event BYTEA, commands BYTEA)")

        def write(start: int, many: int) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany("INSERT INTO rows VALUES (%s, %s, %s, %s)", rows[start : start + many])

        return timed(write, len(rows), group)


def measure(folder: Path, url: str, count: int, repeat: int) -> None:
    """Print the table."""
    given = steps(count)
    rows = [(number, 1, ENCODE.encode(event), NONE) for number, (event, _) in enumerate(given, 1)]
    print(f"{'database':<16} {'group':>6} {'journal rows/s':>15} {'plain rows/s':>13} {'ratio':>6}")
    number = 0
    mark = "&" if "?" in url else "?"
    kinds: tuple[tuple[str, Sync], ...] = (("sqlite normal", "normal"), ("sqlite full", "full"), ("postgres", "normal"))
    for name, sync in kinds:
        for group in GROUPS:
            ours, plain = 0.0, 0.0
            for _ in range(repeat):
                number += 1
                if name == "postgres":
                    schema = f"bench_{number}"
                    ours = max(ours, journal_writer(f"{url}{mark}schema={schema}", sync, given, group))
                    plain = max(plain, plain_postgres(url, schema + "_plain", rows, group))
                else:
                    ours = max(ours, journal_writer(str(folder / f"{number}.db"), sync, given, group))
                    plain = max(plain, plain_sqlite(folder / f"{number}-plain.db", sync == "full", rows, group))
            print(f"{name:<16} {group:>6} {ours:>15,.0f} {plain:>13,.0f} {ours / plain:>6.2f}", flush=True)


def main() -> None:
    """Read the command line, start a server if none is given, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--postgres", help="a server to use; its schemas bench_* must be free")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.postgres:
            measure(Path(folder), options.postgres, options.rows, options.repeat)
            return
        server = Server(SETTINGS)
        try:
            server.make()
            server.start()
            measure(Path(folder), server.url(), options.rows, options.repeat)
        finally:
            server.close()


if __name__ == "__main__":
    main()
