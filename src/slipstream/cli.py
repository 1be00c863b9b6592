"""The `slipstream` command: the only module that may import everything, and imports it late."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

app = typer.Typer(
    name="slipstream",
    help="Run several trading strategies on Hyperliquid perpetual futures as one fund.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"slipstream {version('slipstream')}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Options of every command."""


def main() -> None:
    """Entry point of the console script."""
    app()
