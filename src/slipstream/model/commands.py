"""Everything a kernel may ask for. Frozen, tagged, encodable: a command is journalled before it is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from slipstream.model.instrument import Side
from slipstream.model.order import Tif


class Place(msgspec.Struct, frozen=True, tag="place"):
    """A new order."""

    cloid: str
    coin: str
    side: Side
    px: Decimal
    sz: Decimal
    tif: Tif
    reduce_only: bool = False


class Modify(msgspec.Struct, frozen=True, tag="modify"):
    """Replace a resting order. The venue cancels it and places a new one under ``new``'s cloid."""

    cloid: str
    new: Place


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Cancel one order by its cloid."""

    cloid: str
    coin: str


class Query(msgspec.Struct, frozen=True, tag="query"):
    """Ask the venue what became of an order whose outcome is unknown; the answer comes as events."""

    cloid: str
    coin: str


class SetTimer(msgspec.Struct, frozen=True, tag="set_timer"):
    """Deliver a Timer of this name at or after ``at_ns``; a later SetTimer of the same name moves it."""

    name: str
    at_ns: int


class Report(msgspec.Struct, frozen=True, tag="report"):
    """Something to tell people or the federation: a topic and its plain values."""

    topic: str
    body: dict[str, Any]
    ns: int


Command = Place | Modify | Cancel | Query | SetTimer | Report
