"""How long a message is on its way: rows to us, requests to the exchange, responses back.

- RECORDED: what the tape says, plus ``a`` ns. Whoever reads the tape writes ``recorded_ns`` into the record: for rows
  the row's own delay, for requests and responses that of the last row heard.
- CONSTANT: ``a`` ns.
- LOGNORMAL: median ``a`` ns, exp(sigma z) with sigma ``b``; z from the record's own splitmix64 stream, so that the
  delays of one direction do not depend on how often another one is asked.
- TABLE: measured delays, interpolated linearly between the times they were measured at; the first and the last one
  outside of them. Entry delays are measured at the time of the request, responses at that of the exchange.

No delay is negative, and messages of one direction never overtake each other: one that would arrive earlier than its
predecessor arrives with it (`arrival`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

RECORDED, CONSTANT, LOGNORMAL, TABLE = 0, 1, 2, 3
MAX_DELAY_NS = 3_600 * 10**9
LATENCY_DTYPE = np.dtype(
    [
        ("kind", np.int64),
        ("a", np.float64),
        ("b", np.float64),
        ("state", np.uint64),  # of its own stream
        ("recorded_ns", np.int64),
        ("last_ns", np.int64),  # when the latest message of this direction arrives
        ("first", np.int64),  # rows of the table: [first, end)
        ("end", np.int64),
        ("at", np.int64),  # where the last look-up ended: times do not go back
    ]
)
TABLE_DTYPE = np.dtype([("at_ns", np.int64), ("delay_ns", np.int64)])
_TURN = 2.0 * math.pi
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@njit(cache=True)
def uniform(latency: Any) -> float:
    """The next number in (0, 1) of the record's own stream (splitmix64)."""
    state = latency.state + _STEP
    latency.state = state
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    state ^= state >> np.uint64(31)
    return (float(state >> np.uint64(11)) + 0.5) * 2.0**-53


@njit(cache=True)
def _interpolated(latency: Any, table: Any, now_ns: int) -> int:
    first, end = latency.first, latency.end
    row = max(latency.at, first)
    if now_ns < table[row].at_ns:  # asked out of order: from the start
        row = first
    while row + 1 < end and table[row + 1].at_ns <= now_ns:
        row += 1
    latency.at = row
    here_ns, here = table[row].at_ns, table[row].delay_ns
    if now_ns <= here_ns or row + 1 == end:
        return int(here)
    slope = float(table[row + 1].delay_ns - here) / float(table[row + 1].at_ns - here_ns)
    return int(slope * float(now_ns - here_ns)) + here


@njit(cache=True, forceinline=True)
def delay(latency: Any, table: Any, now_ns: int) -> int:
    """Nanoseconds that a message sent at ``now_ns`` takes, never fewer than 0 nor more than `MAX_DELAY_NS`.

    ``table`` is the run's array of `TABLE_DTYPE`, of which a TABLE record has its own rows. A LOGNORMAL one draws.
    """
    return int(latency.a) if latency.kind == CONSTANT else _varying(latency, table, now_ns)


@njit(cache=True)
def _varying(latency: Any, table: Any, now_ns: int) -> int:
    if latency.kind == RECORDED:
        taken = latency.recorded_ns + int(latency.a)
    elif latency.kind == LOGNORMAL:
        radius = math.sqrt(-2.0 * math.log(uniform(latency)))
        normal = radius * math.cos(_TURN * uniform(latency))
        taken = int(min(latency.a * math.exp(latency.b * normal), float(MAX_DELAY_NS)))
    else:
        taken = _interpolated(latency, table, now_ns)
    return max(taken, 0)


@njit(cache=True)
def arrival(latency: Any, table: Any, now_ns: int) -> int:
    """When a message sent at ``now_ns`` arrives: not before the one sent before it."""
    latency.last_ns = max(now_ns + delay(latency, table, now_ns), latency.last_ns)
    return int(latency.last_ns)


