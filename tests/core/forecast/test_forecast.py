"""Features by hand and against the vectorised definitions; a model's file and its refusals; drift."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from slipstream.core.factors.market import rolling_factor
from slipstream.core.forecast.artefact import Artefact, ArtefactError, Linear, decode, encode, predict, stale
from slipstream.core.forecast.drift import DriftMonitor, DriftTerms, spread_of, stability_index
from slipstream.core.forecast.features import BOUND, Features, FeatureSpec
from slipstream.core.signals.momentum import momentum
from slipstream.core.signals.volatility import ewma

SPEC = FeatureSpec(
    bar_hours=1, horizon_hours=1, window=12, price_spans=(2, 5), funding_spans=(1, 3), vol_span=16, warm_up=4
)


def market(seed: int, t: int = 90, n: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, 0.01, (t, 1)) + rng.normal(0, 0.01, (t, n))
    return 100 * np.exp(np.cumsum(moves, axis=0)), rng.uniform(1e6, 2e6, (t, n)), rng.normal(1e-5, 1e-5, (t, n))


def run(closes: np.ndarray, usd: np.ndarray, rates: np.ndarray, spec: FeatureSpec = SPEC) -> list[np.ndarray]:
    features = Features([f"C{j}" for j in range(closes.shape[1])], spec)
    out = []
    for row in zip(closes, usd, rates, strict=True):
        features.update(*row)
        out.append(np.vstack([features.price(), features.funding()]))
    return out


def test_bar_by_bar_is_the_whole_history_at_once() -> None:
    closes, usd, rates = market(1)
    got = np.stack(run(closes, usd, rates), axis=1)
    returns = np.vstack([np.full((1, 5), np.nan), np.diff(np.log(closes), axis=0)])
    sums = np.sqrt(np.array([usd[max(0, t - 11) : t + 1].mean(axis=0) for t in range(len(usd))]))
    found = rolling_factor(returns, sums / sums.sum(axis=1, keepdims=True), SPEC.window, least=3)
    for row, span in zip(got[:2], SPEC.price_spans, strict=True):
        want = np.clip(momentum(found.residual, span, SPEC.vol_span), -BOUND, BOUND)
        assert np.isfinite(want[12:]).all()
        np.testing.assert_allclose(row[12:], want[12:], rtol=1e-8)
    for row, span in zip(got[2:], SPEC.funding_spans, strict=True):
        np.testing.assert_allclose(row[3:], ewma(rates, 2 / (span + 1))[3:], rtol=1e-12)
        assert np.isnan(row[:3]).all()


def test_nothing_later_changes_anything_earlier() -> None:
    closes, usd, rates = market(2)
    before = run(closes, usd, rates)
    closes[60:], usd[60:], rates[60:] = closes[60:] * 3.0, 1.0, -1.0
    for a, b in zip(before[:60], run(closes, usd, rates)[:60], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_coin_without_the_newest_bar_has_no_feature() -> None:
    closes, usd, rates = market(3)
    closes[70, 1], rates[80, 2] = np.nan, np.nan
    got = run(closes, usd, rates)
    assert np.isnan(got[70][:, 1]).all() and np.isnan(got[80][2:, 2]).all()
    assert np.isfinite(got[80][2:, 1]).all() and np.isnan(got[80][:2, 1]).all()  # 12 bars without a gap are needed
    assert np.isfinite(got[84][:2, 1]).all()


def model(**changes: object) -> Artefact:
    rng = np.random.default_rng(5)
    values: dict[str, object] = {
        "version": 1,
        "spec": SPEC,
        "spec_hash": SPEC.hash,
        "price": Linear((0.1, -0.2), 0.3),
        "funding": Linear((1.0, 2.0), 0.5),
        "trained_from_ms": 1_000,
        "trained_to_ms": 2_000,
        "valid_until_ms": 3_000,
        "data_hash": "d",
        "config": {"seed": 1},
        "metrics": {"funding_r2": 0.4, "price_r2": None},
        "spreads": {name: spread_of(rng.normal(0, 1, 4_000)) for name in (*SPEC.names, "error_funding")},
    }
    return Artefact(**(values | changes))  # type: ignore[arg-type]


def test_a_forecast_is_price_less_funding() -> None:
    price, funding = np.array([[1.0, 2.0], [3.0, np.nan]]), np.array([[1.0, 1.0], [2.0, 2.0]])
    got = predict(model(), price, funding)
    assert got.price[0] == pytest.approx(0.1 - 0.6 + 0.3) and got.paid[0] == pytest.approx(5.5)
    assert got.total[0] == pytest.approx(-0.2 - 5.5) and np.isnan(got.total[1])
    unused = predict(model(price=Linear((0.1, -0.2), 0.3, used=False)), price, funding)
    assert unused.price[0] == 0.0 and np.isnan(unused.total[1])


def test_a_file_comes_back_whole() -> None:
    raw = encode(model())
    assert (
        decode(raw, "m", SPEC) == decode(encode(decode(raw, "m")), "m") and decode(raw, "m").metrics["price_r2"] is None
    )


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda raw: b"", "not a model file"),
        (lambda raw: raw[:200], "not a model file"),
        (lambda raw: b"\xff\xfe", "not a model file"),
        (lambda raw: b"[1]", "version None"),
        (lambda raw: raw.replace(b'"version": 1', b'"version": 2'), "version 2"),
        (lambda raw: raw.replace(b'"intercept": 0.5', b'"intercept": 0.6'), "hash does not fit"),
        (lambda raw: raw.replace(b'"hash"', b'"hush"'), "hush"),
        (lambda raw: encode(model(funding=Linear((1.0,), 0.0))), "coefficients do not fit"),
        (lambda raw: encode(model(spec_hash="x")), "hashed differently"),
        (lambda raw: raw.replace(b'"window": 12', b'"window": 1'), "window of at least 5"),
    ],
)
def test_a_file_that_is_not_right_is_refused(break_it: object, said: str) -> None:
    with pytest.raises(ArtefactError, match=said) as caught:
        decode(break_it(encode(model())), "here.json")  # type: ignore[operator]
    assert str(caught.value).startswith("here.json: ")


def test_other_features_are_named_and_time_ends() -> None:
    with pytest.raises(ArtefactError, match="window 12 there, 13 here"):
        decode(encode(model()), "m", msgspec.structs.replace(SPEC, window=13))
    assert stale(model(), 2_500) == "" and "ended" in stale(model(), 3_000) and "to come" in stale(model(), 1_999)


def test_a_specification_that_cannot_be_is_refused() -> None:
    for wrong in ({"horizon_hours": 6}, {"price_spans": ()}, {"warm_up": 0}, {"window": 2}):
        with pytest.raises(ValueError, match=r"horizon|features need"):
            FeatureSpec(**wrong)  # type: ignore[arg-type]


def test_the_stability_index_by_hand() -> None:
    want = (0.6 - 0.5) * np.log(0.6 / 0.5) + (0.4 - 0.5) * np.log(0.4 / 0.5)
    assert stability_index([0.5, 0.5], [60, 40]) == pytest.approx(want)
    assert stability_index([0.5, 0.5], [0, 0]) == 0.0 and np.isfinite(stability_index([0.5, 0.5], [100, 0]))
    atoms = spread_of(np.concatenate([np.full(500, 1.25e-5), np.linspace(0, 1, 500)]))
    assert len(atoms.shares) == len(atoms.edges) + 1 and sum(atoms.shares) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="too few"):
        spread_of(np.ones(20))


@pytest.mark.parametrize(("shift", "scale", "level"), [(0.0, 1.0, "none"), (0.8, 1.0, "report"), (4.0, 1.0, "halt")])
def test_drift_is_silent_said_or_acted_on(shift: float, scale: float, level: str) -> None:
    rng = np.random.default_rng(7)
    monitor = DriftMonitor({"x": spread_of(rng.normal(0, 1, 10_000))}, DriftTerms(bars=30))
    for _ in range(29):
        monitor.hear({"x": rng.normal(shift, scale, 20), "other": rng.normal(0, 1, 20)})
        assert monitor.verdict().level == "none"
    monitor.hear({"x": rng.normal(shift, scale, 20)})
    assert monitor.verdict().level == level
    for _ in range(30):
        monitor.hear({"x": rng.normal(0.0, 1.0, 20)})
    assert monitor.verdict().level == "none"  # what was long ago is forgotten
