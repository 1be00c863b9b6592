"""Seeded bars of a market that never was, so that the research commands can be tried without data.

One common factor, slow drifts of each coin (so there are trends to find), lognormal volumes, funding that follows the
drift, one coin that is listed late and one that is delisted. Nothing about real markets can be learned from it.
"""

from __future__ import annotations

import numpy as np

from slipstream.core.signals.bars import HOUR_MS, Bars

START_MS = 1_704_067_200_000


def synthetic_bars(rng: np.random.Generator, *, coins: int = 30, days: int = 300, hours: int = 4) -> Bars:
    """Bars of ``coins`` coins, the first of them BTC, over ``days`` days."""
    if coins < 4 or days < 2:
        raise ValueError(f"{coins} coins over {days} days: at least 4 coins and 2 days are needed")
    t, names = days * 24 // hours, ("BTC", *(f"SYN{i:02d}" for i in range(1, coins)))
    scale = np.sqrt(hours / 24.0)
    vol = np.concatenate([[0.025], rng.uniform(0.03, 0.08, coins - 1)]) * scale
    beta = np.concatenate([[1.0], rng.uniform(0.6, 1.6, coins - 1)])
    drift = np.zeros((t, coins))
    for k in range(1, t):
        drift[k] = 0.99 * drift[k - 1] + rng.normal(0.0, 0.008, coins) * vol
    factor = rng.normal(0.0, 0.02 * scale, t)
    moves = drift + factor[:, None] * beta + rng.normal(0.0, 1.0, (t, coins)) * vol
    close = 100.0 * np.exp(np.cumsum(moves, axis=0))
    opened = np.vstack([np.full((1, coins), 100.0), close[:-1]])
    reach = np.exp(np.abs(rng.normal(0.0, 0.3, (2, t, coins))) * vol)
    high, low = np.maximum(opened, close) * reach[0], np.minimum(opened, close) / reach[1]
    volume = rng.lognormal(np.log(2e6), 1.0, coins)[None, :] * rng.lognormal(0.0, 0.4, (t, coins))
    funding = hours * (1.25e-5 + 0.002 * drift)
    for gone, column in ((slice(0, t // 4), 1), (slice(9 * t // 10, None), 2)):
        for table in (close, opened, high, low, volume):
            table[gone, column] = np.nan
    return Bars(
        coins=names,
        opened=START_MS + np.arange(t, dtype=np.int64) * hours * HOUR_MS,
        hours=float(hours),
        open=opened,
        close=close,
        volume_usd=volume,
        high=high,
        low=low,
        funding=funding,
        funding_gaps=np.zeros((t, coins), dtype=np.int64),
        notes=("synthetic: nothing about real markets can be learned from it",),
    )
