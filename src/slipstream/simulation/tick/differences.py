"""Why two runs of one strategy differ: every request and fill of one that the other has not, with its cause.

Requests are matched by coin, kind, side, price, size and flag, in their order, within a time window. What matches at
another time is a TIMING difference. For the rest, what both runs saw when the request was sent is compared, in the
order of cause; since a decision is a pure function of what is seen, one of these differs, or the orders' state does:

| cause | what differs |
|---|---|
| MODE | whether the symbol may be quoted: a switch, a timer |
| FILLS | what is held: a fill came in one of the two only, or has not come yet |
| ORDERS | our resting orders as known: an answer was slower, or an earlier difference |
| TOUCH | the venue's best prices: it reacted to us, or our own orders stood elsewhere in them |
| BASIS | the smoothed basis, which remembers earlier touches |
| ANCHOR | the anchor's price or its volatility: its news came at another time |
| PACE | what a request costs, or the part of the size that is quoted: earlier requests and holdings |
| FLIGHT | the same was wanted; an earlier request was still to be answered, was refused, or the gate held it back |
| TIMING | the same request at another moment within the window; or the other run was not woken at that moment |
| UNSEEN | one of the runs had not begun |
| UNEXPLAINED | none of these: one of the two is not the program it says it is |

A fill that only one run has is QUEUE if the other had an order resting at that price then (it was not reached there, or
earlier, or in other parts), else PLACE: the orders were not at the same price, for the causes above.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from slipstream.model.events import Fill
from slipstream.model.instrument import Side
from slipstream.simulation.tick.looks import Diary, Look, Request

GROUPS = ("MODE", "FILLS", "ORDERS", "TOUCH", "BASIS", "ANCHOR", "PACE")
NEAR = 1e-9  # relative: prices of a linear grid are products, not decimals
ZERO = Decimal(0)


class Difference(msgspec.Struct, frozen=True):
    """Something that only one run did (``who``), when, why, and what shows it."""

    ns: int
    who: str
    what: str
    cause: str
    detail: str


class Comparison(msgspec.Struct, frozen=True):
    """``same`` requests and fills were matched; ``until_ns`` is the first difference's time (None: there is none)."""

    same_requests: int
    same_fills: int
    differences: tuple[Difference, ...]

    @property
    def until_ns(self) -> int | None:
        """The time of the first difference."""
        return min((one.ns for one in self.differences), default=None)

    @property
    def causes(self) -> dict[str, int]:
        """How many differences each cause explains."""
        return dict(Counter(one.cause for one in self.differences).most_common())


def compare(names: tuple[str, str], one: Diary, two: Diary, window_ns: int, tick_ns: int = 0) -> Comparison:
    """Match two runs' requests and fills, and explain the rest. ``names`` are for people; times that differ by no more
    than ``tick_ns`` are the same."""
    paired, left, right = _matched([_key(r) for r in one.requests], [_key(r) for r in two.requests], window_ns)
    found = [
        Difference(a.ns, names[0], _said(a), "TIMING", f"{names[1]} {(b.ns - a.ns) / 1e6:+.3f} ms")
        for a, b in ((one.requests[i], two.requests[j]) for i, j in paired)
        if abs(a.ns - b.ns) > tick_ns
    ]
    same = len(paired) - len(found)
    books = Books(one.looks, tick_ns), Books(two.looks, tick_ns)
    for who, rest, run in ((0, left, one), (1, right, two)):
        for place in rest:
            request = run.requests[place]
            cause, detail = _why(request, books[who], books[1 - who])
            found.append(Difference(request.ns, names[who], _said(request), cause, detail))
    same_fills, fills = _fills(names, one, two, window_ns, tick_ns)
    ordered = sorted([*found, *fills], key=lambda d: d.ns)
    return Comparison(same, same_fills, tuple(ordered))


def _key(request: Request) -> tuple[int, Hashable]:
    what = (request.coin, request.kind, request.side, request.px, request.sz, request.reduce_only)
    return request.ns, what


