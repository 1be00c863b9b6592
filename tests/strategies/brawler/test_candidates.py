"""Candidates: measures against direct computation, gates at their limits, scores that order as they say."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.runtime.config import load
from slipstream.strategies.brawler.candidates import (
    Measures,
    Prices,
    ScanError,
    align,
    judge,
    measure,
    ranked,
    snippet,
)
from slipstream.strategies.brawler.config import BrawlerConfig, CandidateScreening, ScoreWeights
from slipstream.strategies.brawler.screening import gates, score

T0 = 1_741_683_600_000.0
SCREENING = CandidateScreening()


def prices(times: np.ndarray, mid: np.ndarray, spread: float) -> Prices:
    return Prices(times, mid * (1 - spread / 2), mid * (1 + spread / 2))


def walk(seed: int = 5, n: int = 4_000, sigma: float = 2e-4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    times = T0 + np.cumsum(rng.integers(200, 900, n)).astype(float)
    return times, 100.0 * np.exp(np.cumsum(rng.normal(0.0, sigma, n)))


def good(**changes: object) -> Measures:
    found = Measures(
        symbol="X", cex_symbol="XUSDT", samples=100, hours=1.0, coverage=1.0, mid=100.0, basis_bps=5.0,
        basis_drift_bps=2.0, basis_std_bps=1.0, sigma=3e-4, cex_sigma=3e-4, sigma_ratio=1.0, spread_bps=6.0,
        cex_spread_bps=1.0, spread_edge_bps=5.0, order_usd=100.0, depth_usd=5_000.0, depth_multiple=50.0,
        funding_bps=0.1, funding_vol_bps=0.1,
    )  # fmt: skip
    return msgspec.structs.replace(found, **changes)


def test_samples_are_the_last_prices_that_are_young_enough() -> None:
    hl = Prices(T0 + np.array([0.0, 1_500.0, 60_000.0]), np.array([99.0, 98.0, 97.0]), np.array([101.0, 102.0, 103.0]))
    times = T0 + np.arange(0.0, 90_000.0, 500.0)
    cex = prices(times, np.linspace(100.0, 101.0, len(times)), 1e-4)
    found = align(hl, cex, step_ms=1_000.0, max_age_ms=30_000.0)
    assert found.at.tolist() == [*range(32), 60]  # hl's price of 1.5 s is old from 32 s on, and comes again at 60 s
    assert found.hl_mid[:3].tolist() == [100.0, 100.0, 100.0] and found.hl_spread[:3].tolist() == [0.02, 0.02, 0.04]
    assert found.cex_mid[1] == pytest.approx(cex.bid[2] / 2 + cex.ask[2] / 2)


def test_an_empty_side_does_not_count() -> None:
    times, mid = walk(n=400)
    hl = prices(times, mid, 1e-3)
    hl.bid[100:200] = 0.0
    whole, less = align(prices(times, mid, 1e-3), prices(times, mid, 1e-4)), align(hl, prices(times, mid, 1e-4))
    assert len(less.at) < len(whole.at) and np.all(less.hl_mid > 50.0)


def test_measures_are_what_they_say() -> None:
    times, mid = walk()
    drift = np.linspace(0.0, 8e-4, len(mid))
    local = mid * (1.0 + 3e-4 + drift)
    aligned = align(prices(times, local, 8e-4), prices(times, mid, 1e-4))
    depth = np.array([[5_000.0, 3_000.0], [2_000.0, 9_000.0], [4_000.0, 4_000.0]])
    rates = np.array([1e-5, 3e-5, 2e-5])
    found = measure("X", "XUSDT", aligned, order_usd=100.0, depth=depth, funding=rates)
    assert found.basis_bps == pytest.approx(3.0 + 4.0, abs=0.1)
    assert found.basis_drift_bps == pytest.approx(8.0 * 0.75, abs=0.1)
    assert found.sigma_ratio == pytest.approx(1.0, abs=0.01)
    step = np.diff(np.log(mid[np.searchsorted(times, np.arange(T0 + 1_000, times[-1], 1_000.0), side="right") - 1]))
    assert found.cex_sigma == pytest.approx(float(np.std(step, ddof=1)), rel=1e-3)
    assert (found.spread_bps, found.cex_spread_bps) == (pytest.approx(8.0), pytest.approx(1.0))
    assert found.spread_edge_bps == pytest.approx(7.0)
    assert (found.depth_usd, found.depth_multiple) == (3_000.0, 30.0)
    assert (found.funding_bps, found.funding_vol_bps) == (pytest.approx(0.2), pytest.approx(0.1))
    assert found.coverage == pytest.approx(1.0) and found.hours == pytest.approx(
        (times[-1] - times[0]) / 3.6e6, rel=0.01
    )


def test_a_gap_makes_no_return() -> None:
    """The price doubles while one feed is away: that is no volatility."""
    times, mid = walk(sigma=1e-4)
    half = len(mid) // 2
    mid[half:] *= 2.0
    times[half:] += 600_000.0
    found = measure("X", "XUSDT", align(prices(times, mid, 1e-4), prices(times, mid, 1e-4)), order_usd=1.0)
    assert found.cex_sigma < 5e-4 and found.coverage < 0.9


def test_what_says_too_little_is_refused() -> None:
    times, mid = walk(n=100)
    with pytest.raises(ScanError, match="do not overlap"):
        align(prices(times, mid, 1e-4), prices(times + 1e9, mid, 1e-4))
    with pytest.raises(ScanError, match=r"of \d+ aligned samples count, 30 are needed"):
        align(prices(times[:20], mid[:20], 1e-4), prices(times[:20], mid[:20], 1e-4))
    still = align(prices(times, mid, 1e-4), prices(times, np.full(100, 50.0), 1e-4))
    with pytest.raises(ScanError, match="never moved"):
        measure("X", "XUSDT", still, order_usd=1.0)
    with pytest.raises(ScanError, match="two rates"):
        aligned = align(prices(times, mid, 1e-4), prices(times, mid, 1e-4))
        measure("X", "XUSDT", aligned, order_usd=1.0, funding=np.array([1e-5]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spread_bps": 0.9}, "local spread"),
        ({"basis_bps": -50.1}, "basis -50.1 bp is beyond 50"),
        ({"cex_sigma": 0.0011}, "sigma 0.001100"),
        ({"depth_usd": 999.0}, "visible depth 999 USD"),
        ({"basis_drift_bps": -20.1}, "basis drift -20.1 bp"),
        ({"sigma_ratio": 3.01}, "sigma ratio 3.01 is outside 0.33 to 3"),
        ({"sigma_ratio": 0.0}, "sigma ratio 0.00"),
        ({"spread_edge_bps": 0.4}, "spread edge 0.40"),
        ({"depth_multiple": 9.9}, "depth is 9.9 orders"),
        ({"funding_vol_bps": 1.1}, "funding volatility 1.100"),
    ],
)
def test_each_gate(changes: dict[str, object], said: str) -> None:
    screening = CandidateScreening(
        min_local_spread_bps=1.0, min_depth_usd=1_000.0, min_spread_edge_bps=0.5, min_depth_multiple=10.0
    )
    assert gates(screening, good()) == []
    (failed,) = gates(screening, good(**changes))
    assert said in failed


def test_what_was_not_recorded_is_not_judged() -> None:
    bare = good(depth_usd=None, depth_multiple=None, funding_vol_bps=None, funding_bps=None)
    strict = CandidateScreening(min_depth_usd=1e9, min_depth_multiple=1e9, max_funding_vol_bps=1e-9)
    assert gates(strict, bare) == []
    assert score(strict, bare)[1].keys() == {"basis", "drift", "parity", "edge"}


def test_the_score_by_hand() -> None:
    weights = ScoreWeights(basis=1, drift=0, parity=2, edge=1, depth=1, funding=1)
    screening = CandidateScreening(weights=weights, max_sigma_ratio=4.0, target_depth_multiple=50.0)
    found = good(basis_bps=-25.0, sigma_ratio=0.5, spread_edge_bps=2.5, depth_multiple=math.sqrt(51.0) - 1.0,
                 funding_vol_bps=0.25)  # fmt: skip
    total, parts = score(screening, found)
    assert parts == pytest.approx(
        {"basis": 0.5, "drift": 0.9, "parity": 0.5, "edge": 0.5, "depth": 0.5, "funding": 0.75}
    )
    assert total == pytest.approx(100.0 * (0.5 + 2 * 0.5 + 0.5 + 0.5 + 0.75) / 6.0)
    assert score(CandidateScreening(weights=ScoreWeights(basis=0, drift=0, parity=0, edge=0)), good(
        depth_multiple=None, funding_vol_bps=None))[0] == 0.0  # fmt: skip


@given(st.floats(-100, 100), st.floats(-100, 100), st.floats(0, 20), st.floats(-50, 50), st.floats(0, 1e6))
def test_scores_stay_within_bounds_and_better_is_never_worse(
    basis: float, drift: float, ratio: float, edge: float, depth: float
) -> None:
    found = good(basis_bps=basis, basis_drift_bps=drift, sigma_ratio=ratio, spread_edge_bps=edge, depth_multiple=depth)
    total, _ = score(SCREENING, found)
    assert 0.0 <= total <= 100.0
    better = msgspec.structs.replace(found, basis_bps=basis / 2, spread_edge_bps=edge + 1.0, depth_multiple=depth + 1.0)
    assert score(SCREENING, better)[0] >= total


def test_ranking_and_the_piece_of_configuration(tmp_path: Path) -> None:
    best, fair = judge(good(symbol="A"), SCREENING), judge(good(symbol="B", spread_edge_bps=1.0), SCREENING)
    twin = judge(good(symbol="C", spread_edge_bps=1.0), SCREENING)
    failed = judge(good(symbol="D", basis_bps=60.0, spread_edge_bps=9.0), SCREENING)
    order = ranked([failed, twin, fair, best])
    assert [one.measures.symbol for one in order] == ["A", "B", "C", "D"] and not failed.passed
    text = snippet(order, 0.00015)
    path = tmp_path / "brawler.yml"
    path.write_text("version: 1\n" + text)
    config = load(path, BrawlerConfig)
    assert [terms.symbol for terms in config.terms] == ["A", "B", "C"]
    first = config.terms[0]
    assert float(first.order_size) * 100.0 == pytest.approx(100.0) and first.max_inventory == 6 * first.order_size
    assert first.base_spread == pytest.approx(6e-4) and first.max_volatility == pytest.approx(1.2e-3)
    assert snippet([failed], 0.00015).startswith("# no listing")


@given(st.floats(1e-7, 1e6), st.floats(1e-8, 0.05), st.floats(0.0, 100.0), st.floats(0.01, 1e6))
def test_any_suggestion_is_a_configuration(mid: float, sigma: float, spread: float, usd: float) -> None:
    found = judge(good(mid=mid, cex_sigma=sigma, spread_bps=spread, order_usd=usd), CandidateScreening(max_sigma=1.0))
    from ruamel.yaml import YAML

    BrawlerConfig.model_validate({"version": 1, **YAML(typ="safe").load(snippet([found], 0.00015))})
