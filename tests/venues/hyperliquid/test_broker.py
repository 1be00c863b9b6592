"""The broker as a trader uses it, on the emulated exchange."""

from __future__ import annotations

from typing import Any

from slipstream.model.commands import Cancel, Modify, Query
from slipstream.model.events import AccountState, Ack, Bbo, Budget, Closed, Fill, L2Book, Reconnect, Reject
from slipstream.model.instrument import Side
from slipstream.model.order import Tif


async def test_the_account_is_reconciled_before_the_feed_counts_as_up(desk: Any) -> None:
    kinds = [type(event) for event in desk.events]
    assert kinds.index(AccountState) < kinds.index(Reconnect)
    assert desk.of(AccountState)[0].equity > 0
    assert desk.of(Budget)[0].cap >= 10_000
    assert desk.instruments["BTC"].asset == 0
    await desk.heard(L2Book)
    bbo = await desk.heard(Bbo)
    assert 0 < bbo.bid_px < bbo.ask_px


async def test_place_modify_cancel(desk: Any) -> None:
    first, second = desk.place("0.9"), desk.place("0.91", tif=Tif.ALO)
    await desk.broker.send([first, second])
    for order in (first, second):
        await desk.heard(Ack, order.cloid)
    assert desk.open_cloids() == sorted([first.cloid, second.cloid])
    moved = desk.place("0.92", tif=Tif.ALO)
    await desk.broker.send([Modify(second.cloid, moved)])
    assert (await desk.heard(Ack, moved.cloid)).oid > (await desk.heard(Ack, second.cloid)).oid
    await desk.heard(Closed, second.cloid)
    await desk.broker.send([Cancel(first.cloid, "BTC"), Cancel(moved.cloid, "BTC")])
    assert (await desk.heard(Closed, first.cloid)).status == "canceled"
    await desk.heard(Closed, moved.cloid)
    assert desk.open_cloids() == []
    # each acknowledgement is told once, though answer and stream both bring it
    assert len([e for e in desk.of(Ack) if e.cloid == first.cloid]) == 1


async def test_fills_arrive_once_and_add_up_to_the_venues_position(desk: Any) -> None:
    buy = desk.place("1.02", "0.02", tif=Tif.IOC)
    await desk.broker.send([buy])
    await desk.until(lambda: sum(f.sz for f in desk.of(Fill)) == buy.sz)
    sell = desk.place("0.98", "0.005", Side.SELL, Tif.IOC)
    await desk.broker.send([sell])
    await desk.until(lambda: sum(f.sz for f in desk.of(Fill) if f.side is Side.SELL) == sell.sz)
    await desk.broker._account.sweep_fills()
    await desk.broker._reconcile()
    fills = desk.of(Fill)
    assert len({(f.tid, f.oid) for f in fills}) == len(fills)
    state = await desk.until(lambda: next((s for s in desk.of(AccountState)[1:]), None))
    assert sum(f.sz * f.side.sign for f in fills) == state.positions[0].szi == buy.sz - sell.sz


async def test_a_query_tells_what_became_of_an_order(desk: Any) -> None:
    order = desk.place()
    await desk.broker.send([order])
    await desk.heard(Ack, order.cloid)
    await desk.broker.send([Query(order.cloid, "BTC")])
    desk.broker._entry._pause = 0.01
    never = desk.place()
    await desk.broker.send([Query(never.cloid, "BTC")])
    assert "does not know" in (await desk.heard(Reject, never.cloid)).reason
