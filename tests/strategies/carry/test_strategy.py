"""Carry over bars by its kernel: what it decides, what it refuses, what it remembers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from slipstream.core.forecast.artefact import Artefact, Linear, encode, sealed
from slipstream.core.forecast.drift import spread_of
from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import SECOND, KernelConfig, Limits
from slipstream.model.events import AssetContext, FundingRate
from slipstream.model.instrument import Instrument
from slipstream.research.predictor import rates_of
from slipstream.simulation.bars import BarResult, BarTerms, BarVenue, run_bars
from slipstream.strategies.carry.config import CarryConfig
from slipstream.strategies.carry.rates import Rates
from slipstream.strategies.carry.strategy import Carry
from slipstream.strategies.carry.target import Book, Bounds, Signals

D = Decimal
CAPITAL = D(100_000)
HOUR_NS = 3_600 * SECOND
START = 1_700_006_400_000
SIGNAL = {
    "bar_hours": 4,
    "horizon_hours": 8,
    "window": 12,
    "price_spans": [2, 4],
    "funding_spans": [1, 6],
    "vol_span": 16,
    "warm_up_bars": 4,
}


def market(seed: int = 3, t: int = 70, n: int = 8) -> Bars:
    """Walks with a common factor; each coin's funding stays near a level of its own, wide apart."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, 0.012, (t, 1)) * rng.uniform(0.7, 1.4, n) + rng.normal(0, 0.01, (t, n))
    close = rng.uniform(5.0, 900.0, n) * np.exp(np.cumsum(moves, axis=0))
    rates = np.linspace(-1e-4, 2e-4, n) + rng.normal(0, 1e-5, (t, n))
    return Bars(
        coins=tuple(f"C{j}" for j in range(n)),
        opened=START + np.arange(t, dtype=np.int64) * 4 * HOUR_MS,
        hours=4.0,
        open=np.vstack([close[:1], close[:-1]]),
        close=close,
        volume_usd=rng.uniform(4e7, 8e7, (t, n)),
        funding=4 * rates,
        funding_gaps=np.zeros((t, n), dtype=np.int64),
    )


def config(model: Artefact | None = None, **blocks: dict[str, Any]) -> CarryConfig:
    text = encode(model).decode() if model is not None else ""
    trade = {
        "capital": CAPITAL,
        "rebalance_hours": 8,
        "passive_minutes": 0,
        "max_order_usd": CAPITAL * 9,
        "min_trade_usd": 1,
        "drawdown_stop": 0.9,
    }
    return CarryConfig.model_validate(
        {
            "artefact_text": text,
            "signal": SIGNAL,
            "book": {"max_coin_weight": 0.4, "risk_aversion": 1.0, "impact": 0.1, **blocks.get("book", {})},
            "drift": {"bars": 12, "psi_halt": 100.0, "shift_halt": 50.0, **blocks.get("drift", {})},
            "trade": {**trade, **blocks.get("trade", {})},
            "gross_cap": CAPITAL * 9,
            "coin_cap": CAPITAL * 9,
        }
    )


def model(until: int = START + 10_000 * HOUR_MS, **changes: Any) -> Artefact:
    """Funding of the next horizon is the average rate times its hours; no price."""
    spec = config().spec()
    rng = np.random.default_rng(1)
    spreads = {name: spread_of(rng.normal(0, 1, 400)) for name in spec.names[:2]}
    spreads |= {name: spread_of(rng.normal(5e-5, 1e-4, 400)) for name in (*spec.names[2:], "error_funding")}
    values: dict[str, Any] = {
        "version": 1,
        "spec": spec,
        "spec_hash": spec.hash,
        "price": Linear((0.0, 0.0), 0.0, used=False),
        "funding": Linear((0.0, 8.0), 0.0),
        "trained_from_ms": START - 2,
        "trained_to_ms": START - 1,
        "valid_until_ms": until,
        "data_hash": "",
        "config": {},
        "metrics": {},
        "spreads": spreads,
    }
    return sealed(Artefact(**(values | changes)))


