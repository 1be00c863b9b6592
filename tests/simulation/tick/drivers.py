"""One tape, two drivers: the compiled Brawler, and a pod's kernel with a Brawler, each on an exchange of its own."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.execution.kernel import Kernel
from slipstream.lob.replay import delay
from slipstream.lob.replay.replay import MarketTerms, Outcome, Replay
from slipstream.model.instrument import Instrument
from slipstream.pods import kernel_config
from slipstream.simulation.tick.kernel_on_tape import Listing, TapeKernel
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.strategies.brawler.replayed.hook import brawler
from slipstream.strategies.brawler.replayed.layout import DESK_DTYPE, WORDS
from slipstream.strategies.brawler.replayed.opening import opening
from slipstream.strategies.brawler.strategy import Brawler
from tests.simulation.tick.brawler_rows import ANCHOR_TICK

Coins = Mapping[str, Instrument]


class Delays(NamedTuple):
    """Of requests and answers, ns."""

    entry: int = 0
    response: int = 0


def terms(coins: Coins, delays: Delays, **changes: Any) -> list[MarketTerms]:
    """Coin i trades in market 2i, its anchor is 2i + 1."""
    out = []
    for coin, perp in coins.items():
        ways = {"entry": delay.constant(delays.entry), "response": delay.constant(delays.response)}
        out.append(
            MarketTerms(coin, lot_size=float(perp.lot), decimals=perp.price_decimals, **ways, **changes)  # type: ignore[arg-type]
        )
        out.append(MarketTerms(f"{coin} anchor", lot_size=0.001, tick_size=ANCHOR_TICK.get(coin, 0.01)))
    return out


def desk_of(replay: Replay) -> Any:
    """The compiled Brawler's state."""
    return replay.sim["memory"][:WORDS].view(DESK_DTYPE)[0]


def compiled(
    coins: Coins, config: BrawlerConfig, delays: Delays, elsewhere: Mapping[str, Decimal], *, paused: bool = False
) -> Replay:
    """A replay with the compiled Brawler at its opening."""
    replay = Replay(terms(coins, delays), None if paused else brawler)
    homes = {coin: 2 * i for i, coin in enumerate(coins)}
    anchors = {coin: 2 * i + 1 for i, coin in enumerate(coins)}
    memory = opening(Brawler(config, elsewhere), kernel_config(config, 1.0), coins, homes, anchors)
    replay.sim["memory"][: len(memory)] = memory
    return replay


def with_kernel(coins: Coins, config: BrawlerConfig, delays: Delays, elsewhere: Mapping[str, Decimal]) -> TapeKernel:
    """A pod's kernel that has not begun, on a paused replay."""
    kernel = Kernel(Brawler(config, elsewhere), (), kernel_config(config, 1.0), "brawler", 1)
    listings = [one for coin, perp in coins.items() for one in (Listing("hl", coin, perp), Listing("binance", coin))]
    return TapeKernel(kernel, Replay(terms(coins, delays)), listings, Decimal(100_000))


def both(
    coins: Coins,
    rows: npt.NDArray[np.void],
    values: dict[str, Any],
    delays: Delays = Delays(),
    elsewhere: Mapping[str, Decimal] | None = None,
) -> tuple[Outcome, Outcome, TapeKernel]:
    """What either made of a tape."""
    config = BrawlerConfig.model_validate(values)
    replay = compiled(coins, config, delays, elsewhere or {})
    half = len(rows) // 2
    replay.feed(rows[:half])
    replay.feed(rows[half:])
    outcome = replay.finish()
    assert desk_of(replay)["faults"] == 0
    kernel = with_kernel(coins, config, delays, elsewhere or {})
    return outcome, kernel.run([rows[:half], rows[half:]]), kernel


def assert_same(one: Outcome, two: Outcome) -> None:
    """Every request and every fill, field by field."""
    for name in ("sent", "fills"):
        ours, theirs = getattr(one, name), getattr(two, name)
        for number, (a, b) in enumerate(zip(ours, theirs, strict=False)):
            assert _plain(a) == _plain(b), f"{name} {number}: the hook {a}, the kernel {b}"
        assert len(ours) == len(theirs), name


def _plain(row: Any) -> dict[str, str]:
    return {name: repr(row[name]) for name in row.dtype.names}  # a NaN is itself
