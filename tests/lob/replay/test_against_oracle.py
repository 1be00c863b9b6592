"""The compiled engine and the plain oracle on random tapes, terms and strategies: the same, to the unit."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from slipstream.lob.replay import hook
from slipstream.lob.replay.replay import Outcome, Replay
from slipstream.lob.replay.terms import ReplayTerms
from tests.lob.replay import plain_requests
from tests.lob.replay.both import T0, Result, agree, tape_of, terms_of
from tests.lob.replay.oracle import Oracle
from tests.lob.replay.plain_market import (
    ACCEPTED,
    AS_TAKER,
    BEST,
    BY_QUEUE,
    CANCEL,
    CANCELLED,
    CLEAR,
    DAY_NS,
    DEPTH,
    EXPIRED,
    FILLED,
    FUNDING,
    MODIFIED,
    MORE,
    NEW,
    NO_LIQUIDITY,
    NOT_REDUCING,
    TOO_LATE,
    TRADE,
    WOULD_TRADE,
    Row,
    Rules,
)
from tests.lob.replay.trader import trader

COMPILED: Any = hook.strategy(trader(hook.place, hook.cancel, hook.modify, hook.wake, njit))
PLAIN = trader(plain_requests.place, plain_requests.cancel, plain_requests.modify, plain_requests.wake)
MODELS = (
    ("risk_averse", 1.0),
    ("power", 1.0),
    ("power", 3.0),
    ("power2", 2.0),
    ("power3", 3.0),
    ("log", 1.0),
    ("log2", 1.0),
)


Params = tuple[float, float, float, float]


def tape(rng: np.random.Generator, length: int, markets: int) -> list[Row]:
    """Rows of any kind, often at one instant, around the tick 100; books may be crossed, empty or cleared."""
    step, delay = int(rng.choice([1, 5, 40])), int(rng.choice([0, 3, 60]))
    wild = rng.random() < 0.3  # of other kinds than depth and trades, and crossed
    kinds = [0.5, 0.3, 0.1, 0.05, 0.05] if wild else [0.6, 0.4, 0.0, 0.0, 0.0]
    rows: list[Row] = []
    now = T0
    for _ in range(length):
        now += int(rng.integers(0, step + 1)) if rng.random() < 0.95 else DAY_NS // 3
        market, side = int(rng.integers(markets)), int(rng.choice([1, -1]))
        kind = int(rng.choice([DEPTH, TRADE, BEST, CLEAR, FUNDING], p=kinds))
        away = int(rng.integers(-2 if wild else 0, 4))
        tick, lots = 100 - side * (1 + away), int(rng.integers(0, 12))
        if kind == TRADE:
            tick, lots = 100 + int(rng.integers(-3, 4)), lots + 1
        elif kind == CLEAR:
            tick = int(rng.choice([-1, tick]))
        elif kind == FUNDING:
            lots = int(rng.integers(-(10**9), 10**9))
        more = MORE if kind in (DEPTH, BEST, CLEAR) and rng.random() < 0.15 else 0
        rows.append((now, now + int(rng.integers(0, delay + 1)), lots, tick, market, kind | more, side))
    return rows


TIERS = ((0.0, 0.00045, 0.00015), (100.0, 0.0004, -0.0001), (300.0, 0.0003, -0.0002))
MEASURED = ((T0, 5), (T0 + 20, 40), (T0 + 30, 0), (T0 + 90, 10))


def delay_of(rng: np.random.Generator) -> tuple[Any, ...]:
    every: list[tuple[Any, ...]] = [("table", MEASURED), ("recorded", int(rng.choice([0, 4, -2])))]
    every += [("constant", int(ns)) for ns in (0, 1, 7, 50)]
    every += [("lognormal", float(median), 1.0, int(rng.integers(100))) for median in (3, 25)]
    return every[int(rng.integers(len(every)))]


def rules_of(rng: np.random.Generator, block_ns: int) -> Rules:
    model, power = MODELS[int(rng.integers(len(MODELS)))]
    return Rules(
        model=model,
        power=power,
        partial=bool(rng.integers(2)),
        capped=bool(rng.integers(2)),
        impact=rng.random() < 0.3,
        block_ns=block_ns if rng.random() < 0.7 else 0,
        feed=("recorded", 0) if rng.random() < 0.5 else delay_of(rng),
        entry=delay_of(rng),
        response=delay_of(rng),
        tiers=TIERS,
        decimals=6 if rng.random() < 0.5 else None,
    )


def case_of(seed: int, length: int, block_ns: int = 0) -> tuple[list[Row], list[Rules], Params]:
    """A tape, the rules of its markets, and a strategy."""
    rng = np.random.default_rng(seed)
    markets = int(rng.choice([1, 1, 2, 3]))
    each = [rules_of(rng, block_ns) for _ in range(markets)]
    params = (float(rng.integers(1, 2**31 - 1)), float(rng.choice([5, 30, 90])), float(markets), 50.0)
    return tape(rng, length, markets), each, params


def by_engine(rows: Sequence[Row], each: Sequence[Rules], params: Sequence[float], cuts: Sequence[int] = ()) -> Outcome:
    """The engine's answer, with the tape fed in parts that end at ``cuts``."""
    replay = Replay([terms_of(one) for one in each], COMPILED, ReplayTerms(), params)
    tape = tape_of(rows)
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        replay.feed(tape[start:end])
    return replay.finish()


