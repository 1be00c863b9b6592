"""What recorded prices say of a listing: basis, sigma parity, spread edge, depth, funding; then gates and a score.

Both venues are sampled on one grid of time, each by its last price before the grid's time; a sample counts only where
both prices are younger than ``max_age_ms``. All statistics are of these aligned samples.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.strategies.brawler.config import CandidateScreening
from slipstream.strategies.brawler.screening import gates, score

Floats = npt.NDArray[np.float64]
BPS = 1e4
FEWEST = 30  # aligned samples; below that nothing is said


class ScanError(ValueError):
    """Samples from which nothing can be said."""


class Prices(msgspec.Struct, frozen=True):
    """Best prices of one venue: times in ms, ascending; 0 is an empty side."""

    times: Floats
    bid: Floats
    ask: Floats


class Aligned(msgspec.Struct, frozen=True):
    """Both venues on one grid. ``step_ms`` is the grid's; ``at`` are the places on it that count."""

    at: npt.NDArray[np.int64]
    step_ms: float
    hl_mid: Floats
    cex_mid: Floats
    hl_spread: Floats
    cex_spread: Floats


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. None: not given.

    - ``basis_bps``: mean of (P_hl - P_cex) / P_cex; ``basis_drift_bps``: its mean in the last quarter of the samples
      less that in the first; ``basis_std_bps``: its standard deviation.
    - ``sigma`` and ``cex_sigma``: standard deviation of log returns of the middle from one sample to the next, here
      and at the reference; ``sigma_ratio``: the first by the second.
    - ``spread_bps``, ``cex_spread_bps``: medians; ``spread_edge_bps``: the first less the second.
    - ``depth_usd``: median of the thinner side; ``depth_multiple``: that by the value of one order.
    - ``funding_bps``, ``funding_vol_bps``: mean and standard deviation of the rate per interval.
    """

    symbol: str
    cex_symbol: str
    samples: int
    hours: float
    coverage: float
    mid: float
    basis_bps: float
    basis_drift_bps: float
    basis_std_bps: float
    sigma: float
    cex_sigma: float
    sigma_ratio: float
    spread_bps: float
    cex_spread_bps: float
    spread_edge_bps: float
    order_usd: float
    depth_usd: float | None = None
    depth_multiple: float | None = None
    funding_bps: float | None = None
    funding_vol_bps: float | None = None


class Candidate(msgspec.Struct, frozen=True):
    """A measured listing: the gates that it fails, and its score from 0 to 100 with its parts from 0 to 1."""

    measures: Measures
    failed: tuple[str, ...]
    score: float
    parts: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether it fails no gate."""
        return not self.failed


def _at(prices: Prices, grid: Floats, max_age_ms: float) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """(bid, ask, whether it counts) of the last row at or before each grid time."""
    place = np.searchsorted(prices.times, grid, side="right") - 1
    known = place >= 0
    place = np.maximum(place, 0)
    bid, ask = prices.bid[place], prices.ask[place]
    young = grid - prices.times[place] <= max_age_ms
    return bid, ask, known & young & (bid > 0.0) & (ask > 0.0)


def align(hl: Prices, cex: Prices, *, step_ms: float = 1_000.0, max_age_ms: float = 10_000.0) -> Aligned:
    """Both venues on one grid. Raises ScanError: they do not overlap, or too few samples count."""
    begin, end = max(hl.times[0], cex.times[0]), min(hl.times[-1], cex.times[-1])
    if begin >= end:
        raise ScanError("the two recordings do not overlap in time; record both venues at once")
    grid = np.arange(math.ceil(begin / step_ms), math.floor(end / step_ms) + 1, dtype=np.float64) * step_ms
    hl_bid, hl_ask, hl_ok = _at(hl, grid, max_age_ms)
    cex_bid, cex_ask, cex_ok = _at(cex, grid, max_age_ms)
    at = np.flatnonzero(hl_ok & cex_ok)
    if len(at) < FEWEST:
        raise ScanError(
            f"{len(at)} of {len(grid)} aligned samples count, {FEWEST} are needed; record longer, or sample more often"
        )
    hl_mid, cex_mid = (hl_bid + hl_ask)[at] / 2.0, (cex_bid + cex_ask)[at] / 2.0
    return Aligned(at, step_ms, hl_mid, cex_mid, (hl_ask - hl_bid)[at] / hl_mid, (cex_ask - cex_bid)[at] / cex_mid)


