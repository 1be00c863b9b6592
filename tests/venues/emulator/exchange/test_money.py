"""Money: over fuzzed sessions of many accounts nothing is created or lost, liquidations included."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from street import BTC, DOGE, ETH, ISO, START_NS, Desk, RandomStreet, order

from slipstream.venues.emulator.exchange import Exchange, ExchangeSettings, queries
from slipstream.venues.emulator.exchange.floor import BACKSTOP
from slipstream.venues.emulator.exchange.ledger import money_held, money_put_in
from slipstream.venues.emulator.exchange.registry import Resting
from slipstream.venues.emulator.market.synthetic import SyntheticMarket
from slipstream.venues.emulator.state import ZERO, Account

USERS = [f"0x{n:040x}" for n in range(0x1001, 0x1009)]
PRICES = {BTC: "100000", ETH: "4000", DOGE: "0.2", ISO: "10"}
RULES = ExchangeSettings(
    faucet=Decimal(2_000),
    schedule_cancel_volume=Decimal(0),
    sub_account_volume=Decimal(0),
    backstop_usdc=Decimal(5_000),
)


def check_money(exchange: Exchange) -> None:
    """Deposits = account values + fees + the background's result, to the last millionth; positions sum to zero."""
    assert money_held(exchange.floor) == money_put_in(exchange.floor)
    for coin in exchange.instruments:
        users = sum((a.positions[coin].szi for a in exchange.accounts.values() if coin in a.positions), ZERO)
        house = exchange.floor.house.positions.get(coin)
        assert users + (house.szi if house else ZERO) == 0


def check_books(exchange: Exchange) -> None:
    """Orders, books and reserved totals tell the same story."""
    floor = exchange.floor
    expected: dict[tuple[str, str], Resting] = {}
    live = 0
    for account in exchange.accounts.values():
        for oid, o in account.open_orders.items():
            live += 1
            assert floor.orders[oid] is o
            if o.cloid is not None:
                assert account.by_cloid[o.cloid] == oid
            if o.handle < 0:
                continue
            left = floor.books[o.coin].order_left(o.handle)
            assert left == exchange.instruments[o.coin].to_lots(o.sz) > 0
            if not o.reduce_only:
                row = expected.setdefault((o.user, o.coin), Resting())
                if o.side.sign > 0:
                    row.buy_sz += o.sz
                    row.buy_ntl += o.sz * o.limit_px
                else:
                    row.sell_sz += o.sz
                    row.sell_ntl += o.sz * o.limit_px
    assert live == len(floor.orders)
    assert expected == floor.resting


