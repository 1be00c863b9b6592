"""Any registered strategy's backtest by its slug: one request, one record, one report."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from msgspec.structs import replace
from rich.console import Console
from typer.testing import CliRunner

from slipstream.core.costs.calibrated import Calibrated, CoinCosts, encode
from slipstream.core.signals.bars import Bars
from slipstream.model.errors import ConfigError
from slipstream.processes.backtest import backtest, run_backtest, show
from slipstream.processes.backtest_request import BacktestRequest, parse_overrides
from slipstream.processes.bar_backtest import by_kernel
from slipstream.processes.bar_market import market_of, settings_of
from slipstream.processes.sweep_run import SweepTerms, fingerprint
from slipstream.processes.sweep_worker import Job, evaluate
from slipstream.research.report.figures import report
from slipstream.research.synthetic_bars import synthetic_bars
from slipstream.strategies.registry import STRATEGIES, find

ROOT = Path(__file__).resolve().parents[2]
WEEKLY = {"trade.rebalance_hours": 168}
app = typer.Typer()
app.command("backtest")(backtest)


def invoke(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def asked(slug: str, **values: Any) -> BacktestRequest:
    entry = find(slug)
    return BacktestRequest(entry=entry, config=ROOT / entry.sample, **values)


def returns_csv(folder: Path) -> Path:
    bars = synthetic_bars(np.random.default_rng(3), coins=12, days=80)
    path = folder / "returns.csv"
    lines = [",".join(["time", *bars.coins])]
    for t, opened in enumerate(bars.opened):
        cells = [f"{bars.close[t, j] / bars.open[t, j] - 1.0:.10f}" for j in range(len(bars.coins))]
        lines.append(",".join([str(int(opened) + 4 * 3_600_000), *("" if c == "nan" else c for c in cells)]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("slug", sorted(STRATEGIES))
def test_every_hook_of_every_strategy_is_there(slug: str) -> None:
    entry = find(slug)
    for name in ("pod", "backtest", "decisions", "kernel", "recall"):
        if getattr(entry, name):
            assert callable(entry.hook(name)), name


def test_gradient_on_made_up_bars_adds_up() -> None:
    record = run_backtest(asked("gradient", demo=True, overrides=WEEKLY))
    profit = float(record.equity[-1]) - record.capital
    assert sum(record.coin_pnl.values()) == pytest.approx(profit)
    assert set(record.costs) == {"fee", "spread", "impact"} and all(part.sum() > 0 for part in record.costs.values())
    assert record.turnover[0] > 0.0 and record.gross.max() <= 1.3 * record.equity.max()
    assert record.settings["strategy"] == "gradient"
    again = run_backtest(asked("gradient", demo=True, overrides=WEEKLY))
    assert (again.equity == record.equity).all()


def test_more_cost_is_less_money() -> None:
    dear = run_backtest(asked("gradient", demo=True, overrides=WEEKLY, half_spread=0.01))
    cheap = run_backtest(asked("gradient", demo=True, overrides=WEEKLY, half_spread=0.0))
    assert dear.equity[-1] < cheap.equity[-1] and not cheap.costs["spread"].any()


def test_the_screen_and_the_report_show_one_sharpe_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    record = run_backtest(asked("gradient", demo=True, overrides=WEEKLY))
    show(record, Console(width=120))
    told = re.search(r"Sharpe ratio, a year, by the day\W+(-?[\d.]+)", capsys.readouterr().out)
    kept = report(record, np.random.default_rng(1))
    assert told is not None and kept.period == "day"
    assert told[1] == f"{next(r.value for r in kept.ratios if r.name == 'Sharpe ratio'):.2f}"


def costs_file(folder: Path, coins: tuple[str, ...], spread: float = 2e-4, impact: float = 0.0) -> Path:
    """A file of costs, the same for every coin."""
    one = CoinCosts(
        half_spread=spread, half_spread_low=spread, half_spread_high=spread, impact=impact, impact_low=impact,
        impact_high=impact, rms=0.0, worst=0.0, r2=1.0, exponent=None, books=1000, dropped=0, minutes=100.0, first_ms=1,
        last_ms=2, depth_usd=1e6, notional_usd=(1e3, 1e6), cost_bp=(2.0, 2.0),
    )  # fmt: skip
    path = folder / f"costs{spread}_{impact}.json"
    path.write_bytes(encode(Calibrated(coins=dict.fromkeys(coins, one), sources=("books",))))
    return path


def test_calibrated_costs_are_what_the_backtest_charges(tmp_path: Path) -> None:
    coins = synthetic_bars(np.random.default_rng(1), hours=4).coins
    plain = run_backtest(asked("gradient", demo=True, overrides=WEEKLY, impact=0.0))
    same = run_backtest(asked("gradient", demo=True, overrides=WEEKLY, costs=costs_file(tmp_path, coins)))
    assert same.equity == pytest.approx(plain.equity, rel=1e-12)
    assert "calibrated from books" in same.assumptions[1]
    dear = run_backtest(asked("gradient", demo=True, overrides=WEEKLY, costs=costs_file(tmp_path, coins, 2e-4, 1e-5)))
    assert dear.equity[-1] < plain.equity[-1] and dear.costs["impact"].sum() > 0.0
    with pytest.raises(ValueError, match="no costs are known for 1 of 30 coins, SYN29"):
        run_backtest(asked("gradient", demo=True, costs=costs_file(tmp_path, coins[:-1])))
    with pytest.raises(ConfigError, match="--impact has no meaning here: --costs says"):
        run_backtest(asked("gradient", demo=True, costs=costs_file(tmp_path, coins), impact=1.0))
    with pytest.raises(ConfigError, match="make one with slipstream costs calibrate"):
        run_backtest(asked("gradient", demo=True, costs=tmp_path / "none.json"))


def test_the_kernel_over_bars_earns_much_the_same(tmp_path: Path) -> None:
    """Both trade the same books; the kernel's capital is fixed, and so are its lots and its bands."""
    quick = {**WEEKLY, "trade.passive_minutes": 0, "trade.min_trade_usd": 0.01, "trade.band": 0.0}
    wide = {"gross_cap": 1e9, "coin_cap": 1e9, "trade.max_order_usd": 1e9, "trade.drawdown_stop": 0.99}
    soon = {"signal.warm_up_bars": 60, "signal.lookbacks": [2, 4, 8, 16, 32], "trade.rebalance_hours": 24}
    market: dict[str, Any] = {"returns_csv": returns_csv(tmp_path), "no_funding": True, "capital": 20_000.0}
    request = asked("gradient", overrides={**quick, **wide, **soon}, **market)
    by_plan, by_kernel = run_backtest(request), run_backtest(replace(request, kernel=True))
    assert by_kernel.slug == by_plan.slug and "live kernel" in by_kernel.assumptions[0]
    profit = float(by_kernel.equity[-1]) - by_kernel.capital
    assert sum(by_kernel.coin_pnl.values()) == pytest.approx(profit, abs=0.01)
    days = 42
    left, right = (np.diff(np.log(r.equity))[-days * 6 :] for r in (by_plan, by_kernel))
    assert np.corrcoef(left, right)[0, 1] > 0.95


