"""The newest public trades of every coin."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from slipstream.venues.emulator.state import Block, PublicTrade

KEPT = 500


class Tape:
    """Bounded: the last 500 prints of each coin."""

    def __init__(self, coins: Iterable[str]) -> None:
        self._trades: dict[str, deque[PublicTrade]] = {coin: deque(maxlen=KEPT) for coin in coins}

    def record(self, block: Block) -> dict[str, list[PublicTrade]]:
        """Add a block's prints; they come back by coin, oldest first."""
        by_coin: dict[str, list[PublicTrade]] = {}
        for print_ in block.trades:
            by_coin.setdefault(print_.coin, []).append(print_)
        for coin, prints in by_coin.items():
            self._trades[coin].extend(prints)
        return by_coin

    def recent(self, coin: str, n: int) -> list[PublicTrade]:
        """The newest prints of a coin, newest first."""
        return list(reversed(self._trades[coin]))[:n]
