"""docs/fills.md, bullet by bullet: taking, reduce-only, blocks, money, and what is not modelled."""

from __future__ import annotations

import pytest

from tests.lob.replay.both import BUY, SELL, T0, US, Api, Script, book, by_engine, depth, row, run, trade
from tests.lob.replay.plain_market import (
    ACCEPTED,
    ALO,
    AS_TAKER,
    CANCEL,
    CANCELLED,
    DAY_NS,
    EXPIRED,
    FILLED,
    FUNDING,
    GTC,
    IOC,
    MODIFIED,
    MODIFY,
    NEW,
    NO_LIQUIDITY,
    NOT_REDUCING,
    REDUCE_CANCELLED,
    WOULD_TRADE,
    Rules,
)

LAST = depth(90, BUY, 90, 1)  # so that everything is heard


# taking


def test_t1_what_the_book_is_on_arrival_decides() -> None:
    script = [(5, lambda api: api.place(BUY, 101, 3))]
    came = run([*book(), depth(12, SELL, 101, 9), LAST], script, entry=("constant", 10 * US))
    assert came.short() == [(15, 101, 3)]
    assert came.fills[0][10] == AS_TAKER
    went = run([*book(ask=101), depth(12, SELL, 101, 0), LAST], script, entry=("constant", 10 * US))
    assert (went.short(), went.outcomes()) == ([], [ACCEPTED])


def test_t2_without_partial_fills_all_at_the_best() -> None:
    result = run([*book(), LAST], [(5, lambda api: api.place(BUY, 103, 50))], partial=False)
    assert result.short() == [(5, 102, 50)]


def test_t3_with_partial_fills_level_by_level() -> None:
    for tif in (GTC, IOC):
        result = run([*book(), LAST], [(5, lambda api, tif=tif: api.place(BUY, 104, 25, tif))], partial=True)
        assert result.short() == [(5, 102, 10), (5, 103, 10), (5, 104, 5)]
        assert result.outcomes() == [FILLED]


def test_t4_a_gtc_remainder_is_filled_at_the_limit() -> None:
    result = run([*book(), LAST], [(5, lambda api: api.place(BUY, 103, 35))], partial=True)
    assert result.short() == [(5, 102, 10), (5, 103, 25)]


def test_t5_an_ioc_lets_the_rest_go() -> None:
    script = [(5, lambda api: api.place(BUY, 103, 35, IOC)), (6, lambda api: api.place(BUY, 101, 5, IOC))]
    result = run([*book(), trade(10, SELL, 99, 50), LAST], script, partial=True)
    assert result.short() == [(5, 102, 10), (5, 103, 10)]
    assert result.outcomes() == [EXPIRED, NO_LIQUIDITY]
    assert result.positions == [20]


def test_t6_a_post_only_order_that_would_take_is_refused() -> None:
    script = [(5, lambda api: api.place(BUY, 102, 3, ALO)), (6, lambda api: api.place(BUY, 101, 3, ALO))]
    result = run([*book(), LAST], script)
    assert (result.short(), result.outcomes()) == ([], [WOULD_TRADE, ACCEPTED])


def test_t7_taking_pays_the_takers_fee() -> None:
    result = run([*book(), LAST], [(5, lambda api: api.place(BUY, 102, 4))], tiers=((0.0, 0.0004, 0.0001),))
    assert result.fills[0][9] is False
    assert result.fees == [pytest.approx(51.0 * 0.0004)]  # 4 lots of a quarter at 51


def test_t8_the_tape_does_not_react() -> None:
    script = [(at, lambda api: api.place(BUY, 102, 10, IOC)) for at in (5, 6)]
    result = run([*book(), depth(20, BUY, 97, 1), LAST], script, partial=True)
    assert result.short() == [(5, 102, 10), (6, 102, 10)]
    assert result.wakes[-1].quote == (100, 10, 102, 10)


def test_t9_with_own_impact_lots_taken_are_gone_until_their_levels_next_row() -> None:
    script = [(at, lambda api: api.place(BUY, 104, 8, IOC)) for at in (5, 6, 20)]
    rows = [*book(), depth(10, BUY, 97, 1), depth(15, SELL, 102, 3), LAST]
    result = run(rows, script, partial=True, impact=True)
    assert result.short() == [(5, 102, 8), (6, 102, 2), (6, 103, 6), (20, 102, 3), (20, 103, 4), (20, 104, 1)]
    touch = {wake.ns: wake.quote[2:] for wake in result.wakes}
    assert touch[T0 + 11 * US] == (103, 4)  # what was public at 10
    assert touch[T0 + 16 * US] == (102, 3)


