"""Who acts: agents, sub-accounts, vaults, and the settings users keep."""

from __future__ import annotations

import re
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from slipstream.venues.emulator.exchange import wire
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.exchange.refusal import RequestRefused
from slipstream.venues.emulator.state import ZERO, Account, Agent

AGENT_DEFAULT_NS = 90 * 86_400 * 1_000_000_000
AGENT_LONGEST_NS = 180 * 86_400 * 1_000_000_000
NAMED_AGENTS = 3
AGENTS_PER_SUB = 2
VALID_UNTIL = re.compile(r"^(?P<name>.*?) ?valid_until (?P<ms>\d{1,16})$")
ABSTRACTIONS = {"i": "disabled", "u": "unifiedAccount", "p": "portfolioMargin"}
DEFAULT = {"type": "default"}


def live_agent(floor: Floor, address: str) -> Agent | None:
    """The agent of an address, unless expired (expired ones are dropped when met)."""
    agent = floor.agents.get(address)
    if agent is not None and agent.valid_until_ns <= floor.now_ns:
        del floor.agents[address]
        return None
    return agent


def acting_user(floor: Floor, signer: str, user_signed: bool) -> Account:
    """The account a signer speaks for. Raises RequestRefused with the venue's text for unknown signers."""
    if user_signed:
        account = floor.accounts.get(signer)
        if account is None or not account.known:
            raise RequestRefused(f"Must deposit before performing actions. User: {signer}")
        return account
    agent = live_agent(floor, signer)
    account = floor.accounts.get(agent.master if agent is not None else signer)
    if account is None or not account.known or account.is_vault or account.master is not None:
        raise RequestRefused(f"User or API Wallet {signer} does not exist.")
    return account


def acting_vault(floor: Floor, user: Account, vault: str) -> Account:
    """The sub-account or vault that a master trades for."""
    account = floor.accounts.get(vault)
    if account is None or account.master != user.address:
        raise RequestRefused(f"Vault not registered: {vault}")
    return account


def approve_agent(floor: Floor, account: Account, action: wire.ApproveAgent) -> dict[str, Any]:
    """Register an API wallet; the zero address removes the one of that name."""
    name, until = action.agentName or "", floor.now_ns + AGENT_DEFAULT_NS
    match = VALID_UNTIL.match(name)
    if match:
        name, until = match["name"], int(match["ms"]) * 1_000_000
        if not floor.now_ns < until <= floor.now_ns + AGENT_LONGEST_NS:
            raise RequestRefused("Invalid agent expiration: at most 180 days ahead.")
    if len(name) > 16:
        raise RequestRefused("Agent name must have 1 to 16 characters.")
    mine = [a for a in floor.agents.values() if a.master == account.address]
    same = [a for a in mine if a.name == name]
    address = action.agentAddress.lower()
    if int(address, 16) != 0:
        if address in floor.used_agents or address in floor.accounts:
            raise RequestRefused("Extra agent already used.")
        named = {a.name for a in mine if a.name} | ({name} if name else set())
        if len(named) > NAMED_AGENTS + AGENTS_PER_SUB * len(account.sub_accounts):
            raise RequestRefused("Too many extra agents.")
    for old in same:
        floor.agents.pop(old.address, None)
    if int(address, 16) != 0:
        floor.agents[address] = Agent(address, account.address, name, until)
        floor.used_agents.add(address)
    return DEFAULT


def approve_builder(account: Account, action: wire.ApproveBuilderFee) -> dict[str, Any]:
    """Allow a builder at most a fee: per cent, at most 0.1 % on perps; kept in tenths of a basis point."""
    percent = Decimal(action.maxFeeRate[:-1])
    if percent > Decimal("0.1"):
        raise RequestRefused("Builder fee rate is above the maximum of 0.1%.")
    account.builder_fees[action.builder.lower()] = int(percent * 1000)
    return DEFAULT


def child_address(floor: Floor, parent: str, kind: str, number: int) -> str:
    """The address of a new sub-account or vault: a function of its parent and number."""
    text = f"{floor.settings.seed}/{kind}/{parent}/{number}"
    return "0x" + blake2b(text.encode(), digest_size=20).hexdigest()


def create_sub_account(floor: Floor, account: Account, action: wire.CreateSubAccount) -> dict[str, Any]:
    """Open a sub-account; its address is the answer."""
    if not 1 <= len(action.name) <= 16:
        raise RequestRefused("Sub-account name must have 1 to 16 characters.")
    if any(floor.accounts[a].name == action.name for a in account.sub_accounts):
        raise RequestRefused(f"Sub-account {action.name} exists already.")
    needed = floor.settings.sub_account_volume
    if account.volume < needed:
        raise RequestRefused(
            f"Cannot create sub-accounts until enough volume traded. Required: ${needed}. "
            f"Traded: ${account.volume:.2f}."
        )
    address = child_address(floor, account.address, "sub", len(account.sub_accounts))
    floor.accounts[address] = Account(address, master=account.address, name=action.name, known=True)
    account.sub_accounts.append(address)
    floor.touch(account.address)
    return {"type": "createSubAccount", "data": address}


def set_referrer(account: Account, action: wire.SetReferrer) -> dict[str, Any]:
    """Remember a referral code; only the first counts."""
    if account.referrer is not None:
        raise RequestRefused("Referrer already set.")
    account.referrer = action.code
    return DEFAULT


def set_abstraction(account: Account, kind: str) -> dict[str, Any]:
    """Remember how the account's balances are abstracted. Margin itself stays per clearinghouse."""
    account.abstraction = kind
    return DEFAULT


def owned(floor: Floor, account: Account, address: str) -> Account:
    """The account itself or one of its sub-accounts."""
    if address == account.address:
        return account
    child = floor.accounts.get(address)
    if child is None or child.master != account.address:
        raise RequestRefused(f"User {address} is not a sub-account of {account.address}.")
    return child


def shares_of(vault: Account) -> Decimal:
    """All shares of a vault."""
    return sum(vault.shares.values(), ZERO)