class Session:
    """Random actions of several users, from a seed."""

    def __init__(self, seed: int, volatility: float, market: Any = None) -> None:
        self.rng = Random(seed)
        self.desk = Desk(market or RandomStreet(PRICES, seed, volatility), RULES)
        self.coins = list(self.desk.street.instruments)
        self.exchange = self.desk.exchange
        for user in USERS:
            self.exchange.faucet(user)
        self.seen: Counter[str] = Counter()
        self.answers: list[list[dict[str, Any]]] = []

    def act(self) -> None:
        rng = self.rng
        user = rng.choice(USERS)
        account = self.exchange.accounts[user]
        actor, extra = account, {}
        if account.sub_accounts and rng.random() < 0.2:
            sub = rng.choice(account.sub_accounts)
            actor, extra = self.exchange.accounts[sub], {"vault": sub}
        maker = rng.choice(
            [*[self.orders] * 8, self.cancels, self.cancels, self.modifies, self.money, self.settings, self.twaps]
        )
        action = maker(actor)
        if action is not None:
            self.seen[action["type"]] += 1
            self.answers.append(self.desk.send(user, action, **extra))

    def orders(self, account: Account) -> dict[str, Any]:
        rng = self.rng
        instrument = rng.choice(self.coins)
        mark = self.exchange.contexts[instrument.coin].mark
        wires = []
        for _ in range(rng.choice([1, 1, 3])):
            side = rng.choice(["buy", "sell"])
            px = instrument.quantise(mark * Decimal(1 + rng.gauss(0, 0.001)), "ROUND_HALF_EVEN")
            usd = Decimal(rng.choice([9, 50, 400, 400, 2_000, 10_000]))
            sz = instrument.round_size(usd / mark)
            trigger = None
            if rng.random() < 0.15:
                at = instrument.quantise(mark * Decimal(1 + rng.gauss(0, 0.01)), "ROUND_HALF_EVEN")
                trigger = (rng.choice(["tp", "sl"]), str(at), rng.random() < 0.5)
            tif = rng.choice(["Gtc", "Gtc", "Ioc", "Alo", "FrontendMarket"])
            reduce = rng.random() < 0.25
            wires.append(order(instrument.asset, side, str(px), str(sz), tif, reduce_only=reduce, trigger=trigger))
        if len(wires) > 1 and rng.random() < 0.2:
            return self.bracket(wires[0], instrument.asset, mark)
        grouping = rng.choice(["na"] * 12 + ["normalTpsl", "positionTpsl"])
        return {"type": "order", "orders": wires, "grouping": grouping}

    def bracket(self, parent: dict[str, Any], asset: int, mark: Decimal) -> dict[str, Any]:
        """An order with its take profit and stop loss."""
        instrument = self.exchange.floor.by_asset[asset]
        parent = {**parent, "r": False, "t": {"limit": {"tif": "Gtc"}}}
        legs = []
        for tpsl, way in (("tp", 1), ("sl", -1)):
            sign = way if parent["b"] else -way
            at = str(instrument.quantise(mark * (1 + sign * Decimal("0.01")), "ROUND_HALF_EVEN"))
            side = "sell" if parent["b"] else "buy"
            legs.append(order(asset, side, at, parent["s"], reduce_only=True, trigger=(tpsl, at, True)))
        return {"type": "order", "orders": [parent, *legs], "grouping": "normalTpsl"}

    def cancels(self, account: Account) -> dict[str, Any] | None:
        oids = list(account.open_orders)
        if not oids:
            return None
        chosen = self.rng.sample(oids, min(len(oids), 3))
        assets = {o.oid: self.exchange.instruments[o.coin].asset for o in account.open_orders.values()}
        return {"type": "cancel", "cancels": [{"a": assets[oid], "o": oid} for oid in [*chosen, chosen[0]]]}

    def modifies(self, account: Account) -> dict[str, Any] | None:
        if not account.open_orders:
            return None
        old = self.rng.choice(list(account.open_orders.values()))
        instrument = self.exchange.instruments[old.coin]
        px = instrument.quantise(old.limit_px * Decimal(1 + self.rng.gauss(0, 0.003)), "ROUND_HALF_EVEN")
        side = "buy" if old.side.sign > 0 else "sell"
        wire = order(instrument.asset, side, str(px), str(old.orig_sz or instrument.lot), reduce_only=old.reduce_only)
        return {"type": "batchModify", "modifies": [{"oid": old.oid, "order": wire}]}

    def money(self, account: Account) -> dict[str, Any]:
        rng, signed = self.rng, {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
        amount = str(rng.choice(["1", "25.5", "300", "0.000001", "99999999"]))
        other = rng.choice(USERS)
        when = self.desk.nonce + 1
        kinds: list[dict[str, Any]] = [
            {"type": "usdSend", "destination": other, "amount": amount, "time": when, **signed},
            {"type": "withdraw3", "destination": other, "amount": amount, "time": when, **signed},
            {"type": "usdClassTransfer", "amount": amount, "toPerp": rng.random() < 0.5, "nonce": when, **signed},
            {"type": "spotSend", "destination": other, "token": "USDC:0x0", "amount": amount, "time": when, **signed},
            {"type": "createSubAccount", "name": f"s{rng.randrange(3)}"},
            {"type": "reserveRequestWeight", "weight": rng.randrange(1, 5_000)},
        ]
        if account.sub_accounts:
            target = rng.choice(account.sub_accounts)
            usd = rng.randrange(1, 500_000_000)
            for _ in range(3):
                deposit = rng.random() < 0.7
                kinds.append({"type": "subAccountTransfer", "subAccountUser": target, "isDeposit": deposit, "usd": usd})
        return rng.choice(kinds)

    def settings(self, account: Account) -> dict[str, Any]:
        rng = self.rng
        asset = rng.randrange(len(self.coins))
        if rng.random() < 0.3:
            amount = rng.randrange(-50_000_000, 50_000_000)
            return {"type": "updateIsolatedMargin", "asset": asset, "isBuy": True, "ntli": amount}
        cross = rng.random() < 0.5
        return {"type": "updateLeverage", "asset": asset, "isCross": cross, "leverage": rng.choice([1, 3, 10, 25, 40])}

    def twaps(self, account: Account) -> dict[str, Any]:
        twap = {"a": 1, "b": self.rng.random() < 0.5, "s": "0.5", "r": False, "m": 5, "t": True}
        return {"type": "twapOrder", "twap": twap}

    def run(self, blocks: int) -> Counter[str]:
        liquidations: Counter[str] = Counter()
        for _ in range(blocks):
            for _ in range(self.rng.randrange(16)):
                self.act()
            block = self.desk.step(self.rng.choice([0.1, 0.1, 1.0, 3.0, 3.0, 3.0, 12.0, 60.0]))
            check_money(self.exchange)
            for user, fill in block.fills:
                if fill.liquidation and fill.liquidation["liquidatedUser"] == user:
                    liquidations[fill.liquidation["method"]] += 1
        check_books(self.exchange)
        assert all(len(a) == 1 for a in self.answers), "every accepted request is answered exactly once"
        return liquidations


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), volatility=st.sampled_from([0.001, 0.01, 0.04]))
def test_money_is_conserved_to_the_millionth(seed: int, volatility: float) -> None:
    Session(seed, volatility).run(45)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_liquidations_never_create_money(seed: int) -> None:
    session = Session(seed, 0.06)
    liquidations = session.run(80)
    assert sum(liquidations.values()) > 0, "the session must liquidate somebody to prove anything"
    for address, account in session.exchange.accounts.items():
        if not account.positions and address != BACKSTOP:
            assert account.usd >= 0, address