@dataclass(frozen=True, slots=True)
class Delay:
    """A delay as terms name it; make one with `recorded`, `constant`, `lognormal` or `measured`."""

    kind: int
    a: float = 0.0
    b: float = 0.0
    seed: int = 0
    rows: tuple[tuple[int, int], ...] = ()  # (at_ns, delay_ns) of a TABLE

    def into(self, latency: Any, first: int = 0) -> None:
        """Write this delay into a zeroed record of `LATENCY_DTYPE`; its rows are in the run's table from ``first``."""
        latency["kind"], latency["a"], latency["b"], latency["state"] = self.kind, self.a, self.b, self.seed
        latency["first"], latency["end"], latency["at"] = first, first + len(self.rows), first
        latency["last_ns"] = np.iinfo(np.int64).min


def recorded(offset_ns: int = 0) -> Delay:
    """As on the tape, plus so many ns (which may be negative: a better place than the recorder's)."""
    return Delay(RECORDED, a=float(_bounded("the offset", offset_ns, -MAX_DELAY_NS)))


def constant(ns: int) -> Delay:
    """The same delay for every message. Raises ValueError unless it lies in 0 .. an hour."""
    return Delay(CONSTANT, a=float(_bounded("a constant delay", ns, 0)))


def lognormal(median_ns: float, sigma: float, seed: int) -> Delay:
    """A delay of this median whose logarithm has the standard deviation ``sigma``.

    Raises ValueError unless the median lies in (0, an hour], sigma in [0, 10] and the seed is a uint64.
    """
    if not 0.0 < median_ns <= MAX_DELAY_NS:
        raise ValueError(f"the median of a lognormal delay must lie in (0, {MAX_DELAY_NS}] ns, not {median_ns}")
    if not 0.0 <= sigma <= 10.0:
        raise ValueError(f"sigma of a lognormal delay must lie in [0, 10], not {sigma}")
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"the seed of a lognormal delay must be a number of 64 bits, not {seed}")
    return Delay(LOGNORMAL, a=float(median_ns), b=float(sigma), seed=seed)


def measured(rows: Sequence[tuple[int, int, int]]) -> tuple[Delay, Delay]:
    """(entry, response) delays from rows (when the request was sent, its entry delay, its response delay), all ns.

    Raises ValueError that names the row if there is none, a time does not grow, or a delay is out of bounds.
    """
    if not rows:
        raise ValueError("a table of measured delays needs at least one row (request_ns, entry_ns, response_ns)")
    entry: list[tuple[int, int]] = []
    response: list[tuple[int, int]] = []
    for number, (request_ns, entry_ns, response_ns) in enumerate(rows):
        _bounded(f"the entry delay of row {number}", entry_ns, 0)
        _bounded(f"the response delay of row {number}", response_ns, 0)
        if entry and request_ns <= entry[-1][0]:
            raise ValueError(
                f"row {number} of measured delays is at {request_ns}, not after row {number - 1}: sort them"
            )
        entry.append((request_ns, entry_ns))
        exchange_ns = request_ns + entry_ns
        if response and exchange_ns <= response[-1][0]:  # arrived with its predecessor: one measurement is enough
            continue
        response.append((exchange_ns, response_ns))
    return Delay(TABLE, rows=tuple(entry)), Delay(TABLE, rows=tuple(response))


def table_of(delays: Sequence[Delay]) -> tuple[npt.NDArray[np.void], list[int]]:
    """The rows of all delays in one array of `TABLE_DTYPE` (never empty), and where those of each begin."""
    firsts: list[int] = []
    rows: list[tuple[int, int]] = []
    for one in delays:
        firsts.append(len(rows))
        rows.extend(one.rows)
    return np.array(rows or [(0, 0)], dtype=TABLE_DTYPE), firsts


def _bounded(what: str, ns: int, least: int) -> int:
    if not least <= ns <= MAX_DELAY_NS:
        raise ValueError(f"{what} must lie in {least}..{MAX_DELAY_NS} ns, not {ns}")
    return ns
