"""Sequential tests, HAC errors and Sharpe statistics against reference values and by simulation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.core.stats import eprocess, hac, sequential, sharpe

MATH = Path(__file__).resolve().parents[3] / "../shared/reference/math"


def reference(name: str) -> Any:
    path = MATH / name
    if not path.exists():
        pytest.skip(f"no reference values at {name}")
    return json.loads(path.read_text())


def test_eprocess_reference() -> None:
    ref = reference("10_allocation.json")["e_process"]
    for row in ref["table"]:
        assert math.exp(eprocess.half_normal(row["S"], row["n"], row["tau"])) == pytest.approx(row["e"], rel=1e-9)
    check = ref["half_normal_check"]
    assert math.exp(eprocess.half_normal(check["S"], check["n"], check["tau"])) == pytest.approx(
        check["closed"], rel=1e-9
    )


def test_point_bet_monte_carlo_matches_reference() -> None:
    rng = np.random.default_rng(3)
    for row in reference("10_allocation.json")["e_process"]["mc"]:
        paths = 2000
        total, alive, hits = np.zeros(paths), np.ones(paths, dtype=bool), 0
        for start in range(0, row["N"], 500):
            steps = rng.standard_normal((paths, 500)) + row["mu"]
            path = total[:, None] + np.cumsum(steps, axis=1)
            n = np.arange(start + 1, start + 501)
            crossed = (eprocess.point_bet(path, n, row["lam"]) >= math.log(1 / row["alpha"])).any(axis=1) & alive
            hits += int(crossed.sum())
            alive &= ~crossed
            total = path[:, -1]
        p = row["reject"]
        assert abs(hits / paths - p) <= 4.5 * math.sqrt(max(p * (1 - p), 1e-4) / paths)


def test_half_normal_is_finite_far_out() -> None:
    for total in (-1e6, -1.0, 0.0, 1e6):
        assert math.isfinite(eprocess.half_normal(total, 1e6, 0.1))


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.integers(0, 39), st.floats(0, 100))
def test_better_observations_never_lower_evidence(z: list[float], where: int, more: float) -> None:
    better = list(z)
    better[where % len(z)] += more
    one, two = (eprocess.log_factors(v).sum(axis=0) for v in (z, better))
    assert (two >= one - 1e-12).all() and np.isfinite(two).all()


@pytest.mark.parametrize("noise", ["normal", "t3", "ar", "skewed"])
def test_betting_holds_its_level_at_any_time(noise: str) -> None:
    rng = np.random.default_rng(11)
    pods, blocks, alpha = 2000, 500, 0.1
    if noise == "normal":
        z = rng.standard_normal((blocks, pods))
    elif noise == "t3":
        z = rng.standard_t(3, (blocks, pods)) / math.sqrt(3)
    elif noise == "ar":  # block sums whose serial correlation is what is allowed for
        e = rng.standard_normal((blocks + 1, pods))
        z = (e[1:] + 0.0301 * e[:-1]) / math.sqrt(1 + 0.0301**2)
    else:  # rare losses of ten standard deviations, made up for by small gains
        jump = rng.random((blocks, pods)) < 1 / 400
        z = np.where(jump, -8.0, 8.0 / 399) + 0.85 * rng.standard_normal((blocks, pods))
    wealth, peak = np.zeros((pods, len(eprocess.BETS))), np.zeros(pods)
    for row in z:
        wealth = wealth + eprocess.log_factors(row)
        peak = np.maximum(peak, eprocess.log_mean(wealth))
    false = float((peak >= math.log(1 / alpha)).mean())
    assert 0.01 < false <= alpha + 2.0 * math.sqrt(alpha * (1 - alpha) / pods)


def test_detector_keeps_its_promise() -> None:
    rng = np.random.default_rng(5)
    pods, blocks, bound = 3000, 400, 2000.0
    level, peak = np.full((pods, 3), -np.inf), np.full(pods, -np.inf)
    for _ in range(blocks):
        level = eprocess.detect(level, eprocess.log_factors(rng.standard_normal(pods)))
        peak = np.maximum(peak, eprocess.log_mean(level))
    assert float((peak >= math.log(bound)).mean()) <= blocks / bound
    shifted = np.full(3, -np.inf)
    for _ in range(200):
        shifted = eprocess.detect(shifted, eprocess.log_factors(0.5))
    assert eprocess.log_mean(shifted) >= math.log(bound)


@given(st.floats(1e-4, 0.5), st.integers(1, 50), st.floats(0.01, 0.99))
@settings(max_examples=50)
def test_spending_never_exceeds_the_budget(alpha: float, planned: int, reserve: float) -> None:
    shares = [eprocess.spending(alpha, n, planned, reserve) for n in range(1, 3000)]
    assert all(share > 0.0 for share in shares)
    assert alpha * (1 - reserve) < math.fsum(shares) < alpha


@pytest.mark.parametrize("args", [(0.0, 1, 1, 0.5), (0.1, 0, 1, 0.5), (0.1, 1, 1, 1.0)])
def test_spending_refuses_nonsense(args: tuple[float, int, int, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|counted"):
        eprocess.spending(*args)


def test_sprt_reference() -> None:
    ref = reference("10_allocation.json")["sprt"]
    bounds = sequential.sprt_bounds(ref["alpha"], ref["beta"])
    assert bounds.upper == pytest.approx(ref["A"], rel=1e-9) and bounds.lower == pytest.approx(ref["B"], rel=1e-9)
    m0, m1 = ref["m0"], ref["m1"]
    assert sequential.sprt_mean_length(bounds, ref["alpha"], m0, m1, m0) == pytest.approx(ref["H0_asn_wald"], rel=1e-9)
    assert sequential.sprt_mean_length(bounds, 1 - ref["beta"], m0, m1, m1) == pytest.approx(
        ref["H1_asn_wald"], rel=1e-9
    )
    rng = np.random.default_rng(2)
    runs = [sequential.sprt(rng.standard_normal(6000) + m1, m0, m1, bounds) for _ in range(1500)]
    power = np.mean([verdict == 1 for verdict, _ in runs])
    assert abs(power - ref["H1_reject_mc"]) < 4 * math.sqrt(0.09 / 1500)
    assert np.mean([n for _, n in runs]) == pytest.approx(ref["H1_asn_mc"], rel=0.07)


def test_cusum_reference() -> None:
    for row in reference("10_allocation.json")["cusum_arl"]:
        args = row["k"], row["h"], row["shift"]
        assert sequential.cusum_arl(*args) == pytest.approx(row["arl_exact"], rel=1e-9)
        assert sequential.siegmund_arl(*args) == pytest.approx(row["siegmund"], rel=1e-9)
    assert sequential.siegmund_arl(0.5, 4.0, 0.5) == pytest.approx(sequential.siegmund_arl(0.5, 4.0, 0.5001), rel=1e-2)


def test_cusum_path() -> None:
    x = np.random.default_rng(1).standard_normal(300)
    level, path = 0.0, []
    for value in x:
        level = max(0.0, level + value - 0.2)
        path.append(level)
    assert sequential.cusum(x, 0.2) == pytest.approx(path, abs=1e-12)


def test_hac_reference() -> None:
    ref = reference("11_risk_metrics.json")
    r, b = np.array(ref["series"]["r"]), np.array(ref["series"]["b"])
    mean = hac.hac_mean(r - b)  # the reference tests the paired difference
    assert mean.lags == ref["tests"]["hac"]["L"]
    assert mean.se == pytest.approx(ref["tests"]["hac"]["se_mean"], rel=1e-9)
    assert mean.t == pytest.approx(ref["tests"]["hac"]["t"], rel=1e-9)
    alone = hac.hac_ols(r - b, np.ones((r.size, 1)))
    assert alone.se[0] == pytest.approx(mean.se, rel=1e-9)
    difference = sharpe.memmel(r, b)
    assert abs(difference.z) == pytest.approx(ref["sharpe_tests"]["memmel_z"], rel=1e-9)
    assert sharpe.lo_scaling(r, 7) == pytest.approx(ref["sharpe_tests"]["lo_eta_q7"], rel=1e-9)


def test_hac_ols_covers_under_autocorrelation() -> None:
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(200):
        noise = rng.standard_normal(601)
        x = rng.standard_normal(600)
        y = 0.5 + 2.0 * x + noise[1:] + 0.5 * noise[:-1]
        fit = hac.hac_ols(y, np.column_stack((np.ones(600), x)))
        inside += int(abs(fit.coef[0] - 0.5) < 1.96 * fit.se[0])
    assert 0.89 < inside / 200 < 0.985
    assert fit.coef[1] == pytest.approx(2.0, abs=0.3)


def test_hac_survives_repeated_and_constant_columns() -> None:
    x = np.linspace(-1, 1, 50)
    fit = hac.hac_ols(x, np.column_stack((np.ones(50), x, x)))
    assert np.isfinite(fit.se).all() and fit.coef[1] + fit.coef[2] == pytest.approx(1.0)
    assert hac.hac_mean(np.zeros(5)).t == 0.0
    with pytest.raises(ValueError, match="finite"):
        hac.hac_ols([1.0, math.nan, 2.0], np.ones((3, 1)))
    with pytest.raises(ValueError, match="need more"):
        hac.hac_ols([1.0], np.ones((1, 1)))


def test_sharpe_reference() -> None:
    ref = reference("10_allocation.json")
    for row in ref["psr_dsr"]["psr_cases"]:
        found = sharpe.probabilistic_sharpe(row["sr"], row["sr0"], row["T"], row["skew"], row["kurt"])
        assert found == pytest.approx(row["psr"], rel=1e-9)
    for row in ref["psr_dsr"]["dsr_example"]:
        found = sharpe.deflated_sharpe(2.5 / math.sqrt(250), 1250, row["N"], 0.5 / 250, row["skew"], row["kurt"])
        assert found == pytest.approx(row["dsr"], rel=1e-9)
        assert math.sqrt(0.5 / 250) * sharpe.expected_maximum(row["N"]) == pytest.approx(row["sr0_nonann"], rel=1e-9)
    for row in ref["psr_dsr"]["emax"]:
        assert sharpe.expected_maximum(row["N"]) == pytest.approx(row["approx"], rel=1e-9)
    for row in ref["minbtl"]:
        assert sharpe.minimum_backtest_length(row["N"]) == pytest.approx(row["years_target1"], rel=1e-9)
    periods = {"daily252": 252, "daily250": 250, "weekly": 52, "monthly": 12, "monthly_hf": 12}
    for row in ref["psr_dsr"]["mintrl"]:
        per = periods[row["freq"]]
        skew, kurt = (-0.72, 5.78) if row["freq"] == "monthly_hf" else (0.0, 3.0)
        found = sharpe.minimum_track_record(2 / math.sqrt(per), 1 / math.sqrt(per), 0.95, skew, kurt) / per
        assert found == pytest.approx(row["years"], rel=1e-9)


def test_sharpe_limits() -> None:
    assert sharpe.minimum_track_record(0.1, 0.1) == math.inf
    x = np.random.default_rng(0).standard_normal(50)
    assert sharpe.memmel(x, x).p == 1.0
    with pytest.raises(ValueError, match="never varies"):
        sharpe.memmel(x, np.zeros(50))
