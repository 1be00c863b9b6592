"""Gradient's decisions over a history of bars, made by what the live pod runs: `strategies.gradient.target.Signals`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from slipstream.core.portfolio.books import Book, BookTerms, build_book, ineligible
from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.simulation.gradient_study import Case
from slipstream.simulation.vectorised import Plan
from slipstream.strategies.gradient.config import GradientConfig
from slipstream.strategies.gradient.target import Signals

Array = npt.NDArray[np.float64]
LEAST_COINS = 20
PAST_DAYS = 30


def replay(bars: Bars, config: GradientConfig) -> Iterator[tuple[int, Signals]]:
    """The signals after each closed bar. The same object is handed out again and again."""
    signals = Signals(bars.coins, config)
    for t in range(len(bars.opened)):
        signals.update(bars.close[t], bars.volume_usd[t])
        yield t, signals


def due(bars: Bars, t: int, hours: float) -> bool:
    """Whether a decision falls on the close of bar ``t``: at multiples of ``hours`` since 1970, at most every bar."""
    closed = int(bars.opened[t]) + round(bars.hours * HOUR_MS)
    return closed % max(round(hours * HOUR_MS), round(bars.hours * HOUR_MS)) == 0


def weights(book: Book, coins: Sequence[str]) -> Array:
    """A book's weights in the order of the coins."""
    return np.array([book.weights.get(coin, 0.0) for coin in coins])


def plan(bars: Bars, config: GradientConfig) -> Plan:
    """What Gradient would have held."""
    known = _Known(bars)
    targets: dict[int, Array] = {}
    for t, signals in replay(bars, config):
        known.keep(t, signals)
        if due(bars, t, config.trade.rebalance_hours):
            book = signals.book()
            if book.weights or targets:  # a book that nobody fits into closes what was held, as in the live pod
                targets[t] = weights(book, bars.coins)
    return known.plan(targets)


class _Known:
    """A day's volatility and volume by bar, as they were known then."""

    def __init__(self, bars: Bars) -> None:
        self.a_day = bars.bars_per_day
        self.sigma, self.usd = np.zeros(bars.close.shape), np.zeros(bars.close.shape)

    def keep(self, t: int, signals: Signals) -> None:
        self.sigma[t] = signals.panel.vol * self.a_day**0.5
        self.usd[t] = signals.daily_usd()

    def plan(self, targets: dict[int, Array]) -> Plan:
        return Plan(targets=targets, sigma_day=self.sigma, daily_usd=self.usd)


class _Moment:
    """The market as Gradient knows it after one bar, for building many books of it."""

    def __init__(self, bars: Bars, t: int, signals: Signals) -> None:
        config, panel = signals.config, signals.panel
        self.bars, self.t, self.a_day = bars, t, config.bars_per_day
        here = np.isfinite(bars.close[t])
        self.strength = np.where(here, panel.strength(), np.nan)
        self.vol, self.usd, self.cov = panel.vol, signals.daily_usd(), panel.covariance
        coin = config.book.beta_coin
        self.beta = panel.betas(coin) if coin in bars.coins else np.zeros(len(bars.coins))
        terms = config.terms()
        rows = zip(self.strength, self.vol, self.usd, strict=True)
        self.able = np.array([not ineligible(float(s), float(v), float(d), terms) for s, v, d in rows])

    def book(self, strength: Array, terms: BookTerms) -> Array:
        built = build_book(self.bars.coins, strength, self.vol, self.usd, self.beta, self.cov, terms, self.a_day)
        return weights(built, self.bars.coins)

    def long(self) -> Array:
        """Equal weights, long, everything eligible."""
        out: Array = self.able / self.able.sum()
        return out

    def past(self, back: int) -> Array:
        """Sign of the past return, inverse volatility, everything eligible, gross 1."""
        before = self.bars.close[self.t - back] if self.t >= back else np.full(len(self.able), np.nan)
        sign = np.nan_to_num(np.sign(self.bars.close[self.t] - before))
        w = np.where(self.able, sign / np.where(self.able, self.vol, 1.0), 0.0)
        total = float(np.abs(w).sum())
        return w / total if total > 0.0 else w


def study_plans(
    bars: Bars,
    config: GradientConfig,
    rng: np.random.Generator,
    *,
    fractions: Sequence[float] = (0.05, 0.1, 0.2, 0.3),
    hours: Sequence[int] = (4, 8, 24, 48, 168),
    weightings: Sequence[str] = ("inverse_vol", "equal"),
    progress: Callable[[], None] = lambda: None,
) -> dict[Case, Plan]:
    """Gradient at every concentration, frequency and weighting, and the baselines at every frequency.

    Decisions begin when ``LEAST_COINS`` are eligible. ``random`` draws its books anew at each decision, from the
    eligible, and builds them as Gradient does. ``progress`` is called after each bar.
    """
    targets: dict[Case, dict[int, Array]] = {}
    known, begun = _Known(bars), False
    for t, signals in replay(bars, config):
        known.keep(t, signals)
        progress()
        now = [h for h in hours if due(bars, t, h)]
        if not now:
            continue
        moment = _Moment(bars, t, signals)
        begun = begun or int(moment.able.sum()) >= LEAST_COINS
        if not begun or not moment.able.any():
            continue
        for name, fraction, weighting, w in _books(moment, config.terms(), rng, fractions, weightings):
            for h in now:
                targets.setdefault(Case(name, fraction, h, weighting), {})[t] = w
    if not begun:
        raise ValueError(
            f"never were {LEAST_COINS} coins eligible at once: the study needs more coins or a longer history"
        )
    return {case: known.plan(found) for case, found in sorted(targets.items())}


def _books(
    moment: _Moment, base: BookTerms, rng: np.random.Generator, fractions: Sequence[float], weightings: Sequence[str]
) -> Iterator[tuple[str, float, str, Array]]:
    for fraction in fractions:
        for weighting in weightings:
            terms = replace(base, top_n=0, top_fraction=fraction, weighting=weighting)
            yield "gradient", fraction, weighting, moment.book(moment.strength, terms)
        luck = np.where(np.isfinite(moment.strength), rng.normal(size=len(moment.strength)), np.nan)
        terms = replace(base, top_n=0, top_fraction=fraction, weighting="inverse_vol")
        yield "random", fraction, "inverse_vol", moment.book(luck, terms)
    yield "long", 0.0, "equal", moment.long()
    yield f"past {PAST_DAYS} d", 0.0, "inverse_vol", moment.past(round(PAST_DAYS * moment.a_day))
