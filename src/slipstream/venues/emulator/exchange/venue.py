"""The emulated exchange: synchronous, deterministic, time passed in, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from slipstream.lob.book import Book
from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.exchange import budget, identity, ledger, nonces, prices, snapshot, wire
from slipstream.venues.emulator.exchange.blocks import Pending, run_block
from slipstream.venues.emulator.exchange.contract import CoinContext, Market
from slipstream.venues.emulator.exchange.floor import BACKSTOP, Floor
from slipstream.venues.emulator.exchange.refusal import RequestRefused
from slipstream.venues.emulator.settings import ExchangeSettings
from slipstream.venues.emulator.state import Account, Agent, Block

Reply = Callable[[dict[str, Any]], None]


class Exchange:
    """Accounts, orders and rules over a market. Reads are functions of the sibling module ``queries``."""

    def __init__(
        self, instruments: Sequence[Instrument], market: Market, settings: ExchangeSettings, now_ns: int
    ) -> None:
        """Open the venue at venue time ``now_ns``; the market's books may already hold the background's orders."""
        self.floor = Floor({i.coin: i for i in instruments}, market, settings, now_ns)
        self.pending: list[Pending] = []
        for instrument in instruments:
            prices.start_context(self.floor, instrument)
        vault = Account(BACKSTOP, name="Liquidator", is_vault=True)
        self.floor.accounts[BACKSTOP] = vault
        ledger.put_in(self.floor, vault, settings.backstop_usdc)

    @property
    def settings(self) -> ExchangeSettings:
        """The rules in force."""
        return self.floor.settings

    @property
    def market(self) -> Market:
        """The market process."""
        return self.floor.market

    @property
    def accounts(self) -> dict[str, Account]:
        """Every account by lower-case address: users, sub-accounts, vaults."""
        return self.floor.accounts

    @property
    def agents(self) -> dict[str, Agent]:
        """API wallets by address."""
        return self.floor.agents

    @property
    def instruments(self) -> dict[str, Instrument]:
        """Perps by coin."""
        return self.floor.instruments

    @property
    def books(self) -> dict[str, Book]:
        """Matching engines by coin."""
        return self.floor.books

    @property
    def contexts(self) -> dict[str, CoinContext]:
        """Prices and funding by coin."""
        return self.floor.contexts

    @property
    def now_ns(self) -> int:
        """Venue time of the last block."""
        return self.floor.now_ns

    @property
    def height(self) -> int:
        """Number of the last block."""
        return self.floor.counters.height

    def knows(self, address: str) -> bool:
        """Whether an address is a funded account, a live agent, a sub-account or a vault."""
        account = self.floor.accounts.get(address)
        return (account is not None and account.known) or identity.live_agent(self.floor, address) is not None

    def faucet(self, address: str) -> bool:
        """Give an address nobody has named before its test money; whether it got any."""
        address = address.lower()
        if address in self.floor.accounts or address in self.floor.used_agents or self.settings.faucet <= 0:
            return False
        self.deposit(address, self.settings.faucet)
        return True

    def deposit(self, address: str, usdc: Decimal) -> None:
        """External money for an account. Raises ValueError unless positive and in whole millionths."""
        if not usdc.is_finite() or usdc <= 0 or usdc != usdc.quantize(Decimal("0.000001")):
            raise ValueError(f"a deposit must be a positive amount in whole millionths of a USDC, not {usdc}")
        self.floor.action_hash = self.floor.stamp("deposit", address, len(self.floor.block.ledger))
        ledger.put_in(self.floor, ledger.account_at(self.floor, address.lower()), usdc)

    def set_post_only_until(self, ns: int) -> None:
        """Open a post-only window, as after a network upgrade, until a venue time."""
        self.floor.post_only_until_ns = ns

    def submit(
        self,
        action: dict[str, Any],
        *,
        signer: str,
        nonce: int,
        vault: str | None = None,
        expires_after: int | None = None,
        wall_ms: int,
        user_signed: bool = False,
        reply: Reply,
    ) -> None:
        """Check a request and queue it for the next block; ``reply`` hears the venue's answer.

        Whole-request failures are answered at once with ``{"status": "err", "response": text}``; everything else
        when its block commits. ``signer`` is the recovered address, lower-case. Raises Malformed (HTTP 422) for an
        action that fits no schema.
        """
        typed = wire.read_action(action)
        try:
            self.pending.append(
                self._admit(typed, signer.lower(), nonce, vault, expires_after, wall_ms, user_signed, reply)
            )
        except RequestRefused as refusal:
            reply({"status": "err", "response": str(refusal)})

    def _admit(
        self,
        action: wire.Action,
        signer: str,
        nonce: int,
        vault: str | None,
        expires_after: int | None,
        wall_ms: int,
        user_signed: bool,
        reply: Reply,
    ) -> Pending:
        floor = self.floor
        nonces.check_nonce(floor, signer, nonce, wall_ms)
        inner = wire.signed_nonce(action)
        if inner is not None and inner != nonce:
            raise RequestRefused("Nonce mismatch.")
        account = identity.acting_user(floor, signer, user_signed)
        nonces.consume_nonce(floor, signer, nonce)
        if vault is not None and inner is None:
            address = "0x" + vault.lower().removeprefix("0x")
            if address != account.address:
                account = identity.acting_vault(floor, account, address)
        expires_ms = None
        if expires_after is not None:
            clock = nonces.nearest_clock(expires_after, wall_ms, floor.now_ms)
            if expires_after < clock:
                budget.charge_expired(account)
                raise RequestRefused("Action already expired")
            expires_ms = expires_after if clock == floor.now_ms else None
        budget.charge(floor, account, action)
        return Pending(action, account.address, signer, nonce, wall_ms, expires_ms, reply)

    def step(self, now_ns: int, wall_ms: int | None = None) -> Block:
        """One block, ending at venue time ``now_ns``; what it changed. Raises ValueError unless time advances.

        ``wall_ms`` is the clients' clock, for dead man's switches set on it.
        """
        pending, self.pending = self.pending, []
        return run_block(self.floor, pending, now_ns, wall_ms)

    def dump(self) -> bytes:
        """A snapshot of everything but the market (see `Market.dump`). Queued actions are not in it."""
        return snapshot.dump(self.floor)

    @classmethod
    def load(cls, data: bytes, market: Market, settings: ExchangeSettings | None = None) -> Exchange:
        """The exchange of a snapshot over its (also restored) market. Raises ValueError for foreign bytes."""
        exchange = cls.__new__(cls)
        exchange.floor = snapshot.load(data, market, settings)
        exchange.pending = []
        return exchange
