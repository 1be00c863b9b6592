"""Nothing after a moment changes what is sent at that moment: tapes that are alike as far as it can be known.

Two tapes share their first rows; the others are changed, removed or added at will. A row can be known once it is
heard, and once an answer of the exchange could tell of what it did, a response delay after it was made. Up to the
first such time of either rest, a strategy that puts everything it is told into what it sends must send the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.lob.replay import hook
from slipstream.lob.replay.replay import Replay
from tests.lob.replay.both import T0, tape_of, terms_of
from tests.lob.replay.plain_market import BEST, CLEAR, DAY_NS, DEPTH, FUNDING, TRADE, Delay, Row, Rules
from tests.lob.replay.test_against_oracle import COMPILED, delay_of, rules_of, tape

DECISION = ("sent_ns", "arrive_ns", "market", "order", "action", "side", "tick", "lots", "tif", "reduce_only")
PARAMS = (60.0, 50.0)
LAST = T0 + 10 * DAY_NS  # both tapes go on long after all that matters: a run ends with its tape


def looking() -> Any:
    """The same strategy with a look at what is the engine's own business, of the kind that params[4] says.

    1: its dice know how many fills the exchange has made and which rows it has acted upon. 2: whether it acts depends
    on the exchange's clock, which runs ahead of ours.
    """
    act = COMPILED

    @hook.strategy
    def peek(sim: Any) -> None:
        if sim.params[4] == 1:
            sim.imemory[0] = (sim.imemory[0] + 77 * sim.n_fills + 131 * sim.row) % 2147483647
        if sim.params[4] == 1 or sim.event == 0 or sim.exch_ns % 3 != 0:
            act(sim)

    return peek


def decisions(rows: Sequence[Row], each: Sequence[Rules], params: Sequence[float], strategy: Any) -> list[list[int]]:
    """Every request that was sent, as far as we decide about it."""
    replay = Replay([terms_of(one) for one in each], strategy, None, params)
    replay.feed(tape_of([*rows, (LAST, LAST, 1, 90, 0, DEPTH, 1)]))
    return [[int(sent[name]) for name in DECISION] for sent in replay.finish().sent]


def known_from(rows: Sequence[Row], each: Sequence[Rules]) -> int:
    """The first time at which any of the rows could be known here."""
    first = LAST
    for exch_ns, local_ns, _, _, market, _, _ in rows:
        rules = each[market]
        kind, *terms = rules.feed
        heard = max(local_ns - exch_ns + terms[0], 0) if kind == "recorded" else Delay(rules.feed).least()
        told = min(Delay(one.response).least() for one in each)
        first = min(first, exch_ns + min(heard, told))
    return first


def other_rest(rng: np.random.Generator, kept: Sequence[Row], rest: Sequence[Row], markets: int) -> list[Row]:
    """What may come instead: the same rows but for some numbers, fewer, more, or others altogether."""
    how = int(rng.integers(4))
    if how == 0:
        return []
    if how == 1:
        return [row for row in rest if rng.random() < 0.5]
    if how == 2:
        return [
            (*row[:2], int(row[2]) + int(rng.integers(1, 9)), row[3] + int(rng.integers(-1, 2)), *row[4:])
            for row in rest
        ]
    start = rest[0][0]
    return [(start + row[0] - T0, start + row[1] - T0, *row[2:]) for row in tape(rng, 40, markets)]


def compared(
    seed: int, length: int, strategy: Any = COMPILED, look: float = 0.0, later_ns: int = 0
) -> tuple[list[list[int]], list[list[int]]]:
    """What was sent up to the last moment at which two tapes are still alike to us, or ``later_ns`` after it."""
    rng = np.random.default_rng(seed)
    markets = int(rng.choice([1, 2]))
    each = [rules_of(rng, 16 if rng.random() < 0.2 else 0) for _ in range(markets)]
    if rng.random() < 0.7:  # delays that separate what is done from what is known
        away = [("constant", int(ns)) for ns in rng.integers(5, 60, 2)]
        each = [Rules(**{**vars(one), "feed": away[0], "response": away[1], "entry": delay_of(rng)}) for one in each]
    rows = tape(rng, length, markets)
    cut = int(rng.integers(1, length))
    rest = other_rest(rng, rows[:cut], rows[cut:], markets)
    params = (float(rng.integers(1, 2**31 - 1)), PARAMS[0], float(markets), PARAMS[1], look)
    until = min(known_from(rows[cut:], each), known_from(rest, each)) + later_ns
    both = [decisions(one, each, params, strategy) for one in (rows, [*rows[:cut], *rest])]
    before, after = ([sent for sent in each_of if sent[0] < until] for each_of in both)
    return before, after


@given(seed=st.integers(0, 2**32 - 1), length=st.integers(2, 120))
@settings(max_examples=150, deadline=None)
def test_nothing_after_a_moment_changes_what_is_sent_at_it(seed: int, length: int) -> None:
    before, after = compared(seed, length)
    assert before == after


def test_there_is_something_to_compare() -> None:
    """Many of the tapes above have requests in the part that is alike; what is sent after it does differ."""
    assert sum(len(compared(seed, 80)[0]) > 3 for seed in range(40)) > 20
    pairs = (compared(seed, 80, later_ns=DAY_NS) for seed in range(40))
    assert sum(before != after for before, after in pairs) > 20
    kinds = {row[5] & 63 for seed in range(40) for row in tape(np.random.default_rng(seed), 80, 1)}
    assert kinds == {DEPTH, BEST, CLEAR, TRADE, FUNDING}


def test_a_strategy_that_looks_ahead_is_caught() -> None:
    strategy = looking()
    for look in (1.0, 2.0):
        pairs = (compared(seed, 80, strategy, look) for seed in range(60))
        assert sum(before != after for before, after in pairs) > 5