def test_returns_as_the_market(tmp_path: Path) -> None:
    path = returns_csv(tmp_path)
    record = run_backtest(asked("gradient", returns_csv=path, no_funding=True, overrides=WEEKLY))
    assert not record.funding.any() and not record.costs["impact"].any()
    assert "FUNDING LEFT OUT, as asked" in record.assumptions and "index" in record.findings[0]


def test_brawler_against_the_emulated_exchange(tmp_path: Path) -> None:
    values = {"symbols": [{"symbol": "WLFI", "order_size": 2000, "max_inventory": 10000}]}
    request = asked("brawler", demo=True, hours=0.1, overrides={**values, "base_spread": 0.00035, "k": 0.5})
    record = run_backtest(request)
    assert len(record.stamps) == 6 and (np.diff(record.stamps) == 60_000).all()
    assert record.turnover.sum() > 0.0 and (record.gross < 20_000.0).all()
    profit = float(record.equity[-1]) - record.capital
    assert sum(record.coin_pnl.values()) == pytest.approx(profit, abs=0.001)
    own, entry = tmp_path / "own.yml", find("brawler")
    of_itself = "symbols: [{symbol: WLFI, order_size: 2000, max_inventory: 10000, base_spread: 0.001}]\n"
    own.write_text((ROOT / entry.sample).read_text().partition("symbols:\n")[0] + of_itself)
    given = {"base_spread": 0.00035, "k": 0.5}
    again = run_backtest(BacktestRequest(entry=entry, config=own, demo=True, hours=0.1, overrides=given))
    assert (again.equity == record.equity).all()
    assert again.assumptions[-1].endswith("replaces what the config says of WLFI (0.001)")


@pytest.mark.parametrize(
    ("slug", "values", "said"),
    [
        ("gradient", {}, "no market"),
        ("gradient", {"demo": True, "bars": Path("x.csv")}, "--bars and --demo: give one market"),
        ("gradient", {"demo": True, "hours": 1.0}, "--hours has no meaning here"),
        ("gradient", {"demo": True, "overrides": {"trade.rebalance": 3}}, "rebalance"),
        ("gradient", {"demo": True, "overrides": {"coins": ["BTC", "NOPE"]}}, "the bars have no NOPE"),
        ("brawler", {}, "give one market"),
        ("brawler", {"bars": Path("x.csv")}, "--bars has no meaning here"),
        ("brawler", {"demo": True, "kernel": True}, "--kernel has no meaning here"),
    ],
)
def test_what_makes_no_sense_is_refused(slug: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=re.escape(said)):
        run_backtest(asked(slug, **values))


