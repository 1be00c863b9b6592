"""The venue's actions as they arrive, typed. Whatever does not fit is malformed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from slipstream.venues.emulator.exchange.refusal import Malformed

Number = Annotated[str, Meta(pattern=r"^[0-9]{1,20}(\.[0-9]{1,20})?$")]
Address = Annotated[str, Meta(pattern=r"^0[xX][0-9a-fA-F]{40}$")]
Cloid = Annotated[str, Meta(pattern=r"^0[xX][0-9a-fA-F]{32}$")]
Natural = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Asset = Annotated[int, Meta(ge=0, lt=1 << 32)]


class LimitType(Struct):
    """A plain order's time in force."""

    tif: Literal["Gtc", "Ioc", "Alo", "FrontendMarket"]


class TriggerType(Struct):
    """The trigger of a TP/SL order."""

    isMarket: bool
    triggerPx: Number
    tpsl: Literal["tp", "sl"]


class OrderType(Struct):
    """Exactly one of the two."""

    limit: LimitType | None = None
    trigger: TriggerType | None = None

    def __post_init__(self) -> None:
        if (self.limit is None) == (self.trigger is None):
            raise ValueError("an order type is either limit or trigger")


class OrderWire(Struct):
    """One order: asset, is_buy, price, size, reduce_only, type, client id."""

    a: Asset
    b: bool
    p: Number
    s: Number
    r: bool
    t: OrderType
    c: Cloid | None = None


class Builder(Struct):
    """A builder and its fee in tenths of a basis point."""

    b: Address
    f: Annotated[int, Meta(ge=0, le=1_000)]


class Priority(Struct):
    """A bid for priority; accepted, has no effect here."""

    p: Natural


class Order(Struct, tag="order"):
    """Place a batch."""

    orders: list[OrderWire]
    grouping: Literal["na", "normalTpsl", "positionTpsl"] | Priority = "na"
    builder: Builder | None = None


class CancelWire(Struct):
    """One order to cancel, by oid."""

    a: Asset
    o: Natural
    f: bool = False


class Cancel(Struct, tag="cancel"):
    """Cancel by oid."""

    cancels: list[CancelWire]


class CloidCancelWire(Struct):
    """One order to cancel, by client id."""

    asset: Asset
    cloid: Cloid


class CancelByCloid(Struct, tag="cancelByCloid"):
    """Cancel by client id."""

    cancels: list[CloidCancelWire]


class ModifyWire(Struct):
    """One replacement."""

    oid: Natural | Cloid
    order: OrderWire


class Modify(Struct, tag="modify"):
    """Replace one order."""

    oid: Natural | Cloid
    order: OrderWire
    a: bool = False


class BatchModify(Struct, tag="batchModify"):
    """Replace a batch."""

    modifies: list[ModifyWire]
    a: bool = False


class ScheduleCancel(Struct, tag="scheduleCancel"):
    """Set (or, without a time, clear) the dead man's switch."""

    time: Natural | None = None


class UpdateLeverage(Struct, tag="updateLeverage"):
    """Choose leverage and margin mode of a coin."""

    asset: Asset
    isCross: bool
    leverage: int


class UpdateIsolatedMargin(Struct, tag="updateIsolatedMargin"):
    """Move isolated margin, in millionths of a USDC."""

    asset: Asset
    isBuy: bool
    ntli: int


class Noop(Struct, tag="noop"):
    """Burn the nonce."""


class ReserveRequestWeight(Struct, tag="reserveRequestWeight"):
    """Buy address budget."""

    weight: Annotated[int, Meta(ge=1, le=1_000_000_000)]


class TwapWire(Struct):
    """A TWAP: asset, is_buy, size, reduce_only, minutes, randomize."""

    a: Asset
    b: bool
    s: Number
    r: bool
    m: Natural
    t: bool


class TwapOrder(Struct, tag="twapOrder"):
    """Start a TWAP."""

    twap: TwapWire


class TwapCancel(Struct, tag="twapCancel"):
    """Stop a TWAP."""

    a: Asset
    t: Natural


class CreateSubAccount(Struct, tag="createSubAccount"):
    """Open a sub-account."""

    name: str


class SubAccountTransfer(Struct, tag="subAccountTransfer"):
    """Perp USDC between master and sub-account, in millionths."""

    subAccountUser: Address
    isDeposit: bool
    usd: Natural


