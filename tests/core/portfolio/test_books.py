"""Books: what they promise, for any signals, and the reference's equal dollar volatility."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.core.portfolio.books import Book, BookTerms, build_book

REFERENCE = Path(__file__).resolve().parents[3].parent / "shared" / "reference" / "math" / "13_small.json"


def book(strength: list[float], vol: list[float], beta: list[float] | None = None, **terms: object) -> Book:
    n = len(strength)
    v = np.array(vol)
    b = np.ones(n) if beta is None else np.array(beta)
    coins = [f"C{i:02d}" for i in range(n)]
    return build_book(coins, np.array(strength), v, np.full(n, 1e7), b, np.diag(v**2), BookTerms(**terms), 6.0)  # type: ignore[arg-type]


def test_one_scale_for_both_sides_is_the_reference() -> None:
    if not REFERENCE.exists():
        pytest.skip("the reference tables (../shared/reference) are not on this machine")
    tables = json.loads(REFERENCE.read_text())
    given_, wanted = tables["equal_dollar_vol"], tables["equal_dollar_vol_common"]
    made = book(given_["signal"], given_["vol"], top_n=2, dollar_neutral=False, beta_neutral=False)
    np.testing.assert_allclose([made.weights.get(f"C{i:02d}", 0.0) for i in range(6)], wanted["w"], rtol=1e-12)
    assert made.net == pytest.approx(wanted["net"], rel=1e-12)
    assert made.long_vol == pytest.approx(made.short_vol, rel=1e-12)


SIGNALS = st.lists(st.tuples(st.floats(-10, 10), st.floats(0.005, 0.2), st.floats(0.2, 2.0)), min_size=0, max_size=30)


@given(SIGNALS, st.integers(0, 6), st.booleans(), st.booleans(), st.floats(0.05, 2.0), st.floats(0.0, 0.05))
def test_a_book_keeps_its_promises(
    rows: list[tuple[float, float, float]], n: int, dollar: bool, beta: bool, largest: float, var: float
) -> None:
    strength, vol, betas = ([row[i] for row in rows] for i in range(3))
    made = book(
        strength, vol, betas, top_n=n, dollar_neutral=dollar, beta_neutral=beta, max_weight=largest, var_limit=var
    )
    coins = [f"C{i:02d}" for i in range(len(rows))]
    assert made.gross <= 1.0 + 1e-9
    assert all(abs(w) <= largest + 1e-9 for w in made.weights.values())
    assert not dollar or abs(made.net) < 1e-9
    assert not beta or abs(made.beta) < 1e-9
    assert var == 0.0 or made.var95_day <= var + 1e-12
    rank = {coin: i for i, coin in enumerate(sorted(coins, key=lambda c: (-strength[coins.index(c)], c)))}
    longs = [rank[c] for c, w in made.weights.items() if w > 0]
    shorts = [rank[c] for c, w in made.weights.items() if w < 0]
    assert max(longs, default=-1) < min(shorts, default=len(coins))


def test_who_is_left_out_is_told_why() -> None:
    strength = np.array([1.0, np.nan, 0.5, -0.5, -1.0, 2.0])
    vol = np.array([0.02, 0.02, 0.0, 0.02, 0.02, 0.02])
    daily = np.array([1e6, 1e6, 1e6, 1e6, 1e6, 3e5])
    coins = ["A", "B", "C", "D", "E", "F"]
    made = build_book(coins, strength, vol, daily, np.ones(6), np.diag(vol**2), BookTerms(top_n=1), 6.0)
    assert made.weights.keys() == {"A", "E"}
    assert made.out == {
        "B": "not enough bars",
        "C": "its price does not move",
        "F": "trades 300,000 USD a day: 10,000 is more than 2.5% of it",
    }


def test_nobody_eligible_is_an_empty_book() -> None:
    assert book([float("nan")] * 3, [0.1] * 3).weights == {}
