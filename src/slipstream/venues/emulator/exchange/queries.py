"""Reads: what users and the public may ask about the exchange. Nothing here changes anything."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.model.instrument import Side
from slipstream.venues.emulator.exchange import budget, fees, identity, margin
from slipstream.venues.emulator.exchange.checks import triggers_above
from slipstream.venues.emulator.exchange.floor import BACKSTOP, Floor
from slipstream.venues.emulator.exchange.venue import Exchange
from slipstream.venues.emulator.state import (
    ZERO,
    Account,
    Agent,
    FillRecord,
    FundingRecord,
    LedgerRecord,
    Position,
    Twap,
    VenueOrder,
)

NOBODY = Account("0x")


class MarginSummary(msgspec.Struct, frozen=True):
    """The venue's margin summary, USDC."""

    account_value: Decimal
    notional: Decimal
    raw_usd: Decimal
    margin_used: Decimal


class PositionView(msgspec.Struct, frozen=True):
    """A position with everything derived from the mark price."""

    position: Position
    value: Decimal
    unrealised: Decimal
    return_on_equity: Decimal
    liquidation_px: Decimal | None
    margin_used: Decimal
    max_leverage: int


class Clearinghouse(msgspec.Struct, frozen=True):
    """An account's perp state."""

    total: MarginSummary
    cross: MarginSummary
    cross_maintenance: Decimal
    withdrawable: Decimal
    positions: list[PositionView]


class Tradable(msgspec.Struct, frozen=True):
    """What an account could still do in a coin: [buy, sell]."""

    is_cross: bool
    leverage: int
    max_sizes: tuple[Decimal, Decimal]
    available: tuple[Decimal, Decimal]
    mark: Decimal


class RateLimit(msgspec.Struct, frozen=True):
    """The address budget."""

    volume: Decimal
    used: int
    cap: int
    surplus: int


class FeeState(msgspec.Struct, frozen=True):
    """Fees of an account now, and its daily (date, taker, maker, exchange) volumes, oldest first."""

    cross: Decimal
    add: Decimal
    daily: list[tuple[str, Decimal, Decimal, Decimal]]


class OpenedChild(msgspec.Struct, frozen=True):
    """A live order and the TP/SL orders that wait for it."""

    order: VenueOrder
    children: list[VenueOrder]


def account_of(exchange: Exchange, user: str) -> Account:
    """The account of an address in any case; an empty one for strangers and agents."""
    return exchange.accounts.get(user.lower(), NOBODY)


def open_orders(exchange: Exchange, user: str) -> list[VenueOrder]:
    """Resting and waiting orders, newest first."""
    return list(reversed(account_of(exchange, user).open_orders.values()))


def with_children(exchange: Exchange, order: VenueOrder) -> OpenedChild:
    """An order with its TP/SL children that are still alive."""
    live = exchange.floor.orders
    return OpenedChild(order, [live[oid] for oid in order.children if oid in live])


def order_status(exchange: Exchange, user: str, key: int | str) -> VenueOrder | None:
    """An order by oid or cloid, live or ended; None if unknown or forgotten."""
    account = account_of(exchange, user)
    if isinstance(key, str):
        cloid = key.lower()
        oid = account.by_cloid.get(cloid, account.past_cloids.get(cloid))
        if oid is None:
            return None
    else:
        oid = key
    return account.open_orders.get(oid) or account.history.get(oid)


def historical_orders(exchange: Exchange, user: str) -> list[VenueOrder]:
    """Live and ended orders, newest first, at most 2,000."""
    account = account_of(exchange, user)
    orders = [*account.history.values(), *account.open_orders.values()]
    orders.sort(key=lambda o: (o.status_ns, o.oid), reverse=True)
    return orders[: exchange.settings.kept_orders]


def trigger_condition(order: VenueOrder) -> str:
    """The venue's words for a trigger."""
    if order.trigger is None:
        return "N/A"
    return f"Price {'above' if triggers_above(order) else 'below'} {order.trigger.px.normalize():f}"


