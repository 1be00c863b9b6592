#!/usr/bin/env python3
"""Run any registered strategy's backtest: ``run_backtest.py --strategy <slug> -- <options of slipstream backtest>``."""

from __future__ import annotations

import argparse
import sys

import typer

from slipstream.processes.backtest import backtest
from slipstream.strategies.registry import STRATEGIES


def main() -> None:
    """Hand the options after ``--`` to `slipstream backtest <slug>`."""
    parser = argparse.ArgumentParser(description=__doc__, usage="%(prog)s [-h] [--list] --strategy SLUG -- OPTIONS")
    parser.add_argument("--strategy", help=f"one of {', '.join(sorted(STRATEGIES))}")
    parser.add_argument("--list", action="store_true", help="show the registered strategies and leave")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:cut])
    if options.list:
        for entry in STRATEGIES.values():
            print(f"{entry.slug:12} {entry.title}")
        return
    if options.strategy is None:
        parser.error("--strategy is missing")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command("backtest")(backtest)
    app([options.strategy, *words[cut + 1 :]], prog_name="slipstream backtest")


if __name__ == "__main__":
    main()
