"""Knobs and folds: what is read, what is refused, and that no test was ever trained on."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.model.errors import ConfigError
from slipstream.simulation.sweep.folds import everything, walk_forward
from slipstream.simulation.sweep.knobs import Knob, parse_knob, parse_knobs
from slipstream.simulation.sweep.search import SearchTerms, Trial, best_of


def test_knobs_are_read() -> None:
    assert parse_knob("a.b=1:2") == Knob(key="a.b", low=1.0, high=2.0)
    assert parse_knob("a=2:64:int:log") == Knob(key="a", low=2.0, high=64.0, whole=True, log=True)
    assert parse_knob("w=equal,inverse_vol").choices == ("equal", "inverse_vol")
    assert parse_knob("w=1,2.5,true").choices == (1, 2.5, True)
    assert [knob.key for knob in parse_knobs(["b=1:2", "a=1:2"])] == ["a", "b"]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "nothing to search"),
        (["a"], "write key=low:high"),
        (["=1:2"], "write key=low:high"),
        (["a=2:1"], "the low end must be below"),
        (["a=1:x"], "no range of numbers"),
        (["a=1:nan"], "the low end must be below"),
        (["a=0:1:log"], "begins above 0"),
        (["a=0.5:3:int"], "must be whole"),
        (["a=1:2:cube"], "'cube' is none of int, log"),
        (["a=1"], "two values or more"),
        (["a=x,x"], "each once"),
        (["a=1:2", "a=1:3"], "--param a is given twice"),
    ],
)
def test_knobs_that_make_no_sense(texts: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        parse_knobs(texts)


@given(st.integers(200, 5000), st.integers(1, 8), st.integers(0, 12), st.none() | st.integers(10, 60))
def test_training_is_over_before_a_test_begins(bars: int, folds: int, gap: int, train: int | None) -> None:
    made = walk_forward(bars, folds, gap=gap, train=train)
    assert len(made) == folds and made[-1].test_to == bars
    for fold in made:
        assert 0 <= fold.train_from < fold.train_to == fold.test_from - gap and fold.test_from < fold.test_to
        assert train is None or fold.train_to - fold.train_from <= train
    assert all(one.test_to == other.test_from for one, other in itertools.pairwise(made))


def test_too_little_history_is_refused() -> None:
    with pytest.raises(ConfigError, match="trains on 4"):
        walk_forward(50, 2, first_train=0.2, gap=6)
    with pytest.raises(ConfigError, match="tests on 6"):
        walk_forward(60, 6)
    with pytest.raises(ConfigError, match="0 folds"):
        walk_forward(500, 0)
    with pytest.raises(ConfigError, match="9 bars"):
        everything(9)


def test_the_best_is_the_first_of_the_highest() -> None:
    trials = [Trial(number=k, values={"a": k}, score=s) for k, s in enumerate([None, -2.0, -1.0, -1.0])]
    assert best_of(trials).number == 2
    with pytest.raises(ConfigError, match="none of 1 trials could be judged; the first: lost everything"):
        best_of([Trial(number=0, values={}, score=None, why="lost everything")])
    with pytest.raises(ConfigError, match="0 trials"):
        SearchTerms(trials=0)
