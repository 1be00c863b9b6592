"""Commands of `slipstream` whose module is imported only when they are asked for: help and completion stay quick.

The summaries are the first sentences of the commands' own help; a test holds them to it.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

import typer

# module, then function: name and summary
LATE: dict[str, dict[str, tuple[str, str]]] = {
    "slipstream.console.commands": {
        "status": ("status", "Show the fund, money first."),
        "pods": ("pods", "Show every pod."),
        "mandates": ("mandates", "Show every pod's lease."),
        "breaks_app": ("breaks", "Show open breaks, the worst first."),
        "halt": ("halt", "Halt a pod, or all."),
        "resume": ("resume", "Clear the halts of a pod, or of all."),
        "flatten": ("flatten", "Close the positions of a pod, or of all."),
        "override": ("override", "Put a pod into a stage by hand."),
        "top": ("top", "Watch the fund, and act by key."),
    },
    "slipstream.processes.allocator": {"allocator": ("allocator", "Lend capital to pods by lease.")},
    "slipstream.processes.auditor": {"auditor": ("auditor", "Hold what pods report against what the venue shows.")},
    "slipstream.processes.breaker": {"breaker": ("breaker", "Cancel and reduce what a stopped pod left.")},
    "slipstream.processes.alerts": {"alerts": ("alerts", "Send the fund's alerts to people.")},
    "slipstream.processes.broker": {"broker": ("broker", "Serve the fund's bus on 127.0.0.1 and bus.port.")},
    "slipstream.processes.record": {
        "record": ("record", "Record books, best prices, trades and contexts of both venues."),
        "compact": ("compact", "Make Parquet tables of the closed segments of a recording."),
    },
    "slipstream.processes.record_bbo": {
        "record_bbo": ("record-bbo", "Record best prices and depth for the candidate scan.")
    },
    "slipstream.processes.candidates": {"candidates": ("candidates", "Rank listings by what was recorded of them.")},
    "slipstream.processes.watchlist": {
        "watchlist": (
            "watchlist",
            "Scan, and keep the ranking: a summary here, and CSV, JSON and Markdown with the time in their names.",
        )
    },
    "slipstream.processes.volume_gap": {
        "volume_gap": (
            "volume-gap",
            "Find listings that trade far less here, relative to Binance, than the benchmarks do.",
        )
    },
    "slipstream.processes.import_data": {
        "import_files": ("import", "Bring bars or funding from files into the lake."),
        "app": ("lake", "Look at the lake of market data."),
    },
    "slipstream.processes.tape": {"app": ("tape", "Make tapes of recordings, and look at them.")},
    "slipstream.processes.market_study": {
        "app": ("market", "Simulated markets made like recorded ones, and both measured.")
    },
    "slipstream.processes.costs": {"app": ("costs", "Calibrate what trading costs from recorded books, and show it.")},
    "slipstream.processes.backtest": {
        "backtest": ("backtest", "Test a strategy on history, net of all costs, and write a report.")
    },
    "slipstream.processes.parity": {"command": ("parity", "Hold a pod against the backtest of what it heard.")},
    "slipstream.processes.sweep": {
        "sweep": ("sweep", "Search parameters walk-forward; a run that was stopped continues where it was.")
    },
    "slipstream.processes.groups": {
        "train": ("train", "Train a model that a live pod predicts with."),
        "research": ("research", "Run the research end to end."),
    },
    "slipstream.processes.new_strategy": {
        "new_strategy": (
            "new-strategy",
            "Write a new strategy: config, signals, backtest, pod, tests and docs, registered.",
        )
    },
}
POD = "Run one strategy against a venue."


def asked() -> tuple[str, str]:
    """The first two words after `slipstream`, on the line or on the line that a shell wants completed."""
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS")
    words = line.split() if line is not None and "_SLIPSTREAM_COMPLETE" in os.environ else sys.argv
    first, second, *_ = [*(word for word in words[1:] if not word.startswith("-")), "", ""]
    return first, second


def register(app: typer.Typer, words: tuple[str, str] | None = None) -> None:
    """Add every late command: the one that the words ask for as it is, the others as a name and a line."""
    command, second = words or asked()
    app.add_typer(_pods(command == "pod", second), name="pod", help=POD)
    for module, commands in LATE.items():
        names = [name for name, _ in commands.values()]
        if command in names:
            add(app, module)
        else:
            for name, summary in commands.values():
                _announce(app, name, summary)


def add(app: typer.Typer, module: str) -> None:
    """Import a module of commands and add all of them."""
    loaded = import_module(module)
    for function, (name, _) in LATE[module].items():
        found = getattr(loaded, function)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)


def _pods(wanted: bool, slug: str) -> typer.Typer:
    """`slipstream pod`: a command for every registered strategy that has one."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    if not wanted:
        group.callback()(lambda: None)
        return group
    from slipstream.strategies.registry import STRATEGIES

    for entry in STRATEGIES.values():
        if entry.pod and entry.slug == slug:
            group.command(entry.slug)(entry.hook("pod"))
        elif entry.pod:
            _announce(group, entry.slug, entry.title + ".")
    return group


def _announce(app: typer.Typer, name: str, summary: str) -> None:
    """A line in the help and a word for the shell's completion, without the import."""

    @app.command(name, help=summary)
    def later() -> None:
        raise AssertionError(f"{name} was not asked for")
