"""Books rebuilt from the venue alone: fills and funding rows of an account, told apart by cloid.

This is a second account of what each pod's own ledger keeps, and shares no code with it. A line keeps the cash that
moved (exact) and the average entry price; profit is cash plus the position's entry value, so that realised and
unrealised profit together never depend on the averaging. Recent steps are kept, so that books can be read as of an
earlier moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from slipstream.federation.auditor.roster import NOBODY, Roster
from slipstream.model.events import Fill, FundingPayment
from slipstream.model.messages import CoinLine

ZERO = Decimal(0)
GENERATION = 10_000  # fill ids of one generation; two generations are remembered


class Line(msgspec.Struct, frozen=True):
    """One coin of one owner. ``cash`` is what sales brought less what purchases cost; ``maker`` and ``taker`` volumes.

    USD but for ``position``; fees paid are positive.
    """

    position: Decimal = ZERO
    entry: Decimal = ZERO
    cash: Decimal = ZERO
    fees: Decimal = ZERO
    maker: Decimal = ZERO
    taker: Decimal = ZERO
    fills: int = 0

    @property
    def volume(self) -> Decimal:
        """Traded notional."""
        return self.maker + self.taker

    @property
    def realised(self) -> Decimal:
        """Profit of what was closed, before fees."""
        return self.cash + self.position * self.entry

    def unrealised(self, px: Decimal) -> Decimal:
        """Profit of what is open, at a price."""
        return self.position * (px - self.entry)

    def filled(self, fill: Fill) -> Line:
        """The line after a fill."""
        signed = fill.sz if fill.side.sign > 0 else -fill.sz
        after = self.position + signed
        worth = fill.sz * fill.px
        if self.position == 0 or (self.position > 0) == (signed > 0):
            entry = (self.position * self.entry + signed * fill.px) / after
        elif after == 0:
            entry = ZERO
        elif (after > 0) == (self.position > 0):
            entry = self.entry
        else:
            entry = fill.px
        return Line(
            after,
            entry,
            self.cash - signed * fill.px,
            self.fees + fill.fee,
            self.maker if fill.crossed else self.maker + worth,
            self.taker + worth if fill.crossed else self.taker,
            self.fills + 1,
        )


class Step(msgspec.Struct, frozen=True):
    """A recent fill and the line before it."""

    fill: Fill
    before: Line


class Share(msgspec.Struct, frozen=True):
    """A pod's part of a funding row. ``slack``: what it may differ by, where fills bear the settlement's own time."""

    ns: int
    usdc: Decimal
    slack: Decimal


class Track(msgspec.Struct, frozen=True):
    """One coin of one owner with its recent past. ``steps`` and ``shares`` are in time order."""

    line: Line = Line()
    steps: tuple[Step, ...] = ()
    funding: Decimal = ZERO
    slack: Decimal = ZERO
    shares: tuple[Share, ...] = ()

    def filled(self, fill: Fill, kept_ns: int) -> Track:
        """After a fill. One that comes late is put in its place: later ones are counted again on top of it."""
        late = 0
        while late < len(self.steps) and self.steps[-1 - late].fill.ns > fill.ns:
            late += 1
        line = self.steps[-late].before if late else self.line
        again = self.steps[len(self.steps) - late :]
        steps = list(self.steps[: len(self.steps) - late])
        for item in (fill, *(step.fill for step in again)):
            steps.append(Step(item, line))
            line = line.filled(item)
        first = 0
        while first < len(steps) and steps[first].fill.ns < kept_ns:
            first += 1
        return msgspec.structs.replace(self, line=line, steps=tuple(steps[first:]))

    def paid(self, share: Share, kept_ns: int) -> Track:
        """After a part of a funding row."""
        shares = (*(s for s in self.shares if s.ns >= kept_ns), share)
        return msgspec.structs.replace(
            self, funding=self.funding + share.usdc, slack=self.slack + share.slack, shares=shares
        )

    def before(self, ns: int) -> Decimal:
        """The position just before a time."""
        return next((s.before.position for s in self.steps if s.fill.ns >= ns), self.line.position)

    def after(self, ns: int) -> Decimal:
        """The position with everything up to and at a time."""
        return next((s.before.position for s in self.steps if s.fill.ns > ns), self.line.position)

    def lines_since(self, ns: int) -> tuple[Line, ...]:
        """The line after the fills up to ``ns``, and one more for every fill since."""
        first = len(self.steps)
        while first and self.steps[first - 1].fill.ns > ns:
            first -= 1
        return (*(step.before for step in self.steps[first:]), self.line)

    def coin_line(self, coin: str) -> CoinLine:
        """As the bus tells it."""
        line = self.line
        return CoinLine(
            coin, line.position, line.entry, line.realised, line.fees, self.funding, line.volume, line.fills
        )


Book = dict[str, Track]


class Books(msgspec.Struct, frozen=True):
    """One account: a book per owner (the empty owner holds what no pod claims), and the ids that were counted.

    ``opened_ns`` is 0 until the account was first read whole; what it held then and no fill explains is nobody's.
    """

    account: str
    owners: dict[str, Book] = {}
    opened_ns: int = 0
    filled_ns: int = 0
    paid_ns: int = 0
    seen: dict[str, int] = {}
    seen_before: dict[str, int] = {}

    def book(self, pod: str) -> Book:
        """The coins of an owner."""
        return self.owners.get(pod, {})

    def track(self, pod: str, coin: str) -> Track:
        """One coin of an owner; empty if never traded."""
        return self.owners.get(pod, {}).get(coin, Track())

    def coins(self) -> set[str]:
        """Every coin that anybody traded."""
        return {coin for book in self.owners.values() for coin in book}

    def has(self, key: str) -> bool:
        """Whether a fill or funding row was counted."""
        return key in self.seen or key in self.seen_before


def fill_key(fill: Fill) -> str:
    """What makes a fill unique."""
    return f"{fill.tid}:{fill.oid}"


def owner_of_fill(fill: Fill, roster: Roster, books: Books) -> tuple[str, bool] | None:
    """The pod of a fill, and whether the breaker made it. None: it is inside the opening of the books.

    On an account that one pod has to itself, every fill is that pod's, whoever placed the order (a liquidation has no
    cloid); what it did not place and happened before the books opened is inside the positions they open with.
    """
    owner = roster.owner(fill.cloid, books.account)
    if owner.pod != NOBODY:
        return owner.pod, owner.by_breaker
    alone = roster.sole(books.account)
    if alone is None:
        return NOBODY, False
    return (alone, False) if books.opened_ns and fill.ns > books.opened_ns else None


def fold_fills(
    books: Books, fills: Iterable[Fill], roster: Roster, keep_ns: int
) -> tuple[Books, tuple[tuple[str, bool, Fill, Line], ...]]:
    """Count fills once each; also what was new, as (pod, by the breaker, fill, line before it)."""
    fresh = [fill for fill in fills if not books.has(fill_key(fill))]
    if not fresh:
        return books, ()
    owners = dict(books.owners)
    seen, seen_before = dict(books.seen), books.seen_before
    copied: set[str] = set()
    newest, new = books.filled_ns, []
    for fill in sorted(fresh, key=lambda f: f.ns):
        key = fill_key(fill)
        if key in seen:
            continue
        seen[key] = fill.ns
        if len(seen) >= GENERATION:
            seen_before, seen = seen, {}
        newest = max(newest, fill.ns)
        owner = owner_of_fill(fill, roster, books)
        if owner is None:
            continue
        pod, by_breaker = owner
        if pod not in copied:
            owners[pod] = dict(owners.get(pod, {}))
            copied.add(pod)
        track = owners[pod].get(fill.coin, Track())
        new.append((pod, by_breaker, fill, track.line))
        owners[pod][fill.coin] = track.filled(fill, newest - keep_ns)
    return (
        msgspec.structs.replace(books, owners=owners, filled_ns=newest, seen=seen, seen_before=seen_before),
        tuple(new),
    )


def split(books: Books, row: FundingPayment) -> dict[str, Share]:
    """A funding row's parts by owner, in proportion to their positions at the settlement; they add up to it exactly.

    Fills at the settlement's very time may lie before or after it: the account's own size tells which, and the slack of
    each part is what the doubt is worth. What no owner's position explains is nobody's.
    """
    if row.szi == 0:
        return {NOBODY: Share(row.ns, row.usdc, ZERO)}
    held_before = {pod: book[row.coin].before(row.ns) for pod, book in books.owners.items() if row.coin in book}
    held_after = {pod: book[row.coin].after(row.ns) for pod, book in books.owners.items() if row.coin in book}
    held = held_after if sum(held_after.values(), ZERO) == row.szi else held_before
    per_coin = abs(row.usdc / row.szi)
    parts = {}
    rest = row.usdc
    for pod in sorted(held):
        if pod == NOBODY:
            continue
        usdc = row.usdc * held[pod] / row.szi
        slack = per_coin * abs(held_after[pod] - held_before[pod])
        if usdc or slack:
            parts[pod] = Share(row.ns, usdc, slack)
            rest -= usdc
    # a rounding of the last digit stays with the largest part, so that nothing is left over by arithmetic
    if parts and abs(rest) <= abs(row.usdc) * Decimal("1e-24"):
        largest = max(parts, key=lambda pod: abs(parts[pod].usdc))
        parts[largest] = msgspec.structs.replace(parts[largest], usdc=parts[largest].usdc + rest)
        rest = ZERO
    if rest:
        parts[NOBODY] = Share(row.ns, rest, ZERO)
    return parts


def fold_funding(books: Books, rows: Iterable[FundingPayment], keep_ns: int) -> Books:
    """Count funding rows once each, split between the owners."""
    fresh = sorted((row for row in rows if not books.has(f"{row.coin}@{row.ns}")), key=lambda r: (r.ns, r.coin))
    if not fresh:
        return books
    seen = dict(books.seen)
    newest = books.paid_ns
    for row in fresh:
        if f"{row.coin}@{row.ns}" in seen:
            continue
        seen[f"{row.coin}@{row.ns}"] = row.ns
        newest = max(newest, row.ns)
        owners = dict(books.owners)
        for pod, share in split(books, row).items():
            book = owners.get(pod, {})
            owners[pod] = book | {row.coin: book.get(row.coin, Track()).paid(share, newest - keep_ns)}
        books = msgspec.structs.replace(books, owners=owners)
    return msgspec.structs.replace(books, seen=seen, paid_ns=newest)


def open_books(
    books: Books, positions: dict[str, Decimal], entries: dict[str, Decimal], ns: int, owner: str = NOBODY
) -> Books:
    """Begin: what the venue holds at ``ns`` and no fill up to then explains, at the venue's own entry price.

    It is nobody's on a shared account, and the pod's on an account that one pod has to itself.
    """
    book = dict(books.book(owner))
    for coin in sorted(positions.keys() | books.coins()):
        known = sum((books.track(pod, coin).after(ns) for pod in books.owners), ZERO)
        missing = positions.get(coin, ZERO) - known
        if missing:
            track = book.get(coin, Track())
            px = entries.get(coin, ZERO)
            line = msgspec.structs.replace(
                track.line,
                position=track.line.position + missing,
                entry=px,
                cash=track.line.cash - missing * px,
            )
            book[coin] = msgspec.structs.replace(track, line=line)
    owners = books.owners | {owner: book} if book else books.owners
    return msgspec.structs.replace(books, owners=owners, opened_ns=max(ns, 1))
