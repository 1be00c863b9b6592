"""One run of a compiled strategy over merged tapes, and its money."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.lob.replay.replay import Outcome, Replay
from slipstream.lob.replay.terms import MarketTerms, ReplayTerms
from slipstream.simulation.tick.record import Scale, told_of
from slipstream.simulation.tick.told import Told

Rows = npt.NDArray[np.void]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Hooked:
    """A compiled strategy with what it begins with: parameters, and the first words of its memory."""

    hook: Any
    params: Sequence[float] | Floats = ()
    memory: Floats | None = None


def run(
    markets: Sequence[MarketTerms],
    terms: ReplayTerms,
    strategy: Hooked,
    chunks: Iterable[Rows],
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[Outcome, int]:
    """What came of a run, and the exchange's time of its last row. ``progress`` hears of rows.

    Raises ValueError for a tape without a row, BadTape for a row that cannot be.
    """
    replay = Replay(markets, strategy.hook, terms, [float(value) for value in strategy.params])
    if strategy.memory is not None:
        replay.sim["memory"][: strategy.memory.size] = strategy.memory
    last = 0
    for rows in chunks:
        if len(rows):
            last = int(rows["exch_ns"][-1])
            replay.feed(rows)
            progress(len(rows))
    if not last:
        raise ValueError("the tapes hold no row of the time that was asked for")
    return replay.finish(), last


def told(markets: Sequence[MarketTerms], homes: int, terms: ReplayTerms, outcome: Outcome, end_ns: int) -> Told:
    """The money of the first ``homes`` markets; those after them are only listened to. Raises ValueError."""
    chosen = markets[:homes]
    scales = [
        Scale(tick_size=one.tick_size or 0.0, decimals=-1 if one.decimals is None else one.decimals, lot=one.lot_size)
        for one in chosen
    ]
    of = {name: getattr(outcome, name) for name in ("fills", "sent", "samples")}
    kept = {name: rows[rows["market"] < homes] for name, rows in of.items()}
    return told_of(
        [one.name for one in chosen],
        scales,
        marks=outcome.marks[outcome.fills["market"] < homes],
        funding=outcome.funding[:homes],
        horizons_ns=terms.horizons_ns,
        end_ns=end_ns,
        **kept,
    )
