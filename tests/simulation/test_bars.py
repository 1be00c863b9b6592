"""The kernel over bars: its fills by hand, and the same decisions and money as the vectorised backtest."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest

from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.data.bars import read_bars
from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import SECOND, KernelConfig, Limits
from slipstream.execution.strategy import View
from slipstream.model.events import Candle, Event
from slipstream.model.instrument import Instrument
from slipstream.model.intents import Intent, Target
from slipstream.processes.gradient_plans import plan
from slipstream.simulation.bars import BarResult, BarTerms, BarVenue, run_bars
from slipstream.simulation.vectorised import Costs, Plan, Result, backtest
from slipstream.strategies.gradient.config import GradientConfig
from slipstream.strategies.gradient.strategy import Gradient

D = Decimal
CAPITAL = D(1_000_000)
HOUR = 3600 * SECOND


def synthetic(seed: int, t: int = 260, n: int = 8) -> Bars:
    """Correlated walks with drifts; a bar opens a little off the last close; some bars are missing."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.012, (t, 1)) + rng.normal(0, 0.015, (t, n)) + rng.normal(0, 0.002, n)
    close = rng.uniform(1.0, 900.0, n) * np.exp(np.cumsum(steps, axis=0))
    opened = np.vstack([close[:1], close[:-1]]) * np.exp(rng.normal(0, 0.0005, (t, n)))
    close[40:44, 2] = opened[40:44, 2] = np.nan
    return Bars(
        coins=("BTC", *(f"C{i}" for i in range(1, n))),
        opened=np.arange(t, dtype=np.int64) * 4 * HOUR_MS + 1_700_006_400_000,
        hours=4.0,
        open=opened,
        close=close,
        volume_usd=rng.uniform(1e7, 2e7, (t, n)),
        funding=rng.normal(0, 1e-5, (t, n)),
        funding_gaps=np.zeros((t, n), dtype=np.int64),
    )


def instruments(bars: Bars) -> list[Instrument]:
    return [Instrument(coin=coin, asset=i, size_decimals=2, max_leverage=20) for i, coin in enumerate(bars.coins)]


def settings(patience_ns: int = 0) -> KernelConfig:
    limits = Limits(
        gross_cap=CAPITAL * 100,
        coin_cap=CAPITAL * 100,
        max_order=CAPITAL * 100,
        max_feed_age_ns=24 * HOUR,
        actions_per_second=1000.0,
        burst=100_000,
        fat_finger=0.5,
    )
    return KernelConfig(limits=limits, patience_ns=patience_ns)


def trend_config(**trade: object) -> GradientConfig:
    values = {
        "capital": CAPITAL,
        "rebalance_hours": 24.0,
        "offset_minutes": 1.0,
        "passive_minutes": 0.0,
        "min_trade_usd": 1e-9,
        "band": 0.0,
        "max_order_usd": CAPITAL * 100,
        "drawdown_stop": 0.99,
    }
    return GradientConfig.model_validate(
        {
            "signal": {"lookbacks": [2, 4, 8, 16, 32], "warm_up_bars": 60, "vol_span": 32},
            "book": {"top_n": 2, "max_coin_weight": 1.0},
            "trade": {**values, **trade},
            "gross_cap": CAPITAL * 100,
            "coin_cap": CAPITAL * 100,
        }
    )


def traded(bars: Bars, config: GradientConfig, patience_ns: int = 0) -> tuple[BarResult, dict[int, np.ndarray]]:
    """The kernel's run, and the weights it decided at each rebalance by the last closed bar."""
    strategy = Gradient(config, bars.coins)
    kernel = Kernel(strategy, instruments(bars), settings(patience_ns), "gradient", 1)
    decided: dict[int, np.ndarray] = {}
    last: list[object] = [None]

    def look(t: int, venue: BarVenue) -> None:
        if strategy.book is not None and strategy.book is not last[0]:
            last[0] = strategy.book
            decided[t - 1] = np.array([strategy.book.weights.get(coin, 0.0) for coin in bars.coins])

    result = run_bars(kernel, bars, instruments(bars), BarTerms(capital=CAPITAL), after=look)
    return result, decided


