"""What the exchange needs from a market process, and what it knows about each coin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from slipstream.lob.book import Book
from slipstream.model.instrument import Instrument


class Market(Protocol):
    """Background flow, latent prices and history. The exchange owns matching, users and their money."""

    @property
    def instruments(self) -> Sequence[Instrument]:
        """Every listed perp, at the place of its asset id."""
        ...

    @property
    def books(self) -> Mapping[str, Book]:
        """The matching engine of every coin; owner 0 is the background."""
        ...

    def advance(self, t0_ns: int, t1_ns: int) -> None:
        """Let the background trade in the books from one time to another; latent prices move."""
        ...

    def oracle(self, coin: str) -> Decimal:
        """The spot index of a coin now."""
        ...

    def cex_mid(self, coin: str) -> Decimal:
        """The perp mid of the other exchanges now."""
        ...

    def printed(self, coin: str, trades: Any) -> None:
        """Hears every trade of a coin: rows of the book's fill ring, in order (candles and volumes)."""
        ...

    def record_funding(self, coin: str, rate: Decimal, premium: Decimal, ns: int) -> None:
        """Hears the hourly rate of a coin."""
        ...

    def open_interest(self, coin: str) -> Decimal:
        """Open interest of the background, in coins."""
        ...

    def dump(self) -> bytes:
        """Everything needed to go on identically, books included."""
        ...


class CoinContext(msgspec.Struct):
    """Prices and funding of a coin now. Prices are USD, ``funding`` a fraction per hour (positive: longs pay).

    ``premium``, the impact prices and ``mid`` are None while the book lacks a side.
    """

    coin: str
    mark: Decimal
    oracle: Decimal
    mid: Decimal | None = None
    last: Decimal | None = None
    funding: Decimal = Decimal(0)
    premium: Decimal | None = None
    impact_bid: Decimal | None = None
    impact_ask: Decimal | None = None
    open_interest: Decimal = Decimal(0)
    # running sums: the EMA of mid - oracle, and this hour's premium samples
    basis_num: float = 0.0
    basis_den: float = 0.0
    basis_ns: int = 0
    premium_sum: Decimal = Decimal(0)
    premium_count: int = 0
