"""The trading floor: everything the exchange holds, shared by its rules. Mutable; one thread."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b

import msgspec

from slipstream.lob.book import Book
from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.exchange.contract import CoinContext, Market
from slipstream.venues.emulator.settings import DAY, ExchangeSettings
from slipstream.venues.emulator.state import ZERO, Account, Agent, Block, VenueOrder

MICRO = Decimal("0.000001")
HOUSE = "0x0000000000000000000000000000000000000000"
BACKSTOP = "0xb0000000000000000000000000000000000000b0"
_TID_BITS = 50
_TID_STEP = 0x2C1B3C6D9A3F5  # odd: multiplication modulo 2**50 is one to one, so trade ids never repeat


class NonceSet(msgspec.Struct):
    """The highest nonces one signer has used, ascending, and whether an older one was ever dropped."""

    used: list[int] = []


class Resting(msgspec.Struct):
    """Sizes and notionals of the orders of one user and coin that may still open a position."""

    buy_sz: Decimal = ZERO
    buy_ntl: Decimal = ZERO
    sell_sz: Decimal = ZERO
    sell_ntl: Decimal = ZERO


class Counters(msgspec.Struct):
    """Numbers that only grow, and pots that belong to nobody's account."""

    height: int = 0
    next_oid: int = 1
    next_twap: int = 1
    trades: int = 0
    liquidations: int = 0
    fees: Decimal = ZERO  # what the venue has earned, rebates deducted
    builder_fees: dict[str, Decimal] = {}
    exchange_volume: dict[str, Decimal] = {}  # UTC date -> notional of all trades


class Floor:
    """Accounts, live orders, prices and counters. The rules are functions over it, in sibling modules."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        market: Market,
        settings: ExchangeSettings,
        now_ns: int,
    ) -> None:
        self.instruments = dict(instruments)
        self.by_asset = {i.asset: i for i in self.instruments.values()}
        self.market = market
        self.books: dict[str, Book] = dict(market.books)
        self.settings = settings
        self.now_ns = now_ns
        self.contexts: dict[str, CoinContext] = {}
        self.accounts: dict[str, Account] = {}
        self.agents: dict[str, Agent] = {}
        self.used_agents: set[str] = set()
        self.nonces: dict[str, NonceSet] = {}
        self.house = Account(HOUSE)
        self.counters = Counters()
        self.orders: dict[int, VenueOrder] = {}  # everything resting or waiting, by oid
        self.triggers: dict[str, dict[int, VenueOrder]] = {}  # coin -> waiting for the mark price
        self.resting: dict[tuple[str, str], Resting] = {}
        self.positions: dict[str, set[str]] = {}  # coin -> users holding it
        self.owners: dict[str, int] = {}
        self.addresses: list[str] = [HOUSE]
        self.post_only_until_ns = 0
        self.action_hash = "0x" + "0" * 64
        self.block = Block(0, now_ns)
        self.touched: dict[str, None] = {}
        self.moved: dict[tuple[str, str], None] = {}  # positions that changed and may owe reduce-only pruning
        self.prints: dict[str, tuple[int, ...]] = {}  # fingerprints of the books at the last block
        self.rates: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}

    @property
    def backstop(self) -> Account:
        """The liquidator vault."""
        return self.accounts[BACKSTOP]

    def owner(self, address: str) -> int:
        """The small number by which books know a user; the house is 0."""
        number = self.owners.get(address)
        if number is None:
            number = len(self.addresses)
            self.owners[address] = number
            self.addresses.append(address)
        return number

    def oid(self) -> int:
        """A new order id."""
        oid = self.counters.next_oid
        self.counters.next_oid += 1
        return oid

    def tid(self) -> int:
        """A new trade id: unique, and a function of how many trades went before."""
        self.counters.trades += 1
        return (self.counters.trades * _TID_STEP + self.settings.seed) % (1 << _TID_BITS)

    def touch(self, address: str) -> None:
        """Note that a user's state changed in this block."""
        self.touched[address] = None

    def stamp(self, *parts: object) -> str:
        """A transaction hash: a function of the seed, the height and what is being done."""
        text = "/".join(str(part) for part in (self.settings.seed, self.counters.height, *parts))
        return "0x" + blake2b(text.encode(), digest_size=32).hexdigest()

    @property
    def today(self) -> str:
        """The UTC date of venue time."""
        return utc_date(self.now_ns // DAY)

    @property
    def now_ms(self) -> int:
        """Venue time, ms."""
        return self.now_ns // 1_000_000


@lru_cache(maxsize=1_024)
def utc_date(day: int) -> str:
    """ISO date of a day counted from 1970-01-01."""
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def truncated(value: Decimal) -> Decimal:
    """To millionths, towards zero: how the venue charges fees."""
    return value.quantize(MICRO, rounding="ROUND_DOWN")
