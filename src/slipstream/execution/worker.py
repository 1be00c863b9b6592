"""Works Targets: one child order at a time per coin, passive first, crossing when urgency or patience says so.

- urgency 0 rests post-only at our own touch and never crosses; 1 and above crosses at once;
- between, it rests for (1 - urgency) of the kernel's patience after the Target came, then crosses;
- past its deadline a Target with any urgency crosses;
- crossing is an Ioc at most ``max_slippage`` beyond the touch;
- the next child waits until the end of the last one is known, and all its fills, so a Target is never overshot by our
  own orders.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.execution.desk import MAX_SLICE, Desk, make_place
from slipstream.execution.market import HOME
from slipstream.execution.orders import Working
from slipstream.model.commands import Place
from slipstream.model.events import Bbo
from slipstream.model.instrument import Instrument, Side
from slipstream.model.intents import Target
from slipstream.model.order import OrderState, Tif

ZERO = Decimal(0)


class Job(msgspec.Struct, frozen=True):
    """A Target under way. ``parts`` is how many children it had; ``until_ns`` when it may try again."""

    target: Target
    intent: int
    began_ns: int
    parts: int = 0
    until_ns: int = 0
    priced_ns: int = 0


class Worker:
    """The last Target of each coin."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.jobs: dict[str, Job] = {}

    def want(self, target: Target) -> None:
        """Replace the Target of a coin; the same one again changes nothing."""
        job = self.jobs.get(target.coin)
        self._desk.targets[target.coin] = target.position
        if job is None or job.target != target:
            self.jobs[target.coin] = Job(target, self._desk.next_intent(), self._desk.now_ns)

    def drop(self) -> None:
        """Want nothing any more."""
        self.jobs.clear()
        self._desk.targets.clear()

    def refused(self, working: Working) -> None:
        """The venue refused a child: pause before the next."""
        job = self.jobs.get(working.order.coin)
        if job is not None and not working.is_quote:
            self._pause(job)

    def _pause(self, job: Job) -> None:
        until_ns = self._desk.now_ns + self._desk.config.query_backoff_ns
        self.jobs[job.target.coin] = msgspec.structs.replace(job, until_ns=until_ns)

    def work(self, coin: str) -> None:
        """Emit the next child of a coin's Target, or the end of one that no longer fits."""
        job = self.jobs.get(coin)
        instrument = self._desk.instruments.get(coin)
        if job is None or instrument is None:
            return
        children = [w for w in self._desk.orders.live(coin) if not w.is_quote]
        if self._desk.gate.blocked(coin) is not None:
            for child in children:
                self._desk.cancel(child)
            return
        # the end of a child may be told before its fills: the position is about to change
        if self._desk.orders.owes(coin) or any(not _rests(child) for child in children):
            return
        place = self._child(job, instrument)
        if place is None or len(children) > 1:
            for child in children:
                self._desk.cancel(child)
        elif children:
            self._review(job, children[0], place, abs(job.target.position - self._desk.ledger.position(coin)))
        elif job.until_ns <= self._desk.now_ns:
            self._send(job, place)

    def _review(self, job: Job, child: Working, place: Place, gap: Decimal) -> None:
        """Cancel a child that no longer fits; never a modify, whose two halves might both fill.

        What the largest order allows changes with every price: a child within the gap keeps its place in the queue.
        """
        order = child.order
        fits = order.side is place.side and order.remaining <= max(place.sz, gap) and place.tif is not Tif.IOC
        settled = self._desk.now_ns - job.priced_ns < self._desk.config.requote_ns
        if not fits or (order.px != place.px and not settled):
            self._desk.cancel(child)

    def _child(self, job: Job, instrument: Instrument) -> Place | None:
        """The order that would be right now; None if the position is reached, or no price can be told."""
        desk, target = self._desk, job.target
        position = desk.ledger.position(target.coin)
        gap = instrument.round_size(target.position - position)
        bbo = desk.market.bbo(HOME, target.coin)
        if not gap or bbo is None or not bbo.mid > 0.0:
            return None
        side = Side.BUY if gap > 0 else Side.SELL
        px, tif = self._price(job, instrument, side, bbo)
        size = min(abs(gap), instrument.round_size(desk.config.limits.max_order / px))
        shrinks = target.position * position >= 0 and abs(target.position) < abs(position)
        if size * px < desk.config.limits.min_notional and not (shrinks and target.position == ZERO):
            return None
        return make_place(desk.cloid(job.intent, job.parts + 1), target.coin, side, px, size, tif, shrinks)

    def _price(self, job: Job, instrument: Instrument, side: Side, bbo: Bbo) -> tuple[Decimal, Tif]:
        near, far = (bbo.bid_px, bbo.ask_px) if side is Side.BUY else (bbo.ask_px, bbo.bid_px)
        if not self._crosses(job):
            return instrument.passive_price(Decimal(repr(near)), side), Tif.ALO
        slip = 1 + side.sign * Decimal(repr(self._desk.config.max_slippage))
        return instrument.passive_price(Decimal(repr(far)) * slip, side), Tif.IOC

    def _crosses(self, job: Job) -> bool:
        now, target = self._desk.now_ns, job.target
        if target.urgency <= 0.0:
            return False
        wait = max(0.0, 1.0 - target.urgency) * self._desk.config.patience_ns
        late = 0 < target.deadline_ns <= now
        return late or now - job.began_ns >= wait

    def _send(self, job: Job, place: Place) -> None:
        desk = self._desk
        refusal = desk.place(place)
        if refusal is not None:
            desk.refused(place.coin, place.side, place.px, place.sz, refusal)
            self._pause(job)
            return
        now = desk.now_ns
        if job.parts + 1 >= MAX_SLICE:
            self.jobs[place.coin] = Job(job.target, desk.next_intent(), job.began_ns, priced_ns=now)
        else:
            self.jobs[place.coin] = msgspec.structs.replace(job, parts=job.parts + 1, priced_ns=now)


def _rests(child: Working) -> bool:
    """Whether a child rests and nothing is under way for it; an Ioc never rests, its end is on the way."""
    order = child.order
    resting = order.state in (OrderState.OPEN, OrderState.PARTIAL) and order.tif is not Tif.IOC
    return resting and not (child.cancel_ns or child.doubt)