def _matched(
    one: Sequence[tuple[int, Hashable]], two: Sequence[tuple[int, Hashable]], window_ns: int
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pairs of equal things within the window: those of one time first, then the nearest that are left, in order."""
    by_what: dict[Hashable, list[int]] = {}
    for place, (_, what) in enumerate(two):
        by_what.setdefault(what, []).append(place)
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    left = []
    for number, (ns, what) in enumerate(one):
        exact = next((j for j in by_what.get(what, ()) if two[j][0] == ns and j not in taken), None)
        if exact is None:
            left.append(number)
        else:
            pairs.append((number, exact))
            taken.add(exact)
    alone = []
    for number in left:
        ns, what = one[number]
        near = [j for j in by_what.get(what, ()) if j not in taken and abs(two[j][0] - ns) <= window_ns]
        if near:
            best = min(near, key=lambda j: abs(two[j][0] - ns))
            pairs.append((number, best))
            taken.add(best)
        else:
            alone.append(number)
    return pairs, alone, [j for j in range(len(two)) if j not in taken]


class Books:
    """A run's looks by coin and time."""

    def __init__(self, looks: Sequence[Look], tick_ns: int) -> None:
        self.tick_ns = tick_ns
        self._all = looks
        self._looks: dict[str, list[Look]] = {}
        for look in looks:
            self._looks.setdefault(look.coin, []).append(look)
        self._ns = {coin: [look.ns for look in looks] for coin, looks in self._looks.items()}

    def of(self, request: Request) -> Look | None:
        """The look that a request of this run came of."""
        return self._all[request.look] if request.look >= 0 else None

    def like(self, look: Look, others: Books) -> Look | None:
        """This run's look at the moment of another run's: of several at one time the one in the same place of them,
        else the last before. None before anything was seen."""
        spans = self._at(look.coin, look.ns), others._at(look.coin, look.ns)
        (first, last), (begun, _) = spans
        if last == 0:
            return None
        looks, theirs = self._looks[look.coin], others._looks[look.coin]
        place = next(k for k, one in enumerate(theirs[begun:]) if one is look)
        return looks[min(first + place, last - 1)] if first < last else looks[last - 1]

    def _at(self, coin: str, ns: int) -> tuple[int, int]:
        times = self._ns.get(coin, [])
        return bisect_left(times, ns - self.tick_ns), bisect_right(times, ns + self.tick_ns)


def _why(request: Request, ours: Books, theirs: Books) -> tuple[str, str]:
    """The cause of a request that only the first run sent, and what shows it."""
    one = ours.of(request)
    two = theirs.like(one, ours) if one is not None else None
    if one is None or two is None:
        return "UNSEEN", "the other run had not begun"
    for group in GROUPS:
        differs = _differs(one.seen.get(group, {}), two.seen.get(group, {}))
        if differs:
            return group, differs
    woken = abs(two.ns - one.ns) <= ours.tick_ns
    differs = _differs(one.before, two.before if woken else two.after)
    if differs:
        return "FLIGHT", differs
    if not woken:
        return "TIMING", f"the other run was not asked then, but {(one.ns - two.ns) / 1e6:.3f} ms before"
    return "UNEXPLAINED", "both saw, wanted and had under way the same"


def _differs(ours: Mapping[str, object], theirs: Mapping[str, object]) -> str:
    """What differs, for people; empty: nothing."""
    names = [name for name in (ours or theirs) if not _equal(ours.get(name), theirs.get(name))]
    return ", ".join(f"{name} {ours.get(name)} and {theirs.get(name)}" for name in names)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=NEAR, abs_tol=1e-12)
    return bool(a == b)


def _said(request: Request) -> str:
    reduce_only = ", reduce-only" if request.reduce_only else ""
    return f"{request.kind} {request.coin} {request.side.name.lower()} {request.sz} at {request.px}{reduce_only}"


def _fills(
    names: tuple[str, str], one: Diary, two: Diary, window_ns: int, tick_ns: int
) -> tuple[int, list[Difference]]:
    keys = [[(f.ns, (f.coin, f.side, f.px, f.sz)) for f in run.fills] for run in (one, two)]
    pairs, left, right = _matched(keys[0], keys[1], window_ns)
    found = []
    for i, j in pairs:
        a, b = one.fills[i], two.fills[j]
        if abs(a.ns - b.ns) > tick_ns:
            late = f"{names[1]} {(b.ns - a.ns) / 1e6:+.3f} ms"
            found.append(Difference(a.ns, names[0], _told(a), "TIMING", late))
    same = len(pairs) - len(found)
    rests = Rests(one.requests), Rests(two.requests)
    for who, rest, run in ((0, left, one), (1, right, two)):
        for place in rest:
            fill = run.fills[place]
            there = rests[1 - who].near(fill, window_ns)
            cause = "QUEUE" if there else "PLACE"
            detail = "the other had an order at this price" if there else "the other had no order at this price"
            found.append(Difference(fill.ns, names[who], _told(fill), cause, detail))
    return same, found


def _told(fill: Fill) -> str:
    return f"fill {fill.coin} {fill.side.name.lower()} {fill.sz} at {fill.px}"


class Rests:
    """Where a run's orders were asked to be: by coin and side, the price from a time on (None: nowhere)."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._from: dict[tuple[str, Side], list[tuple[int, Decimal | None]]] = {}
        for request in requests:
            px = None if request.kind == "cancel" else request.px
            self._from.setdefault((request.coin, request.side), []).append((request.ns, px))

    def near(self, fill: Fill, window_ns: int) -> bool:
        """Whether an order at the fill's price was out within the window."""
        spans = self._from.get((fill.coin, fill.side), [])
        for number, (since, px) in enumerate(spans):
            until = spans[number + 1][0] if number + 1 < len(spans) else math.inf
            if px == fill.px and since <= fill.ns + window_ns and until >= fill.ns - window_ns:
                return True
        return False
