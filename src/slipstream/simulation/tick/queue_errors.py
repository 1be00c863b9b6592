"""How wrong each queue model was: errors of its estimate, of its fills and of their times, with intervals.

Probes that join near each other see the same rows. Intervals therefore come from drawing whole blocks of time again
(block bootstrap over the blocks in which probes joined), and models are compared on the same draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.simulation.tick.queue_probe import MODELS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """One model over a set of probes. Errors are estimate minus truth: above 0, it sees too much in front.

    ``bias`` and ``mae`` (mean absolute error) are shares of what was in front when the probe joined, ``mae_lots`` lots;
    ``quantiles`` (5, 25, 50, 75, 95 %) are of the share. ``false`` are probes that only the model fills, ``missed``
    those that only the truth does, both shares of all probes. ``late_s`` is the mean time of the model's fill minus the
    true one, ``off_s`` its mean size, of probes that both fill. ``even`` says that its ``mae`` cannot be told from that
    of the best model.
    """

    model: str
    bias: Interval
    mae: Interval
    mae_lots: Interval
    quantiles: tuple[float, ...]
    false: Interval
    missed: Interval
    late_s: Interval
    off_s: Interval
    even: bool


@dataclass(frozen=True)
class Judged:
    """Every model (not the exact one) over the same probes: how many, how many comparisons, how many truly filled."""

    probes: int
    comparisons: int
    filled: float
    doubtful: float
    verdicts: tuple[Verdict, ...]

    @property
    def best(self) -> Verdict:
        """The model with the least mean absolute error, as a share."""
        return min(self.verdicts, key=lambda verdict: verdict.mae.value)


class _Blocks:
    """Draws of blocks of time, the same for every figure."""

    def __init__(self, blocks: npt.NDArray[np.int64], rng: np.random.Generator) -> None:
        _, self._of = np.unique(blocks, return_inverse=True)
        self._n = int(self._of.max()) + 1
        self._weights = rng.multinomial(self._n, np.full(self._n, 1.0 / self._n), DRAWS).astype(np.float64)

    def ratio(self, above: Floats, below: Floats) -> tuple[float, Floats]:
        """sum(above) / sum(below) over probes, and the same of every draw (NaN where a draw has nothing below)."""
        top = np.bincount(self._of, above, self._n)
        bottom = np.bincount(self._of, below, self._n)
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(np.divide(top.sum(), bottom.sum())), (self._weights @ top) / (self._weights @ bottom)

    def interval(self, above: Floats, below: Floats) -> Interval:
        """`ratio` with its interval."""
        value, draws = self.ratio(above, below)
        there = draws[np.isfinite(draws)]
        low, high = np.quantile(there, [0.025, 0.975]) if len(there) else (np.nan, np.nan)
        return Interval(value, float(low), float(high))


def judge(probes: npt.NDArray[Any], rng: np.random.Generator, block_s: float = 600.0, doubtful: bool = False) -> Judged:
    """Hold every model against the truth over probes (`queue_probe.PROBE_DTYPE`).

    With ``doubtful`` only comparisons count before which a cancel left the models in doubt. Raises ValueError if there
    are no comparisons at all.
    """
    counted = probes["truth_at"] >= 0
    in_doubt = counted & (probes["doubts_at"] > 0)
    share = float(in_doubt.sum() / max(1, counted.sum()))
    counted = in_doubt if doubtful else counted
    if not counted.any():
        raise ValueError(f"none of {len(probes)} probes can be compared with anything; give a longer log")
    blocks = _Blocks(probes["joined_ns"] // round(block_s * 1e9), rng)
    maes = [_mae(probes, m, counted, blocks) for m in range(len(MODELS) - 1)]
    best = min(maes, key=lambda mae: mae[0])
    verdicts = tuple(_verdict(probes, m, counted, blocks, _even(maes[m][1], best[1])) for m in range(len(MODELS) - 1))
    return Judged(len(probes), int(counted.sum()), float((probes["filled_ns"] > 0).mean()), share, verdicts)


def _even(draws: Floats, best: Floats) -> bool:
    """Whether the difference of two errors could be none."""
    apart = draws - best
    return bool(np.nanquantile(apart, 0.025) <= 0.0)


def _errors(probes: npt.NDArray[Any], m: int) -> Floats:
    errors: Floats = probes["front_at"][:, :, m] - probes["truth_at"]
    return errors


def _mae(probes: npt.NDArray[Any], m: int, counted: Bools, blocks: _Blocks) -> tuple[float, Floats]:
    shares = np.abs(_errors(probes, m)) / probes["first"][:, None]
    return blocks.ratio((shares * counted).sum(1), counted.sum(1).astype(np.float64))


def _verdict(probes: npt.NDArray[Any], m: int, counted: Bools, blocks: _Blocks, even: bool) -> Verdict:
    errors = _errors(probes, m)
    shares = errors / probes["first"][:, None]
    n = counted.sum(1).astype(np.float64)
    ones = np.ones(len(probes))
    truly, model = probes["filled_ns"] > 0, probes["model_ns"][:, m] > 0
    both = truly & model
    late = np.where(both, probes["model_ns"][:, m] - probes["filled_ns"], 0) / 1e9
    return Verdict(
        MODELS[m][0],
        blocks.interval((shares * counted).sum(1), n),
        blocks.interval((np.abs(shares) * counted).sum(1), n),
        blocks.interval((np.abs(errors) * counted).sum(1), n),
        tuple(float(q) for q in np.quantile(shares[counted], [0.05, 0.25, 0.5, 0.75, 0.95])),
        blocks.interval((model & ~truly).astype(np.float64), ones),
        blocks.interval((truly & ~model).astype(np.float64), ones),
        blocks.interval(late, both.astype(np.float64)),
        blocks.interval(np.abs(late), both.astype(np.float64)),
        even,
    )


def by_offset(probes: npt.NDArray[Any]) -> Floats:
    """Mean absolute error as a share, by model (rows) and seconds since joining (`queue_probe.OFFSETS_S`)."""
    counted = probes["truth_at"] >= 0
    out = np.full((len(MODELS) - 1, counted.shape[1]), np.nan)
    for m in range(len(MODELS) - 1):
        shares = np.abs(_errors(probes, m)) / probes["first"][:, None]
        for s in np.flatnonzero(counted.any(0)):
            out[m, s] = shares[counted[:, s], s].mean()
    return out


def by_size(probes: npt.NDArray[Any], parts: int = 3) -> list[tuple[str, npt.NDArray[Any]]]:
    """Probes by what was in front when they joined: (lots from..to, probes), as many in each part as can be."""
    edges = np.quantile(probes["first"], np.linspace(0, 1, parts + 1)[1:-1])
    part = np.searchsorted(edges, probes["first"], side="right")
    groups = [probes[part == k] for k in range(parts)]
    return [(f"{group['first'].min():,} to {group['first'].max():,}", group) for group in groups if len(group)]
