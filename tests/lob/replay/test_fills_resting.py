"""docs/fills.md, bullet by bullet: resting orders, whole fills and partial ones. The book shows 10 lots a level."""

from __future__ import annotations

import numpy as np
import pytest

from slipstream.lob.replay.replay import Replay
from slipstream.lob.replay.rows import L3_ROW_DTYPE
from tests.lob.replay.both import BUY, SELL, Api, Script, book, depth, row, run, terms_of, trade
from tests.lob.replay.plain_market import (
    BEST,
    BY_CROSS,
    BY_PRICE,
    BY_QUEUE,
    CLEAR,
    DEPTH,
    FEED,
    OPEN,
    TRADE,
    Row,
    Rules,
)


def bid(lots: int = 3) -> Script:
    """Join the bid at 100 at 5: behind 10 lots."""
    return [(5, lambda api: api.place(BUY, 100, lots))]


# how it queues


def test_q1_it_joins_behind_all_lots_of_its_level() -> None:
    result = run([*book(), depth(4, BUY, 100, 17), trade(10, SELL, 100, 18)], bid())
    assert result.short() == [(10, 100, 3)]
    assert result.outcome.fills["queue_front"].tolist() == [17.0]
    alone = run([*book(), trade(10, SELL, 101, 1)], [(5, lambda api: api.place(BUY, 101, 3))])
    assert (alone.short(), alone.outcome.fills["queue_front"].tolist()) == ([(10, 101, 3)], [0.0])


def test_q2_trades_at_its_price_move_it_up() -> None:
    result = run([*book(), trade(10, SELL, 100, 4), trade(20, SELL, 100, 6), trade(30, SELL, 100, 1)], bid())
    assert result.short() == [(30, 100, 3)]
    assert result.fills[0][10] == BY_QUEUE


def test_q3_a_trade_of_all_in_front_does_not_reach_it() -> None:
    assert run([*book(), trade(10, SELL, 100, 10)], bid()).short() == []
    assert run([*book(), trade(10, SELL, 100, 11)], bid()).short() == [(10, 100, 3)]


def test_q4_a_trade_beyond_its_price_fills_all_of_it() -> None:
    for partial in (False, True):
        result = run([*book(), trade(10, SELL, 99, 1)], bid(), partial=partial)
        assert result.short() == [(10, 100, 3)]
        assert result.fills[0][10] == BY_PRICE


def test_q5_trades_that_have_not_come_to_it_do_nothing() -> None:
    assert (
        run([*book(), trade(10, SELL, 101, 50), trade(20, BUY, 100, 50), trade(30, BUY, 102, 50)], bid()).short() == []
    )


def test_q6_it_fills_at_its_own_price_as_a_maker() -> None:
    fees = ((0.0, 0.0004, 0.0001),)
    for reaching in (trade(10, SELL, 98, 1), depth(10, SELL, 98, 1), trade(10, SELL, 100, 11)):
        result = run([*book(), reaching], bid(4), tiers=fees)
        assert result.short() == [(10, 100, 4)]
        assert result.fills[0][9] is True
        assert result.fees == [pytest.approx(50.0 * 1.0 * 0.0001)]  # 4 lots of a quarter at 100 ticks of a half


def test_q7_newcomers_are_behind_it() -> None:
    for model in ("risk_averse", "power", "log"):
        result = run([*book(), depth(8, BUY, 100, 30), trade(10, SELL, 100, 11)], bid(), model=model)
        assert result.short() == [(10, 100, 3)]


def test_q8_risk_averse_what_leaves_was_behind_while_that_can_be() -> None:
    grown = [*book(), depth(6, BUY, 100, 30)]
    assert run([*grown, depth(8, BUY, 100, 15), trade(10, SELL, 100, 10)], bid()).short() == []
    assert run([*grown, depth(8, BUY, 100, 15), trade(10, SELL, 100, 11)], bid()).short() == [(10, 100, 3)]
    assert run([*grown, depth(8, BUY, 100, 4), trade(10, SELL, 100, 4)], bid()).short() == []
    assert run([*grown, depth(8, BUY, 100, 4), trade(10, SELL, 100, 5)], bid()).short() == [(10, 100, 3)]