def by_oracle(rows: Sequence[Row], each: Sequence[Rules], params: Sequence[float]) -> Oracle:
    plain = Oracle(each, rows, PLAIN)
    plain.params[: len(params)] = params
    return plain.run()


def conserved(result: Result, rows: Sequence[Row], each: Sequence[Rules]) -> None:
    """What must hold whatever the rules of a fill are."""
    lots_of = {one["order"]: one["lots"] for one in result.sent if one["action"] == NEW}
    arrived = {one["order"]: one["exch_ns"] for one in result.sent if one["action"] == NEW}
    over = {
        one["order"]: one["exch_ns"] for one in result.sent if one["action"] == CANCEL and one["outcome"] == CANCELLED
    }
    changed = {one["order"] for one in result.sent if one["action"] not in (NEW, CANCEL)}
    filled: dict[int, int] = {}
    cash, held = [Fraction(0)] * len(each), [0] * len(each)
    for exch_ns, local_ns, market, order, side, tick, lots, left, position, _maker, why in result.fills:
        filled[order] = filled.get(order, 0) + lots
        assert lots > 0 and left >= 0
        assert arrived[order] <= exch_ns <= local_ns
        assert exch_ns <= over.get(order, exch_ns)
        held[market] += side * lots
        assert position == held[market]
        cash[market] -= side * tick * each[market].tick_size * lots * each[market].lot_size
        if why == BY_QUEUE and each[market].capped and each[market].partial:
            traded = [
                r[2] for r in rows if r[0] == exch_ns and r[4] == market and r[5] & ~MORE == TRADE and r[3] == tick
            ]
            assert lots <= max(traded)
        assert why == AS_TAKER or exch_ns in {r[0] for r in rows}
    assert all(lots <= lots_of[order] for order, lots in filled.items() if order not in changed)
    assert held == result.positions
    assert [float(one) for one in cash] == pytest.approx(result.cash, abs=1e-9)


@given(seed=st.integers(0, 2**32 - 1), length=st.integers(1, 150))
@settings(max_examples=120, deadline=None)
def test_engine_and_oracle_agree(seed: int, length: int) -> None:
    rows, each, params = case_of(seed, length)
    result = agree(by_engine(rows, each, params), by_oracle(rows, each, params))
    conserved(result, rows, each)


@given(seed=st.integers(0, 2**32 - 1), length=st.integers(1, 150))
@settings(max_examples=60, deadline=None)
def test_they_agree_on_a_venue_with_blocks(seed: int, length: int) -> None:
    rows, each, params = case_of(seed, length, block_ns=16)
    result = agree(by_engine(rows, each, params), by_oracle(rows, each, params))
    conserved(result, rows, each)


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 100), max_size=4).map(sorted))
@settings(max_examples=40, deadline=None)
def test_chunks_do_not_matter(seed: int, cuts: list[int]) -> None:
    """A tape fed in any parts gives what it gives at once, wakes included."""
    rows, each, params = case_of(seed, 100)
    whole, parts = by_engine(rows, each, params), by_engine(rows, each, params, cuts)
    assert whole.fills.tobytes() == parts.fills.tobytes()
    assert whole.sent.tobytes() == parts.sent.tobytes()
    assert whole.counters == parts.counters


def test_the_random_runs_reach_every_rule() -> None:
    """Fills of every cause, every outcome of a request: the property above is not about empty runs."""
    why: set[int] = set()
    outcomes: set[int] = set()
    for seed in range(60):
        plain = by_oracle(*case_of(seed, 120))
        why |= {fill.why for fill in plain.fills}
        outcomes |= {one["outcome"] for one in plain.sent}
    assert why == set(range(4))
    assert outcomes == {
        ACCEPTED,
        FILLED,
        CANCELLED,
        EXPIRED,
        MODIFIED,
        WOULD_TRADE,
        NOT_REDUCING,
        TOO_LATE,
        NO_LIQUIDITY,
    }
