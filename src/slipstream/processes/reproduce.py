"""`slipstream research reproduce`: from a panel's files to one page: factors, joint models, backtests.

The figures are laid beside what was claimed of them (`slipstream.research.joint.claims`). A panel is a folder of
``hl_4h_ohlcv.parquet`` and ``hl_funding_hourly.parquet`` (other endings too). Every step states its time and the peak
of memory so far. A strategy whose backtest is not registered is named as missing, not skipped in silence; one that
refuses its input stops nothing else, and the page says why.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import typer

from slipstream.core.portfolio.record import BacktestRecord
from slipstream.model.errors import SlipstreamError
from slipstream.processes.joint_study import HORIZONS, run_study, write, write_study
from slipstream.research.joint import tables
from slipstream.research.joint.claims import SOURCE, claim_checks, summary
from slipstream.research.joint.panel import load_panel
from slipstream.research.joint.reproduction import TITLE, Reproduction, Run, Step, chapters, tiles
from slipstream.research.joint.study import JointStudy, StudyTerms
from slipstream.research.report.chapters import chapters_html, chapters_markdown, columns
from slipstream.research.report.charts import Picture, curves

BARS, FUNDING = "hl_4h_ohlcv", "hl_funding_hourly"
ENDINGS = (".parquet", ".feather", ".csv")
STRATEGIES = ("carry", "gradient")
T = TypeVar("T")


def file_of(folder: Path, stem: str) -> Path:
    """The one file of that name. Raises ValueError, saying what the folder should hold."""
    if not folder.is_dir():
        raise ValueError(f"--panel {folder}: there is no such folder")
    found = [folder / f"{stem}{ending}" for ending in ENDINGS if (folder / f"{stem}{ending}").is_file()]
    if len(found) != 1:
        what = "no" if not found else "more than one"
        raise ValueError(f"--panel {folder}: {what} {stem} with one of the endings {', '.join(ENDINGS)}")
    return found[0]


def peak_mb() -> float:
    """The most memory that this process has held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def timed(steps: list[Step], name: str, act: Callable[[], tuple[T, str]]) -> T:
    """Do, and note time, memory and outcome."""
    typer.echo(f"{name} ...", err=True)
    begun = time.perf_counter()
    found, outcome = act()
    steps.append(Step(name, time.perf_counter() - begun, peak_mb(), outcome))
    return found


def build_factors(bars_file: Path, horizons: Sequence[int], folder: Path) -> str:
    """The factor CSVs of all horizons by USD volume; says where."""
    from slipstream.data.bars import read_bars
    from slipstream.processes.pca_factor import build

    bars = read_bars(bars_file)
    paths = [build(bars, horizon, 30, "sqrt_dollar", folder) for horizon in horizons]
    return f"{len(paths)} factors in {folder.name}/"


def run_backtest_of(slug: str, bars: Path, funding: Path, folder: Path, seed: int) -> tuple[Run | None, str]:
    """A registered strategy over the panel, its report written; None and why where there are no figures."""
    from slipstream.core.portfolio.periods import periods
    from slipstream.core.stats.performance import drawdown, sharpe
    from slipstream.processes.backtest import run_backtest
    from slipstream.processes.backtest_request import BacktestRequest
    from slipstream.research.report import write_report
    from slipstream.strategies.registry import STRATEGIES as REGISTERED

    if slug not in REGISTERED:
        return None, "NOT RUN: no such strategy is registered"
    try:
        record = run_backtest(BacktestRequest(entry=REGISTERED[slug], bars=bars, funding=funding, seed=seed))
        paths = write_report(record, folder / slug, seed=seed)
    except (SlipstreamError, ValueError) as error:
        return None, f"REFUSED: {error}"
    kept = periods(record)
    ratio = sharpe(kept.returns, kept.ann) if kept.returns.size > 1 else None
    profit = float(record.equity[-1]) - record.capital
    row = {
        "strategy": record.title,
        "from": tables.when(int(record.stamps[0]))[:10],
        "to": tables.when(int(record.stamps[-1]))[:10],
        "net, USD": f"{profit:+,.0f}",
        "of capital": f"{profit / record.capital:+.1%}",
        "of it funding": f"{float(record.funding.sum()):+,.0f}",
        "of it costs": f"{-sum(float(part.sum()) for part in record.costs.values()):+,.0f}",
        "Sharpe": "not defined" if ratio is None else f"{ratio:.2f}",
        "deepest fall": f"{drawdown(record.returns).depth:.1%}",
    }
    path = f"{folder.name}/{slug}/{paths.html.name}"
    return Run(row=row, equity=_equity(record), report=path), f"report in {path}"


