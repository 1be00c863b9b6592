"""The reactive market against closed forms and a plain simulation of it, and how fast it runs.

    uv run --no-sync python benchmarks/flow_truth.py [--paths 200000] [--minutes 400000] [--hours 24] [--seed 1]

1. Cont, Stoikov and Talreja (2010) in our engine: which queue ends first, whether a bid of ours or both our orders
   fill before the mid moves, for 1 to 5 orders on each side, beside an exact solution; mean depth at one to five
   ticks and the spread beside an independent simulation over 60,000 minutes, whose own error counts as ours scaled.
2. Events a second of 1, 16 and 256 such books in one call.
3. A session: one coin with makers, self-exciting and informed takers, a value with regimes, a leading exchange, and a
   strategy that quotes at the touch: seconds of ours for an hour of theirs.

z is the distance in standard errors. Exit code 1 if any is 4 or more.
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import time
from typing import Any

import numpy as np

from slipstream.lob.replay.delay import constant
from slipstream.lob.replay.hook import ALO, BUY, FEED, FREE, OPEN, SELL, modify, place, strategy
from slipstream.lob.replay.terms import MarketTerms, ReplayTerms
from slipstream.simulation.market.books import SMALL, Markets
from slipstream.simulation.market.races import race
from slipstream.simulation.market.session import Coin, Session
from slipstream.simulation.market.terms import (
    Arrivals,
    FlowTerms,
    Grid,
    Makers,
    Size,
    Takers,
    Value,
    cont_stoikov_talreja,
)

MOST = 4.0
SECOND = 1_000_000_000
MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
UP = (
    (0.5, 0.3351729534, 0.2590180925, 0.2157893820, 0.1878231011),
    (0.6648270466, 0.5, 0.4068870350, 0.3478896927, 0.3071989413),
    (0.7409819075, 0.5931129650, 0.5, 0.4365516760, 0.3905939594),
    (0.7842106180, 0.6521103073, 0.5634483240, 0.5, 0.4523374889),
    (0.8121768989, 0.6928010587, 0.6094060406, 0.5476625111, 0.5),
)
BID = (
    (0.5025454760, 0.6980010343, 0.7938908127, 0.8482902631, 0.8823566254),
    (0.3588665596, 0.5507906738, 0.6643278710, 0.7371821096, 0.7869445793),
    (0.2914608427, 0.4654245715, 0.5784464086, 0.6564446726, 0.7128193143),
    (0.2514344711, 0.4092646964, 0.5174098398, 0.5955846096, 0.6543198724),
    (0.2243413671, 0.3690718118, 0.4715770796, 0.5480329384, 0.6070912243),
)
BOTH = (
    (0.2657503470, 0.3079798937, 0.3088533723, 0.2995746740, 0.2879660420),
    (0.3079798937, 0.3855833252, 0.4055968224, 0.4063120143, 0.3997321579),
    (0.3088533723, 0.4055968224, 0.4406754018, 0.4518371416, 0.4523619551),
    (0.2995746740, 0.4063120143, 0.4518371416, 0.4714541295, 0.4784693679),
    (0.2879660420, 0.3997321579, 0.4523619551, 0.4784693679, 0.4909006817),
)
BOOK = {
    "depth 1 tick from the other side": 1.5777805876,
    "depth 2 ticks": 1.6350788942,
    "depth 3 ticks": 1.5834976078,
    "depth 4 ticks": 1.5750781593,
    "depth 5 ticks": 1.5836439255,
    "spread, ticks": 1.3541789287,
    "share of one-tick spreads": 0.7436823661,
}
REFERENCE_MINUTES = 60_000


def races(paths: int, seed: int) -> float:
    """All queues of 1 to 5 orders; the largest distance."""
    worst, began = 0.0, time.perf_counter()
    terms = cont_stoikov_talreja(5)
    for name, table, own_bid, own_ask in (
        ("the mid moves up", UP, False, False),
        ("our bid fills before a move", BID, True, False),
        ("both our orders fill before a move", BOTH, True, True),
    ):
        print(f"\n{name}, {paths:,} paths each (rows: bid queue, columns: ask queue): ours, z")
        for b, row in enumerate(table, 1):
            line = []
            for a, p in enumerate(row, 1):
                seen = race(terms, b, a, paths, seed + 100 * b + a, own_bid=own_bid, own_ask=own_ask)
                if seen.unended:
                    raise SystemExit(f"{seen.unended} paths of queues {b}, {a} did not end")
                count = seen.both_filled if own_ask else seen.bid_filled if own_bid else seen.up
                z = (count / paths - p) / math.sqrt(p * (1.0 - p) / paths)
                worst = max(worst, abs(z))
                line.append(f"{count / paths:.4f} {z:+5.2f}")
            print("  " + "   ".join(line))
    print(f"{time.perf_counter() - began:.1f} s")
    return worst


def book(minutes: int, seed: int) -> float:
    """Depth and spread of the whole book; the largest distance."""
    markets = Markets([cont_stoikov_talreja()] * 8, seed)
    markets.advance(600 * MINUTE)
    batches, looks = [], max(20, minutes // (8 * 2 * 40))
    for _ in range(40):
        rows = []
        for _ in range(looks):
            markets.advance(2 * MINUTE)
            for record, (bid, ask) in zip(markets.books, markets.best().tolist(), strict=True):
                lots, base = record["level_lots"], int(record["base"])
                near = [0.5 * float(lots[ask - base - i] + lots[bid - base + i]) for i in range(1, 6)]
                rows.append([*near, ask - bid, float(ask - bid == 1)])
        batches.append(np.mean(rows, axis=0))
    seen, error = np.mean(batches, axis=0), np.std(batches, axis=0, ddof=1) / math.sqrt(len(batches))
    whole = 8 * 40 * looks * 2
    print(f"\nthe whole book, {whole:,} minutes                ours  std.err.   reference       z")
    worst, scale = 0.0, math.sqrt(1.0 + whole / REFERENCE_MINUTES)
    for (name, reference), ours, one in zip(BOOK.items(), seen.tolist(), error.tolist(), strict=True):
        z = (ours - reference) / (one * scale)
        worst = max(worst, abs(z))
        print(f"  {name:<34} {ours:>10.5f} {one:>9.5f} {reference:>11.5f} {z:>7.2f}")
    return worst


def speed(seed: int) -> None:
    """Events a second of many books in one call."""
    print("\nbooks in one call   events   M events/s")
    for count, minutes in ((1, 100_000), (16, 8_000), (256, 600)):
        markets = Markets([cont_stoikov_talreja()] * count, seed, layout=SMALL)
        markets.advance(300 * MINUTE)
        before, began = markets.events(), time.perf_counter()
        for _ in range(20):
            markets.advance(minutes // 20 * MINUTE)
        seconds = time.perf_counter() - began
        events = markets.events() - before
        print(f"{count:>17} {events:>8,} {events / seconds / 1e6:>12.2f}")


@strategy
def quote(sim: Any) -> None:
    """Join the touch on both sides, post-only, up to 200 lots of position."""
    heard = sim.quotes[0]
    if sim.event != FEED or sim.market != 0 or heard.bid_tick < 0 or heard.ask_tick < 0:
        return
    for k in range(2):
        side = BUY if k == 0 else SELL
        tick = heard.bid_tick if k == 0 else heard.ask_tick
        slot = sim.imemory[k] - 1
        if slot < 0 or sim.orders[slot].state == FREE:
            if side * sim.position[0] < 200:
                sim.imemory[k] = place(sim, 0, side, tick, 20, ALO, False) + 1
        elif sim.orders[slot].state == OPEN and sim.orders[slot].tick != tick:
            modify(sim, slot, tick, 20)


def session(hours: float, seed: int) -> None:
    """One coin and a strategy."""
    ms = SECOND // 1_000
    flow = FlowTerms(
        grid=Grid(lot=0.01, tick_size=0.01),
        arrivals=Arrivals(mu=(0.4, 0.4), alpha=((0.2, 0.05), (0.05, 0.2)), beta=((0.7, 0.7), (0.7, 0.7))),
        takers=Takers(size=Size(mean=400.0, cv=1.5, quote=True), informed=0.2, cost=1e-5, tilt=0.3),
        limits=(2.25,),
        limits_join=True,
        limit_size=Size(mean=200.0, cv=1.0, quote=True),
        cancels=(0.02,),
        makers=Makers(levels=24, level_size=3_000.0, parts=3.0, spread=2.0, lag=0.5),
        value=Value(
            px=100.0,
            volatility=1e-4,
            basis_sd=5e-4,
            basis_seconds=600.0,
            regime_seconds=(5_400.0, 1_200.0),
            regime_volatility=(0.75, 1.9),
        ),
        step_ns=50 * ms,
    )
    delays = {"feed": constant(20 * ms), "entry": constant(80 * ms), "response": constant(20 * ms)}
    home = MarketTerms("SIM", lot_size=0.01, tick_size=0.01, **delays)
    anchor = MarketTerms("LEAD", lot_size=0.01, tick_size=0.001, feed=constant(5 * ms))
    began = time.perf_counter()
    terms = ReplayTerms(horizons_ns=(SECOND, 10 * SECOND), sample_ns=60 * SECOND)
    one = Session([Coin(home=home, flow=flow, anchor=anchor)], quote, terms, seed=seed, start_ns=0)
    one.run_until(SECOND)
    print(f"\na session: ready after {time.perf_counter() - began:.2f} s")
    began = time.perf_counter()
    for hour in range(1, math.ceil(hours) + 1):
        one.run_until(min(hour * HOUR, round(hours * HOUR)))
    seconds = time.perf_counter() - began
    outcome = one.finish()
    counters = outcome.counters
    print(
        f"{hours:g} h in {seconds:.2f} s ({seconds / hours * 168:.0f} s a week): "
        f"{counters['events'] / seconds / 1e6:.2f} M "
        f"events/s, {counters['wakes'] / seconds / 1e6:.2f} M wakes/s, {counters['requests']:,} requests, "
        f"{counters['fills']:,} fills; peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )


def main() -> int:
    """Run everything; 1 if anything is too far off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, default=200_000)
    parser.add_argument("--minutes", type=int, default=400_000)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    worst = max(races(args.paths, args.seed), book(args.minutes, args.seed))
    speed(args.seed)
    session(args.hours, args.seed)
    print(f"\nlargest |z| of 82 figures: {worst:.2f}")
    return int(worst >= MOST)


if __name__ == "__main__":
    sys.exit(main())
