"""Quantitative gates for a listing: what keeps a symbol from being a good candidate, from what was observed."""

from __future__ import annotations

from slipstream.strategies.brawler.config import CandidateScreening


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
