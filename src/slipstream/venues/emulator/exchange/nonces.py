"""Nonces per signer, and times on two clocks.

The venue keeps a signer's 100 highest nonces; a new one must be unused, above the smallest kept, and within
(T - 2 days, T + 1 day). Clients count on their own wall clock while venue time may run faster, so T is the wall's or
the venue's time, whichever admits the nonce.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from slipstream.venues.emulator.exchange.floor import Floor, NonceSet
from slipstream.venues.emulator.exchange.refusal import RequestRefused


def nearest_clock(value_ms: int, wall_ms: int, venue_ms: int) -> int:
    """The clock reading that a time given by a client most likely means."""
    return wall_ms if abs(value_ms - wall_ms) <= abs(value_ms - venue_ms) else venue_ms


def check_nonce(floor: Floor, signer: str, nonce: int, wall_ms: int) -> None:
    """Refuse a nonce that is used, too old or too far ahead. Remembers nothing."""
    clock = nearest_clock(nonce, wall_ms, floor.now_ms)
    low = clock - floor.settings.nonce_past_ms
    high = clock + floor.settings.nonce_future_ms
    seen = floor.nonces.get(signer)
    if seen is not None and seen.used:
        at = bisect_left(seen.used, nonce)
        if at < len(seen.used) and seen.used[at] == nonce:
            raise RequestRefused(f"Invalid nonce: duplicate nonce {nonce}")
        if len(seen.used) >= floor.settings.nonces_kept:
            low = max(low, seen.used[0])
    if nonce <= low:
        raise RequestRefused(f"Invalid nonce: nonce too low {nonce} < {low}")
    if nonce >= high:
        raise RequestRefused(f"Invalid nonce: nonce too high {nonce} > {high}")


def consume_nonce(floor: Floor, signer: str, nonce: int) -> None:
    """A checked nonce is used up, whatever becomes of its action."""
    seen = floor.nonces.setdefault(signer, NonceSet())
    insort(seen.used, nonce)
    if len(seen.used) > floor.settings.nonces_kept:
        del seen.used[0]
