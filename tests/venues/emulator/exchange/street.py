"""A small market for the exchange's tests: real books, seeded background flow, prices a test may set."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from slipstream.lob.book import BUY, GTC, IOC, SELL, Book
from slipstream.model.instrument import Instrument, MarginTier
from slipstream.venues.emulator.exchange import Exchange, ExchangeSettings
from slipstream.venues.emulator.state import Block

SECOND = 1_000_000_000
START_NS = 1_760_000_000 * SECOND  # 2025-10-09 08:53:20 UTC
ALICE, BOB, CAROL, DAVE = ("0x" + letter * 40 for letter in "abcd")
BTC = Instrument("BTC", 0, 5, 40, (MarginTier(Decimal(0), 40), MarginTier(Decimal(150_000_000), 20)), 56)
ETH = Instrument("ETH", 1, 4, 25, (MarginTier(Decimal(0), 25), MarginTier(Decimal(100_000_000), 15)), 55)
DOGE = Instrument("DOGE", 2, 0, 10, (MarginTier(Decimal(0), 10),), 10)
ISO = Instrument("ISO", 3, 2, 3, (), 3, only_isolated=True)


class Street:
    """The Market protocol over books that a test (or a seeded walk) fills. Prices only move when told to."""

    def __init__(self, prices: dict[Instrument, str], *, levels: int = 20, lots_usd: int = 50_000) -> None:
        self.instruments = list(prices)
        self.books = {i.coin: Book(max(0, i.to_tick(Decimal(px)) - 100_000), fills=1 << 12) for i, px in prices.items()}
        self.px = {i.coin: Decimal(px) for i, px in prices.items()}
        self.by_coin = {i.coin: i for i in prices}
        self.base_oi: dict[str, Decimal] = {}
        self.prints: list[tuple[str, int]] = []
        self.rates: list[tuple[str, Decimal, Decimal, int]] = []
        self.flow: Callable[[int, int], None] = lambda _t0, _t1: None
        self.ladders: dict[str, list[int]] = {coin: [] for coin in self.books}
        self.levels, self.lots_usd = levels, lots_usd
        for coin in self.books:
            if levels:
                self.quote(coin, self.px[coin])

    def quote(self, coin: str, px: Decimal, at_ns: int = START_NS) -> None:
        """Move the background's ladder to a price (both sides, one tick apart from it)."""
        book, instrument = self.books[coin], self.by_coin[coin]
        for handle in self.ladders[coin]:
            book.cancel(handle)
        self.ladders[coin] = []
        self.px[coin] = px
        middle = instrument.to_tick(instrument.quantise(px, "ROUND_HALF_EVEN"))
        lots = max(1, int(Decimal(self.lots_usd) / px / instrument.lot))
        for step in range(1, self.levels + 1):
            for side in (BUY, SELL):
                handle = book.place(10**12, 0, side, middle - side * step, lots, GTC, at_ns)
                if handle >= 0:
                    self.ladders[coin].append(handle)

    def sweep(self, coin: str, side: int, sz: str) -> int:
        """A background market order, to be matched in the next advance."""
        book, instrument = self.books[coin], self.by_coin[coin]
        return book.market(10**12 + 1, 0, side, instrument.to_lots(Decimal(sz)), START_NS)

    def advance(self, t0_ns: int, t1_ns: int) -> None:
        self.flow(t0_ns, t1_ns)

    def oracle(self, coin: str) -> Decimal:
        return self.px[coin]

    def cex_mid(self, coin: str) -> Decimal:
        return self.px[coin]

    def printed(self, coin: str, trades: Any) -> None:
        self.prints.append((coin, len(trades)))

    def record_funding(self, coin: str, rate: Decimal, premium: Decimal, ns: int) -> None:
        self.rates.append((coin, rate, premium, ns))

    def open_interest(self, coin: str) -> Decimal:
        return self.base_oi.get(coin, Decimal(0))

    def dump(self) -> bytes:
        return b""


