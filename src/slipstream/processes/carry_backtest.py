"""Carry's backtest: models retrained as time goes by, each on the past alone; vectorised, or by the pod's kernel.

The first ``START`` of the bars trains the first model. Vectorised, a new one is trained every ``RETRAIN_DAYS`` on all
bars until then; by kernel the first one trades to the end. Until there is a model nothing is held.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from slipstream.core.forecast.artefact import Artefact, encode
from slipstream.core.forecast.features import FeatureSpec
from slipstream.core.portfolio.record import BacktestRecord
from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.model.errors import ConfigError
from slipstream.processes import bar_backtest
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.bar_market import market_of, settings_of
from slipstream.research.predictor import Dataset, TrainTerms, data_hash, dataset, rates_of, train
from slipstream.simulation.vectorised import Plan
from slipstream.strategies.carry.config import CarryConfig
from slipstream.strategies.carry.target import Bounds, Signals

Array = npt.NDArray[np.float64]
START = 0.4
RETRAIN_DAYS = 30.0
DAY_MS = 24 * HOUR_MS
SEED = 1  # of the intervals that decide whether the price model is used


def backtest(request: BacktestRequest) -> BacktestRecord:
    """Run Carry over bars. Raises ConfigError and ValueError (what the user can mend)."""
    if request.no_funding:
        raise ConfigError("backtest carry: --no-funding has no meaning here: funding is what is forecast; give it")
    if not request.kernel:
        record = bar_backtest.backtest(request)
        return _told(
            record, f"models: the first on {START:.0%} of the bars, anew every {RETRAIN_DAYS:g} days, past only"
        )
    request.refuse(("replay", "hours"), "this strategy is tested on bars")
    config = settings_of(request)
    assert isinstance(config, CarryConfig)
    bars = market_of(request, config)
    model = first_model(bars, config, valid_days=1e4)
    record = bar_backtest.by_kernel(request, with_model(config, model), bars)
    return _told(record, f"one model, of the first {START:.0%} of the bars, to the end")


def _told(record: BacktestRecord, line: str) -> BacktestRecord:
    return replace(record, assumptions=(*record.assumptions, line))


def with_model(config: CarryConfig, model: Artefact | None) -> CarryConfig:
    """The config with a model in it instead of its file."""
    return config.model_copy(update={"artefact_text": encode(model).decode() if model is not None else ""})


def first_model(bars: Bars, config: CarryConfig, *, valid_days: float = 45.0) -> Artefact:
    """The model of the first bars. Raises ValueError where they are too few."""
    return train(
        bars.until(int(len(bars.opened) * START)),
        config.spec(),
        TrainTerms(valid_days=valid_days),
        np.random.default_rng(SEED),
    )


def decisions(bars: Bars, config: CarryConfig) -> Plan:
    """The book at every rebalance, with models of the past. Nothing after a bar changes what was decided at its close.

    A book starts from what was held: the last weights, moved by prices since.
    """
    past, rates = Past(data_hash(bars), config.spec(), bars), rates_of(bars)
    signals = Signals(bars.coins, with_model(config, None))
    capital, n = float(config.trade.capital), len(bars.coins)
    bounds = Bounds(capital, float(config.gross_cap) / capital, np.full(n, float(config.coin_cap) / capital))
    sigma, usd = np.zeros(bars.close.shape), np.zeros(bars.close.shape)
    targets: dict[int, Array] = {}
    held = np.zeros(n)
    every = max(round(config.trade.rebalance_hours * HOUR_MS), round(bars.hours * HOUR_MS))
    begin, trained = int(len(bars.opened) * START), -1
    for t in range(len(bars.opened)):
        signals.update(bars.close[t], bars.volume_usd[t], rates[t])
        sigma[t], usd[t] = signals.features.sigma_day(), signals.features.daily_usd()
        moved = held * np.exp(np.nan_to_num(signals.features.last_return))
        held = moved / (1.0 + float(moved.sum() - held.sum()))
        if t < begin:
            continue
        if trained < 0 or (t - trained) * bars.hours >= RETRAIN_DAYS * 24.0:
            trained = t
            signals.adopt(_model(past, t))
        closed = int(bars.opened[t]) + round(bars.hours * HOUR_MS)
        if closed % every == 0:
            book = signals.book(closed, held, bounds)
            held = np.array([book.weights.get(coin, 0.0) for coin in bars.coins])
            if held.any() or targets:
                targets[t] = held
    return Plan(targets=targets, sigma_day=sigma, daily_usd=usd)


@dataclass(frozen=True)
class Past:
    """What models depend on: the bars, told apart by their hash, and the features. Trials of a sweep share both."""

    data_hash: str
    spec: FeatureSpec
    bars: Bars = field(compare=False)


@lru_cache(maxsize=2)
def _dataset(past: Past) -> Dataset:
    return dataset(past.bars, past.spec)


@lru_cache(maxsize=128)
def _model(past: Past, t: int) -> Artefact:
    """Trained on the bars up to and with ``t``: targets that reach beyond it are cut."""
    data = _dataset(past).known_at(t, past.spec.width)
    return train(past.bars.until(t + 1), past.spec, TrainTerms(draws=400), np.random.default_rng(SEED), data=data)
