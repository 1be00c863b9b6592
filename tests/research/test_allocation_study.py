"""The study's universes and scores: what is drawn is what was asked for, and the oracle cannot be beaten on average."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from slipstream.processes.allocation_study import OURS, policies
from slipstream.research.allocation_study import (
    Outcome,
    UniverseTerms,
    draw,
    equal_weight,
    paired,
    run,
    study,
    table,
)

SHORT = UniverseTerms(days=280, every_days=28)


def test_a_universe_has_the_moments_it_was_drawn_with() -> None:
    terms = UniverseTerms(days=200_000, pods=(4, 4), half_lives=(math.inf,), tail=8.0)
    universe = draw(terms, np.random.default_rng(3))
    vols = np.sqrt(np.diag(universe.cov))
    sd = universe.returns.std(axis=0)
    assert sd == pytest.approx(vols, rel=0.05)
    corr = np.corrcoef(universe.returns, rowvar=False)
    assert corr == pytest.approx(universe.cov / np.outer(vols, vols), abs=0.02)
    sharpe = universe.returns.mean(axis=0) / sd * math.sqrt(365)
    assert sharpe == pytest.approx(universe.sharpe[0], abs=4 * math.sqrt(365 / 200_000))


def test_tails_are_heavy_and_pods_fall_together() -> None:
    universe = draw(UniverseTerms(days=50_000, pods=(3, 3)), np.random.default_rng(4))
    z = universe.returns / universe.returns.std(axis=0)
    assert ((z**4).mean(axis=0) > 6.0).all()
    wild = np.abs(z[:, 0]) > 3.0
    assert (np.abs(z[wild, 1]) > 1.0).mean() > 1.5 * (np.abs(z[:, 1]) > 1.0).mean()


def test_alphas_decay_by_their_half_life() -> None:
    terms = UniverseTerms(half_lives=(1.0,), skilled=1.0, pods=(5, 5), warm_days=0, days=731)
    sharpe = draw(terms, np.random.default_rng(5)).sharpe
    assert sharpe[365] == pytest.approx(sharpe[0] / 2)
    assert sharpe[730] == pytest.approx(sharpe[0] / 4)


def test_a_life_is_scored_after_costs() -> None:
    universe = draw(SHORT, np.random.default_rng(6))
    dear = replace(SHORT, move_cost=0.01)
    cheap = replace(SHORT, move_cost=0.0)
    high, low = run(cheap, universe, equal_weight(SHORT)), run(dear, universe, equal_weight(SHORT))
    # one move into place, of 0.9 of wealth, at one hundredth
    assert (high.growth - low.growth) * SHORT.days / 365 == pytest.approx(0.009, rel=0.1)
    assert low.turnover == pytest.approx(0.9 * 365 / SHORT.days)


def test_the_same_seed_is_the_same_table_and_universes_do_not_depend_on_how_many_follow() -> None:
    chosen = {"equal": equal_weight(SHORT)}
    four = study(SHORT, chosen, 4, np.random.default_rng(8))
    assert study(SHORT, chosen, 4, np.random.default_rng(8)) == four
    assert study(SHORT, chosen, 2, np.random.default_rng(8))["equal"] == four["equal"][:2]


def test_the_oracle_leads_and_ours_stands_lower_drawdowns_than_equal_weight() -> None:
    found = study(SHORT, policies(SHORT), 40, np.random.default_rng(9))
    truth = found["oracle (quarter Kelly on the truth)"]
    for name, rows in found.items():
        if rows is not truth:
            assert paired(truth, rows, "utility").low > 0.0, name
    assert paired(found[OURS], found["equal weight"], "drawdown").high < 0.0
    lines = table(found, OURS)
    assert sum(line.startswith("| ") for line in lines) == 2 + len(found) * 2 - 1


def test_differences_need_the_same_universes() -> None:
    one = Outcome(0.1, 0.1, 0.1, 0.1)
    with pytest.raises(ValueError, match="same universes"):
        paired([one], [one], "growth")
