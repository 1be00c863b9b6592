"""Brawler in a market that reacts: the emulator's coins as order flow, its orders resting among the others'."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from slipstream.lob.replay import delay
from slipstream.lob.replay.terms import MarketTerms, ReplayTerms
from slipstream.model.errors import ConfigError
from slipstream.model.instrument import Instrument
from slipstream.processes.tick_strategies import brawler_of, naive_of, sample_ns
from slipstream.processes.tick_terms import MILLI, TickTerms, fees_of, latency_of
from slipstream.simulation.market.session import HOUR, Coin
from slipstream.simulation.market.session import run as run_session
from slipstream.simulation.tick.markouts import HORIZONS_NS
from slipstream.simulation.tick.run import told as told_of_run
from slipstream.simulation.tick.told import Told
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.venues.emulator.market.flow import flow_terms
from slipstream.venues.emulator.market.latent import value_terms
from slipstream.venues.emulator.market.universe import COINS, CoinSpec, choose, instrument

START_NS = 1_760_000_400_000_000_000  # a full minute
BASIS_MEAN = 3e-4  # the middle of what the emulator draws


def simulate(
    terms: TickTerms, config: BrawlerConfig, seed: int, progress: Callable[[float], None], *, naive: bool = False
) -> Told:
    """A run of ``terms.simulate`` hours; ``progress`` hears of hours. Raises ConfigError."""
    if terms.anchor or terms.clock != "recorded":
        raise ConfigError("--simulate: the market has its own leading exchange and one clock: no --anchor, no --clock")
    hours = terms.simulate or 0.0
    known = {spec.coin for spec in COINS}
    specs = choose(tuple(entry.symbol for entry in config.symbols if entry.symbol in known))
    perps = {spec.coin: instrument(spec, place) for place, spec in enumerate(specs)}
    coins = [coin_of(spec, perps[spec.coin], terms, seed) for spec in specs]
    names = tuple(perps)
    homes = [coin.home for coin in coins]
    chosen = config.model_copy(update={"symbols": [one for one in config.symbols if one.symbol in perps]})
    strategy = naive_of(names, homes, chosen) if naive else brawler_of(names, perps, chosen)
    kept = ReplayTerms(
        horizons_ns=HORIZONS_NS, sample_ns=sample_ns(terms, round(hours * HOUR)), volume=fees_of(terms.fees)[1]
    )
    outcome, end_ns = run_session(
        coins,
        strategy.hook,
        [float(value) for value in strategy.params],
        kept,
        seed=seed,
        hours=hours,
        start_ns=START_NS,
        memory=strategy.memory,
        progress=progress,
    )
    return told_of_run(homes, len(homes), kept, outcome, end_ns)


def coin_of(spec: CoinSpec, perp: Instrument, terms: TickTerms, seed: int) -> Coin:
    """One coin's market and its leading exchange. News takes as long as answers do. Raises ConfigError."""
    entry, response = latency_of(terms.latency, seed)
    lot = float(perp.lot)
    try:
        home = MarketTerms(
            name=spec.coin,
            lot_size=lot,
            decimals=perp.price_decimals,
            fees=fees_of(terms.fees)[0],
            feed=response,
            entry=entry,
            response=response,
            block_ns=round(terms.block_ms * MILLI),
        )
        anchor = MarketTerms(
            name=f"{spec.coin}USDT",
            lot_size=lot,
            tick_size=10.0**-spec.binance_decimals,
            feed=delay.constant(5 * MILLI),
        )
    except ValueError as error:
        raise ConfigError(f"--simulate: {spec.coin}: {error}") from None
    flow = msgspec.structs.replace(flow_terms(spec, perp), value=value_terms(spec, BASIS_MEAN))
    return Coin(home=home, flow=flow, anchor=anchor)


def stated(terms: TickTerms) -> tuple[str, ...]:
    """How the market and its fills were made."""
    return (
        f"a simulated market of {terms.simulate:g} hours: made up by a model with a few figures of each coin; what is "
        "earned here says how the strategy fares in the model, not in the world",
        "our orders rest in price-time priority among the others'; takers and makers meet them, and makers follow what "
        "is traded as the model says",
        "the leading exchange is heard 5 ms after it moves, the traded one as late as answers are",
        f"latency: {terms.latency} (ms to the exchange and back)",
        f"fees: {terms.fees}; funding: {terms.funding}",
        "equity at the mid of the traded market",
    )
