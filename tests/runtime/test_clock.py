"""Clocks: speed, offset, never backwards; waiting; synchronising with a venue."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from slipstream.model.errors import NotConnected
from slipstream.runtime.clock import ScaledClock, SimClock, WallClock, venue_clock
from slipstream.venues.emulator.serve import ServeOptions, running_venue


def test_a_scaled_clock_runs_from_its_start_at_its_speed_and_never_back() -> None:
    wall = [0]
    clock = ScaledClock(20.0, start_ns=1_000, wall=lambda: wall[0])
    wall[0] = 50
    assert clock.now() == 2_000
    clock.set(5_000)
    wall[0] = 51
    assert clock.now() == 5_020
    clock.set(100)
    assert clock.now() == 5_020
    assert clock.delay(5_020 + 20_000_000_000) == pytest.approx(1.0)
    assert clock.delay(0) > 0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="factor above 0"):
        ScaledClock(speed)


async def test_waiting_ends_with_the_event_or_the_time() -> None:
    clock, event = WallClock(), asyncio.Event()
    before = clock.now()
    await clock.wait(event, before + 2_000_000)
    assert clock.now() >= before + 2_000_000 and not event.is_set()
    event.set()
    await clock.wait(event, None)


async def test_a_simulated_clock_wakes_its_waiters_when_it_is_moved() -> None:
    clock, event = SimClock(100), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.wait(event, 200))
        await asyncio.sleep(0)
        clock.advance(99)
        await asyncio.sleep(0)
        assert not task.done()
        clock.advance(1)
    assert clock.now() == 200
    await clock.wait(event, 150)


async def test_a_venues_clock_is_taken_from_healthz() -> None:
    bodies = [{"status": "ok", "time": 1_700_000_000_000, "speed": 20}, {"status": "ok"}, {"status": "starting"}]

    async def healthz(_: web.Request) -> web.Response:
        body = bodies.pop(0)
        return web.json_response(body, status=200 if body["status"] == "ok" else 503)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    clock = await venue_clock(url)
    assert clock.speed == 20.0 and 0 <= clock.now() - 1_700_000_000_000_000_000 < 60 * 10**9
    with pytest.raises(NotConnected, match="not a venue's answer"):
        await venue_clock(url)
    with pytest.raises(NotConnected, match="HTTP 503; the venue is not ready"):
        await venue_clock(url)
    await runner.cleanup()
    with pytest.raises(NotConnected, match=r"is the venue running\?"):
        await venue_clock(url)


async def test_the_local_venues_clock_is_followed_at_its_speed() -> None:
    async with running_venue(ServeOptions(port=0, speed=20.0, coins=("BTC",))) as venue:
        clock = await venue_clock(venue.url)
        assert clock.speed == 20.0
        again = await venue_clock(venue.url)
        # both were synced to within a round trip, which the venue's speed multiplies
        assert abs(again.now() - clock.now()) < 20 * 10**9
