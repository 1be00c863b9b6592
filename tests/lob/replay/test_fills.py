"""docs/fills.md, bullet by bullet: who sees what and when, and the way of an order. Its neighbours hold the others."""

from __future__ import annotations

import re
from pathlib import Path

from tests.lob.replay.both import BUY, SELL, T0, US, Api, book, depth, row, run, trade
from tests.lob.replay.plain_market import (
    ACCEPTED,
    ALO,
    CANCELLED,
    DEPTH,
    FEED,
    FILLED,
    IOC,
    MODIFIED,
    MORE,
    OPEN,
    PART_FILLED,
    RESPONSE,
    START,
    TIMER,
    TOO_LATE,
    Rules,
)

HERE = Path(__file__).parent


def test_every_bullet_has_one_test_and_every_test_its_bullet() -> None:
    bullets = re.findall(r"^- \*\*([A-Z]\d+)\*\* ", (HERE.parents[2] / "docs/fills.md").read_text(), re.MULTILINE)
    tests = [
        name.upper()
        for path in sorted(HERE.glob("test_fills*.py"))
        for name in re.findall(r"^def test_([a-z]\d+)_", path.read_text(), re.MULTILINE)
    ]
    assert len(bullets) > 50
    assert sorted(bullets) == sorted(set(bullets)), "an id twice"
    assert sorted(tests) == sorted(bullets)


# who sees what, and when


def test_w1_a_row_is_acted_upon_at_its_exchange_time_and_told_when_heard() -> None:
    result = run([*book(), trade(10, SELL, 99, 1, heard=17)], [(5, lambda api: api.place(BUY, 100, 3))])
    assert result.short() == [(10, 100, 3)]
    told = [wake.ns for wake in result.wakes if wake.event == FEED and wake.row[2:] == (99, 1)]
    assert told == [T0 + 17 * US]


def test_w2_quotes_are_of_the_rows_heard() -> None:
    rows = [*book(), depth(10, BUY, 101, 7, heard=30), depth(40, SELL, 109, 1)]
    result = run(rows, [(20, lambda _: None), (30, lambda _: None)])
    touch = {wake.ns: wake.quote for wake in result.wakes if wake.event == TIMER}
    assert touch == {T0 + 20 * US: (100, 10, 102, 10), T0 + 30 * US: (101, 7, 102, 10)}


def test_w3_a_message_is_told_once_and_acted_upon_row_by_row() -> None:
    rows = [*book(), row(10, DEPTH | MORE, SELL, 101, 5), row(10, DEPTH, SELL, 101, 0), depth(20, BUY, 97, 1)]
    result = run(rows, [(5, lambda api: api.place(BUY, 101, 3))])
    assert result.short() == [(10, 101, 3)]  # the ask was at 101 between the rows
    heard = [wake for wake in result.wakes if wake.event == FEED and T0 + 10 * US < wake.ns < T0 + 20 * US]
    assert [(wake.row[2:], wake.quote) for wake in heard] == [((101, 0), (100, 10, 102, 10))]


def test_w4_rows_never_overtake_one_another() -> None:
    rows = [*book(), depth(10, BUY, 97, 1, heard=50), depth(20, BUY, 97, 2, heard=21), depth(60, BUY, 97, 3)]
    heard = [(wake.row[3], wake.ns) for wake in run(rows, []).wakes if wake.row[2] == 97]
    assert heard == [(1, T0 + 50 * US), (2, T0 + 50 * US), (3, T0 + 61 * US)]


def test_w5_at_one_instant_rows_then_orders_that_arrive_then_what_is_heard_then_answers_then_timers() -> None:
    """At 20: the best ask goes to 101, the second order arrives; the row of 10 and the first's answer are heard."""
    rows = [*book(), depth(10, BUY, 97, 1, heard=20), depth(20, SELL, 101, 4, heard=30)]
    script = [(8, lambda api: api.place(BUY, 96, 1)), (14, lambda api: api.place(BUY, 101, 2)), (20, lambda _: None)]
    result = run(rows, script, entry=("constant", 6 * US), response=("constant", 6 * US))
    assert [wake.event for wake in result.wakes if wake.ns == T0 + 20 * US] == [FEED, RESPONSE, TIMER]
    assert result.fills[0][0] == T0 + 20 * US
    assert result.fills[0][9] is False  # it took: the row came first


