"""Quantitative gates for a listing: what keeps a symbol from being a good candidate, and how good a candidate it is."""

from __future__ import annotations

import math
from typing import Protocol

from slipstream.strategies.brawler.config import CandidateScreening


class Measured(Protocol):
    """What gates and score look at; see `slipstream.strategies.brawler.candidates.Measures`."""

    @property
    def basis_bps(self) -> float: ...
    @property
    def basis_drift_bps(self) -> float: ...
    @property
    def sigma(self) -> float: ...
    @property
    def cex_sigma(self) -> float: ...
    @property
    def sigma_ratio(self) -> float: ...
    @property
    def spread_bps(self) -> float: ...
    @property
    def spread_edge_bps(self) -> float: ...
    @property
    def depth_usd(self) -> float | None: ...
    @property
    def depth_multiple(self) -> float | None: ...
    @property
    def funding_vol_bps(self) -> float | None: ...


def screen(
    gates: CandidateScreening, *, spread_bps: float, basis_bps: float, sigma: float, depth_usd: float | None
) -> list[str]:
    """The gates that a symbol fails, one line each. ``depth_usd`` is the thinner side's visible depth, if known."""
    out = []
    if spread_bps < gates.min_local_spread_bps:
        out.append(f"local spread {spread_bps:.2f} bp is below {gates.min_local_spread_bps:g}")
    if abs(basis_bps) > gates.max_abs_basis_bps:
        out.append(f"basis {basis_bps:.1f} bp is beyond {gates.max_abs_basis_bps:g}")
    if sigma > gates.max_sigma:
        out.append(f"sigma {sigma:.6f} is above {gates.max_sigma:g}")
    if depth_usd is not None and depth_usd < gates.min_depth_usd:
        out.append(f"visible depth {depth_usd:.0f} USD is below {gates.min_depth_usd:g}")
    return out


def gates(screening: CandidateScreening, found: Measured) -> list[str]:
    """The gates that a recorded listing fails: those of `screen`, and those that need a recording.

    Sigma is the reference's, as in the pod. What was not recorded (depth, funding) is not judged.
    """
    out = screen(
        screening,
        spread_bps=found.spread_bps,
        basis_bps=found.basis_bps,
        sigma=found.cex_sigma,
        depth_usd=found.depth_usd,
    )
    if abs(found.basis_drift_bps) > screening.max_basis_drift_bps:
        out.append(f"basis drift {found.basis_drift_bps:+.1f} bp is beyond {screening.max_basis_drift_bps:g}")
    if not 1.0 / screening.max_sigma_ratio <= found.sigma_ratio <= screening.max_sigma_ratio:
        limit = screening.max_sigma_ratio
        out.append(f"sigma ratio {found.sigma_ratio:.2f} is outside {1.0 / limit:.2f} to {limit:g}")
    if found.spread_edge_bps < screening.min_spread_edge_bps:
        out.append(f"spread edge {found.spread_edge_bps:.2f} bp is below {screening.min_spread_edge_bps:g}")
    if found.depth_multiple is not None and found.depth_multiple < screening.min_depth_multiple:
        out.append(f"depth is {found.depth_multiple:.1f} orders, below {screening.min_depth_multiple:g}")
    if found.funding_vol_bps is not None and found.funding_vol_bps > screening.max_funding_vol_bps:
        out.append(f"funding volatility {found.funding_vol_bps:.3f} bp is above {screening.max_funding_vol_bps:g}")
    return out


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))


def score(screening: CandidateScreening, found: Measured) -> tuple[float, dict[str, float]]:
    """(score from 0 to 100, its parts from 0 to 1): the mean of the parts by their weights.

    - ``basis``, ``drift``, ``funding``: 1 at zero, 0 at the gate, straight between;
    - ``parity``: 1 at equal sigmas, 0 at the gate, straight in the logarithm of the ratio;
    - ``edge``: 0 at an edge of zero, 1 from ``target_spread_edge_bps`` on;
    - ``depth``: 0 at no depth, 1 from ``target_depth_multiple`` orders on, straight in log(1 + multiple).

    What was not recorded has no part, and the weights of the others count for it.
    """
    parts = {
        "basis": _unit(1.0 - abs(found.basis_bps) / screening.max_abs_basis_bps),
        "drift": _unit(1.0 - abs(found.basis_drift_bps) / screening.max_basis_drift_bps),
        "parity": _unit(1.0 - abs(math.log(found.sigma_ratio)) / math.log(screening.max_sigma_ratio))
        if found.sigma_ratio > 0.0
        else 0.0,
        "edge": _unit(found.spread_edge_bps / screening.target_spread_edge_bps),
    }
    if found.depth_multiple is not None:
        parts["depth"] = _unit(math.log1p(found.depth_multiple) / math.log1p(screening.target_depth_multiple))
    if found.funding_vol_bps is not None:
        parts["funding"] = _unit(1.0 - found.funding_vol_bps / screening.max_funding_vol_bps)
    weights = {name: getattr(screening.weights, name) for name in parts}
    total = sum(weights.values())
    if total <= 0.0:  # only what was not recorded has a weight
        return 0.0, parts
    return 100.0 * sum(weights[name] * part for name, part in parts.items()) / total, parts
