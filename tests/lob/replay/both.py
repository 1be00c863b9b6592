"""One tape, one script, two exchanges: the compiled engine and the oracle. What they agree upon is returned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.lob.replay import delay
from slipstream.lob.replay.fee_tiers import FeeTiers, Tier
from slipstream.lob.replay.replay import Outcome, Replay
from slipstream.lob.replay.rows import ROW_DTYPE
from slipstream.lob.replay.terms import MarketTerms, ReplayTerms
from tests.lob.replay import plain_requests
from tests.lob.replay.oracle import Oracle
from tests.lob.replay.plain_market import (
    DAY_NS,
    DEPTH,
    FEED,
    FREE,
    FUNDING,
    GTC,
    MORE,
    RESPONSE,
    START,
    TIMER,
    TRADE,
    Row,
    Rules,
)

BUY, SELL = 1, -1
US = 1_000  # a microsecond: the unit of the hand-written tapes
T0 = 20_000 * DAY_NS


@dataclass(frozen=True)
class Wake:
    """What a strategy saw when it was asked."""

    ns: int
    event: int
    market: int
    row: tuple[int, int, int, int]  # kind, side, tick, lots
    answer: tuple[int, int]  # order, outcome
    quote: tuple[int, int, int, int]  # of market 0
    position: int
    cash: float
    orders: tuple[tuple[int, int, int], ...]  # state, tick, left of those in use, by id


@dataclass
class Api:
    """What a script may do, at one of the two exchanges."""

    sim: Any
    place_: Callable[..., int]
    cancel_: Callable[..., bool]
    modify_: Callable[..., bool]
    wake: Callable[[int], bool]
    slots: list[int] = field(default_factory=list)  # of the orders sent, in order

    def place(self, side: int, tick: int, lots: int, tif: int = GTC, reduce_only: bool = False, market: int = 0) -> int:
        self.slots.append(self.place_(market, side, tick, lots, tif, reduce_only))
        return self.slots[-1]

    def cancel(self, order: int = -1) -> bool:
        return self.cancel_(self.slots[order])

    def modify(self, tick: int, lots: int, order: int = -1) -> bool:
        return self.modify_(self.slots[order], tick, lots)


Script = Sequence[tuple[int, Callable[[Api], Any]]]
"""(at, what to do): times in US after T0. What happens at one instant is heard before it is acted upon."""


@dataclass
class Result:
    """What both exchanges agreed upon."""

    fills: list[tuple[Any, ...]]
    sent: list[dict[str, int]]
    wakes: list[Wake]
    positions: list[int]
    cash: list[float]
    fees: list[float]
    funding: list[float]
    outcome: Outcome

    def short(self) -> list[tuple[int, int, int]]:
        """(when in US, tick, lots) of every fill."""
        return [((each[0] - T0) // US, each[5], each[6]) for each in self.fills]

    def outcomes(self) -> list[int]:
        return [each["outcome"] for each in self.sent]


def row(at: float, kind: int, side: int, tick: int, lots: int, heard: float | None = None, market: int = 0) -> Row:
    """A row at ``at`` US after T0, heard a US later unless said otherwise."""
    heard = at + 1 if heard is None else heard
    return (T0 + round(at * US), T0 + round(heard * US), lots, tick, market, kind, side)


def depth(at: float, side: int, tick: int, lots: int, **more: Any) -> Row:
    return row(at, DEPTH, side, tick, lots, **more)


def trade(at: float, side: int, tick: int, lots: int, **more: Any) -> Row:
    return row(at, TRADE, side, tick, lots, **more)


def book(at: float = 0, bid: int = 100, ask: int = 102, lots: int = 10, levels: int = 3, market: int = 0) -> list[Row]:
    """A small book: ``levels`` ticks of each side, the same lots at each."""
    rows = []
    for i in range(levels):
        rows.append(depth(at, BUY, bid - i, lots, market=market))
        rows.append(depth(at, SELL, ask + i, lots, market=market))
    return rows


def tape_of(rows: Sequence[Row]) -> npt.NDArray[np.void]:
    return np.array(list(rows), dtype=ROW_DTYPE)


def delays_of(rules: Rules) -> dict[str, delay.Delay]:
    """The rules' three delays, as the engine's terms name them."""
    made = {}
    for name in ("feed", "entry", "response"):
        kind, *terms = getattr(rules, name)
        if kind == "table":
            made[name] = delay.Delay(delay.TABLE, rows=tuple(terms[0]))
        else:
            made[name] = {"recorded": delay.recorded, "constant": delay.constant, "lognormal": delay.lognormal}[kind](
                *terms
            )
    return made


def terms_of(rules: Rules) -> MarketTerms:
    fees = FeeTiers(tuple(Tier(*tier) for tier in rules.tiers), decimals=rules.decimals)
    return MarketTerms(
        name="one",
        tick_size=float(rules.tick_size),
        lot_size=float(rules.lot_size),
        queue=rules.model,
        power=rules.power,
        partial=rules.partial,
        capped=rules.capped,
        impact=rules.impact,
        block_ns=rules.block_ns,
        fees=fees,
        **delays_of(rules),
    )


def observed(sim: Any, known: Sequence[tuple[int, int, int]]) -> Wake:
    """What `Wake` says of a sim of either kind."""
    quote, event = sim.quotes[0], int(sim.event)
    feed, answer = event == FEED, event == RESPONSE
    return Wake(
        ns=int(sim.now_ns),
        event=event,
        market=int(sim.market) if feed or answer else 0,
        row=(int(sim.kind), int(sim.side), int(sim.tick), int(sim.lots)) if feed else (0, 0, 0, 0),
        answer=(int(sim.orders[int(sim.slot)].id), int(sim.outcome)) if answer else (0, 0),
        quote=(int(quote.bid_tick), int(quote.bid_lots), int(quote.ask_tick), int(quote.ask_lots)),
        position=int(sim.position[0]),
        cash=round(float(sim.cash), 6) + 0.0,
        orders=tuple(known),
    )


def known_to_engine(sims: Any) -> list[tuple[int, int, int]]:
    orders = sims["orders"][0]
    used = np.flatnonzero(orders["state"] != FREE)
    used = used[np.argsort(orders["id"][used])]
    return list(zip(*(orders[name][used].tolist() for name in ("state", "tick", "left")), strict=True))


def known_to_oracle(plain: Oracle) -> list[tuple[int, int, int]]:
    used = sorted((each for each in plain.orders if each.state != FREE), key=lambda each: each.id)
    return [(each.state, each.tick, each.left) for each in used]


def scripted(script: Script, note: Callable[[], None]) -> Callable[[Api], None]:
    """A strategy that notes everything it sees and acts at the script's times."""

    def asked(api: Api) -> None:
        note()
        if int(api.sim.event) == START:
            for at, _ in script:
                api.wake(T0 + at * US)
        elif int(api.sim.event) == TIMER:
            for at, act in script:
                if T0 + at * US == int(api.sim.now_ns):
                    act(api)

    return asked