def _sigma(mid: Floats, at: npt.NDArray[np.int64]) -> float:
    """Standard deviation of log returns between samples that follow each other on the grid."""
    returns = np.diff(np.log(mid))[np.diff(at) == 1]
    return float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0


def measure(
    symbol: str,
    cex_symbol: str,
    aligned: Aligned,
    *,
    order_usd: float,
    depth: Floats | None = None,
    funding: Floats | None = None,
) -> Measures:
    """All measures of a listing.

    ``depth``: (n, 2) USD of bids and asks. ``funding``: rates per interval. Raises ScanError where the samples say too
    little.
    """
    basis = (aligned.hl_mid - aligned.cex_mid) / aligned.cex_mid * BPS
    quarter = max(1, len(basis) // 4)
    sigma, cex_sigma = _sigma(aligned.hl_mid, aligned.at), _sigma(aligned.cex_mid, aligned.at)
    if cex_sigma <= 0.0:
        raise ScanError("the reference price never moved in the recording; record longer")
    spread, cex_spread = (float(np.median(x)) * BPS for x in (aligned.hl_spread, aligned.cex_spread))
    thin = float(np.median(depth.min(axis=1))) if depth is not None else None
    if funding is not None and len(funding) < 2:
        raise ScanError("funding: two rates are needed to say how they vary")
    span = int(aligned.at[-1] - aligned.at[0]) + 1
    return Measures(
        symbol=symbol,
        cex_symbol=cex_symbol,
        samples=len(basis),
        hours=span * aligned.step_ms / 3_600_000.0,
        coverage=len(basis) / span,
        mid=float(np.median(aligned.hl_mid)),
        basis_bps=float(np.mean(basis)),
        basis_drift_bps=float(np.mean(basis[-quarter:]) - np.mean(basis[:quarter])),
        basis_std_bps=float(np.std(basis, ddof=1)),
        sigma=sigma,
        cex_sigma=cex_sigma,
        sigma_ratio=sigma / cex_sigma,
        spread_bps=spread,
        cex_spread_bps=cex_spread,
        spread_edge_bps=spread - cex_spread,
        order_usd=order_usd,
        depth_usd=thin,
        depth_multiple=thin / order_usd if thin is not None else None,
        funding_bps=float(np.mean(funding)) * BPS if funding is not None else None,
        funding_vol_bps=float(np.std(funding, ddof=1)) * BPS if funding is not None else None,
    )


def judge(measures: Measures, screening: CandidateScreening) -> Candidate:
    """Gates and score of a measured listing."""
    total, parts = score(screening, measures)
    return Candidate(measures, tuple(gates(screening, measures)), total, parts)


def ranked(candidates: list[Candidate]) -> list[Candidate]:
    """Those that pass first, each by score, equal ones by name."""
    return sorted(candidates, key=lambda one: (not one.passed, -one.score, one.measures.symbol))


def _digits(value: float, digits: int = 2) -> str:
    """A positive number rounded up to some significant digits, without an exponent."""
    power = math.floor(math.log10(value)) - digits + 1
    rounded = math.ceil(value / 10.0**power - 1e-9) * 10.0**power
    return f"{rounded:.{max(0, -power)}f}"


def suggestion(candidate: Candidate, maker_fee: float) -> dict[str, Any]:
    """An entry of ``symbols`` to begin with: the smallest sizes, the spread that is there, switches above its sigma."""
    found = candidate.measures
    size = _digits(max(found.order_usd, 11.0) / found.mid)
    spread = max(found.spread_bps / BPS, 2.2 * maker_fee)
    return {
        "symbol": found.symbol,
        "cex_symbol": found.cex_symbol,
        "order_size": size,
        "max_inventory": _digits(6.0 * float(size)),
        "base_spread": f"{spread:.6f}",
        "max_volatility": _digits(max(4.0 * found.cex_sigma, 1e-6)),
        "max_basis_deviation": _digits(max(6.0 * found.basis_std_bps / BPS, 1e-4)),
    }


def snippet(candidates: list[Candidate], maker_fee: float) -> str:
    """YAML for the configuration: every candidate that passes, the best first."""
    lines = ["symbols:"]
    for one in candidates:
        if one.passed:
            first, *others = suggestion(one, maker_fee).items()
            lines.append(
                f"  - {first[0]}: {first[1]}    # score {one.score:.1f}, basis {one.measures.basis_bps:+.2f} bp"
            )
            lines += [f"    {key}: {value}" for key, value in others]
    if len(lines) == 1:
        return "# no listing passes every gate\n"
    return "\n".join(lines) + "\n"
