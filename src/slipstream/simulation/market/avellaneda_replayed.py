"""Avellaneda and Stoikov's game a third time: as a strategy of the replay, on a tape of their market.

The tape tells a mid price (best prices stand far to both sides of it) and one market order of each side a step, at the
depth to which it walks. The strategy hears the mid, takes its quotes off and places new ones, post-only; which of them
trade is decided by the replay's own rules of fills.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.lob.replay.hook import ALO, BUY, FEED, OPEN, SELL, cancel, mid, place, strategy
from slipstream.lob.replay.replay import Replay
from slipstream.lob.replay.rows import BEST, KIND, MORE, ROW_DTYPE, TRADE
from slipstream.lob.replay.terms import MarketTerms, ReplayTerms
from slipstream.simulation.market.avellaneda import FULL, MODES, SYMMETRIC, Floats, Game

STEP_NS = 1_000_000
FAR = 6_000  # ticks from the mid to the best prices of everybody else
TICK = 0.01
CHUNK = 250  # paths
_GAMMA, _SIGMA, _DECAY, _DT, _HORIZON, _MODE, _SPREAD, _PATH_NS = range(8)  # places in the strategy's params
# places in its memory: two slots, the path that is on, the position it began with, a small generator
_BID, _ASK, _PATH, _START, _DICE = range(5)


@strategy
def maker(sim: Any) -> None:
    """Quote anew whenever the mid is told."""
    if sim.event != FEED or (sim.kind & KIND) != BEST:
        return
    own, p = sim.imemory, sim.params
    path = 1 + sim.now_ns // int(p[_PATH_NS])
    if path != own[_PATH]:
        if own[_PATH] == 0:
            own[_BID] = own[_ASK] = -1
        own[_PATH] = path
        own[_START] = sim.position[0]
    for k in (_BID, _ASK):
        if own[k] >= 0 and sim.orders[own[k]].state == OPEN:
            cancel(sim, own[k])
    left = p[_HORIZON] - (sim.now_ns % int(p[_PATH_NS])) // STEP_NS * p[_DT]
    risk = p[_GAMMA] * p[_SIGMA] * p[_SIGMA] * left
    spread = 2.0 / p[_GAMMA] * math.log1p(p[_GAMMA] / p[_DECAY])
    centre = mid(sim, 0)
    if p[_MODE] == SYMMETRIC:
        spread = p[_SPREAD]
    else:
        centre -= (sim.position[0] - own[_START]) * risk
        if p[_MODE] == FULL:
            spread += risk
    # rounded up or down at random: the mid is heard in ticks, and a spread that hardly changes would be off one way
    own[_DICE] = (own[_DICE] * 16807 + 12345) % 2147483647
    dither = own[_DICE] / 2147483647.0
    own[_BID] = place(sim, 0, BUY, math.floor((centre - 0.5 * spread) / TICK + dither), 1, ALO, False)
    own[_ASK] = place(sim, 0, SELL, math.floor((centre + 0.5 * spread) / TICK + 1.0 - dither), 1, ALO, False)


def replayed(game: Game, paths: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Profit and final inventory of every path. Raises ValueError if quotes would reach the others' best prices."""
    steps = game.steps
    if game.start < 2.0 * FAR * TICK * 0.6:
        raise ValueError(f"start is {game.start}: the tape needs room for best prices {FAR * TICK} beside the mid")
    path_ns = (steps + 1) * STEP_NS
    figures = (game.gamma, game.sigma, game.decay, game.dt, game.horizon)
    params = (*figures, float(MODES[game.quotes]), game.mean_spread, float(path_ns))
    run = Replay(
        [MarketTerms(name="game", lot_size=1.0, tick_size=TICK, queue="risk_averse")],
        maker,
        ReplayTerms(requests=False),
        params,
    )
    ends = []
    for first in range(0, paths, CHUNK):
        rows, last = _tape(game, min(CHUNK, paths - first), first, path_ns, rng)
        run.feed(rows)
        ends.append(last)
    fills = run.finish().fills
    place_of = fills["exch_ns"] // path_ns
    sides = fills["side"].astype(np.float64)
    cash = np.bincount(place_of, -sides * fills["price"], paths)
    held = np.bincount(place_of, sides, paths)
    return np.asarray(cash + held * np.concatenate(ends), np.float64), np.asarray(held, np.float64)


def _tape(
    game: Game, paths: int, first: int, path_ns: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.void], Floats]:
    """Rows of some paths, and their last mids."""
    steps = game.steps
    moves = np.where(rng.random((paths, steps)) < 0.5, 1.0, -1.0) * game.sigma * math.sqrt(game.dt)
    mids = np.full((paths, steps + 1), game.start)
    mids[:, 1:] += np.cumsum(moves, axis=1)
    depths = np.log(game.arrivals * game.dt / rng.random((2, paths, steps))) / game.decay
    now = mids[:, :-1]
    rows = np.zeros((paths, steps, 4), ROW_DTYPE)
    begins = ((first + np.arange(paths)) * path_ns)[:, None] + np.arange(steps)[None, :] * STEP_NS
    rows["exch_ns"] = begins[:, :, None] + np.array([0, 0, STEP_NS // 3, STEP_NS // 2])
    rows["local_ns"] = rows["exch_ns"]
    rows["kind"] = np.array([BEST | MORE, BEST, TRADE, TRADE], np.int8)
    rows["side"] = np.array([1, -1, 1, -1], np.int8)
    rows["lots"] = 1
    middle = np.round(now / TICK)
    rows["tick"][:, :, 0], rows["tick"][:, :, 1] = middle - FAR, middle + FAR
    # a market order reaches a tick if its depth does
    rows["tick"][:, :, 2] = np.floor((now + np.maximum(depths[0], -FAR * TICK)) / TICK)
    rows["tick"][:, :, 3] = np.ceil((now - np.maximum(depths[1], -FAR * TICK)) / TICK)
    return rows.reshape(-1), mids[:, -1].copy()
