"""`slipstream sweep brawler --tape ...`: parameters of a strategy on ticks, chosen on the past, paid on what came next.

A run never looks ahead, so every set of parameters is run once, over all of the tapes; a fold chooses by what each had
earned in its training, and pays what the chosen one earned in its test. The account of the chosen one has run since
the tapes began: it is warm, and holds what it held.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from slipstream.core.portfolio.record import BacktestRecord
from slipstream.model.errors import ConfigError
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.bar_market import replaced
from slipstream.processes.sweep_run import SweepTerms, check_knobs, with_values
from slipstream.processes.sweep_worker import Objective, score_of
from slipstream.processes.tick_backtest import CAPITAL, checked, words_of
from slipstream.processes.tick_sweep_worker import WORK, Job, Ran
from slipstream.simulation.sweep.executor import Executor
from slipstream.simulation.sweep.folds import Fold, everything, walk_forward
from slipstream.simulation.sweep.knobs import Knob, Value

Array = npt.NDArray[np.float64]
Values = dict[str, Value]
MOST = 2_000  # points of a grid
HOUR_MS = 3_600_000.0


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One set of parameters and its account over all of the tapes."""

    number: int
    values: Values
    ran: Ran


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A fold's choice: which trial, its score in training, its profit there and in the test (USD), and its rank there.

    ``rank`` is its place among the trials by profit in the test, from 1.
    """

    fold: Fold
    trial: int
    score: float
    trained: float
    tested: float
    rank: int
    stamps: tuple[int, int]


class TickSweep(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep's end: all trials, every fold's choice, the account that followed the choices, and its default."""

    tried: tuple[Tried, ...]
    choices: tuple[Chosen, ...]
    record: BacktestRecord
    default: BacktestRecord
    matrix: Array
    names: tuple[str, ...]
    chosen: int
    hours: float


def points(knobs: Sequence[Knob], trials: int, seed: int) -> list[Values]:
    """Every point of a grid if all knobs are lists; else so many points drawn at random. Raises ConfigError."""
    if all(knob.choices for knob in knobs):
        count = int(np.prod([len(knob.choices) for knob in knobs]))
        if count > MOST:
            raise ConfigError(f"--param: a grid of {count} points; {MOST} at most: shorten the lists, or give ranges")
        keys = [knob.key for knob in knobs]
        return [dict(zip(keys, one, strict=True)) for one in itertools.product(*(knob.choices for knob in knobs))]
    rng = np.random.Generator(np.random.PCG64(seed))
    out: list[Values] = []
    while len(out) < trials:
        drawn = {knob.key: _drawn(knob, rng) for knob in knobs}
        if drawn in out and all(knob.whole or knob.choices for knob in knobs):
            trials -= 1  # a small space of whole numbers is soon known
            continue
        out.append(drawn)
    return out


def _drawn(knob: Knob, rng: np.random.Generator) -> Value:
    if knob.choices:
        return knob.choices[int(rng.integers(len(knob.choices)))]
    low, high = (np.log(knob.low), np.log(knob.high)) if knob.log else (knob.low, knob.high)
    value = float(rng.uniform(low, high))
    value = float(np.exp(value)) if knob.log else value
    value = min(max(value, knob.low), knob.high)
    return round(value) if knob.whole else value


def run_tick_sweep(
    request: BacktestRequest, terms: SweepTerms, executor: Executor, progress: Callable[[], None] = lambda: None
) -> TickSweep:
    """Run every trial and choose fold by fold. Raises ConfigError, ValueError."""
    request = anchored(replace(request, tick=checked(request)))
    check_knobs(request, terms.knobs)
    wanted = [{}, *points(terms.knobs, terms.search.trials, terms.search.seed)]
    jobs = [Job(request=with_values(request, values)) for values in wanted]
    found: dict[int, Ran] = {}
    for place, ran in executor.run(WORK, jobs):
        found[place] = ran
        if place == 0 and ran.stamps.size:
            folds_of(terms, ran.stamps)  # tapes too short for the folds are told now, not when all trials have run
        progress()
    default, *rest = (found[place] for place in range(len(jobs)))
    if not default.stamps.size:
        raise ConfigError(f"the config as it is cannot be run: {default.why}")
    tried = tuple(Tried(number=k, values=dict(wanted[k + 1]), ran=ran) for k, ran in enumerate(rest))
    return judged(request, terms, tried, default)


def anchored(request: BacktestRequest) -> BacktestRequest:
    """The request with absolute paths: workers may stand in another folder."""
    terms, config = request.tick, request.settings_path()
    assert terms is not None
    words = {name: getattr(terms, name) for name in ("anchor", "latency", "funding")}
    paths = {name: str(Path(text).resolve()) for name, text in words.items() if text and Path(text).exists()}
    tick = replace(terms, tapes=tuple(path.resolve() for path in terms.tapes), **paths)
    return replace(request, tick=tick, config=None if config is None else config.resolve())


