"""One cost model: the same cost in dollars, in weights and in bp; calibration on books whose law is known."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import nnls

from slipstream.core.costs.calibrated import Calibrated, CostsError, calibrate, decode, encode
from slipstream.core.costs.calibration import cost_model, fit_books, fit_curve, intervals, least_squares, levels
from slipstream.core.costs.curve import Curve, grid, walk
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
    model = costs.model(("X",), np.array([sigma]), np.array([day]), np.array([q]))
    linear = costs.taker_fee + costs.half_spread
    assert float(model.usd(q)[0]) == pytest.approx(q * linear + q * costs.impact * sigma * np.sqrt(q / day))


def test_bad_costs_are_named() -> None:
    with pytest.raises(ValueError, match="fee must be finite and not below 0"):
        TransactionCostModel(fee=-1e-4)
    with pytest.raises(ValueError, match="costs of unequal length"):
        TransactionCostModel(fee=[1e-4, 1e-4], impact=[1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="no costs are known for 1 of 2 coins, C: calibrate"):
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


def test_two_unknowns_not_below_zero_are_the_general_solution() -> None:
    rng = np.random.default_rng(2)
    q = grid(1e3, 1e6, 12)
    for _ in range(200):
        spread, impact = rng.choice([0.0, 2e-4, 1e-3]), rng.choice([0.0, 1e-7, 5e-6])
        cost = np.maximum(1e-7, spread + impact * np.sqrt(q) + 2e-4 * rng.normal(size=12))
        general, _ = nnls(np.column_stack([np.ones_like(q), np.sqrt(q)]) / cost[:, None], np.ones_like(q))
        assert least_squares(q, cost) == pytest.approx(general, rel=1e-6, abs=1e-15)


def test_a_long_record_is_kept_in_bounded_memory_and_loses_nothing() -> None:
    rows = [np.repeat(a, 4_000, axis=0) for a in power_book(2e-4, 1e-6, deep=20)]
    curve = Curve(grid(10_000.0, 5e5))
    curve.add(np.arange(4_000, dtype=np.int64) * 60_000, rows[0], rows[1], rows[2], rows[3])
    assert curve.books == 4_000 and curve.units <= 1_024 and curve.minutes == 4_000.0
    one = fit_books(rows[0][:1], rows[1][:1], rows[2][:1], rows[3][:1], curve.notional)
    assert fit_curve(curve).impact == pytest.approx(one.impact, rel=1e-9)
    spread, impact = intervals(curve, np.random.default_rng(1), 50)
    assert (spread.low, impact.high) == pytest.approx((one.spread, one.impact), rel=1e-9)  # books that never change


def test_the_interval_knows_that_neighbours_are_no_new_evidence() -> None:
    """Ten copies of every book a second apart widen nothing: the interval is of minutes."""
    rng = np.random.default_rng(5)
    books = [power_book(2e-4, 1e-6 * float(rng.uniform(0.5, 1.5)), deep=20) for _ in range(60)]
    rows = [np.concatenate([one[k] for one in books]) for k in range(4)]
    stamps = np.arange(60, dtype=np.int64) * 60_000
    few, many = Curve(grid(10_000.0, 5e5)), Curve(grid(10_000.0, 5e5))
    few.add(stamps, rows[0], rows[1], rows[2], rows[3])
    thick = [np.repeat(a, 10, axis=0) for a in rows]
    many.add(
        np.repeat(stamps, 10) + np.tile(np.arange(10) * 1_000, 60).astype(np.int64),
        thick[0], thick[1], thick[2], thick[3],
    )  # fmt: skip
    one, other = (intervals(curve, np.random.default_rng(1), 200)[1] for curve in (few, many))
    assert one == pytest.approx(other)
    assert one.low < one.estimate < one.high < 1.3 * one.low


def test_a_file_of_costs_survives_the_trip_and_bad_ones_are_named() -> None:
    curve = Curve(grid(10_000.0, 5e5))
    rows = [np.repeat(a, 200, axis=0) for a in power_book(2e-4, 1e-6, deep=20)]
    curve.add(np.arange(200, dtype=np.int64) * 60_000, rows[0], rows[1], rows[2], rows[3])
    costs = Calibrated(coins={"X": calibrate(curve, np.random.default_rng(1))}, fee=3e-4)
    data = encode(costs)
    assert decode(data, "f") == costs and encode(decode(data, "f")) == data
    for change, words in (
        (data[:-20], "not a file of costs"),
        (data.replace(b'"version": 1', b'"version": 9'), "version 9 of the file is not known"),
        (data.replace(b'"half_spread": ', b'"half_spread": -'), "half_spread of X is -"),
        (b'{"coins": {}}', "holds no coin"),
    ):
        with pytest.raises(CostsError, match=words):
            decode(change, "f")
