"""The replay's own rules of fills reproduce the published game; wrong figures are noticed."""

from __future__ import annotations

import numpy as np
import pytest

from slipstream.simulation.market.avellaneda import Game, Quotes, moments
from slipstream.simulation.market.avellaneda_replayed import replayed

PATHS = 1_500
# mean and deviation of profit and of final inventory, over 10**6 paths of an independent program
TABLE: dict[tuple[float, Quotes], tuple[float, float, float, float]] = {
    (0.1, "full"): (64.8981388570058, 6.545402650043433, 0.002903, 2.9263069853641466),
    (1.0, "full"): (31.45561044363271, 4.8361776976380195, -0.000323, 1.6418626299636032),
    (0.01, "symmetric"): (68.682942662599, 13.677530532565058, 0.0129, 8.709734645211643),
}


def furthest(game: Game, reference: tuple[float, float, float, float], paths: int = PATHS) -> float:
    """The largest distance of a figure from the reference, in its own standard errors."""
    found = moments(*replayed(game, paths, np.random.default_rng(3)))
    return max(abs(v - true) / error for v, error, true in zip(found[::2], found[1::2], reference, strict=True))


@pytest.mark.parametrize(("gamma", "quotes"), TABLE)
def test_the_replay_reproduces_the_table(gamma: float, quotes: Quotes) -> None:
    assert furthest(Game(gamma=gamma, quotes=quotes), TABLE[gamma, quotes]) < 4.0


@pytest.mark.parametrize("wrong", [Game(decay=1.7), Game(sigma=2.4)])
def test_a_wrong_figure_is_noticed(wrong: Game) -> None:
    assert furthest(wrong, TABLE[0.1, "full"]) > 4.0


def test_a_game_without_room_for_the_others_is_refused() -> None:
    with pytest.raises(ValueError, match=r"start is 20.0: the tape needs room"):
        replayed(Game(start=20.0), 10, np.random.default_rng(1))
