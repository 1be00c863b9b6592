"""scheduleCancel: the dead man's switch of an account."""

from __future__ import annotations

from typing import Any

from slipstream.venues.emulator.exchange import wire
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.exchange.identity import DEFAULT
from slipstream.venues.emulator.exchange.nonces import nearest_clock
from slipstream.venues.emulator.exchange.orders import cancel_everything
from slipstream.venues.emulator.exchange.refusal import RequestRefused
from slipstream.venues.emulator.state import Account, Status


def set_schedule(floor: Floor, account: Account, action: wire.ScheduleCancel, wall_ms: int) -> dict[str, Any]:
    """Set, move or clear the time at which all open orders are cancelled.

    A time near the client's wall clock is kept on that clock, so that it holds whatever the venue's speed.
    """
    settings = floor.settings
    if account.volume < settings.schedule_cancel_volume:
        raise RequestRefused(
            f"Cannot set scheduled cancel time until enough volume traded. Required: "
            f"${settings.schedule_cancel_volume}. Traded: ${account.volume:.2f}."
        )
    if action.time is None:
        account.schedule_cancel_ns = account.schedule_cancel_wall_ms = None
        return DEFAULT
    clock = nearest_clock(action.time, wall_ms, floor.now_ms)
    if action.time < clock + settings.schedule_cancel_min_ms:
        raise RequestRefused(
            f"Scheduled cancel time too early, must be at least {settings.schedule_cancel_min_ms // 1000} seconds "
            "from now."
        )
    account.schedule_cancel_ns = floor.now_ns + (action.time - clock) * 1_000_000
    account.schedule_cancel_wall_ms = action.time if clock == wall_ms != floor.now_ms else None
    return DEFAULT


def run_schedule(floor: Floor, account: Account, wall_ms: int | None) -> None:
    """Cancel everything if the time has come; at most ten times a UTC day."""
    at = account.schedule_cancel_ns
    if at is None:
        return
    if account.schedule_cancel_wall_ms is not None and wall_ms is not None:
        due = wall_ms >= account.schedule_cancel_wall_ms
    else:
        due = floor.now_ns >= at
    if not due:
        return
    account.schedule_cancel_ns = account.schedule_cancel_wall_ms = None
    fired = account.schedule_triggers.get(floor.today, 0)
    if fired >= floor.settings.schedule_cancel_triggers:
        return
    account.schedule_triggers = {floor.today: fired + 1}
    cancel_everything(floor, account, Status.SCHEDULED_CANCEL)
