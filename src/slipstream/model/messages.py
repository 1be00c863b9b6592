"""What the fund's processes tell each other on the bus. Frozen, tagged, encodable; every one carries its time.

``ns`` is venue time, ``wall_ns`` the sender's wall clock (both ns since the epoch): their difference between two
processes is the clock skew an auditor looks for. ``seq`` grows by one with every message of a sender's run.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.model.breaks import Break
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate, Resume, Stage, TradingState

ZERO = Decimal(0)


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """A process is alive. Sent once a wall second; three missing ones are a death."""

    process: str
    pid: int
    run: int
    seq: int
    ns: int
    wall_ns: int


class CoinLine(msgspec.Struct, frozen=True):
    """A pod's books of one coin, USD but for ``position``. ``fees`` paid and ``funding`` received are positive."""

    coin: str
    position: Decimal
    average_px: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal
    volume: Decimal
    fills: int


class OrderLine(msgspec.Struct, frozen=True):
    """A live order as its pod knows it; ``oid`` 0 while the venue has not acknowledged it."""

    cloid: str
    oid: int
    coin: str
    side: Side
    px: Decimal
    remaining: Decimal
    reduce_only: bool = False


class PodReport(msgspec.Struct, frozen=True, kw_only=True, tag="pod_report"):
    """What a pod says of itself, about once a wall second; the auditor holds every line of it against the venue.

    ``net`` = realised + unrealised - fees + funding since the pod's journal began, at the venue's prices in ``marks``.
    ``gross`` and ``net_exposure`` are of positions alone, ``worst_gross`` counts live and unknown orders as filled.
    ``as_of_ns`` is the event time of the last account event the report includes.
    """

    pod: str
    account: str
    run: int
    seq: int
    ns: int
    wall_ns: int
    phase: str
    state: TradingState
    reasons: tuple[str, ...] = ()
    stage: Stage | None = None
    mandate_version: int = 0
    lines: tuple[CoinLine, ...] = ()
    orders: tuple[OrderLine, ...] = ()
    marks: dict[str, Decimal] = {}
    realised: Decimal = ZERO
    unrealised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    net: Decimal = ZERO
    gross: Decimal = ZERO
    net_exposure: Decimal = ZERO
    worst_gross: Decimal | None = None
    maker_volume: Decimal = ZERO
    taker_volume: Decimal = ZERO
    fills: int = 0
    actions: int = 0
    as_of_ns: int = 0
    error: str | None = None


class Forecast(msgspec.Struct, frozen=True, tag="forecast"):
    """The fund's shared volatility forecast: daily standard deviation of returns by coin, a fraction."""

    version: int
    ns: int
    daily_vol: dict[str, float]
    method: str = ""


class StageChange(msgspec.Struct, frozen=True, tag="stage"):
    """A pod moves to another stage of its life. ``who`` is ``lifecycle`` or the operator who overrode it."""

    version: int
    pod: str
    before: Stage
    after: Stage
    who: str
    why: str
    ns: int


class Decision(msgspec.Struct, frozen=True, tag="decision"):
    """A decision of the federation in plain words: what about whom, from what to what, and why, a reason a line."""

    kind: str
    pod: str
    text: str
    ns: int
    reasons: tuple[str, ...] = ()
    before: float | None = None
    after: float | None = None


class AuditedPod(msgspec.Struct, frozen=True):
    """A pod as the venue shows it: rebuilt from fills, orders and funding by cloid, never from its reports. USD.

    ``known_ns``: every fill up to this venue time is in it, however young the audit itself is; ``sure_ns``: up to then
    a second reading says so too; None: not said.
    """

    pod: str
    lines: tuple[CoinLine, ...]
    net: Decimal
    gross: Decimal
    net_exposure: Decimal
    open_orders: int
    maker_volume: Decimal = ZERO
    taker_volume: Decimal = ZERO
    known_ns: int | None = None
    sure_ns: int | None = None


class AuditReport(msgspec.Struct, frozen=True, tag="audit"):
    """One cycle of the auditor: the fund as the venue shows it, and every open break. ``took_ns`` is wall time."""

    cycle: int
    ns: int
    wall_ns: int
    took_ns: int
    equity: Decimal
    pods: tuple[AuditedPod, ...]
    breaks: tuple[Break, ...]
    unclaimed: tuple[CoinLine, ...] = ()


class Flatten(msgspec.Struct, frozen=True, tag="flatten"):
    """Close a pod's positions (``pod`` empty: everybody's) with reduce-only orders. The breaker obeys."""

    generation: int
    pod: str
    who: str
    why: str
    ns: int


class Configure(msgspec.Struct, frozen=True, tag="configure"):
    """Narrow or change a running pod's own limits: names of the pod's configurable values, and their new text."""

    generation: int
    pod: str
    values: dict[str, str]
    who: str
    why: str
    ns: int


class Alert(msgspec.Struct, frozen=True, tag="alert"):
    """Something people should hear of. Alerts of one ``key`` are one matter: told once, then counted."""

    key: str
    level: str
    title: str
    body: str
    ns: int


Message = (
    Beat
    | PodReport
    | Forecast
    | StageChange
    | Decision
    | AuditReport
    | Break
    | Flatten
    | Configure
    | Alert
    | Mandate
    | Halt
    | Resume
)