# reduce-only


def test_r1_one_that_would_open_or_grow_is_refused() -> None:
    script = [
        (5, lambda api: api.place(BUY, 102, 3, GTC, True)),
        (6, lambda api: api.place(BUY, 102, 3)),
        (7, lambda api: api.place(BUY, 102, 3, GTC, True)),
    ]
    result = run([*book(), LAST], script)
    assert result.outcomes() == [NOT_REDUCING, FILLED, NOT_REDUCING]
    assert result.positions == [3]


def test_r2_a_larger_one_is_cut_to_the_position() -> None:
    script = [(5, lambda api: api.place(BUY, 102, 3)), (6, lambda api: api.place(SELL, 100, 10, IOC, True))]
    result = run([*book(), LAST], script)
    assert result.short() == [(5, 102, 3), (6, 100, 3)]
    assert (result.positions, result.outcomes()) == ([0], [FILLED, FILLED])


def test_r3_a_resting_one_is_cut_or_gone_when_reached() -> None:
    def script(sold: int) -> Script:
        return [
            (5, lambda api: api.place(BUY, 102, 5)),
            (6, lambda api: api.place(SELL, 104, 5, GTC, True)),
            (7, lambda api: api.place(SELL, 100, sold, IOC)),
        ]

    rows = [*book(), trade(10, BUY, 105, 1), LAST]
    cut = run(rows, script(3))
    assert cut.short() == [(5, 102, 5), (7, 100, 3), (10, 104, 2)]
    assert cut.positions == [0]
    gone = run(rows, script(5))
    assert gone.short() == [(5, 102, 5), (7, 100, 5)]
    assert [wake.answer[0] for wake in gone.wakes if wake.answer[1] == REDUCE_CANCELLED] == [2]


# the venue's blocks


BLOCKS = {"block_ns": 10 * US, "entry": ("constant", 2 * US)}


def test_b1_what_arrives_in_a_block_is_executed_at_its_end() -> None:
    rows = [*book(), trade(8, SELL, 99, 1), trade(10, SELL, 99, 1), trade(11, SELL, 99, 1), LAST]
    result = run(rows, [(5, lambda api: api.place(BUY, 100, 3))], **BLOCKS)
    assert result.short() == [(11, 100, 3)]
    assert [(one["arrive_ns"] - T0, one["exch_ns"] - T0) for one in result.sent] == [(7 * US, 10 * US)]
    on_time = run(rows, [(8, lambda api: api.place(BUY, 100, 3))], **BLOCKS)
    assert on_time.sent[0]["exch_ns"] == T0 + 10 * US


def test_b2_post_only_then_cancels_then_the_others_by_arrival() -> None:
    script = [
        (1, lambda api: api.place(BUY, 97, 1)),
        (12, lambda api: api.place(BUY, 102, 1, IOC)),
        (13, lambda api: api.place(BUY, 102, 2, GTC)),
        (14, lambda api: api.cancel(0)),
        (15, lambda api: api.place(BUY, 96, 3, ALO)),
        (16, lambda api: api.place(BUY, 95, 4, ALO)),
        (19, lambda api: api.place(BUY, 94, 5, ALO)),  # the next block
    ]
    result = run([*book(), LAST], script, **BLOCKS)
    done = [(one["action"], one["lots"]) for one in result.sent]
    assert done == [(NEW, 1), (NEW, 3), (NEW, 4), (CANCEL, 1), (NEW, 1), (NEW, 2), (NEW, 5)]
    assert {one["exch_ns"] - T0 for one in result.sent[1:6]} == {20 * US}


def test_b3_a_change_goes_where_the_new_order_would() -> None:
    script = [
        (1, lambda api: (api.place(BUY, 97, 1, ALO), api.place(BUY, 97, 2), api.place(BUY, 97, 3))),
        (12, lambda api: (api.cancel(2), api.modify(96, 2, order=1), api.modify(96, 1, order=0))),
    ]
    result = run([*book(), LAST], script, **BLOCKS)
    assert [(one["action"], one["order"]) for one in result.sent[3:]] == [(MODIFY, 1), (CANCEL, 3), (MODIFY, 2)]
    assert result.outcomes()[3:] == [MODIFIED, CANCELLED, MODIFIED]


# money


def test_m1_position_cash_and_fees_change_with_the_fill() -> None:
    rows = [*book(), trade(10, SELL, 99, 1), trade(20, BUY, 105, 1), LAST]
    script = [(5, lambda api: (api.place(BUY, 100, 8), api.place(SELL, 104, 4)))]
    result = run(rows, script, tiers=((0.0, 0.01, 0.001),))
    assert result.positions == [4]
    assert result.cash == [-8 * 0.25 * 50.0 + 4 * 0.25 * 52.0]
    assert result.fees == [pytest.approx(0.1 + 0.052)]
    assert [fill[8] for fill in result.fills] == [8, 4]


