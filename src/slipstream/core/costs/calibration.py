"""Half spread and power-law impact of a coin from snapshots of its order book.

``spread + impact sqrt(Q)`` is fitted to the measured curve c(Q) (`slipstream.core.costs.curve`) by least squares on
relative errors, both not negative. A notional that more than a tenth of the books cannot fill is left out: its mean
would be of the deep books only. The exponent of the best ``spread + k Q^p`` is given beside it, to show how far the
square root is from what the books say. Intervals are of a stationary bootstrap over minutes: neighbouring books are no
new evidence.

This is the cost of taking at once, the book as it stands: no refill, nobody who reacts. It bounds a patient order's
cost from above, and says nothing of impact that stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slipstream.core.costs.curve import LEAST_POINTS, Curve, grid, sound_books, walk
from slipstream.core.costs.model import TransactionCostModel
from slipstream.core.stats.bootstrap import Interval, many_indices

__all__ = ["BookFit", "cost_model", "fit_books", "fit_curve", "grid", "intervals", "levels", "sound_books", "walk"]

Array = npt.NDArray[np.float64]

FILLED = 0.9  # share of the books that must fill a notional for it to be part of the fit
LEAST_UNITS = 8  # units of time from which on there is something to resample
POWERS = np.linspace(0.1, 1.5, 71)  # among which the free exponent is looked for


@dataclass(frozen=True)
class BookFit:
    """Of one coin. ``spread`` is the half spread, ``impact`` per sqrt(USD). ``cost`` (Q,) is measured at ``notional``.

    ``rms`` is the fit's relative error and ``worst`` its largest, ``r2`` the part of the curve's variation that the fit
    explains, ``exponent`` the best power with a free exponent (NaN where costs do not rise), ``books`` how
    many snapshots were used and ``dropped`` how many were crossed, empty or out of order, ``depth`` USD on the thinner
    side, mean.
    """

    spread: float
    impact: float
    rms: float
    worst: float
    r2: float
    exponent: float
    notional: Array
    cost: Array
    books: int
    dropped: int
    depth: float


def least_squares(notional: Array, cost: Array, power: float = 0.5) -> Array:
    """(..., 2) half spread and impact that fit costs (..., Q) with the least relative errors, neither below 0.

    Two unknowns: where the free optimum has one below 0, the optimum has it at 0.
    """
    a, b = 1.0 / cost, notional**power / cost
    aa, ab, bb = (a * a).sum(axis=-1), (a * b).sum(axis=-1), (b * b).sum(axis=-1)
    at, bt = a.sum(axis=-1), b.sum(axis=-1)
    det = aa * bb - ab * ab
    spread, impact = (at * bb - bt * ab) / det, (bt * aa - at * ab) / det
    spread, impact = np.where(impact < 0.0, at / aa, spread), np.maximum(impact, 0.0)
    found: Array = np.stack([np.maximum(spread, 0.0), np.where(spread < 0.0, bt / bb, impact)], axis=-1)
    return found


def _usable(curve: Curve) -> npt.NDArray[np.bool_]:
    """The notionals that enough books fill. Raises ValueError."""
    if not curve.books:
        if curve.dropped:
            raise ValueError(f"all {curve.dropped} books are empty, crossed or out of order: are levels best first?")
        raise ValueError("no books to calibrate from")
    books, depths, _, fills = curve.sums()
    use: npt.NDArray[np.bool_] = fills.sum(axis=0) >= FILLED * 2.0 * books.sum()
    if int(use.sum()) < LEAST_POINTS:
        raise ValueError(
            f"only {int(use.sum())} of {len(use)} notionals can be filled by {FILLED:.0%} of the books, which "
            f"hold {depths.sum() / books.sum():,.0f} USD a side: ask for smaller notionals or record more levels"
        )
    return use


def fit_curve(curve: Curve) -> BookFit:
    """Fit the law to a measured curve. Raises ValueError: no sound books, or too thin ones."""
    use = _usable(curve)
    books, depths, costs, fills = curve.sums()
    q, cost = curve.notional[use], (costs.sum(axis=0) / np.maximum(fills.sum(axis=0), 1.0))[use]
    if (cost <= 0.0).any():
        raise ValueError("taking costs nothing in these books: are bids and asks of the same moment?")
    spread, impact = (float(x) for x in least_squares(q, cost))
    law = spread + impact * np.sqrt(q)
    error = law / cost - 1.0
    varied = float(((cost - cost.mean()) ** 2).sum())
    return BookFit(
        spread=spread,
        impact=impact,
        rms=float(np.sqrt((error**2).mean())),
        worst=float(np.abs(error).max()),
        r2=1.0 - float(((cost - law) ** 2).sum()) / varied if varied > 0.0 else 1.0,
        exponent=_exponent(q, cost) if impact > 0.0 else float("nan"),
        notional=q,
        cost=cost,
        books=curve.books,
        dropped=curve.dropped,
        depth=float(depths.sum() / books.sum()),
    )


def _exponent(notional: Array, cost: Array) -> float:
    """The power whose law is nearest to the costs, among `POWERS`."""
    scaled = notional / notional[0]
    terms = [least_squares(scaled, cost, float(p)) for p in POWERS]
    errors = [float((((a + b * scaled**p) / cost - 1.0) ** 2).sum()) for p, (a, b) in zip(POWERS, terms, strict=True)]
    return float(POWERS[int(np.argmin(errors))])


def intervals(curve: Curve, rng: np.random.Generator, draws: int = 400) -> tuple[Interval, Interval]:
    """Half spread and impact with 95 % intervals, of units of time resampled in blocks. Raises ValueError."""
    use = _usable(curve)
    books, _, costs, fills = curve.sums()
    if len(books) < LEAST_UNITS:
        raise ValueError(f"books of {curve.minutes:g} minutes: {LEAST_UNITS} are the least that an interval is made of")
    places = many_indices(len(books), max(3.0, len(books) ** (1.0 / 3.0)), draws, rng)
    counts = np.zeros((draws, len(books)))
    np.add.at(counts, (np.arange(draws)[:, None], places), 1.0)
    filled = counts @ fills[:, use]
    drawn = (counts @ costs[:, use])[(filled > 0.0).all(axis=1)] / filled[(filled > 0.0).all(axis=1)]
    terms = least_squares(curve.notional[use], drawn)
    middle = least_squares(curve.notional[use], costs[:, use].sum(axis=0) / fills[:, use].sum(axis=0))
    low, high = np.quantile(terms, [0.025, 0.975], axis=0)
    spread, impact = (Interval(float(middle[k]), float(low[k]), float(high[k])) for k in range(2))
    return spread, impact


def fit_books(
    bid_px: npt.ArrayLike, bid_sz: npt.ArrayLike, ask_px: npt.ArrayLike, ask_sz: npt.ArrayLike, notional: Array
) -> BookFit:
    """Calibrate one coin from snapshots (T, levels), best level first, NaN past the last. Raises ValueError."""
    sides = [np.atleast_2d(np.asarray(a, dtype=np.float64)) for a in (bid_px, bid_sz, ask_px, ask_sz)]
    if sides[0].shape != sides[1].shape or sides[2].shape != sides[3].shape or len(sides[0]) != len(sides[2]):
        raise ValueError(f"levels of unequal shape: {', '.join(str(a.shape) for a in sides)}; expected (T, levels)")
    curve = Curve(notional)
    curve.add(np.zeros(len(sides[0]), dtype=np.int64), sides[0], sides[1], sides[2], sides[3])
    return fit_curve(curve)


def cost_model(fits: Mapping[str, BookFit], fee: float = 0.00045) -> TransactionCostModel:
    """The fits of several coins as one model, coins in their order; ``fee`` is the taker's. Raises ValueError."""
    if not fits:
        raise ValueError("no coin was calibrated")
    return TransactionCostModel(
        fee=fee,
        spread=np.array([fit.spread for fit in fits.values()]),
        impact=np.array([fit.impact for fit in fits.values()]),
        coins=tuple(fits),
    )


def levels(rows: list[list[float]], width: int) -> Array:
    """Lists of unequal length as (T, width), best first, NaN after the last: books as the lake keeps them."""
    out = np.full((len(rows), width), np.nan)
    for i, row in enumerate(rows):
        part = row[:width]
        out[i, : len(part)] = part
    return out
