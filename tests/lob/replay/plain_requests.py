"""What a strategy may ask of the oracle: the hook's functions, in plain Python."""

from __future__ import annotations

from typing import Any

from tests.lob.replay.plain_market import (
    ALO,
    CANCEL,
    CANCELLING,
    GTC,
    IOC,
    MODIFY,
    MODIFYING,
    NEW,
    OPEN,
    PENDING,
    Order,
)


def place(sim: Any, market: int, side: int, tick: int, lots: int, tif: int, reduce_only: bool) -> int:
    if not sim.free or not 0 <= market < len(sim.markets) or lots <= 0 or side not in (1, -1):
        return -1
    if tif not in (GTC, IOC, ALO) or tick < -1 or (tick == -1 and tif != IOC):
        return -1
    slot = int(sim.free.pop())
    order = Order(sim.next_id, market, side, tick, lots, lots, tif, int(reduce_only), PENDING, sim.now_ns)
    sim.orders[slot] = order
    sim.next_id += 1
    _post(sim, slot, NEW, tick, lots)
    return slot


def cancel(sim: Any, slot: int) -> bool:
    if not 0 <= slot < 256 or sim.orders[slot].state != OPEN:
        return False
    sim.orders[slot].state = CANCELLING
    _post(sim, slot, CANCEL, sim.orders[slot].tick, sim.orders[slot].left)
    return True


def modify(sim: Any, slot: int, tick: int, lots: int) -> bool:
    if not 0 <= slot < 256 or tick < 0 or lots <= 0 or sim.orders[slot].state != OPEN:
        return False
    sim.orders[slot].state = MODIFYING
    _post(sim, slot, MODIFY, tick, lots)
    return True


def wake(sim: Any, at_ns: int) -> bool:
    at_ns = max(at_ns, sim.now_ns)
    if at_ns not in sim.timers:
        if len(sim.timers) == 64:
            return False
        sim.timers.append(at_ns)
    return True


def _post(sim: Any, slot: int, action: int, tick: int, lots: int) -> None:
    order = sim.orders[slot]
    order.in_flight += 1
    sim.outbox.append(
        {
            "action": action, "slot": slot, "order": order.id, "market": order.market, "side": order.side,
            "tick": tick, "lots": lots, "tif": order.tif, "reduce_only": order.reduce_only, "sent_ns": sim.now_ns,
        }
    )  # fmt: skip
