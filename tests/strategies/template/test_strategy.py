"""Template's live half, run by the kernel over bars: it decides what its backtest decides, and obeys its lease."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from slipstream.core.signals.bars import Bars
from slipstream.execution.kernel import Kernel
from slipstream.model.events import Event
from slipstream.model.mandate import Mandate
from slipstream.processes.backtest import run_backtest
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.bar_backtest import instruments_of, patient
from slipstream.research.synthetic_bars import synthetic_bars
from slipstream.simulation.bars import BarResult, BarTerms, BarVenue, run_bars
from slipstream.strategies.registry import find
from slipstream.strategies.template.backtest import decisions
from slipstream.strategies.template.config import TemplateConfig, kernel_settings
from slipstream.strategies.template.strategy import Template

SLUG = "template"
ROOT = Path(__file__).resolve().parents[3]
CONFIG = TemplateConfig.model_validate(
    {
        "signal": {"warm_up_bars": 20, "max_share": 1.0},
        "book": {"max_coin_weight": 1.0},
        "trade": {"passive_minutes": 0, "band": 0.0, "min_trade_usd": 0.01},
    }
)


def market(days: int = 30) -> Bars:
    return synthetic_bars(np.random.default_rng(11), coins=8, days=days)


def traded(bars: Bars, lease: Any = None) -> tuple[BarResult, dict[int, np.ndarray]]:
    """The kernel's run, and the weights it decided by the last closed bar."""
    strategy = Template(CONFIG, bars.coins)
    kernel = Kernel(strategy, (), patient(kernel_settings(CONFIG, 1.0), bars), SLUG, 1)
    decided: dict[int, np.ndarray] = {}
    last: list[object] = [None]

    def after(t: int, venue: BarVenue) -> None:
        if strategy.book is not None and strategy.book is not last[0]:
            last[0] = strategy.book
            decided[t - 1] = np.array([strategy.book.weights.get(coin, 0.0) for coin in bars.coins])

    def before(t: int, venue: BarVenue) -> list[Event]:
        return lease(t, venue.now_ns) if lease is not None else []

    terms = BarTerms(capital=CONFIG.trade.capital)
    return run_bars(kernel, bars, instruments_of(bars), terms, before=before, after=after), decided


def test_the_live_half_decides_what_the_backtest_decides() -> None:
    bars = market()
    result, decided = traded(bars)
    wanted = {t: w for t, w in decisions(bars, CONFIG).targets.items() if t + 1 < len(bars.opened)}
    assert len(wanted) > 15 and wanted.keys() <= decided.keys()
    for t, weights in wanted.items():
        assert (decided[t] == weights).all(), t
    assert result.fills and {fill.coin for fill in result.fills} <= set(bars.coins)


def test_nothing_later_changes_what_was_decided() -> None:
    bars = market()
    early = decisions(bars.until(120), CONFIG).targets
    late = decisions(bars, CONFIG).targets
    assert early and all((late[t] == w).all() for t, w in early.items())


def test_a_smaller_lease_shrinks_the_book_at_once() -> None:
    bars = market(20)
    start = 100

    def lease(t: int, now_ns: int) -> list[Event]:
        capital = Decimal(20_000) if t < start else Decimal(2_000)
        far = now_ns + 10**18
        return [Mandate(t + 1, SLUG, capital, capital, issued_ns=now_ns, expires_ns=far)]

    result, _ = traded(bars, lease)
    gross = np.nansum(np.abs(result.positions * np.nan_to_num(bars.close)), axis=1)
    assert gross[start - 2] > 10_000.0 and gross[start + 1 :].max() < 2_500.0


def test_a_restart_continues_the_schedule() -> None:
    one = Template(CONFIG, ("A", "B"))
    one.restore({"done_ns": 7})
    other = Template(CONFIG, ("A", "B"))
    other.restore(one.snapshot())
    assert other.snapshot() == one.snapshot() == {"done_ns": 7}


def test_the_registered_backtest_leaves_a_record_that_adds_up() -> None:
    entry = find(SLUG)
    request = BacktestRequest(entry=entry, config=ROOT / entry.sample, demo=True)
    record = run_backtest(request)
    assert record.slug == SLUG and record.turnover.sum() > 0.0
    assert sum(record.coin_pnl.values()) == pytest.approx(float(record.equity[-1]) - record.capital)
    dearer = run_backtest(replace(request, half_spread=0.01))
    assert dearer.equity[-1] < record.equity[-1]


def test_the_pod_is_planned_from_the_sample(tmp_path: Path) -> None:
    from slipstream.processes.bar_pod import BarPodOptions, plan_bar_pod

    entry = find(SLUG)
    options = BarPodOptions(config=ROOT / entry.sample, slug=SLUG, state_dir=tmp_path)
    plan = plan_bar_pod(entry, options, {"SLIPSTREAM_TEMPLATE_STATUS_TOKEN": "word"}, tmp_path)
    assert plan.status_token is not None and plan.keys.account.startswith("0x")
    assert isinstance(entry.recalled({"config": plan.config.public(), "coins": ["A", "B"]}, "other"), Template)
    assert entry.hook("kernel")(plan.config, 20.0).limits.gross_cap == plan.config.gross_cap
    assert callable(entry.hook("pod"))
