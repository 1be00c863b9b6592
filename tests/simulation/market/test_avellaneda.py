"""Avellaneda and Stoikov's table, from their formula and from orders that rest in the matching engine."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from slipstream.simulation.market.avellaneda import Game, Moments, Quotes, booked, direct, moments

REFERENCE = Path(__file__).resolve().parents[3] / "../shared/reference/math/06a_avellaneda_stoikov_table.json"
PATHS = 6_000
MOST = 4.0
FORMS = {"direct": direct, "booked": booked}
# gamma, quotes -> spread, and mean and deviation of profit and of final inventory over 10**6 paths
TABLE: dict[tuple[float, Quotes], tuple[float, float, float, float, float]] = {
    (0.1, "full"): (1.491770422751423, 64.8981388570058, 6.545402650043433, 0.002903, 2.9263069853641466),
    (0.1, "narrow"): (1.2907704227514218, 64.22443672746923, 6.050715077237477, 0.003707, 2.9251774746416666),
    (0.1, "symmetric"): (1.4917704227514197, 68.23343879278934, 13.45559589694509, 0.009321, 8.393135059020496),
    (0.01, "full"): (1.3490085437337025, 68.41089778311164, 8.961972429915829, 0.00652, 5.206852359112941),
    (0.01, "symmetric"): (1.3490085437337027, 68.682942662599, 13.677530532565058, 0.0129, 8.709734645211643),
    (1.0, "full"): (3.0316512475319817, 31.45561044363271, 4.8361776976380195, -0.000323, 1.6418626299636032),
    (1.0, "narrow"): (1.0216512475319846, -43.28447785909678, 8.28016125908903, -0.001167, 1.6360017231381512),
    (1.0, "symmetric"): (3.031651247531966, 43.696184333944025, 10.746134938286257, 0.004264, 5.175617240320617),
    (0.5, "full"): (2.1557282898071226, 48.57300640355821, 5.89886506464622, -0.000153, 1.9568870628094508),
}
# gamma, quotes -> the published figures: spread, and mean and deviation of profit over 1000 paths
PAPER: dict[tuple[float, Quotes], tuple[float, float, float]] = {
    (0.1, "full"): (1.49, 65.0, 6.6),
    (0.1, "symmetric"): (1.49, 68.4, 12.7),
    (0.01, "full"): (1.35, 68.6, 8.7),
    (0.01, "symmetric"): (1.35, 68.8, 12.8),
    (1.0, "full"): (3.02, 31.4, 5.0),
    (1.0, "symmetric"): (3.02, 44.0, 11.0),
}


def distances(found: Moments, reference: tuple[float, ...]) -> list[float]:
    """How far each figure is from the reference, in its own standard errors."""
    pairs = zip(found[::2], found[1::2], reference, strict=True)
    return [abs(value - true) / error for value, error, true in pairs]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("gamma", "quotes"), TABLE)
def test_the_table_is_reproduced(gamma: float, quotes: Quotes, form: str) -> None:
    game = Game(gamma=gamma, quotes=quotes)
    spread, *reference = TABLE[gamma, quotes]
    assert game.mean_spread == pytest.approx(spread, rel=1e-12)
    found = moments(*FORMS[form](game, PATHS, 8))
    assert max(distances(found, tuple(reference))) < MOST


@pytest.mark.parametrize(("gamma", "quotes"), PAPER)
def test_the_published_figures_lie_where_a_thousand_paths_would(gamma: float, quotes: Quotes) -> None:
    spread, mean, deviation = PAPER[gamma, quotes]
    found = moments(*booked(Game(gamma=gamma, quotes=quotes), PATHS, 8))
    size = math.sqrt(PATHS / 1000 + 1.0)  # their error and ours
    assert abs(Game(gamma=gamma, quotes=quotes).mean_spread - spread) < 0.02
    assert abs(found.mean - mean) < 4.0 * found.mean_error * size
    assert abs(found.deviation - deviation) < 4.0 * found.deviation_error * size


WRONG = {
    "orders that reach less far": Game(decay=1.6),
    "fewer orders": Game(arrivals=135.0),
    "a wilder price": Game(sigma=2.1),
    "another aversion": Game(gamma=0.12),
    "quotes around the mid": Game(quotes="symmetric"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_figure_is_noticed(wrong: str, form: str) -> None:
    found = moments(*FORMS[form](WRONG[wrong], 20_000, 8))
    assert max(distances(found, TABLE[0.1, "full"][1:])) > MOST


def test_inventory_aversion_trades_profit_for_certainty() -> None:
    careful = moments(*booked(Game(gamma=1.0), 2_000, 1))
    careless = moments(*booked(Game(gamma=0.01), 2_000, 1))
    assert careful.deviation < careless.deviation and careful.mean < careless.mean
    assert careful.inventory_deviation < careless.inventory_deviation


def test_both_forms_are_one_game() -> None:
    """The same numbers are drawn; only where the grid decides a trade otherwise do paths differ."""
    profits, inventories = direct(Game(), 500, 3)
    on_book, held = booked(Game(tick=0.0005), 500, 3)
    assert (inventories == held).mean() > 0.95
    assert (np.abs(profits - on_book) < 0.05).mean() > 0.9


def test_the_seed_decides() -> None:
    first, again, other = (booked(Game(), 50, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_book_that_is_too_small_says_so() -> None:
    with pytest.raises(OverflowError, match=r"path 0: a quote lies beyond .* make tick larger than 1e-06"):
        booked(Game(tick=1e-6), 10, 1)


@pytest.mark.parametrize(
    ("figures", "words"),
    [({"gamma": 0.0}, "gamma is 0.0"), ({"sigma": math.nan}, "sigma is nan"), ({"dt": 2.0}, "dt 2.0 is longer")],
)
def test_figures_that_cannot_be_are_refused(figures: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Game(**figures)  # type: ignore[arg-type]


def test_the_reference_file_says_the_same() -> None:
    if not REFERENCE.exists():
        pytest.skip("the mathematical reference is not beside this checkout")
    names = {"full time-dependent": "full", "constant 2/g ln(1+g/k)": "narrow", "constant time-average": "symmetric"}
    told = {}
    for row in json.loads(REFERENCE.read_text())["results"]:
        if row["strategy"] == "inventory" or row["spread_mode"] == "constant time-average":
            key = (row["gamma"], names[row["spread_mode"]])
            told[key] = tuple(row[name] for name in ("avg_spread", "mean", "std", "q_mean", "q_std"))
    assert {key: told[key] for key in TABLE} == TABLE
