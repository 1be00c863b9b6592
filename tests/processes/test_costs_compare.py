"""A pod's journal against the costs: orders that were taken at the model's prices are nothing beyond it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from slipstream.core.costs.calibrated import Calibrated, CoinCosts, encode
from slipstream.execution.kernel import Kernel
from slipstream.federation.excess import excess
from slipstream.model.commands import Command
from slipstream.model.events import Event
from slipstream.processes.attributing import read_pod
from slipstream.processes.bar_backtest import instruments_of, patient
from slipstream.processes.costs import app
from slipstream.research.synthetic_bars import synthetic_bars
from slipstream.runtime.journal import open_journal
from slipstream.runtime.records import Session
from slipstream.simulation.bars import BarTerms, run_bars
from slipstream.strategies.template.config import TemplateConfig, kernel_settings
from slipstream.strategies.template.strategy import Template

CONFIG = TemplateConfig.model_validate(
    {
        "signal": {"warm_up_bars": 20, "max_share": 1.0},
        "book": {"max_coin_weight": 1.0},
        "trade": {"passive_minutes": 0, "band": 0.0, "min_trade_usd": 0.01},
    }
)


def costs(coins: tuple[str, ...], spread: float) -> Calibrated:
    one = CoinCosts(
        half_spread=spread, half_spread_low=spread, half_spread_high=spread, impact=0.0, impact_low=0.0,
        impact_high=0.0, rms=0.0, worst=0.0, r2=1.0, exponent=None, books=1000, dropped=0, minutes=100.0, first_ms=1,
        last_ms=2, depth_usd=1e6, notional_usd=(1e3, 1e6), cost_bp=(2.0, 2.0),
    )  # fmt: skip
    return Calibrated(coins=dict.fromkeys(coins, one))


class Told(Kernel):
    """A kernel whose steps are kept."""

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.steps: list[tuple[Event, list[Command]]] = []

    def step(self, event: Event) -> list[Command]:
        commands = super().step(event)
        self.steps.append((event, commands))
        return commands


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some days of a pod that trades at once, at a model's half spread (impact would be less: children are smaller)."""
    path = tmp_path_factory.mktemp("pod") / "journal.db"
    bars = synthetic_bars(np.random.default_rng(11), coins=8, days=20)
    settings = patient(kernel_settings(CONFIG, 1.0), bars)
    kernel, perps = Told(Template(CONFIG, bars.coins), (), settings, "template", 1), instruments_of(bars)
    terms = BarTerms(capital=CONFIG.trade.capital).priced(costs(bars.coins, 2e-4).model(), bars.coins)
    assert run_bars(kernel, bars, perps, terms).fills
    with open_journal(path) as opened:
        opened.begin(
            Session(
                run=1,
                ns=int(bars.opened[0]) * 1_000_000,
                slug="template",
                config=settings,
                instruments=tuple(perps),
                strategy_config={"strategy": "template", "config": CONFIG.public(), "coins": list(bars.coins)},
            )
        )
        for event, commands in kernel.steps:
            opened.append([event], commands)
    return path


def test_orders_taken_at_the_models_prices_are_nothing_beyond_it(journal: Path, tmp_path: Path) -> None:
    with open_journal(journal, read_only=True) as opened:
        orders = read_pod("template", opened).orders
    coins = tuple(sorted({order.coin for order in orders}))
    assert len(orders) > 5 and len(coins) > 1
    for one in excess(orders, costs(coins, 2e-4).model()):
        assert one.expected is not None and one.expected == pytest.approx(6.5)
        assert one.beyond == pytest.approx(0.0, abs=0.02)  # the venue's fee is of the price paid
    for one in excess(orders, costs(coins, 1e-4).model()):
        assert one.beyond == pytest.approx(1.0, abs=0.02)
    (tmp_path / "costs.json").write_bytes(encode(costs(coins[:1], 2e-4)))
    shown = CliRunner().invoke(app, ["compare", str(journal), "--costs", str(tmp_path / "costs.json")])
    assert shown.exit_code == 0, shown.output
    assert coins[0] in shown.output and "not calibrated" in shown.output and "±" in shown.output


def test_what_cannot_be_compared_is_told(journal: Path, tmp_path: Path) -> None:
    lost = CliRunner().invoke(app, ["compare", str(journal), "--costs", str(tmp_path / "none.json")])
    assert lost.exit_code == 2 and "make one with slipstream costs calibrate" in lost.output
    (tmp_path / "costs.json").write_bytes(encode(costs(("BTC",), 2e-4)))
    none = CliRunner().invoke(app, ["compare", str(tmp_path / "j.db"), "--costs", str(tmp_path / "costs.json")])
    assert none.exit_code == 2 and "costs compare:" in none.output
    empty = CliRunner().invoke(app, ["compare", str(tmp_path), "--costs", str(tmp_path / "costs.json")])
    assert empty.exit_code == 2 and "fund.yml" in empty.output
