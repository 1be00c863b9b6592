"""The inbox: newest prices win, trades are bounded, the account is whole; and timers that move."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from kernel_doubles import BUY, T0, bbo

from slipstream.model.commands import SetTimer
from slipstream.model.events import Ack, Event, Timer, Trade
from slipstream.runtime.inbox import Inbox
from slipstream.runtime.timers import Timers


def trade(number: int) -> Trade:
    return Trade("hl", "ETH", 1.0, 1.0, BUY, number, T0, T0)


def test_a_newer_price_takes_the_place_of_an_older_one_of_its_coin_and_venue() -> None:
    inbox = Inbox()
    events: list[Event] = [bbo(1.0, 2.0, 1), Ack("a", 1, 1), bbo(1.0, 2.0, 2, "BTC"), bbo(3.0, 4.0, 3)]
    events.append(bbo(5.0, 6.0, 4, venue="binance"))
    for event in events:
        inbox.put(event)
    assert inbox.take() == events[1:]
    assert inbox.take() == [] and not inbox.ready.is_set()
    assert inbox.counts().superseded == 1


def test_a_pod_that_stands_still_stays_small() -> None:
    inbox = Inbox(max_trades=100)
    for number in range(50_000):
        inbox.put(bbo(1.0, 2.0, number, coin=("ETH", "BTC")[number % 2]))
        inbox.put(trade(number))
    assert len(inbox._slots) < 3_000
    assert inbox.counts().waiting == 102
    batch = inbox.take()
    assert [event.tid for event in batch if isinstance(event, Trade)] == list(range(49_900, 50_000))


@given(st.lists(st.integers(0, 5), max_size=200))
def test_nothing_of_the_account_is_lost_or_reordered(kinds: list[int]) -> None:
    inbox = Inbox(max_trades=3)
    for number, kind in enumerate(kinds):
        inbox.put(
            bbo(1.0, 2.0, number) if kind < 2 else trade(number) if kind < 4 else Ack(str(number), number, number)
        )
    batch = inbox.take()
    expected = [str(number) for number, kind in enumerate(kinds) if kind >= 4]
    assert [event.cloid for event in batch if isinstance(event, Ack)] == expected
    newest = [number for number, kind in enumerate(kinds) if kind < 2][-1:]
    assert [event.recv_ns for event in batch if type(event).__name__ == "Bbo"] == newest  # type: ignore[union-attr]
    assert inbox.counts().taken == len(kinds) == len(batch) + inbox.counts().superseded + inbox.counts().dropped_trades


def test_timers_fire_once_in_order_and_the_last_setting_of_a_name_holds() -> None:
    timers = Timers()
    for name, at_ns in [("a", 10), ("b", 5), ("a", 20), ("c", 20), ("b", 7)]:
        timers.set(SetTimer(name, at_ns))
    assert timers.next_ns == 7
    assert timers.due(6) == []
    assert timers.due(25) == [Timer("b", 25), Timer("a", 25), Timer("c", 25)]
    assert timers.next_ns is None and timers.due(99) == []


def test_a_timer_moved_for_ever_does_not_pile_up() -> None:
    timers = Timers()
    for at_ns in range(10_000):
        timers.set(SetTimer("a", at_ns))
    assert len(timers._heap) < 100 and timers.due(10**6) == [Timer("a", 10**6)]
