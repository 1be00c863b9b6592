"""What the venue says of one account, read so that nothing is missed and nothing is counted twice.

Fills arrive by stream and by sweep, funding by sweep; each is delivered once, by (tid, oid) and by (coin, time).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from slipstream.model.errors import ConfigError
from slipstream.model.events import AccountState, Budget, Event
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.chain import in_order
from slipstream.venues.hyperliquid.owing import Owing
from slipstream.venues.hyperliquid.rest import Rest

MS = 1_000_000
OVERLAP_MS = 60_000  # a sweep reaches back this far before what it has seen
PAGE = 2_000  # fills of one answer
FUNDING_PAGE = 500
SEEN = 50_000


class Seen:
    """The newest keys, bounded."""

    def __init__(self, kept: int = SEEN) -> None:
        self._keys: OrderedDict[tuple[Any, ...], None] = OrderedDict()
        self._kept = kept

    def add(self, key: tuple[Any, ...]) -> bool:
        """False if the key was there."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._kept:
            self._keys.popitem(last=False)
        return True

    def __contains__(self, key: tuple[Any, ...]) -> bool:
        return key in self._keys


class Account:
    """Reads one address. ``deliver`` takes events, ``since_ms`` is where the first sweep begins."""

    def __init__(self, rest: Rest, address: str, deliver: Callable[[Event], None], since_ms: int) -> None:
        self._rest = rest
        self.address = address
        self._deliver = deliver
        self._fills = Seen()
        self._fundings = Seen()
        self.owing = Owing()
        self._fills_ms = since_ms
        self._funding_ms = since_ms

    def streamed(self, fills: list[wire.WireFill]) -> None:
        """Deliver fills of the stream that are new."""
        for fill in in_order(fills):
            self._give(fill)

    def _give(self, fill: wire.WireFill) -> bool:
        if not self._fills.add((fill.tid, fill.oid)):
            return False
        self.owing.delivered(fill.oid, fill.sz)
        self._deliver(wire.to_fill(fill))
        return True

    async def sweep_fills(self) -> int:
        """Deliver every fill since the last sweep that the stream did not bring; how many there were."""
        start = max(0, self._fills_ms - OVERLAP_MS)
        brought = 0
        while True:
            body = {"user": self.address, "startTime": start, "aggregateByTime": False}
            rows = await self._rest.info("userFillsByTime", list[wire.WireFill], **body)
            for fill in in_order(rows):
                brought += self._give(fill)
            if rows:
                newest = max(row.time for row in rows)
                self._fills_ms = max(self._fills_ms, newest)
            if len(rows) < PAGE or newest == start:
                break
            start = newest
        self.owing.forgive()
        return brought

    async def sweep_fundings(self) -> None:
        """Deliver funding rows since the last sweep."""
        start = self._funding_ms
        while True:
            rows = await self._rest.info("userFunding", list[wire.FundingRow], user=self.address, startTime=start)
            for row in sorted(rows, key=lambda r: r.time):
                if self._fundings.add((row.delta.coin, row.time)):
                    self._deliver(wire.to_funding(row))
            if rows:
                newest = max(row.time for row in rows)
                self._funding_ms = max(self._funding_ms, newest)
            if len(rows) < FUNDING_PAGE or newest == start:
                break
            start = newest

    async def reconcile(self) -> AccountState:
        """Read state, then fills and funding up to it, then orders; deliver all, the state last.

        The state is read first: every fill in it is then found by the sweep that follows.
        """
        state = await self._rest.info("clearinghouseState", wire.Clearinghouse, user=self.address)
        await self.sweep_fills()
        await self.sweep_fundings()
        orders = await self._rest.info("frontendOpenOrders", list[wire.WireOrder], user=self.address)
        out = AccountState(
            equity=state.margin_summary.account_value,
            withdrawable=state.withdrawable,
            positions=tuple(wire.to_position(p.position) for p in state.asset_positions),
            orders=tuple(wire.to_order(row) for row in orders if not row.is_trigger),
            ns=state.time * MS,
        )
        self._deliver(out)
        return out

    async def budget(self, ns: int) -> None:
        """Deliver the address budget."""
        row = await self._rest.info("userRateLimit", wire.RateLimit, user=self.address)
        self._deliver(Budget(row.n_requests_used, row.n_requests_cap, ns))


async def check_owner(rest: Rest, account: str, signer: str) -> None:
    """Whether a key may trade for an account. Raises ConfigError, saying what to mend.

    Asks `userRole` of the key, and `userAbstraction` of the account: a unified account's money is not where a perp
    trader looks for it.
    """
    if signer != account:
        role = await rest.info("userRole", wire.Role, user=signer)
        master = role.data.get("user", "").lower()
        sub = await rest.info("userRole", wire.Role, user=account)
        allowed = {account, sub.data.get("master", "").lower()} - {""}
        if role.role == "agent" and master not in allowed:
            raise ConfigError(f"key of {signer} is an agent of {master}, not of account {account}: use the right key")
        if role.role != "agent" and signer not in allowed:
            raise ConfigError(
                f"key of {signer} is no agent of account {account} (the venue calls it {role.role!r}): approve it as "
                "an API wallet, or name the account it belongs to as main wallet"
            )
    else:
        role = await rest.info("userRole", wire.Role, user=account)
        if role.role == "agent":
            raise ConfigError(
                f"{account} is an agent of {role.data.get('user')}: name that account as main wallet, an agent's own "
                "state is empty"
            )
    mode = await rest.info("userAbstraction", str, user=account)
    if mode in ("unifiedAccount", "portfolioMargin"):
        spot = await rest.info("spotClearinghouseState", wire.SpotState, user=account)
        cash = next((b.total for b in spot.balances if b.coin == "USDC"), 0)
        raise ConfigError(
            f"account {account} is in mode {mode} (spot USDC {cash}): its perp summary shows zero equity, so sizes and "
            "limits would be wrong; switch it to the default mode, or use a sub-account"
        )
