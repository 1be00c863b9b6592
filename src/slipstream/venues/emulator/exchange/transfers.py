"""Money between accounts, and out. Every transfer leaves the margin that positions and orders need."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Any

from slipstream.venues.emulator.exchange import margin, wire
from slipstream.venues.emulator.exchange.floor import BACKSTOP, MICRO, Floor
from slipstream.venues.emulator.exchange.identity import DEFAULT, child_address, owned, shares_of
from slipstream.venues.emulator.exchange.ledger import account_at, record
from slipstream.venues.emulator.exchange.refusal import RequestRefused
from slipstream.venues.emulator.state import ZERO, Account

SHORT = "Insufficient balance for withdrawal"
SPOT_SHORT = "Insufficient spot balance"
VAULT_LEAST = 100_000_000


def amount_of(text: str) -> Decimal:
    """A positive amount in whole millionths."""
    amount = Decimal(text)
    if amount <= 0 or amount != amount.quantize(MICRO):
        raise RequestRefused(f"Invalid amount: {text}")
    return amount


def take_perp(floor: Floor, account: Account, amount: Decimal) -> None:
    """Take free margin out of a perp account."""
    if amount > margin.withdrawable(floor, account):
        raise RequestRefused(SHORT)
    account.usd -= amount


def give_perp(account: Account, amount: Decimal) -> None:
    """Credit a perp account; it exists from now on."""
    account.usd += amount
    account.known = True


def usd_send(floor: Floor, account: Account, action: wire.UsdSend) -> dict[str, Any]:
    """Perp USDC to any address."""
    amount = amount_of(action.amount)
    take_perp(floor, account, amount)
    other = account_at(floor, action.destination.lower())
    give_perp(other, amount)
    delta = {
        "type": "internalTransfer",
        "usdc": str(amount),
        "user": account.address,
        "destination": other.address,
        "fee": "0.0",
    }
    for party in dict.fromkeys((account.address, other.address)):
        record(floor, floor.accounts[party], delta)
    return DEFAULT


def spot_send(floor: Floor, account: Account, action: wire.SpotSend) -> dict[str, Any]:
    """Spot USDC to any address; the only token here."""
    amount = amount_of(action.amount)
    require_usdc(action.token)
    if amount > account.spot_usdc:
        raise RequestRefused(SPOT_SHORT)
    other = account_at(floor, action.destination.lower())
    account.spot_usdc -= amount
    other.spot_usdc += amount
    other.known = True
    delta = {
        "type": "spotTransfer",
        "token": "USDC",
        "amount": str(amount),
        "usdcValue": str(amount),
        "user": account.address,
        "destination": other.address,
        "fee": "0.0",
    }
    for party in dict.fromkeys((account.address, other.address)):
        record(floor, floor.accounts[party], delta)
    return DEFAULT


def require_usdc(token: str) -> None:
    """Only USDC exists on this venue."""
    if token.split(":")[0] != "USDC":
        raise RequestRefused(f"Invalid token {token}")


def withdraw(floor: Floor, account: Account, action: wire.Withdraw) -> dict[str, Any]:
    """Perp USDC out of the venue, less a fee."""
    amount = amount_of(action.amount)
    fee = floor.settings.withdrawal_fee
    if amount <= fee:
        raise RequestRefused(SHORT)
    take_perp(floor, account, amount)
    account.deposits -= amount - fee
    account.fees_paid += fee
    floor.counters.fees += fee
    record(floor, account, {"type": "withdraw", "usdc": str(amount - fee), "nonce": action.time, "fee": str(fee)})
    return DEFAULT


def class_transfer(floor: Floor, account: Account, action: wire.UsdClassTransfer) -> dict[str, Any]:
    """USDC between an account's perp and spot sides; the amount may name a sub-account."""
    text, _, sub = action.amount.partition(" subaccount:")
    target = owned(floor, account, sub.lower()) if sub else account
    if target.abstraction in ("unifiedAccount", "portfolioMargin"):
        raise RequestRefused("Action disabled when unified account is active")
    amount = amount_of(text)
    if action.toPerp:
        if amount > target.spot_usdc:
            raise RequestRefused(SPOT_SHORT)
        target.spot_usdc -= amount
        give_perp(target, amount)
    else:
        take_perp(floor, target, amount)
        target.spot_usdc += amount
    record(floor, target, {"type": "accountClassTransfer", "usdc": str(amount), "toPerp": action.toPerp})
    return DEFAULT


