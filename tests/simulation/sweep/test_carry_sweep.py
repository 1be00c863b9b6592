"""A sweep of Carry trains its own models on each fold's past: no stored model, of whatever later data, has a say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from small_sweep import Inline, same

from slipstream.core.forecast.artefact import encode
from slipstream.processes import carry_backtest
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.sweep_run import Sweep, SweepTerms, run_sweep
from slipstream.research.predictor import TrainTerms, train
from slipstream.simulation.sweep.knobs import parse_knobs
from slipstream.simulation.sweep.search import SearchTerms
from slipstream.strategies.registry import find

HOUR_MS = 3_600_000
SPANS = "[2, 4]"
YAML = f"""version: 1
artefact: {{model}}
signal: {{{{horizon_hours: 4, window: 10, price_spans: {SPANS}, funding_spans: {SPANS}, vol_span: 8}}}}
book: {{{{max_coin_weight: 1.0}}}}
"""


def request_of(folder: Path, bars: Path, funding: Path) -> BacktestRequest:
    config = folder / "carry.yml"
    config.write_text(YAML.format(model=folder / "model.json"))
    return BacktestRequest(entry=find("carry"), config=config, bars=bars, funding=funding, capital=20_000.0)


def market(folder: Path, scramble_from: int | None = None) -> tuple[Path, Path]:
    """Bars of 4 h of 8 coins with funding that persists, from a bar on of another world."""
    rng = np.random.default_rng(5)
    moves, shocks = 0.01 * rng.normal(size=(640, 8)), 1e-5 * rng.normal(size=(640, 8))
    if scramble_from is not None:
        other = np.random.default_rng(6)
        moves[scramble_from:] = 0.03 * other.normal(size=moves[scramble_from:].shape)
        shocks[scramble_from:] = 1e-4 * other.normal(size=shocks[scramble_from:].shape)
    close = 10.0 * np.exp(np.cumsum(moves, axis=0))
    rates = np.zeros_like(shocks)
    for t in range(1, len(rates)):
        rates[t] = 0.97 * rates[t - 1] + shocks[t]
    bars, funding = folder / f"bars-{scramble_from}.csv", folder / f"funding-{scramble_from}.csv"
    lines, paid = ["coin,ts,open,close,volume"], ["coin,ts,rate"]
    for t in range(len(close)):
        ts = 1_700_006_400_000 // (24 * HOUR_MS) * 24 * HOUR_MS + 4 * t * HOUR_MS
        for j in range(8):
            lines.append(f"C{j},{ts},{close[max(t - 1, 0), j]:.9g},{close[t, j]:.9g},{2e6:.0f}")
            paid += [f"C{j},{ts + hour * HOUR_MS},{rates[t, j]:.9g}" for hour in range(1, 5)]
    bars.write_text("\n".join(lines) + "\n")
    funding.write_text("\n".join(paid) + "\n")
    return bars, funding


def swept(request: BacktestRequest, folder: Path, trials: int = 1, folds: int = 1) -> Sweep:
    search = SearchTerms(trials=trials, batch=2)
    knobs = parse_knobs(["book.risk_aversion=1:20:log"])
    return run_sweep(request, SweepTerms(knobs=knobs, search=search, folds=folds, first_train=0.6), Inline(), folder)


@pytest.mark.slow
def test_no_stored_model_has_a_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[int, int]] = []
    real = carry_backtest._model

    def watched(past: carry_backtest.Past, t: int) -> Any:
        model = real(past, t)
        trained.append((model.trained_to_ms, int(past.bars.opened[t]) + 4 * HOUR_MS))
        return model

    monkeypatch.setattr(carry_backtest, "_model", watched)
    request = request_of(tmp_path, *market(tmp_path))
    without = swept(request, tmp_path / "without")
    assert trained and all(end <= decided for end, decided in trained), "models of the past only"
    config: Any = carry_backtest.settings_of(request)
    whole = carry_backtest.market_of(request, config)  # trained on everything, and so on all that is tested
    model = train(whole, config.spec(), TrainTerms(valid_days=1e4, draws=50), np.random.default_rng(1))
    (tmp_path / "model.json").write_bytes(encode(model))
    stored: Any = carry_backtest.settings_of(request)
    assert Path(stored.artefact).is_file()
    assert same(without, swept(request, tmp_path / "with"))
    given = replace(request, overrides={"artefact_text": encode(model).decode()})
    assert np.array_equal(swept(given, tmp_path / "given").record.equity, without.record.equity)


@pytest.mark.slow
def test_the_future_changes_no_choice_of_carry(tmp_path: Path) -> None:
    found = swept(request_of(tmp_path, *market(tmp_path)), tmp_path / "a", 2, 2)
    second = found.choices[1].fold.test_from
    other = swept(request_of(tmp_path, *market(tmp_path, scramble_from=second)), tmp_path / "b", 2, 2)
    assert other.choices[0].trials == found.choices[0].trials
    early = found.record.stamps <= found.choices[0].tested_to
    assert np.array_equal(found.record.equity[early], other.record.equity[: int(early.sum())])
    assert not np.array_equal(found.record.equity[~early], other.record.equity[int(early.sum()) :])