def traded(bars: Bars, settings: CarryConfig, **more: Any) -> tuple[BarResult, Carry, dict[int, Book]]:
    coins = [Instrument(coin=coin, asset=i, size_decimals=3, max_leverage=20) for i, coin in enumerate(bars.coins)]
    limits = Limits(
        gross_cap=CAPITAL * 100,
        coin_cap=CAPITAL * 100,
        max_order=CAPITAL * 100,
        max_feed_age_ns=24 * HOUR_NS,
        actions_per_second=1000.0,
        burst=100_000,
        fat_finger=0.5,
    )
    strategy = Carry(settings, bars.coins)
    kernel = Kernel(strategy, coins, KernelConfig(limits=limits, patience_ns=0), "carry", 1)
    books: dict[int, Book] = {}

    def look(t: int, venue: BarVenue) -> None:
        if strategy.book is not None and (not books or list(books.values())[-1] is not strategy.book):
            books[t - 1] = strategy.book

    result = run_bars(kernel, bars, coins, BarTerms(capital=CAPITAL), after=look, **more)
    return result, strategy, books


def notes(result: BarResult) -> list[str]:
    return [str(r.body) for r in result.reports if r.topic == "note"]


def test_the_kernel_decides_what_the_signals_say_and_stays_neutral() -> None:
    bars = market()
    result, _, books = traded(bars, config(model()))
    used = {t: book for t, book in books.items() if not book.why}
    assert len(used) > 15 and result.fills
    first = min(used)
    signals, rates = Signals(bars.coins, config(model())), rates_of(bars)
    for t in range(first + 1):
        signals.update(bars.close[t], bars.volume_usd[t], rates[t])
    room = float(D("0.97") * 9)
    bounds = Bounds(float(CAPITAL), room, np.full(8, room))
    again = signals.book(int(bars.opened[first]) + 4 * HOUR_MS, np.zeros(8), bounds)
    assert again == used[first] and again.weights  # to the bit
    for book in used.values():
        assert abs(book.beta) < 1e-7 and book.gross <= 1.0 + 1e-9 and max(map(abs, book.weights.values())) <= 0.4 + 1e-9
    # what pays most is held short, what is paid most long
    assert again.weights["C0"] > 0.0 > again.weights["C7"]
    assert float(result.funding) > 0.0 and again.expected > 0.0 and again.from_price == 0.0
    held = result.positions[first + 2] * bars.close[first + 1]
    assert abs(float(signals.betas @ held)) < 0.01 * np.abs(held).sum()


def test_the_same_bars_give_the_same_run() -> None:
    first, second = (traded(market(5, t=50), config(model()))[0] for _ in range(2))
    assert first.fills == second.fills and first.fills
    assert msgspec.json.encode(first.reports) == msgspec.json.encode(second.reports)


def test_costs_keep_a_book_where_it_is() -> None:
    bars = market(4)
    cheap = traded(bars, config(model(), book={"fee": 0.0, "half_spread": 0.0, "impact": 0.0}))[0]
    dear = traded(bars, config(model(), book={"fee": 0.002, "hold_horizons": 2.0}))[0]
    assert dear.volume < cheap.volume / 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "no model at var/carry/model.json"),
        (model(until=START), "the model ended"),
        (model(trained_to_ms=START + 9_000 * HOUR_MS), "still to come"),
        (model(spec_hash="other"), "hashed differently"),
    ],
)
def test_a_model_that_cannot_be_used_opens_nothing_and_says_why(given: Artefact | None, said: str) -> None:
    result, strategy, _ = traded(market(t=45), config(given))
    assert not result.fills and said in str(strategy.status()["refused"])
    assert sum("the model is refused" in note and said in note for note in notes(result)) >= 1


def test_a_model_for_other_features_is_refused() -> None:
    settings = config(model()).model_copy(update={"signal": config().signal.model_copy(update={"window": 13})})
    result, strategy, _ = traded(market(t=45), settings)
    assert not result.fills and "window 12 there, 13 here" in str(strategy.status()["refused"])