def send_asset(floor: Floor, account: Account, action: wire.SendAsset) -> dict[str, Any]:
    """USDC between sides (\"\" is perps, \"spot\" spot) of any two accounts."""
    amount = amount_of(action.amount)
    require_usdc(action.token)
    for dex in (action.sourceDex, action.destinationDex):
        if dex not in ("", "spot"):
            raise RequestRefused(f"Invalid dex {dex}")
    source = owned(floor, account, action.fromSubAccount.lower()) if action.fromSubAccount else account
    if action.sourceDex == "spot":
        if amount > source.spot_usdc:
            raise RequestRefused(SPOT_SHORT)
        source.spot_usdc -= amount
    else:
        take_perp(floor, source, amount)
    other = account_at(floor, action.destination.lower())
    if action.destinationDex == "spot":
        other.spot_usdc += amount
        other.known = True
    else:
        give_perp(other, amount)
    delta = {
        "type": "send",
        "user": source.address,
        "destination": other.address,
        "sourceDex": action.sourceDex,
        "destinationDex": action.destinationDex,
        "token": "USDC",
        "amount": str(amount),
        "usdcValue": str(amount),
        "fee": "0.0",
        "nativeTokenFee": "0.0",
        "nonce": action.nonce,
        "feeToken": "",
    }
    for party in dict.fromkeys((source.address, other.address)):
        record(floor, floor.accounts[party], delta)
    return DEFAULT


def sub_account_transfer(floor: Floor, account: Account, action: wire.SubAccountTransfer) -> dict[str, Any]:
    """Perp USDC between a master and its sub-account; ``usd`` in millionths."""
    sub = owned(floor, account, action.subAccountUser.lower())
    if sub is account:
        raise RequestRefused(f"User {account.address} is not a sub-account of {account.address}.")
    amount = Decimal(action.usd) * MICRO
    source, target = (account, sub) if action.isDeposit else (sub, account)
    take_perp(floor, source, amount)
    give_perp(target, amount)
    delta = {
        "type": "subAccountTransfer",
        "usdc": str(amount),
        "user": source.address,
        "destination": target.address,
    }
    record(floor, source, delta)
    record(floor, target, delta)
    return DEFAULT


def sub_account_spot(floor: Floor, account: Account, action: wire.SubAccountSpotTransfer) -> dict[str, Any]:
    """Spot USDC between a master and its sub-account."""
    sub = owned(floor, account, action.subAccountUser.lower())
    require_usdc(action.token)
    amount = amount_of(action.amount)
    source, target = (account, sub) if action.isDeposit else (sub, account)
    if amount > source.spot_usdc:
        raise RequestRefused(SPOT_SHORT)
    source.spot_usdc -= amount
    target.spot_usdc += amount
    return DEFAULT


def create_vault(floor: Floor, account: Account, action: wire.CreateVault) -> dict[str, Any]:
    """Open a vault that the account leads, with at least 100 USDC of its own."""
    if action.initialUsd < VAULT_LEAST:
        raise RequestRefused("Initial deposit must be at least 100 USDC.")
    amount = Decimal(action.initialUsd) * MICRO
    take_perp(floor, account, amount)
    number = sum(a.is_vault and a.master == account.address for a in floor.accounts.values())
    address = child_address(floor, account.address, "vault", number)
    vault = Account(address, master=account.address, name=action.name, is_vault=True)
    floor.accounts[address] = vault
    give_perp(vault, amount)
    vault.shares[account.address] = amount
    record(floor, account, {"type": "vaultCreate", "vault": address, "usdc": str(amount), "fee": "0.0"})
    return {"type": "createVault", "data": address}


def vault_transfer(floor: Floor, account: Account, action: wire.VaultTransfer) -> dict[str, Any]:
    """Put money into a vault or take a share of its equity out; ``usd`` in millionths."""
    vault = floor.accounts.get(action.vaultAddress.lower())
    if vault is None or not vault.is_vault or vault.address == BACKSTOP:
        raise RequestRefused(f"Vault not registered: {action.vaultAddress.lower()}")
    amount = Decimal(action.usd) * MICRO
    if amount <= 0:
        raise RequestRefused(f"Invalid amount: {amount}")
    equity, total = margin.account_value(floor, vault), shares_of(vault)
    if action.isDeposit:
        if equity <= 0 < total:
            raise RequestRefused("Vault has no equity.")
        take_perp(floor, account, amount)
        vault.shares[account.address] = vault.shares.get(account.address, ZERO) + (
            amount if total == 0 else amount * total / equity
        )
        give_perp(vault, amount)
    else:
        mine = vault.shares.get(account.address, ZERO)
        worth = (equity * mine / total).quantize(MICRO, rounding=ROUND_DOWN) if total > 0 else ZERO
        if amount > worth:
            raise RequestRefused(SHORT)
        take_perp(floor, vault, amount)
        give_perp(account, amount)
        left = mine - (mine if amount == worth else amount * total / equity)
        if left > 0:
            vault.shares[account.address] = left
        else:
            vault.shares.pop(account.address, None)
    kind = "vaultDeposit" if action.isDeposit else "vaultWithdraw"
    record(floor, account, {"type": kind, "vault": vault.address, "user": account.address, "usdc": str(amount)})
    floor.touch(vault.address)
    return DEFAULT


def buy_requests(floor: Floor, account: Account, action: wire.ReserveRequestWeight) -> dict[str, Any]:
    """Buy address budget at 0.0005 USDC a request."""
    price = floor.settings.request_price * action.weight
    take_perp(floor, account, price)
    account.fees_paid += price
    floor.counters.fees += price
    account.requests_bought += action.weight
    return DEFAULT
