"""A sweep over ticks: every trial once, chosen on the past alone, the same for any number of workers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipstream.model.errors import ConfigError
from slipstream.processes.bar_market import settings_of
from slipstream.processes.sweep_run import SweepTerms, with_values
from slipstream.processes.tick_sweep import Tried, judged, points, run_tick_sweep
from slipstream.processes.tick_sweep_report import as_plain, write_tick_sweep
from slipstream.processes.tick_sweep_worker import Ran
from slipstream.simulation.sweep.executor import call, make_executor
from slipstream.simulation.sweep.knobs import parse_knobs
from slipstream.simulation.sweep.search import SearchTerms
from tests.processes.ticks import request, tape

KNOBS = parse_knobs(["base_spread=0.0004,0.0008"])
MINUTES = 200


class Backwards:
    """Computes here, the last job first."""

    def run(self, work: str, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for place in reversed(range(len(jobs))):
            yield place, call(work, jobs[place])

    def close(self) -> None:
        """Nothing to let go."""


def made(seed: int, drift: float) -> Ran:
    rng = np.random.Generator(np.random.PCG64(seed))
    nothing = np.zeros(MINUTES)
    return Ran(
        fills=1,
        stamps=1_760_000_400_000 + 60_000 * np.arange(1, MINUTES + 1),
        pnl=rng.normal(drift, 1.0, MINUTES),
        gross=nothing,
        net=nothing,
        turnover=nothing,
        fees=nothing,
        funding=nothing,
    )


def trials(count: int) -> tuple[Tried, ...]:
    return tuple(Tried(number=k, values={"base_spread": k / 1e4}, ran=made(k, 0.0)) for k in range(count))


def terms(folds: int = 3) -> SweepTerms:
    return SweepTerms(knobs=KNOBS, search=SearchTerms(trials=4), folds=folds, gap_hours=0.0)


def test_folds_that_the_tapes_are_too_short_for_are_told_before_the_trials(tmp_path: Path) -> None:
    class First(Backwards):
        """The default alone: who asks for a second trial waited in vain."""

        def run(self, work: str, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
            yield 0, made(1, 0.0)
            raise AssertionError("a trial was waited for")

    with pytest.raises(ConfigError, match="fold 0 of 200 bars trains on 80 and tests on"):
        run_tick_sweep(request(tape(tmp_path)), terms(folds=50), First())


def test_what_comes_after_a_fold_changes_nothing_of_its_choice(tmp_path: Path) -> None:
    asked, tried = request(tmp_path), trials(6)
    before = judged(asked, terms(), tried, made(99, 0.0))
    for k, choice in enumerate(before.choices):
        changed = []
        for one in tried:
            pnl = one.ran.pnl.copy()
            pnl[choice.fold.train_to :] = -5.0 * pnl[choice.fold.train_to :] + one.number
            ran = Ran(**{name: getattr(one.ran, name) for name in Ran.__struct_fields__ if name != "pnl"}, pnl=pnl)
            changed.append(Tried(number=one.number, values=one.values, ran=ran))
        after = judged(asked, terms(), changed, made(99, 0.0)).choices[k]
        assert (after.trial, after.score, after.trained) == (choice.trial, choice.score, choice.trained)
        assert after.tested != choice.tested


def test_the_account_is_that_of_the_chosen_in_their_tests(tmp_path: Path) -> None:
    found = judged(request(tmp_path), terms(), tried := trials(6), made(99, 0.0))
    wanted = np.concatenate([tried[one.trial].ran.pnl[one.fold.test_from : one.fold.test_to] for one in found.choices])
    assert np.allclose(np.diff(found.record.equity, prepend=found.record.capital), wanted)
    assert sum(one.tested for one in found.choices) == pytest.approx(found.record.equity[-1] - found.record.capital)
    assert all(1 <= one.rank <= 6 for one in found.choices)
    assert "walk-forward" in found.record.assumptions[0]
    assert "IN SAMPLE" in judged(request(tmp_path), terms(0), tried, made(99, 0.0)).record.assumptions[0]


def test_a_sweep_reaches_the_symbols_that_have_their_own_and_says_so(tmp_path: Path) -> None:
    asked = request(tmp_path)
    assert asked.config is not None
    asked.config.write_text(asked.config.read_text().replace("order_size", "base_spread: 0.01, order_size"))
    reached = [settings_of(with_values(asked, values)) for values in points(KNOBS, 1, 1)]
    assert [config.terms[0].base_spread for config in reached] == [0.0004, 0.0008]  # type: ignore[attr-defined]
    found = judged(asked, terms(), trials(6), made(99, 0.0))
    assert any(line.endswith("replaces what the config says of ETH (0.01)") for line in found.record.assumptions)
    assert not any("replaces" in line for line in found.default.assumptions), "the config as it is keeps its own"


def test_lists_make_a_grid_and_ranges_are_drawn_from_the_seed() -> None:
    grid = points(parse_knobs(["k=1,2,3", "base_spread=0.0004,0.0008"]), 5, 1)
    assert len(grid) == 6 and {"k": 3, "base_spread": 0.0004} in grid
    knobs = parse_knobs(["base_spread=0.0004:0.004:log", "sigma_window=10:20:int"])
    drawn = points(knobs, 30, 7)
    assert drawn == points(knobs, 30, 7) != points(knobs, 30, 8) and len(drawn) == 30
    assert all(0.0004 <= one["base_spread"] <= 0.004 and one["sigma_window"] in range(10, 21) for one in drawn)
    assert len(points(parse_knobs(["sigma_window=10:11:int"]), 30, 1)) == 2
    with pytest.raises(ConfigError, match="a grid of 10000 points"):
        points(parse_knobs([f"{key}={','.join(map(str, range(100)))}" for key in ("k", "lambda")]), 1, 1)


@pytest.mark.slow
def test_workers_change_nothing_and_the_report_is_written(tmp_path: Path) -> None:
    tapes = tmp_path / "tapes"
    tapes.mkdir()
    asked = request(tape(tapes, seconds=120), sample_s=1.0)
    found = [run_tick_sweep(asked, terms(2), Backwards())]
    hands = make_executor("local", 2)
    try:
        found.append(run_tick_sweep(asked, terms(2), hands))
    finally:
        hands.close()
    assert as_plain(found[0]) == as_plain(found[1])
    assert [one.ran.fills > 0 for one in found[0].tried] == [True, True]
    written = write_tick_sweep(found[0], tmp_path / "out", 1)
    assert all(path.is_file() for path in written)
    assert (tmp_path / "out" / "trials.csv").read_text().splitlines()[
        0
    ] == "number,base_spread,fills,traded,fees,profit,why"
    assert "What was chosen, and what it earned afterwards" in written[-1].read_text()
