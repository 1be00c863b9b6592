"""What a run left behind, in money: fills, samples of the account and requests, whatever exchange made them.

Arrays of one length each, plain numbers: prices and USD as floats (statistics; books and ledgers count in integers),
sizes in base coin, times in ns. ``side`` is +1 where we bought.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Fills:
    """Our fills in the order in which the exchange made them.

    ``mid`` is the exchange's mid at the fill; ``marks`` (fills, horizons) are mids ``horizons_ns`` later, NaN where the
    tape ended before. ``fee`` is USD, negative for a rebate. ``queue`` is the size ahead when the order joined its
    level (0: it was first), NaN for a taker; ``joined_ns`` is when that was. ``placed_ns`` and ``known_ns``
    are our clock: when we sent the order and when we heard of the fill. Raises ValueError on arrays of unequal length
    and fills out of order.
    """

    market: Longs
    exch_ns: Longs
    known_ns: Longs
    placed_ns: Longs
    joined_ns: Longs
    order: Longs
    side: Longs
    px: Floats
    size: Floats
    fee: Floats
    maker: Flags
    queue: Floats
    mid: Floats
    marks: Floats
    horizons_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        n = self.market.size
        for name in (
            "exch_ns",
            "known_ns",
            "placed_ns",
            "joined_ns",
            "order",
            "side",
            "px",
            "size",
            "fee",
            "maker",
            "queue",
            "mid",
        ):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"fills: {name} has shape {getattr(self, name).shape}, markets are {n}")
        if self.marks.shape != (n, len(self.horizons_ns)):
            raise ValueError(f"fills: marks are {self.marks.shape}, not {n} fills by {len(self.horizons_ns)} horizons")
        back = np.flatnonzero(np.diff(self.exch_ns) < 0)
        if back.size:
            raise ValueError(f"fills: the exchange's time goes back at fill {int(back[0]) + 1}; sort them")

    @property
    def count(self) -> int:
        """How many."""
        return int(self.market.size)

    @property
    def usd(self) -> Floats:
        """Traded notional of each."""
        out: Floats = self.px * self.size
        return out

    def of(self, chosen: Flags) -> Fills:
        """Some of them."""
        cut = {name: getattr(self, name)[chosen] for name in self.__dataclass_fields__ if name != "horizons_ns"}
        return Fills(**cut, horizons_ns=self.horizons_ns)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """The account and the touch at even times, (times, markets) each; the first is the beginning, the last the end.

    ``own_bid`` and ``own_ask`` are the best prices of ours that rested, NaN for none. ``cash`` is USD earned by trades
    before fees, ``fees`` paid and ``funding`` received, all so far and by market.
    """

    ns: Longs
    bid: Floats
    ask: Floats
    own_bid: Floats
    own_ask: Floats
    position: Floats
    cash: Floats
    fees: Floats
    funding: Floats

    def __post_init__(self) -> None:
        shape = (self.ns.size, self.bid.shape[1] if self.bid.ndim == 2 else 0)
        for name in ("bid", "ask", "own_bid", "own_ask", "position", "cash", "fees", "funding"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"samples: {name} has shape {getattr(self, name).shape}, not {shape}")
        if self.ns.size < 2 or (np.diff(self.ns) <= 0).any():
            raise ValueError("samples: at least two times are needed, each after the one before")

    @property
    def mid(self) -> Floats:
        """The middle of the touch; the last known one while a side is empty, NaN before the first."""
        mids = (self.bid + self.ask) / 2.0
        known = np.where(np.isfinite(mids), np.arange(mids.shape[0])[:, None], -1)
        last = np.maximum.accumulate(known, axis=0)
        out: Floats = np.where(last >= 0, np.take_along_axis(mids, np.maximum(last, 0), axis=0), np.nan)
        return out

    @property
    def pnl(self) -> Floats:
        """Profit since the beginning, after fees and funding, positions at the mid."""
        held = np.where(self.position == 0.0, 0.0, self.position * self.mid)
        out: Floats = self.cash + held - self.fees + self.funding
        return out


@dataclass(frozen=True, kw_only=True)
class Requests:
    """What became of what was asked of the exchange, one entry a request.

    ``kind`` is "place", "cancel" or "modify"; ``outcome`` "done", or why not. ``size`` is what was asked, base coin.
    ``order`` is the number by which fills name it; ``ahead`` is USD in front of it where it joined a level, else NaN,
    ``exch_ns`` when it was executed.
    """

    market: Longs
    sent_ns: Longs
    kind: npt.NDArray[np.str_]
    outcome: npt.NDArray[np.str_]
    size: Floats
    exch_ns: Longs
    order: Longs
    ahead: Floats


@dataclass(frozen=True, kw_only=True)
class Told:
    """One run. ``coins`` names the markets by place; ``last_mid`` is what positions are worth at the end."""

    coins: tuple[str, ...]
    fills: Fills
    samples: Samples
    requests: Requests

    @property
    def last_mid(self) -> Floats:
        """Mid of each market at the end."""
        out: Floats = self.samples.mid[-1]
        return out

    @property
    def hours(self) -> float:
        """How long it lasted."""
        return float(self.samples.ns[-1] - self.samples.ns[0]) / 3.6e12
