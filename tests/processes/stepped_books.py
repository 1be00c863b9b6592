"""Pods over bars on a stepped venue: what the tests of Gradient, Carry and their backtests share."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from slipstream.core.forecast.artefact import Artefact, Linear, encode, sealed
from slipstream.core.forecast.drift import spread_of
from slipstream.processes.stepped_bars import SteppedBars
from slipstream.runtime.journal import Journal
from slipstream.strategies.registry import find
from slipstream.venues.emulator.serve import ServeOptions, build_venue
from slipstream.venues.emulator.settings import ExchangeSettings
from slipstream.venues.emulator.venue import Venue

SECOND = 1_000_000_000
HOUR_NS = 3_600 * SECOND
COINS = ("BTC", "ETH", "SOL", "DOGE")
BEGIN_NS = 497_504 * HOUR_NS + HOUR_NS // 2  # half past; 497,504 h after the epoch is a multiple of 4 h
CAPITAL = Decimal(50_000)
# marks and premiums are sampled every five minutes: days of venue time cost seconds
QUIET = ExchangeSettings(premium_period_ns=300 * SECOND, mark_period_ns=300 * SECOND)
HISTORY = 160  # bars at the start
GRADIENT: dict[str, Any] = {
    "coins": COINS,
    "signal": {"lookbacks": [2, 4, 8, 16], "warm_up_bars": 30, "vol_span": 24, "max_share": 1.0},
    "book": {"top_n": 2, "beta_neutral": False, "max_coin_weight": 1.0},
    "trade": {"rebalance_hours": 4, "passive_minutes": 5, "deadline_minutes": 10, "band": 0.0},
}
CARRY: dict[str, Any] = {
    "coins": COINS,
    "signal": {
        "horizon_hours": 4,
        "window": 20,
        "price_spans": [2],
        "funding_spans": [1, 3],
        "vol_span": 8,
        "warm_up_bars": 1,
    },
    "book": {
        "max_coin_weight": 0.5,
        "max_share": 1.0,
        "trade_usd": 100,
        "risk_aversion": 300.0,  # books within their bounds: every number counts
        "fee": 0,
        "half_spread": 0,
        "impact": 0,
    },
    "drift": {"psi_halt": 1000, "shift_halt": 1000000},
    "trade": {"rebalance_hours": 4, "passive_minutes": 5, "deadline_minutes": 10, "min_trade_usd": 11},
}


def quiet_venue(seed: int = 3, coins: tuple[str, ...] = COINS, start_ns: int = BEGIN_NS) -> Venue:
    """A synthetic market of some coins."""
    return build_venue(ServeOptions(port=0, pace="stepped", seed=seed, coins=coins, start_ns=start_ns, settings=QUIET))


def follower(config: Any, until_ms: int = 10**14) -> Artefact:
    """A model that follows momentum and the last rates, far more than anybody should: coins differ little here."""
    spec, rng = config.spec(), np.random.default_rng(1)
    names = (*spec.names, "error_funding")
    return sealed(
        Artefact(
            version=1,
            spec=spec,
            spec_hash=spec.hash,
            price=Linear((0.01,) * len(spec.price_spans), 0.0),
            funding=Linear((1.0,) * len(spec.funding_spans), 0.0),
            trained_from_ms=0,
            trained_to_ms=1,
            valid_until_ms=until_ms,
            data_hash="",
            config={},
            metrics={},
            spreads={name: spread_of(rng.normal(0, 1, 400)) for name in names},
        )
    )


def config_of(slug: str, values: dict[str, Any], folder: Path) -> Any:
    """The config of a strategy; Carry's with its model in the folder."""
    model = find(slug).config_model()
    if slug != "carry":
        return model.model_validate(values)
    config: Any = model.model_validate({**values, "artefact": str(folder / "model.json")})
    (folder / "model.json").write_bytes(encode(follower(config)))
    return config


def opened(
    slug: str, values: dict[str, Any], folder: Path, journal: Journal, venue: Venue | None = None
) -> SteppedBars:
    """A pod at its start."""
    config = config_of(slug, values, folder)
    return SteppedBars(find(slug), config, venue or quiet_venue(), config.coins, CAPITAL, journal, HISTORY)


def pass_bars(pod: SteppedBars, bars: int, window_s: int = 1_200) -> None:
    """Let bars close: after each close in steps of 10 s, until trades are over, then in steps of five minutes."""
    bar_s = pod.bar_ns // SECOND
    for _ in range(bars):
        into = pod.now % pod.bar_ns // SECOND
        if into < window_s:
            pod.run(window_s - into)
            into = window_s
        pod.run(bar_s - into, 300 * SECOND)
        pod.run(window_s)
