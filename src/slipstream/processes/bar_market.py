"""The bars that a backtest or a sweep asks for: from files, from returns, or made up."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel

from slipstream.core.signals.bars import Bars
from slipstream.data.catalogue import NAME as CATALOGUE
from slipstream.data.streams import MS
from slipstream.model.errors import ConfigError
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.runtime.config import load, read_yaml
from slipstream.runtime.entries import own_values

NO_MARKET = (
    "no market: give --bars FILE (coin, ts, open, close, volume), --returns-csv FILE (time, then one column of simple "
    "returns a coin), or try it on made-up bars with --demo"
)
NO_FUNDING = "no funding: give --funding FILE (coin, ts, rate), or leave it out knowingly with --no-funding"


class SignalTerms(Protocol):
    """What bars must agree with."""

    @property
    def bar_hours(self) -> float:
        """Length of a bar."""
        ...


class BarConfig(Protocol):
    """What the config of a strategy over bars says of its market."""

    @property
    def coins(self) -> tuple[str, ...]:
        """Coins traded; empty: all."""
        ...

    @property
    def exclude(self) -> tuple[str, ...]:
        """Coins left out."""
        ...

    @property
    def signal(self) -> SignalTerms:
        """The block that says how long a bar is."""
        ...


def settings_of(request: BacktestRequest) -> BaseModel:
    """The strategy's config of a request; one that weighs costs is told those of the request. Raises ConfigError."""
    model = request.entry.config_model()
    weighs = request.costs is not None and "costs" in model.model_fields
    overrides = {**request.overrides, "costs": str(request.costs)} if weighs else request.overrides
    return load(request.settings_path(), model, overrides=overrides)


def replaced(request: BacktestRequest, keys: Iterable[str] = ()) -> tuple[str, ...]:
    """What symbols say for themselves in the config and the request's overrides, or ``keys``, replaced: a line a key.

    Raises ConfigError for a file that cannot be read.
    """
    path = request.settings_path()
    if path is None:
        return ()
    by_key: dict[str, list[str]] = {}
    for own in own_values(read_yaml(path), request.entry.config_model(), {*request.overrides, *keys}):
        by_key.setdefault(own.key, []).append(f"{own.entry} ({own.value})")
    return tuple(
        f"`{key}` was given for every symbol, and replaces what the config says of {', '.join(named)}"
        for key, named in by_key.items()
    )


def market_of(request: BacktestRequest, config: BarConfig) -> Bars:
    """The bars of a request, of the coins that the config trades. Raises ConfigError and ValueError."""
    given = [name for name in ("bars", "returns_csv", "demo") if getattr(request, name)]
    if len(given) > 1:
        flags = " and ".join("--" + name.replace("_", "-") for name in given)
        raise ConfigError(f"{flags}: give one market, not several")
    if not given:
        raise ConfigError(NO_MARKET)
    lake = request.bars is not None and request.bars.is_dir()  # a lake holds bars of several lengths
    hours = round(config.signal.bar_hours) if request.demo or lake else 0
    seed = request.seed if request.demo else 0
    files = (request.bars, request.returns_csv, request.funding)
    bars = _read(*files, config.coins if not request.demo else (), seed, hours, tuple(map(stamp_of, files)))
    if bars.funding is None and not request.no_funding:
        raise ConfigError(NO_FUNDING)
    return chosen(bars, config)


@lru_cache(maxsize=2)
def _read(
    path: Path | None,
    returns_csv: Path | None,
    funding: Path | None,
    coins: tuple[str, ...],
    seed: int,
    hours: int,
    stamps: tuple[object, ...],
) -> Bars:
    """A market, kept for the next request of the same files; ``stamps`` tell a file that was changed meanwhile."""
    if path is not None:
        from slipstream.data.bars import read_bars

        return read_bars(path, funding, coins=coins, hours=hours or None, now_ms=time.time_ns() // MS)
    if returns_csv is not None:
        from slipstream.data.returns import read_returns

        return read_returns(returns_csv, funding, coins=coins, now_ms=time.time_ns() // MS)
    from slipstream.research.synthetic_bars import synthetic_bars

    return synthetic_bars(np.random.default_rng(seed), hours=hours)


def stamp_of(path: Path | None) -> tuple[int, int] | None:
    """What changes when a file, or a lake, does: time of change, ns, and size; None without one.

    A lake's folder stays as it is when files far below it change: its catalogue tells, which every change appends to.
    """
    if path is None or not path.exists():
        return None
    if path.is_dir():
        lake = path.parent if path.name.startswith("venue=") else path
        path = lake / CATALOGUE if (lake / CATALOGUE).is_file() else lake
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def chosen(bars: Bars, config: BarConfig) -> Bars:
    """The bars of the coins that a config trades. Raises ValueError if bars and config do not fit."""
    if bars.hours != config.signal.bar_hours:
        raise ValueError(
            f"the bars last {bars.hours:g} h, signal.bar_hours says {config.signal.bar_hours:g}: make them agree, such "
            f"as --set signal.bar_hours={bars.hours:g}"
        )
    absent = sorted(set(config.coins) - set(bars.coins))
    if absent:
        raise ValueError(f"coins: the bars have no {', '.join(absent)}; take them off the list or give bars of them")
    keep = [coin for coin in bars.coins if coin not in config.exclude and (not config.coins or coin in config.coins)]
    if len(keep) < 2:
        raise ValueError(f"{len(keep)} coins are left after coins and exclude: a long and a short side need 2")
    return bars.of(keep)


def funding_of(request: BacktestRequest) -> Literal["data", "none"]:
    """Whether funding is settled."""
    return "none" if request.no_funding else "data"


def as_plan(decided: Any) -> Any:
    """A strategy's decisions as what the vectorised account takes."""
    from slipstream.simulation.vectorised import Plan

    return Plan(targets=decided.targets, sigma_day=decided.sigma_day, daily_usd=decided.daily_usd)