def test_when_the_model_ends_positions_only_shrink_to_nothing() -> None:
    bars = market(6, t=110)
    end = int(bars.opened[50])
    result, strategy, books = traded(bars, config(model(until=end), trade={"min_trade_usd": 50}))
    last = max(t for t, book in books.items() if not book.why)
    held = np.abs(result.positions[last + 1 :])
    assert held[0].any() and (np.diff(held, axis=0) <= 1e-9).all() and not held[-1].any()
    assert "the model ended" in str(strategy.status()["refused"])


def test_drift_is_refused_beyond_its_bound_and_said_before() -> None:
    bars = market(7)
    strange = msgspec.structs.replace(bars, funding=None if bars.funding is None else bars.funding + 0.01)
    result, strategy, _ = traded(strange, config(model(), drift={"bars": 6, "shift_halt": 2.0, "psi_halt": 3.0}))
    assert "drift: psi of funding" in str(strategy.status()["refused"]) and not result.fills
    said, _, _ = traded(strange, config(model(), drift={"bars": 6}))
    assert any("drifts away" in note for note in notes(said)) and said.fills


def test_losing_much_closes_everything_and_latches() -> None:
    bars = market(8, t=60)
    result, strategy, _ = traded(bars, config(model(), trade={"drawdown_stop": 1e-4}))
    assert strategy.status()["stopped"] and not result.positions[-1].any() and result.fills


def test_a_snapshot_goes_on_and_the_model_travels_with_the_record() -> None:
    bars = market(9, t=40)
    _, strategy, _ = traded(bars, config(model()))
    state = json.loads(json.dumps(strategy.snapshot()))
    settings = CarryConfig.model_validate(json.loads(json.dumps(config(model()).public())))
    other = Carry(settings, bars.coins)
    other.restore(state)
    assert other.snapshot() == strategy.snapshot() and other.signals.artefact == strategy.signals.artefact


def test_rates_settled_before_the_start_belong_to_the_hours_that_they_ended() -> None:
    rates, hour = Rates(("A", "B")), 3_600_000_000_000
    for end in range(1, 9):  # settlements are dated a little after the hour
        rates.hear(FundingRate("hl", "A", 1e-5 * end, end * hour + 76_000_000, 20 * hour))
    rates.hear(FundingRate("hl", "C", 1.0, 2 * hour, 20 * hour))
    np.testing.assert_allclose(rates.of_bar(0, 4 * hour), [2.5e-5, np.nan])
    rates.hear(AssetContext("hl", "B", 1.0, 1.0, 7e-5, 0.0, 5 * hour, 5 * hour))
    np.testing.assert_allclose(rates.of_bar(4 * hour, 4 * hour), [6.5e-5, 7e-5])
    assert np.isnan(rates.of_bar(4 * hour, 4 * hour)).all()  # each is given once


def test_the_record_reads_the_file_that_is_there_at_the_start(tmp_path: Any) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(encode(model()))
    settings = CarryConfig.model_validate({"artefact": path, "signal": SIGNAL})
    record = settings.public()
    path.unlink()
    assert CarryConfig.model_validate(record).model()[0] == model()
    assert settings.public()["artefact_text"] == ""


def test_the_last_rate_heard_in_an_hour_is_that_hours() -> None:
    rates = Rates(("A", "B"))
    base = 500_000 * HOUR_NS // HOUR_NS * HOUR_NS

    def told(coin: str, at: int, rate: float) -> AssetContext:
        return AssetContext("hl", coin, 1.0, 1.0, rate, 0.0, base + at, base + at)

    for one in (told("A", 0, 9.0), told("A", HOUR_NS - 1, 1.0), told("A", HOUR_NS, 3.0), told("X", 5, 7.0)):
        rates.hear(one)
    rates.hear(told("B", 3 * HOUR_NS, float("nan")))
    rates.hear(told("A", 4 * HOUR_NS, 100.0))
    got = rates.of_bar(base, 4 * HOUR_NS)
    assert got[0] == 2.0 and np.isnan(got[1])
    assert rates.of_bar(base + 4 * HOUR_NS, 4 * HOUR_NS)[0] == 100.0
    assert np.isnan(rates.of_bar(base, 4 * HOUR_NS)).all()
