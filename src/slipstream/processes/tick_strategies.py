"""What runs on ticks: Brawler in its compiled form, and the naive maker with the terms of its config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipstream.lob.replay.terms import MarketTerms
from slipstream.model.instrument import Instrument
from slipstream.pods import kernel_config
from slipstream.processes.tick_terms import TickTerms
from slipstream.simulation.tick.run import Hooked
from slipstream.simulation.tick.symmetric import params_of, symmetric
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.strategies.brawler.replayed.hook import brawler
from slipstream.strategies.brawler.replayed.opening import opening
from slipstream.strategies.brawler.strategy import Brawler

SECOND = 1_000_000_000
HOUR_NS = 3_600 * SECOND


def brawler_of(coins: Sequence[str], instruments: Mapping[str, Instrument], config: BrawlerConfig) -> Hooked:
    """The compiled Brawler at its opening; the coins' anchors are the markets after them. Raises ConfigError."""
    homes = {coin: place for place, coin in enumerate(coins)}
    anchors = {coin: len(coins) + place for place, coin in enumerate(coins)}
    return Hooked(
        hook=brawler, memory=opening(Brawler(config), kernel_config(config, 1.0), instruments, homes, anchors)
    )


def naive_of(coins: Sequence[str], markets: Sequence[MarketTerms], config: BrawlerConfig) -> Hooked:
    """The naive maker with the width, sizes and bounds of a config. Raises ValueError."""
    terms = {one.symbol: one for one in config.terms}
    quotes = {}
    for place, (coin, market) in enumerate(zip(coins, markets, strict=True)):
        size, bound = (
            float(amount) / market.lot_size for amount in (terms[coin].order_size, terms[coin].max_inventory)
        )
        quotes[place] = (terms[coin].base_spread / 2.0, round(size), round(bound))
    return Hooked(hook=symmetric, params=params_of(quotes))


def sample_ns(terms: TickTerms, span_ns: int) -> int:
    """Time between looks at the account: as asked, else a second, and up to a minute in runs of days."""
    if terms.sample_s is not None:
        return round(terms.sample_s * SECOND)
    return SECOND if span_ns <= 4 * HOUR_NS else 10 * SECOND if span_ns <= 48 * HOUR_NS else 60 * SECOND
