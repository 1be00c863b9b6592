"""One block: the background trades, then users act in three classes, then the venue's own duties.

A long block (a fast clock) is cut at every premium sample, so that neither a sample nor a funding hour is skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from slipstream.venues.emulator.exchange import (
    consequences,
    funding,
    liquidation,
    margin,
    prices,
    schedule,
    triggers,
    twap,
)
from slipstream.venues.emulator.exchange.budget import charge_expired
from slipstream.venues.emulator.exchange.dispatch import lane, perform
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.exchange.matching import drain
from slipstream.venues.emulator.exchange.wire import Action
from slipstream.venues.emulator.state import ZERO, Block

EQUITY_SAMPLES = 24 * 31


class Pending(msgspec.Struct):
    """An accepted action that waits for the next block."""

    action: Action
    account: str
    signer: str
    nonce: int
    wall_ms: int
    expires_ms: int | None  # venue time, if the sender's expiry meant that clock
    reply: Callable[[dict[str, Any]], None]


def cuts(start_ns: int, end_ns: int, period_ns: int) -> list[int]:
    """Every multiple of the period in (start, end), and the end."""
    first = (start_ns // period_ns + 1) * period_ns
    times = list(range(first, end_ns, period_ns))
    return [*times, end_ns]


def run_block(floor: Floor, pending: list[Pending], now_ns: int, wall_ms: int | None) -> Block:
    """Advance the venue to ``now_ns`` and commit the waiting actions; replies are called at the end."""
    if now_ns <= floor.now_ns:
        raise ValueError(f"a block must end after {floor.now_ns} ns, not at {now_ns}")
    floor.counters.height += 1
    replies: list[tuple[Callable[[dict[str, Any]], None], dict[str, Any]]] = []
    times = cuts(floor.now_ns, now_ns, floor.settings.premium_period_ns)
    for time in times:
        before = floor.now_ns
        floor.market.advance(before, time)
        floor.now_ns = time
        for coin in floor.books:
            _, filled = drain(floor, coin)
            if filled or floor.moved:
                consequences.follow(floor, filled)
        if time == now_ns:
            commit(floor, pending, replies)
        duties(floor, before, wall_ms)
    block = publish(floor, now_ns)
    for reply, answer in replies:
        reply(answer)
    return block


def commit(floor: Floor, pending: list[Pending], replies: list[tuple[Any, dict[str, Any]]]) -> None:
    """Carry out the waiting actions: class by class, in the order they came."""
    if not pending:
        return
    ordered = sorted(enumerate(pending), key=lambda item: (lane(item[1].action), item[0]))
    for _, item in ordered:
        floor.action_hash = floor.stamp("action", item.signer, item.nonce)
        account = floor.accounts[item.account]
        if item.expires_ms is not None and item.expires_ms < floor.now_ms:
            charge_expired(account)
            answer = {"status": "err", "response": "Action already expired"}
        else:
            answer = perform(floor, account, item.action, item.wall_ms)
        replies.append((item.reply, answer))
        floor.touch(item.account)


def duties(floor: Floor, before_ns: int, wall_ms: int | None) -> None:
    """What the venue does by itself at the end of a (part of a) block."""
    settings, now = floor.settings, floor.now_ns
    marked = now // settings.mark_period_ns != before_ns // settings.mark_period_ns
    sampled = now // settings.premium_period_ns != before_ns // settings.premium_period_ns
    if marked or sampled:
        for coin, instrument in floor.instruments.items():
            prices.update_mark(floor, instrument)
            triggers.fire_triggers(floor, coin)
    for account in list(floor.accounts.values()):
        if account.twaps:
            twap.run_slices(floor, account)
        if account.schedule_cancel_ns is not None:
            schedule.run_schedule(floor, account, wall_ms)
    if sampled:
        funding.sample(floor)
        if now // settings.funding_period_ns != before_ns // settings.funding_period_ns:
            floor.action_hash = "0x" + "0" * 64
            funding.settle_hour(floor)
            sample_equity(floor)
        liquidation.unwind_backstop(floor)
    if marked or sampled:
        liquidation.liquidate_all(floor)
        liquidation.settle_debts(floor)
        liquidation.cancel_unaffordable(floor)


def sample_equity(floor: Floor) -> None:
    """Hourly account values and profits, for portfolio charts."""
    for account in floor.accounts.values():
        if not account.known:
            continue
        value = margin.account_value(floor, account) + account.spot_usdc
        profit = account.realised + sum((margin.unrealised(floor, p) for p in account.positions.values()), ZERO)
        profit -= sum(account.funding_totals.values(), ZERO)
        account.equity_history.append((floor.now_ns, value, profit))
        del account.equity_history[:-EQUITY_SAMPLES]


def publish(floor: Floor, now_ns: int) -> Block:
    """Close the block and open the next one, which collects what happens between blocks."""
    block = floor.block
    block.height, block.ns = floor.counters.height, now_ns
    block.books = list(dict.fromkeys([*block.books, *changed_books(floor)]))
    block.touched = list(floor.touched)
    floor.block = Block(floor.counters.height + 1, now_ns)
    floor.touched = {}
    return block


def changed_books(floor: Floor) -> list[str]:
    """Coins whose best levels or number of orders differ from the last block's; their mids are refreshed.

    Reads the records directly: this runs for every coin in every block.
    """
    changed: list[str] = []
    for coin, book in floor.books.items():
        record = book.record
        bid, ask, lots = int(record["best_bid"]), int(record["best_ask"]), record["level_lots"]
        seen = (
            bid,
            ask,
            int(lots[bid]) if bid >= 0 else 0,
            int(lots[ask]) if ask >= 0 else 0,
            int(record["resting"]),
            int(record["base"]),
        )
        if floor.prints.get(coin) != seen:
            floor.prints[coin] = seen
            prices.update_mid(floor, floor.instruments[coin], floor.contexts[coin])
            changed.append(coin)
    return changed