def _equity(record: BacktestRecord) -> Picture:
    lines = [("after everything", record.equity)]
    if record.costs:
        costs = np.cumsum(np.sum([np.asarray(part) for part in record.costs.values()], axis=0))
        lines.append(("before costs", record.equity + costs))
    note = f"equity, from {record.capital:,.0f} to {record.equity[-1]:,.0f} USD"
    return curves(record.title, note, record.stamps.tolist(), lines, base=record.capital)


def reproduce_all(
    panel_folder: Path, output: Path, horizons: Sequence[int], terms: StudyTerms, seed: int, slugs: Sequence[str]
) -> Reproduction:
    """All steps and the page. Raises ValueError for input that the user can mend."""
    bars, funding = file_of(panel_folder, BARS), file_of(panel_folder, FUNDING)
    steps: list[Step] = []

    def load() -> tuple[Any, str]:
        found = load_panel(bars, funding, now_ms=time.time_ns() // 1_000_000)
        return found, f"{len(found.stamps)} bars of {found.hours} h, {len(found.coins)} coins"

    panel = timed(steps, "load", load)
    timed(steps, "factors", lambda: (None, build_factors(bars, horizons, output / "factors")))

    def judge() -> tuple[JointStudy, str]:
        found = run_study(panel, horizons, terms, seed)
        write_study(found, panel.notes, output / "joint_models")
        return found, f"{len(found.horizons)} holding periods in joint_models/"

    found = timed(steps, "joint models", judge)
    runs: list[Run] = []
    missing: list[str] = []
    for slug in slugs:

        def test(slug: str = slug) -> tuple[Run | None, str]:
            return run_backtest_of(slug, bars, funding, output / "backtests", seed)

        run = timed(steps, f"backtest of {slug}", test)
        if run is None:
            missing.append(f"{slug}: {steps[-1].outcome}")
        else:
            runs.append(run)
    whole = Reproduction(
        found=found,
        checks=claim_checks(found),
        notes=panel.notes,
        runs=tuple(runs),
        missing=tuple(missing),
        steps=tuple(steps),
    )
    write_page(whole, output)
    return whole


def write_page(whole: Reproduction, output: Path) -> None:
    """``reproduction.html`` and ``reproduction.md``."""
    parts, verdict = chapters(whole), whole.found.verdict
    write(output / "reproduction.html", chapters_html(TITLE, whole.about, verdict, parts, tiles(whole)))
    write(output / "reproduction.md", chapters_markdown(TITLE, whole.about, verdict, parts))


def said(whole: Reproduction) -> list[str]:
    """What the command prints: the comparison, the verdict, time and memory."""
    steps = [f"{one.name}: {one.seconds:.1f} s, peak {one.peak_mb:,.0f} MB; {one.outcome}" for one in whole.steps]
    return [
        *columns([check.row for check in whole.checks]),
        summary(whole.checks),
        SOURCE,
        "",
        whole.found.verdict,
        "",
        *steps,
        f"whole run: {whole.seconds:.0f} s, peak memory {whole.peak_mb:,.0f} MB",
    ]


def reproduce(
    panel: Annotated[Path, typer.Option(help=f"Folder of {BARS} and {FUNDING} (.parquet, .feather, .csv).")],
    output: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("var/reproduction"),
    h: Annotated[list[int] | None, typer.Option("--H", help="Holding period, hours; repeat for more.")] = None,
    n_bootstrap: Annotated[int, typer.Option(min=1, help="Resamples of calendar weeks.")] = 1000,
    strategy: Annotated[list[str] | None, typer.Option(help="Backtests to run; default: carry and gradient.")] = None,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 1,
) -> None:
    """Reproduce the research from a panel's files: factors, joint models, backtests, one page."""
    try:
        terms = StudyTerms(draws=n_bootstrap)
        whole = reproduce_all(panel, output, tuple(h or HORIZONS), terms, seed, tuple(strategy or STRATEGIES))
    except (SlipstreamError, ValueError, OSError) as error:
        typer.echo(f"research reproduce: {error}", err=True)
        raise typer.Exit(2) from None
    for line in said(whole):
        typer.echo(line)
    typer.echo(f"report: {output / 'reproduction.html'}")
