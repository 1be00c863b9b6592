"""Joint models on made-up panels: what must be found is found, what cannot be known is not, and nothing looks ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from slipstream.core.signals.bars import HOUR_MS
from slipstream.data.bars import BarsError
from slipstream.research.joint.folds import walk_forward
from slipstream.research.joint.models import fit_money, means_of, weekly, weeks_of
from slipstream.research.joint.panel import Panel, load_panel
from slipstream.research.joint.profit import book_profit, by_week, decile_books
from slipstream.research.joint.quantiles import tenths
from slipstream.research.joint.resampling import choose, r2_interval, week_draws
from slipstream.research.joint.samples import SampleTerms, samples, traded
from slipstream.research.joint.study import StudyTerms, study

TERMS = SampleTerms(window=10, price_spans=(2, 4), funding_spans=(1, 8), funding_warm_up=24)


def made_up(seed: int = 1, bars: int = 700, coins: int = 24, phi: float = 0.97) -> Panel:
    """One market, funding that persists, and price residuals that nobody can forecast."""
    rng = np.random.default_rng(seed)
    market = 0.01 * rng.standard_normal(bars)
    returns = market[:, None] * rng.uniform(0.5, 1.5, coins) + 0.01 * rng.standard_normal((bars, coins))
    shocks = 1e-5 * rng.standard_normal((bars * 4, coins))
    rates = np.zeros_like(shocks)
    for t in range(1, len(rates)):
        rates[t] = phi * rates[t - 1] + shocks[t]
    usd = rng.uniform(1e6, 1e8, coins) * np.ones((bars, 1))
    return Panel(
        coins=tuple(f"C{j:02}" for j in range(coins)),
        stamps=(1_700_000_000_000 // (4 * HOUR_MS) + np.arange(bars, dtype=np.int64)) * 4 * HOUR_MS,
        hours=4,
        returns=returns,
        volume_usd=usd,
        volume_base=usd / 10.0,
        rates=rates,
    )


def r2(panel: Panel, hours: int) -> dict[str, float]:
    sample = samples(panel, hours, TERMS)
    folds = walk_forward(len(panel.stamps), sample.width, embargo=6)
    return {name: found.r2 for name, found in fit_money(sample, folds, weeks_of(panel.stamps)).scores.items()}


def test_persistence_is_found_and_price_noise_is_not() -> None:
    found = r2(made_up(), 8)
    assert 0.6 < found["funding"] < 0.9
    assert found["funding"] > found["last_rate"]
    assert abs(found["price"]) < 0.01
    assert abs(found["combined"]) < 0.02


def test_shuffled_funding_cannot_be_forecast() -> None:
    panel = made_up()
    order = np.random.default_rng(9).permutation(len(panel.rates))
    found = r2(replace(panel, rates=panel.rates[order]), 8)
    assert abs(found["funding"]) < 0.02
    assert found["last_rate"] < -1.0


def test_a_leak_would_be_seen() -> None:
    """Rates and returns moved so that what is to be forecast is already in the features: scores rise far above what
    honest ones reach, so a sample that looked ahead could not hide in them.
    """
    panel = made_up()
    ahead = replace(panel, rates=np.roll(panel.rates, -4, axis=0))
    sample, honest = samples(ahead, 4, TERMS), samples(panel, 4, TERMS)
    leaky = sample._replace(paid=honest.paid)
    folds = walk_forward(len(panel.stamps), 1, embargo=6)
    weeks = weeks_of(panel.stamps)
    assert (
        fit_money(leaky, folds, weeks).scores["funding"].r2
        > fit_money(honest, folds, weeks).scores["funding"].r2 + 0.05
    )
    future = np.stack([honest.price, honest.price_features[0]])
    peeking = honest._replace(price_features=future)
    assert fit_money(peeking, folds, weeks).scores["price"].r2 > 0.99


def test_what_comes_later_changes_no_feature_beta_or_earlier_forecast() -> None:
    panel = made_up(bars=500)
    cut = 400
    later_returns, later_rates = panel.returns.copy(), panel.rates.copy()
    later_returns[cut:] *= -5.0
    later_rates[cut * 4 :] += 3e-4
    usd = panel.volume_usd.copy()
    usd[cut:] *= 10.0
    other = replace(panel, returns=later_returns, rates=later_rates, volume_usd=usd)
    a, b = samples(panel, 8, TERMS), samples(other, 8, TERMS)
    for name in ("price_features", "funding_features"):
        np.testing.assert_array_equal(getattr(a, name)[:, :cut], getattr(b, name)[:, :cut])
    np.testing.assert_array_equal(a.beta[:cut], b.beta[:cut])
    np.testing.assert_array_equal(a.last_rate[:cut], b.last_rate[:cut])
    # targets reach two bars ahead and no further
    np.testing.assert_array_equal(a.paid[: cut - 2], b.paid[: cut - 2])
    assert not np.array_equal(a.paid[: cut - 1], b.paid[: cut - 1])
    folds = walk_forward(len(panel.stamps), a.width, embargo=6)
    weeks = weeks_of(panel.stamps)
    seen = max(fold.last for fold in folds if fold.last <= cut)
    first, second = (fit_money(s, folds, weeks).forecasts for s in (a, b))
    np.testing.assert_array_equal(first.paid[:seen], second.paid[:seen])
    np.testing.assert_array_equal(first.price[:seen], second.price[:seen])


def test_a_constant_forecast_scores_about_nothing() -> None:
    panel = made_up()
    sample = samples(panel, 8, TERMS)
    folds = walk_forward(len(panel.stamps), sample.width)
    means = means_of(sample.paid, folds)
    found = weekly(sample.paid, np.broadcast_to(means[:, None], sample.paid.shape), means, weeks_of(panel.stamps))
    assert found.r2 == 0.0
    whole = np.full_like(sample.paid, np.nanmean(sample.paid))
    assert abs(weekly(sample.paid, whole, means, weeks_of(panel.stamps)).r2) < 0.02


def test_folds_purge_what_reaches_into_the_test() -> None:
    folds = walk_forward(1000, 12, embargo=6)
    assert [fold.first for fold in folds] == [400, 520, 640, 760, 880]
    assert folds[-1].last == 1000
    for fold in folds:
        # the last training target ends an embargo before the first test row
        assert fold.train - 1 + 12 + 6 == fold.first
    with pytest.raises(ValueError, match="give a longer history"):
        walk_forward(100, 12)


def test_a_coin_that_nobody_trades_is_left_out_until_it_has_traded_for_a_day() -> None:
    panel = made_up(bars=300)
    usd = panel.volume_usd.copy()
    usd[200, 3] = 0.0
    quiet = replace(panel, volume_usd=usd)
    known = traded(quiet, 24)
    assert np.flatnonzero(~known[10:, 3]).tolist() == list(range(190, 196))
    # the first day has no whole day behind it
    assert not known[:5].any()
    assert known[5:].sum() == known[5:].size - 6
    assert traded(quiet, 0)[5:].all()
    with pytest.raises(ValueError, match="must not be negative"):
        traded(quiet, -4)
    sample, whole = samples(quiet, 8, TERMS), samples(panel, 8, TERMS)
    for features in (sample.price_features, sample.funding_features, sample.last_rate[None]):
        assert np.isnan(features[:, 200:206, 3]).all()
        assert np.isfinite(features[:, 206:280, 3]).all()
    # what came before it stands, and so do targets
    np.testing.assert_array_equal(sample.price_features[:, :200], whole.price_features[:, :200])
    np.testing.assert_array_equal(sample.paid, whole.paid)


def test_residual_target_has_no_market_left() -> None:
    panel = made_up(bars=400)
    sample = samples(panel, 4, TERMS)
    known = np.isfinite(sample.price).all(axis=1)
    market = panel.returns[1:][known[:-1]].mean(axis=1)
    before = np.corrcoef(market, sample.total[known].mean(axis=1))[0, 1]
    left = sample.price[known].std() / sample.total[known].std()
    assert before > 0.99
    assert left < 0.9


def test_books_are_neutral_and_booked_by_hand() -> None:
    panel = made_up(bars=60, coins=20)
    score = np.tile(np.arange(20.0), (60, 1))
    score[5, 3:] = np.nan
    books = decile_books(score)
    assert books[0, [0, 1, 18, 19]].tolist() == [-0.25, -0.25, 0.25, 0.25]
    assert np.isnan(books[5]).all()
    found = book_profit(panel, books, 2, 3.5e-4)
    w, t = books[10], 10
    gain = np.expm1(panel.returns[t + 1] + panel.returns[t + 2])
    paid = panel.rates[(t + 1) * 4 : (t + 3) * 4].sum(axis=0)
    assert found.price[t] == pytest.approx(float(w @ gain))
    assert found.funding[t] == pytest.approx(-float(w @ paid))
    assert found.turnover[t] == 0.0
    assert found.turnover[0] == pytest.approx(1.0)
    assert found.turnover[7] == pytest.approx(1.0)
    assert np.isnan(found.net[[5, 58, 59]]).all()
    assert by_week(found.net, panel.stamps, 2).sum() == pytest.approx(np.nansum(found.net) / 2.0)


def test_the_choice_bears_having_looked_at_many() -> None:
    rng = np.random.default_rng(4)
    counts = week_draws(np.ones(80, dtype=bool), 400, rng)
    assert (counts.sum(axis=1) == 80).all()
    false = [min(choose(rng.standard_normal((80, 6)), counts).p_value) < 0.05 for _ in range(200)]
    assert sum(false) <= 20
    good = rng.standard_normal((80, 6))
    good[:, 2] += 0.8
    found = choose(good, counts)
    assert found.best == 2
    assert found.p_value[2] < 0.01
    assert found.best_share[2] > 0.95
    assert found.behind[2] == (0.0, 0.0, 0.0)


def test_interval_holds_the_estimate() -> None:
    panel = made_up()
    sample = samples(panel, 8, TERMS)
    fitted = fit_money(sample, walk_forward(len(panel.stamps), sample.width), weeks_of(panel.stamps))
    scores = fitted.scores["funding"]
    got = r2_interval(scores, week_draws(scores.spread > 0.0, 200, np.random.default_rng(1)))
    assert got.low < got.estimate < got.high
    with pytest.raises(ValueError, match="too few to resample"):
        week_draws(np.ones(5, dtype=bool), 10, np.random.default_rng(1))


def test_tenths_are_of_each_decision() -> None:
    score = np.array([[3.0, 1.0, np.nan, 2.0], [10.0, 30.0, 20.0, np.nan]])
    assert tenths(score, 3).tolist() == [[2, 0, -1, 1], [0, 2, 1, -1]]


def test_no_horizon_is_chosen_on_noise_and_a_planted_profit_is() -> None:
    terms = StudyTerms(sample=TERMS, draws=200)
    plain = study(made_up(), (4, 8), terms, np.random.default_rng(2))
    assert not plain.distinguishable
    assert plain.verdict.startswith("No H is distinguishable from none.")
    assert len(plain.horizons[0].tenths) == 10
    panel = made_up()
    # prices that fall by many times the funding just paid: a forecast of funding is worth money
    drift = -40.0 * np.concatenate([np.zeros((1, 24)), panel.rates[3::4][:-1]])
    rich = study(replace(panel, returns=panel.returns + drift), (4, 8), terms, np.random.default_rng(2))
    assert rich.distinguishable
    assert "is distinguishable from no profit" in rich.verdict
    assert rich.horizons[0].books["carry"].price > 0.0
    again = study(replace(panel, returns=panel.returns + drift), (4, 8), terms, np.random.default_rng(2))
    assert again == rich


def test_bad_input_is_named(tmp_path: Path) -> None:
    panel = made_up(bars=300)
    with pytest.raises(ValueError, match="not a whole number of bars"):
        samples(panel, 6, TERMS)
    with pytest.raises(ValueError, match="each once"):
        study(panel, (8, 8), StudyTerms(sample=TERMS), np.random.default_rng(1))
    with pytest.raises(ValueError, match="an hour a row"):
        replace(panel, rates=panel.rates[:-1])
    bars, funding = tmp_path / "bars.csv", tmp_path / "funding.csv"
    step = 4 * HOUR_MS
    rows = [f"BTC,{1_700_006_400_000 // step * step + k * step},100,101,5" for k in range(6)]
    bars.write_text("coin,ts,open,close,volume\n" + "\n".join(rows) + "\n")
    funding.write_text(f"coin,ts,rate\nBTC,{1_600_000_000_000 // HOUR_MS * HOUR_MS},0.0001\n")
    with pytest.raises(BarsError, match="no settlement of a coin of the bars"):
        load_panel(bars, funding)
    funding.write_text("coin,ts\nBTC,1\n")
    with pytest.raises(BarsError, match="no column rate"):
        load_panel(bars, funding)


def test_files_become_a_panel_with_funding_at_its_hour(tmp_path: Path) -> None:
    step, begin = 4 * HOUR_MS, 1_700_006_400_000 // (4 * HOUR_MS) * 4 * HOUR_MS
    bars, funding = tmp_path / "bars.csv", tmp_path / "funding.csv"
    bars.write_text(
        "coin,ts,open,close,volume\n" + "".join(f"BTC,{begin + k * step},100,{101 + k},5\n" for k in range(6))
    )
    hours = [h for h in range(1, 25) if h != 6]
    funding.write_text("coin,ts,rate\n" + "".join(f"BTC,{begin + h * HOUR_MS + 40},{h}e-6\n" for h in hours))
    panel = load_panel(bars, funding)
    assert panel.stamps[0] == begin + step
    # the rate at a bar's close is the one paid AT it
    assert panel.at_decisions(panel.rates)[:, 0] == pytest.approx([4e-6, 8e-6, 12e-6, 16e-6, 20e-6, 24e-6])
    assert np.isnan(panel.rates[5, 0])
    assert "1 of 24 coin-hours have no funding rate" in panel.notes
