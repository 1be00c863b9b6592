"""When to rebalance, and what to trade for it: pure arithmetic of times, weights and lots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from slipstream.model.instrument import Instrument
from slipstream.model.mandate import Mandate

ZERO = Decimal(0)
SPARE = Decimal("0.97")  # of a cap: prices move between the decision and the fill


def last_due(now_ns: int, every_ns: int, offset_ns: int) -> int:
    """The last time at or before now at which a rebalance is due: multiples of the period, plus the offset."""
    return (now_ns - offset_ns) // every_ns * every_ns + offset_ns


class Room(msgspec.Struct, frozen=True):
    """What may be held: capital to scale weights by, caps of one coin and of all, USD."""

    capital: Decimal
    gross: Decimal
    coin: Mapping[str, Decimal]
    any_coin: Decimal

    def of(self, coin: str) -> Decimal:
        """The cap of a coin."""
        return self.coin.get(coin, self.any_coin)

    def under(self, mandate: Mandate | None) -> Room:
        """This room narrowed by a mandate, its caps with something to spare. Named coins alone are granted, if any."""
        gross, any_coin = self.gross * SPARE, self.any_coin * SPARE
        if mandate is None:
            return Room(self.capital, gross, {}, any_coin)
        caps = {coin: min(cap, self.any_coin) * SPARE for coin, cap in mandate.coin_caps.items()}
        gross = min(self.gross, mandate.gross_cap) * SPARE
        return Room(min(self.capital, mandate.capital), gross, caps, ZERO if caps else any_coin)

    def is_less(self, before: Room, coins: Iterable[str]) -> bool:
        """Whether anything is granted less than before."""
        pairs = ((self.capital, before.capital), (self.gross, before.gross))
        return any(new < old for new, old in (*pairs, *((self.of(coin), before.of(coin)) for coin in coins)))


def notionals(weights: Mapping[str, float], room: Room) -> dict[str, Decimal]:
    """Signed USD by coin: weights times capital, each within its cap, all scaled to the gross cap by one factor."""
    wanted = {}
    for coin, weight in weights.items():
        usd = Decimal(repr(weight)) * room.capital
        cap = room.of(coin)
        wanted[coin] = max(-cap, min(cap, usd))
    gross = sum((abs(usd) for usd in wanted.values()), ZERO)
    scale = min(Decimal(1), room.gross / gross) if gross else Decimal(1)
    return {coin: usd * scale for coin, usd in wanted.items()}


def lots(usd: Decimal, px: Decimal, instrument: Instrument) -> Decimal:
    """The signed size worth so much at a price, rounded towards zero; 0 if the price is not positive."""
    return instrument.round_size(usd / px) if px > 0 else ZERO


def shrunk(held: Decimal, wanted: Decimal) -> Decimal:
    """The nearest position to ``wanted`` that only closing orders lead to: between 0 and what is held."""
    low, high = min(held, ZERO), max(held, ZERO)
    return max(low, min(high, wanted))


class Band(msgspec.Struct, frozen=True):
    """What is too small to trade: less than ``min_usd``, or than ``share`` of the larger of both positions."""

    min_usd: Decimal
    share: Decimal

    def holds(self, held: Decimal, wanted: Decimal, px: Decimal) -> bool:
        """Whether the position may stay as it is. A position that is to be closed is always closed."""
        gap = abs(wanted - held)
        if not wanted and held:
            return False
        return gap * px < self.min_usd or gap < self.share * max(abs(held), abs(wanted))
