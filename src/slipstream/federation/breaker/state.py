"""What the breaker knows, and the words in which it acts: there is no word for opening a position."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate, Resume
from slipstream.model.messages import Alert, Decision, Flatten, Message
from slipstream.model.order import Order

SECOND = 1_000_000_000


class BreakerTerms(msgspec.Struct, frozen=True, kw_only=True):
    """When to act. ``_wall_ns`` counts on the wall's clock, ``_ns`` on the venue's.

    ``halt_grace_ns``: how long a halted pod may take to cancel by itself. ``settle_ns``: how much younger than the
    last reduction an audit's books must be before the next: until then its fills may not be in them.
    """

    pods: tuple[str, ...]
    beat_missed_wall_ns: int = 5 * SECOND
    flatten_after_wall_ns: int = 30 * SECOND
    halt_grace_ns: int = 3 * SECOND
    settle_ns: int = 2 * SECOND
    max_slippage: float = 0.02
    schedule_cancel_ns: int = 30 * SECOND
    schedule_retry_ns: int = 3600 * SECOND
    watched: tuple[str, ...] = ("auditor",)


class Heard(msgspec.Struct, frozen=True, tag="heard"):
    """A message of the bus, with the halt's writer or the mandate's pod already in it. ``slug``: whom it concerns."""

    message: Message
    slug: str
    ns: int
    wall_ns: int


class Seen(msgspec.Struct, frozen=True, tag="seen"):
    """The account on the venue: open orders, signed positions and mid prices by coin."""

    orders: tuple[Order, ...]
    positions: dict[str, Decimal]
    mids: dict[str, Decimal]
    ns: int
    wall_ns: int


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Time passes."""

    ns: int
    wall_ns: int


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """What the venue said to arming its dead man's switch: ``refused`` is its text, empty if it is armed."""

    until_ns: int
    refused: str
    ns: int


Input = Heard | Seen | Tick | Answered


class CancelOrders(msgspec.Struct, frozen=True, tag="cancel_orders"):
    """Cancel these: (coin, cloid) each; (coin, oid) where an order bears no cloid."""

    orders: tuple[tuple[str, str], ...]
    why: str


class Reduce(msgspec.Struct, frozen=True, tag="reduce"):
    """An immediate-or-cancel, reduce-only order against a position of ``pod`` (empty: the account's).

    ``px`` is the worst price; the shell rounds it to the venue's grid towards the market.
    """

    pod: str
    coin: str
    side: Side
    sz: Decimal
    px: Decimal
    intent: int
    why: str


class Arm(msgspec.Struct, frozen=True, tag="arm"):
    """Have the venue cancel everything at a time, unless it is told otherwise before."""

    at_ns: int


class Latch(msgspec.Struct, frozen=True, tag="latch"):
    """A halt or its end, for a pod or for all."""

    slug: str
    message: Halt | Resume


Output = CancelOrders | Reduce | Arm | Latch | Alert | Decision


class PodWatch(msgspec.Struct, frozen=True):
    """One pod: its last beat, mandate, halts by ``who/state``, positions by the auditor's books, orders to flatten."""

    beat_wall_ns: int = 0
    mandate: Mandate | None = None
    halts: dict[str, Halt] = {}
    positions: dict[str, Decimal] = {}
    audited_ns: int = 0
    reduced_ns: int = 0
    flatten: Flatten | None = None
    dead: bool = False
    troubles: tuple[str, ...] = ()


class BreakerState(msgspec.Struct, frozen=True):
    """Everything that is remembered. ``halts_all`` are those for every pod, by ``who/state``.

    ``cleared``: the highest generation cleared, by ``slug/whose``; ``flattened``: of the orders to flatten taken, by
    ``slug/who``.
    """

    pods: dict[str, PodWatch]
    beats: dict[str, int] = {}
    silent: tuple[str, ...] = ()
    halts_all: dict[str, Halt] = {}
    cleared: dict[str, int] = {}
    flatten_all: Flatten | None = None
    flattened: dict[str, int] = {}
    positions: dict[str, Decimal] = {}
    started_wall_ns: int = 0
    armed_until_ns: int = 0
    retry_arm_ns: int = 0


def begin(terms: BreakerTerms, wall_ns: int) -> BreakerState:
    """Before anything was heard: everyone has until the patience is over to be heard."""
    return BreakerState(pods={slug: PodWatch() for slug in terms.pods}, started_wall_ns=wall_ns)


def resume(terms: BreakerTerms, state: BreakerState, wall_ns: int) -> BreakerState:
    """A process that starts again remembers what was ordered, and gives everyone time to be heard."""
    known = {slug: msgspec.structs.replace(state.pods.get(slug, PodWatch()), beat_wall_ns=0) for slug in terms.pods}
    return msgspec.structs.replace(state, pods=known, beats={}, started_wall_ns=wall_ns)
