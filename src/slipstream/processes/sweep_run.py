"""A walk-forward sweep: a search in each fold's past, and one account that lives through all that came next.

The account changes parameters where a fold's test begins, and pays for the change like for any other trade. Nothing
that it earns was seen by the search that chose for it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from slipstream.core.portfolio.record import BacktestRecord
from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.model.errors import ConfigError
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.bar_backtest import costs_of, record_of
from slipstream.processes.bar_market import as_plan, funding_of, market_of, settings_of
from slipstream.processes.sweep_worker import WORK, Job, Objective, Outcome, score_of
from slipstream.simulation.sweep.executor import Executor
from slipstream.simulation.sweep.folds import Fold, everything, walk_forward
from slipstream.simulation.sweep.knobs import Knob
from slipstream.simulation.sweep.search import SearchTerms, Trial, Values, Verdict, best_of, open_storage, search
from slipstream.simulation.vectorised import Plan
from slipstream.simulation.vectorised import backtest as run_plan

Array = npt.NDArray[np.float64]
STORAGE = "sweep.journal"


class SweepTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What to search and how. ``gap_hours`` lies between training and test; ``train_days`` None trains on all that is
    past. ``folds`` 0 searches and judges everything at once: in sample.
    """

    knobs: tuple[Knob, ...]
    search: SearchTerms = SearchTerms()
    folds: int = 4
    first_train: float = 0.4
    gap_hours: float = 24.0
    train_days: float | None = None
    objective: Objective = "sharpe"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a fold chose: its trials, the best of them, and its score in training and after. Times are ms UTC."""

    fold: Fold
    trials: tuple[Trial, ...]
    best: Trial
    after: float | None
    trained_to: int
    tested_from: int
    tested_to: int


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep's end. ``record`` is the walk-forward account, ``default`` the same time with the config as it is.

    ``matrix`` (T, N) holds the returns of all N parameter sets that any fold tried, over the last fold's training:
    what deflates the Sharpe ratio and what the probability of overfitting is estimated on. ``names`` says which they
    are, ``chosen`` which of them the last fold chose. Sets that could not be traded then have no column.
    """

    choices: tuple[Choice, ...]
    record: BacktestRecord
    default: BacktestRecord | None
    matrix: Array
    names: tuple[str, ...]
    chosen: int

    @property
    def trials(self) -> int:
        """All trials of all folds."""
        return sum(len(choice.trials) for choice in self.choices)


def folds_of(bars: Bars, terms: SweepTerms) -> tuple[Fold, ...]:
    """The folds of the bars. Raises ConfigError."""
    if terms.folds == 0:
        return everything(len(bars.opened))
    gap = int(np.ceil(terms.gap_hours / bars.hours))
    train = None if terms.train_days is None else round(terms.train_days * bars.bars_per_day)
    return walk_forward(len(bars.opened), terms.folds, first_train=terms.first_train, gap=gap, train=train)


