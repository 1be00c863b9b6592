"""How the tick engine's time and memory grow: with the events of a tape, and with the markets of a run.

    uv run --no-sync python benchmarks/replay_growth.py [--rows 1000000,10000000,100000000] [--markets 1,5,20]

Every line is a process of its own. The random tape is made chunk by chunk and thrown away, so that the peak is the
engine's; seconds are the engine's alone, of the processor. The strategy quotes both sides of every market.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from slipstream.lob.replay.delay import constant
from slipstream.lob.replay.fee_tiers import flat
from slipstream.lob.replay.hook import ALO, BUY, DONE, FREE, OPEN, START, cancel, place, strategy
from slipstream.lob.replay.random_tape import RandomTape
from slipstream.lob.replay.replay import Replay
from slipstream.lob.replay.terms import MarketTerms, ReplayTerms

CHUNK = 1_000_000


@strategy
def quote(sim: Any) -> None:
    """Quote both sides of the market heard of at its touch, one order a side."""
    if sim.event == START:
        return
    m = sim.market
    q = sim.quotes[m]
    for k in range(2):
        slot = sim.imemory[2 * m + k] - 1
        touch = q.bid_tick if k == 0 else q.ask_tick
        if slot >= 0:
            order = sim.orders[slot]
            if order.state == FREE or order.state == DONE:
                slot = -1
                sim.imemory[2 * m + k] = 0
            elif order.tick != touch and order.state == OPEN:
                cancel(sim, slot)
        side = BUY - 2 * k
        if slot < 0 and sim.position[m] * side < 200 and q.bid_tick >= 0 and q.ask_tick >= 0:
            sim.imemory[2 * m + k] = place(sim, m, side, touch, 10, ALO, False) + 1


def merged(tapes: list[RandomTape], count: int) -> Any:
    """The next rows of all markets by exchange time, as many of each."""
    rows = np.concatenate([tape.rows(count // len(tapes)) for tape in tapes])
    return rows[np.argsort(rows["exch_ns"], kind="stable")] if len(tapes) > 1 else rows


def measure(rows: int, markets: int) -> dict[str, float]:
    """One run."""
    terms = [
        MarketTerms(
            f"market {m}", lot_size=1.0, tick_size=0.1, fees=flat(0.0, 0.0), entry=constant(3_000_000),
            response=constant(3_000_000), partial=False,
        )
        for m in range(markets)
    ]  # fmt: skip
    tapes = [RandomTape(np.random.default_rng([1, m]), market=m) for m in range(markets)]
    replay = Replay(terms, quote, ReplayTerms(requests=False))
    seconds = 0.0
    made = 0
    last_ns = 0
    while made < rows:
        chunk = merged(tapes, min(CHUNK, rows - made))
        if made:  # the chunks of several markets end at different times: the next rows of one wait for the others
            chunk["exch_ns"] = np.maximum(chunk["exch_ns"], last_ns)
            chunk["local_ns"] = np.maximum(chunk["local_ns"], chunk["exch_ns"])
        last_ns = int(chunk["exch_ns"][-1])
        start = time.process_time()
        replay.feed(chunk)
        seconds += time.process_time() - start
        made += len(chunk)
    start = time.process_time()
    outcome = replay.finish()
    seconds += time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"rows": made, "markets": markets, "seconds": seconds, "fills": len(outcome.fills), "peak_mb": peak}


def main() -> None:
    """Print one line a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000000,10000000,100000000")
    parser.add_argument("--markets", default="1,5,20")
    parser.add_argument("--one", nargs=2, type=int, metavar=("ROWS", "MARKETS"), help="measure one and print JSON")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(*args.one)))
        return
    sizes = [(int(rows), 1) for rows in args.rows.split(",")]
    sizes += [(4_000_000, int(markets)) for markets in args.markets.split(",")]
    for rows, markets in sizes:
        command = [sys.executable, __file__, "--one", str(rows), str(markets)]
        out = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=True).stdout
        one = json.loads(out.splitlines()[-1])
        speed = one["rows"] / one["seconds"] / 1e6
        print(
            f"{one['rows']:>11,} rows, {markets:>2} markets: {speed:6.2f} M rows/s, {one['fills']:,} fills,"
            f" peak {one['peak_mb']:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