def test_profit_of_an_account_is_the_sum_of_its_records() -> None:
    """Equity = deposits + closed profit - fees + funding + unrealised profit, exactly."""
    session = Session(11, 0.002)
    session.money = session.orders  # type: ignore[assignment, method-assign]  # no transfers
    session.run(120)
    traded = 0
    for user in USERS:
        account = session.exchange.accounts[user]
        traded += len(account.fills)
        closed = sum((f.closed_pnl - f.fee for f in account.fills), ZERO)
        funding = sum((f.usdc for f in account.fundings), ZERO)
        state = queries.clearinghouse(session.exchange, user)
        open_profit = sum((p.unrealised for p in state.positions), ZERO)
        assert state.total.account_value == account.deposits + closed + funding + open_profit
        position: dict[str, Decimal] = {}
        for fill in account.fills:
            assert fill.start_position == position.get(fill.coin, ZERO)
            position[fill.coin] = fill.start_position + fill.side.sign * fill.sz
    assert traded > 50


def test_a_session_is_a_function_of_its_seed() -> None:
    first, second = Session(5, 0.01), Session(5, 0.01)
    first.run(40)
    second.run(40)
    assert first.exchange.dump() == second.exchange.dump()
    assert [b.trades for b in first.desk.blocks] == [b.trades for b in second.desk.blocks]


def test_money_is_conserved_on_the_synthetic_market() -> None:
    """The same sessions against the venue's own market, and that market's start is a function of its seed."""
    dumps = []
    for _ in range(2):
        market = SyntheticMarket(("BTC", "ETH", "SOL", "DOGE"), 9, START_NS, days=2)
        session = Session(31, 0.0, market)
        session.run(60)
        assert sum(len(a.fills) for a in session.exchange.accounts.values()) > 50
        dumps.append(session.exchange.dump())
    assert dumps[0] == dumps[1]
