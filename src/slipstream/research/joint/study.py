"""Which holding period, if any: models of price and funding at several horizons, judged by what they earn after cost.

R² at different horizons are R² of different targets and are not compared to choose one. The choice is on net profit per
unit of time, over the same calendar weeks, corrected for having looked at several. Reference: mathematical
specification, section 12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.stats.bootstrap import Interval
from slipstream.research.joint.folds import walk_forward
from slipstream.research.joint.models import Fitted, Weekly, fit_money, fit_normalised, weeks_of
from slipstream.research.joint.panel import Panel
from slipstream.research.joint.profit import BookProfit, book_profit, by_week, decile_books
from slipstream.research.joint.quantiles import Tenth, quantile_table
from slipstream.research.joint.resampling import Choice, choose, r2_interval, week_draws
from slipstream.research.joint.samples import Samples, SampleTerms, normalised, samples

Array = npt.NDArray[np.float64]
BOOKS = ("joint", "carry")


class StudyTerms(msgspec.Struct, frozen=True, kw_only=True):
    """``cost`` is a fraction of every unit of notional traded; ``embargo_hours`` widens the gap before a test."""

    sample: SampleTerms = SampleTerms()
    folds: int = 5
    test_part: float = 0.6
    embargo_hours: int = 24
    draws: int = 1000
    cost: float = 3.5e-4
    level: float = 0.05


class BookFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Means of one book a period of H hours, fractions of the gross; ``turnover`` in units of it."""

    price: float
    funding: float
    cost: float
    net: float
    turnover: float
    decisions: int
    ratio: Interval
    p_value: float
    best_share: float
    behind: Interval


class Horizon(msgspec.Struct, frozen=True, kw_only=True):
    """One holding period: R² in money and (diagnostic) in sigmas with intervals, books, tenths, coefficients."""

    hours: int
    rows: int
    money: Mapping[str, Interval]
    sigmas: Mapping[str, Interval]
    books: Mapping[str, BookFigures]
    tenths: tuple[Tenth, ...]
    coef: Mapping[str, tuple[float, ...]]


class JointStudy(msgspec.Struct, frozen=True, kw_only=True):
    """All horizons. ``best`` has the greatest net ratio of the joint book; ``distinguishable`` says whether it is more
    than the luckiest of as many books without profit would show, at ``terms.level``.
    """

    horizons: tuple[Horizon, ...]
    best: int
    distinguishable: bool
    p_value: float
    weeks: int
    first_ms: int
    last_ms: int
    terms: StudyTerms

    @property
    def verdict(self) -> str:
        """The choice in a sentence."""
        count = len(self.horizons)
        found = next(h for h in self.horizons if h.hours == self.best)
        ratio = found.books["joint"].ratio
        figure = (
            f"H = {self.best} h has the greatest net ratio of {count}: {ratio.estimate:.2f} a year "
            f"[{ratio.low:.2f}, {ratio.high:.2f}] after {self.terms.cost * 1e4:g} bp of turnover, "
            f"p = {self.p_value:.3f} corrected for {count} horizons"
        )
        if self.distinguishable:
            return f"{figure}. It is distinguishable from no profit at the {self.terms.level:.0%} level."
        return f"No H is distinguishable from none. {figure}."


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one horizon leaves before the horizons are compared."""

    sample_rows: int
    width: int
    fitted: Fitted
    sigmas: Mapping[str, Weekly]
    books: Mapping[str, BookProfit]
    tenths: tuple[Tenth, ...]


def study(
    panel: Panel,
    horizons: Sequence[int],
    terms: StudyTerms,
    rng: np.random.Generator,
    progress: Callable[[], None] = lambda: None,
) -> JointStudy:
    """Fit, score and compare. ``progress`` is called after each horizon.

    Raises ValueError: no or repeated horizons, one that is not whole bars, a history too short for the folds.
    """
    if not horizons or len(set(horizons)) != len(horizons):
        raise ValueError(f"horizons {list(horizons)}: give at least one, each once")
    parts = {}
    for hours in horizons:
        parts[hours] = _part(panel, hours, terms)
        progress()
    weeks = weeks_of(panel.stamps)
    used = np.all([part.fitted.scores["funding"].spread > 0.0 for part in parts.values()], axis=0)
    counts = week_draws(used, terms.draws, rng)
    choices: dict[str, Choice] = {}
    for name in BOOKS:
        profits = [by_week(part.books[name].net, panel.stamps, part.width) for part in parts.values()]
        choices[name] = choose(np.where(used[:, None], np.stack(profits, axis=1), 0.0), counts)
    found = tuple(
        _horizon(hours, part, counts, {name: (choices[name], k) for name in BOOKS})
        for k, (hours, part) in enumerate(parts.items())
    )
    choice = choices["joint"]
    tested = np.flatnonzero(used[weeks])
    return JointStudy(
        horizons=found,
        best=found[choice.best].hours,
        distinguishable=choice.p_value[choice.best] < terms.level,
        p_value=choice.p_value[choice.best],
        weeks=int(used.sum()),
        first_ms=int(panel.stamps[tested[0]]),
        last_ms=int(panel.stamps[tested[-1]]),
        terms=terms,
    )


def _part(panel: Panel, hours: int, terms: StudyTerms) -> _Part:
    sample = samples(panel, hours, terms.sample)
    scaled = normalised(panel, sample, terms.sample)
    embargo = -(-terms.embargo_hours // panel.hours)
    folds = walk_forward(len(panel.stamps), sample.width, count=terms.folds, test_part=terms.test_part, embargo=embargo)
    weeks = weeks_of(panel.stamps)
    fitted = fit_money(sample, folds, weeks)
    return _Part(
        sample_rows=fitted.scores["funding"].n,
        width=sample.width,
        fitted=fitted,
        sigmas=fit_normalised(sample, scaled, folds, weeks),
        books=_books(panel, sample, fitted, terms.cost),
        tenths=tuple(quantile_table(sample, fitted.forecasts, scaled, weeks)),
    )


def _books(panel: Panel, sample: Samples, fitted: Fitted, cost: float) -> dict[str, BookProfit]:
    """The joint book by alpha less funding, and the carry book by funding alone, of the same coins."""
    guess = fitted.forecasts
    both = np.isfinite(guess.price) & np.isfinite(guess.paid)
    scores = {"joint": guess.price - guess.paid, "carry": -guess.paid}
    return {
        name: book_profit(panel, decile_books(np.where(both, score, np.nan)), sample.width, cost)
        for name, score in scores.items()
    }


def _horizon(hours: int, part: _Part, counts: Array, choices: Mapping[str, tuple[Choice, int]]) -> Horizon:
    books = {}
    for name, (choice, k) in choices.items():
        book = part.books[name]
        books[name] = BookFigures(
            **{field: float(np.nanmean(getattr(book, field))) for field in ("price", "funding", "cost", "turnover")},
            net=float(np.nanmean(book.net)),
            decisions=int(np.isfinite(book.price).sum()),
            ratio=choice.ratio[k],
            p_value=choice.p_value[k],
            best_share=choice.best_share[k],
            behind=choice.behind[k],
        )
    return Horizon(
        hours=hours,
        rows=part.sample_rows,
        money={name: r2_interval(weekly, counts) for name, weekly in part.fitted.scores.items()},
        sigmas={name: r2_interval(weekly, counts) for name, weekly in part.sigmas.items()},
        books=books,
        tenths=part.tenths,
        coef={name: tuple(float(c) for c in values) for name, values in part.fitted.coef.items()},
    )