def test_returns_without_funding_need_a_word(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--no-funding"):
        run_backtest(asked("gradient", returns_csv=returns_csv(tmp_path)))


def test_bars_of_another_length_are_refused() -> None:
    from slipstream.processes.bar_market import chosen, settings_of

    bars: Bars = synthetic_bars(np.random.default_rng(1), coins=5, days=5, hours=1)
    config: Any = settings_of(asked("gradient"))
    with pytest.raises(ValueError, match=re.escape("--set signal.bar_hours=1")):
        chosen(bars, config)


def test_overrides_are_read_as_yaml() -> None:
    assert parse_overrides(["a.b=3", "coins=[BTC, ETH]", "x=true"]) == {"a.b": 3, "coins": ["BTC", "ETH"], "x": True}
    for pair, said in (("a", "write key=value"), ("a=", "write key=value"), ("a=[", "is not a value")):
        with pytest.raises(ConfigError, match=said):
            parse_overrides([pair])
    with pytest.raises(ConfigError, match="given twice"):
        parse_overrides(["a=1", "a=2"])


def test_the_command_ends_with_a_report(tmp_path: Path) -> None:
    words = ["template", "--config", str(ROOT / "configs/template.yml"), "--returns-csv", str(returns_csv(tmp_path))]
    done = invoke(*words, "--no-funding", "--against", "gradient", "--output", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert "profit after everything" in done.output and "FUNDING LEFT OUT" in done.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert "FUNDING LEFT OUT" in page and "Reversal book" in page
    assert "Trend book" in (tmp_path / "out" / "report.md").read_text(), "both strategies are compared"
    for wrong, said in (
        (["gradent", "--demo"], "did you mean gradient"),
        (["gradient", "--returns-csv", "nothing.csv", "--no-funding"], "there is no such file"),
        (["gradient", "--demo", "--set", "trade.capital"], "write key=value"),
        (words, "--no-funding"),
        ([*words, "--no-funding", "--against", "template"], "that is the strategy itself"),
    ):
        bad = invoke(*wrong)
        assert bad.exit_code == 2 and said in bad.output and "Traceback" not in bad.output


def recorded(folder: Path, seconds: int) -> Path:
    """Books of SOL a second apart, quiet, with a trade in between."""
    start = 1_757_015_216_000
    levels = ",".join(f"{side}_{field}_{k}" for k in range(2) for side in ("bid", "ask") for field in ("price", "size"))
    books = [f"timestamp,sequence,exchange_timestamp,{levels}"]
    trades = ["timestamp,price,size,side,trade_id,exchange_timestamp"]
    for k in range(seconds):
        px, ms = 200.0 + 0.05 * (k % 3), start + 1000 * k
        books.append(f"{ms / 1e3},{ms},{ms},{px},500,{px + 0.2:.2f},500,{px - 0.1:.2f},900,{px + 0.3:.2f},900")
        side, at = ("buy", f"{px + 0.2:.2f}") if k % 2 else ("sell", px)
        trades.append(f"{(ms + 500) / 1e3},{at},300,{side},{k + 1},{ms + 500}")
    for name, rows in (("orderbooks_SOL", books), ("trades_SOL", trades)):
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress("\n".join([*rows, ""]).encode()))
    return folder


def test_brawler_on_recorded_books_says_what_it_knew(tmp_path: Path) -> None:
    values = {"symbols": [{"symbol": "SOL", "order_size": 5, "max_inventory": 50}], "base_spread": 0.0006, "k": 0.1}
    request = asked("brawler", replay=recorded(tmp_path, 150), overrides=values)
    record = run_backtest(request)
    assert len(record.stamps) == 2 and any("KNOWS THE FUTURE" in line for line in record.assumptions)
    assert record.settings["replay"] == str(tmp_path)
    with pytest.raises(ConfigError, match=r"last 0\.04 h; then it begins anew"):
        run_backtest(replace(request, hours=1.0))
    with pytest.raises(ConfigError, match="less than a minute"):
        run_backtest(replace(request, hours=0.01))


def test_a_sweep_pays_the_costs_of_the_file_and_belongs_to_them(tmp_path: Path) -> None:
    coins = synthetic_bars(np.random.default_rng(1), hours=4).coins
    cheap, dear = (
        asked("gradient", demo=True, overrides=WEEKLY, costs=costs_file(tmp_path, coins, spread))
        for spread in (1e-4, 5e-3)
    )
    config: Any = settings_of(cheap)
    bars = market_of(cheap, config)
    scores = [
        evaluate(Job(request=r, first=0, last=len(bars.opened), capital=1e6, objective="growth")).score
        for r in (cheap, dear)
    ]
    assert scores[0] is not None and scores[1] is not None and scores[0] > scores[1]
    terms = SweepTerms(knobs=())
    assert fingerprint(cheap, terms) != fingerprint(dear, terms)


def test_another_capital_keeps_the_config_that_was_given() -> None:
    """Such as a model that was put into it: the file is not read again."""
    request = asked("template", demo=True, capital=30_000.0)
    config: Any = settings_of(request)
    bars = market_of(request, config).until(200)
    nothing = config.model_copy(update={"trade": config.trade.model_copy(update={"min_trade_usd": 1e12})})
    with pytest.raises(ConfigError, match="nothing was ever traded"):
        by_kernel(request, nothing, bars)
    assert by_kernel(request, config, bars).gross.max() > 20_000.0  # of 30,000, not of the file's 20,000
