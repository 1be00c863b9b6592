"""The exchange's rules: accounts, margin, orders, triggers, TWAP, funding, liquidation, fees, nonces, transfers."""

from slipstream.venues.emulator.exchange.contract import CoinContext, Market
from slipstream.venues.emulator.exchange.refusal import Malformed
from slipstream.venues.emulator.exchange.venue import Exchange
from slipstream.venues.emulator.settings import ExchangeSettings

__all__ = ["CoinContext", "Exchange", "ExchangeSettings", "Malformed", "Market"]