class RandomStreet(Street):
    """A street whose prices walk and whose background trades, from a seed."""

    def __init__(self, prices: dict[Instrument, str], seed: int, volatility: float = 0.002) -> None:
        super().__init__(prices, levels=5, lots_usd=20_000)
        self.rng = Random(seed)
        self.volatility = volatility  # per block of three seconds
        self.anchor = dict(self.px)
        self.flow = self._walk

    def _walk(self, t0: int, t1: int) -> None:
        sigma = self.volatility * ((t1 - t0) / 3e9) ** 0.5
        for coin, book in self.books.items():
            pull = 0.05 * (float(self.anchor[coin] / self.px[coin]) - 1.0)
            px = self.px[coin] * Decimal(1 + pull + self.rng.gauss(0.0, sigma)).quantize(Decimal("0.000001"))
            self.quote(coin, px, t1)
            for _ in range(self.rng.randrange(3)):
                side = BUY if self.rng.random() < 0.5 else SELL
                touch = book.best_ask() if side == BUY else book.best_bid()
                if touch < 0:
                    continue
                usd = self.rng.expovariate(1 / 15_000)
                lots = max(1, int(usd / float(px * self.by_coin[coin].lot)))
                book.place(10**12 + 2, 0, side, touch + side * 3, lots, IOC, t1)


class Desk:
    """Drives an exchange by hand: sends actions, steps blocks, keeps the answers."""

    def __init__(self, street: Street, settings: ExchangeSettings | None = None, start_ns: int = START_NS) -> None:
        self.street = street
        self.exchange = Exchange(street.instruments, street, settings or ExchangeSettings(), start_ns)
        self.nonce = start_ns // 1_000_000
        self.blocks: list[Block] = []

    @property
    def now_ms(self) -> int:
        return self.exchange.now_ns // 1_000_000

    def send(self, user: str, action: dict[str, Any], **extra: Any) -> list[dict[str, Any]]:
        """Queue an action; the list that will hold the answer."""
        answers: list[dict[str, Any]] = []
        self.nonce += 1
        nonce = extra.pop("nonce", self.nonce)
        wall = extra.pop("wall_ms", self.now_ms)
        self.exchange.submit(action, signer=user, nonce=nonce, wall_ms=wall, reply=answers.append, **extra)
        return answers

    def step(self, seconds: float = 0.1) -> Block:
        block = self.exchange.step(self.exchange.now_ns + int(seconds * SECOND))
        self.blocks.append(block)
        return block

    def do(self, user: str, action: dict[str, Any], **extra: Any) -> dict[str, Any]:
        """Send, step one block, and give the answer."""
        answers = self.send(user, action, **extra)
        if not answers:
            self.step()
        assert len(answers) == 1
        return answers[0]

    def place(self, user: str, *orders: dict[str, Any], grouping: str = "na", **extra: Any) -> list[Any]:
        """Place orders and give their statuses."""
        action = {"type": "order", "orders": list(orders), "grouping": grouping}
        action.update(extra)
        answer = self.do(user, action)
        assert answer["status"] == "ok", answer
        return answer["response"]["data"]["statuses"]


def order(
    asset: int,
    side: str,
    px: str,
    sz: str,
    tif: str = "Gtc",
    *,
    reduce_only: bool = False,
    cloid: str | None = None,
    trigger: tuple[str, str, bool] | None = None,
) -> dict[str, Any]:
    """An order in the venue's words; ``trigger`` is (tp or sl, price, is_market)."""
    kind: dict[str, Any] = {"limit": {"tif": tif}}
    if trigger is not None:
        kind = {"trigger": {"isMarket": trigger[2], "triggerPx": trigger[1], "tpsl": trigger[0]}}
    wire: dict[str, Any] = {"a": asset, "b": side == "buy", "p": px, "s": sz, "r": reduce_only, "t": kind}
    if cloid is not None:
        wire["c"] = cloid
    return wire