def of_fixed_capital(bars: Bars, decisions: Plan, costs: Costs) -> Result:
    """The vectorised backtest of the same dollars: its weights are of equity, the pod's of a fixed capital.

    Units are fixed at the price they trade at, as the pod does, which sees that price when it sizes its Targets.
    """
    targets: dict[int, np.ndarray] = {}
    result = backtest(bars, msgspec.structs.replace(decisions, targets={}), costs=costs, capital=float(CAPITAL))
    for t in sorted(decisions.targets):
        nxt = bars.open[t + 1] if t + 1 < len(bars.opened) else bars.close[t]
        ratio = np.where(np.isfinite(nxt), bars.close[t] / nxt, 1.0)
        scale = np.where(decisions.targets[t] != 0.0, ratio * float(CAPITAL) / result.equity[t], 0.0)
        targets[t] = decisions.targets[t] * scale
        result = backtest(
            bars, msgspec.structs.replace(decisions, targets=targets), costs=costs, capital=float(CAPITAL)
        )
    return result


def lot_bound(bars: Bars, result: BarResult) -> float:
    """The most that whole lots and the least order of 10 USD can be worth over the run, USD.

    A position is off by less than a lot, and by an order too small to send; that error earns every price move and
    funding, and is traded at most once a rebalance.
    """
    moves = np.nansum(np.abs(np.diff(np.vstack([bars.open[:1], bars.close]), axis=0)), axis=0)
    smallest = np.nanmin(bars.close, axis=0)
    error = 0.01 + 10.0 / smallest
    rates = np.nansum(np.abs(bars.funding), axis=0) if bars.funding is not None else 0.0
    priced = error * (moves * 1.5 + rates * np.nanmax(bars.close, axis=0))
    fees = len(result.fills) * float(np.max(error * np.nanmax(bars.close, axis=0))) * 0.00065 * 2
    second_order = float(result.volume) * 0.00045 * 0.0002  # the fee on the half spread
    return float(priced.sum()) + fees + second_order


def tied(bars: Bars, decided: Mapping[int, np.ndarray], decisions: Plan) -> None:
    """The kernel decided what the plan says, when it says it, to the bit."""
    wanted = {t: w for t, w in decisions.targets.items() if t + 1 < len(bars.opened)}
    held = {t: w for t, w in decided.items() if t >= min(wanted)}
    assert held.keys() == wanted.keys() and len(wanted) > 15
    for t, weights in wanted.items():
        assert (held[t] == weights).all()
    assert not any(w.any() for t, w in decided.items() if t < min(wanted))


@pytest.mark.parametrize("seed", [1, 7])
def test_the_kernel_and_the_vectorised_backtest_decide_the_same_and_earn_the_same(seed: int) -> None:
    bars, config = synthetic(seed), trend_config()
    result, decided = traded(bars, config)
    decisions = plan(bars, config)
    tied(bars, decided, decisions)
    fast = of_fixed_capital(bars, decisions, Costs(impact=0.0))
    bound = lot_bound(bars, result)
    gap = np.abs(fast.equity - result.equity)
    assert gap.max() <= bound < 0.02 * float(CAPITAL)
    assert gap.max() < 0.05 * np.abs(fast.equity - float(CAPITAL)).max()  # the agreement is not for want of trading
    assert float(result.volume) > 5 * float(CAPITAL)
    assert float(result.funding) == pytest.approx(-fast.funding_paid.sum(), abs=bound)
    assert float(result.fees) > 0


def test_they_agree_on_real_bars_with_funding() -> None:
    folder = Path(__file__).resolve().parents[2] / "../shared/data/hyperliquid_panel"
    if not folder.is_dir():
        pytest.skip("the panel of real bars is not on this machine")
    whole = read_bars(
        folder / "hl_4h_ohlcv.parquet",
        folder / "hl_funding_hourly.parquet",
        coins=("BTC", "ETH", "SOL", "DOGE", "AVAX", "LINK", "XRP", "SUI"),
    )
    bars = whole.between(len(whole.opened) - 260, len(whole.opened))
    assert np.isfinite(bars.close).all()
    config = trend_config()
    result, decided = traded(bars, config)
    decisions = plan(bars, config)
    tied(bars, decided, decisions)
    fast = of_fixed_capital(bars, decisions, Costs(impact=0.0))
    gap = np.abs(fast.equity - result.equity).max()
    assert gap <= lot_bound(bars, result)
    assert gap < 0.01 * np.abs(fast.equity - float(CAPITAL)).max()
    assert float(result.funding) != 0.0


