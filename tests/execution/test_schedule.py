"""A schedule of rebalances: when it looks, what is due, what it says while it waits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from slipstream.execution.schedule import HOUR, MINUTE, Schedule, obstacle
from slipstream.execution.strategy import View
from slipstream.model.events import Timer
from slipstream.model.intents import Note, Wake
from slipstream.model.mandate import Halt, TradingState

DAY = 24 * HOUR


def schedule() -> Schedule:
    return Schedule("x:look", every_ns=DAY, offset_ns=MINUTE, deadline_ns=40 * MINUTE)


def test_looks_begin_soon_and_go_on_every_minute() -> None:
    one, halt = schedule(), Halt(1, TradingState.HALTED, "a", "b", "c")
    assert one.wakes(halt, 0) == []  # no time yet
    assert one.wakes(halt, DAY) == [Wake("x:look", DAY + MINUTE // 4)]
    assert one.wakes(Timer("other", DAY), DAY) == [] and not one.is_look(Timer("other", DAY))
    assert one.wakes(Timer("x:look", DAY), DAY) == [Wake("x:look", DAY + MINUTE)]


def test_what_is_taken_is_due_again_a_period_later() -> None:
    one = schedule()
    assert one.next_ns == 0 and one.is_due(3 * DAY + MINUTE, anew=False)
    assert one.take(3 * DAY + 2 * HOUR)
    assert one.done_ns == 3 * DAY + MINUTE and one.next_ns == 4 * DAY + MINUTE
    assert not one.is_due(4 * DAY, anew=False) and one.is_due(4 * DAY + MINUTE, anew=False)


def test_a_new_process_takes_up_what_was_interrupted_and_leaves_what_had_its_time() -> None:
    early, late = schedule(), schedule()
    early.done_ns = late.done_ns = 3 * DAY + MINUTE
    assert early.is_due(3 * DAY + 30 * MINUTE, anew=True) and early.take(3 * DAY + 30 * MINUTE)
    assert late.is_due(3 * DAY + 42 * MINUTE, anew=True) and not late.take(3 * DAY + 42 * MINUTE)


def test_a_reason_is_said_once_and_again_after_another() -> None:
    one = schedule()
    assert one.wait("halted") == [Note("rebalance waits: halted")] and one.wait("halted") == []
    assert one.wait("no mandate") and one.wait("halted") and one.waiting == "halted"
    one.take(DAY)
    assert one.waiting == "" and one.wait("halted")


def test_obstacles_come_in_order_of_what_must_be_there_first() -> None:
    def why(closed: int, *, priced: bool = True, leased: bool = False, **values: Any) -> str:
        window = SimpleNamespace(**{"now_ns": DAY, "trading_state": TradingState.ACTIVE, "mandate": None, **values})
        return obstacle(cast(View, window), closed, 2.0 * HOUR, leased=leased, priced=priced)

    assert why(0, priced=False) == "no bars yet"
    assert why(DAY - 3 * HOUR, trading_state=TradingState.HALTED) == "the newest bar closed 3.0 h ago"
    assert why(DAY - 2 * HOUR, trading_state=TradingState.HALTED, leased=True) == "halted"
    assert why(DAY, leased=True, priced=False) == "no mandate"
    assert why(DAY, leased=True, mandate="one", priced=False) == "no prices yet"
    assert why(DAY, trading_state=TradingState.REDUCING) == ""
