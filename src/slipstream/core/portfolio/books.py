"""Long and short books of equal dollar volatility: who is in, how large, and what is repaired afterwards.

1. Eligible: warm, of known volatility, and liquid: a trade of ``trade_usd`` is less than ``max_share`` of a day.
2. Long the ``n`` strongest, short the ``n`` weakest; ties go by name.
3. ``w_i = ± c / vol_i`` (or ``± c``), one ``c`` for both sides: equal dollar volatility of every name.
4. Repair: the nearest weights, in units of each name's volatility, with ``1'w = 0`` and ``beta'w = 0`` as asked; a name
   that would change sides leaves the book.
5. Gross, a cap per coin, and a bound on the day's value at risk scale what is left down, never up again.

Reference: mathematical specification, section 9.7; VaR: section 11 (normal).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Z95 = 1.6448536269514722


class BookTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How to build the books. ``top_n`` 0 takes ``top_fraction`` of the eligible; ``var_limit`` 0 sets no bound.

    ``gross`` and ``max_weight`` are in multiples of capital; ``var_limit`` is the day's 95 % VaR as a fraction of it.
    """

    top_n: int = 0
    top_fraction: float = 0.2
    weighting: str = "inverse_vol"
    gross: float = 1.0
    max_weight: float = 1.0
    dollar_neutral: bool = True
    beta_neutral: bool = True
    trade_usd: float = 10_000.0
    max_share: float = 0.025
    var_limit: float = 0.0


class Book(msgspec.Struct, frozen=True):
    """Weights by coin (multiples of capital, long positive), and what can be said of them before the fact.

    ``out`` names the coins that could not be held, with the reason. ``long_vol`` and ``short_vol`` are the mean dollar
    volatility of a name of each side per bar, as a fraction of capital.
    """

    weights: dict[str, float]
    gross: float
    net: float
    beta: float
    bar_vol: float
    var95_day: float
    long_vol: float
    short_vol: float
    out: dict[str, str]


def ineligible(strength: float, vol: float, daily_usd: float, terms: BookTerms) -> str:
    """Why a coin may not be held; empty if it may."""
    if not np.isfinite(strength):
        return "not enough bars"
    if not vol > 0.0:
        return "its price does not move"
    if not daily_usd > 0.0:
        return "no volume"
    if terms.trade_usd > terms.max_share * daily_usd:
        return f"trades {daily_usd:,.0f} USD a day: {terms.trade_usd:,.0f} is more than {terms.max_share:.1%} of it"
    return ""


def build_book(
    coins: Sequence[str],
    strength: Array,
    vol: Array,
    daily_usd: Array,
    beta: Array,
    covariance: Array,
    terms: BookTerms,
    bars_per_day: float,
) -> Book:
    """The books of N coins; arrays have shape (N,), ``covariance`` (N, N), per bar. Nobody eligible: no weights."""
    out = {
        coin: why
        for coin, s, v, d in zip(coins, strength, vol, daily_usd, strict=True)
        if (why := ineligible(float(s), float(v), float(d), terms))
    }
    eligible = [i for i, coin in enumerate(coins) if coin not in out]
    ranked = sorted(eligible, key=lambda i: (-strength[i], coins[i]))
    n = terms.top_n or int(terms.top_fraction * len(eligible))
    n = min(n, len(eligible) // 2)
    chosen = ranked[:n] + (ranked[-n:] if n else [])
    side = np.array([1.0] * n + [-1.0] * n)
    picked = np.array(chosen, dtype=np.int64)
    w = side / vol[picked] if terms.weighting == "inverse_vol" else side.copy()
    keep = np.ones(len(picked), dtype=np.bool_)
    w = _repaired(w, side, vol[picked], beta[picked], keep, terms)
    total = float(np.abs(w).sum())
    w = w * (terms.gross / total) if total > 0.0 else w
    largest = float(np.abs(w).max(initial=0.0))
    w = w * min(1.0, terms.max_weight / largest) if largest > 0.0 else w
    bar_vol = _vol(w, covariance, picked)
    var95 = Z95 * bar_vol * bars_per_day**0.5
    if 0.0 < terms.var_limit < var95:
        w, bar_vol, var95 = w * (terms.var_limit / var95), bar_vol * (terms.var_limit / var95), terms.var_limit
    dollars = np.abs(w) * vol[picked]
    longs, shorts = w > 0.0, w < 0.0
    return Book(
        weights={coins[i]: float(x) for i, x in zip(chosen, w, strict=True) if x != 0.0},
        gross=float(np.abs(w).sum()),
        net=float(w.sum()),
        beta=float(beta[picked] @ w),
        bar_vol=bar_vol,
        var95_day=var95,
        long_vol=float(dollars[longs].mean()) if longs.any() else 0.0,
        short_vol=float(dollars[shorts].mean()) if shorts.any() else 0.0,
        out=out,
    )


def _vol(w: Array, covariance: Array, picked: npt.NDArray[np.int64]) -> float:
    variance = float(w @ covariance[np.ix_(picked, picked)] @ w) if len(picked) else 0.0
    return float(np.sqrt(max(0.0, variance)))


def _repaired(w: Array, side: Array, vol: Array, beta: Array, keep: npt.NDArray[np.bool_], terms: BookTerms) -> Array:
    """Project onto the constraints, dropping whoever would change sides, until nobody does."""
    wanted = [row for row, asked in ((np.ones_like(w), terms.dollar_neutral), (beta, terms.beta_neutral)) if asked]
    while wanted and keep.any():
        # in x = vol w every name counts alike: minimise |x - x0| subject to A x = 0
        a = np.array([row[keep] / vol[keep] for row in wanted])
        x0 = (vol * w)[keep]
        x = x0 - np.linalg.lstsq(a @ a.T, a @ x0, rcond=1e-12)[0] @ a
        if float(np.abs(x).max()) <= 1e-9 * float(np.abs(x0).max()):
            return np.zeros_like(w)  # only the empty book keeps the constraints
        turned = x * side[keep] <= 0.0
        if not turned.any():
            done = np.zeros_like(w)
            done[keep] = x / vol[keep]
            return done
        keep[np.flatnonzero(keep)[turned]] = False
    return np.where(keep, w, 0.0)
