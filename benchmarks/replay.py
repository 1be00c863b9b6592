"""The tick engine against hftbacktest: same file, strategy, latencies, queue model, in turns, every fill compared.

    uv run --no-sync python benchmarks/replay.py [--rows 4000000] [--rounds 3] [--queue power3] [--peer-python PATH]

A quoter is woken at every row: it keeps a post-only order at the touch of each side, within a bound of inventory;
when the touch moves it cancels, and quotes anew once it knows. Times are of the replay
alone, after compilation, in seconds of the processor: other work on the machine does not count.
hftbacktest runs in an environment of its own: `--peer-python` names its interpreter, or uv makes one.

`--partial` compares the exchange with partial fills, `--tape FILE` takes recorded rows (.npy) instead of a random tape.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from slipstream.lob.replay.delay import constant
from slipstream.lob.replay.fee_tiers import flat
from slipstream.lob.replay.hook import ALO, BUY, DONE, FREE, OPEN, START, cancel, place, strategy
from slipstream.lob.replay.replay import Outcome, Replay
from slipstream.lob.replay.rows import KIND, MORE
from slipstream.lob.replay.terms import MarketTerms, ReplayTerms

PEER = Path(__file__).parent / "peers" / "hftbacktest_replay.py"
UV = ["uv", "run", "--no-project", "--python", "3.11", "--with", "hftbacktest==2.4.4", "python"]


@strategy
def quote(sim: Any) -> None:
    """Quote both sides at the touch: params are lots and the bound of the position."""
    if sim.more != 0 or sim.event == START:
        return
    q = sim.quotes[0]
    for k in range(2):
        slot = sim.imemory[k] - 1
        touch = q.bid_tick if k == 0 else q.ask_tick
        if slot >= 0:
            order = sim.orders[slot]
            if order.state == FREE or order.state == DONE:
                slot = -1
                sim.imemory[k] = 0
            elif order.tick != touch and order.state == OPEN:
                cancel(sim, slot)
        if slot < 0:
            side = BUY - 2 * k
            if sim.position[0] * side < sim.params[1] and q.bid_tick >= 0 and q.ask_tick >= 0:
                sim.imemory[k] = place(sim, 0, side, touch, int(sim.params[0]), ALO, False) + 1


def market(terms: dict[str, Any]) -> MarketTerms:
    """The same market as the peer's."""
    return MarketTerms(
        "random",
        lot_size=1.0,
        tick_size=terms["tick_size"],
        fees=flat(0.0, 0.0),
        entry=constant(terms["entry_ns"]),
        response=constant(terms["response_ns"]),
        queue=terms["queue"],
        power=terms["power"],
        partial=terms["partial"],
        capped=False,
    )


def ours(rows: Any, terms: dict[str, Any]) -> tuple[Outcome, float]:
    """One replay and its seconds."""
    replay = Replay([market(terms)], quote, ReplayTerms(requests=False), params=(terms["lots"], terms["most"]))
    start = time.process_time()
    replay.feed(rows)
    outcome = replay.finish()
    return outcome, time.process_time() - start


def messages(rows: Any) -> Any:
    """Rows heard at one instant as one message, as the peer hears them."""
    rows = rows.copy()
    together = np.append(rows["local_ns"][1:] == rows["local_ns"][:-1], False)
    rows["kind"] = np.where(together, rows["kind"] | MORE, rows["kind"] & KIND)
    return rows


def start(rows: Any, folder: Path) -> tuple[float, dict[str, Any]]:
    """Seconds of the wall from the start of a process to the line with its first fills, caches warm, and the line."""
    np.save(folder / "first.npy", rows)
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, __file__, "--child", str(folder)]
    best = 1e9
    for _ in range(6):
        began = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as run:
            assert run.stdout is not None and run.stderr is not None
            out = run.stdout.readline()
            best = min(best, time.perf_counter() - began)
            if run.wait(timeout=300) != 0:
                raise SystemExit(f"the started process failed:\n{run.stderr.read()[-2000:]}")
    said: dict[str, Any] = json.loads(out)
    return best, said


def child(folder: Path) -> None:
    """What `start` starts."""
    outcome, _ = ours(np.load(folder / "first.npy"), json.loads((folder / "terms.json").read_text()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"fills": len(outcome.fills), "peak_bytes": peak}), flush=True)


