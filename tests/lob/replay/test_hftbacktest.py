"""Every fill as hftbacktest 2.4.4 made it: a small random tape, one strategy, all queue models, both exchanges.

What it filled is recorded in `hftbacktest_fills.npz` (benchmarks/peers/hftbacktest_reference.py); the tape is made
anew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipstream.lob.replay.delay import constant
from slipstream.lob.replay.fee_tiers import flat
from slipstream.lob.replay.hook import ALO, BUY, DONE, FREE, OPEN, START, cancel, place, strategy
from slipstream.lob.replay.random_tape import RandomTape
from slipstream.lob.replay.replay import MarketTerms, Replay
from slipstream.lob.replay.rows import DEPTH

RECORDED = Path(__file__).with_name("hftbacktest_fills.npz")
ROWS = 12_000
MODELS = ("risk_averse", "power", "power2", "power3", "log", "log2")


def tape() -> Any:
    return RandomTape(np.random.default_rng(7), gap_ns=200_000).rows(ROWS)


def terms() -> dict[str, dict[str, Any]]:
    """Every case: what both engines are told."""
    return {
        f"{queue} {'partial' if partial else 'whole'}": {
            "tick_size": 0.5,
            "entry_ns": 1_500_000,
            "response_ns": 1_000_000,
            "queue": queue,
            "power": 2.0 if queue == "power" else 3.0,
            "partial": partial,
            "lots": 211 if partial else 10,
            "most": 4220 if partial else 200,
        }
        for queue in MODELS
        for partial in (False, True)
    }


@strategy
def quote(sim: Any) -> None:
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


def fills(rows: Any, case: dict[str, Any], chunk: int) -> Any:
    market = MarketTerms(
        "random",
        lot_size=1.0,
        tick_size=case["tick_size"],
        fees=flat(0.0, 0.0),
        entry=constant(case["entry_ns"]),
        response=constant(case["response_ns"]),
        queue=case["queue"],
        power=case["power"],
        partial=case["partial"],
        capped=False,
    )
    replay = Replay([market], quote, params=(case["lots"], case["most"]))
    for start in range(0, len(rows), chunk):
        replay.feed(rows[start : start + chunk])
    return replay.finish().fills


def heard(rows: Any, made: Any) -> list[tuple[int, ...]]:
    """One line an order and instant, with all that is done by then: what a strategy of either engine can see."""
    done: dict[int, int] = {}
    last: dict[tuple[int, int], tuple[int, ...]] = {}
    for fill in made:
        order = int(fill["order"])
        done[order] = done.get(order, 0) + int(fill["lots"])
        at = int(np.searchsorted(rows["exch_ns"], fill["exch_ns"]))
        line = (at, order, int(fill["side"]), int(fill["tick"]) - int(rows["tick"][0]), done[order])
        last[(int(fill["local_ns"]), order)] = line
    return sorted(last.values())


@pytest.mark.parametrize("name", list(terms()))
def test_every_fill_is_hftbacktests(name: str) -> None:
    rows = tape()
    recorded = sorted(tuple(int(x) for x in line) for line in np.load(RECORDED)[name].T)
    assert len(recorded) > 50
    assert heard(rows, fills(rows, terms()[name], ROWS)) == recorded


def test_where_the_chunks_end_changes_nothing() -> None:
    rows = tape()
    case = terms()["log partial"]
    whole = fills(rows, case, ROWS)
    assert len(whole) > 50
    for chunk in (1, 997):
        assert fills(rows[:4000], case, chunk).tobytes() == fills(rows[:4000], case, ROWS).tobytes()


def test_a_difference_in_the_recorded_fills_is_seen() -> None:
    rows = tape()
    rows["lots"][np.flatnonzero(rows["kind"] == DEPTH)[500:]] += 1
    recorded = sorted(tuple(int(x) for x in line) for line in np.load(RECORDED)["power3 whole"].T)
    assert heard(rows, fills(rows, terms()["power3 whole"], ROWS)) != recorded


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    np.save(folder / "rows.npy", tape())
    (folder / "terms.json").write_text(json.dumps(terms()))
