"""Brawler through the kernel, end to end on a simulated tape: it quotes, earns, stays within its bounds, suspends."""

from __future__ import annotations

import json
from decimal import Decimal
from statistics import mean

import pytest
from brawler_tape import SECOND, Tape, config

from slipstream.model.events import Budget, Disconnect, Reconnect
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Resume, TradingState
from slipstream.runtime.records import encode_commands

WARM = 25.0  # seconds until the estimates are


def opened(tape: Tape) -> Tape:
    tape.open()
    tape.run(WARM)
    return tape


def test_it_makes_a_market() -> None:
    tape = Tape(config())
    tape.open()
    limit = Decimal("0.5")

    def watch() -> None:
        low, high = tape.kernel.desk.worst("ETH")
        assert abs(tape.positions.get("ETH", Decimal(0))) <= limit
        assert -limit - Decimal("0.1") <= low <= high <= limit + Decimal("0.1")

    tape.run(1200, watch)
    buys = [f for f in tape.fills if f.side is Side.BUY]
    sells = [f for f in tape.fills if f.side is Side.SELL]
    assert min(len(buys), len(sells)) > 40
    assert not any(fill.crossed for fill in tape.fills)
    assert tape.kernel.desk.ledger.position("ETH") == tape.positions["ETH"]
    assert tape.equity() > 0  # after fees, at the anchor's price
    # every refusal is a race of its own latency, and rare
    assert not [n for n in tape.notes() if n.startswith("suspended: ") and "inventory" not in n]
    # the address budget: a dollar traded pays for a request, with room to spare
    traded = sum(fill.px * fill.sz for fill in tape.fills)
    assert len(tape.requests()) < traded / 4


def test_the_same_tape_gives_the_same_bytes() -> None:
    tapes = [Tape(config(), seed=4), Tape(config(), seed=4), Tape(config(), seed=5)]
    for tape in tapes:
        tape.open()
        tape.run(200)
    one, two, other = (b"".join(encode_commands(commands) for _, commands in tape.steps) for tape in tapes)
    assert one == two
    assert one != other


def test_quotes_rest_on_both_sides_of_fair_and_lean_against_inventory() -> None:
    tape = opened(Tape(config(), seed=2))
    leans: list[tuple[Decimal, float]] = []

    def watch() -> None:
        maker = tape.strategy.makers["ETH"]
        quote, decision = maker.last, maker.decision
        if quote is not None and quote.bid is not None and quote.ask is not None and decision is not None:
            centre = float(quote.bid.px + quote.ask.px) / 2.0
            leans.append((tape.positions.get("ETH", Decimal(0)), centre - decision.fair))

    tape.run(600, watch)
    long = [lean for position, lean in leans if position >= Decimal("0.2")]
    short = [lean for position, lean in leans if position <= Decimal("-0.2")]
    assert min(len(long), len(short)) > 50
    assert mean(long) < mean(short) - 0.3  # a third of 2000 * 0.0006, towards the other side


@pytest.mark.parametrize("venue", ["hl", "binance"])
def test_a_frozen_feed_suspends_and_resumes(venue: str) -> None:
    tape = opened(Tape(config()))
    assert tape.resting
    tape.frozen = {venue, "takers"}
    tape.run(2.6)
    assert tape.notes()[-1] == f"suspended: {venue} feed"
    assert not tape.resting
    before = len(tape.requests())
    tape.run(10)
    assert len(tape.requests()) == before  # silence while it lasts
    tape.frozen = {"takers"}
    tape.run(4)
    assert not tape.resting  # the backoff
    tape.run(3)
    assert tape.notes()[-1] == f"resumed: {venue} feed"
    assert len(tape.resting) == 2


@pytest.mark.parametrize("feed", ["hl", "hl.user", "binance"])
def test_a_disconnect_suspends_at_once(feed: str) -> None:
    tape = opened(Tape(config()))
    tape.frozen = {"takers", feed}
    tape.feed(Disconnect(feed, "socket closed", tape.now))
    name = "binance feed" if feed == "binance" else "hl feed"
    assert tape.notes()[-1] == f"suspended: {name}"
    tape.run(0.6)
    assert not tape.resting
    tape.frozen = {"takers"}
    tape.feed(Reconnect(feed, tape.now))
    tape.run(8)
    assert tape.notes()[-1] == f"resumed: {name}"
    assert len(tape.resting) == 2


def test_volatility_suspends_and_resumes() -> None:
    tape = opened(Tape(config(max_volatility=0.0006)))
    market = tape.markets["ETH"]
    market.sigma = 1e-3
    tape.run(15)
    assert "suspended: volatility" in tape.notes()
    market.sigma = 2e-5
    tape.run(60 + 10)  # the wild returns leave the window
    assert tape.notes()[-1] == "resumed: volatility"
    assert len(tape.resting) >= 1


def test_a_basis_that_leaves_suspends_and_a_new_level_is_learnt() -> None:
    tape = opened(Tape(config(max_basis_deviation=0.002)))
    tape.markets["ETH"].shift = -0.004
    tape.run(1)
    assert tape.notes()[-1] == "suspended: basis"
    tape.run(60)
    assert tape.notes()[-1] == "resumed: basis"
    assert tape.strategy.makers["ETH"].basis_bps == pytest.approx(-40, abs=8)


def test_a_true_depeg_is_not_learnt() -> None:
    tape = opened(Tape(config(max_basis_deviation=0.002, kill_switch={"max_basis": 0.003, "backoff_s": 5.0})))
    tape.markets["ETH"].shift = -0.006
    tape.run(300)
    assert tape.notes()[-1] == "suspended: basis"
    assert not tape.resting