def test_w6_a_fill_is_known_when_its_answer_arrives() -> None:
    rows = [*book(), trade(10, SELL, 99, 1), depth(20, BUY, 97, 1), depth(40, BUY, 97, 2)]
    result = run(rows, [(5, lambda api: api.place(BUY, 100, 3)), (30, lambda _: None)], response=("constant", 15 * US))
    known = {wake.ns: wake.position for wake in result.wakes if wake.event != RESPONSE}
    assert result.fills[0][:2] == (T0 + 10 * US, T0 + 25 * US)
    assert (known[T0 + 21 * US], known[T0 + 30 * US]) == (0, 3)


def test_w7_a_timer_wakes_at_its_time() -> None:
    result = run([*book(), depth(50, BUY, 97, 1)], [(23, lambda _: None), (24, lambda _: None)])
    assert [wake.ns for wake in result.wakes if wake.event == TIMER] == [T0 + 23 * US, T0 + 24 * US]
    assert [wake.ns for wake in result.wakes if wake.event == START] == [T0]


def test_w8_markets_are_merged_by_time() -> None:
    rows = sorted([*book(), *book(market=1), trade(10, SELL, 99, 1, market=1, heard=12), trade(11, SELL, 99, 1)])
    script = [(5, lambda api: (api.place(BUY, 100, 3), api.place(BUY, 100, 4, market=1)))]
    result = run(rows, script, Rules(), Rules())
    assert [(fill[2], fill[6]) for fill in result.fills] == [(1, 4), (0, 3)]
    heard = [wake.market for wake in result.wakes if wake.event == FEED and wake.row[0] != DEPTH]
    assert heard == [0, 1]  # both at 12: the first market first
    assert result.positions == [3, 4]


# the way of an order


def test_a1_a_request_takes_effect_when_it_arrives() -> None:
    rows = [*book(), trade(10, SELL, 99, 5), trade(20, SELL, 99, 5)]
    result = run(rows, [(5, lambda api: api.place(BUY, 100, 3))], entry=("constant", 6 * US))
    assert result.short() == [(20, 100, 3)]
    assert (result.sent[0]["sent_ns"], result.sent[0]["exch_ns"]) == (T0 + 5 * US, T0 + 11 * US)


def test_a2_its_answer_is_known_a_response_delay_later() -> None:
    slow = {"entry": ("constant", 6 * US), "response": ("constant", 9 * US)}
    result = run([*book(), depth(50, BUY, 97, 1)], [(5, lambda api: api.place(BUY, 100, 3))], **slow)
    assert [(w.ns, w.answer[1]) for w in result.wakes if w.event == RESPONSE] == [(T0 + 20 * US, ACCEPTED)]
    assert result.sent[0]["answer_ns"] == T0 + 20 * US


def test_a3_requests_and_answers_never_overtake() -> None:
    """Entry takes 20 at first and 2 from 6 on, answers likewise: the second request arrives with the first."""
    entry = ("table", ((T0 + 5 * US, 20 * US), (T0 + 6 * US, 2 * US)))
    response = ("table", ((T0 + 25 * US, 20 * US), (T0 + 26 * US, 2 * US)))
    script = [(at, lambda api: api.place(BUY, 97, 1)) for at in (5, 7, 25)]
    result = run([*book(), depth(60, BUY, 90, 1)], script, entry=entry, response=response)
    assert [one["arrive_ns"] - T0 for one in result.sent] == [25 * US, 25 * US, 27 * US]
    assert [one["answer_ns"] - T0 for one in result.sent] == [45 * US, 45 * US, 45 * US]