def by_engine(
    rows: Sequence[Row], rules: Sequence[Rules], script: Script, volume: float = 0.0
) -> tuple[Outcome, list[Wake]]:
    """The engine's answer, asked through the Python face of a paused run."""
    replay = Replay([terms_of(each) for each in rules], terms=ReplayTerms(volume=volume))
    wakes: list[Wake] = []
    sim = replay.sims.view(np.recarray)[0]
    api = Api(sim, replay.place, replay.cancel, replay.modify, replay.wake)
    asked = scripted(script, lambda: wakes.append(observed(sim, known_to_engine(replay.sims))))
    for part in (tape_of(rows), None):
        while replay.advance(part):
            asked(api)
    return replay.finish(), wakes


def by_oracle(rows: Sequence[Row], rules: Sequence[Rules], script: Script) -> tuple[Oracle, list[Wake]]:
    """The oracle's answer."""
    wakes: list[Wake] = []
    apis: list[Api] = []

    def strategy(sim: Any) -> None:
        if not apis:
            apis.append(
                Api(
                    sim,
                    lambda *order: plain_requests.place(sim, *order),
                    lambda slot: plain_requests.cancel(sim, slot),
                    lambda slot, tick, lots: plain_requests.modify(sim, slot, tick, lots),
                    lambda at: plain_requests.wake(sim, at),
                )
            )
        asked(apis[0])

    plain = Oracle(rules, rows, strategy)
    asked = scripted(script, lambda: wakes.append(observed(plain, known_to_oracle(plain))))
    return plain.run(), wakes


