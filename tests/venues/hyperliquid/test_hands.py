"""The emergency hands, against the emulator: no order on the account is beyond their reach."""

from __future__ import annotations

import time
from pathlib import Path

import aiohttp
import pytest

from slipstream.model.commands import Place
from slipstream.model.instrument import Instrument, Side
from slipstream.model.order import Tif
from slipstream.venues.emulator.serve import RunningVenue
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.actions import Request, order_wire
from slipstream.venues.hyperliquid.hands import Hands
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.nonce import Nonces
from slipstream.venues.hyperliquid.rest import Rest
from tests.venues.hyperliquid.conftest import SIGNER


@pytest.mark.parametrize("knows_coins", [True, False])
async def test_an_order_that_a_person_placed_by_hand_is_cancelled_too(
    tmp_path: Path, venue: RunningVenue, knows_coins: bool
) -> None:
    venue.exchange.faucet(SIGNER.address)
    async with aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url, Weights(time.monotonic), timeout=3.0)
        coins: dict[str, Instrument] = {i.coin: i for i in wire.to_instruments(await rest.info("meta", wire.Meta))}
        with Nonces(tmp_path / "nonce", lambda: time.time_ns() // 1_000_000) as nonces:
            # a coin may be listed after the process has started
            known = coins if knows_coins else {}
            hands = Hands(rest, SIGNER, nonces, known, address=SIGNER.address, source="b")
            mid = venue.exchange.contexts["BTC"].mid
            assert mid is not None
            px = coins["BTC"].passive_price(mid * 9 / 10, Side.BUY)
            by_hand = order_wire(Place("", "BTC", Side.BUY, px, coins["BTC"].round_size(mid / mid), Tif.GTC), coins)
            del by_hand["c"]
            ours = order_wire(
                Place("0x" + "1" * 32, "BTC", Side.BUY, px, coins["BTC"].round_size(mid / mid), Tif.GTC), coins
            )
            await hands._act(Request({"type": "order", "orders": [by_hand, ours], "grouping": "na"}, ()), 2)
            seen = await hands.look()
            assert sorted(bool(order.cloid) for order in seen.orders) == [False, True]
            refused = await hands.cancel([(order.coin, order.cloid or str(order.oid)) for order in seen.orders])
            assert refused == []
            assert (await hands.look()).orders == ()
