"""Whether the venues have what is to be heard of them: a name that is wrong would be silence for ever."""

from __future__ import annotations

import difflib
import time
from collections.abc import Collection

import aiohttp

from slipstream.model.errors import ConfigError, Retry
from slipstream.processes.public_streams import Wanted
from slipstream.runtime.addresses import is_local
from slipstream.venues.binance.rest import URL, BinanceRest
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.wire import Meta


async def check_listings(wanted: Wanted) -> str | None:
    """Ask both venues once. Raises ConfigError for names that they do not have.

    A venue that does not answer is no reason not to begin: what it said is returned.
    """
    try:
        async with aiohttp.ClientSession() as session:
            if "hl" in wanted.venues:
                meta = await Rest(session, wanted.hl_url, Weights(time.monotonic)).info("meta", Meta)
                listed = {perp.name for perp in meta.universe if not perp.is_delisted}
                _check(wanted.coins, listed, f"Hyperliquid ({wanted.hl_url})")
            rest = URL if wanted.cex_url is None else wanted.cex_url if is_local(wanted.cex_url) else None
            if "binance" in wanted.venues and rest is not None:
                days = await BinanceRest(session, rest).days()
                _check(tuple(wanted.symbols), {day.symbol for day in days}, "Binance")
    except Retry as error:
        return f"listings were not checked: {error}"
    return None


def _check(names: tuple[str, ...], listed: Collection[str], where: str) -> None:
    for name in names:
        if name not in listed:
            near = difflib.get_close_matches(name, sorted(listed), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{name} is not listed on {where}{hint}")
