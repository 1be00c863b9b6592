"""Small tapes of Hyperliquid's grid, made up from a seed, and a config that quotes on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from slipstream.data.tape.scale import Grid, Market
from slipstream.data.tape.writer import TapeWriter
from slipstream.lob.replay.rows import BEST, MORE, ROW_DTYPE, TRADE
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.tick_terms import TickTerms
from slipstream.strategies.registry import find

SECOND = 1_000_000_000
START = 1_760_003_940 * SECOND  # a minute before the full hour
CONFIG = """\
version: 1
base_spread: 0.0004
k: 0.0
max_volatility: 0.05
max_basis_deviation: 0.05
requote_horizon_s: 1
lambda: 0.0002
maker_fee: 0.00015
sigma_window: 10
sigma_interval_ms: 1000
symbols:
  - {symbol: ETH, order_size: 0.05, max_inventory: 0.2}
"""


def tape(folder: Path, coin: str = "ETH", seconds: int = 180, seed: int = 1, venue: str = "hl") -> Path:
    """Ten messages a second: both best prices of a random walk, and a trade at one of them now and then."""
    rng = np.random.Generator(np.random.PCG64(seed))
    count = seconds * 10
    mid = 40_000 + np.cumsum(rng.choice([-4, -2, 0, 0, 2, 4], count))
    rows = []
    for k in range(count):
        at = START + k * SECOND // 10
        bid, ask = int(mid[k]) - 1, int(mid[k]) + 1
        traded = rng.random() < 0.3
        if traded:
            side = int(rng.choice([-1, 1]))
            rows.append((at, at + 50_000_000, int(rng.integers(100, 9_000)), ask if side > 0 else bid, 0, TRADE, side))
        rows.append((at, at + 50_000_000, int(rng.integers(500, 9_000)), bid, 0, BEST | MORE, 1))
        rows.append((at, at + 50_000_000, int(rng.integers(500, 9_000)), ask, 0, BEST, -1))
    market = Market(venue=venue, coin=coin, grid=Grid(decimals=2), lot="0.0001")
    with TapeWriter(folder / market.name, market) as writer:
        writer.append(np.array(rows, ROW_DTYPE))
    return folder


def request(folder: Path, **ticks: object) -> BacktestRequest:
    """Brawler on the tapes of a folder, anchored to themselves."""
    config = folder / "brawler.yml"
    config.write_text(CONFIG)
    terms = {"tapes": (folder,), "anchor": "self:0", "funding": "none", "latency": "500", **ticks}
    return BacktestRequest(entry=find("brawler"), config=config, tick=TickTerms(**terms))  # type: ignore[arg-type]
