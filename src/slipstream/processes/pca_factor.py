"""`build_pca_factor.py`: the volume-weighted market factor on bars of the holding period, betas and residuals."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress

from slipstream.core.factors.market import RollingFactor, rolling_factor
from slipstream.core.factors.timescale import aggregate, bars_in
from slipstream.core.factors.weights import METHODS, WeightMethod, liquidity_weights
from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.core.signals.momentum import log_returns
from slipstream.data.bars import read_bars
from slipstream.data.streams import MS
from slipstream.processes.joint_study import HORIZONS, NO_DATA, asked, data_options, write
from slipstream.research.joint.tables import when

Array = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.int64]
OUTPUT = Path("data/features")


def factor_of(bars: Bars, horizon: int, window: int, method: WeightMethod) -> tuple[RollingFactor, Stamps]:
    """The factor of the last ``window`` bars of ``horizon`` hours at every such bar, and these bars' closes, ms.

    Bars of H hours end where the data ends; a coin's weight is that of its mean volume over the window. Raises
    ValueError: a horizon that is not whole bars, or a history without one whole window.
    """
    width = bars_in(horizon, bars.hours)
    returns = aggregate(log_returns(bars.close), width)
    if len(returns) < window:
        raise ValueError(
            f"--H {horizon} --K {window}: a window is {window * horizon} h and the bars hold {len(returns) * horizon} h"
        )
    middle = (bars.open + bars.close) / 2.0
    usd, base = (_mean(aggregate(np.nan_to_num(v), width), window) for v in (bars.volume_usd, bars.volume_usd / middle))
    found = rolling_factor(returns, liquidity_weights(base, usd, method), window)
    if not np.isfinite(found.factor).any():
        raise ValueError(f"--H {horizon} --K {window}: no window has five coins with every bar and some volume")
    closes = bars.opened + round(bars.hours * HOUR_MS)
    return found, closes[len(closes) - len(returns) * width :][width - 1 :: width]


def _mean(volume: Array, window: int) -> Array:
    total = np.cumsum(volume, axis=0)
    total[window:] = total[window:] - total[:-window]
    mean: Array = np.maximum(total, 0.0) / np.minimum(np.arange(1, len(volume) + 1), window)[:, None]
    return mean


def factor_csv(found: RollingFactor, closes: Stamps) -> str:
    """A row an H-hour bar: its close, the factor's return, the part it explains, how many coins it has."""
    lines = ["ts,time,factor_return,explained,coins"]
    for k in np.flatnonzero(np.isfinite(found.factor)):
        coins = int(np.isfinite(found.beta[k]).sum())
        ts = int(closes[k])
        lines.append(f"{ts},{when(ts)},{found.factor[k]:.10g},{found.share[k]:.6g},{coins}")
    return "\n".join(lines) + "\n"


def coin_table(found: RollingFactor, closes: Stamps, coins: tuple[str, ...]) -> Any:
    """A row a coin and bar: weight in the factor portfolio, beta, residual return, residual volatility of a bar."""
    import pandas as pd

    rows, columns = np.nonzero(np.isfinite(found.beta))
    return pd.DataFrame(
        {
            "ts": closes[rows],
            "coin": np.array(coins)[columns],
            "portfolio": found.portfolio[rows, columns],
            "beta": found.beta[rows, columns],
            "residual": found.residual[rows, columns],
            "residual_vol": np.sqrt(found.residual_var[rows, columns]),
        }
    )


def build(bars: Bars, horizon: int, window: int, method: WeightMethod, folder: Path) -> Path:
    """Write ``pca_factor_H8_K30_sqrt.csv`` and, beside it, ``..._coins.parquet``; gives the former's path."""
    found, closes = factor_of(bars, horizon, window, method)
    path = folder / f"pca_factor_H{horizon}_K{window}_{method}.csv"
    write(path, factor_csv(found, closes))
    fresh = folder / f".{path.stem}_coins.part"
    coin_table(found, closes, bars.coins).to_parquet(fresh, index=False)
    fresh.replace(folder / f"{path.stem}_coins.parquet")
    return path


def main(words: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="build_pca_factor.py", description=__doc__)
    data_options(parser, OUTPUT, HORIZONS)
    parser.add_argument("--K", type=int, default=30, metavar="BARS", help="bars of H hours in a window")
    parser.add_argument(
        "--weight-method",
        choices=METHODS,
        default="sqrt_dollar",
        help="sqrt counts coins, and changes when one is redenominated; sqrt_dollar counts USD",
    )
    options = parser.parse_args(words)

    def act() -> None:
        if not options.bars.exists():
            raise ValueError(NO_DATA.format(path=options.bars))
        if options.K < 2:
            raise ValueError(f"--K {options.K}: a window holds at least 2 bars")
        bars = read_bars(options.bars, hours=options.bar_hours, now_ms=time.time_ns() // MS)
        for note in bars.notes:
            print(f"found: {note}", file=sys.stderr)
        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("factors", total=len(options.H))
            for horizon in options.H:
                print(f"wrote {build(bars, horizon, options.K, options.weight_method, options.output)}")
                bar.advance(task)

    asked(act, parser.prog)
