"""Which market a venue opens: the synthetic one, or a recording."""

from __future__ import annotations

from pathlib import Path

import msgspec

from slipstream.model.errors import ConfigError
from slipstream.venues.emulator.feed import MarketData
from slipstream.venues.emulator.market.replay import ReplayMarket
from slipstream.venues.emulator.market.synthetic import SyntheticMarket


def market_of(replay: str | None, coins: tuple[str, ...], seed: int) -> str:
    """What tells one market from another, in words: a snapshot only fits its own."""
    listed = ",".join(coins) or "all"
    return f"replay of {replay}, coins {listed}" if replay else f"synthetic, seed {seed}, coins {listed}"


def open_market(replay: str | None, coins: tuple[str, ...], seed: int, now_ns: int, state: bytes | None) -> MarketData:
    """A new market that opens at ``now_ns``, or one that continues a snapshot. Raises ConfigError."""
    try:
        if replay is not None:
            folder = Path(replay)
            if state is not None:
                return ReplayMarket.load(state, folder)
            return ReplayMarket(folder, seed, now_ns, coins)
        return SyntheticMarket.load(state) if state is not None else SyntheticMarket(coins, seed, now_ns)
    except (KeyError, msgspec.MsgspecError) as error:
        raise ConfigError(f"the snapshot's market cannot be read ({error!r}); delete the file to start anew") from error
