"""From an action to its rule, and the three classes that order a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipstream.venues.emulator.exchange import identity, leverage, orders, schedule, transfers, twap, wire
from slipstream.venues.emulator.exchange.batches import place_batch
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.exchange.identity import DEFAULT
from slipstream.venues.emulator.exchange.refusal import RequestRefused
from slipstream.venues.emulator.state import Account

TAKING = ("Gtc", "Ioc", "FrontendMarket")
Rule = Callable[[Floor, Account, Any], dict[str, Any]]


def lane(action: wire.Action) -> int:
    """The class of an action: 0 without any Gtc or Ioc order, 1 cancels, 2 with at least one.

    One taking order demotes its whole batch; a modify takes the class of its new orders.
    """
    if isinstance(action, wire.Cancel | wire.CancelByCloid):
        return 1
    if isinstance(action, wire.Order):
        placed = action.orders
    elif isinstance(action, wire.Modify):
        placed = [action.order]
    elif isinstance(action, wire.BatchModify):
        placed = [m.order for m in action.modifies]
    else:
        return 0
    return 2 if any(o.t.limit is not None and o.t.limit.tif in TAKING for o in placed) else 0


def statuses(kind: str, values: list[Any]) -> dict[str, Any]:
    """A response with one status per element of the request."""
    return {"type": kind, "data": {"statuses": values}}


def _order(floor: Floor, account: Account, action: wire.Order) -> dict[str, Any]:
    return statuses("order", place_batch(floor, account, action))


def _cancel(floor: Floor, account: Account, action: wire.Cancel) -> dict[str, Any]:
    return statuses("cancel", [orders.cancel(floor, account, c.a, c.o) for c in action.cancels])


def _cancel_by_cloid(floor: Floor, account: Account, action: wire.CancelByCloid) -> dict[str, Any]:
    return statuses("cancel", [orders.cancel(floor, account, c.asset, c.cloid) for c in action.cancels])


def _modify(floor: Floor, account: Account, action: wire.Modify) -> dict[str, Any]:
    answer = orders.modify(floor, account, action.oid, action.order)
    if "error" in answer:
        raise RequestRefused(answer["error"])
    return DEFAULT


def _batch_modify(floor: Floor, account: Account, action: wire.BatchModify) -> dict[str, Any]:
    return statuses("order", [orders.modify(floor, account, m.oid, m.order) for m in action.modifies])


def _twap_order(floor: Floor, account: Account, action: wire.TwapOrder) -> dict[str, Any]:
    return {"type": "twapOrder", "data": {"status": twap.start(floor, account, action)}}


def _twap_cancel(floor: Floor, account: Account, action: wire.TwapCancel) -> dict[str, Any]:
    return {"type": "twapCancel", "data": {"status": twap.cancel(floor, account, action)}}


def _noop(_floor: Floor, _account: Account, _action: wire.Noop) -> dict[str, Any]:
    return DEFAULT


RULES: dict[type, Rule] = {
    wire.Order: _order,
    wire.Cancel: _cancel,
    wire.CancelByCloid: _cancel_by_cloid,
    wire.Modify: _modify,
    wire.BatchModify: _batch_modify,
    wire.UpdateLeverage: leverage.update_leverage,
    wire.UpdateIsolatedMargin: leverage.update_isolated_margin,
    wire.Noop: _noop,
    wire.ReserveRequestWeight: transfers.buy_requests,
    wire.TwapOrder: _twap_order,
    wire.TwapCancel: _twap_cancel,
    wire.CreateSubAccount: identity.create_sub_account,
    wire.SubAccountTransfer: transfers.sub_account_transfer,
    wire.SubAccountSpotTransfer: transfers.sub_account_spot,
    wire.CreateVault: transfers.create_vault,
    wire.VaultTransfer: transfers.vault_transfer,
    wire.SetReferrer: lambda _floor, account, action: identity.set_referrer(account, action),
    wire.AgentEnableDexAbstraction: lambda _f, account, _a: identity.set_abstraction(account, "dexAbstraction"),
    wire.AgentSetAbstraction: lambda _f, account, action: identity.set_abstraction(
        account, identity.ABSTRACTIONS[action.abstraction]
    ),
    wire.ApproveAgent: identity.approve_agent,
    wire.ApproveBuilderFee: lambda _f, account, action: identity.approve_builder(account, action),
    wire.UsdSend: transfers.usd_send,
    wire.SpotSend: transfers.spot_send,
    wire.Withdraw: transfers.withdraw,
    wire.UsdClassTransfer: transfers.class_transfer,
    wire.SendAsset: transfers.send_asset,
    wire.UserDexAbstraction: lambda floor, account, action: identity.set_abstraction(
        identity.owned(floor, account, action.user.lower()), "dexAbstraction" if action.enabled else "disabled"
    ),
    wire.UserSetAbstraction: lambda floor, account, action: identity.set_abstraction(
        identity.owned(floor, account, action.user.lower()), action.abstraction
    ),
}


def perform(floor: Floor, account: Account, action: wire.Action, wall_ms: int) -> dict[str, Any]:
    """Carry out one action; the whole answer of the venue."""
    try:
        if isinstance(action, wire.ScheduleCancel):
            body = schedule.set_schedule(floor, account, action, wall_ms)
        else:
            body = RULES[type(action)](floor, account, action)
    except RequestRefused as refusal:
        return {"status": "err", "response": str(refusal)}
    return {"status": "ok", "response": body}
