"""`find_optimal_H_joint.py`: joint models of price and funding at several holding periods, and which one to believe."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from slipstream.data.streams import MS
from slipstream.model.errors import SlipstreamError
from slipstream.processes.gradient_report import csv_text
from slipstream.processes.import_data import LAKE
from slipstream.research.joint import tables
from slipstream.research.joint.panel import Panel, load_panel
from slipstream.research.joint.study import JointStudy, StudyTerms, study

HORIZONS = (4, 8, 12, 24, 48)
OUTPUT = Path("data/features/joint_models")
NO_DATA = (
    "{path}: there are no bars; give --bars and --funding (Parquet, Feather or CSV, or a lake's folder), "
    "or fill the lake first: uv run hl-load --all --days 180"
)


def data_options(parser: argparse.ArgumentParser, output: Path, horizons: tuple[int, ...]) -> None:
    """The options that every command over bars and funding has."""
    parser.add_argument("--H", type=int, nargs="+", default=list(horizons), metavar="HOURS", help="holding periods")
    parser.add_argument("--bars", type=Path, default=LAKE, help=f"file or lake of bars; default: {LAKE}")
    parser.add_argument("--bar-hours", type=float, default=None, help="which bars, where a lake has several lengths")
    parser.add_argument("--output", type=Path, default=output, help=f"folder; default: {output}")


def asked(act: Callable[[], None], command: str) -> None:
    """Run; what the user can mend becomes one line on stderr and exit code 2."""
    try:
        act()
    except (SlipstreamError, ValueError, OSError) as error:
        print(f"{command}: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.part")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


def panel_from(bars: Path, funding: Path | None, hours: float | None) -> Panel:
    """The panel of a file or a lake, which holds funding too. Raises BarsError and ValueError."""
    if not bars.exists():
        raise ValueError(NO_DATA.format(path=bars))
    if funding is None and not bars.is_dir():
        raise ValueError("--funding is missing: a file of bars has no funding rates in it")
    return load_panel(bars, bars if funding is None else funding, hours=hours, now_ms=time.time_ns() // MS)


def run_study(panel: Panel, horizons: Sequence[int], terms: StudyTerms, seed: int) -> JointStudy:
    """The study with a progress bar on stderr."""
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("holding periods", total=len(horizons))
        return study(panel, horizons, terms, np.random.default_rng(seed), lambda: bar.advance(task))


def write_study(found: JointStudy, notes: tuple[str, ...], folder: Path) -> None:
    """Summary, a file a horizon, comparison, quantile tables and a page to read."""
    write(folder / "optimization_summary.json", _json(tables.optimization_summary(found)))
    write(folder / "H_comparison.csv", csv_text(tables.comparison_rows(found)))
    for one in found.horizons:
        write(folder / f"joint_model_H{one.hours}.json", _json(tables.horizon_file(found, one)))
        write(folder / f"quantiles_H{one.hours}.csv", csv_text(tables.quantile_rows(one)))
    shown = [("Holding periods", tables.shown_rows(found)), *quantile_tables(found)]
    write(folder / "joint_study.md", tables.markdown("Joint models", tables.words(found, notes), shown))


def quantile_tables(found: JointStudy) -> list[tuple[str, list[dict[str, str]]]]:
    """Each horizon's tenths as text."""
    return [
        (
            f"H = {one.hours} h by tenths of forecast alpha less funding, bp per {one.hours} h",
            [
                {key: f"{value:,.2f}" if isinstance(value, float) else str(value) for key, value in row.items()}
                for row in tables.quantile_rows(one)
            ],
        )
        for one in found.horizons
    ]


def _json(value: dict[str, Any]) -> str:
    return json.dumps(_finite(value), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """What JSON can hold: a figure that is not defined is null."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def main(words: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="find_optimal_H_joint.py", description=__doc__)
    data_options(parser, OUTPUT, HORIZONS)
    parser.add_argument("--funding", type=Path, default=None, help="file or lake of funding; default: the bars' lake")
    parser.add_argument("--n-bootstrap", type=int, default=1000, help="resamples of calendar weeks")
    parser.add_argument("--cost-bp", type=float, default=3.5, help="of every unit of turnover")
    parser.add_argument("--seed", type=int, default=1, help="of the resamples")
    options = parser.parse_args(words)

    def act() -> None:
        if options.n_bootstrap < 1:
            raise ValueError(f"--n-bootstrap {options.n_bootstrap}: at least 1 resample is needed")
        if not 0.0 <= options.cost_bp < math.inf:
            raise ValueError(f"--cost-bp {options.cost_bp}: a cost is a number of bp from 0 up")
        terms = StudyTerms(draws=options.n_bootstrap, cost=options.cost_bp / tables.BP)
        panel = panel_from(options.bars, options.funding, options.bar_hours)
        for note in panel.notes:
            print(f"found: {note}", file=sys.stderr)
        found = run_study(panel, options.H, terms, options.seed)
        write_study(found, panel.notes, options.output)
        for row in tables.shown_rows(found):
            print("  ".join(f"{name} {value}" for name, value in list(row.items())[:8]))
        print(found.verdict)
        print(f"wrote {options.output / 'optimization_summary.json'} and what stands beside it")

    asked(act, parser.prog)