def test_m2_fees_are_by_the_volume_of_the_fourteen_days_before() -> None:
    day = DAY_NS // US
    tiers = ((0.0, 0.001, 0.0), (50.0, 0.0005, -0.0001))
    script = [(at, lambda api: api.place(BUY, 100, 4, IOC)) for at in (5, 6, day + 5, 15 * day + 5)]
    script += [(day + 6, lambda api: api.place(SELL, 104, 4, ALO))]
    rows = [*book(98, 100), trade(day + 10, BUY, 105, 1), depth(16 * day, BUY, 90, 1)]
    result = run(book(0, 98, 100) + rows[6:], script, tiers=tiers, decimals=2)
    # 50 each: 0.05, 0.05; then 100 of yesterday: 0.025, truncated; the rebate of 52 is 0.0052: nothing; then 102 of
    # the day after are still there
    assert result.outcome.fills["fee"].tolist() == [0.05, 0.05, 0.02, 0.0, 0.02]
    exact = run(book(0, 98, 100) + rows[6:], script, tiers=tiers)
    assert exact.outcome.fills["fee"] == pytest.approx([0.05, 0.05, 0.025, -0.0052, 0.025])
    known, _ = by_engine([*book(0, 98, 100), LAST], [Rules(tiers=tiers)], [script[0]], volume=60.0)
    assert known.fills["fee"] == pytest.approx([0.025])


def test_m3_longs_pay_the_rate_of_the_oracle_price() -> None:
    rate = row(20, FUNDING, 1, 104, 10**9)  # a thousandth at 52
    for side, tick, paid in ((BUY, 102, -0.052), (SELL, 100, 0.052)):
        script = [(5, lambda api, side=side, tick=tick: api.place(side, tick, 4))]
        assert run([*book(), rate, LAST], script).funding == [pytest.approx(paid)]


def test_m4_who_holds_nothing_then_pays_nothing() -> None:
    rows = [*book(), row(20, FUNDING, 1, 104, 10**9), LAST]
    assert run(rows, [(21, lambda api: api.place(BUY, 102, 4))]).funding == [0.0]
    script = [(5, lambda api: api.place(BUY, 102, 4)), (6, lambda api: api.place(SELL, 100, 4))]
    assert run(rows, script).funding == [0.0]


def test_m5_cash_and_position_are_the_sum_of_the_fills() -> None:
    script = [(5, lambda api: (api.place(BUY, 104, 25), api.place(BUY, 99, 7), api.place(SELL, 98, 13, IOC)))]
    result = run([*book(), trade(10, SELL, 98, 1), LAST], script, partial=True)
    assert result.cash == [-sum(fill[4] * fill[5] * 0.5 * fill[6] * 0.25 for fill in result.fills)]
    assert result.positions == [sum(fill[4] * fill[6] for fill in result.fills)] == [25 + 7 - 13]
    assert result.cash == [-0.125 * (1020 + 1030 + 520 + 693 - 1000 - 297)]


# not modelled


def test_n1_own_orders_are_not_in_the_book() -> None:
    result = run([*book(), LAST], [(5, lambda api: api.place(BUY, 101, 3))])
    assert result.wakes[-1].quote == (100, 10, 102, 10)


def test_n2_own_orders_do_not_meet() -> None:
    result = run([*book(), LAST], [(5, lambda api: (api.place(BUY, 101, 3), api.place(SELL, 101, 3)))])
    assert (result.short(), result.outcomes()) == ([], [ACCEPTED, ACCEPTED])


def test_n3_own_orders_at_one_price_do_not_queue_behind_each_other() -> None:
    script = [(5, lambda api: (api.place(BUY, 100, 3), api.place(BUY, 100, 4)))]
    result = run([*book(), trade(10, SELL, 100, 12), LAST], script, partial=True)
    assert result.short() == [(10, 100, 2), (10, 100, 2)]


def test_n4_there_is_no_margin() -> None:
    result = run([*book(), LAST], [(5, lambda api: api.place(BUY, 102, 10**9))])
    assert result.positions == [10**9]


def test_n5_there_are_no_limits_of_rate_or_size() -> None:
    def many(api: Api) -> None:
        for _ in range(100):
            api.place(BUY, 1, 1)

    assert run([*book(), LAST], [(5, many)]).outcomes() == [ACCEPTED] * 100
