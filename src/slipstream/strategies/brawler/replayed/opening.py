"""The memory that a compiled Brawler begins with: a pod's strategy and its kernel's limits, written into records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.execution.settings import KernelConfig
from slipstream.model.errors import ConfigError
from slipstream.model.instrument import Instrument
from slipstream.strategies.brawler.maker import Maker, terms_of
from slipstream.strategies.brawler.plain import pour
from slipstream.strategies.brawler.replayed.layout import COINS, DESK_DTYPE, MARKETS, NOWHERE, WORDS
from slipstream.strategies.brawler.strategy import Brawler

MEMORY = 1 << 15  # words that a run's record has for its strategy


def opening(
    strategy: Brawler,
    kernel: KernelConfig,
    instruments: Mapping[str, Instrument],
    homes: Mapping[str, int],
    anchors: Mapping[str, int],
) -> npt.NDArray[np.float64]:
    """The first words of ``sim.memory``. ``homes`` and ``anchors``: each coin's markets by their places in the run.

    Estimates continue where the strategy's are. Raises ConfigError: a coin without a market or instrument, too many
    coins or too long windows, or a mandate, which a replay has not.
    """
    makers = list(strategy.makers.values())
    if len(makers) > COINS:
        raise ConfigError(f"replay: {len(makers)} symbols are configured, a compiled run has room for {COINS}")
    if kernel.limits.require_mandate:
        raise ConfigError("replay: the config has require_mandate, and nobody leases in a replay; set it to false")
    words = WORDS + sum(maker.terms.sigma_window for maker in makers)
    if words > MEMORY:
        raise ConfigError(
            f"replay: the sigma windows of all symbols hold {words - WORDS} returns together, {MEMORY - WORDS} fit; "
            f"make sigma_window shorter or replay fewer symbols at once"
        )
    memory = np.zeros(words)
    desk = memory[:WORDS].view(DESK_DTYPE)[0]
    _desk(desk, strategy, kernel)
    desk["coin_of"] = NOWHERE
    ring = WORDS
    for number, maker in enumerate(makers):
        market, anchor = (_market(maker.coin, given, what) for given, what in ((homes, "its own"), (anchors, "anchor")))
        instrument = instruments.get(maker.coin)
        if instrument is None:
            raise ConfigError(f"replay: nothing is known of the perp {maker.coin}; give its Instrument")
        if instrument.delisted:
            raise ConfigError(f"replay: {maker.coin} is delisted; take it out of the symbols")
        desk["coin_of"][[market, anchor]] = number
        desk["is_home"][market] = 1
        _coin(desk["coins"][number], maker, instrument, market, ring)
        memory[ring : ring + len(maker.volatility.ring)] = maker.volatility.ring
        ring += len(maker.volatility.ring)
    names = sorted(range(len(makers)), key=lambda number: makers[number].coin)
    desk["by_name"][: len(names)] = names
    return memory


def _market(coin: str, given: Mapping[str, int], what: str) -> int:
    market = given.get(coin)
    if market is None or not 0 <= market < MARKETS:
        raise ConfigError(f"replay: the tape has no {what} market of {coin}; the tape's are {dict(given)}")
    return market


def _desk(desk: Any, strategy: Brawler, kernel: KernelConfig) -> None:
    limits, terms = kernel.limits, strategy.portfolio.terms
    values = {
        "n_coins": len(strategy.makers),
        "check_ns": strategy.check_ns,
        "tick_ns": kernel.tick_ns,
        "max_age_ns": limits.max_feed_age_ns,
        "alo_retries": kernel.alo_retries,
        "reject_backoff_ns": kernel.reject_backoff_ns,
        "cancel_reserve": limits.cancel_reserve,
        "rate": limits.actions_per_second,
        "burst": limits.burst,
        "tokens": limits.burst,
        "fat_finger": limits.fat_finger,
        "max_order": float(limits.max_order),
        "coin_cap": float(limits.coin_cap),
        "gross_limit": float(limits.gross_cap),
        "gross_cap": float(terms.gross_cap),
        "taper_start": terms.taper_start_ratio,
        "taper_floor": terms.taper_floor,
        "reduce_ratio": terms.reduce_only_ratio,
        "halt_ratio": terms.halt_ratio,
        "resume_ratio": terms.resume_ratio,
    }
    for name, value in values.items():
        desk[name] = value
    pour(strategy.pace.state, desk["pace"])
    pour(strategy.portfolio.halt.state, desk["halt_switch"])
    pour(strategy.portfolio.reduce_only.state, desk["reduce_switch"])


def _coin(coin: Any, maker: Maker, instrument: Instrument, market: int, ring: int) -> None:
    """One symbol. Sizes are told in lots, so that they are whole numbers wherever they can be."""
    for name, value in terms_of(maker.terms, instrument.price_decimals)._asdict().items():
        coin["terms"][name] = value
    sizes = {"elsewhere": maker.elsewhere, "order": maker.terms.order_size, "most": maker.terms.max_inventory}
    for name, amount in sizes.items():
        coin[name] = float(amount.scaleb(instrument.size_decimals))
    coin["market"], coin["ring"] = market, ring
    coin["lots_per_coin"] = 10.0**instrument.size_decimals
    coin["request_cost"] = maker.terms.request_cost_usd
    coin["told_bid_tick"] = coin["told_ask_tick"] = NOWHERE
    pour(maker.belief, coin["belief"])
