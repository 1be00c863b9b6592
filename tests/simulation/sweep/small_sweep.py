"""A sweep small enough to run anywhere: a few coins, a few weeks, a few trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.sweep_run import Sweep, SweepTerms, run_sweep
from slipstream.research.synthetic_bars import synthetic_bars
from slipstream.simulation.sweep.executor import Executor, call
from slipstream.simulation.sweep.knobs import parse_knobs
from slipstream.simulation.sweep.search import SearchTerms
from slipstream.strategies.registry import find

KNOBS = ("signal.lookback=1:12:int:log", "book.gross_leverage=0.2:1.5")
DAYS = 45


class Inline:
    """An executor without workers; ``stops`` raises KeyboardInterrupt before so many jobs."""

    def __init__(self, stops: int = 1 << 30, *, backwards: bool = False) -> None:
        self.stops, self.backwards, self.done = stops, backwards, 0

    def run(self, work: str, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        places = range(len(jobs))
        for place in reversed(places) if self.backwards else places:
            if self.done >= self.stops:
                raise KeyboardInterrupt
            self.done += 1
            yield place, call(work, jobs[place])

    def close(self) -> None:
        pass


def market(folder: Path, scramble_from: int | None = None) -> Path:
    """A CSV of returns; from a row on, another future."""
    bars = synthetic_bars(np.random.default_rng(3), coins=8, days=DAYS)
    returns = bars.close / bars.open - 1.0
    if scramble_from is not None:
        returns[scramble_from:] = np.random.default_rng(9).normal(0.0, 0.02, returns[scramble_from:].shape)
    path = folder / f"returns-{scramble_from}.csv"
    lines = [",".join(["time", *bars.coins])]
    for opened, row in zip(bars.opened, returns, strict=True):
        cells = ["" if np.isnan(cell) else f"{cell:.10f}" for cell in row]
        lines.append(",".join([str(int(opened) + 4 * 3_600_000), *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path


def request_of(path: Path) -> BacktestRequest:
    entry, config = find("template"), path.with_name("short.yml")
    config.write_text("version: 1\n")
    sets: dict[str, Any] = {"signal.warm_up_bars": 20, "book.max_coin_weight": 1.0}
    return BacktestRequest(
        entry=entry, config=config, returns_csv=path, no_funding=True, overrides=sets, capital=20_000.0
    )


def terms_of(trials: int = 4, folds: int = 2, **values: Any) -> SweepTerms:
    search = SearchTerms(trials=trials, batch=2, seed=values.pop("seed", 1))
    return SweepTerms(knobs=parse_knobs(list(KNOBS)), search=search, folds=folds, **values)


def swept(executor: Executor, folder: Path, path: Path, **terms: Any) -> Sweep:
    return run_sweep(request_of(path), terms_of(**terms), executor, folder)


def same(one: Sweep, other: Sweep) -> bool:
    """Whether two sweeps agree to the bit."""
    return (
        one.choices == other.choices
        and np.array_equal(one.matrix, other.matrix)
        and np.array_equal(one.record.equity, other.record.equity)
    )
