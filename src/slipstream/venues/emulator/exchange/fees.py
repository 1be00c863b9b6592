"""Trading fees: tiers by 14-day volume, maker rebates, builder fees; truncated to millionths.

The window is the fourteen whole UTC days before today, so tiers move once a day. Sub-accounts share their master's
tier.
"""

from __future__ import annotations

from decimal import Decimal

from slipstream.venues.emulator.exchange.floor import Floor, truncated, utc_date
from slipstream.venues.emulator.settings import DAY
from slipstream.venues.emulator.state import ZERO, Account

WINDOW_DAYS = 14
KEPT_DAYS = 30
BUILDER_UNIT = Decimal("0.00001")  # a tenth of a basis point


def window(floor: Floor) -> list[str]:
    """The dates that decide today's tier."""
    day = floor.now_ns // DAY
    return [utc_date(day - back) for back in range(WINDOW_DAYS, 0, -1)]


def family(floor: Floor, account: Account) -> list[Account]:
    """The accounts that share a tier: a master and its sub-accounts; a vault is alone."""
    if account.is_vault:
        return [account]
    master = floor.accounts.get(account.master, account) if account.master else account
    return [master, *(floor.accounts[a] for a in master.sub_accounts if a in floor.accounts)]


def window_volume(floor: Floor, account: Account) -> tuple[Decimal, Decimal]:
    """(taker, maker) notional of the family over the window."""
    taker = maker = ZERO
    for member in family(floor, account):
        for date in window(floor):
            day = member.daily_volume.get(date)
            if day is not None:
                taker += day[0]
                maker += day[1]
    return taker, maker


def rates(floor: Floor, account: Account) -> tuple[Decimal, Decimal]:
    """(taker, maker) fee as fractions of notional, today."""
    head = account.master if account.master and not account.is_vault else account.address
    key = (head, floor.today)
    known = floor.rates.get(key)
    if known is not None:
        return known
    taker, maker = window_volume(floor, account)
    cross, add = tier_rates(floor, taker + maker, maker)
    if len(floor.rates) > 10_000:
        floor.rates.clear()
    floor.rates[key] = (cross, add)
    return cross, add


def tier_rates(floor: Floor, volume: Decimal, maker: Decimal) -> tuple[Decimal, Decimal]:
    """(taker, maker) fee for a 14-day volume, of which ``maker`` was passive."""
    settings = floor.settings
    tier = settings.fee_tiers[0]
    for candidate in settings.fee_tiers:
        if volume > candidate.cutoff or candidate.cutoff == 0:
            tier = candidate
    add = tier.add
    total = sum((floor.counters.exchange_volume.get(date, ZERO) for date in window(floor)), ZERO)
    for rebate in settings.maker_tiers:
        if total > 0 and maker / total > rebate.fraction:
            add = min(add, rebate.add)
    return tier.cross, add


def fee(floor: Floor, account: Account, notional: Decimal, crossed: bool) -> Decimal:
    """The venue's fee for one fill in USDC; negative is a rebate."""
    cross, add = rates(floor, account)
    return truncated(notional * (cross if crossed else add))


def builder_fee(notional: Decimal, builder: tuple[str, int] | None) -> Decimal:
    """The builder's fee for one fill."""
    if builder is None or builder[1] == 0:
        return ZERO
    return truncated(notional * builder[1] * BUILDER_UNIT)


def count_volume(floor: Floor, account: Account, notional: Decimal, crossed: bool) -> None:
    """Add a fill to the account's volumes; days older than a month are forgotten."""
    account.volume += notional
    date = floor.today
    taker, maker = account.daily_volume.get(date, (ZERO, ZERO))
    account.daily_volume[date] = (taker + notional, maker) if crossed else (taker, maker + notional)
    if len(account.daily_volume) > KEPT_DAYS:
        del account.daily_volume[min(account.daily_volume)]
