"""A street of honest pods: a venue, two pods with real ledgers, a bus that delays and repeats. Pure and seeded.

Times are venue nanoseconds at ``SPEED``; latencies are wall seconds. One look of the auditor is half a wall second.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from decimal import Decimal
from random import Random

from slipstream.execution.ledger import Ledger
from slipstream.federation.auditor.auditor import Auditor, Told
from slipstream.federation.auditor.limits import AuditLimits
from slipstream.federation.auditor.memory import Memory
from slipstream.federation.auditor.observe import AccountView, Addressed, Heard, Observation, OpenOrder, OrderChange
from slipstream.federation.auditor.roster import PodSpec, Roster
from slipstream.model.cloid import Cloid, pod_id
from slipstream.model.events import Fill, FundingPayment
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate, Resume, Stage, TradingState
from slipstream.model.messages import Beat, OrderLine, PodReport
from tests.federation.auditor.reporting import honest_report

ACCOUNT = "0x" + "a" * 40
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
MS = 1_000_000
START = 1_699_999_200 * SECOND  # a full hour
ZERO = Decimal(0)
LOTS = {"BTC": Decimal("0.001"), "ETH": Decimal("0.01")}
CENT = Decimal("0.1")
FEE = {False: Decimal("0.00015"), True: Decimal("0.00045")}


class Order:
    """An order as its pod knows it."""

    def __init__(self, cloid: str, coin: str, side: Side, px: Decimal, sz: Decimal, ioc: bool) -> None:
        self.cloid, self.coin, self.side, self.px, self.remaining, self.ioc = cloid, coin, side, px, sz, ioc
        self.oid = 0


class HonestPod:
    """Counts orders before it sends them, learns of everything late, and says exactly what it knows."""

    def __init__(self, street: Street, slug: str, maker: bool) -> None:
        self.street, self.slug, self.maker = street, slug, maker
        self.ledger = Ledger()
        self.ledger.open(street.ns, ())
        self.orders: dict[str, Order] = {}
        self.run, self.seq, self.intent = 1, 0, 0
        self.phase = "running"
        self.down_until = 0
        self.as_of = 0
        self.mandate: Mandate | None = None
        self.halts: dict[str, Halt] = {}
        self.next_report = street.ns
        self.last_news = 0

    @property
    def state(self) -> TradingState:
        return TradingState.HALTED if self.halts else TradingState.ACTIVE

    def act(self) -> None:
        street, rng = self.street, self.street.rng
        if street.ns < self.down_until:
            return
        if self.phase == "down":
            self.start()
        if street.ns >= self.next_report:
            self.report()
        if self.phase != "running" or self.halts or rng.random() > street.busy:
            return
        resting = [order for order in self.orders.values() if order.oid]
        if len(self.orders) > 4 or (resting and rng.random() < 0.3):
            if resting:
                self.cancel(rng.choice(resting))
            return
        coin = rng.choice(list(LOTS))
        sz = LOTS[coin] * rng.randint(5, 40)
        side = rng.choice((Side.BUY, Side.SELL))
        if self.ledger.position(coin) * side.sign * street.px[coin] > 4_000:
            side = side.opposite
        ioc = not self.maker or rng.random() < 0.02
        away = Decimal(1) - side.sign * Decimal("0.0005")
        self.intent += 1
        cloid = str(Cloid(pod_id(self.slug), self.run, self.intent, 0))
        order = Order(cloid, coin, side, (street.px[coin] * away).quantize(CENT), sz, ioc)
        self.orders[cloid] = order
        street.at(street.wire(), lambda: street.arrive(self, order, sz))

    def cancel(self, order: Order) -> None:
        self.street.at(self.street.wire(), lambda: self.street.end(order.oid, "canceled"))

    def start(self) -> None:
        """Start again: what was missed is swept, what ended is read, an earlier run's orders go."""
        street = self.street
        self.run, self.seq, self.phase = self.run + 1, 0, "starting"
        self.report()
        for fill in street.fills_of(self.slug):
            self.learn(fill)
        for row in street.funding_log[-30:]:
            self.ledger.funding(row, shared=True)
        for order in list(self.orders.values()):
            oid = street.oids.get(order.cloid)
            if oid is not None:
                order.oid = oid
                if oid not in street.orders:
                    del self.orders[order.cloid]
                else:
                    self.cancel(order)
        self.phase = "running"

    def learn(self, fill: Fill) -> None:
        if self.ledger.fill(fill):
            self.as_of = max(self.as_of, fill.ns)
            order = self.orders.get(fill.cloid or "")
            if order is not None:
                order.oid = fill.oid
                order.remaining -= fill.sz
                if order.remaining <= 0:
                    del self.orders[order.cloid]

    def obey(self, message: Mandate | Halt | Resume) -> None:
        if self.street.ns < self.down_until:
            self.street.at(self.down_until + 1, lambda: self.obey(message))  # the bus retains it
        elif isinstance(message, Mandate):
            if self.mandate is None or message.version > self.mandate.version:
                self.mandate = message
        elif isinstance(message, Halt):
            self.halts[message.who] = message
            for order in list(self.orders.values()):
                if order.oid:
                    self.cancel(order)
        elif message.whose in self.halts and self.halts[message.whose].generation <= message.generation:
            del self.halts[message.whose]

    def report(self) -> None:
        street = self.street
        self.next_report = street.ns + int(SECOND * street.speed)
        self.seq += 1
        said = honest_report(
            self.ledger,
            street.px,
            (OrderLine(o.cloid, o.oid, o.coin, o.side, o.px, o.remaining) for o in self.orders.values()),
            self.mandate,
            pod=self.slug,
            account=ACCOUNT,
            run=self.run,
            seq=self.seq,
            ns=street.ns,
            wall_ns=street.wall_ns,
            as_of_ns=self.as_of,
            state=self.state,
            phase=self.phase,
        )
        street.publish(said)
        self.street.reports += 1


