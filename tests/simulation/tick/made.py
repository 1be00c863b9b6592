"""Runs made up from a seed, whose accounts are kept exactly beside them."""

from __future__ import annotations

import numpy as np

from slipstream.simulation.tick.told import Fills, Requests, Samples, Told

HORIZONS = (100_000_000, 1_000_000_000, 10_000_000_000)
SECOND = 1_000_000_000
START = 1_760_000_400 * SECOND


def told(seed: int, fills: int, markets: int = 2, seconds: int = 600, edge: float = 0.0) -> Told:
    """A random walk of mids a tenth of a second apart, and fills at random times, ``edge`` bp inside the mid."""
    rng = np.random.Generator(np.random.PCG64(seed))
    steps = seconds * 10 + 1
    grid = START + np.arange(steps, dtype=np.int64) * (SECOND // 10)
    mids = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 2e-5, (steps, markets)), axis=0))
    at = np.sort(rng.integers(1, steps - 1, fills))
    market = rng.integers(0, markets, fills)
    side = rng.choice([-1, 1], fills).astype(np.int64)
    met = mids[at, market]
    px = met * (1.0 - side * (edge * 1e-4 + rng.normal(0.0, 1e-5, fills)))
    size, fee = rng.integers(1, 50, fills) / 10.0, rng.normal(0.001, 0.002, fills)
    marks = np.full((fills, len(HORIZONS)), np.nan)
    for k, horizon in enumerate(HORIZONS):
        later = at + horizon // (SECOND // 10)
        inside = later < steps
        marks[inside, k] = mids[later[inside], market[inside]]
    made = Fills(
        market=market,
        exch_ns=grid[at],
        known_ns=grid[at] + 5_000_000,
        placed_ns=(placed := grid[at] - rng.integers(1, 10**9, fills)),
        joined_ns=placed + 1,
        order=np.arange(fills, dtype=np.int64),
        side=side,
        px=px,
        size=size,
        fee=fee,
        maker=rng.random(fills) < 0.9,
        queue=rng.random(fills) * 10.0,
        mid=met,
        marks=marks,
        horizons_ns=HORIZONS,
    )
    return Told(
        coins=tuple(f"C{k}" for k in range(markets)),
        fills=made,
        samples=account(made, grid, mids),
        requests=asked(made),
    )


def account(fills: Fills, grid: np.ndarray, mids: np.ndarray) -> Samples:
    """Cash, position and fees kept fill by fill, sampled each second."""
    ns = grid[::10]
    shape = (ns.size, mids.shape[1])
    position, cash, fees = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    funding = np.cumsum(np.full(shape, 0.001), axis=0)
    for k in range(fills.count):
        first, m = np.searchsorted(ns, fills.exch_ns[k]), fills.market[k]
        position[first:, m] += fills.side[k] * fills.size[k]
        cash[first:, m] -= fills.side[k] * fills.size[k] * fills.px[k]
        fees[first:, m] += fills.fee[k]
    seen = mids[::10]
    return Samples(
        ns=ns,
        bid=seen - 0.01,
        ask=seen + 0.01,
        own_bid=np.where(np.arange(ns.size)[:, None] % 3 == 0, np.nan, seen - 0.02),
        own_ask=seen + 0.02,
        position=position,
        cash=cash,
        fees=fees,
        funding=funding,
    )


def asked(fills: Fills) -> Requests:
    """Every fill's order was placed whole; one more of each market was refused, and one cancelled."""
    n, extra = fills.count, 2
    return Requests(
        market=np.concatenate([fills.market, np.zeros(extra, np.int64)]),
        sent_ns=np.concatenate([fills.placed_ns, np.full(extra, START)]),
        kind=np.array(["place"] * n + ["place", "cancel"]),
        outcome=np.array(["done"] * n + ["would cross", "done"]),
        size=np.concatenate([fills.size * 2.0, [1.0, 0.0]]),
        exch_ns=np.concatenate([fills.joined_ns, np.full(extra, START)]),
        order=np.concatenate([fills.order, [10**6, 10**6 + 1]]),
        ahead=np.concatenate([fills.queue * fills.px, [np.nan, np.nan]]),
    )
