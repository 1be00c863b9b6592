"""The markets of a run tick by tick: which tapes are traded, which are listened to, and how each is simulated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from slipstream.data.tape.merge import Merge
from slipstream.data.tape.reader import Tape, open_tapes
from slipstream.data.tape.touch import touch_tape
from slipstream.lob.replay.terms import MarketTerms
from slipstream.model.errors import ConfigError
from slipstream.model.instrument import MAX_PRICE_DECIMALS, Instrument
from slipstream.processes.tick_terms import MILLI, TickTerms, fees_of, latency_of, queue_of

HOUR_NS = 3_600_000_000_000
NO_ANCHOR = (
    "no anchor: give --anchor FOLDER with tapes of the reference exchange over the same time, or knowingly "
    "--anchor self:0 (the market's own mid: a maker then quotes around what it sees)"
)


@dataclass(frozen=True, kw_only=True)
class Markets:
    """``homes`` are traded, the place of a coin in them is its market; the anchors follow in the same order.

    ``begin_ns`` and ``end_ns`` are the time in which every tape has rows.
    """

    coins: tuple[str, ...]
    homes: tuple[Tape, ...]
    anchors: tuple[Tape, ...]
    terms: tuple[MarketTerms, ...]
    clock: str
    volume: float
    begin_ns: int
    end_ns: int

    @property
    def hours(self) -> float:
        """How long all tapes last together."""
        return (self.end_ns - self.begin_ns) / HOUR_NS

    @property
    def rows(self) -> int:
        """Of all tapes."""
        return sum(len(tape) for tape in (*self.homes, *self.anchors))

    def merged(self, end_ns: int | None = None) -> Merge:
        """The rows of all tapes in the order in which they happened, until a time if one is given."""
        tapes = (*self.homes, *self.anchors)
        # an anchor that looks ahead is heard before it happened
        return Merge(tapes, clocks=[self.clock] * len(tapes), end_ns=end_ns)

    def instruments(self) -> dict[str, Instrument]:
        """The perps of the traded tapes. Raises ConfigError for a tape whose grid is not Hyperliquid's."""
        return {tape.header.market.coin: instrument_of(tape, place) for place, tape in enumerate(self.homes)}


def instrument_of(tape: Tape, asset: int) -> Instrument:
    """A tape's perp. Raises ConfigError: prices of another venue's grid, or sizes that do not go with them."""
    market = tape.header.market
    decimals, size = market.grid.decimals, -int(Decimal(market.lot).normalize().as_tuple().exponent)
    if decimals < 0 or decimals + size != MAX_PRICE_DECIMALS:
        raise ConfigError(
            f"{tape.folder}: the strategy trades Hyperliquid's perps, whose prices have {MAX_PRICE_DECIMALS} decimals "
            f"less those of sizes; this tape has ticks of {market.grid.tick_size or f'{decimals} decimals'} and lots "
            f"of {market.lot}"
        )
    return Instrument(coin=market.coin, asset=asset, size_decimals=size, max_leverage=1)


@contextmanager
def open_markets(terms: TickTerms, names: Sequence[tuple[str, str]], seed: int) -> Iterator[Markets]:
    """The markets of those (coin, its name at the reference exchange) that have a tape.

    Raises ConfigError: no tape of any, an anchor that is missing, tapes of different times.
    """
    anchor_names = dict(names)
    homes = homes_of(terms.tapes, list(anchor_names))
    with TemporaryDirectory(prefix="slipstream-") as folder:
        anchors = anchors_of(terms, homes, anchor_names, Path(folder))
        tapes = (*homes, *anchors)
        begin, end = common_time(tapes)
        yield Markets(
            coins=tuple(tape.header.market.coin for tape in homes),
            homes=homes,
            anchors=anchors,
            terms=tuple(market_terms(tape, terms, seed + 2 * place) for place, tape in enumerate(tapes)),
            clock=terms.clock,
            volume=fees_of(terms.fees)[1],
            begin_ns=begin,
            end_ns=end,
        )


def common_time(tapes: Sequence[Tape]) -> tuple[int, int]:
    """The exchange's times between which all tapes have rows. Raises ConfigError: there is no such time."""
    for tape in tapes:
        if not len(tape):
            raise ConfigError(f"{tape.folder}: no row in it; convert its source again, or leave it out")
    late = max(tapes, key=lambda tape: tape.header.first_ns)
    early = min(tapes, key=lambda tape: tape.header.last_ns)
    begin, end = late.header.first_ns, early.header.last_ns
    if begin >= end:
        times = [str(np.datetime64(ns, "ns").astype("datetime64[s]")) + "Z" for ns in (begin, end)]
        raise ConfigError(
            f"{late.folder} begins at {times[0]}, {early.folder} ended at {times[1]}: give tapes of the same time"
        )
    return begin, end


def homes_of(folders: Sequence[Path], coins: Sequence[str]) -> tuple[Tape, ...]:
    """The tapes of the coins, in the coins' order, those without one left out. Raises ConfigError."""
    found: dict[str, Tape] = {}
    for folder in folders:
        for tape in open_tapes(folder):
            coin = tape.header.market.coin
            if coin in found and coin in coins:
                raise ConfigError(
                    f"two tapes of {coin}: {found[coin].folder} and {tape.folder}; give the one that is traded, the "
                    "other as --anchor"
                )
            found[coin] = tape
    homes = tuple(found[coin] for coin in coins if coin in found)
    if not homes:
        there = ", ".join(sorted(found)) or "none"
        raise ConfigError(f"the tapes are of {there}; the config quotes {', '.join(coins)}: nothing in common")
    return homes


def anchors_of(terms: TickTerms, homes: Sequence[Tape], names: dict[str, str], folder: Path) -> tuple[Tape, ...]:
    """An anchor's tape for every traded one. Raises ConfigError."""
    if not terms.anchor:
        raise ConfigError(NO_ANCHOR)
    lead = terms.anchored_to_self()
    if lead is not None:
        return tuple(touch_tape(home, folder / home.header.market.name, round(lead * MILLI)) for home in homes)
    there = {tape.header.market.coin: tape for tape in open_tapes(Path(terms.anchor))}
    out = []
    for home in homes:
        coin = home.header.market.coin
        wanted = list(dict.fromkeys(name for name in (names[coin], f"{coin}USDT", coin) if name))
        tape = next((there[name] for name in wanted if name in there), None)
        if tape is None or tape.folder.resolve() == home.folder.resolve():
            raise ConfigError(
                f"--anchor {terms.anchor}: no tape of {' or '.join(wanted)} for {coin} other than the "
                f"traded one; there is {', '.join(sorted(there))}"
            )
        out.append(tape)
    return tuple(out)


def market_terms(tape: Tape, terms: TickTerms, seed: int) -> MarketTerms:
    """How one tape's market is simulated. Raises ConfigError."""
    market = tape.header.market
    model, power = queue_of(terms.queue)
    entry, response = latency_of(terms.latency, seed)
    try:
        return MarketTerms(
            name=market.coin,
            lot_size=float(market.lot),
            tick_size=float(market.grid.tick_size) if market.grid.tick_size else None,
            decimals=market.grid.decimals if market.grid.decimals >= 0 else None,
            fees=fees_of(terms.fees)[0],
            entry=entry,
            response=response,
            queue=model,
            power=power,
            partial=terms.partial,
            block_ns=round(terms.block_ms * MILLI),
            impact=terms.impact,
        )
    except ValueError as error:
        raise ConfigError(f"{tape.folder}: {error}") from None