class Street:
    """The venue, the bus and the auditor. ``days`` of it are run by `run`."""

    def __init__(self, rng: Random, speed: float = 60.0, busy: float = 0.1, limits: AuditLimits | None = None) -> None:
        self.rng, self.speed, self.busy = rng, speed, busy
        self.ns = START
        self.px = {"BTC": Decimal("60000.0"), "ETH": Decimal("3000.0")}
        self.orders: dict[int, OpenOrder] = {}
        self.oids: dict[str, int] = {}
        self.positions: dict[str, Decimal] = {}
        self.log: list[Fill] = []
        self.changes: list[OrderChange] = []
        self.funding_log: list[FundingPayment] = []
        self.tid = self.oid = self.version = self.told_fills = self.told_rows = 0
        self.reports = self.restarts = self.cycles = 0
        self.queue: list[tuple[int, int, Callable[[], None]]] = []
        self.bus: list[tuple[int, int, Heard]] = []
        self.count = self.deaf_ns = 0
        self.pods = [HonestPod(self, "brawler", True), HonestPod(self, "gradient", False)]
        specs = (PodSpec("brawler", ACCOUNT, maker_share=Decimal("0.5")), PodSpec("gradient", ACCOUNT))
        self.limits = (limits or AuditLimits()).scaled(speed)
        self.auditor = Auditor(Roster(specs), self.limits, ("brawler", "gradient", "allocator", "breaker"))
        self.memory = Memory()
        self.lie: Callable[[PodReport], PodReport] | None = None
        self.held: tuple[str, int] = ("", 0)
        self.lost = 0.0  # part of the fills that the auditor's stream never brings
        self.sweeps = True  # whether a second reading is to be had
        self.swept = self.swept_ns = 0
        self.next_mandate = self.next_beat = self.ns

    @property
    def wall_ns(self) -> int:
        return int((self.ns - START) / self.speed) + START

    def wall(self, seconds: float) -> int:
        return int(seconds * SECOND * self.speed)

    def at(self, ns: int, what: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.queue, (ns, self.count, what))

    def wire(self) -> int:
        """When something sent now arrives: 5 to 250 ms of wall time later."""
        return self.ns + self.wall(0.005 + 0.245 * self.rng.random() ** 3)

    def publish(self, message: Heard) -> None:
        """Over the bus to the auditor: mostly at once, sometimes 0.7 s late, sometimes twice."""
        if self.lie is not None and isinstance(message, PodReport):
            message = self.lie(message)
        late = 0.005 + (0.7 * self.rng.random() if self.rng.random() < 0.1 else 0.02 * self.rng.random())
        self.count += 1
        heapq.heappush(self.bus, (self.ns + self.wall(late), self.count, message))
        if self.rng.random() < 0.02:
            self.count += 1
            heapq.heappush(self.bus, (self.ns + self.wall(late + self.rng.random()), self.count, message))

    def fills_of(self, slug: str) -> list[Fill]:
        prefix = f"0x{pod_id(slug):08x}"
        return [fill for fill in self.log[-200:] if (fill.cloid or "").startswith(prefix)]

    def tell(self, pod: HonestPod, what: Callable[[], None]) -> None:
        """News to a pod, lost if it dies before they arrive."""
        run = pod.run
        at = self.wire()
        if self.rng.random() < 0.9:
            at = max(at, pod.last_news)  # one connection; now and then a message overtakes another
        pod.last_news = max(at, pod.last_news)

        def deliver() -> None:
            if pod.run == run and self.ns >= pod.down_until:
                what()

        self.at(at, deliver)

    def stamp(self) -> int:
        return self.ns // MS * MS

    def arrive(self, pod: HonestPod, order: Order, sz: Decimal) -> None:
        """An order reaches the venue."""
        self.oid += 1
        oid = self.oids[order.cloid] = self.oid
        row = OpenOrder(order.cloid, oid, order.coin, order.side, order.px, sz, self.stamp())
        self.orders[oid] = row
        self.changed(row, "open")
        if order.ioc:
            first = (sz / 2).quantize(LOTS[order.coin])
            self.fill(pod, oid, first, True)
            self.fill(pod, oid, sz - first, True)
        else:
            self.tell(pod, lambda: self.acked(pod, order.cloid, oid))

    def acked(self, pod: HonestPod, cloid: str, oid: int) -> None:
        if cloid in pod.orders:
            pod.orders[cloid].oid = oid
            if pod.halts:
                pod.cancel(pod.orders[cloid])

    def changed(self, row: OpenOrder, status: str) -> None:
        self.changes.append(
            OrderChange(
                row.cloid, row.oid, row.coin, row.side, row.px, row.remaining, row.placed_ns, status, self.stamp()
            )
        )

    def fill(self, pod: HonestPod, oid: int, sz: Decimal, crossed: bool) -> None:
        row = self.orders.get(oid)
        if row is None or sz <= 0:
            return
        self.tid += 1
        px, held = row.px, self.positions.get(row.coin, ZERO)
        fee = (sz * px * FEE[crossed]).quantize(Decimal("0.000001"))
        item = Fill(row.coin, row.side, px, sz, fee, self.tid, oid, self.stamp(), row.cloid, crossed, held)
        self.log.append(item)
        self.positions[row.coin] = held + sz * row.side.sign
        left = row.remaining - sz
        if left > 0:
            self.orders[oid] = OpenOrder(row.cloid, oid, row.coin, row.side, px, left, row.placed_ns, row.reduce_only)
        else:
            del self.orders[oid]
            self.changed(row, "filled")
        self.tell(pod, lambda: pod.learn(item))

    def end(self, oid: int, status: str) -> None:
        row = self.orders.pop(oid, None)
        if row is None:
            return
        self.changed(row, status)
        pod = next(p for p in self.pods if row.cloid.startswith(f"0x{pod_id(p.slug):08x}"))
        self.tell(pod, lambda: pod.orders.pop(row.cloid, None) and None)

    def settle(self, hour_ns: int) -> None:
        for coin, szi in self.positions.items():
            if szi:
                rate = Decimal(self.rng.randint(-300, 300)) / 10_000_000
                usdc = (-szi * self.px[coin] * rate).quantize(Decimal("0.000001"))
                row = FundingPayment(coin, usdc, szi, rate, hour_ns)
                self.funding_log.append(row)
                for pod in self.pods:
                    self.sweep(pod, row)

    def sweep(self, pod: HonestPod, row: FundingPayment) -> None:
        """Pods learn of funding half a minute later at most; by then every fill before it has come."""

        def deliver() -> None:
            if self.ns >= pod.down_until:
                pod.ledger.funding(row, shared=True)
                pod.as_of = max(pod.as_of, row.ns)
            else:
                self.at(pod.down_until + 1, deliver)

        self.at(self.ns + self.wall(1.0 + 30.0 * self.rng.random()), deliver)

    def tick(self, step_ns: int) -> None:
        before = self.ns
        target = before + step_ns
        while self.queue and self.queue[0][0] <= target:
            at, _, what = heapq.heappop(self.queue)
            self.ns = max(self.ns, at)
            what()
        self.ns = target
        rng = self.rng
        for coin, px in self.px.items():
            self.px[coin] = (px * Decimal(repr(round(1.0 + rng.gauss(0.0, 0.0002), 6)))).quantize(CENT)
        if self.orders and rng.random() < self.busy:
            oid = rng.choice(list(self.orders))
            row = self.orders[oid]
            pod = next(p for p in self.pods if row.cloid.startswith(f"0x{pod_id(p.slug):08x}"))
            part = row.remaining if rng.random() < 0.5 else (row.remaining / 3).quantize(LOTS[row.coin])
            self.fill(pod, oid, part, False)
        if target // HOUR > before // HOUR:
            self.settle(target // HOUR * HOUR)
        for pod in self.pods:
            pod.act()

    def govern(self) -> None:
        """Mandates, beats, halts, restarts."""
        rng = self.rng
        if self.ns >= self.next_mandate:
            self.next_mandate = self.ns + self.wall(8.0)
            self.version += 1
            for pod in self.pods:
                cap = Decimal(rng.choice((20_000, 40_000)))
                lease = Mandate(
                    self.version,
                    pod.slug,
                    Decimal(10_000),
                    cap,
                    {"BTC": cap / 2, "ETH": cap / 2},
                    500,
                    rng.choice((Stage.EVALUATION, Stage.GROWTH)),
                    self.ns,
                    self.ns + self.wall(30.0),
                    self.wall(60.0),
                )
                self.publish(lease)
                self.at(self.wire(), lambda pod=pod, lease=lease: pod.obey(lease))  # type: ignore[misc]
        if self.ns >= self.next_beat:
            self.next_beat = self.ns + self.wall(1.0)
            for process in self.auditor.processes:
                self.publish(Beat(process, 1, 1, self.cycles, self.ns, self.wall_ns))
        if rng.random() < 0.0005:
            self.halt(rng.choice(self.pods))
        if self.held[0] and rng.random() < 0.05:
            self.resume()
        for pod in self.pods:
            if self.ns >= pod.down_until and rng.random() < 0.0005:
                pod.down_until, pod.phase = self.ns + self.wall(0.1 + 0.3 * rng.random()), "down"
                self.restarts += 1

    def halt(self, pod: HonestPod) -> None:
        if not self.held[0]:
            self.held = (pod.slug, self.ns)
            order = Halt(self.ns, TradingState.HALTED, "operator", "a test of nerves", "resume", self.ns)
            self.publish(Addressed(pod.slug, order))
            self.at(self.wire(), lambda: pod.obey(order))

    def resume(self) -> None:
        slug, _ = self.held
        pod = next(p for p in self.pods if p.slug == slug)
        order = Resume(self.ns, "operator", "enough", self.ns, "operator")
        self.held = ("", 0)
        # a pod is free only once everybody knows: the operator's console waits for the auditor
        self.count += 1
        heapq.heappush(self.bus, (self.ns, self.count, Addressed(slug, order)))
        self.at(self.wire(), lambda: pod.obey(order))

    def heard_fills(self, again: int) -> tuple[Fill, ...]:
        """What the stream brings, and every 16th look, or when in doubt, a sweep of what it lost."""
        fills = [fill for fill in self.log[self.told_fills :] if not self.rng.random() < self.lost]
        fills = self.log[max(0, self.told_fills - again) : self.told_fills] + fills if not self.lost else fills
        self.told_fills = len(self.log)
        if self.lost and self.sweeps and (self.memory.doubted or self.cycles % 16 == 0):
            fills = self.log[self.swept :]
            self.swept, self.swept_ns = len(self.log), self.ns - self.wall(0.15)
            self.swept = max(0, self.swept - 50)  # what came in the last moments is read again
        return tuple(fills)

    def look(self) -> Observation:
        """What the auditor sees now: each part a little older than the other."""
        rng = self.rng
        heard = []
        while self.bus and self.bus[0][0] <= self.ns:
            heard.append(heapq.heappop(self.bus)[2])
        again = 5 if rng.random() < 0.1 else 0
        fills = self.heard_fills(again)
        rows = tuple(self.funding_log[max(0, self.told_rows - again) :])
        self.told_rows = len(self.funding_log)
        changes, self.changes = tuple(self.changes), []
        if rng.random() < 0.05:  # order updates are a hint: some never come
            changes, self.deaf_ns = (), self.ns
        return Observation(
            ns=self.ns,
            wall_ns=self.wall_ns,
            accounts=(
                AccountView(
                    account=ACCOUNT,
                    equity=Decimal(100_000),
                    state_ns=self.ns,
                    positions={c: p for c, p in self.positions.items() if p},
                    entries={},
                    orders_ns=self.ns,
                    orders=tuple(self.orders.values()),
                    fills_ns=self.ns,
                    fills=fills,
                    fundings=rows,
                    changes_ns=self.ns,
                    changes_since_ns=self.deaf_ns,
                    changes=changes,
                    swept_ns=self.swept_ns if self.lost else None,
                ),
            ),
            marks=dict(self.px),
            marks_ns=self.ns,
            heard=tuple(heard),
        )

    def cycle(self) -> tuple[Told, ...]:
        """Half a wall second, then a look."""
        for _ in range(5):
            self.tick(self.wall(0.1))
        self.govern()
        self.memory, told = self.auditor.step(self.memory, self.look())
        self.cycles += 1
        for item in told:
            if isinstance(item.message, Halt | Resume):
                for pod in self.pods:
                    if item.target in (pod.slug, "all"):
                        self.at(self.wire(), lambda pod=pod, order=item.message: pod.obey(order))  # type: ignore[misc]
        return told
