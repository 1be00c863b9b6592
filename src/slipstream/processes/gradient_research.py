"""`gradient-signals`, `gradient-backtest`, and `python -m slipstream.processes.gradient_research study`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.data.bars import read_bars
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.bar_backtest import costs_of, record_of
from slipstream.processes.bar_market import chosen
from slipstream.processes.exit_codes import ask
from slipstream.processes.gradient_plans import plan, replay, study_plans
from slipstream.processes.gradient_report import (
    csv_text,
    signal_rows,
    study_rows,
    study_table,
    study_text,
    study_words,
    summary,
    when_text,
)
from slipstream.research.report import sheet, write_report
from slipstream.research.report.charts import whiskers
from slipstream.research.synthetic_bars import synthetic_bars
from slipstream.runtime.config import load
from slipstream.simulation import vectorised
from slipstream.simulation.gradient_study import StudyTerms
from slipstream.simulation.gradient_study import study as run_study
from slipstream.simulation.vectorised import Costs
from slipstream.strategies.gradient.config import GradientConfig
from slipstream.strategies.registry import find

CONFIG = Path("configs/gradient.yml")
NO_DATA = (
    "no bars: give --bars FILE (Parquet, Feather or CSV with the columns coin, ts, open, close, volume; ts is the "
    "bar's open, ms UTC; volume in base coin), or try the command on made-up bars with --demo. Candles of the venue "
    "come from its info request candleSnapshot, funding from fundingHistory."
)
NO_FUNDING = "no funding: give --funding FILE (coin, ts, rate), or leave it out knowingly with --no-funding"
BarsOption = Annotated[Path | None, typer.Option("--bars", help="Bars: Parquet, Feather or CSV.")]
FundingOption = Annotated[Path | None, typer.Option("--funding", help="Funding rates: coin, ts, rate.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help=f"Default: {CONFIG}, if it is there.")]
DemoOption = Annotated[bool, typer.Option("--demo", help="Made-up bars from a seed.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of made-up bars, periods and resamples.")]
CostOption = Annotated[float | None, typer.Option("--half-spread", min=0.0, help="Fraction of the price; 0.0002.")]
ImpactOption = Annotated[float | None, typer.Option("--impact", min=0.0, help="Y of the square-root law; 1.")]
FileOption = Annotated[Path | None, typer.Option("--costs", help="By coin: a file of `slipstream costs calibrate`.")]
MakerOption = Annotated[float, typer.Option("--maker-share", min=0.0, max=1.0, help="Part filled passively.")]

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Gradient's research commands.")


def _config(path: Path | None, overrides: dict[str, Any] | None = None) -> GradientConfig:
    if path is None and CONFIG.is_file():
        path = CONFIG
    return load(path, GradientConfig, overrides=overrides)


def _bars(path: Path | None, funding: Path | None, demo: bool, seed: int, config: GradientConfig) -> Bars:
    if demo and path is not None:
        raise ValueError("--demo makes bars up and --bars reads them: give one of the two")
    if demo:
        return chosen(synthetic_bars(np.random.default_rng(seed), hours=config.signal.bar_hours), config)
    if path is None:
        raise ValueError(NO_DATA)
    return chosen(read_bars(path, funding, coins=config.coins, hours=config.signal.bar_hours), config)


def _as_of(bars: Bars, text: str | None) -> Bars:
    """The bars that had closed by a time (ISO 8601, UTC unless it says otherwise)."""
    if text is None:
        return bars
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"--as-of {text}: not a time; write it like 2025-03-01T08:00") from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    closed = bars.opened + round(bars.hours * HOUR_MS)
    count = int((closed <= when.timestamp() * 1000).sum())
    if count < 2:
        raise ValueError(
            f"--as-of {text}: {count} bars had closed by then; the first closes at {when_text(int(closed[0]))}"
        )
    return bars.until(count)


def _costs(half_spread: float | None, impact: float | None, maker_share: float, file: Path | None) -> Costs:
    """What trading costs. Raises ConfigError and ValueError."""
    asked = BacktestRequest(
        entry=find("gradient"), half_spread=half_spread, impact=impact, maker_share=maker_share, costs=file
    )
    return costs_of(asked)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# ---- signals ----------------------------------------------------------------------------------------------------


@app.command("signals")
def signals_command(
    bars: BarsOption = None,
    config: ConfigOption = None,
    as_of: Annotated[str | None, typer.Option(help="Use only bars closed by then, UTC.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write a .csv or .json file instead of a table.")] = None,
    demo: DemoOption = False,
    seed: SeedOption = 1,
) -> None:
    """Trend strength, volatility, liquidity, side and weight of every coin."""

    def act() -> None:
        if out is not None and out.suffix not in (".csv", ".json"):
            raise ValueError(f"--out {out}: the ending must be .csv or .json")
        settings = _config(config)
        market = _as_of(_bars(bars, None, demo, seed, settings), as_of)
        *_, (_, found) = replay(market, settings)
        book = found.book()
        rows = signal_rows(found, book)
        when = when_text(int(market.opened[-1]) + round(market.hours * HOUR_MS))
        head = {"as_of": when, **{k: getattr(book, k) for k in ("gross", "net", "beta", "var95_day")}}
        if out is None:
            _show(rows, head, market)
        elif out.suffix == ".csv":
            _write(out, csv_text(rows))
        else:
            _write(out, json.dumps({**head, "notes": market.notes, "coins": rows}, indent=1) + "\n")

    ask(act)


def _show(rows: list[dict[str, Any]], head: dict[str, Any], bars: Bars) -> None:
    table = Table("coin", "trend", "vol/day", "USD/day", "side", "weight", "why not")
    for row in rows:
        trend = "" if row["trend_strength"] is None else f"{row['trend_strength']:+.2f}"
        weight = f"{row['weight']:+.4f}" if row["weight"] else ""
        usd = f"{row['volume_day_usd']:,.0f}"
        table.add_row(row["coin"], trend, f"{row['vol_day']:.2%}", usd, row["side"], weight, row["why_not"])
    console = Console()
    console.print(table)
    for note in bars.notes:
        console.print(f"note: {note}")
    console.print(
        f"as of {head['as_of']} UTC: gross {head['gross']:.3f}, net {head['net']:+.4f}, beta {head['beta']:+.4f}, "
        f"95 % VaR of a day {head['var95_day']:.2%}"
    )


# ---- backtest ---------------------------------------------------------------------------------------------------


@app.command("backtest")
def backtest_command(
    bars: BarsOption = None,
    funding: FundingOption = None,
    config: ConfigOption = None,
    no_funding: Annotated[bool, typer.Option("--no-funding", help="Leave funding out, knowingly.")] = False,
    capital: Annotated[float, typer.Option(min=1.0, help="USD.")] = 1_000_000.0,
    rebalance_hours: Annotated[float | None, typer.Option(help="Instead of the config's.")] = None,
    half_spread: CostOption = None,
    impact: ImpactOption = None,
    maker_share: MakerOption = 0.0,
    costs: FileOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for backtest.json and the report (HTML, Markdown, JSON).")
    ] = None,
    demo: DemoOption = False,
    seed: SeedOption = 1,
) -> None:
    """What Gradient would have earned on bars, net of fees, spread, impact and funding."""

    def act() -> None:
        settings = _config(config, {"trade.rebalance_hours": rebalance_hours})
        market = _bars(bars, funding, demo, seed, settings)
        charged = _costs(half_spread, impact, maker_share, costs)
        kind: Literal["none", "data"] = "none" if no_funding else "data"
        if kind == "data" and market.funding is None:
            raise ValueError(NO_FUNDING)
        result = vectorised.backtest(market, plan(market, settings), costs=charged, capital=capital, funding=kind)
        if not (result.turnover > 0.0).any():
            raise ValueError(
                "nothing was ever held: too few bars to warm up, or too few liquid coins; see gradient-signals"
            )
        asked = BacktestRequest(
            entry=find("gradient"),
            bars=bars,
            funding=funding,
            no_funding=no_funding,
            demo=demo,
            seed=seed,
            costs=costs,
        )
        record = record_of(asked, settings, market, result, charged)
        figures = summary(market, result, record, seed, not no_funding)
        text = json.dumps(figures, indent=1)
        table = Table("figure", "value", title="Gradient")
        for key, value in figures.items():
            if not isinstance(value, dict | list):
                table.add_row(key, f"{value:,.4f}" if isinstance(value, float) else str(value))
        table.add_row("sharpe, 95 %", "{:.2f} to {:.2f}".format(*figures["sharpe_95"]))
        Console().print(table)
        for assumption in figures["assumptions"]:
            typer.echo(f"assumed: {assumption}")
        if out is not None:
            _write(out / "backtest.json", text + "\n")
            paths = write_report(record, out, seed=seed)
            typer.echo(f"wrote {out / 'backtest.json'} and {paths.html}")

    ask(act)


# ---- study ------------------------------------------------------------------------------------------------------


@app.command("study")
def study_command(
    bars: BarsOption = None,
    funding: FundingOption = None,
    config: ConfigOption = None,
    no_funding: Annotated[bool, typer.Option("--no-funding", help="Leave funding out, knowingly.")] = False,
    out: Annotated[Path, typer.Option(help="Directory for study.csv, study.md and study.html.")] = Path("study"),
    capital: Annotated[float, typer.Option(min=1.0, help="USD of one account: impact depends on it.")] = 1_000_000.0,
    periods: Annotated[int, typer.Option(min=2)] = 12,
    period_days: Annotated[int, typer.Option(min=1)] = 45,
    half_spread: CostOption = None,
    impact: ImpactOption = None,
    maker_share: MakerOption = 0.0,
    costs: FileOption = None,
    demo: DemoOption = False,
    seed: SeedOption = 1,
) -> None:
    """Concentration, rebalance frequency and weighting, beside naive rules, with intervals."""

    def act() -> None:
        settings = _config(config)
        market = _bars(bars, funding, demo, seed, settings)
        if market.funding is None and not no_funding:
            raise ValueError(NO_FUNDING)
        charged = _costs(half_spread, impact, maker_share, costs)
        terms = StudyTerms(
            periods=periods, period_days=period_days, capital=capital, funding=not no_funding, costs=charged
        )
        rng = np.random.default_rng(seed)
        with Progress(console=Console(stderr=True)) as bar:
            first = bar.add_task("decisions", total=len(market.opened))
            plans = study_plans(market, settings, rng, progress=lambda: bar.advance(first))
            second = bar.add_task("backtests", total=len(plans))
            found = run_study(market, plans, terms, rng, lambda: bar.advance(second))
        text = study_text(found, market)
        ranked = sorted(found.rows, key=lambda row: -row.usd.estimate)
        drawn = whiskers(
            "USD per 1,000,000 and period",
            "net of everything, 95 % intervals, the best first",
            [(" ".join(f"{part}" for part in row.case if part), *row.usd) for row in ranked],
        )
        _write(out / "study.csv", csv_text(study_rows(found)))
        _write(out / "study.md", text)
        _write(
            out / "study.html",
            sheet("Gradient: study", [drawn], lines=study_words(found, market), rows=study_table(found)),
        )
        typer.echo(f"wrote {out / 'study.csv'}, {out / 'study.md'} and {out / 'study.html'}")

    ask(act)


def signals() -> None:
    """Entry point of ``gradient-signals``."""
    typer.run(signals_command)


def backtest() -> None:
    """Entry point of ``gradient-backtest``."""
    typer.run(backtest_command)


def study() -> None:
    """Entry point of the study alone."""
    typer.run(study_command)


if __name__ == "__main__":
    app()
