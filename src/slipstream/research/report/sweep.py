"""Whether the best of many trials is better than the best of as many that know nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from slipstream.core.stats.overfitting import Array, blocks_for, panel, probability_of_overfitting
from slipstream.core.stats.sharpe import deflated_sharpe, expected_maximum, minimum_backtest_length


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Returns of every trial of a search: ``returns`` is periods by trials, ``names`` one a trial.

    ``ann`` is how many of its periods a year has. ``chosen`` is the trial that was taken (None: the one of greatest
    Sharpe ratio). Trials that were tried and thrown away belong here too: the correction is for all that was looked at.
    """

    names: tuple[str, ...]
    returns: Array
    ann: float
    chosen: int | None = None

    def __post_init__(self) -> None:
        shape = panel(self.returns).shape
        if len(self.names) != shape[1]:
            raise ValueError(f"a sweep of {shape[1]} trials has {len(self.names)} names; give one a trial")
        if self.chosen is not None and not 0 <= self.chosen < shape[1]:
            raise ValueError(f"trial {self.chosen} was chosen of {shape[1]}; trials are counted from 0")
        if not (self.ann > 0.0 and math.isfinite(self.ann)):
            raise ValueError(f"ann {self.ann} must be the positive number of periods in a year")


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep's verdict. Sharpe ratios are a year. ``deflated`` is the probability that the chosen trial's true ratio
    exceeds ``luck``, what the best of as many skill-less trials shows on average; ``probability`` is PBO (CSCV).
    ``years_needed`` is the backtest's length below which luck alone is expected to show a ratio of 1.
    """

    trials: int
    periods: int
    years: float
    chosen: str
    sharpe: float
    luck: float
    deflated: float | None
    probability: float
    blocks: int
    slope: float
    loss: float
    years_needed: float
    sharpes: list[float]
    logits: list[float]


def as_sweep(given: Sweep | npt.ArrayLike, ann: float) -> Sweep:
    """A sweep as it is; a bare matrix (periods by trials) becomes one with the record's periods."""
    if isinstance(given, Sweep):
        return given
    matrix = panel(given)
    return Sweep(names=tuple(f"trial {k}" for k in range(matrix.shape[1])), returns=matrix, ann=ann)


def judge(sweep: Sweep) -> Judged:
    """Deflated Sharpe ratio of the chosen trial and the probability that choosing overfits."""
    r = np.asarray(sweep.returns, dtype=np.float64)
    sd = r.std(axis=0, ddof=1)
    each = np.where(sd > 0.0, r.mean(axis=0) / np.where(sd > 0.0, sd, 1.0), 0.0)
    chosen = int(each.argmax()) if sweep.chosen is None else sweep.chosen
    variance, (n, trials) = float(each.var(ddof=1)), r.shape
    own = r[:, chosen]
    deflated = None
    if sd[chosen] > 0.0:
        skew, kurtosis = float(stats.skew(own)), float(stats.kurtosis(own, fisher=False))
        try:
            deflated = deflated_sharpe(float(each[chosen]), n, trials, variance, skew, kurtosis)
        except ValueError:  # moments that no distribution has: too short to tell
            deflated = None
    found = probability_of_overfitting(r, blocks_for(n))
    root = math.sqrt(sweep.ann)
    return Judged(
        trials=trials,
        periods=n,
        years=n / sweep.ann,
        chosen=sweep.names[chosen],
        sharpe=float(each[chosen]) * root,
        luck=math.sqrt(variance) * expected_maximum(trials) * root,
        deflated=deflated,
        probability=found.probability,
        blocks=found.blocks,
        slope=found.slope,
        loss=found.loss,
        years_needed=minimum_backtest_length(trials),
        sharpes=(each * root).tolist(),
        logits=found.logits.tolist(),
    )
