"""From commands to signed requests, and from answers to events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from slipstream.model.commands import Cancel, Modify, Place
from slipstream.model.events import Ack, CancelReject, Closed, Event, Reject
from slipstream.model.instrument import Instrument, Side, plain
from slipstream.model.order import Tif
from slipstream.venues.hyperliquid.signing import Signer

Sent = Place | Modify | Cancel


class Request(msgspec.Struct, frozen=True):
    """One action and the commands in it, in the action's order."""

    action: dict[str, Any]
    commands: Sequence[Sent]


def order_wire(place: Place, instruments: Mapping[str, Instrument]) -> dict[str, Any]:
    """An order in the venue's canonical key order. Raises KeyError on an unknown coin."""
    return {
        "a": instruments[place.coin].asset,
        "b": place.side is Side.BUY,
        "p": plain(place.px),
        "s": plain(place.sz),
        "r": place.reduce_only,
        "t": {"limit": {"tif": place.tif.value}},
        "c": place.cloid,
    }


def requests(
    places: Sequence[Place],
    modifies: Sequence[Modify],
    cancels: Sequence[Cancel],
    instruments: Mapping[str, Instrument],
) -> list[Request]:
    """Actions for a batch of commands: cancels first; post-only orders apart from the others.

    One Gtc or Ioc order would demote a whole batch behind everybody's cancels.
    """
    out: list[Request] = []
    if cancels:
        rows = [{"asset": instruments[c.coin].asset, "cloid": c.cloid} for c in cancels]
        out.append(Request({"type": "cancelByCloid", "cancels": rows}, cancels))
    for post_only in (True, False):
        changed = [m for m in modifies if (m.new.tif is Tif.ALO) is post_only]
        if changed:
            rows = [{"oid": m.cloid, "order": order_wire(m.new, instruments)} for m in changed]
            out.append(Request({"type": "batchModify", "modifies": rows}, changed))
        new = [p for p in places if (p.tif is Tif.ALO) is post_only]
        if new:
            orders = [order_wire(p, instruments) for p in new]
            out.append(Request({"type": "order", "orders": orders, "grouping": "na"}, new))
    return out


def signed(request: Request, signer: Signer, nonce: int, source: str, vault: str | None) -> bytes:
    """The body of the POST."""
    signature = signer.sign_l1(request.action, nonce, source, vault)
    return msgspec.json.encode(
        {
            "action": request.action,
            "nonce": nonce,
            "signature": signature.to_wire(),
            "vaultAddress": vault,
            "expiresAfter": None,
        }
    )


def statuses(response: Any, count: int) -> list[Any]:
    """One status per command; a single error speaks for the whole batch."""
    try:
        rows = list(response["data"]["statuses"])
    except (KeyError, TypeError):
        return [None] * count
    if len(rows) == 1 and count > 1 and isinstance(rows[0], dict) and "error" in rows[0]:
        return rows * count
    return rows if len(rows) == count else [None] * count


def _placed(place: Place, status: Any, ns: int) -> list[Event] | None:
    if not isinstance(status, dict):
        return None
    if "error" in status:
        return [Reject(place.cloid, str(status["error"]), ns)]
    if "resting" in status:
        return [Ack(place.cloid, int(status["resting"]["oid"]), ns)]
    if "filled" in status:
        oid, total = int(status["filled"]["oid"]), Decimal(str(status["filled"]["totalSz"]))
        out: list[Event] = [Ack(place.cloid, oid, ns)]
        if total >= place.sz:
            out.append(Closed(place.cloid, oid, "filled", ns, total))
        elif place.tif is Tif.IOC:
            out.append(Closed(place.cloid, oid, "canceled", ns, total))
        return out
    return None


def events_of(command: Sent, status: Any, ns: int) -> list[Event] | None:
    """What a status means; None if it cannot be read (the outcome is unknown then)."""
    if isinstance(command, Place):
        return _placed(command, status, ns)
    if isinstance(command, Modify):
        out = _placed(command.new, status, ns)
        if out is not None and isinstance(out[0], Reject):
            out.append(CancelReject(command.cloid, out[0].reason, ns))
        return out
    if status == "success":
        return []
    if isinstance(status, dict) and "error" in status:
        return [CancelReject(command.cloid, str(status["error"]), ns)]
    return None
