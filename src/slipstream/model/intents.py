"""What a strategy wants, before the kernel decides how to get there."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class QuoteSide(msgspec.Struct, frozen=True):
    """One side of a two-sided quote: a legal price and size. ``urgent`` skips the requote tolerance."""

    px: Decimal
    sz: Decimal
    urgent: bool = False


class Quote(msgspec.Struct, frozen=True, tag="quote"):
    """The post-only orders a strategy wants resting in a coin; None means nothing on that side."""

    coin: str
    bid: QuoteSide | None
    ask: QuoteSide | None
    reduce_only: bool = False
    reason: str = ""


class Target(msgspec.Struct, frozen=True, tag="target"):
    """A desired signed position. ``urgency`` 0 is passive only, 1 crosses at once."""

    coin: str
    position: Decimal
    urgency: float
    decision_px: Decimal
    deadline_ns: int = 0
    reason: str = ""


class Wake(msgspec.Struct, frozen=True, tag="wake"):
    """Wake the strategy with a Timer of this name at ``at_ns``."""

    name: str
    at_ns: int


class Note(msgspec.Struct, frozen=True, tag="note"):
    """A line for people: suspensions, resumptions, decisions. ``fields`` are plain values."""

    text: str
    fields: dict[str, str | float | int] = {}


Intent = Quote | Target | Wake | Note
