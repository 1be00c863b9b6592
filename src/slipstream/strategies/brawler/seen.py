"""What Brawler saw when it decided about a symbol, by cause, for the comparison of two runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream.strategies.brawler.strategy import Brawler


def seen(strategy: Any, coin: str) -> Mapping[str, Mapping[str, object]]:
    """The inputs of the last decision; without one, only that the symbol may not be quoted, and which latches say so.

    Raises TypeError for another strategy.
    """
    if not isinstance(strategy, Brawler):
        raise TypeError(f"{strategy.slug} is not Brawler: nothing is known of what it sees")
    maker = strategy.makers[coin]
    mode, now, stock = maker.seen
    open_switches = tuple(sorted(switch.reason for switch in maker.suspensions))
    groups: dict[str, Mapping[str, object]] = {
        "MODE": {"mode": mode.name, "suspended": open_switches, "warm": maker.is_warm}
    }
    if now is None or stock is None:
        return groups
    return groups | {
        "FILLS": {"position": stock.position, "inventory": stock.inventory},
        "ORDERS": {
            "bid": (now.bid_tick, stock.bid_size, stock.bid_left),
            "ask": (now.ask_tick, stock.ask_size, stock.ask_left),
        },
        "TOUCH": {"best_bid": now.best_bid, "best_ask": now.best_ask},
        "BASIS": {"basis": now.basis},
        "ANCHOR": {"cex_mid": now.cex_mid, "sigma": now.sigma},
        "PACE": {"request_cost": now.request_cost, "factor": stock.factor},
    }