def order_kind(order: VenueOrder) -> str:
    """Limit, Market, Stop Market, Stop Limit, Take Profit Market, Take Profit Limit."""
    if order.trigger is None:
        return "Market" if order.tif in ("FrontendMarket", "LiquidationMarket") else "Limit"
    name = "Take Profit" if order.trigger.tpsl == "tp" else "Stop"
    return f"{name} {'Market' if order.trigger.is_market else 'Limit'}"


def fills(exchange: Exchange, user: str) -> list[FillRecord]:
    """The newest fills, newest first, at most 2,000."""
    return list(reversed(account_of(exchange, user).fills[-2_000:]))


def fills_by_time(exchange: Exchange, user: str, start_ms: int, end_ms: int | None) -> list[FillRecord]:
    """Fills of a time range (both ends included), oldest first, at most 2,000 of the newest 10,000."""
    kept = account_of(exchange, user).fills[-exchange.settings.kept_fills :]
    chosen = [f for f in kept if _within(f.ns, start_ms, end_ms)]
    return chosen[:2_000]


def fundings(exchange: Exchange, user: str, start_ms: int, end_ms: int | None) -> list[FundingRecord]:
    """Funding rows of a time range, oldest first, at most 500."""
    return [f for f in account_of(exchange, user).fundings if _within(f.ns, start_ms, end_ms)][:500]


def ledger_rows(exchange: Exchange, user: str, start_ms: int, end_ms: int | None) -> list[LedgerRecord]:
    """Deposits, withdrawals, transfers and liquidations of a time range, oldest first, at most 500."""
    return [r for r in account_of(exchange, user).ledger if _within(r.ns, start_ms, end_ms)][:500]


def _within(ns: int, start_ms: int, end_ms: int | None) -> bool:
    at = ns // 1_000_000
    return at >= start_ms and (end_ms is None or at <= end_ms)


def clearinghouse(exchange: Exchange, user: str) -> Clearinghouse:
    """Margin summaries and positions of an account at the mark prices."""
    floor, account = exchange.floor, account_of(exchange, user)
    cross = [p for p in account.positions.values() if p.is_cross]
    everything = list(account.positions.values())
    isolated_usd = sum((p.isolated_usd for p in everything), ZERO)
    return Clearinghouse(
        total=_summary(floor, everything, account.usd + isolated_usd, margin.account_value(floor, account)),
        cross=_summary(floor, cross, account.usd, margin.cross_value(floor, account)),
        cross_maintenance=margin.maintenance_cross(floor, account),
        withdrawable=margin.withdrawable(floor, account),
        positions=[position_view(floor, account, p) for p in everything],
    )


def _summary(floor: Floor, positions: list[Position], raw: Decimal, value: Decimal) -> MarginSummary:
    return MarginSummary(
        account_value=value,
        notional=sum((margin.notional(floor, p) for p in positions), ZERO),
        raw_usd=raw,
        margin_used=sum((margin.margin_used(floor, p) for p in positions), ZERO),
    )


def position_view(floor: Floor, account: Account, position: Position) -> PositionView:
    """A position with its derived figures. Return on equity = profit / (entry notional / leverage)."""
    profit = margin.unrealised(floor, position)
    stake = abs(position.cost) / position.leverage
    return PositionView(
        position=position,
        value=margin.notional(floor, position),
        unrealised=profit,
        return_on_equity=profit / stake if stake else ZERO,
        liquidation_px=margin.liquidation_px(floor, account, position),
        margin_used=margin.margin_used(floor, position),
        max_leverage=floor.instruments[position.coin].max_leverage,
    )


def tradable(exchange: Exchange, user: str, coin: str) -> Tradable:
    """How much an account could still buy and sell in a coin at its leverage. Raises KeyError for an unknown coin."""
    floor, account = exchange.floor, account_of(exchange, user)
    instrument = exchange.instruments[coin]
    is_cross, leverage = margin.chosen_leverage(account, instrument)
    mark = floor.contexts[coin].mark
    free = max(ZERO, margin.free_margin(floor, account))
    szi = account.positions[coin].szi if coin in account.positions else ZERO
    release = 2 * abs(szi) * mark / leverage
    available = tuple(free + (release if szi * side.sign < 0 else ZERO) for side in (Side.BUY, Side.SELL))
    sizes = tuple(instrument.round_size(a * leverage / mark) for a in available)
    return Tradable(is_cross, leverage, (sizes[0], sizes[1]), (available[0], available[1]), mark)