def test_the_same_bars_give_the_same_run() -> None:
    bars, config = synthetic(3, t=140), trend_config()
    first, second = traded(bars, config)[0], traded(bars, config)[0]
    assert first.fills == second.fills and first.fills
    assert msgspec.json.encode(first.reports) == msgspec.json.encode(second.reports)


def test_passive_first_then_swept_a_bar_later() -> None:
    bars = synthetic(5, t=140)
    result, _ = traded(bars, trend_config(passive_minutes=20.0, deadline_minutes=40.0), 20 * 60 * SECOND)
    kinds = {fill.crossed for fill in result.fills}
    assert kinds == {True, False}
    rebalance = [r for r in result.reports if r.topic == "note" and r.body["text"].startswith("shortfall")]
    assert rebalance and all(r.body["field.wanted"] > 0 for r in rebalance)


class One:
    """Wants a position once the first bar is known."""

    slug = "one"

    def __init__(self, wanted: str, urgency: float) -> None:
        self.wanted, self.urgency = D(wanted), urgency

    def on_event(self, event: Event, view: View) -> list[Intent]:
        if isinstance(event, Candle) and event.close == 100.0:
            return [Target("A", self.wanted, self.urgency, D(100))]
        return []

    def snapshot(self) -> dict[str, object]:
        return {}

    def restore(self, state: Mapping[str, object]) -> None:
        pass

    def status(self) -> dict[str, object]:
        return {}


def by_hand(prices: list[tuple[float, float]], urgency: float, funding: float = 0.0) -> BarResult:
    bars = Bars(
        coins=("A",),
        opened=np.arange(len(prices), dtype=np.int64) * HOUR_MS + 1_700_006_400_000,
        hours=1.0,
        open=np.array([[a] for a, _ in prices]),
        close=np.array([[b] for _, b in prices]),
        volume_usd=np.full((len(prices), 1), 1e6),
        funding=np.full((len(prices), 1), funding),
    )
    coin = Instrument(coin="A", asset=0, size_decimals=2, max_leverage=20)
    kernel = Kernel(One("10", urgency), [coin], settings(), "one", 1)
    return run_bars(kernel, bars, [coin], BarTerms(half_spread=D("0.001"), capital=D(10_000)))


def test_an_ioc_pays_the_touch_and_the_taker_fee() -> None:
    got = by_hand([(100.0, 100.0), (104.0, 108.0)], 1.0)
    (fill,) = got.fills
    assert (fill.px, fill.sz, fill.crossed) == (D("100.1"), D(10), True)
    assert fill.fee == D("1001") * D("0.00045")
    assert got.equity[-1] == pytest.approx(10_000 + 10 * (108 - 100.1) - 1001 * 0.00045)


def test_a_resting_order_fills_only_beyond_its_price() -> None:
    touched = by_hand([(100.0, 100.0), (100.0, 99.9), (100.0, 100.0)], 0.0)
    assert touched.fills == ()  # the bid rests at 99.9: to touch it is not enough
    through = by_hand([(100.0, 100.0), (100.0, 99.8), (99.8, 99.8)], 0.0)
    (fill,) = through.fills
    assert (fill.px, fill.crossed, fill.fee) == (D("99.9"), False, D("999") * D("0.00015"))


def test_funding_is_paid_on_the_position_at_the_mean_price() -> None:
    got = by_hand([(100.0, 100.0), (100.0, 110.0)], 1.0, funding=0.001)
    assert got.funding == D(-10) * D(105) * D("0.001")


def test_bars_without_an_instrument_are_refused() -> None:
    bars = synthetic(1, t=10)
    kernel = Kernel(One("1", 1.0), [], settings(), "one", 1)
    with pytest.raises(ValueError, match="no instrument"):
        run_bars(kernel, bars, [])


def test_a_settlement_that_is_missing_is_charged_here_as_there() -> None:
    """At the base rate, on what is held: also of a coin without a bar, at its last price."""
    venue = BarVenue(("A",), BarTerms())
    venue.price("A", 50.0)
    venue.held["A"] = D(-2)
    venue.settle("A", float("nan"), 4 * 1.25e-5)
    assert venue.funding == D(2) * D(50) * D("0.00005")
