"""`slipstream train carry`: fit the model that Carry trades on, say how it did out of sample, write its file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from slipstream.core.forecast.artefact import Artefact, encode
from slipstream.model.errors import ConfigError, SlipstreamError
from slipstream.processes.backtest_request import BacktestRequest, parse_overrides, said
from slipstream.processes.bar_market import market_of, settings_of
from slipstream.research.predictor import TrainTerms, train
from slipstream.strategies.carry.config import CarryConfig
from slipstream.strategies.registry import Entry

PRICES: dict[str, Literal["auto", "always", "never"]] = {"auto": "auto", "always": "always", "never": "never"}
NAMES = ("funding", "last_rate", "base_rate", "price", "combined")
WORDS = {
    "funding": "funding, model",
    "last_rate": "funding, last rate x H",
    "base_rate": "funding, venue's base rate",
    "price": "residual return, model",
    "combined": "return less funding, model",
}


def carry(
    config: Annotated[Path | None, typer.Option(help="Carry's config; default: configs/carry.yml.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="key=value instead of the config's.")] = None,
    bars: Annotated[Path | None, typer.Option(help="Bars (coin, ts, open, close, volume): a file, a lake.")] = None,
    funding: Annotated[Path | None, typer.Option(help="Funding (coin, ts, rate): a file, a lake.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="A made-up market: teaches nothing about a real one.")] = False,
    output: Annotated[Path | None, typer.Option(help="The model's file; default: the config's artefact.")] = None,
    folds: Annotated[int, typer.Option(min=2, help="Walk-forward folds.")] = 5,
    valid_days: Annotated[float, typer.Option(min=0.1, help="Days that the model may be used.")] = 45.0,
    valid_until: Annotated[str | None, typer.Option(help="Or: the UTC date it may be used until.")] = None,
    price: Annotated[str, typer.Option(help="Use the price model: auto (if it earns it), always, never.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of resamples and of the made-up market.")] = 1,
) -> None:
    """Train Carry's model on bars and funding, judge it walk-forward, and write it."""
    from slipstream.strategies.registry import find

    try:
        entry: Entry = find("carry")
        request = BacktestRequest(
            entry=entry,
            config=config,
            overrides=parse_overrides(change or []),
            bars=bars,
            funding=funding,
            demo=demo,
            seed=seed,
        )
        settings = settings_of(request)
        assert isinstance(settings, CarryConfig)
        terms = terms_of(folds, valid_days, price)
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True)
        ) as shown:
            shown.add_task("bars, features, walk-forward")
            market = market_of(request, settings)
            model = train(
                market,
                settings.spec(),
                terms,
                np.random.default_rng(seed),
                {"seed": seed, "demo": demo},
            )
        if valid_until is not None:
            model = until(model, valid_until)
        path = write(model, output or settings.artefact)
    except (SlipstreamError, ValueError) as error:
        typer.echo(f"train carry: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"train carry: {said(error)}", err=True)
        raise typer.Exit(1) from None
    for note in market.notes:
        typer.echo(f"found: {note}", err=True)
    show(model, Console())
    typer.echo(f"model: {path}")


def terms_of(folds: int, valid_days: float, price: str) -> TrainTerms:
    """The terms of a training. Raises ConfigError."""
    if price not in PRICES:
        raise ConfigError(f"--price {price}: give {', '.join(PRICES)}")
    return TrainTerms(folds=folds, valid_days=valid_days, price=PRICES[price])


def until(model: Artefact, date: str) -> Artefact:
    """The model with another end. Raises ConfigError for what is no date, or one before its training ends."""
    from msgspec.structs import replace

    try:
        end = int(np.datetime64(date, "ms").astype(np.int64))
    except ValueError:
        raise ConfigError(f"--valid-until {date}: give a date such as 2026-01-31") from None
    if end <= model.trained_to_ms:
        raise ConfigError(f"--valid-until {date}: the training ends on {day(model.trained_to_ms)}, later than that")
    return replace(model, valid_until_ms=end)


def write(model: Artefact, path: Path) -> Path:
    """Write the file whole or not at all. Raises ConfigError."""
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(encode(model))
        os.replace(fresh, path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}; give another --output") from None
    finally:
        fresh.unlink(missing_ok=True)
    return path


def day(ms: int) -> str:
    """A date."""
    return str(np.datetime64(ms, "ms").astype("datetime64[D]"))


def show(model: Artefact, console: Console) -> None:
    """How the model did on what it had not seen."""
    table = Table("forecast", "R² out of sample", "95 % of resampled weeks", title=f"{model.spec.horizon_hours} h")
    for name in NAMES:
        figures = [model.metrics.get(f"{name}_r2{end}") for end in ("", "_low", "_high")]
        said = ["-" if x is None else f"{x:.4f}" for x in figures]
        table.add_row(WORDS[name], said[0], f"{said[1]} to {said[2]}")
    console.print(table)
    console.print(
        f"trained on {day(model.trained_from_ms)} to {day(model.trained_to_ms)}, ends {day(model.valid_until_ms)}"
    )
    used = "used" if model.price.used else "NOT used: it did not beat the mean beyond doubt"
    console.print(f"the price model is {used}")