def test_a4_fills_before_a_cancel_arrives_stand() -> None:
    """The order arrives at 8, is reached at 20, its cancel arrives at 24: what trades at 40 is for others."""
    rows = [*book(), trade(10, SELL, 100, 8), trade(20, SELL, 100, 3), trade(40, SELL, 99, 1)]
    script = [(1, lambda api: api.place(BUY, 100, 5)), (17, lambda api: api.cancel())]
    result = run(rows, script, partial=True, entry=("constant", 7 * US))
    assert result.short() == [(20, 100, 1)]
    assert result.outcomes() == [ACCEPTED, CANCELLED]


def test_a5_a_cancel_that_comes_too_late_changes_nothing() -> None:
    rows = [*book(), trade(10, SELL, 99, 1), depth(50, BUY, 97, 1)]
    script = [(5, lambda api: api.place(BUY, 100, 5)), (9, lambda api: api.cancel())]
    result = run(rows, script, entry=("constant", 2 * US))
    assert result.outcomes() == [ACCEPTED, TOO_LATE]
    assert [wake.answer[1] for wake in result.wakes if wake.event == RESPONSE] == [ACCEPTED, FILLED, TOO_LATE]
    assert result.positions == [5]


def test_a6_one_request_at_a_time() -> None:
    """Both delays are 10: the order sent at 5 is known to rest at 25."""
    said: list[bool] = []

    def ask(api: Api) -> None:
        said.extend([api.modify(96, 1), api.cancel(), api.cancel(), api.modify(96, 1)])

    slow = {"entry": ("constant", 10 * US), "response": ("constant", 10 * US)}
    script = [(5, lambda api: api.place(BUY, 97, 1)), (24, ask), (25, ask), (45, ask)]
    result = run([*book(), depth(99, BUY, 90, 1)], script, **slow)
    assert said[:4] == [False, False, False, False]  # PENDING
    assert said[4:8] == [True, False, False, False]  # OPEN: one change, then its answer is waited for
    assert said[8:12] == [True, False, False, False]
    assert result.outcomes() == [ACCEPTED, MODIFIED, MODIFIED]
    assert {wake.ns: wake.orders[0] for wake in result.wakes if wake.orders}[T0 + 65 * US] == (OPEN, 96, 1)


def test_a7_smaller_at_its_price_keeps_its_place() -> None:
    rows = [*book(), depth(8, BUY, 100, 30), trade(20, SELL, 100, 12)]
    script = [(5, lambda api: api.place(BUY, 100, 5)), (10, lambda api: api.modify(100, 2))]
    result = run(rows, script)
    assert result.outcomes() == [ACCEPTED, MODIFIED]
    assert result.short() == [(20, 100, 2)]  # 10 in front, not 30


def test_a8_any_other_change_places_it_anew() -> None:
    rows = [*book(), depth(8, BUY, 100, 30), trade(20, SELL, 100, 12), trade(30, SELL, 100, 19)]
    script = [(5, lambda api: api.place(BUY, 100, 5)), (10, lambda api: api.modify(100, 6))]
    assert run(rows, script).short() == [(30, 100, 6)]  # 30 in front
    taking = run(rows, [script[0], (10, lambda api: api.modify(102, 5))])
    assert (taking.short(), taking.outcomes()) == ([(10, 102, 5)], [ACCEPTED, FILLED])


def test_a9_requests_that_make_no_sense_are_not_sent() -> None:
    said: list[int] = []

    def ask(api: Api) -> None:
        said.extend(
            [
                api.place(BUY, 100, 0),
                api.place(BUY, 100, 1, market=1),
                api.place(BUY, -1, 1),
                api.place(0, 100, 1),
                api.place(BUY, 100, 1, tif=3),
            ]
        )
        said.extend(api.place(BUY, 90, 1, tif=ALO) for _ in range(257))

    result = run([*book(), depth(50, BUY, 97, 1)], [(5, ask)])
    assert said[:5] == [-1] * 5
    assert sorted(said[5:261]) == list(range(256)) and said[261] == -1
    assert len(result.sent) == 256
    market_order = run([*book(), depth(50, BUY, 97, 1)], [(5, lambda api: api.place(BUY, -1, 3, tif=IOC))])
    assert market_order.short() == [(5, 102, 3)]
    assert PART_FILLED not in market_order.outcomes()
