"""Whether what a model sees, and how wrong it is, is still what it was trained on.

- Features: the population stability index over the bins of training, ``sum (q - p) ln(q / p)``; 0.1 is little, 0.25 is
  usually called a shift. Also the shift of the mean in training deviations.
- Errors of the funding forecast: the mean error over the window, in deviations of the errors in walk-forward.

Coins of one bar move together and bars overlap: this is an alarm, not a test with a known size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.forecast.artefact import Spread

Array = npt.NDArray[np.float64]
BINS = 10
FLOOR = 1e-3  # share of an empty bin: one observation more or less must not make the index infinite


class DriftTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Over how many bars, and from where on it is said (``report``) and acted on (``halt``)."""

    bars: int = 84
    psi_report: float = 0.5
    psi_halt: float = 3.0
    shift_report: float = 0.5
    shift_halt: float = 2.0


class Verdict(msgspec.Struct, frozen=True):
    """``level`` is ``none``, ``report`` or ``halt``; ``why`` names the worst; figures by feature."""

    level: str = "none"
    why: str = ""
    psi: dict[str, float] = {}
    shift: dict[str, float] = {}


def spread_of(values: npt.ArrayLike, bins: int = BINS) -> Spread:
    """The distribution of the finite values, in bins of equal share. Raises ValueError for fewer than 10 a bin."""
    x = np.asarray(values, dtype=np.float64).ravel()
    x = x[np.isfinite(x)]
    if x.size < 10 * bins:
        raise ValueError(f"{x.size} values are too few for {bins} bins of 10: give a longer history, or more coins")
    # an atom (the base rate of funding is one) takes several quantiles: it gets one bin
    edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    shares = counts_of(x, edges) / x.size
    return Spread(tuple(map(float, edges)), tuple(map(float, shares)), float(x.mean()), float(x.std()))


def counts_of(values: Array, edges: Sequence[float] | Array) -> Array:
    """How many finite values lie in each bin between and beyond the edges."""
    x = values[np.isfinite(values)]
    places = np.searchsorted(np.asarray(edges), x, side="left")
    return np.bincount(places, minlength=len(edges) + 1).astype(np.float64)


def stability_index(expected: npt.ArrayLike, counts: npt.ArrayLike) -> float:
    """Population stability index of counts against expected shares; 0 for no observation."""
    p, c = np.asarray(expected, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if p.shape != c.shape:
        raise ValueError(f"{p.size} shares, {c.size} bins")
    if not c.sum() > 0.0:
        return 0.0
    q = np.maximum(c / c.sum(), FLOOR)
    p = np.maximum(p, FLOOR)
    return float(((q - p) * np.log(q / p)).sum())


class DriftMonitor:
    """The last bars of every watched number against its training. Bounded by ``terms.bars``."""

    def __init__(self, spreads: Mapping[str, Spread], terms: DriftTerms) -> None:
        self.spreads = dict(spreads)
        self.terms = terms
        self._seen: dict[str, deque[tuple[Array, float, float]]] = {n: deque(maxlen=terms.bars) for n in spreads}

    def hear(self, values: Mapping[str, Array]) -> None:
        """One bar's values of every watched number, (N,); NaN is left out, so are names that are not watched."""
        for name, row in values.items():
            if name in self.spreads:
                good = row[np.isfinite(row)]
                self._seen[name].append(
                    (counts_of(good, self.spreads[name].edges), float(good.sum()), float(good.size))
                )

    def verdict(self) -> Verdict:
        """What is to be said now. Nothing before the window is full."""
        psi: dict[str, float] = {}
        shift: dict[str, float] = {}
        for name, spread in self.spreads.items():
            seen = self._seen[name]
            total = sum(size for _, _, size in seen)
            if len(seen) < self.terms.bars or not total:
                continue
            mean = sum(row for _, row, _ in seen) / total
            shift[name] = (mean - spread.mean) / spread.sd if spread.sd > 0.0 else 0.0
            if not name.startswith("error_"):
                psi[name] = stability_index(spread.shares, np.sum([counts for counts, _, _ in seen], axis=0))
        terms, worst, why = self.terms, "none", ""
        for kind, found, report, halt in (
            ("psi", psi, terms.psi_report, terms.psi_halt),
            ("shift", {name: abs(x) for name, x in shift.items()}, terms.shift_report, terms.shift_halt),
        ):
            if not found:
                continue
            name = max(found, key=lambda one: found[one])
            level = "halt" if found[name] >= halt else "report" if found[name] >= report else "none"
            if ("none", "report", "halt").index(level) > ("none", "report", "halt").index(worst):
                worst, why = level, f"{kind} of {name} is {found[name]:.2f}"
        return Verdict(worst, why, psi, shift)
