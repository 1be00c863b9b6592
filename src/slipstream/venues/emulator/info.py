"""POST /info: from a request body to its answer."""

from __future__ import annotations

from typing import Any

from slipstream.venues.emulator.exchange import Malformed
from slipstream.venues.emulator.info_account import ACCOUNT
from slipstream.venues.emulator.info_market import MARKET
from slipstream.venues.emulator.query import ADDRESS, Query
from slipstream.venues.emulator.venue import Venue

ANSWERS = {**MARKET, **ACCOUNT}
# Asking who an address is must not make it somebody: an API wallet is looked up before it is approved.
UNPAID = frozenset({"userRole", "extraAgents"})


def answer(venue: Venue, body: Any) -> Any:
    """The answer to a decoded request; the faucet pays an address the first time a request names it.

    Raises Malformed (HTTP 422) for anything unreadable or unknown, depth.Unsupported (HTTP 500, ``null``).
    """
    if not isinstance(body, dict) or not isinstance(kind := body.get("type"), str):
        raise Malformed("a request needs a `type`")
    rule = ANSWERS.get(kind)
    if rule is None:
        raise Malformed(f"unknown type {kind!r}")
    user = body.get("user")
    if kind not in UNPAID and isinstance(user, str) and ADDRESS.fullmatch(user):
        venue.exchange.faucet(user)
    return rule(venue, Query(body))
