"""Twenty-five ways in which connectors to this venue have failed, each tried on ours (table: docs/connectors.md).

What is decided elsewhere is tested there: 10 (refused post-only orders re-priced, capped) and 11 (worst case of a
modify) in tests/execution. 23 cannot occur: the house sends no stop orders, the gate's caps bound a loss instead.
24 cannot occur: nothing relies on scheduleCancel, a stopping pod cancels by cloid itself.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.model.commands import Cancel, Modify, Place, Query
from slipstream.model.errors import ConfigError, VenueRejected
from slipstream.model.events import (
    AccountState,
    Ack,
    Bbo,
    Budget,
    CancelReject,
    Closed,
    Disconnect,
    Fill,
    FundingPayment,
    L2Book,
    Reconnect,
    Reject,
    Unknown,
)
from slipstream.model.instrument import Instrument, Side
from slipstream.model.order import Tif
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.account import check_owner
from slipstream.venues.hyperliquid.actions import requests, signed, statuses
from slipstream.venues.hyperliquid.broker import BrokerOptions, check_signer, source_of
from slipstream.venues.hyperliquid.chain import in_order
from slipstream.venues.hyperliquid.freshness import Freshness
from slipstream.venues.hyperliquid.stream import CONNECTS, PING_SECONDS, PONG_SECONDS, Stream

BTC = Instrument("BTC", 0, 5, 40)


async def test_01_04_every_end_of_a_connection_is_followed_by_a_new_one(desk: Any) -> None:
    for number in (2, 3):  # the venue closes with 1000
        ups = len(desk.of(Reconnect))
        desk.control("drop")
        await desk.until(lambda ups=ups: len(desk.of(Reconnect)) >= ups + 2)
        assert desk.broker._stream.connections == number
    last = [type(e) for e in desk.events if isinstance(e, Disconnect | AccountState | Reconnect)]
    assert last[-5:] == [Disconnect, Disconnect, AccountState, Reconnect, Reconnect]


async def test_02_a_frozen_book_on_a_live_socket_is_given_up(make_desk: Any) -> None:
    async with make_desk(stale_ns=1_500_000_000) as desk:
        await desk.heard(L2Book)
        desk.control("freeze", channel="l2Book", coin="ETH", seconds=4)
        gone = await desk.heard(Disconnect)
        assert "l2Book ETH is stale" in gone.reason
        desk.control("clear")
        await desk.until(lambda: len(desk.of(Reconnect)) >= 4)


def test_02_a_quiet_best_price_is_not_a_frozen_one() -> None:
    fresh = Freshness(["BTC"], 100, books=True)
    fresh.begin(0)
    fresh.bbo(Bbo("hl", "BTC", 10.0, 1.0, 11.0, 1.0, 0, 0))
    fresh.book(L2Book("hl", "BTC", ((10.0, 1.0),), ((11.0, 1.0),), 500, 500))
    assert fresh.late(500) is None
    fresh.book(L2Book("hl", "BTC", ((9.0, 1.0),), ((11.0, 1.0),), 501, 501))
    assert fresh.late(501) == "bbo BTC"
    assert fresh.late(700) == "l2Book BTC"


async def test_03_what_happened_while_away_is_read_on_return(desk: Any) -> None:
    desk.control("freeze", channel="userFills")
    desk.control("freeze", channel="orderUpdates")
    order = desk.place("1.02", "0.02", tif=Tif.IOC)
    await desk.broker.send([order])
    await desk.heard(Ack, order.cloid)
    assert not desk.of(Fill)
    ups = len(desk.of(Reconnect))
    desk.control("drop")
    await desk.until(lambda: len(desk.of(Reconnect)) > ups)
    assert sum(f.sz for f in desk.of(Fill)) == order.sz
    assert desk.of(AccountState)[-1].positions[0].szi == order.sz


async def test_05_a_reset_after_sending_is_unknown_and_never_sent_again(desk: Any) -> None:
    order = desk.place()
    desk.control("reset_after_accept", path="exchange", count=1)
    await desk.broker.send([order])
    await desk.heard(Unknown, order.cloid)
    assert not desk.of(Reject)
    await desk.broker.send([Query(order.cloid, "BTC")])
    await desk.heard(Ack, order.cloid)
    assert desk.open_cloids() == [order.cloid]


async def test_05_a_lost_request_is_buried_before_it_is_declared_dead(desk: Any) -> None:
    order = desk.place()
    desk.broker._entry._pause = 0.05
    desk.control("drop_before_execute", path="exchange", count=1)
    await desk.broker.send([order])
    await desk.heard(Unknown, order.cloid)
    nonce = desk.broker._entry._lost[order.cloid]
    await desk.broker.send([Query(order.cloid, "BTC")])
    await desk.heard(Reject, order.cloid)
    # should the request arrive after all, its nonce is used up
    request = requests([order], [], [], desk.instruments)[0]
    late = desk.broker._entry
    with pytest.raises(VenueRejected, match="nonce"):
        await late._rest.exchange(signed(request, late._signer, nonce, "b", None))
    assert desk.open_cloids() == []


async def test_06_a_venue_that_hangs_is_given_up_and_holds_back_no_cancel(desk: Any) -> None:
    resting, hanging = desk.place(), desk.place("0.91")
    await desk.broker.send([resting])
    await desk.heard(Ack, resting.cloid)
    desk.control("hang", path="exchange", count=1)
    await desk.broker.send([hanging])
    await desk.broker.send([Cancel(resting.cloid, "BTC")])
    await desk.heard(Closed, resting.cloid)
    assert not desk.of(Unknown)
    assert (await desk.heard(Unknown, hanging.cloid)).reason.startswith("no answer")


async def test_07_concurrent_batches_never_share_a_nonce(desk: Any) -> None:
    orders = [desk.place(str(Decimal("0.80") + Decimal(n) / 1000)) for n in range(20)]
    await asyncio.gather(*(desk.broker.send([order]) for order in orders))
    await desk.until(lambda: len(desk.of(Ack)) == 20)
    assert not desk.of(Reject) and len(desk.open_cloids()) == 20


def test_08_the_signer_is_checked_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    check_signer()
    monkeypatch.setattr("slipstream.venues.hyperliquid.signing.keccak", lambda data: bytes(32))
    with pytest.raises(ConfigError, match="self-test"):
        check_signer()


@settings(max_examples=200, deadline=None)
@given(st.decimals("0.001", "200000", places=6), st.integers(0, 5), st.sampled_from(list(Side)))
def test_09_what_is_quantised_is_legal(px: Decimal, size_decimals: int, side: Side) -> None:
    perp = Instrument("X", 0, size_decimals, 10)
    if px >= Decimal(1).scaleb(-perp.price_decimals) * 10:
        assert perp.is_legal_price(perp.passive_price(px, side))


async def test_10_the_text_of_a_post_only_refusal_arrives_whole(desk: Any) -> None:
    order = desk.place("1.02", tif=Tif.ALO)
    await desk.broker.send([order])
    assert "bbo was" in (await desk.heard(Reject, order.cloid)).reason


async def test_11_12_a_modify_closes_the_old_order_and_keeps_the_new(desk: Any) -> None:
    old, new = desk.place(), desk.place("0.91")
    await desk.broker.send([old])
    await desk.heard(Ack, old.cloid)
    await desk.broker.send([Modify(old.cloid, new)])
    await desk.heard(Ack, new.cloid)
    closed = await desk.heard(Closed, old.cloid)
    assert closed.oid != (await desk.heard(Ack, new.cloid)).oid
    assert not [e for e in desk.of(Closed) if e.cloid == new.cloid]
    assert desk.open_cloids() == [new.cloid]


async def test_11_a_refused_modify_says_so_of_both(desk: Any) -> None:
    never, new = desk.place(), desk.place("0.91")
    await desk.broker.send([Modify(never.cloid, new)])
    await desk.heard(Reject, new.cloid)
    await desk.heard(CancelReject, never.cloid)


async def test_13_fills_the_stream_swallows_come_by_sweep(make_desk: Any) -> None:
    async with make_desk(sweep_every=0.3) as desk:
        desk.control("freeze", channel="userFills")
        order = desk.place("1.02", "0.02", tif=Tif.IOC)
        await desk.broker.send([order])
        await desk.until(lambda: sum(f.sz for f in desk.of(Fill)) == order.sz)
        desk.control("clear")


async def test_13_fills_told_twice_count_once(desk: Any) -> None:
    desk.control("duplicate", channel="userFills")
    order = desk.place("1.02", "0.02", tif=Tif.IOC)
    await desk.broker.send([order])
    await desk.until(lambda: sum(f.sz for f in desk.of(Fill)) >= order.sz)
    await desk.broker._account.sweep_fills()
    await asyncio.sleep(0.2)
    assert sum(f.sz for f in desk.of(Fill)) == order.sz


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_14_fills_of_one_millisecond_are_chained(sizes: list[int], rng: Any) -> None:
    at, fills = Decimal(0), []
    for number, size in enumerate(sizes):
        fills.append(
            wire.WireFill("BTC", Decimal(1), Decimal(size), "B", 5, at, Decimal(0), 1, number, Decimal(0), False)
        )
        at += size
    shuffled = list(fills)
    rng.shuffle(shuffled)
    assert [f.tid for f in in_order(shuffled)] == list(range(len(sizes)))


async def test_15_a_429_is_taken_for_what_it_is(desk: Any) -> None:
    desk.control("too_many", path="exchange", count=1)
    order = desk.place()
    await desk.broker.send([order])
    assert "429" in (await desk.heard(Reject, order.cloid)).reason
    assert desk.broker._weights.used < 400  # a whole start, reconciled


async def test_16_the_address_budget_is_told(desk: Any) -> None:
    assert desk.of(Budget)[0].cap - desk.of(Budget)[0].used > 0


async def test_17_the_post_only_window_refuses_and_passes(desk: Any) -> None:
    desk.control("post_only", seconds=60)
    taker, maker = desk.place("1.02", tif=Tif.IOC), desk.place("0.9", tif=Tif.ALO)
    await desk.broker.send([taker, maker])
    assert "network upgrade" in (await desk.heard(Reject, taker.cloid)).reason
    await desk.heard(Ack, maker.cloid)
    desk.control("clear")
    again = desk.place("1.02", tif=Tif.IOC)
    await desk.broker.send([again])
    await desk.heard(Fill, again.cloid)


def test_18_funding_is_a_ledger_row_with_its_sign() -> None:
    row = (
        b'{"time":7,"hash":"0x0","delta":{"type":"funding","coin":"BTC","usdc":"-0.012","szi":"0.01",'
        b'"fundingRate":"0.0000125","nSamples":null}}'
    )
    paid = wire.to_funding(msgspec.json.decode(row, type=wire.FundingRow))
    assert paid == FundingPayment("BTC", Decimal("-0.012"), Decimal("0.01"), Decimal("0.0000125"), 7_000_000)
    ctx = b'{"coin":"BTC","ctx":{"markPx":"1.0","oraclePx":"2.0","funding":"0.0000125","openInterest":"9.0"}}'
    context = wire.to_context(msgspec.json.decode(ctx, type=wire.ContextData), 1, 2)
    assert (context.funding, context.open_interest) == (0.0000125, 9.0)


class Answers:
    """A venue of canned reads."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    async def info(self, kind: str, _type: Any, **body: Any) -> Any:
        answer = self.answers[kind]
        return answer[body["user"]] if isinstance(answer, dict) else answer


