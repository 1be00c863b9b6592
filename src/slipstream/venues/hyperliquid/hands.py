"""An account's emergency hands: read it whole, cancel, close with reduce-only orders, arm the venue's own switch.

There is no other verb here. Everything may be repeated: a cancel of an order that is gone changes nothing, and the
venue holds a reduce-only order to the position that there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from slipstream.model.commands import Cancel, Place
from slipstream.model.instrument import Instrument, Side
from slipstream.model.order import Order, Tif
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.actions import Request, requests, signed, statuses
from slipstream.venues.hyperliquid.nonce import Nonces
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.signing import Signer

BATCH = 40  # cancels in one action


class Sight(msgspec.Struct, frozen=True):
    """An account as the venue shows it now: orders that rest, signed positions, mid prices; ``ns`` is venue time."""

    orders: tuple[Order, ...]
    positions: dict[str, Decimal]
    mids: dict[str, Decimal]
    ns: int


class Hands:
    """One account, one agent key of its own."""

    def __init__(
        self,
        rest: Rest,
        signer: Signer,
        nonces: Nonces,
        instruments: Mapping[str, Instrument],
        *,
        address: str,
        source: str,
        vault: str | None = None,
    ) -> None:
        self._rest = rest
        self._signer = signer
        self._nonces = nonces
        self._instruments = instruments
        self._address = address
        self._source = source
        self._vault = vault

    async def look(self) -> Sight:
        """Read the account. Raises Retry."""
        orders = await self._rest.info("frontendOpenOrders", list[wire.WireOrder], user=self._address)
        state = await self._rest.info("clearinghouseState", wire.Clearinghouse, user=self._address)
        mids = await self._rest.info("allMids", dict[str, Decimal])
        coins = {row.coin for row in orders} | {row.position.coin for row in state.asset_positions}
        if not coins <= self._instruments.keys():  # listed since they were read
            meta = await self._rest.info("meta", wire.Meta)
            self._instruments = {i.coin: i for i in wire.to_instruments(meta)}
        positions = {row.position.coin: wire.to_position(row.position).szi for row in state.asset_positions}
        return Sight(
            orders=tuple(wire.to_order(row) for row in orders),
            positions={coin: szi for coin, szi in positions.items() if szi},
            mids={coin: px for coin, px in mids.items() if coin in positions},
            ns=state.time * wire.MS,
        )

    async def cancel(self, orders: Sequence[tuple[str, str]]) -> list[str]:
        """Cancel (coin, cloid) pairs, or (coin, oid) of orders that bear no cloid.

        Returns what the venue said of those it did not cancel. Raises Retry, OutcomeUnknown.
        """
        said = [f"{coin} is not a perp of this venue" for coin, _ in orders if coin not in self._instruments]
        known = [(coin, name) for coin, name in orders if coin in self._instruments]
        for named in (True, False):
            same = [(coin, name) for coin, name in known if name.startswith("0x") is named]
            for start in range(0, len(same), BATCH):
                batch = same[start : start + BATCH]
                answer = await self._act(self._cancels(batch) if named else self._cancels_by_oid(batch), len(batch))
                said += [str(row) for row in statuses(answer, len(batch)) if row != "success"]
        return said

    def _cancels(self, orders: Sequence[tuple[str, str]]) -> Request:
        (request,) = requests((), (), [Cancel(cloid, coin) for coin, cloid in orders], self._instruments)
        return request

    def _cancels_by_oid(self, orders: Sequence[tuple[str, str]]) -> Request:
        rows = [{"a": self._instruments[coin].asset, "o": int(oid)} for coin, oid in orders]
        return Request({"type": "cancel", "cancels": rows}, ())

    async def reduce(self, cloid: str, coin: str, side: Side, sz: Decimal, px: Decimal) -> str:
        """Close up to ``sz`` at ``px`` or better, at once or not at all; what the venue said."""
        instrument = self._instruments[coin]
        # towards the market's far side: a worst price may not become worse by rounding
        legal = instrument.passive_price(px, side)
        place = Place(cloid, coin, side, legal, instrument.round_size(sz), Tif.IOC, reduce_only=True)
        (request,) = requests((place,), (), (), self._instruments)
        (status,) = statuses(await self._act(request, 1), 1)
        return str(status)

    async def arm(self, at_ms: int | None) -> None:
        """Have the venue cancel everything at a time (ms), or disarm it. Raises VenueRejected with its reason."""
        action: dict[str, Any] = {"type": "scheduleCancel"}
        if at_ms is not None:
            action["time"] = at_ms
        await self._act(Request(action, ()), 1)

    async def _act(self, request: Request, count: int) -> Any:
        body = signed(request, self._signer, self._nonces.next(), self._source, self._vault)
        return await self._rest.exchange(body, count)