@pytest.mark.parametrize(("model", "power", "front"), [("power", 1.0, 7), ("power2", 2.0, 5), ("power3", 2.0, 9)])
def test_q9_of_what_leaves_without_a_trade_a_part_was_in_front(model: str, power: float, front: int) -> None:
    """10 in front, 20 behind, 9 leave: in front were 9 x 10/30, 9 x (1 - (20/30)^2) = 5, 9 x (10/30)^2 = 1 of them."""
    rows = [*book(), depth(6, BUY, 100, 30), depth(8, BUY, 100, 21)]
    terms = {"model": model, "power": power, "partial": True}
    assert run([*rows, trade(10, SELL, 100, front)], bid(), **terms).short() == []
    assert run([*rows, trade(10, SELL, 100, front + 1)], bid(), **terms).short() == [(10, 100, 1)]
    cautious = run([*rows, trade(10, SELL, 100, front + 1)], bid(), partial=True)
    assert cautious.short() == ([] if front < 10 else [(10, 100, 1)])


def test_q10_a_trade_and_the_depth_that_shows_it_count_once() -> None:
    rows = [*book(), depth(6, BUY, 100, 30), trade(8, SELL, 100, 6), depth(9, BUY, 100, 24)]
    terms = {"model": "power", "power": 1.0, "partial": True}
    assert run([*rows, trade(10, SELL, 100, 4)], bid(), **terms).short() == []
    assert run([*rows, trade(10, SELL, 100, 5)], bid(), **terms).short() == [(10, 100, 1)]


def test_q11_a_change_of_depth_of_its_level_never_fills_it() -> None:
    rows = [*book(), depth(8, BUY, 100, 0)]
    assert run(rows, bid()).short() == []
    assert run([*rows, trade(10, SELL, 100, 1)], bid()).short() == [(10, 100, 3)]  # nobody was in front any more


def test_q12_the_other_sides_best_at_its_price_or_beyond_fills_all_of_it() -> None:
    for tick in (100, 99):
        result = run([*book(), depth(10, SELL, tick, 1)], bid(), partial=True)
        assert result.short() == [(10, 100, 3)]
        assert result.fills[0][10] == BY_CROSS
    assert run([*book(), depth(10, SELL, 101, 1)], bid()).short() == []


def test_q13_the_other_sides_best_moving_away_fills_nothing() -> None:
    result = run([*book(), depth(8, SELL, 102, 0), depth(9, SELL, 103, 0)], [(5, lambda api: api.place(BUY, 101, 3))])
    assert result.short() == []
    assert result.wakes[-1].orders == ((OPEN, 101, 3),)


def test_q14_a_worse_best_of_its_own_side_leaves_it_where_it_stood() -> None:
    rows = [*book(), row(8, BEST, BUY, 98, 5)]
    assert run(rows, bid()).wakes[-1].quote == (98, 5, 102, 10)
    assert run([*rows, trade(10, SELL, 100, 10)], bid(), partial=True).short() == []
    assert run([*rows, trade(10, SELL, 100, 11)], bid(), partial=True).short() == [(10, 100, 1)]


def test_q15_a_cleared_side_leaves_it_and_the_snapshot_bounds_what_is_in_front() -> None:
    rows = [*book(), row(8, CLEAR, BUY, -1, 0), depth(9, BUY, 100, 4)]
    assert run(rows, bid()).wakes[-1].quote == (100, 4, 102, 10)
    assert run([*rows, trade(10, SELL, 100, 4)], bid(), partial=True).short() == []
    assert run([*rows, trade(10, SELL, 100, 5)], bid(), partial=True).short() == [(10, 100, 1)]


