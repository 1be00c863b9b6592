"""The exchange of docs/fills.md and our side of it, as one would write them down: one list of events by time, books
that are dicts, money that is fractions. Slow, plain, and believed. It shares no code with the engine.

Its face towards a strategy has the engine's names (`sim.quotes[m].bid_tick`, `place(sim, ...)`), so that one function
can be asked by both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from tests.lob.replay.plain_market import (
    ACCEPTED,
    ALO,
    AS_TAKER,
    BEST,
    BY_CROSS,
    BY_PRICE,
    BY_QUEUE,
    CANCEL,
    CANCELLED,
    CLEAR,
    DAY_NS,
    DEPTH,
    DONE,
    EXPIRED,
    FEED,
    FILLED,
    FREE,
    FUNDING,
    GTC,
    IOC,
    MODIFIED,
    MODIFY,
    MORE,
    NEVER,
    NEW,
    NO_LIQUIDITY,
    NOT_REDUCING,
    OPEN,
    OVER,
    PART_FILLED,
    REDUCE_CANCELLED,
    RESPONSE,
    START,
    TIMER,
    TOO_LATE,
    TRADE,
    WOULD_TRADE,
    Fill,
    Market,
    Order,
    Quote,
    Row,
    Rules,
    behind,
)


class Oracle:
    """A run: give it rows, `run`, and read `fills`, `sent`, `heard` and the markets."""

    def __init__(self, rules: Sequence[Rules], rows: Sequence[Row], strategy: Callable[[Any], None]) -> None:
        self.markets = [Market(each) for each in rules]
        self.rows = list(rows)
        self.strategy = strategy
        self.quotes = [Quote() for _ in rules]
        self.position = [0] * len(rules)
        self.cash = Fraction(0)
        self.orders = [Order() for _ in range(256)]
        self.free = list(range(255, -1, -1))
        self.params = [0.0] * 256
        self.memory = [0.0] * 256
        self.imemory = [0] * 256
        self.now_ns = self.event = self.market = self.kind = self.side = self.tick = self.lots = 0
        self.left = self.slot = self.outcome = 0
        self.next_id = 1
        self.outbox: list[dict[str, int]] = []
        self.requests: list[dict[str, int]] = []
        self.answers: list[dict[str, Any]] = []
        self.timers: list[int] = []
        self.fills: list[Fill] = []
        self.sent: list[dict[str, int]] = []
        self.volume: dict[int, Fraction] = {}
        # what is sent at the end of a block without delay still belongs to it: it is executed after all was heard
        self.block_waits = (
            any(each.block_ns for each in rules) and min(each.entry.least() for each in self.markets) == 0
        )

    # the order of things ---------------------------------------------------------------------------------------

    def run(self) -> Oracle:
        """All rows, and all that is on its way after the last."""
        at = 0
        if self.rows:
            self.now_ns, self.event = self.rows[0][0], START
            self.ask()
        while True:
            news, m = min((each.news[0][0] if each.news else NEVER, m) for m, each in enumerate(self.markets))
            answer = self.answers[0]["local_ns"] if self.answers else NEVER
            timer = min(self.timers, default=NEVER)
            row = self.rows[at][0] if at < len(self.rows) else NEVER
            due = min(((each["due_ns"], each["rank"]) for each in self.requests), default=(NEVER, 0))
            if min(news, answer, row, due[0]) == NEVER:
                return self
            what = min((row, 0), (due[0], 5 if self.block_waits else 1), (news, 2), (answer, 3), (timer, 4))[1]
            if what == 0:
                self.act(self.rows[at])
                at += 1
            elif what == 2:
                self.hear(m)
            elif what == 3:
                self.be_answered(self.answers.pop(0))
            elif what == 4:
                self.timers.remove(timer)
                self.now_ns, self.event = timer, TIMER
                self.ask()
            else:
                first = next(each for each in self.requests if (each["due_ns"], each["rank"]) == due)
                self.requests.remove(first)
                self.execute(first)

    def ask(self) -> None:
        self.strategy(self)
        for request in self.outbox:
            market = self.markets[request["market"]]
            quote = self.quotes[request["market"]]
            request["arrive_ns"] = market.entry.arrival(request["sent_ns"], quote.recv_ns - quote.event_ns)
            request["due_ns"], request["rank"] = request["arrive_ns"], 0
            block = market.rules.block_ns
            if block:
                request["due_ns"] = math.ceil(Fraction(request["arrive_ns"], block)) * block
                request["rank"] = 1 if request["action"] == CANCEL else 0 if request["tif"] == ALO else 2
            self.requests.append(request)
        self.outbox = []

    # here ------------------------------------------------------------------------------------------------------

    def hear(self, m: int) -> None:
        local_ns, row, quote, paid = self.markets[m].news.pop(0)
        self.cash += paid
        _, _, lots, tick, _, kind, side = row
        last = self.quotes[m]
        quote.trade_tick, quote.trade_lots, quote.trade_side = last.trade_tick, last.trade_lots, last.trade_side
        if kind & ~MORE == TRADE:
            quote.trade_tick, quote.trade_lots, quote.trade_side = tick, lots, side
        self.quotes[m] = quote
        self.now_ns, self.event, self.market = local_ns, FEED, m
        self.kind, self.side, self.tick, self.lots = kind & ~MORE, side, tick, lots
        if not kind & MORE:
            self.ask()

    def be_answered(self, answer: dict[str, Any]) -> None:
        order = self.orders[answer["slot"]]
        outcome = answer["outcome"]
        self.now_ns, self.event, self.market = answer["local_ns"], RESPONSE, order.market
        self.slot, self.outcome, self.side = answer["slot"], outcome, order.side
        self.tick, self.lots, self.left = answer["tick"], answer["lots"], answer["left"]
        self.position[order.market] += order.side * answer["lots"]
        self.cash += answer["money"]
        order.in_flight -= answer["action"] >= 0
        if outcome in OVER:
            order.state, order.left = DONE, answer["left"]
        elif outcome != TOO_LATE:
            order.left = answer["left"]
            if outcome == MODIFIED:
                order.tick = answer["tick"]
            if order.in_flight == 0:
                order.state = OPEN
        if order.state == DONE and order.in_flight == 0:
            order.state = FREE
            self.free.append(answer["slot"])
        self.ask()

    # the exchange: rows ----------------------------------------------------------------------------------------

    def act(self, row: Row) -> None:
        exch_ns, local_ns, lots, tick, m, kind, side = row
        market = self.markets[m]
        before = market.funding
        name = kind & ~MORE
        if name == DEPTH:
            self.depth(m, side, tick, lots, exch_ns)
        elif name == BEST:
            last = market.best[side]
            if lots == 0:
                market.known[side].clear()
                market.best[side] = -1
            elif last >= 0 and (last - tick) * side > 0:
                for each in [t for t in market.known[side] if (t - tick) * side > 0 >= (t - last) * side]:
                    del market.known[side][each]  # those that a crossing hid are not told of
                market.settle(side, last)
            if lots:
                self.depth(m, side, tick, lots, exch_ns)
        elif name == CLEAR:
            for one in (1, -1):
                if side in (0, one):
                    for each in [t for t in market.known[one] if tick < 0 or (t - tick) * one >= 0]:
                        del market.known[one][each]
                    if market.best[one] >= 0:
                        market.settle(one, market.best[one] + one)
        elif name == TRADE:
            self.trade(m, -side, tick, lots, exch_ns)
        else:
            rules = market.rules
            market.funding -= market.position * rules.lot_size * tick * rules.tick_size * Fraction(lots, 10**12)
        if not kind & MORE or name in (TRADE, FUNDING):
            heard = max(market.feed.arrival(exch_ns, local_ns - exch_ns), exch_ns)
            market.row_delay = heard - exch_ns
            bid, ask = market.best[1], market.best[-1]
            quote = Quote(bid, market.known[1].get(bid, 0), ask, market.known[-1].get(ask, 0))
            quote.event_ns, quote.recv_ns = exch_ns, heard
            market.news.append((heard, row, quote, market.funding - before))

    def depth(self, m: int, side: int, tick: int, lots: int, ns: int) -> None:
        market = self.markets[m]
        prev = market.known[side].get(tick, 0)
        for slot in market.own:
            order = self.orders[slot]
            if order.side == side and order.book_tick == tick:
                self.requeue(market.rules, order, float(prev), float(lots))
        if lots:
            market.known[side][tick] = lots
        else:
            market.known[side].pop(tick, None)
        if lots and market.better(side, tick):
            market.best[side] = tick
            if market.best[-side] >= 0 and (tick - market.best[-side]) * side >= 0:
                market.settle(-side, tick)
            for slot in [s for s in market.own if self.orders[s].side == -side]:
                if (tick - self.orders[slot].book_tick) * side >= 0:
                    self.reach(slot, self.orders[slot].book_left, BY_CROSS, ns)
        elif not lots and prev and tick == market.best[side]:
            market.settle(side, tick)

    @staticmethod
    def requeue(rules: Rules, order: Order, prev: float, new: float) -> None:
        if rules.model == "risk_averse":
            order.front = min(order.front, new)
            return
        drop, order.cum = prev - new - order.cum, 0.0
        if drop < 0:
            order.front = min(order.front, new)
            return
        back = prev - order.front
        p = behind(rules.model, rules.power, order.front, back)
        estimate = order.front - (1.0 - p) * drop + min(back - p * drop, 0.0)
        order.front = new if math.isnan(estimate) else min(estimate, new)

    def trade(self, m: int, side: int, tick: int, lots: int, ns: int) -> None:
        """An aggressor took from ``side`` at a tick."""
        market = self.markets[m]
        for slot in [s for s in market.own if self.orders[s].side == side]:
            order = self.orders[slot]
            if (order.book_tick - tick) * side > 0:
                self.reach(slot, order.book_left, BY_PRICE, ns)
            elif order.book_tick == tick:
                order.front -= lots
                order.cum += lots
                passed = math.floor(0.5 - order.front)
                if passed > 0:
                    order.front = 0.0
                    most = min(passed, lots) if market.rules.capped else passed
                    self.reach(
                        slot, min(order.book_left, most) if market.rules.partial else order.book_left, BY_QUEUE, ns
                    )

    def reach(self, slot: int, lots: int, why: int, ns: int) -> None:
        order = self.orders[slot]
        market = self.markets[order.market]
        local_ns = market.response.arrival(ns, market.row_delay)
        money = market.cash - market.fees
        if order.reduce_only:
            order.book_left = min(order.book_left, max(-market.position * order.side, 0))
            lots = min(lots, order.book_left)
        if lots:
            self.fill(slot, order.book_tick, lots, why, ns, local_ns)
        if order.book_left == 0:
            market.own.remove(slot)
            order.rests = False
        outcome = REDUCE_CANCELLED if lots == 0 else PART_FILLED if order.book_left else FILLED
        self.answer(slot, local_ns, outcome, -1, order.book_tick, lots, order.book_left, money)

    # the exchange: requests ------------------------------------------------------------------------------------

    def execute(self, request: dict[str, int]) -> None:
        market, slot, ns = self.markets[request["market"]], request["slot"], request["due_ns"]
        local_ns = market.response.arrival(ns, market.row_delay)
        order = self.orders[slot]
        held, money = market.position, market.cash - market.fees
        tick, lots = request["tick"], request["lots"]
        if request["action"] == NEW:
            outcome = self.enter(slot, tick, lots, ns, local_ns)
        elif not order.rests:
            outcome = TOO_LATE
        elif request["action"] == MODIFY and tick == order.book_tick and lots <= order.book_left:
            order.book_left = lots
            outcome = MODIFIED
        else:
            market.own.remove(slot)
            order.rests = False
            outcome = CANCELLED
            if request["action"] == MODIFY:
                outcome = self.enter(slot, tick, lots, ns, local_ns)
                outcome = MODIFIED if outcome == ACCEPTED else outcome
        left = order.book_left if order.rests else 0
        self.sent.append({**request, "exch_ns": ns, "answer_ns": local_ns, "outcome": outcome})
        self.answer(slot, local_ns, outcome, request["action"], tick, abs(market.position - held), left, money)

    def enter(self, slot: int, tick: int, lots: int, ns: int, local_ns: int) -> int:
        order = self.orders[slot]
        market = self.markets[order.market]
        side = order.side
        if order.reduce_only:
            lots = min(lots, max(-market.position * side, 0))
            if lots == 0:
                return NOT_REDUCING
        order.book_left = lots
        best = market.best[-side]
        if best < 0 or (tick >= 0 and (tick - best) * side < 0):
            if order.tif == IOC:
                return NO_LIQUIDITY
            order.rests, order.book_tick = True, tick
            order.front, order.cum = float(market.known[side].get(tick, 0)), 0.0
            market.own.append(slot)
            return ACCEPTED
        if order.tif == ALO:
            return WOULD_TRADE
        if not market.rules.partial:
            self.take(slot, best, lots, ns, local_ns)
            return FILLED
        reachable = [t for t in market.known[-side] if (t - best) * side >= 0 and (tick < 0 or (tick - t) * side >= 0)]
        for each in sorted(reachable, reverse=side < 0):
            if order.book_left and not (each == tick and order.tif == GTC):
                self.take(slot, each, min(order.book_left, market.known[-side][each]), ns, local_ns)
        if order.book_left and order.tif == IOC:
            return EXPIRED
        if order.book_left:
            self.take(slot, tick, order.book_left, ns, local_ns)
        return FILLED

    def take(self, slot: int, tick: int, lots: int, ns: int, local_ns: int) -> None:
        order = self.orders[slot]
        market = self.markets[order.market]
        self.fill(slot, tick, lots, AS_TAKER, ns, local_ns)
        level = market.known[-order.side]
        if market.rules.impact and tick in level:
            level[tick] = max(level[tick] - lots, 0)
            if level[tick] == 0:
                del level[tick]
                if tick == market.best[-order.side]:
                    market.settle(-order.side, tick)

    def fill(self, slot: int, tick: int, lots: int, why: int, ns: int, local_ns: int) -> None:
        order = self.orders[slot]
        market = self.markets[order.market]
        rules = market.rules
        notional = tick * rules.tick_size * lots * rules.lot_size
        today = ns // DAY_NS
        volume = sum((v for day, v in self.volume.items() if today - 14 <= day < today), Fraction(0))
        tier = [each for each in rules.tiers if each[0] == 0 or volume > each[0]][-1]
        fee = notional * Fraction(str(tier[1] if why == AS_TAKER else tier[2]))
        if rules.decimals is not None:
            fee = Fraction(math.trunc(fee * 10**rules.decimals), 10**rules.decimals)
        self.volume[today] = self.volume.get(today, Fraction(0)) + notional
        order.book_left -= lots
        market.position += order.side * lots
        market.cash -= order.side * notional
        market.fees += fee
        self.fills.append(
            Fill(
                ns, local_ns, order.market, order.id, order.side, tick, lots, order.book_left, market.position,
                why != AS_TAKER, why, fee,
            )
        )  # fmt: skip

    def answer(
        self, slot: int, local_ns: int, outcome: int, action: int, tick: int, lots: int, left: int, before: Fraction
    ) -> None:
        """Tell what became of an order; ``before``: cash less fees of its market, before it."""
        market = self.markets[self.orders[slot].market]
        told: dict[str, Any] = {"slot": slot, "local_ns": local_ns, "outcome": outcome, "action": action}
        told |= {"tick": tick, "lots": lots, "left": left, "money": market.cash - market.fees - before}
        self.answers.append(told)
        self.answers.sort(key=lambda each: each["local_ns"])  # stable: first told, first known