def facts_of_engine(outcome: Outcome) -> list[tuple[Any, ...]]:
    return [(*(int(each[name]) for name in FACTS), bool(each["maker"]), int(each["why"])) for each in outcome.fills]


FACTS = ("exch_ns", "local_ns", "market", "order", "side", "tick", "lots", "left", "position")
SENT = ("sent_ns", "arrive_ns", "exch_ns", "answer_ns", "market", "order", "action", "side", "tick", "lots")
SENT_ALL = (*SENT, "tif", "reduce_only", "outcome")


def agree(outcome: Outcome, plain: Oracle) -> Result:
    """Compare the two and say what they agreed upon."""
    fills = facts_of_engine(outcome)
    assert fills == [(*(getattr(each, name) for name in FACTS), each.maker, each.why) for each in plain.fills]
    assert np.allclose(outcome.fills["fee"], [float(each.fee) for each in plain.fills], rtol=1e-9, atol=1e-12)
    sent = [{name: int(each[name]) for name in SENT_ALL} for each in outcome.sent]
    assert sent == [{name: int(each[name]) for name in SENT_ALL} for each in plain.sent]
    totals = {}
    for name in ("cash", "fees", "funding"):
        totals[name] = [float(getattr(market, name)) for market in plain.markets]
        assert np.allclose(getattr(outcome, name), totals[name], rtol=1e-9, atol=1e-9), name
    positions = [market.position for market in plain.markets]
    assert outcome.positions.tolist() == positions
    return Result(fills, sent, [], positions, totals["cash"], totals["fees"], totals["funding"], outcome)


def run(rows: Sequence[Row], script: Script, *rules: Rules, **terms: Any) -> Result:
    """Both exchanges' answer to a tape and a script, under one market's rules (or ``terms`` of the plain ones).

    The mirror image of the tape, with the script's orders mirrored, must give the mirror image of the fills.
    """
    each = list(rules) or [replace(Rules(), **terms)]
    result = _run(rows, script, each)
    image = _run([_mirrored_row(one) for one in rows], [(at, _mirrored(act)) for at, act in script], each)
    assert [(f[0], f[1], f[2], f[3], -f[4], MIRROR - f[5], *f[6:8], -f[8], *f[9:]) for f in image.fills] == result.fills
    assert [one["outcome"] for one in image.sent] == result.outcomes()
    return result


MIRROR = 202  # the tick that a tick and its image sum up to


def _mirrored_row(one: Row) -> Row:
    exch_ns, local_ns, lots, tick, market, kind, side = one
    image = tick if kind & ~MORE == FUNDING or tick < 0 else MIRROR - tick
    return (exch_ns, local_ns, lots, image, market, kind, -side)


def _mirrored(act: Callable[[Api], Any]) -> Callable[[Api], Any]:
    def acted(api: Api) -> None:
        def turned(tick: int) -> int:
            return tick if tick < 0 else MIRROR - tick

        image = Api(
            api.sim,
            lambda m, side, tick, *rest: api.place_(m, -side, turned(tick), *rest),
            api.cancel_,
            lambda slot, tick, lots: api.modify_(slot, turned(tick), lots),
            api.wake,
            api.slots,
        )
        act(image)

    return acted


def _run(rows: Sequence[Row], script: Script, each: Sequence[Rules]) -> Result:
    outcome, seen = by_engine(rows, each, script)
    plain, believed = by_oracle(rows, each, script)
    result = agree(outcome, plain)
    assert seen == believed
    result.wakes = seen
    return result