def test_q16_where_the_tape_names_orders_the_place_is_known() -> None:
    """Order 1 (10 lots) is in front of ours, order 2 (20 lots) behind. A trade of 10 reaches us only if 1 has left."""

    def filled(leaver: int, traded: int) -> list[int]:
        level = 30 - (10 if leaver == 1 else 20)
        seen = [(depth(0, SELL, 102, 1), 0), (depth(0, BUY, 100, 10), 1), (depth(6, BUY, 100, 30), 2)]
        seen += [(depth(8, BUY, 100, level), leaver), (trade(10, SELL, 100, traded), 0)]
        rows = np.array([(*one, seq) for one, seq in seen], dtype=L3_ROW_DTYPE)
        replay = Replay([terms_of(Rules(model="exact", partial=True))], row=L3_ROW_DTYPE)
        for part in (rows, None):
            while replay.advance(part):
                if (int(replay.sim["event"]), int(replay.sim["lots"]), int(replay.sim["tick"])) == (FEED, 1, 102):
                    replay.place(0, BUY, 100, 5, 0)  # heard at 1, when order 1 has joined
        return [int(lots) for lots in replay.finish().fills["lots"]]

    assert filled(leaver=2, traded=10) == []
    assert filled(leaver=2, traded=12) == [2]
    assert filled(leaver=1, traded=2) == [2]


def test_q17_front_is_in_fractions_and_half_a_lot_reaches() -> None:
    """10 in front, 30 behind, 2 leave: 9.5 in front."""
    rows = [*book(), depth(6, BUY, 100, 40), depth(8, BUY, 100, 38)]
    terms = {"model": "power", "power": 1.0, "partial": True}
    assert run([*rows, trade(10, SELL, 100, 9)], bid(), **terms).short() == []
    assert run([*rows, trade(10, SELL, 100, 10)], bid(), **terms).short() == [(10, 100, 1)]
    assert run([*rows, trade(10, SELL, 100, 11)], bid(), **terms).short() == [(10, 100, 2)]


# whole fills and partial fills


def test_p1_without_partial_fills_a_reached_order_is_filled() -> None:
    assert run([*book(), trade(10, SELL, 100, 11)], bid(7), partial=False).short() == [(10, 100, 7)]


def test_p2_with_partial_fills_it_gets_what_was_left_and_stays_in_front() -> None:
    rows = [*book(), trade(10, SELL, 100, 11), trade(20, SELL, 100, 2), trade(30, SELL, 100, 9)]
    result = run(rows, bid(7), partial=True)
    assert result.short() == [(10, 100, 1), (20, 100, 2), (30, 100, 4)]
    assert [fill[7] for fill in result.fills] == [6, 4, 0]


def events_of_the_trace() -> list[Row]:
    """The reference's trace of queue models: the front is -4.06 of POWER2 (n 3) before the last trade of 25."""
    events = [(DEPTH, 130), (TRADE, 10), (DEPTH, 120), (DEPTH, 95), (TRADE, 40), (TRADE, 15)]
    events += [(DEPTH, 30), (DEPTH, 50), (DEPTH, 20), (TRADE, 25)]
    return [row(10 + i, kind, SELL if kind == TRADE else BUY, 100, lots) for i, (kind, lots) in enumerate(events)]


def test_p3_capped_a_trade_fills_no_more_than_its_lots() -> None:
    rows = [*book(), depth(4, BUY, 100, 100), *events_of_the_trace()]
    terms = {"model": "power2", "power": 3.0, "partial": True}
    assert run(rows, bid(60), **terms).short() == [(19, 100, 25)]
    assert run(rows, bid(60), **terms, capped=False).short() == [(19, 100, 29)]


def test_p4_an_order_never_fills_beyond_its_lots() -> None:
    gone: list[bool] = []

    def after(api: Api) -> None:
        gone.append(api.cancel())

    rows = [*book(), trade(10, SELL, 100, 11), trade(20, SELL, 100, 50), trade(30, SELL, 99, 50)]
    result = run(rows, [*bid(), (40, after)], partial=True)
    assert result.short() == [(10, 100, 1), (20, 100, 2)]
    assert result.positions == [3]
    assert not any(gone)
