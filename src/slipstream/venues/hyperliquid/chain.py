"""Fills in the order in which they happened: several share one millisecond, their start positions tell."""

from __future__ import annotations

from slipstream.venues.hyperliquid.wire import WireFill


def in_order(fills: list[WireFill]) -> list[WireFill]:
    """Fills by time; those of one coin and millisecond chained by their start positions."""
    out: list[WireFill] = []
    groups: dict[tuple[int, str], list[WireFill]] = {}
    for fill in sorted(fills, key=lambda f: f.time):
        groups.setdefault((fill.time, fill.coin), []).append(fill)
    for group in groups.values():
        out.extend(_chain(group) if len(group) > 1 else group)
    return out


def _chain(group: list[WireFill]) -> list[WireFill]:
    ends = {f.start_position + (f.sz if f.side == "B" else -f.sz) for f in group}
    left = list(group)
    # the first one starts where none of the others ends
    at = next((f.start_position for f in left if f.start_position not in ends), left[0].start_position)
    chained: list[WireFill] = []
    while left:
        following = next((f for f in left if f.start_position == at), left[0])
        left.remove(following)
        chained.append(following)
        at = following.start_position + (following.sz if following.side == "B" else -following.sz)
    return chained
