"""Funding: a premium sample every 5 s, a rate and a payment every hour.

premium = (max(impact bid - oracle, 0) - max(oracle - impact ask, 0)) / oracle
rate    = (P + clamp(0.0001 - P, +-0.0005)) / 8, at most 4 % an hour either way, P the hour's average premium
payment = position * oracle * rate; positive rates: longs pay shorts. The background pays and receives as one account.

Source: the venue's docs, "Funding"; checked there against recorded contexts.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from slipstream.venues.emulator.exchange.floor import MICRO, Floor
from slipstream.venues.emulator.exchange.prices import impact_price, update_open_interest
from slipstream.venues.emulator.settings import ExchangeSettings
from slipstream.venues.emulator.state import ZERO, Account, FundingRecord, Position

RATE_STEP = Decimal("0.0000000001")


def clamp(value: Decimal, bound: Decimal) -> Decimal:
    """Into +-bound."""
    return max(-bound, min(bound, value))


def hourly_rate(premium: Decimal, settings: ExchangeSettings) -> Decimal:
    """The hourly rate for an average premium."""
    eight = premium + clamp(settings.interest_8h - premium, settings.premium_clamp)
    return clamp((eight / 8).quantize(RATE_STEP), settings.funding_cap)


def premium_of(impact_bid: Decimal, impact_ask: Decimal, oracle: Decimal) -> Decimal:
    """One premium sample."""
    return (max(impact_bid - oracle, ZERO) - max(oracle - impact_ask, ZERO)) / oracle


def sample(floor: Floor) -> None:
    """Take a premium sample of every coin; refresh running estimates and open interest."""
    settings = floor.settings
    for instrument in floor.instruments.values():
        context = floor.contexts[instrument.coin]
        usd = settings.impact_notional.get(instrument.coin, settings.default_impact_notional)
        context.impact_bid = impact_price(floor, instrument, 1, usd)
        context.impact_ask = impact_price(floor, instrument, -1, usd)
        update_open_interest(floor, instrument.coin)
        if context.impact_bid is None or context.impact_ask is None:
            context.premium = None
            continue
        premium = premium_of(context.impact_bid, context.impact_ask, context.oracle).quantize(RATE_STEP)
        context.premium = premium
        context.premium_sum += premium
        context.premium_count += 1
        context.funding = hourly_rate(context.premium_sum / context.premium_count, settings)


def settle_hour(floor: Floor) -> None:
    """The hour is over: fix each coin's rate, exchange the payments, start the next hour."""
    for coin, context in floor.contexts.items():
        average = context.premium_sum / context.premium_count if context.premium_count else ZERO
        rate = hourly_rate(average, floor.settings)
        context.funding = rate
        context.premium_sum, context.premium_count = ZERO, 0
        floor.market.record_funding(coin, rate, average.quantize(RATE_STEP), floor.now_ns)
        _exchange(floor, coin, rate)


def _exchange(floor: Floor, coin: str, rate: Decimal) -> None:
    """Every holder pays or receives; the background takes the other side, to the last millionth."""
    oracle = floor.contexts[coin].oracle
    total = ZERO
    for user in sorted(floor.positions.get(coin, ())):
        account = floor.accounts[user]
        position = account.positions[coin]
        usdc = -(position.szi * oracle * rate).quantize(MICRO, rounding=ROUND_HALF_EVEN)
        total += usdc
        _pay(floor, account, position, usdc, rate)
    floor.house.usd -= total


def _pay(floor: Floor, account: Account, position: Position, usdc: Decimal, rate: Decimal) -> None:
    if position.is_cross:
        account.usd += usdc
    else:
        position.isolated_usd += usdc
    position.funding_all_time -= usdc
    position.funding_since_open -= usdc
    position.funding_since_change -= usdc
    account.funding_totals[position.coin] = position.funding_all_time
    record = FundingRecord(position.coin, usdc, position.szi, rate, floor.now_ns)
    account.fundings.append(record)
    spare = floor.settings.kept_fundings // 10 + 1
    if len(account.fundings) > floor.settings.kept_fundings + spare:
        del account.fundings[:spare]
    floor.block.fundings.append((account.address, record))
    floor.touch(account.address)