def judged(request: BacktestRequest, terms: SweepTerms, tried: Sequence[Tried], default: Ran) -> TickSweep:
    """Choose on every fold's past. Raises ConfigError if nothing ever traded."""
    stamps, capital = default.stamps, request.capital or CAPITAL
    folds, hours = folds_of(terms, stamps)
    usable = [one for one in tried if one.ran.stamps.size == stamps.size]
    choices = tuple(_choose(fold, usable, capital, hours, terms.objective, stamps) for fold in folds)
    last = folds[-1]
    cut = slice(last.train_from, last.train_to)
    kept = [one for one in usable if one.ran.pnl[cut].any()]
    by_number = {one.number: one.ran for one in tried}
    spans = [slice(fold.test_from, fold.test_to) for fold in folds]
    return TickSweep(
        tried=tuple(tried),
        choices=choices,
        record=stitched(
            request,
            [(by_number[one.trial], span) for one, span in zip(choices, spans, strict=True)],
            terms.folds > 0,
            [knob.key for knob in terms.knobs],
        ),
        default=stitched(request, [(default, span) for span in spans], None),
        matrix=np.column_stack([one.ran.pnl[cut] / capital for one in kept]),
        names=tuple(name_of(one.values) for one in kept),
        chosen=[one.number for one in kept].index(choices[-1].trial),
        hours=hours,
    )


def folds_of(terms: SweepTerms, stamps: npt.NDArray[np.int64]) -> tuple[tuple[Fold, ...], float]:
    """The folds of an account with these stamps (ms), and the hours between two. Raises ConfigError: too few."""
    hours = float(np.median(np.diff(stamps))) / HOUR_MS if stamps.size > 1 else 0.0
    if terms.folds == 0 or not hours:
        return everything(stamps.size), hours
    gap = int(np.ceil(terms.gap_hours / hours))
    train = None if terms.train_days is None else round(terms.train_days * 24.0 / hours)
    return walk_forward(stamps.size, terms.folds, first_train=terms.first_train, gap=gap, train=train), hours


def _choose(
    fold: Fold,
    tried: Sequence[Tried],
    capital: float,
    hours: float,
    objective: Objective,
    stamps: npt.NDArray[np.int64],
) -> Chosen:
    past, test = slice(fold.train_from, fold.train_to), slice(fold.test_from, fold.test_to)
    scored = []
    for one in tried:
        earned = one.ran.pnl[past] / capital
        score = score_of(earned, hours, objective) if earned.any() else None
        if score is not None and np.isfinite(score):
            scored.append((score, -one.number, one))
    if not scored:
        raise ConfigError(
            f"fold {fold.number}: no trial ever traded in its training: give longer tapes or other values"
        )
    score, _, best = max(scored, key=lambda found: found[:2])
    profits = [float(one.ran.pnl[test].sum()) for one in tried]
    tested = float(best.ran.pnl[test].sum())
    return Chosen(
        fold=fold,
        trial=best.number,
        score=score,
        trained=float(best.ran.pnl[past].sum()),
        tested=tested,
        rank=1 + sum(profit > tested for profit in profits),
        stamps=(int(stamps[fold.test_from]), int(stamps[fold.test_to - 1])),
    )


def stitched(
    request: BacktestRequest, parts: Sequence[tuple[Ran, slice]], walked: bool | None, keys: Sequence[str] = ()
) -> BacktestRecord:
    """The account of the parts, one behind the other. ``walked`` None: the config as it is. ``keys``: searched."""
    joined = {
        name: np.concatenate([getattr(ran, name)[span] for ran, span in parts])
        for name in ("stamps", "pnl", "gross", "net", "turnover", "fees", "funding")
    }
    assert request.tick is not None
    capital, title = request.capital or CAPITAL, request.entry.title
    how = {
        True: "walk-forward: a fold's parameters were chosen on what came before it; the account of the chosen ones "
        "had run since the tapes began, and what it held passes on at the mid and without cost where a choice changes",
        False: "IN SAMPLE: the parameters were chosen on the very time shown here",
        None: "the config as it is, over the same time",
    }[walked]
    return BacktestRecord(
        slug=request.entry.slug,
        title=title if walked is not None else f"{title} (config as it is)",
        stamps=joined["stamps"],
        equity=capital + np.cumsum(joined["pnl"]),
        capital=capital,
        gross=joined["gross"],
        net=joined["net"],
        turnover=joined["turnover"],
        costs={"fee": joined["fees"]},
        funding=joined["funding"],
        coin_pnl={},
        assumptions=(how, *words_of(request.tick), *replaced(request, keys)),
        settings={"strategy": request.entry.slug, "seed": request.seed},
    )


def name_of(values: Values) -> str:
    """A trial as its parameters."""
    return ", ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    )
