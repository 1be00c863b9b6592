"""Rows of the non-funding ledger: money in, out and between accounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.state import Account, LedgerRecord


def record(floor: Floor, account: Account, delta: dict[str, Any]) -> None:
    """Keep and publish one row; ``delta`` is the venue's object, ``type`` included."""
    row = LedgerRecord(floor.now_ns, floor.action_hash, delta)
    account.ledger.append(row)
    spare = floor.settings.kept_ledger // 10 + 1
    if len(account.ledger) > floor.settings.kept_ledger + spare:
        del account.ledger[:spare]
    floor.block.ledger.append((account.address, row))
    floor.touch(account.address)


def account_at(floor: Floor, address: str) -> Account:
    """The account of an address, opened if new."""
    account = floor.accounts.get(address)
    if account is None:
        account = floor.accounts[address] = Account(address)
    return account


def put_in(floor: Floor, account: Account, usdc: Decimal) -> None:
    """External money arrives."""
    account.usd += usdc
    account.deposits += usdc
    account.known = True
    record(floor, account, {"type": "deposit", "usdc": str(usdc)})


def money_held(floor: Floor) -> Decimal:
    """All money inside: accounts, the background, fees and builder fees, valued at the mark prices.

    Always equals `money_put_in`: positions sum to zero over users and background, and cash only moves.
    """
    total = floor.counters.fees + sum(floor.counters.builder_fees.values(), Decimal(0))
    for account in (*floor.accounts.values(), floor.house):
        total += account.usd + account.spot_usdc
        for position in account.positions.values():
            total += position.isolated_usd + position.szi * floor.contexts[position.coin].mark
    return total


def money_put_in(floor: Floor) -> Decimal:
    """All external money that ever came in, less what left."""
    return sum((account.deposits for account in floor.accounts.values()), Decimal(0))
