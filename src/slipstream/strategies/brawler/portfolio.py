"""The exposure of all symbols together: how large orders may be, and when only reductions are left."""

from __future__ import annotations

from collections.abc import Iterable

from numba.extending import register_jitable

from slipstream.strategies.brawler.config import Portfolio as Terms
from slipstream.strategies.brawler.switches import Patience, Switch, above


def size_factor(usage: float, start: float, floor: float) -> float:
    """What part of the order size is quoted at a usage of the cap: 1 up to ``start``, falling to ``floor`` at 1."""
    if usage <= start:
        return 1.0
    return max(floor, 1.0 - (usage - start) / (1.0 - start))


register_jitable(size_factor)  # stays plain Python, and may be called from compiled code


def gross_usage(holdings: Iterable[tuple[float, float | None]], cap: float) -> float:
    """Gross exposure over the cap, from (inventory, price); infinite if something held has no price."""
    total = 0.0
    for inventory, price in holdings:
        if inventory:
            if price is None:
                return float("inf")
            total += abs(inventory) * price
    return total / cap


class Portfolio:
    """Usage of the cap and the two switches that hang on it."""

    def __init__(self, terms: Terms, patience: Patience) -> None:
        self.terms = terms
        self.usage = 0.0
        self.reduce_only = Switch("portfolio", patience)
        self.halt = Switch("portfolio halt", patience)

    @property
    def factor(self) -> float:
        """The part of the order size to quote."""
        return size_factor(self.usage, self.terms.taper_start_ratio, self.terms.taper_floor)

    def look(self, holdings: Iterable[tuple[float, float | None]], now_ns: int) -> list[tuple[Switch, bool]]:
        """Measure the usage; the switches that changed and whether each suspended."""
        terms = self.terms
        self.usage = gross_usage(holdings, float(terms.gross_cap))
        detail = f"gross exposure is {self.usage:.2f} of {terms.gross_cap} USD"
        out = []
        for switch, limit in ((self.halt, terms.halt_ratio), (self.reduce_only, terms.reduce_only_ratio)):
            changed = switch.look(above(self.usage, limit, terms.resume_ratio), f"{detail} (limit {limit})", now_ns)
            if changed is not None:
                out.append((switch, changed))
        return out
