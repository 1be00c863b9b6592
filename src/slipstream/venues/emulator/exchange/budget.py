"""The address budget: 10,000 requests and one more per USD traded; cancels get more.

Source: the venue's docs, "Rate limits". Exhausted, an address has one action per 10 s. Counting always runs (it shows
in ``userRateLimit``), refusing only where the settings ask for it.
"""

from __future__ import annotations

from slipstream.venues.emulator.exchange import wire
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.exchange.refusal import RequestRefused
from slipstream.venues.emulator.state import Account

CANCEL_EXTRA = 100_000
EXPIRED_COST = 5


def cost(action: wire.Action) -> int:
    """How many requests an action counts as: the size of its batch."""
    if isinstance(action, wire.Order):
        return max(1, len(action.orders))
    if isinstance(action, wire.Cancel | wire.CancelByCloid):
        return max(1, len(action.cancels))
    if isinstance(action, wire.BatchModify):
        return max(1, len(action.modifies))
    return 1


def limit(floor: Floor, account: Account) -> int:
    """Requests an address may send: the start, one per USD of volume, and what it bought."""
    return floor.settings.budget_start + int(account.volume) + account.requests_bought


def charge(floor: Floor, account: Account, action: wire.Action) -> None:
    """Count an action. Raises RequestRefused when the budget is spent and the trickle too."""
    allowed = limit(floor, account)
    if isinstance(action, wire.Cancel | wire.CancelByCloid):
        allowed = min(allowed + CANCEL_EXTRA, 2 * allowed)
    count = cost(action)
    exempt = isinstance(action, wire.ReserveRequestWeight)
    if floor.settings.address_budget and not exempt and account.requests_used + count > allowed:
        if account.last_limited_ns and floor.now_ns - account.last_limited_ns < floor.settings.budget_trickle_ns:
            raise RequestRefused(
                f"Too many cumulative requests sent ({account.requests_used + count} > {allowed}) for cumulative "
                f"volume traded ${account.volume:.2f}. Place taker orders to free up 1 request per USDC traded."
            )
        account.last_limited_ns = floor.now_ns
    account.requests_used += count


def charge_expired(account: Account) -> None:
    """A stale ``expiresAfter`` costs five requests."""
    account.requests_used += EXPIRED_COST
