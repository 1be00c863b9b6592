"""The page of a reproduction: the verdict, what was claimed, holding periods, backtests, and what the run took."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from slipstream.research.joint import tables
from slipstream.research.joint.claims import CLAIMS, SOURCE, Check, summary
from slipstream.research.joint.study import Horizon, JointStudy
from slipstream.research.report.chapters import Chapter, Tile
from slipstream.research.report.charts import Picture, whiskers

TITLE = "The research, reproduced"


class Step(msgspec.Struct, frozen=True):
    """One step: what was done, its seconds, the process's peak memory at its end (MB), and what came of it."""

    name: str
    seconds: float
    peak_mb: float
    outcome: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy's backtest: its figures as text, its equity as a picture, its report's path from the page."""

    row: dict[str, str]
    equity: Picture
    report: str


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a page says. ``notes`` are of the data, ``missing`` of strategies that were not run, and why."""

    found: JointStudy
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    runs: tuple[Run, ...]
    missing: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """Of all steps, by the clock."""
        return sum(step.seconds for step in self.steps)

    @property
    def peak_mb(self) -> float:
        """The most memory that the process held."""
        return max(step.peak_mb for step in self.steps)

    @property
    def about(self) -> str:
        """When and how it was tested, in a sentence."""
        found = self.found
        return (
            f"Out of sample from {tables.when(found.first_ms)} to {tables.when(found.last_ms)} UTC: "
            f"{found.terms.folds} expanding folds, {found.weeks} weeks, {found.terms.draws} resamples, "
            f"embargo {found.terms.embargo_hours} h."
        )


def tiles(whole: Reproduction) -> tuple[Tile, ...]:
    """The four figures that a reader wants first."""
    held = sum(check.holds for check in whole.checks)
    best = next(one for one in whole.found.horizons if one.hours == whole.found.best)
    ratio = best.books["joint"].ratio
    known = whole.found.horizons[0]
    return (
        Tile("Claims that hold", f"{held} of {len(whole.checks)}", "figures and statements, below"),
        Tile(
            f"Funding R², money, {known.hours} h",
            f"{known.money['funding'].estimate:.2f}",
            f"last rate {known.money['last_rate'].estimate:.2f}",
        ),
        Tile(f"Best net ratio, {best.hours} h", f"{ratio.estimate:.2f}", f"95 %: {ratio.low:.2f} to {ratio.high:.2f}"),
        Tile("Time and memory", f"{whole.seconds:.0f} s", f"peak memory {whole.peak_mb:,.0f} MB"),
    )


def chapters(whole: Reproduction) -> tuple[Chapter, ...]:
    """The page in its order."""
    found = whole.found
    return (
        Chapter(
            title="What was claimed, and what is found",
            lines=(summary(whole.checks), SOURCE),
            pictures=_claimed(found.horizons),
            tables=(tuple(check.row for check in whole.checks),),
            words=("figure",),
            judged="inside",
            grouped=True,
        ),
        Chapter(
            title="Holding periods, in money",
            pictures=(_known(found.horizons), _ratios(found)),
            tables=(tables.money_rows(found), tables.book_rows(found)),
            said=tables.ASSUMPTIONS,
        ),
        Chapter(
            title="In sigmas: a diagnostic, nothing to choose by",
            lines=(tables.DIAGNOSTIC,),
            tables=(tables.sigma_rows(found),),
        ),
        Chapter(
            title="Backtests",
            lines=whole.missing,
            pictures=tuple(run.equity for run in whole.runs),
            tables=(tuple(run.row for run in whole.runs),),
            words=("strategy",),
            links=tuple((f"Report: {run.row['strategy']}", run.report) for run in whole.runs),
        ),
        Chapter(
            title="What it took",
            lines=(f"Whole run: {whole.seconds:.0f} s, peak memory {whole.peak_mb:,.0f} MB.",),
            tables=(tuple(_step(step) for step in whole.steps),),
            words=("outcome",),
        ),
        Chapter(title="What was found in the data", said=tuple(f"{note}." for note in whole.notes)),
    )


def _step(step: Step) -> dict[str, str]:
    return {
        "step": step.name,
        "seconds": f"{step.seconds:.1f}",
        "peak memory, MB": f"{step.peak_mb:,.0f}",
        "outcome": step.outcome,
    }


def _claimed(horizons: Sequence[Horizon]) -> tuple[Picture, ...]:
    rows, tones = [], []
    for one in horizons:
        if one.hours in CLAIMS:
            rows += [
                (f"{one.hours} h, here", *one.money["funding"]),
                (f"{one.hours} h, claimed", *CLAIMS[one.hours].funding),
            ]
            tones += [0, 1]
    if not rows:
        return ()
    return (whiskers("R² of funding in money", "regression on EWMAs; 95 % intervals", rows, tones=tones),)


def _known(horizons: Sequence[Horizon]) -> Picture:
    return whiskers(
        "How much of the funding to come is known, R² in money",
        "out of sample; intervals over calendar weeks",
        [
            (f"{one.hours} h, {said}", *one.money[name])
            for one in horizons
            for name, said in (("funding", "regression"), ("last_rate", "last rate"))
        ],
        tones=[0, 1] * len(horizons),
    )


def _ratios(found: JointStudy) -> Picture:
    return whiskers(
        "Net profit over its deviation, a year",
        f"best tenth against worst, after {found.terms.cost * 1e4:g} bp of turnover",
        [(f"{one.hours} h, {name}", *book.ratio) for one in found.horizons for name, book in one.books.items()],
        tones=[k for one in found.horizons for k in range(len(one.books))],
    )