def rate_limit(exchange: Exchange, user: str) -> RateLimit:
    """The address budget of an account."""
    account = account_of(exchange, user)
    cap = budget.limit(exchange.floor, account)
    return RateLimit(account.volume, account.requests_used, cap, max(0, account.requests_used - cap))


def fee_state(exchange: Exchange, user: str) -> FeeState:
    """Fee rates and daily volumes of an account."""
    floor, account = exchange.floor, account_of(exchange, user)
    cross, add = fees.rates(floor, account)
    daily = []
    for date in [*fees.window(floor), floor.today]:
        taker, maker = account.daily_volume.get(date, (ZERO, ZERO))
        daily.append((date, taker, maker, floor.counters.exchange_volume.get(date, ZERO)))
    return FeeState(cross, add, daily)


def role(exchange: Exchange, user: str) -> tuple[str, str | None]:
    """(missing | user | vault | agent | subAccount, the master of the last two)."""
    address = user.lower()
    agent = identity.live_agent(exchange.floor, address)
    if agent is not None:
        return "agent", agent.master
    account = exchange.accounts.get(address)
    if account is None or not account.known:
        return "missing", None
    if account.is_vault or address == BACKSTOP:
        return "vault", None
    return ("subAccount", account.master) if account.master else ("user", None)


def agents(exchange: Exchange, user: str) -> list[Agent]:
    """Live API wallets of an account; the unnamed one has an empty name."""
    address = user.lower()
    now = exchange.now_ns
    return [a for a in exchange.agents.values() if a.master == address and a.valid_until_ns > now]


def sub_accounts(exchange: Exchange, user: str) -> list[Account]:
    """Sub-accounts in the order they were opened."""
    return [exchange.accounts[a] for a in account_of(exchange, user).sub_accounts]


def vault_shares(exchange: Exchange, user: str) -> list[tuple[Account, Decimal]]:
    """(vault, worth in USDC) of every vault an account has money in."""
    address = user.lower()
    worths: list[tuple[Account, Decimal]] = []
    for vault in exchange.accounts.values():
        mine = vault.shares.get(address, ZERO) if vault.is_vault else ZERO
        if mine > 0:
            equity = margin.account_value(exchange.floor, vault)
            worths.append((vault, equity * mine / identity.shares_of(vault)))
    return worths


def twaps(exchange: Exchange, user: str) -> list[Twap]:
    """Running TWAPs."""
    return list(account_of(exchange, user).twaps.values())


def past_twaps(exchange: Exchange, user: str) -> list[Twap]:
    """Ended TWAPs, newest first."""
    return list(reversed(account_of(exchange, user).past_twaps))


def twap_fills(exchange: Exchange, user: str) -> list[FillRecord]:
    """Fills of TWAP slices, newest first, at most 2,000."""
    return [f for f in reversed(account_of(exchange, user).fills) if f.twap_id is not None][:2_000]


def builder_fee_cap(exchange: Exchange, user: str, builder: str) -> int:
    """The fee a user approved for a builder, in tenths of a basis point."""
    return account_of(exchange, user).builder_fees.get(builder.lower(), 0)


def coins_at_cap(exchange: Exchange) -> list[str]:
    """Coins whose open interest has reached its cap."""
    caps = exchange.settings.open_interest_caps
    return [c for c, x in exchange.contexts.items() if c in caps and x.open_interest * x.oracle >= caps[c]]


def spot_hold(exchange: Exchange, user: str) -> tuple[Decimal, Decimal]:
    """(total, on hold) of spot USDC."""
    return account_of(exchange, user).spot_usdc, ZERO
