"""Training of the model that Carry trades on: features bar by bar, walk-forward judgement, a sealed artefact.

Features come from `slipstream.core.forecast.features`, the object that the pod feeds; targets are the residual return
and the funding of the next H hours. Every R² is in money units and out of sample, against the training mean, beside
the forecasts that cost nothing (the last rate, the venue's base rate), with an interval by resampled weeks. The price
model is used only where the lower end of its interval is above 0, unless told otherwise. Reference: section 12.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.factors.timescale import ahead
from slipstream.core.forecast.artefact import VERSION, Artefact, Linear, sealed
from slipstream.core.forecast.drift import spread_of
from slipstream.core.forecast.features import Features, FeatureSpec
from slipstream.core.funding.forecast import regress
from slipstream.core.funding.settlement import BASE_HOURLY
from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.core.stats.bootstrap import many_indices
from slipstream.research.joint.folds import walk_forward
from slipstream.research.joint.models import Weekly, means_of, walk, weekly, weeks_of

Array = npt.NDArray[np.float64]
DAY_MS = 24 * HOUR_MS


class TrainTerms(msgspec.Struct, frozen=True, kw_only=True):
    """``folds`` of walk-forward, days that a model may be used, ``price`` model: as it earns it, or by decree."""

    folds: int = 5
    valid_days: float = 45.0
    price: Literal["auto", "always", "never"] = "auto"
    draws: int = 1_000


class Dataset(NamedTuple):
    """``stamps`` (T,) closes, ms UTC; features (F, T, N); targets (T, N) of the next horizon; the last rate times H."""

    stamps: npt.NDArray[np.int64]
    price_features: Array
    funding_features: Array
    price: Array
    paid: Array
    last_rate: Array

    def between(self, first: int, last: int) -> Dataset:
        """The rows from ``first`` on, up to and without ``last``."""
        rows = slice(first, last)
        return Dataset(
            self.stamps[rows],
            self.price_features[:, rows],
            self.funding_features[:, rows],
            self.price[rows],
            self.paid[rows],
            self.last_rate[rows],
        )

    def known_at(self, row: int, width: int) -> Dataset:
        """What was known at the close of a row: the rows until it, without targets that reach beyond it."""
        past = self.between(0, row + 1)
        known = np.arange(row + 1)[:, None] + width <= row
        return past._replace(price=np.where(known, past.price, np.nan), paid=np.where(known, past.paid, np.nan))


def rates_of(bars: Bars) -> Array:
    """Mean hourly rate of every bar; NaN where a settlement is missing. Raises ValueError without funding."""
    if bars.funding is None:
        raise ValueError("the bars carry no funding: Carry's model is of funding; give a funding file")
    lacking = bars.funding_gaps > 0 if bars.funding_gaps is not None else np.zeros(bars.close.shape, dtype=bool)
    rates: Array = np.where(lacking | ~np.isfinite(bars.close), np.nan, bars.funding / bars.hours)
    return rates


def dataset(bars: Bars, spec: FeatureSpec) -> Dataset:
    """Features at every close and what came after it. Raises ValueError: bars of another length, or no funding."""
    if bars.hours != spec.bar_hours:
        raise ValueError(f"the bars last {bars.hours:g} h, the features want {spec.bar_hours} h")
    rates, shape = rates_of(bars), bars.close.shape
    features = Features(bars.coins, spec)
    price = np.full((len(spec.price_spans), *shape), np.nan)
    funding = np.full((len(spec.funding_spans), *shape), np.nan)
    betas, portfolios, returns = (np.full(shape, np.nan) for _ in range(3))
    for t in range(shape[0]):
        features.update(bars.close[t], bars.volume_usd[t], rates[t])
        price[:, t], funding[:, t], returns[t] = features.price(), features.funding(), features.last_return
        if features.market is not None:
            betas[t], portfolios[t] = features.market.beta, features.market.portfolio
    total = ahead(returns, spec.width)
    # a coin that stops within the horizon leaves the factor's return by its part, not the whole of it
    market = np.nansum(portfolios * total, axis=1)
    known = np.isfinite(price).all(axis=0)
    last = np.where(np.isfinite(funding).all(axis=0), spec.horizon_hours * rates, np.nan)
    return Dataset(
        stamps=bars.opened + round(bars.hours * HOUR_MS),
        price_features=price,
        # one model of the coins that can be held: those with a beta
        funding_features=np.where(known, funding, np.nan),
        price=total - betas * market[:, None],
        paid=ahead(spec.bar_hours * rates, spec.width),
        last_rate=np.where(known, last, np.nan),
    )


def train(
    bars: Bars,
    spec: FeatureSpec,
    terms: TrainTerms,
    rng: np.random.Generator,
    config: dict[str, Any] | None = None,
    data: Dataset | None = None,
) -> Artefact:
    """A model of all the bars. ``rng`` resamples weeks. Raises ValueError where the history is too short."""
    data = data if data is not None else dataset(bars, spec)
    rows = np.flatnonzero(np.isfinite(data.price_features[-1]).any(axis=1))
    if rows.size == 0:
        raise ValueError(
            f"{len(bars.opened)} bars hold no feature: the factor needs {spec.history + 1} bars without a gap of "
            "three coins at least"
        )
    first = int(rows[0])
    cut = data.between(first, len(data.stamps))
    metrics, errors = judged(cut, spec, terms, rng)
    fitted = {
        name: regress(features.reshape(len(features), -1).T, target.ravel())
        for name, features, target in (
            ("price", cut.price_features, cut.price),
            ("funding", cut.funding_features, cut.paid),
        )
    }
    low = metrics["price_r2_low"]
    used = terms.price == "always" or (terms.price == "auto" and low is not None and low > 0.0)
    values = dict(zip(spec.names, (*cut.price_features, *cut.funding_features), strict=True))
    spreads = {name: spread_of(row) for name, row in {**values, "error_funding": errors}.items()}
    end = int(data.stamps[-1])
    return sealed(
        Artefact(
            version=VERSION,
            spec=spec,
            spec_hash=spec.hash,
            price=Linear(tuple(map(float, fitted["price"][1:])), float(fitted["price"][0]), used),
            funding=Linear(tuple(map(float, fitted["funding"][1:])), float(fitted["funding"][0])),
            trained_from_ms=int(cut.stamps[0]),
            trained_to_ms=end,
            valid_until_ms=end + round(terms.valid_days * DAY_MS),
            data_hash=data_hash(bars),
            config={**(config or {}), "train": msgspec.to_builtins(terms), "coins": list(bars.coins)},
            metrics=metrics,
            spreads=spreads,
        )
    )


def judged(
    data: Dataset, spec: FeatureSpec, terms: TrainTerms, rng: np.random.Generator
) -> tuple[dict[str, float | None], Array]:
    """Out-of-sample figures, and the errors of the funding forecast (T, N; NaN outside tests). Raises ValueError."""
    folds = walk_forward(len(data.stamps), spec.width, count=terms.folds)
    weeks = weeks_of(data.stamps)
    paid, means, _ = walk(data.funding_features, data.paid, folds)
    price, price_means, _ = walk(data.price_features, data.price, folds)
    both = data.price - data.paid
    base = np.where(np.isfinite(data.last_rate), spec.horizon_hours * BASE_HOURLY, np.nan)
    scores = {
        "funding": weekly(data.paid, paid, means, weeks),
        "last_rate": weekly(data.paid, data.last_rate, means, weeks),
        "base_rate": weekly(data.paid, base, means, weeks),
        "price": weekly(data.price, price, price_means, weeks),
        "combined": weekly(both, price - paid, means_of(both, folds), weeks),
    }
    out: dict[str, float | None] = {}
    for name, found in scores.items():
        low, high = interval_of(found, terms.draws, rng)
        out |= {f"{name}_r2": _known(found.r2), f"{name}_r2_low": _known(low), f"{name}_r2_high": _known(high)}
    errors = data.paid - paid
    out["funding_error_bp"] = _known(1e4 * float(np.nanstd(errors)))
    out["test_values"] = float(scores["funding"].n)
    return out, errors


def interval_of(score: Weekly, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """95 % interval of an R² by resampled weeks; NaN where fewer than three weeks were tested."""
    held = np.flatnonzero(score.spread > 0.0)
    if held.size < 3:
        return float("nan"), float("nan")
    picks = held[many_indices(held.size, 2.0, draws, rng)]
    values = 1.0 - score.errors[picks].sum(axis=1) / score.spread[picks].sum(axis=1)
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _known(x: float) -> float | None:
    return x if np.isfinite(x) else None


def data_hash(bars: Bars) -> str:
    """What tells two sets of bars apart."""
    digest = hashlib.sha256("|".join(bars.coins).encode())
    for table in (bars.opened, bars.close, bars.volume_usd, bars.funding):
        if table is not None:
            digest.update(np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()
