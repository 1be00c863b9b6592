"""The pod host against an in-memory venue: order of journal and wire, stop, restart, faults, replay."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from kernel_doubles import D, Scripted, bbo, config, quote, wire
from loopback import START, Loopback, make_parts, until

from slipstream.execution.kernel import Kernel
from slipstream.model.commands import Cancel, Command, Place
from slipstream.model.errors import JournalError, NotConnected, OutcomeUnknown
from slipstream.model.events import Candle, Event
from slipstream.runtime.clock import SimClock
from slipstream.runtime.journal import SqliteJournal
from slipstream.runtime.parts import Outcome
from slipstream.runtime.pod import Pod
from slipstream.runtime.replay import recover, replay
from slipstream.runtime.telemetry import start_logging


@pytest.fixture(autouse=True)
def quiet() -> None:
    start_logging("error", stream=io.StringIO())


@pytest.fixture
def venue() -> Loopback:
    return Loopback(SimClock(START))


Script = Callable[[Pod], Awaitable[None]]


async def run(path: Path, venue: Loopback, puppet: Scripted, script: Script, **changes: Any) -> Outcome:
    parts = make_parts(path, venue, puppet, on_ready=script, **changes)
    try:
        async with asyncio.timeout(20):
            return await Pod(parts).run()
    finally:
        parts.journal.close()


async def quoting(pod: Pod, venue: Loopback, puppet: Scripted) -> None:
    await until(lambda: len(puppet.seen) >= 3)
    puppet.next = [quote("1999", "2002")]
    venue.put(bbo(2000.0, 2001.0, venue.clock.now()))
    await until(lambda: len(venue.resting) == 2 and all(o.oid for o in pod.kernel.live_orders()))


async def test_quotes_rest_fill_and_are_cancelled_at_the_end(tmp_path: Path, venue: Loopback) -> None:
    puppet = Scripted()
    lines: list[str] = []

    async def script(pod: Pod) -> None:
        await quoting(pod, venue, puppet)
        venue.trade(next(iter(venue.resting)), "0.25")
        await until(lambda: pod.kernel.view.position("ETH") == D("0.25"))
        assert pod.status()["kernel"]["coins"]["ETH"]["position"] == "0.25"
        assert pod.status()["fills"][0]["sz"] == "0.25"
        assert b'slipstream_events_total{kind="Fill",pod="puppet"} 1.0' in pod.watch.metrics.text()
        pod.stop("enough")

    outcome = await run(tmp_path, venue, puppet, script, say=lines.append)
    assert outcome.exit_code == 0 and not venue.resting and not outcome.left
    assert [type(c) for c in venue.sent] == [Place, Place, Cancel, Cancel]
    assert lines[-1].split()[:3] == ["pod", "puppet", "stopped"] and "no orders left" in lines[-1]


async def test_months_of_bars_at_once_leave_everybody_else_their_turns(tmp_path: Path, venue: Loopback) -> None:
    """Beats are sent between the chunks: a pod that catches up is not dead."""
    puppet = Scripted()
    steps: list[int] = []

    async def script(pod: Pod) -> None:
        await until(lambda: len(puppet.seen) >= 3)
        before = len(puppet.seen)
        for n in range(6_400):
            at = START - (6_400 - n) * 3_600_000_000_000
            pod.put(Candle("hl", "ETH", 3_600_000_000_000, at, 1.0, 1.0, 1.0, 1.0, 1.0, at, START))
        while len(puppet.seen) < before + 6_400:
            last = len(puppet.seen)
            await asyncio.sleep(0)
            steps.append(len(puppet.seen) - last)
        pod.stop("enough")

    outcome = await run(tmp_path, venue, puppet, script)
    assert outcome.exit_code == 0 and sum(steps) >= 6_400 and max(steps) <= 200


async def test_every_command_is_journalled_before_it_is_sent(tmp_path: Path, venue: Loopback) -> None:
    puppet = Scripted()
    seen: list[bool] = []

    def check(commands: Sequence[Command]) -> None:
        with SqliteJournal(tmp_path / "pod.journal", read_only=True) as journal:
            recorded = [c for _, _, row in journal.read() for c in row]
        seen.extend(c in recorded for c in commands)

    venue.before_send = check

    async def script(pod: Pod) -> None:
        await quoting(pod, venue, puppet)
        pod.stop("enough")

    await run(tmp_path, venue, puppet, script)
    assert len(seen) == 4 and all(seen)


async def test_a_restart_continues_its_books_and_cancels_what_the_last_run_left(
    tmp_path: Path, venue: Loopback
) -> None:
    puppet = Scripted()
    venue.silent_cancels = True

    async def first(pod: Pod) -> None:
        await quoting(pod, venue, puppet)
        venue.trade(next(iter(venue.resting)), "0.4")
        await until(lambda: pod.kernel.view.position("ETH") == D("0.4"))
        pod.stop("go")
        pod.stop("now")

    outcome = await run(tmp_path, venue, puppet, first)
    assert outcome.exit_code == 3 and len(outcome.left) == 2

    venue.silent_cancels = False
    venue.clock.advance(10**9)
    venue.trade(next(iter(venue.resting)), "0.1")  # while the pod is down; told by the sweep at its start

    async def second(pod: Pod) -> None:
        await until(lambda: not venue.resting and not pod.kernel.live_orders())
        assert pod.kernel.view.position("ETH") == D("0.5")
        assert pod.kernel.desk.permit.breaks == ()
        pod.stop("enough")

    outcome = await run(tmp_path, venue, Scripted(), second)
    assert outcome.exit_code == 0
    with SqliteJournal(tmp_path / "pod.journal", read_only=True) as journal:
        assert len(journal.sessions()) == 2


async def test_a_live_journal_replays_byte_for_byte(tmp_path: Path, venue: Loopback) -> None:
    class Follower(Scripted):
        """Quotes a tick outside every bbo: the same again from the same events."""

        def on_event(self, event: Event, view: Any) -> list[Any]:
            super().on_event(event, view)
            price = view.bbo("hl", "ETH")
            return [quote(f"{price.bid_px - 1:.0f}", f"{price.ask_px + 1:.0f}")] if price is not None else []

    for _ in range(2):

        async def script(pod: Pod) -> None:
            for step in range(20):
                venue.clock.advance(10**9)
                venue.put(bbo(2000.0 + step % 7, 2001.0 + step % 7, venue.clock.now()))
                await until(lambda: len(venue.resting) == 2)
                venue.trade(next(iter(venue.resting)), "0.1")
                await until(lambda: pod.kernel.view.position("ETH") == venue.positions["ETH"])
            pod.stop("enough")

        assert (await run(tmp_path, venue, Follower(), script)).exit_code == 0
        venue.clock.advance(10**9)
    with SqliteJournal(tmp_path / "pod.journal", read_only=True) as journal:
        verdict = replay(journal, lambda session: Follower())
        assert verdict.identical and verdict.sessions == 2 and verdict.commands > 50
        other = replay(journal, lambda session: Scripted())
    assert (
        other.difference is not None and "recorded: Place" in other.difference and "replayed: None" in other.difference
    )


async def test_a_session_that_lost_its_prices_is_folded_and_not_compared(tmp_path: Path, venue: Loopback) -> None:
    for _ in range(2):
        puppet = Scripted()

        async def script(pod: Pod, puppet: Scripted = puppet) -> None:
            await quoting(pod, venue, puppet)
            venue.trade(next(iter(venue.resting)), "0.1")
            await until(lambda: pod.kernel.view.position("ETH") == venue.positions["ETH"])
            pod.stop("enough")

        assert (await run(tmp_path, venue, puppet, script)).exit_code == 0
        venue.clock.advance(10**9)
    with SqliteJournal(tmp_path / "pod.journal") as journal:
        second = journal.sessions()[1]
        assert journal.prune(journal.last_seq - second.seq) > 0
        verdict = replay(journal, lambda session: Scripted())
        assert verdict.skipped == 1 and verdict.sessions == 2
        assert verdict.difference is not None, "a strategy that does not remember its script is found out"

        kernel = Kernel(Scripted(), (), config(), "puppet", 0)
        recover(kernel, journal)
        assert kernel.view.position("ETH") == D("0.2") == venue.positions["ETH"]


async def test_an_unknown_outcome_is_read_and_never_sent_twice(tmp_path: Path, venue: Loopback) -> None:
    puppet = Scripted()

    async def script(pod: Pod) -> None:
        await until(lambda: len(puppet.seen) >= 3)

        def accept_then_reset(commands: Sequence[Command]) -> None:
            for command in commands:
                venue.sent.append(command)
                venue._apply(command)
            while not venue.events_.empty():
                venue.events_.get_nowait()  # the answers are lost with the connection
            venue.before_send = None
            raise OutcomeUnknown("connection reset")

        venue.before_send = accept_then_reset
        puppet.next = [quote("1999", None)]
        venue.put(bbo(2000.0, 2001.0, venue.clock.now()))
        await until(lambda: any(o.state.value == "unknown" for o in pod.kernel.live_orders()))
        assert pod.kernel.view.worst_position("ETH") == (D(0), D(1))
        venue.clock.advance(10**9)
        await until(lambda: [o.state.value for o in pod.kernel.live_orders()] == ["open"])
        pod.stop("enough")

    assert (await run(tmp_path, venue, puppet, script)).exit_code == 0
    cloids = [c.cloid for c in venue.sent if isinstance(c, Place)]
    assert len(cloids) == len(set(cloids)) == 1


async def test_not_connected_is_a_rejection_and_is_tried_again(tmp_path: Path, venue: Loopback) -> None:
    puppet = Scripted()

    async def script(pod: Pod) -> None:
        await until(lambda: len(puppet.seen) >= 3)

        def refuse(commands: Sequence[Command]) -> None:
            venue.before_send = None
            raise NotConnected("no route")

        venue.before_send = refuse
        puppet.next = [quote("1999", None)]
        venue.put(bbo(2000.0, 2001.0, venue.clock.now()))
        await until(lambda: pod.status()["send_error"] is not None and not pod.kernel.live_orders())
        for _ in range(12):
            venue.clock.advance(10**9)
            await asyncio.sleep(0)
            venue.put(bbo(2000.0, 2001.0, venue.clock.now()))
            await until(lambda: venue.events_.empty() and pod.inbox.counts().waiting == 0)
        await until(lambda: len(venue.resting) == 1)
        pod.stop("enough")

    assert (await run(tmp_path, venue, puppet, script)).exit_code == 0


async def test_a_journal_that_fails_stops_the_pod_and_only_cancels_go_out(tmp_path: Path, venue: Loopback) -> None:
    puppet = Scripted()

    async def script(pod: Pod) -> None:
        await quoting(pod, venue, puppet)

        def full(steps: object) -> int:
            raise JournalError("journal: cannot write: database or disk is full")

        pod.parts.journal.append_steps = full  # type: ignore[method-assign, assignment]
        puppet.next = [quote("1990", "2010")]
        venue.put(bbo(1995.0, 2005.0, venue.clock.now()))

    outcome = await run(tmp_path, venue, puppet, script)
    assert outcome.exit_code == 1 and "disk is full" in (outcome.error or "")
    assert not venue.resting
    assert [type(c) for c in venue.sent] == [Place, Place, Cancel, Cancel]


async def test_a_strategy_that_raises_ends_the_pod_with_its_orders(tmp_path: Path, venue: Loopback) -> None:
    puppet = Scripted()

    async def script(pod: Pod) -> None:
        await quoting(pod, venue, puppet)
        puppet.next = [object()]  # type: ignore[list-item]
        puppet.on_event = lambda event, view: 1 / 0  # type: ignore[method-assign, assignment, return-value]
        venue.put(bbo(2000.0, 2001.0, venue.clock.now()))

    outcome = await run(tmp_path, venue, puppet, script)
    assert outcome.exit_code == 1 and "ZeroDivisionError" in (outcome.error or "") and not venue.resting


async def test_a_bug_in_the_host_itself_still_cancels(tmp_path: Path, venue: Loopback) -> None:
    puppet = Scripted()

    async def script(pod: Pod) -> None:
        await quoting(pod, venue, puppet)
        puppet.snapshot = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
        venue.put(bbo(2000.0, 2001.0, venue.clock.now()))

    outcome = await run(tmp_path, venue, puppet, script, snapshot_path=tmp_path / "s.json", snapshot_every=0.0)
    assert outcome.exit_code == 1 and "ZeroDivisionError" in (outcome.error or "") and not venue.resting


async def test_a_feed_that_raises_ends_the_pod_in_order(tmp_path: Path, venue: Loopback) -> None:
    class Broken:
        async def events(self) -> Any:
            yield bbo(1.0, 2.0, START, venue="binance")
            await until(lambda: len(venue.resting) == 2)
            raise ValueError("bad frame")

        async def close(self) -> None:
            return

    puppet = Scripted()

    async def script(pod: Pod) -> None:
        await quoting(pod, venue, puppet)

    outcome = await run(tmp_path, venue, puppet, script, feeds={"binance": Broken()})
    assert outcome.exit_code == 1 and outcome.error == "feed binance: ValueError: bad frame" and not venue.resting


async def test_start_waits_for_the_venue_and_then_gives_up(tmp_path: Path, venue: Loopback) -> None:
    async def refuse() -> Any:
        raise NotConnected("nobody listens")

    venue.start = refuse  # type: ignore[method-assign]

    async def never(pod: Pod) -> None:
        raise AssertionError

    with pytest.raises(NotConnected, match="nobody listens"):
        await run(tmp_path, venue, Scripted(), never, start_timeout=0.0)


async def test_halt_and_resume_through_the_status_port(tmp_path: Path, venue: Loopback) -> None:
    import aiohttp

    from slipstream.runtime.secrets import Secret

    puppet = Scripted()

    async def script(pod: Pod) -> None:
        await quoting(pod, venue, puppet)
        assert pod.status_url is not None
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{pod.status_url}/halt", json={"why": "x"}) as answer:
                assert answer.status == 401
            bearer = {"Authorization": "Bearer sesame"}
            async with session.post(f"{pod.status_url}/halt", json={"why": ""}, headers=bearer) as answer:
                assert answer.status == 400
            async with session.post(f"{pod.status_url}/halt", json={"why": "drill"}, headers=bearer) as answer:
                assert answer.status == 200
            await until(lambda: not venue.resting)
            async with session.get(f"{pod.status_url}/status") as answer:
                body = await answer.json()
            assert body["kernel"]["state"] == "halted" and "drill" in body["kernel"]["reasons"][0]
            async with session.get(f"{pod.status_url}/status", headers={"Host": "evil.example"}) as answer:
                assert answer.status == 403
            async with session.post(f"{pod.status_url}/resume", json={"why": "over"}, headers=bearer) as answer:
                assert answer.status == 200
            await until(lambda: pod.kernel.view.trading_state.value == "active")
            async with session.get(f"{pod.status_url}/metrics") as answer:
                assert "slipstream_commands_total" in await answer.text()
        pod.stop("enough")

    outcome = await run(tmp_path, venue, puppet, script, status_port=0, status_token=Secret("sesame", "test"))
    assert outcome.exit_code == 0
    assert len(wire(venue.sent)) >= 4