class SubAccountSpotTransfer(Struct, tag="subAccountSpotTransfer"):
    """Spot USDC between master and sub-account."""

    subAccountUser: Address
    isDeposit: bool
    token: str
    amount: Number


class CreateVault(Struct, tag="createVault"):
    """Open a vault; money in millionths."""

    name: str
    description: str
    initialUsd: Natural
    nonce: Natural


class VaultTransfer(Struct, tag="vaultTransfer"):
    """Money into or out of a vault, in millionths."""

    vaultAddress: Address
    isDeposit: bool
    usd: Natural


class SetReferrer(Struct, tag="setReferrer"):
    """Use a referral code."""

    code: str


class AgentEnableDexAbstraction(Struct, tag="agentEnableDexAbstraction"):
    """Switch dex abstraction on."""


class AgentSetAbstraction(Struct, tag="agentSetAbstraction"):
    """Choose an abstraction: disabled, unified or portfolio."""

    abstraction: Literal["i", "u", "p"]


class UserSigned(Struct):
    """What every user-signed action carries besides its own fields."""

    signatureChainId: str
    hyperliquidChain: Literal["Mainnet", "Testnet"]


class ApproveAgent(UserSigned, tag="approveAgent"):
    """Register an API wallet."""

    agentAddress: Address
    nonce: Natural
    agentName: str | None = None


class ApproveBuilderFee(UserSigned, tag="approveBuilderFee"):
    """Allow a builder's fee up to a rate."""

    maxFeeRate: Annotated[str, Meta(pattern=r"^[0-9]{1,3}(\.[0-9]{1,6})?%$")]
    builder: Address
    nonce: Natural


class UsdSend(UserSigned, tag="usdSend"):
    """Perp USDC to an address."""

    destination: Address
    amount: Number
    time: Natural


class SpotSend(UserSigned, tag="spotSend"):
    """Spot USDC to an address."""

    destination: Address
    token: str
    amount: Number
    time: Natural


class Withdraw(UserSigned, tag="withdraw3"):
    """USDC out of the venue."""

    destination: Address
    amount: Number
    time: Natural


class UsdClassTransfer(UserSigned, tag="usdClassTransfer"):
    """USDC between perp and spot."""

    amount: Annotated[str, Meta(pattern=r"^[0-9]{1,20}(\.[0-9]{1,20})?( subaccount:0[xX][0-9a-fA-F]{40})?$")]
    toPerp: bool
    nonce: Natural


class SendAsset(UserSigned, tag="sendAsset"):
    """USDC between sides of accounts."""

    destination: Address
    sourceDex: str
    destinationDex: str
    token: str
    amount: Number
    fromSubAccount: str
    nonce: Natural


class UserDexAbstraction(UserSigned, tag="userDexAbstraction"):
    """Switch dex abstraction."""

    user: Address
    enabled: bool
    nonce: Natural


class UserSetAbstraction(UserSigned, tag="userSetAbstraction"):
    """Choose an abstraction."""

    user: Address
    abstraction: Literal["disabled", "unifiedAccount", "portfolioMargin", "default", "dexAbstraction"]
    nonce: Natural


Action = (
    Order
    | Cancel
    | CancelByCloid
    | Modify
    | BatchModify
    | ScheduleCancel
    | UpdateLeverage
    | UpdateIsolatedMargin
    | Noop
    | ReserveRequestWeight
    | TwapOrder
    | TwapCancel
    | CreateSubAccount
    | SubAccountTransfer
    | SubAccountSpotTransfer
    | CreateVault
    | VaultTransfer
    | SetReferrer
    | AgentEnableDexAbstraction
    | AgentSetAbstraction
    | ApproveAgent
    | ApproveBuilderFee
    | UsdSend
    | SpotSend
    | Withdraw
    | UsdClassTransfer
    | SendAsset
    | UserDexAbstraction
    | UserSetAbstraction
)


def read_action(action: Any) -> Action:
    """An action dict as a typed value. Raises Malformed with the reason."""
    try:
        typed: Action = msgspec.convert(action, Action)
        return typed
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise Malformed(str(error)) from error


def signed_nonce(action: Action) -> int | None:
    """The nonce inside a user-signed action, which must equal the envelope's."""
    if isinstance(action, UserSigned):
        return int(getattr(action, "time", 0) or getattr(action, "nonce", 0))
    return None
