"""One cost model: the same cost in dollars, in weights and in bp; calibration on books whose law is known."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from slipstream.core.costs.calibration import cost_model, fit_books, grid, levels, walk
from slipstream.core.costs.model import TransactionCostModel
from slipstream.simulation.vectorised import Costs

BOOKS = Path(__file__).resolve().parents[3] / "../shared/data/hyperliquid_books_2025-09-04"


def test_dollars_weights_and_bp_are_one_cost() -> None:
    model = TransactionCostModel(fee=[2e-4, 3e-4], spread=1e-4, impact=[1e-7, 4e-7], coins=("A", "B"))
    moved, equity = np.array([0.3, -0.2]), 250_000.0
    usd = model.usd(moved * equity)
    fee, impact = model.in_weights(equity, 2)
    assert equity * (fee * np.abs(moved) + impact * np.abs(moved) ** 1.5) == pytest.approx(usd)
    assert model.bps(moved * equity) * 1e-4 * np.abs(moved) * equity == pytest.approx(usd)
    assert model.excess_bps(75_000.0, float(usd[0]) + 7.5, "A") == pytest.approx(1.0)
    turned = model.aligned(("B", "A"))
    assert turned.usd(moved[::-1] * equity) == pytest.approx(usd[::-1])


def test_the_square_root_law_is_the_one_of_the_bar_backtest() -> None:
    costs = Costs()
    sigma, day, q = 0.04, 5e6, 30_000.0
    model = TransactionCostModel.square_root(sigma, day, coefficient=costs.impact, fee=costs.fee, spread=costs.spread)
    assert float(model.usd(q)) == pytest.approx(q * costs.linear + q * costs.impact * sigma * np.sqrt(q / day))


def test_bad_costs_are_named() -> None:
    with pytest.raises(ValueError, match="fee must be finite and not below 0"):
        TransactionCostModel(fee=-1e-4)
    with pytest.raises(ValueError, match="costs of unequal length"):
        TransactionCostModel(fee=[1e-4, 1e-4], impact=[1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="no costs are known for C"):
        TransactionCostModel([1e-4, 2e-4], coins=("A", "B")).aligned(("A", "C"))


def test_walking_a_book_by_hand() -> None:
    price = walk(np.array([[100.0, 101.0, np.nan]]), np.array([[1.0, 2.0, np.nan]]), np.array([50.0, 201.0, 400.0]))
    assert price[0, 0] == pytest.approx(100.0)
    assert price[0, 1] == pytest.approx(201.0 / 2.0)
    assert np.isnan(price[0, 2])


def power_book(spread: float, impact: float, mid: float = 50.0, deep: int = 400) -> tuple[np.ndarray, ...]:
    """A book whose mean cost of taking q USD is ``spread + impact sqrt(q)``, from its marginal price."""
    q = np.linspace(0.0, 1.1e6, deep + 1)
    middle = 0.5 * (q[1:] + q[:-1])
    marginal = spread + 1.5 * impact * np.sqrt(middle)
    usd = np.diff(q)
    ask, bid = mid * (1.0 + marginal), mid * (1.0 - marginal)
    return bid[None], (usd / bid)[None], ask[None], (usd / ask)[None]


def test_a_known_law_is_found_again() -> None:
    bid, bid_sz, ask, ask_sz = power_book(2e-4, 1e-6)
    rows = [np.repeat(a, 3, axis=0) for a in (bid, bid_sz, ask, ask_sz)]
    rows[0][2, 0] = rows[2][2, 0] * 1.01  # a crossed book is dropped, and counted
    fit = fit_books(rows[0], rows[1], rows[2], rows[3], grid(5_000.0, 1e6))
    assert (fit.books, fit.dropped) == (2, 1)
    assert fit.spread == pytest.approx(2e-4, rel=0.05)
    assert fit.impact == pytest.approx(1e-6, rel=0.03)
    assert fit.rms < 0.02
    model = cost_model({"X": fit}, fee=4.5e-4)
    assert model.coins == ("X",)
    assert float(model.of("X").bps(1e5)) == pytest.approx(4.5 + 2.0 + 1e4 * 1e-6 * 1e5**0.5, rel=0.03)


def test_thin_and_faulty_books_are_refused() -> None:
    bid, bid_sz, ask, ask_sz = power_book(2e-4, 1e-6)
    with pytest.raises(ValueError, match="ask for smaller notionals or record more levels"):
        fit_books(bid[:, :3], bid_sz[:, :3], ask[:, :3], ask_sz[:, :3], grid(1e5, 1e6))
    with pytest.raises(ValueError, match="empty, crossed or out of order"):
        fit_books(ask, ask_sz, bid, bid_sz, grid())


def test_real_books_give_costs_that_rise_with_illiquidity() -> None:
    if not BOOKS.exists():
        pytest.skip("the book recordings are not on this machine")
    fits = {}
    for coin in ("SOL", "WLFI"):
        with gzip.open(BOOKS / f"orderbooks_{coin}.csv.gz", "rt") as file:
            table = list(csv.DictReader(file))[::20]
        sides = [
            levels([[float(r[f"{side}_{what}_{i}"]) for i in range(20)] for r in table], 20)
            for side in ("bid", "ask")
            for what in ("price", "size")
        ]
        fits[coin] = fit_books(sides[0], sides[1], sides[2], sides[3], grid(500.0, 50_000.0))
    sol, wlfi = fits["SOL"], fits["WLFI"]
    assert 0.1e-4 < sol.spread < 1e-4 < wlfi.spread + 1.5e-4
    assert wlfi.impact > 3.0 * sol.impact > 0.0
    assert max(sol.rms, wlfi.rms) < 0.25
