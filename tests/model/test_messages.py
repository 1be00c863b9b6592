"""Every event and command survives encoding exactly: journals and the bus depend on it."""

from decimal import Decimal
from typing import get_args

import msgspec
import pytest

from slipstream.model import commands, events
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate, Resume, TradingState
from slipstream.model.messages import Configure
from slipstream.model.order import Order, OrderState, Tif

CLOID = "0x" + "ab" * 16
ORDER = Order(CLOID, "BTC", Side.SELL, Decimal("97901.5"), Decimal("0.00010"), Tif.ALO, state=OrderState.OPEN, oid=9)
EVENTS: list[events.Event] = [
    events.Bbo("hl", "BTC", 97901.0, 0.1, 97902.0, 1e-5, 1, 2),
    events.L2Book("binance", "BTC", ((1.0, 2.0),), ((1.5, 2.0), (1.6, 3.0)), 1, 2),
    events.Trade("hl", "BTC", 97901.0, 0.1, Side.BUY, 2**53, 1, 2),
    events.AssetContext("hl", "BTC", 1.0, 1.1, 1.25e-5, 21034.5, 1, 2),
    events.Candle("hl", "BTC", 14_400_000_000_000, 0, 97900.0, 98000.5, 97800.0, 97901.0, 12.5, 1, 2),
    events.FundingRate("hl", "BTC", 1.25e-5, 1, 2),
    events.Ack(CLOID, 77, 3),
    events.Reject(CLOID, "Insufficient margin to place order. asset=0", 3),
    events.CancelReject(CLOID, "gone", 3),
    events.Unknown(CLOID, "timeout", 3),
    events.Closed(CLOID, 77, "canceled", 3, Decimal("0.1")),
    events.Fill("BTC", Side.BUY, Decimal("97901.0"), Decimal("0.10"), Decimal("-0.000001"), 1, 77, 3, CLOID),
    events.FundingPayment("BTC", Decimal("-0.012"), Decimal("0.01"), Decimal("0.0000125"), 3),
    events.AccountState(Decimal(1), Decimal(1), (events.Position("BTC", Decimal("-1"), Decimal(2)),), (ORDER,), 3),
    events.Budget(1, 10000, 3),
    events.Timer("requote", 3),
    events.Disconnect("hl.user", "stale", 3),
    events.Reconnect("hl.user", 3),
    Mandate(1, "brawler", Decimal(1), Decimal(2), {"BTC": Decimal(3)}),
    Halt(1, TradingState.HALTED, "auditor", "break", "resume by hand"),
    Resume(1, "me", "looked at it", 3, "auditor"),
    Configure(1, "brawler", {"max_gross": "2000"}, "me", "a quiet day", 3),
]
PLACE = commands.Place(CLOID, "BTC", Side.BUY, Decimal("97901"), Decimal("0.1"), Tif.ALO)
COMMANDS: list[commands.Command] = [
    PLACE,
    commands.Modify(CLOID, PLACE),
    commands.Cancel(CLOID, "BTC"),
    commands.Query(CLOID, "BTC"),
    commands.SetTimer("requote", 4),
    commands.Report("status", {"a": 1, "b": "x", "c": [1.5]}, 4),
]


def test_the_samples_cover_every_kind() -> None:
    assert {type(e) for e in EVENTS} == set(get_args(events.Event))
    assert {type(c) for c in COMMANDS} == set(get_args(commands.Command))


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
def test_round_trip(codec: type) -> None:
    for samples, kind in ((EVENTS, events.Event), (COMMANDS, commands.Command)):
        for sample in samples:
            encoded = codec.encode(sample)
            assert codec.decode(encoded, type=kind) == sample
            assert codec.encode(codec.decode(encoded, type=kind)) == encoded
