"""What the help of each command shows below its options: lines to type, which a test holds to the flags there are."""

from __future__ import annotations

from typing import Any

import typer

EXAMPLES: dict[str, tuple[str, ...]] = {
    "up": ("up", "up --for 60 --plain --coins BTC,ETH", "up --replay recordings/"),
    "venue": ("venue --speed 60 --coins BTC,ETH", "venue --port 0 --control --snapshot var/venue.json"),
    "doctor": ("doctor --config configs/brawler.yml", "doctor --hl-url http://127.0.0.1:3001"),
    "replay": ("replay var/up/2026-01-31_120000/brawler/journal.db",),
    "parity": ("parity var/up/2026-01-31_120000/gradient/journal.db",),
    "report": ("report var/up/2026-01-31_120000", "report --fund configs/fund.yml"),
    "allocator": ("allocator --fund configs/fund.yml",),
    "auditor": ("auditor --fund configs/fund.yml",),
    "breaker": ("breaker --fund configs/fund.yml",),
    "alerts": ("alerts --fund configs/fund.yml",),
    "broker": ("broker --fund configs/fund.yml",),
    "record": ("record --coins BTC,ETH --duration 3600", "record --hl-url http://127.0.0.1:3001 --venues hl"),
    "compact": ("compact", "compact --lake var/lake"),
    "record-bbo": ("record-bbo --config configs/brawler.yml --duration 3600",),
    "candidates": (
        "candidates --hl-pattern 'data/hl/{symbol}.csv' --cex-pattern 'data/binance/{cex_lower}.csv' --symbols BTC ETH",
    ),
    "watchlist": (
        "watchlist --hl-pattern 'data/hl/{symbol}.csv' --cex-pattern 'data/binance/{cex_lower}.csv' "
        "--output-dir logs/brawler_watchlist",
    ),
    "volume-gap": (
        "volume-gap --config configs/brawler.yml --ratio-threshold 0.3",
        "volume-gap --symbols BTC,ETH --json",
    ),
    "import": ("import bars.csv --interval 4h", "import funding.parquet --stream funding", "import panel/"),
    "lake": ("lake show", "lake verify"),
    "tape": ("tape convert recordings/ --to tapes/", "tape show tapes/", "tape check tapes/hl_BTC --strict"),
    "market": (
        "market calibrate tapes/hl_BTC --out btc.json",
        "market facts --tape tapes/hl_BTC --simulate btc.json --hours 6 --out btc.html",
    ),
    "costs": ("costs calibrate --help", "costs show --help"),
    "backtest": (
        "backtest gradient --bars bars.parquet --funding funding.parquet",
        "backtest template --demo --against gradient",
        "backtest carry --demo --kernel",
        "backtest brawler --replay recordings/",
        "backtest brawler --tape tapes/ --anchor self:0 --funding none --against symmetric",
        "backtest brawler --simulate 24 --latency 80:40",
    ),
    "sweep": (
        "sweep template --demo --param signal.lookback=1:48:int:log --trials 8 --folds 2",
        "sweep gradient --bars bars.parquet --funding funding.parquet --param book.top_fraction=0.05:0.3",
        "sweep carry --bars var/lake --funding var/lake --param book.risk_aversion=5:50:log --executor dask",
        "sweep brawler --tape tapes/ --anchor self:0 --funding none --param base_spread=0.0005,0.0008",
    ),
    "train": (
        "train carry --bars bars.parquet --funding funding.parquet",
        "train carry --demo --valid-until 2100-01-01",
    ),
    "research": (
        "research reproduce --panel ../shared/data/hyperliquid_panel",
        "research brawler-ticks --tapes tapes/ --simulate 168",
    ),
    "new-strategy": ('new-strategy mean_flip --title "Fades the last hour"',),
    "pod": (
        "pod brawler --config configs/brawler.yml",
        "pod carry --config configs/carry.yml --hl-url http://127.0.0.1:3001",
    ),
}
CODES = "Exit codes: 0 done; 1 it ran and the answer is no, or something outside failed; 2 the request cannot be."


def show_examples(app: typer.Typer) -> None:
    """Put them under the help of the commands that an application has."""
    infos: list[Any] = [*app.registered_commands, *app.registered_groups]
    for info in infos:
        lines = EXAMPLES.get(info.name or info.callback.__name__, ())
        if lines:
            info.epilog = "\b\nExamples:\n" + "\n".join(f"  slipstream {line}" for line in lines)
