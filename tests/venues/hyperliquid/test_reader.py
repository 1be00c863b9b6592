"""A keyless reader under faults: nothing missed, nothing twice, and it says how far it knows."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from slipstream.model.events import Fill
from slipstream.model.order import Tif
from slipstream.venues.hyperliquid.reader import AccountReader
from tests.federation.auditor.stage import FundStage, fund_stage

LOT = ("BTC", "0.002", "1.02", Tif.IOC)


def quick(stage: FundStage) -> AccountReader:
    """A reader that sweeps often."""
    return AccountReader(stage.rest, stage.venue.url, stage.address, lambda: stage.ns, sweep_every=0.05)


def fault(stage: FundStage, verb: str, **body: object) -> None:
    assert stage.venue.control is not None
    import msgspec

    status, said = stage.venue.control.answer(verb, msgspec.json.encode(body), "127.0.0.1")
    assert status == 200, said


def told(reader: AccountReader) -> tuple[Fill, ...]:
    look = reader.look()
    return look.fills if look is not None else ()


async def test_history_stream_and_sweep_bring_every_fill_once() -> None:
    async with fund_stage() as stage:
        brawler = stage.pods["brawler"]
        await brawler.send(LOT)
        reader = quick(stage)
        task = stage.group.create_task(reader.run())
        await stage.until(lambda: reader.known_ns > 0)
        found = list(told(reader))
        assert [fill.tid for fill in found] == [fill.tid for fill in brawler.fills]
        await brawler.send(LOT, LOT)
        await asyncio.sleep(0.2)  # sweeps run by the wall
        found += told(reader)
        assert [fill.tid for fill in found] == [fill.tid for fill in brawler.fills]
        look = reader.look()
        assert look is not None
        assert look.positions == {"BTC": sum((f.sz for f in found), Decimal(0))}
        assert look.error == ""
        task.cancel()


async def test_a_frozen_fill_stream_is_found_out_and_left() -> None:
    async with fund_stage() as stage:
        brawler = stage.pods["brawler"]
        reader = quick(stage)
        task = stage.group.create_task(reader.run())
        await stage.until(lambda: reader.known_ns > 0)
        fault(stage, "freeze", channel="userFills", user=stage.address)
        before, found = reader.connections, list(told(reader))
        for _ in range(3):
            known = len(found)
            await brawler.send(LOT)
            for _ in range(200):
                await asyncio.sleep(0.002)
                found += told(reader)
                if len(found) > known:
                    break
        fault(stage, "clear")
        await stage.until(lambda: reader.connections > before)
        await stage.until(lambda: reader.error == "")
        stage.feed._stream.drop("as the test wants")
        await stage.until(lambda: stage.feed.connections > 1 and stage.feed.error == "")
        await stage.blocks_of(2)
        assert len({fill.tid for fill in found}) == len(found)
        assert {fill.tid for fill in found} == {fill.tid for fill in brawler.fills}
        task.cancel()


async def test_cut_sockets_are_made_anew_and_what_was_missed_is_swept() -> None:
    async with fund_stage() as stage:
        brawler = stage.pods["brawler"]
        reader = quick(stage)
        task = stage.group.create_task(reader.run())
        await stage.until(lambda: reader.known_ns > 0)
        for _ in range(2):
            fault(stage, "drop")
            await stage.until(lambda: bool(reader.error))
            await stage.until(lambda: reader.error == "" and stage.feed.error == "")
            await brawler.send(LOT)
        await stage.until(lambda: len(brawler.fills) > 0)
        await asyncio.sleep(0.2)
        found = told(reader)
        assert sorted(fill.tid for fill in found) == sorted(fill.tid for fill in brawler.fills)
        task.cancel()


async def test_a_doubt_is_answered_by_a_sweep_and_nothing_else_says_sure() -> None:
    async with fund_stage() as stage:
        brawler = stage.pods["brawler"]
        reader = AccountReader(stage.rest, stage.venue.url, stage.address, lambda: stage.ns, sweep_every=600.0)
        task = stage.group.create_task(reader.run())
        await stage.until(lambda: reader.known_ns > 0)
        fault(stage, "freeze", channel="userFills", user=stage.address)
        sent = stage.ns
        await brawler.send(LOT)
        await stage.until(lambda: reader.known_ns > sent)
        look = reader.look()
        assert look is not None and look.fills == ()
        assert look.swept_ns < sent < look.fills_ns  # the stream says all is known, no sweep does
        reader.doubt()
        found: list[Fill] = []
        for _ in range(500):
            await asyncio.sleep(0.002)
            found += told(reader)
            if found:
                break
        look = reader.look()
        fault(stage, "clear")
        assert look is not None and look.swept_ns > sent
        assert sum((fill.sz for fill in found), Decimal(0)) == look.positions["BTC"]
        task.cancel()


async def test_a_reader_that_knows_the_past_does_not_fetch_it_again() -> None:
    async with fund_stage() as stage:
        brawler = stage.pods["brawler"]
        await brawler.send(LOT)
        reader = quick(stage)
        reader.begin_at(stage.ns + 120_000_000_000)
        task = stage.group.create_task(reader.run())
        await stage.until(lambda: reader.known_ns > 0)
        assert told(reader) == ()
        task.cancel()


async def test_without_any_sweep_for_long_a_stream_is_not_believed() -> None:
    clock = [0.0]
    async with fund_stage() as stage:
        reader = AccountReader(
            stage.rest, stage.venue.url, stage.address, lambda: stage.ns, sweep_every=8.0, now=lambda: clock[0]
        )
        task = stage.group.create_task(reader.run())
        await stage.until(lambda: reader.known_ns > 0)
        clock[0] += 3 * 8.0 + 1.0
        await stage.blocks_of(2)
        look = reader.look()
        assert look is not None
        known = look.fills_ns
        await stage.blocks_of(20)
        look = reader.look()
        assert look is not None
        assert look.fills_ns == known < look.orders_ns
        task.cancel()


async def test_orders_that_came_and_went_unheard_are_asked_for() -> None:
    async with fund_stage() as stage:
        brawler = stage.pods["brawler"]
        reader = AccountReader(stage.rest, stage.venue.url, stage.address, lambda: stage.ns, sweep_every=600.0)
        task = stage.group.create_task(reader.run())
        await stage.until(lambda: reader.known_ns > 0)
        reader.look()
        fault(stage, "freeze", channel="userFills", user=stage.address)
        fault(stage, "freeze", channel="orderUpdates", user=stage.address)
        sent = stage.ns
        await brawler.send(LOT)
        await stage.until(lambda: reader.known_ns > sent)
        reader.doubt()
        look = None
        for _ in range(500):
            await asyncio.sleep(0.002)
            look = reader.look()
            if look is not None and look.fills:
                break
        fault(stage, "clear")
        assert look is not None and look.fills
        placed = {update.order.oid: update.order.timestamp * 1_000_000 for update in look.updates}
        assert placed.keys() == {fill.oid for fill in look.fills}
        assert all(sent <= placed[fill.oid] <= fill.ns for fill in look.fills)
        task.cancel()