async def test_19_a_unified_account_is_refused() -> None:
    role = {"0xa": wire.Role("user")}
    spot = wire.SpotState([wire.SpotBalance("USDC", Decimal(7))])
    venue: Any = Answers(userRole=role, userAbstraction="unifiedAccount", spotClearinghouseState=spot)
    with pytest.raises(ConfigError, match="unifiedAccount"):
        await check_owner(venue, "0xa", "0xa")


async def test_20_an_agents_own_address_is_not_an_account() -> None:
    roles = {"0xa": wire.Role("agent", {"user": "0xm"}), "0xm": wire.Role("user"), "0xo": wire.Role("user")}
    venue: Any = Answers(userRole=roles, userAbstraction="default")
    await check_owner(venue, "0xm", "0xa")
    with pytest.raises(ConfigError, match="agent of 0xm"):
        await check_owner(venue, "0xa", "0xa")
    with pytest.raises(ConfigError, match="not of account 0xo"):
        await check_owner(venue, "0xo", "0xa")
    with pytest.raises(ConfigError, match="no agent of"):
        await check_owner(venue, "0xm", "0xo")


async def test_21_already_subscribed_is_success() -> None:
    async def nothing() -> None:
        return None

    frames: list[Any] = []
    one = {"type": "bbo", "coin": "BTC"}
    stream = Stream("http://x", [one], on_open=nothing, on_frame=frames.append, on_close=print, now=lambda: 0.0)
    stream._missing = 1

    async def socket() -> Any:
        yield b"Websocket connection established."
        yield b'{"channel":"error","data":"Already subscribed: {}"}'

    await stream._read(socket())  # type: ignore[arg-type]
    assert stream._confirmed.is_set() and not frames


