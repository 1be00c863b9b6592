"""The exchange as bytes and back."""

from __future__ import annotations

import msgspec

from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.exchange.contract import CoinContext, Market
from slipstream.venues.emulator.exchange.floor import Counters, Floor, NonceSet
from slipstream.venues.emulator.exchange.registry import count_resting
from slipstream.venues.emulator.settings import ExchangeSettings
from slipstream.venues.emulator.state import Account, Agent

FORMAT = 1


class Snapshot(msgspec.Struct):
    """What a restart needs; the rest is derived."""

    format: int
    settings: ExchangeSettings
    instruments: list[Instrument]
    now_ns: int
    contexts: dict[str, CoinContext]
    accounts: dict[str, Account]
    agents: dict[str, Agent]
    used_agents: list[str]
    nonces: dict[str, NonceSet]
    house: Account
    counters: Counters
    armed: dict[str, list[int]]
    addresses: list[str]
    post_only_until_ns: int


def dump(floor: Floor) -> bytes:
    """Encode everything but the market."""
    return msgspec.msgpack.encode(
        Snapshot(
            format=FORMAT,
            settings=floor.settings,
            instruments=list(floor.instruments.values()),
            now_ns=floor.now_ns,
            contexts=floor.contexts,
            accounts=floor.accounts,
            agents=floor.agents,
            used_agents=sorted(floor.used_agents),
            nonces=floor.nonces,
            house=floor.house,
            counters=floor.counters,
            armed={coin: list(orders) for coin, orders in floor.triggers.items()},
            addresses=floor.addresses,
            post_only_until_ns=floor.post_only_until_ns,
        )
    )


def load(data: bytes, market: Market, settings: ExchangeSettings | None) -> Floor:
    """Decode a snapshot over a market. Raises ValueError if the bytes are none, or of another format."""
    try:
        saved = msgspec.msgpack.decode(data, type=Snapshot)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a snapshot of the exchange: {error}") from error
    if saved.format != FORMAT:
        raise ValueError(f"snapshot format {saved.format}, this version reads {FORMAT}; start without it")
    floor = Floor({i.coin: i for i in saved.instruments}, market, settings or saved.settings, saved.now_ns)
    floor.contexts = saved.contexts
    floor.accounts = saved.accounts
    floor.agents = saved.agents
    floor.used_agents = set(saved.used_agents)
    floor.nonces = saved.nonces
    floor.house = saved.house
    floor.counters = saved.counters
    floor.addresses = saved.addresses
    floor.owners = {address: number for number, address in enumerate(saved.addresses) if number > 0}
    floor.post_only_until_ns = saved.post_only_until_ns
    floor.block.height = saved.counters.height + 1
    for account in saved.accounts.values():
        for order in account.open_orders.values():
            floor.orders[order.oid] = order
            if order.handle >= 0:
                count_resting(floor, order, order.sz)
        for coin in account.positions:
            floor.positions.setdefault(coin, set()).add(account.address)
    floor.triggers = {coin: {oid: floor.orders[oid] for oid in oids} for coin, oids in saved.armed.items()}
    return floor
