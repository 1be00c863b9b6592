"""The bus: round trips and throughput at QoS 1 beside plain paho-mqtt on the same broker, and what pods cost.

    uv run --no-sync python benchmarks/bus.py [--rounds 300] [--messages 2000] [--repeat 3] [--pods 2,10,50]

Both sides send the same bytes, from one client to another through one broker, QoS 1, TCP_NODELAY, in turns. Plain paho
runs its own network threads and sends without waiting for acknowledgements; ours sends one at a time, encodes and
decodes the message, and keeps it until it is acknowledged. Latency: median and 95th percentile of there and back.
Pods: each beats and reports once a second, a listener hears all, for --seconds; processor time of the broker and of
this process (all pods and the listener in one) as a share of a core.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import paho.mqtt.client as mqtt
import psutil

from slipstream.model.errors import ConfigError
from slipstream.model.instrument import Side
from slipstream.model.mandate import TradingState
from slipstream.model.messages import Beat, CoinLine, OrderLine, PodReport
from slipstream.model.topics import Topics
from slipstream.runtime.bus.acl import FEDERATION
from slipstream.runtime.bus.broker import BrokerOptions, EmbeddedBroker
from slipstream.runtime.bus.connect import connect
from slipstream.runtime.bus.envelope import pack
from slipstream.runtime.bus.mqtt import read_url
from slipstream.runtime.bus.port import Bus

REALM = "bench"
TOPICS = Topics(REALM)
PATIENCE = 60.0  # seconds any one step may take
LINE = CoinLine("BTC", Decimal("0.5"), *(Decimal("1234.5678"),) * 5, 12)
ORDER = OrderLine("0x" + "ab" * 16, 123456, "BTC", Side.BUY, Decimal("65000.5"), Decimal("0.01"))


def report(pod: str, seq: int) -> PodReport:
    """A report of four coins and eight orders."""
    return PodReport(
        pod=pod,
        account="0x" + "1" * 40,
        run=1,
        seq=seq,
        ns=0,
        wall_ns=time.time_ns(),
        phase="running",
        state=TradingState.ACTIVE,
        lines=(LINE,) * 4,
        orders=(ORDER,) * 8,
    )


class Plain:
    """A paho client with its thread. ``on_message`` gets each payload."""

    def __init__(self, url: str, name: str, filter_: str = "") -> None:
        address = read_url(url)
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"plain-{name}")
        self.client.username_pw_set(address.user, address.password)
        self.client.max_inflight_messages_set(100)
        self.on_message: Callable[[bytes], None] = lambda payload: None
        self.client.on_message = lambda client, data, message: self.on_message(message.payload)
        ready = threading.Event()
        self.client.on_subscribe = lambda *_: ready.set()

        def connected(client: mqtt.Client, *_: object) -> None:
            client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # type: ignore[union-attr]
            if filter_:
                client.subscribe(filter_, 1)
            else:
                ready.set()

        self.client.on_connect = connected
        self.client.connect(address.host, address.port)
        self.client.loop_start()
        if not ready.wait(PATIENCE):
            raise SystemExit("paho did not connect")

    def close(self) -> None:
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()


def plain_trips(broker: EmbeddedBroker, rounds: int) -> list[float]:
    """Seconds there and back, paho on both sides."""
    here, there = TOPICS.pod("alpha", "ack"), TOPICS.mandate("alpha")
    asker = Plain(broker.url("alpha"), "alpha", there)
    echo = Plain(broker.url("allocator"), "allocator", here)
    back = threading.Event()
    echo.on_message = lambda payload: echo.client.publish(there, payload, 1) and None
    asker.on_message = lambda payload: back.set()
    data, took = pack("alpha", 1, 1, report("alpha", 1)), []
    try:
        for _ in range(rounds):
            back.clear()
            began = time.perf_counter()
            asker.client.publish(here, data, 1)
            if not back.wait(PATIENCE):
                raise SystemExit("a message of paho was lost")
            took.append(time.perf_counter() - began)
    finally:
        asker.close()
        echo.close()
    return took


def plain_rate(broker: EmbeddedBroker, messages: int) -> float:
    """Messages a second from one paho client to another."""
    topic = TOPICS.pod("alpha", "ack")
    listener = Plain(broker.url("allocator"), "allocator", topic)
    speaker = Plain(broker.url("alpha"), "alpha")
    done, seen = threading.Event(), [0]

    def count(payload: bytes) -> None:
        seen[0] += 1
        if seen[0] >= messages:
            done.set()

    listener.on_message = count
    data = pack("alpha", 1, 1, report("alpha", 1))
    try:
        began = time.perf_counter()
        for _ in range(messages):
            speaker.client.publish(topic, data, 1)
        if not done.wait(PATIENCE):
            raise SystemExit(f"paho delivered {seen[0]} of {messages}")
        return messages / (time.perf_counter() - began)
    finally:
        speaker.close()
        listener.close()


async def ready(*buses: Bus) -> None:
    """Wait until all are connected."""
    async with asyncio.timeout(PATIENCE):
        while not all(bus.is_connected for bus in buses):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def our_trips(broker: EmbeddedBroker, rounds: int) -> list[float]:
    """Seconds there and back over our bus."""
    here, there = TOPICS.pod("alpha", "ack"), TOPICS.mandate("alpha")
    asker = connect(broker.url("alpha"), "alpha", realm=REALM)
    echo = connect(broker.url("allocator"), "allocator", realm=REALM)
    await asker.subscribe(there)
    await echo.subscribe(here)
    took = []

    async def answer() -> None:
        async for received in echo.messages():
            await echo.publish(there, received.message)

    async with asker, echo, asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        await ready(asker, echo)
        task = group.create_task(answer())
        back = asker.messages()
        for number in range(rounds):
            began = time.perf_counter()
            await asker.publish(here, report("alpha", number))
            received = await anext(back)
            took.append(time.perf_counter() - began)
            assert isinstance(received.message, PodReport) and received.message.seq == number
        task.cancel()
    return took


async def our_rate(broker: EmbeddedBroker, messages: int) -> float:
    """Messages a second over our bus; every one must arrive, in order."""
    topic = TOPICS.pod("alpha", "ack")
    listener = connect(broker.url("allocator"), "allocator", realm=REALM)
    speaker = connect(broker.url("alpha"), "alpha", realm=REALM)
    await listener.subscribe(topic)
    async with listener, speaker, asyncio.timeout(PATIENCE):
        await ready(listener, speaker)
        began, given = time.perf_counter(), report("alpha", 1)
        for _ in range(messages):
            await speaker.publish(topic, given)
        heard = listener.messages()
        for _ in range(messages):
            await anext(heard)
        return messages / (time.perf_counter() - began)


async def pods(broker: EmbeddedBroker, count: int, seconds: float) -> str:
    """What so many pods cost at one beat and one report a second."""
    names = [f"p{number}" for number in range(count)]
    ears = connect(broker.url("auditor"), "auditor", realm=REALM)
    await ears.subscribe(TOPICS.beat("+"), TOPICS.pod("+", "report"))
    buses = [connect(broker.url(name), name, realm=REALM) for name in names]
    ages: list[float] = []
    stop = asyncio.Event()

    async def live(name: str, bus: Bus, place: int) -> None:
        async with bus:
            await ready(bus)
            await asyncio.sleep(place / count)  # spread over the second, as separate processes are
            for seq in range(int(seconds)):
                await bus.publish(TOPICS.beat(name), Beat(name, 1, 1, seq, 0, time.time_ns()))
                await bus.publish(TOPICS.pod(name, "report"), report(name, seq), retain=True)
                await asyncio.sleep(1.0)
            await stop.wait()

    assert broker.pid is not None
    server, own = psutil.Process(broker.pid), psutil.Process()
    async with ears, asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE + seconds):
        await ready(ears)
        for place, (name, bus) in enumerate(zip(names, buses, strict=True)):
            group.create_task(live(name, bus, place))
        await ready(*buses)
        began, spent, mine = time.perf_counter(), _spent(server), _spent(own)
        expected = 2 * count * int(seconds)
        async for received in ears.messages():
            if isinstance(received.message, Beat | PodReport):
                ages.append(time.time_ns() - received.message.wall_ns)
            if len(ages) >= expected:
                break
        took = time.perf_counter() - began
        broker_share, own_share = (_spent(server) - spent) / took, (_spent(own) - mine) / took
        stop.set()
    middle, late = statistics.median(ages) / 1e6, statistics.quantiles(ages, n=20)[-1] / 1e6
    memory = server.memory_info().rss / 2**20
    return (
        f"| {broker.kind} | {count} | {len(ages) / took:.0f} | {middle:.2f} / {late:.2f} | {broker_share:.1%} | "
        f"{own_share:.1%} | {memory:.0f} |"
    )


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def turns(ours: Callable[[], Awaitable[float]], plain: Callable[[], float], repeat: int) -> tuple[float, float]:
    """Medians of both sides, in turns."""
    left, right = [], []
    for _ in range(repeat):
        left.append(await ours())
        right.append(await asyncio.to_thread(plain))
    return statistics.median(left), statistics.median(right)


async def measure(kind: str, options: argparse.Namespace, folder: Path) -> None:
    """Print one broker's rows."""
    counts = [int(part) for part in options.pods.split(",") if part]
    names = (*FEDERATION, "alpha", *(f"p{number}" for number in range(max(counts, default=0))))
    settings = BrokerOptions(realm=REALM, directory=folder / kind, processes=names, kind=kind)
    async with EmbeddedBroker(settings) as broker:
        mine: list[float] = []
        theirs: list[float] = []
        for _ in range(options.repeat):
            mine += await our_trips(broker, options.rounds)
            theirs += await asyncio.to_thread(plain_trips, broker, options.rounds)
        for name, one, other in (
            ("median", statistics.median(mine), statistics.median(theirs)),
            ("95th percentile", statistics.quantiles(mine, n=20)[-1], statistics.quantiles(theirs, n=20)[-1]),
        ):
            print(f"{kind}: round trip, {name}: ours {one * 1e3:.2f} ms, paho {other * 1e3:.2f} ms: {one / other:.2f}x")
        one, other = await turns(
            lambda: our_rate(broker, options.messages), lambda: plain_rate(broker, options.messages), options.repeat
        )
        print(f"{kind}: messages a second: ours {one:,.0f}, paho {other:,.0f}: {one / other:.2f}x", flush=True)
        print("| broker | pods | messages/s | age ms, median / 95 % | broker's core | clients' core | broker MB |")
        for count in counts:
            print(await pods(broker, count, options.seconds), flush=True)


def main() -> None:
    """Read the command line; measure each broker that this machine has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--messages", type=int, default=2_000, help="at most 10000: what a bus keeps")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--pods", default="2,10,50")
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("nats", "mosquitto"):
            try:
                asyncio.run(measure(kind, options, Path(folder)))
            except ConfigError as error:
                print(f"{kind}: not measured: {error}")


if __name__ == "__main__":
    main()
