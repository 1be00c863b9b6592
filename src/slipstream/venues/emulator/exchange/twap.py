"""TWAP orders: a slice every 30 s, at most 3 % from the mark, catching up at most threefold.

A slice that the book cannot fill is carried over; ``randomize`` varies sizes by a fifth, as a function of the ids.
"""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b
from typing import Any

from slipstream.model.instrument import Instrument, Side
from slipstream.venues.emulator.exchange import checks
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.exchange.orders import execute
from slipstream.venues.emulator.exchange.refusal import OrderRefused
from slipstream.venues.emulator.exchange.registry import held
from slipstream.venues.emulator.exchange.wire import TwapCancel, TwapOrder
from slipstream.venues.emulator.state import ZERO, Account, Twap, VenueOrder

MINUTE = 60 * 1_000_000_000
KEPT = 2_000


def start(floor: Floor, account: Account, action: TwapOrder) -> dict[str, Any]:
    """Start a TWAP; the venue's status object."""
    wire, settings = action.twap, floor.settings
    instrument = floor.by_asset.get(wire.a)
    if instrument is None:
        return {"error": f"Order has invalid asset. asset={wire.a}"}
    sz = Decimal(wire.s)
    shortest, longest = settings.twap_minutes
    error = ""
    if not shortest <= wire.m <= longest:
        error = f"Invalid TWAP duration: {wire.m} min(s)"
    elif sz == 0 or not instrument.is_legal_size(sz):
        error = "Order has zero size." if sz == 0 else "Order has invalid size."
    elif sz * floor.contexts[instrument.coin].mark < settings.twap_notional_per_minute * wire.m:
        least = settings.twap_notional_per_minute * wire.m
        each = settings.twap_notional_per_minute
        error = f"TWAP order value too small. Min is ${least}, which is ${each} per minute."
    elif wire.r and held(account, instrument.coin) * (1 if wire.b else -1) >= 0:
        error = "Reduce only order would increase position."
    if error:
        return {"error": error}
    twap = Twap(
        twap_id=floor.counters.next_twap,
        user=account.address,
        coin=instrument.coin,
        side=Side.BUY if wire.b else Side.SELL,
        sz=sz,
        executed_sz=ZERO,
        executed_ntl=ZERO,
        minutes=wire.m,
        reduce_only=wire.r,
        randomize=wire.t,
        start_ns=floor.now_ns,
        next_ns=floor.now_ns,
    )
    floor.counters.next_twap += 1
    account.twaps[twap.twap_id] = twap
    floor.block.twaps.append((account.address, twap, "activated"))
    floor.touch(account.address)
    return {"running": {"twapId": twap.twap_id}}


def cancel(floor: Floor, account: Account, action: TwapCancel) -> Any:
    """Stop a TWAP: ``"success"`` or the error object."""
    twap = account.twaps.get(action.t)
    instrument = floor.by_asset.get(action.a)
    if twap is None or instrument is None or twap.coin != instrument.coin:
        return {"error": "TWAP was never placed, already canceled, or filled."}
    finish(floor, account, twap, "terminated")
    return "success"


def finish(floor: Floor, account: Account, twap: Twap, status: str, error: str = "") -> None:
    """End a TWAP and remember it."""
    twap.status, twap.error = status, error
    del account.twaps[twap.twap_id]
    account.past_twaps.append(twap)
    del account.past_twaps[:-KEPT]
    floor.block.twaps.append((account.address, twap, status))
    floor.touch(account.address)


def run_slices(floor: Floor, account: Account) -> None:
    """Execute the slices of an account that are due."""
    for twap in list(account.twaps.values()):
        while twap.twap_id in account.twaps and floor.now_ns >= twap.next_ns:
            _slice(floor, account, twap)


def _slice(floor: Floor, account: Account, twap: Twap) -> None:
    settings = floor.settings
    instrument = floor.instruments[twap.coin]
    slices = twap.minutes * MINUTE // settings.twap_slice_ns
    index = (twap.next_ns - twap.start_ns) // settings.twap_slice_ns
    twap.next_ns += settings.twap_slice_ns
    sz = _slice_size(floor, instrument, twap, int(slices), int(index))
    if sz > 0:
        try:
            _execute(floor, account, instrument, twap, sz)
        except OrderRefused as refusal:
            if not refusal.text.startswith("Order could not immediately"):
                finish(floor, account, twap, "error", refusal.text)
                return
    if twap.executed_sz >= twap.sz or index >= slices:
        finish(floor, account, twap, "finished")


def _slice_size(floor: Floor, instrument: Instrument, twap: Twap, slices: int, index: int) -> Decimal:
    """What is due by now, at most ``twap_catch_up`` slices' worth."""
    share = twap.sz / slices
    due = min(twap.sz, share * (index + 1)) - twap.executed_sz
    if index >= slices - 1:
        due = twap.sz - twap.executed_sz
    elif twap.randomize:
        digest = blake2b(f"{floor.settings.seed}/{twap.twap_id}/{index}".encode(), digest_size=2).digest()
        due *= Decimal(8_000 + int.from_bytes(digest) % 4_001) / 10_000
    sz = instrument.round_size(max(ZERO, min(due, share * floor.settings.twap_catch_up, twap.sz - twap.executed_sz)))
    if sz == 0 and due > 0 and index >= slices - 1:
        sz = instrument.lot
    return sz


def _execute(floor: Floor, account: Account, instrument: Instrument, twap: Twap, sz: Decimal) -> None:
    mark = floor.contexts[twap.coin].mark
    sign = twap.side.sign
    px = instrument.passive_price(mark * (1 + sign * floor.settings.twap_slippage), twap.side)
    order = VenueOrder(
        oid=floor.oid(),
        user=account.address,
        coin=twap.coin,
        side=twap.side,
        limit_px=px,
        sz=sz,
        orig_sz=sz,
        tif="Ioc",
        reduce_only=twap.reduce_only,
        created_ns=floor.now_ns,
        twap_id=twap.twap_id,
        status_ns=floor.now_ns,
    )
    floor.action_hash = "0x" + "0" * 64  # the venue gives TWAP fills no transaction
    checks.check_reduce_only(account, order)
    checks.check_margin(floor, account, instrument, order)
    fills = len(floor.block.fills)
    execute(floor, account, instrument, order)
    for user, fill in floor.block.fills[fills:]:
        if user == account.address and fill.oid == order.oid:
            twap.executed_sz += fill.sz
            twap.executed_ntl += fill.sz * fill.px
