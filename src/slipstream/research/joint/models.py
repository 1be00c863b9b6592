"""Price and funding models of one horizon, fitted fold by fold, and what each explained in every calendar week."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.core.funding.forecast import regress
from slipstream.core.funding.settlement import BASE_HOURLY
from slipstream.research.joint.folds import Fold
from slipstream.research.joint.samples import Normalised, Samples

Array = npt.NDArray[np.float64]
WEEK_MS = 7 * 24 * 3_600_000


class Forecasts(NamedTuple):
    """Out-of-sample forecasts (T, N), NaN outside the tests: residual return, funding paid by a long."""

    price: Array
    paid: Array


class Weekly(NamedTuple):
    """Squared errors of a forecast and of its training mean, summed by calendar week (weeks,), and how many values."""

    errors: Array
    spread: Array
    n: int

    @property
    def r2(self) -> float:
        """Over all weeks; NaN where nothing varied."""
        total = float(self.spread.sum())
        return 1.0 - float(self.errors.sum()) / total if total > 0.0 else float("nan")


def weeks_of(stamps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Calendar week of every stamp, counted from the first one's."""
    weeks = stamps // WEEK_MS
    found: npt.NDArray[np.int64] = weeks - weeks[0]
    return found


def walk(features: Array, target: Array, folds: tuple[Fold, ...]) -> tuple[Array, Array, Array]:
    """Forecasts (T, N), training means by row (T,), and the last fold's coefficients (intercept first).

    The last fold's coefficients are those fitted on the longest history. Raises ValueError where a fold cannot be
    fitted.
    """
    found, means = np.full(target.shape, np.nan), np.full(len(target), np.nan)
    coef = np.zeros(len(features) + 1)
    for fold in folds:
        past = features[:, : fold.train].reshape(len(features), -1).T
        coef = regress(past, target[: fold.train].ravel())
        rows = slice(fold.first, fold.last)
        found[rows] = np.tensordot(coef[1:], features[:, rows], axes=1) + coef[0]
        means[rows] = _mean(target[: fold.train])
    return found, means, coef


def means_of(target: Array, folds: tuple[Fold, ...]) -> Array:
    """Each test row's training mean; NaN outside the tests."""
    means = np.full(len(target), np.nan)
    for fold in folds:
        means[fold.first : fold.last] = _mean(target[: fold.train])
    return means


def _mean(x: Array) -> float:
    known = x[np.isfinite(x)]
    if known.size == 0:
        raise ValueError("a fold's training rows hold no target at all: give a longer history")
    return float(known.mean())


def weekly(target: Array, guess: Array, means: Array, weeks: npt.NDArray[np.int64]) -> Weekly:
    """Where target and guess are known and the row belongs to a test."""
    known = np.isfinite(target) & np.isfinite(guess) & np.isfinite(means)[:, None]
    error = np.where(known, target - guess, 0.0)
    apart = np.where(known, target - means[:, None], 0.0)
    count = int(weeks[-1]) + 1

    def by_week(x: Array) -> Array:
        return np.bincount(weeks, (x * x).sum(axis=1), minlength=count).astype(np.float64)

    return Weekly(by_week(error), by_week(apart), int(known.sum()))


class Fitted(NamedTuple):
    """One horizon: forecasts, what every one explained by week, and coefficients (intercept first) by model."""

    forecasts: Forecasts
    scores: Mapping[str, Weekly]
    coef: Mapping[str, Array]


def fit_money(sample: Samples, folds: tuple[Fold, ...], weeks: npt.NDArray[np.int64]) -> Fitted:
    """In money: ``funding``, ``last rate``, ``constant`` (the venue's base rate), ``price``, ``combined``."""
    paid, paid_means, paid_coef = walk(sample.funding_features, sample.paid, folds)
    price, price_means, price_coef = walk(sample.price_features, sample.price, folds)
    both = sample.price - sample.paid
    base = np.where(np.isfinite(sample.last_rate), sample.horizon * BASE_HOURLY, np.nan)
    scores = {
        "funding": weekly(sample.paid, paid, paid_means, weeks),
        "last_rate": weekly(sample.paid, sample.last_rate, paid_means, weeks),
        "constant": weekly(sample.paid, base, paid_means, weeks),
        "price": weekly(sample.price, price, price_means, weeks),
        "combined": weekly(both, price - paid, means_of(both, folds), weeks),
    }
    return Fitted(Forecasts(price, paid), scores, {"funding": paid_coef, "price": price_coef})


def fit_normalised(
    sample: Samples, scaled: Normalised, folds: tuple[Fold, ...], weeks: npt.NDArray[np.int64]
) -> dict[str, Weekly]:
    """The same in sigmas, the labelled diagnostic; ``combined`` adds sigmas of two kinds, as the recipe does."""
    paid, paid_means, _ = walk(scaled.funding_features, scaled.paid, folds)
    price, price_means, _ = walk(sample.price_features, scaled.price, folds)
    both = scaled.price - scaled.paid
    return {
        "funding": weekly(scaled.paid, paid, paid_means, weeks),
        "last_rate": weekly(scaled.paid, scaled.last_rate, paid_means, weeks),
        "constant": weekly(scaled.paid, scaled.constant, paid_means, weeks),
        "price": weekly(scaled.price, price, price_means, weeks),
        "combined": weekly(both, price - paid, means_of(both, folds), weeks),
    }
