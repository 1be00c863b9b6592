"""A small fund's messages, as its processes would send them: two pods, an auditor's cycle, one open break."""

from decimal import Decimal
from typing import Any

from slipstream.model.breaks import Break, BreakKind, Level, break_id
from slipstream.model.instrument import Side
from slipstream.model.mandate import Mandate, Stage, TradingState
from slipstream.model.messages import (
    AuditedPod,
    AuditReport,
    Beat,
    CoinLine,
    Decision,
    Message,
    OrderLine,
    PodReport,
    StageChange,
)
from slipstream.model.topics import Topics
from slipstream.runtime.bus.port import Received

S = 1_000_000_000
WALL = 1_760_000_000 * S  # wall time at which everything below is heard
VENUE = 1_750_000_000 * S  # venue time then
SPEED = 60
REALM = "demo"
TOPICS = Topics(REALM)
PODS = ("brawler", "gradient")
PROCESSES = ("allocator", "auditor", "breaker", *PODS)
D = Decimal


def received(topic: str, message: Message, *, wall: int = WALL, retained: bool = False) -> Received:
    return Received(topic, message, topic.split("/")[-1], retained, wall)


def beat(process: str, second: float = 0.0, **changes: Any) -> Received:
    """A beat sent and heard ``second`` wall seconds after WALL."""
    wall = WALL + int(second * S)
    values = {"process": process, "pid": 4000 + len(process), "run": 7, "seq": 100 + round(second)}
    values |= {"ns": VENUE + int(second * S) * SPEED, "wall_ns": wall}
    return received(TOPICS.beat(process), Beat(**(values | changes)), wall=wall)


def line(coin: str, position: str, *, realised: str = "0", fees: str = "1.25", fills: int = 4) -> CoinLine:
    return CoinLine(coin, D(position), D(100), D(realised), D(fees), D("0.5"), D(4000), fills)


def report(pod: str, second: float = 0.0, **changes: Any) -> Received:
    wall = WALL + int(second * S)
    order = OrderLine("0x" + "a" * 32, 77, "BTC", Side.BUY, D("99990"), D("0.01"))
    values: dict[str, Any] = {
        "pod": pod,
        "account": "0x" + "1" * 40,
        "run": 7,
        "seq": 50 + round(second),
        "ns": VENUE + int(second * S) * SPEED,
        "wall_ns": wall,
        "phase": "running",
        "state": TradingState.ACTIVE,
        "stage": Stage.INCUBATION,
        "mandate_version": 3,
        "lines": (line("BTC", "0.02", realised="12"), line("ETH", "-1.5")),
        "orders": (order,),
        "marks": {"BTC": D(100_000), "ETH": D(4000)},
        "realised": D(12),
        "unrealised": D(3),
        "fees": D("2.5"),
        "funding": D(1),
        "net": D("13.5"),
        "gross": D(8000),
        "net_exposure": D(-4000),
        "worst_gross": D(9000),
        "fills": 8,
        "actions": 40,
    }
    return received(TOPICS.pod(pod, "report"), PodReport(**(values | changes)), wall=wall)


def mandate(pod: str, version: int = 3, *, left_s: float = 20.0) -> Received:
    """A lease that ends ``left_s`` wall seconds after WALL."""
    given = Mandate(
        version=version,
        pod=pod,
        capital=D(30_000),
        gross_cap=D(20_000),
        coin_caps={"BTC": D(9000), "ETH": D(9000)},
        action_budget=500,
        issued_ns=VENUE - 10 * S * SPEED,
        expires_ns=VENUE + int(left_s * S) * SPEED,
        grace_ns=60 * S * SPEED,
    )
    return received(TOPICS.mandate(pod), given, retained=True)


def broken(kind: BreakKind = BreakKind.POSITION, pod: str = "gradient", level: Level = Level.REDUCING) -> Break:
    return Break(
        id=break_id(kind, pod, "ETH"),
        kind=kind,
        pod=pod,
        subject="ETH",
        size=D("0.4"),
        unit="ETH",
        level=level,
        first_ns=VENUE - 90 * S,
        last_ns=VENUE,
        evidence=("gradient reports -1.5 ETH", "its fills on the venue make -1.1 ETH"),
        clears="slipstream breaks resolve",
    )


def audit(*breaks: Break, cycle: int = 9, second: float = 0.0) -> Received:
    wall = WALL + int(second * S)
    pods = tuple(
        AuditedPod(pod, (line("BTC", "0.02", realised="12"), line("ETH", "-1.1")), D("13.25"), D(6400), D(-2400), 1)
        for pod in PODS
    )
    said = AuditReport(cycle, VENUE + int(second * S) * SPEED, wall, S // 20, D("100026.50"), pods, breaks)
    return received(TOPICS.audit, said, wall=wall, retained=True)


def stage(pod: str, after: Stage = Stage.EVALUATION, version: int = 1) -> Received:
    change = StageChange(version, pod, Stage.INCUBATION, after, "lifecycle", "its record is good", VENUE)
    return received(TOPICS.stage(pod), change, retained=True)


def decision(text: str = "gradient from 30000 to 25000", process: str = "allocator") -> Received:
    return received(TOPICS.decision(process), Decision("allocate", "gradient", text, VENUE, ("thin evidence",)))


def whole_fund(*breaks: Break) -> list[Received]:
    """Everything a well fund says within a second or two."""
    out = [mandate(pod) for pod in PODS] + [stage("brawler"), audit(*breaks)]
    out += [report(pod) for pod in PODS] + [beat(p, -2.0) for p in PROCESSES] + [beat(p) for p in PROCESSES]
    return [*out, decision()]