def test_full_inventory_only_reduces_until_it_is_back() -> None:
    tape = opened(
        Tape(config(symbols=[{"symbol": "ETH", "order_size": "0.2", "max_inventory": "0.4"}], **{"lambda": 0.0}))
    )
    seen: list[tuple[Decimal, Side, bool]] = []
    switch = tape.strategy.makers["ETH"].stock

    def watch() -> None:
        if switch.is_open:
            position = tape.positions["ETH"]
            seen.extend((position, place.side, place.reduce_only) for _, place, _ in tape.resting.values())

    tape.run(900, watch)
    assert "suspended: inventory" in tape.notes()
    assert "resumed: inventory" in tape.notes()
    settled = [row for row in seen if abs(row[0]) >= Decimal("0.38")]
    wrong = [row for row in settled if row[0] * row[1].sign > 0]
    assert len(settled) > 20
    assert len(wrong) < len(settled) / 10  # those whose cancel was on its way
    assert any(row[2] for row in settled)


def test_inventory_held_elsewhere_skews_caps_and_is_never_booked() -> None:
    tape = Tape(config(), elsewhere={"ETH": Decimal("0.5")})
    tape.frozen = {"takers"}
    opened(tape)
    assert "suspended: inventory" in tape.notes()
    assert tape.kernel.desk.ledger.position("ETH") == 0
    assert not tape.fills
    sides = {place.side for _, place, _ in tape.resting.values()}
    assert sides == {Side.SELL}
    assert not any(place.reduce_only for _, place, _ in tape.resting.values())  # here we hold nothing to reduce
    tape.frozen = set()
    tape.run(300)
    assert tape.positions["ETH"] < Decimal("-0.1")  # selling against what is held elsewhere
    assert tape.kernel.desk.ledger.position("ETH") == sum(fill.sz * fill.side.sign for fill in tape.fills)


def test_portfolio_taper_and_reduce_only() -> None:
    symbols = [
        {"symbol": "ETH", "order_size": "0.1", "max_inventory": "0.5"},
        {"symbol": "BTC", "order_size": "0.004", "max_inventory": "0.02"},
    ]
    portfolio = {"gross_cap": "1400", "taper_start_ratio": 0.1, "taper_floor": 0.4, "reduce_only_ratio": 0.7}
    tape = Tape(config(symbols=symbols, portfolio=portfolio | {"resume_ratio": 0.4}, **{"lambda": 0.0}), seed=3)
    tape.open()
    sizes: set[Decimal] = set()
    most = 0.0

    def watch() -> None:
        nonlocal most
        most = max(most, sum(abs(float(p)) * tape.markets[c].cex for c, p in tape.positions.items()))
        quote = tape.strategy.makers["ETH"].last
        if quote is not None and quote.bid is not None:
            sizes.add(quote.bid.sz)

    tape.run(900, watch)
    assert {fill.coin for fill in tape.fills} == {"ETH", "BTC"}
    assert "suspended: portfolio" in tape.notes()
    assert "resumed: portfolio" in tape.notes()
    assert min(sizes) < Decimal("0.07")  # tapered
    assert most <= 1400


def test_halts_and_leases_are_obeyed() -> None:
    tape = opened(Tape(config()))
    tape.frozen = {"takers"}
    tape.feed(Halt(1, TradingState.HALTED, "operator", "test", "resume", tape.now))
    tape.run(1)
    assert not tape.resting
    tape.feed(Resume(1, "operator", "done", tape.now))
    tape.run(1)
    assert len(tape.resting) == 2


def test_a_scarce_budget_is_spent_slower() -> None:
    def requests(left: int) -> int:
        tape = Tape(config(quote_reprice_tolerance_ticks=0))
        tape.open()
        tape.frozen = {"takers"}
        tape.run(WARM)
        begun = len(tape.requests())
        for _ in range(60):
            tape.feed(Budget(0, left, tape.now))
            tape.run(10)
        return len(tape.requests()) - begun

    rich, told, poor = requests(1_000_000), requests(10_000), requests(2_000)
    assert rich > 1.5 * told > 2 * poor
    assert poor < 2_000 / (4 * 3600) * 600 + 250  # the pace, and a debt that doubled the price a dozen times


def test_snapshot_restores_the_estimates() -> None:
    tape = opened(Tape(config()))
    state = json.loads(json.dumps(tape.strategy.snapshot()))
    fresh = Tape(config(), seed=1)
    fresh.strategy.restore(state)
    maker, old = fresh.strategy.makers["ETH"], tape.strategy.makers["ETH"]
    assert maker.volatility.sigma == old.volatility.sigma
    assert maker.basis.value == old.basis.value
    # a restart after a second quotes at once; one after an hour warms up again
    for pause, warm in ((1, True), (3600, False)):
        again = Tape(config(), seed=1)
        again.strategy.restore(state)
        again.now = tape.now + pause * SECOND
        again.open()
        again.run(0.5)
        assert bool(again.kernel.live_orders()) is warm


def test_status_is_plain() -> None:
    tape = opened(Tape(config()))
    status = json.loads(json.dumps(tape.kernel.status()))
    eth = status["strategy"]["symbols"]["ETH"]
    assert eth["hl_bid"] < eth["fair"] < eth["hl_ask"] or eth["spread_bps"] > 0
    assert eth["suspended"] == ""
    assert Decimal(eth["bid"]["px"]) < Decimal(eth["ask"]["px"])