def fingerprint(request: BacktestRequest, terms: SweepTerms) -> str:
    """What a stored search belongs to: data by content, config, parameters and terms. The number of trials may grow."""
    files = (request.bars, request.returns_csv, request.funding)
    said = {
        "files": [_digest(path) if path is not None else None for path in files],
        "config": settings_of(request).model_dump(mode="json"),
        "terms": msgspec.to_builtins(replace(terms, search=replace(terms.search, trials=1))),
        "costs": msgspec.to_builtins(costs_of(request)),
        "rest": [request.entry.slug, request.demo, request.seed, request.no_funding, request.capital],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _digest(path: Path) -> str:
    """A file's contents; of a lake, whose files are named by theirs, what files there are."""
    if path.is_dir():
        held = sorted(str(file.relative_to(path)) for file in path.rglob("*.parquet"))
        return hashlib.sha256("\n".join(held).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_sweep(
    request: BacktestRequest,
    terms: SweepTerms,
    executor: Executor,
    folder: Path,
    progress: Callable[[], None] = lambda: None,
) -> Sweep:
    """Search every fold and run the account. ``progress`` is called once a trial, also for those known already.

    Raises ConfigError and ValueError (what the user can mend).
    """
    request = anchored(request)
    check_knobs(request, terms.knobs)
    config: Any = settings_of(request)
    bars = market_of(request, config)
    capital = float(config.trade.capital) if request.capital is None else request.capital
    folds, mark, storage = folds_of(bars, terms), fingerprint(request, terms), open_storage(folder / STORAGE)
    chosen: list[tuple[Fold, list[Trial]]] = []
    for fold in folds:
        judge = _Judge(request, fold, capital, terms.objective, executor, progress)
        trials = search(storage, f"fold-{fold.number}", fold.number, terms.knobs, terms.search, mark, judge)
        for _ in range(len(trials) - judge.judged):
            progress()
        chosen.append((fold, trials))
    bests = [best_of(trials) for _, trials in chosen]
    record = _account(request, bars, capital, folds, [best.values for best in bests], terms)
    tried = _tried(chosen)
    again = [job_of(request, folds[-1], values, capital, terms.objective) for values in tried.values()]
    names, matrix = _matrix(executor, list(tried), again)
    choices = tuple(
        _choice(bars, fold, trials, best, record, terms) for (fold, trials), best in zip(chosen, bests, strict=True)
    )
    return Sweep(
        choices=choices,
        record=record,
        default=_default(request, bars, capital, folds, terms),
        matrix=matrix,
        names=names,
        chosen=names.index(next(name for name, values in tried.items() if values == bests[-1].values)),
    )


def anchored(request: BacktestRequest) -> BacktestRequest:
    """The request with absolute paths: workers may stand in another folder."""
    paths = {name: getattr(request, name) for name in ("bars", "funding", "returns_csv")}
    paths["config"] = request.settings_path()
    return replace(request, **{name: path.resolve() for name, path in paths.items() if path is not None})


def check_knobs(request: BacktestRequest, knobs: Sequence[Knob]) -> None:
    """Raises ConfigError for a key that the config lacks, before anything is computed."""
    for knob in knobs:
        ends = knob.choices or ((int(knob.low), int(knob.high)) if knob.whole else (knob.low, knob.high))
        for end in (ends[0], ends[-1]):
            try:
                settings_of(with_values(request, {knob.key: end}))
            except ConfigError as error:
                raise ConfigError(f"--param {knob.key}: {end} cannot be: {error}") from None
        if knob.key in request.overrides:
            raise ConfigError(f"{knob.key} is set and searched; take --set or --param away")


def with_values(request: BacktestRequest, values: Values) -> BacktestRequest:
    """The request with a trial's parameters."""
    return replace(request, overrides={**request.overrides, **values})


def job_of(request: BacktestRequest, fold: Fold, values: Values, capital: float, objective: Objective) -> Job:
    """A trial's job in a fold."""
    return Job(
        request=with_values(request, values),
        first=fold.train_from,
        last=fold.train_to,
        capital=capital,
        objective=objective,
    )


class _Judge:
    """Has a batch of parameters computed."""

    def __init__(
        self,
        request: BacktestRequest,
        fold: Fold,
        capital: float,
        objective: Objective,
        executor: Executor,
        progress: Callable[[], None],
    ) -> None:
        self.executor, self.progress = executor, progress
        self.judged = 0
        self._terms = request, fold, capital, objective

    def __call__(self, batch: Sequence[Values]) -> Iterator[tuple[int, Verdict]]:
        request, fold, capital, objective = self._terms
        jobs = [job_of(request, fold, values, capital, objective) for values in batch]
        for place, outcome in self.executor.run(WORK, jobs):
            self.judged += 1
            self.progress()
            yield place, Verdict(outcome.score, outcome.why)


def _account(
    request: BacktestRequest,
    bars: Bars,
    capital: float,
    folds: Sequence[Fold],
    values: Sequence[Values],
    terms: SweepTerms,
) -> BacktestRecord:
    """One account over every test in turn, each with its own parameters."""
    targets: dict[int, Array] = {}
    sigma, usd = np.zeros(bars.close.shape), np.zeros(bars.close.shape)
    config: Any = None
    for fold, chosen in zip(folds, values, strict=True):
        config = settings_of(with_values(request, chosen))
        decided = as_plan(request.entry.hook("decisions")(bars.until(fold.test_to), config))
        first = max(fold.test_from - 1, 0)
        cut = slice(first, fold.test_to)
        sigma[cut], usd[cut] = decided.sigma_day[cut], decided.daily_usd[cut]
        in_force = [t for t in decided.targets if t <= first]
        if in_force:
            targets[first] = _known(decided.targets[max(in_force)], bars.close[first])
        targets |= {t: w for t, w in decided.targets.items() if first < t < fold.test_to - 1}
    plan = Plan(targets=targets, sigma_day=sigma, daily_usd=usd)
    costs = costs_of(request)
    result = run_plan(bars, plan, costs=costs, capital=capital, funding=funding_of(request))
    if not (result.turnover > 0.0).any():
        raise ConfigError("nothing was ever held after training: give more history")
    record = record_of(request, config, bars, result, costs)
    how = (
        f"walk-forward: {len(folds)} times parameters were chosen on the past and paid on what came next"
        if terms.folds
        else "IN SAMPLE: the parameters were chosen on the very bars shown here"
    )
    settings = {**record.settings, "parameters by fold": [dict(chosen) for chosen in values]}
    return _of(record, assumptions=(how, *record.assumptions), settings=settings)


def _known(weights: Array, closes: Array) -> Array:
    """Weights taken over at a later bar: a coin without that bar is left out."""
    return np.where(np.isfinite(closes), weights, 0.0)


def _of(record: BacktestRecord, **changes: Any) -> BacktestRecord:
    return dataclasses.replace(record, **changes)


def _default(
    request: BacktestRequest, bars: Bars, capital: float, folds: Sequence[Fold], terms: SweepTerms
) -> BacktestRecord | None:
    """The same time with the config as it is; None if it never held anything."""
    try:
        record = _account(request, bars, capital, folds, [{}] * len(folds), terms)
    except ConfigError:
        return None
    said = ("the config as it is, over the same time", *record.assumptions[1:])
    return _of(record, title=f"{record.title} (config as it is)", assumptions=said)


def _tried(chosen: Sequence[tuple[Fold, Sequence[Trial]]]) -> dict[str, Values]:
    """Every set of parameters that was tried, once, under the name of its first trial."""
    out: dict[str, Values] = {}
    for fold, trials in chosen:
        for trial in trials:
            if trial.values not in out.values():
                out[f"fold {fold.number} trial {trial.number}"] = trial.values
    return out


def _matrix(executor: Executor, names: Sequence[str], jobs: Sequence[Job]) -> tuple[tuple[str, ...], Array]:
    """Returns (T, N) of the jobs that have a score, and their names, in order."""
    found: dict[int, Outcome] = dict(executor.run(WORK, jobs))
    scored = [place for place in sorted(found) if found[place].score is not None]
    return tuple(names[place] for place in scored), np.column_stack([found[place].returns for place in scored])


def _choice(
    bars: Bars, fold: Fold, trials: list[Trial], best: Trial, record: BacktestRecord, terms: SweepTerms
) -> Choice:
    ends = bars.opened + round(bars.hours * HOUR_MS)
    inside = (record.stamps > bars.opened[fold.test_from]) & (record.stamps <= ends[fold.test_to - 1])
    after = record.returns[inside]
    return Choice(
        fold=fold,
        trials=tuple(trials),
        best=best,
        after=score_of(after, bars.hours, terms.objective) if after.size > 1 else None,
        trained_to=int(ends[fold.train_to - 1]),
        tested_from=int(bars.opened[fold.test_from]),
        tested_to=int(ends[fold.test_to - 1]),
    )
