"""The figures of a market that the terms of a simulated one are corrected for, measured alike of both."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.simulation.market.observed import LEVELS, Observed
from slipstream.simulation.market.stylised import INTERVALS_S

Floats = npt.NDArray[np.float64]
DEEP = slice(5, LEVELS)  # the levels that makers alone fill
SPREAD, CHANGES = "mean spread, ticks", "changes of the best prices a second"
TOUCH_USD, DEEP_USD = "depth at the best price, USD", "depth at levels 6-20, USD each"
ORDERS, SLOW = "market orders a minute", "volatility at 10-30 s, bp per root minute"
QUICK, RESPONSE = "volatility at 0.5 s over that", "response to a market order after 5 s, bp"
BUYERS, PRINTS = "share of buyers among market orders", "trades a market order"
VOLUME = "USD a minute"  # told, not corrected for: the law of sizes has it, and one large order is a tenth of it


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the recording that the terms are corrected for, and what the simulation had in the end."""

    name: str
    recorded: float
    simulated: float


def variances(seen: Observed) -> Floats:
    """Of log-price changes over `INTERVALS_S`."""
    out = []
    for step in INTERVALS_S:
        ns = np.arange(seen.begin_ns, seen.end_ns, int(step * 1e9), dtype=np.int64)
        out.append(float(np.mean(np.diff(np.log(seen.mid_at(ns))) ** 2)))
    return np.array(out)


def aims(seen: Observed) -> dict[str, float]:
    """The figures that terms are corrected for."""
    ns = np.arange(seen.begin_ns, seen.end_ns, 1_000_000_000, dtype=np.int64)
    at = np.maximum(np.searchsorted(seen.quotes["ns"], ns, side="right") - 1, 0)
    worth = (seen.mid_at(np.ascontiguousarray(seen.depth["ns"])) * seen.grid.lot)[:, None]
    depth = (0.5 * (seen.depth["bid_lots"] + seen.depth["ask_lots"]) * worth).mean(axis=0)
    orders = seen.orders_taken()
    orders = orders[(orders["ns"] >= seen.begin_ns) & (orders["ns"] + int(5e9) <= seen.end_ns)]
    when = np.ascontiguousarray(orders["ns"])
    moves = np.log(seen.mid_at(when + int(5e9))) - np.log(seen.mid_at(when - 1))
    root = np.sqrt(variances(seen) / INTERVALS_S * 60.0) * 1e4
    slow = float(np.mean(root[-3:]))
    per_minute = 60.0 / seen.seconds
    return {
        SPREAD: float((seen.quotes["ask"] - seen.quotes["bid"])[at].mean()),
        CHANGES: float((np.diff(seen.quotes["ns"]) > 0).sum()) / seen.seconds,
        TOUCH_USD: float(depth[0]),
        DEEP_USD: float(depth[DEEP].mean()),
        ORDERS: len(orders) / max(1.0, seen.seconds - 5.0) * 60.0,
        SLOW: slow,
        QUICK: float(root[1]) / slow,
        RESPONSE: float((orders["side"] * moves).mean()) * 1e4 if len(orders) else 0.0,
        BUYERS: float((orders["side"] > 0).mean()) if len(orders) else 0.0,
        PRINTS: len(seen.prints) / max(1, len(seen.orders_taken())),
        VOLUME: float((seen.prices(seen.prints["tick"]) * seen.prints["lots"]).sum()) * seen.grid.lot * per_minute,
    }