def test_22_pings_come_well_before_the_venue_gives_up() -> None:
    assert PING_SECONDS <= 30.0 and PING_SECONDS + PONG_SECONDS < 60.0 and CONNECTS <= 30


async def test_25_a_failed_cancel_is_answered_and_the_truth_is_read(desk: Any) -> None:
    order = desk.place()
    await desk.broker.send([order])
    await desk.heard(Ack, order.cloid)
    await desk.broker.send([Cancel(order.cloid, "BTC")])
    await desk.heard(Closed, order.cloid)
    await desk.broker.send([Cancel(order.cloid, "BTC")])
    assert "never placed, already canceled, or filled" in (await desk.heard(CancelReject, order.cloid)).reason
    await desk.broker.send([Query(order.cloid, "BTC")])
    await desk.heard(Closed, order.cloid, count=2)


def test_an_error_alone_speaks_for_a_batch_and_nothing_else_does() -> None:
    def answer(*rows: Any) -> Any:
        return {"data": {"statuses": list(rows)}}

    assert statuses(answer({"error": "x"}), 3) == [{"error": "x"}] * 3
    assert statuses(answer({"resting": {"oid": 1}}), 3) == [None] * 3
    assert statuses(answer("success", "success"), 2) == ["success", "success"]
    assert statuses(None, 1) == [None]


def test_post_only_orders_travel_apart_and_cancels_first(tmp_path: Path) -> None:
    def place(number: int, tif: Tif) -> Place:
        return Place(f"0x{number:032x}", "BTC", Side.BUY, Decimal(100), Decimal("0.1"), tif)

    batch = [place(1, Tif.ALO), place(2, Tif.IOC), place(3, Tif.ALO)]
    out = requests(batch, [], [Cancel("0x9", "BTC")], {"BTC": BTC})
    assert [r.action["type"] for r in out] == ["cancelByCloid", "order", "order"]
    assert [[o["t"]["limit"]["tif"] for o in r.action["orders"]] for r in out[1:]] == [["Alo", "Alo"], ["Ioc"]]


def test_mainnet_needs_to_be_asked_for(tmp_path: Path) -> None:
    url = "https://api.hyperliquid.xyz"
    options = BrokerOptions(url=url, nonce_file=tmp_path / "n")
    with pytest.raises(ConfigError, match="--mainnet"):
        source_of(options.url, options.allow_mainnet)
    assert source_of(url, True) == "a"
    assert source_of("http://127.0.0.1:3001", True) == "b"