def heard(fills: Any) -> Any:
    """Our fills as the peer's strategy can see them: one line an order and instant, with all that is done by then."""
    done: dict[int, int] = {}
    last: dict[tuple[int, int], Any] = {}
    for row in fills:
        order = int(row["order"])
        done[order] = done.get(order, 0) + int(row["lots"])
        last[(int(row["local_ns"]), order)] = (
            int(row["exch_ns"]),
            order,
            int(row["side"]),
            int(row["tick"]),
            done[order],
        )
    return sorted(last.values())


def compare(outcome: Outcome, path: Path) -> str:
    """Every fill in order, time, side, price and lots; raises SystemExit with the first that differs."""
    mine = heard(outcome.fills)
    peers = sorted(tuple(int(x) for x in row) for row in np.load(path))
    for i, (a, b) in enumerate(zip(mine, peers, strict=False)):
        if a != b:
            raise SystemExit(f"fill {i} differs (exch_ns, order, side, tick, lots so far): ours {a}, hftbacktest's {b}")
    if len(mine) != len(peers):
        raise SystemExit(f"we have {len(mine)} fills, hftbacktest {len(peers)}")
    return f"{len(mine):,} fills identical in order, time, side, price and lots"


def peer(python: list[str], folder: Path, terms: dict[str, Any], depth: str) -> dict[str, Any]:
    """One run of hftbacktest."""
    (folder / "terms.json").write_text(json.dumps({**terms, "depth": depth}))
    files = ["--tape", str(folder / "rows.npy"), "--terms", str(folder / "terms.json")]
    out = subprocess.run(
        [*python, str(PEER), *files, "--fills", str(folder / "fills.npy")],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder / "peer_cache")},
    )
    if out.returncode != 0:
        raise SystemExit(f"hftbacktest failed:\n{out.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(out.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--queue", default="power3")
    parser.add_argument("--partial", action="store_true")
    parser.add_argument("--lots", type=int, default=10)
    parser.add_argument("--tape", type=Path)
    parser.add_argument("--tick-size", type=float, default=0.1)
    parser.add_argument("--peer-python")
    parser.add_argument("--depths", default="hashmap,roi")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return
    python = [args.peer_python] if args.peer_python else UV
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.tape:
            rows = messages(np.load(args.tape))
        else:
            from slipstream.lob.replay.random_tape import RandomTape

            rows = RandomTape(np.random.default_rng(args.seed)).rows(args.rows)
        np.save(folder / "rows.npy", rows)
        ticks = rows["tick"][rows["kind"] == 1]
        terms = {
            "tick_size": args.tick_size, "entry_ns": 3_000_000, "response_ns": 3_000_000, "queue": args.queue,
            "power": 3.0, "partial": args.partial, "lots": args.lots, "most": 20 * args.lots,
            "roi": [int(np.percentile(ticks, 0.1)) - 2000, int(np.percentile(ticks, 99.9)) + 2000],
        }  # fmt: skip
        ours(rows[:2000], terms)
        times: dict[str, list[float]] = {"ours": []}
        peers: dict[str, dict[str, Any]] = {}
        for _ in range(args.rounds):
            outcome, seconds = ours(rows, terms)
            times["ours"].append(seconds)
            for depth in args.depths.split(","):
                peers[depth] = peer(python, folder, terms, depth)
                times.setdefault(depth, []).append(peers[depth]["seconds"])
                print(f"{depth}: {compare(outcome, folder / 'fills.npy')}", file=sys.stderr)
        n = len(rows)
        mine = statistics.median(times["ours"])
        counts = f"{outcome.counters['wakes']:,} wakes, {len(outcome.fills):,} fills"
        print(f"{n:,} rows, {counts}")
        print(f"ours: {n / mine / 1e6:.2f} M rows/s; runs {[round(n / t / 1e6, 2) for t in times['ours']]}")
        for depth in args.depths.split(","):
            theirs = statistics.median(times[depth])
            print(f"hftbacktest {depth}: {n / theirs / 1e6:.2f} M rows/s; ours is {theirs / mine:.2f} times as fast;"
                  f" its peak memory {peers[depth]['peak_bytes'] / 1e6:.0f} MB")  # fmt: skip
        seconds, said = start(rows[:20_000], folder)
        print(
            f"from the start of a process to the first {said['fills']} fills, caches warm: {seconds:.2f} s (best of 6)"
        )
        _, said = start(rows, folder)
        print(f"peak memory of a process of ours that reads the file and replays it: {said['peak_bytes'] / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
