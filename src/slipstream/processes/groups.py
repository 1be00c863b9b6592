"""Commands with commands under them: `slipstream train` and `slipstream research`."""

from __future__ import annotations

import typer

from slipstream.processes.brawler_ticks import brawler_ticks
from slipstream.processes.carry_train import carry
from slipstream.processes.reproduce import reproduce

train = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Train a model that a live pod predicts with.")
train.callback()(lambda: None)
train.command("carry")(carry)

research = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Run the research end to end.")
research.callback()(lambda: None)
research.command("reproduce")(reproduce)
research.command("brawler-ticks")(brawler_ticks)
