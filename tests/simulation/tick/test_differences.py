"""Every difference of two runs has its cause: the cause that is put in is the cause that is named; and two runs of one
strategy at different delays differ in nothing that is unexplained.
"""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipstream.execution.kernel import Kernel
from slipstream.lob.replay.replay import Replay
from slipstream.model.events import Bbo, Event, Fill, L2Book
from slipstream.model.instrument import Instrument, Side
from slipstream.pods import kernel_config
from slipstream.simulation.tick.differences import Comparison, compare
from slipstream.simulation.tick.heard_tape import HeardMarket, HeardTape
from slipstream.simulation.tick.kernel_on_tape import Listing, TapeKernel
from slipstream.simulation.tick.looks import Diary, Look, Request
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.strategies.brawler.seen import seen
from slipstream.strategies.brawler.strategy import Brawler
from tests.simulation.tick import brawler_rows as made
from tests.simulation.tick.brawler_rows import ETH, MILLI, SECOND
from tests.simulation.tick.drivers import Delays, assert_same, both, terms

BOOKS = Path(__file__).resolve().parents[3] / "../shared/data/hyperliquid_books_2025-09-04/orderbooks_SOL.csv.gz"
CALM: Mapping[str, object] = {"orders": ()}
PX = Decimal(2000)


def look(ns: int, groups: Mapping[str, Mapping[str, object]], before: Mapping[str, object] = CALM) -> Look:
    return Look(ns, "ETH", {"MODE": {"mode": "BOTH"}, "TOUCH": {"best_bid": 1.0}} | dict(groups), before, before)


def diary(looks: list[Look], requests: list[Request], fills: list[Fill] | None = None) -> Diary:
    out = Diary(seen, ["ETH"])
    out.looks, out.requests, out.fills = looks, requests, fills or []
    return out


def asked(ns: int, px: Decimal = PX) -> Request:
    return Request(ns, "ETH", "place", Side.BUY, px, Decimal(1), False, look=0)


def filled(ns: int, px: Decimal = PX) -> Fill:
    return Fill("ETH", Side.BUY, px, Decimal(1), Decimal(0), tid=1, oid=1, ns=ns)


def causes(one: Diary, two: Diary) -> dict[str, int]:
    return compare(("one", "two"), one, two, SECOND).causes


@pytest.mark.parametrize(
    ("cause", "theirs"),
    [
        ("MODE", look(5, {"MODE": {"mode": "OFF"}})),
        ("TOUCH", look(5, {"TOUCH": {"best_bid": 1.1}})),
        ("BASIS", look(5, {"BASIS": {"basis": 0.5}})),
        ("FLIGHT", look(5, {}, {"orders": ("one is pending",)})),
        ("TIMING", look(3, {})),
        ("UNEXPLAINED", look(5, {})),
    ],
)
def test_the_cause_of_a_request_is_what_was_seen_otherwise(cause: str, theirs: Look) -> None:
    own = look(5, {"BASIS": {"basis": 0.25}} if cause == "BASIS" else {})
    assert causes(diary([own], [asked(5)]), diary([theirs], [])) == {cause: 1}
    assert causes(diary([theirs], []), diary([own], [asked(5)])) == {cause: 1}


def test_the_same_request_later_and_a_run_that_has_not_begun() -> None:
    one, two = diary([look(5, {})], [asked(5)]), diary([look(5, {})], [asked(5 + SECOND // 2)])
    assert causes(one, two) == {"TIMING": 1}
    assert compare(("one", "two"), one, one, SECOND) == Comparison(1, 0, ())
    assert causes(diary([look(5, {})], [asked(5)]), diary([], [])) == {"UNSEEN": 1}


def test_fills_that_one_of_the_two_has() -> None:
    rests = diary([look(5, {})], [asked(5)])
    one = diary([look(5, {})], [asked(5)], [filled(9)])
    assert causes(one, rests) == {"QUEUE": 1}
    elsewhere = diary([look(5, {"TOUCH": {"best_bid": 2.0}})], [asked(5, PX - 1)])
    assert causes(one, elsewhere) == {"TOUCH": 2, "PLACE": 1}
    late = diary([look(5, {})], [asked(5)], [filled(9 + MILLI)])
    assert causes(one, late) == {"TIMING": 1}
    assert compare(("one", "two"), one, late, SECOND, MILLI).differences == ()


def run(rows: Any, values: dict[str, Any], delays: Delays) -> Diary:
    config = BrawlerConfig.model_validate(values)
    kernel = Kernel(Brawler(config), (), kernel_config(config, 1.0), "brawler", 1)
    out = Diary(seen, ["ETH"])
    listings = [Listing("hl", "ETH", ETH), Listing("binance", "ETH")]
    TapeKernel(kernel, Replay(terms({"ETH": ETH}, delays)), listings, Decimal(100_000), out).run([rows])
    return out


def test_what_a_delay_changes_is_explained_to_the_last_request() -> None:
    rows, values = made.tape({"ETH": ETH}, 60, 12, sigma=2e-4), made.settings({"ETH": ETH})
    at_once = run(rows, values, Delays())
    # nothing happens on this tape within 10 ms of anything else
    for none in (Delays(), Delays(5 * MILLI, 5 * MILLI)):
        assert compare(("a", "b"), at_once, run(rows, values, none), SECOND).differences == ()
    counts = []
    for delays in (Delays(50 * MILLI, 50 * MILLI), Delays(800 * MILLI, 200 * MILLI)):
        told = compare(("at once", "delayed"), at_once, run(rows, values, delays), SECOND)
        assert "UNEXPLAINED" not in told.causes and told.causes
        assert len(told.differences) > 3
        counts.append(told.same_requests)
    assert counts[0] > counts[1]  # what was the same gets less with the delay


def recorded(most: int) -> tuple[list[Event], Instrument]:
    """The first books of a recording, each followed by its best prices; its anchor is its own middle."""
    perp = Instrument(coin="SOL", asset=5, size_decimals=2, max_leverage=20)
    events: list[Event] = []
    with gzip.open(BOOKS, "rt") as file:
        for row in itertools.islice(csv.DictReader(file), most):
            ns = int(row["exchange_timestamp"]) * MILLI
            heard = max(ns, int(float(row["timestamp"]) * 1e9))
            bids, asks = (
                tuple((float(row[f"{side}_price_{k}"]), float(row[f"{side}_size_{k}"])) for k in range(10))
                for side in ("bid", "ask")
            )
            events.append(L2Book("hl", "SOL", bids, asks, ns, heard))
            events.append(Bbo("hl", "SOL", *bids[0], *asks[0], ns, heard))
            events.append(Bbo("binance", "SOL", bids[0][0], 1.0, asks[0][0], 1.0, ns, heard))
    return events, perp


def test_hook_and_kernel_agree_on_recorded_books() -> None:
    if not BOOKS.exists():
        pytest.skip(f"no recorded books at {BOOKS}")
    events, perp = recorded(400)
    tape = HeardTape(
        [
            HeardMarket(0, "hl", "SOL", perp),
            HeardMarket(1, "binance", "SOL", tick_size=made.ANCHOR_TICK.get("SOL", 0.01)),
        ]
    )
    for event in events:
        tape.take(event, [])
    rows = tape.rows()
    assert np.all(np.diff(rows["exch_ns"]) >= 0)
    values = made.settings({})
    values["symbols"] = [{"symbol": "SOL", "order_size": "0.5", "max_inventory": "3"}]
    # ours are a tick or two off the touch: prices come to them now and then
    values |= {"base_spread": 0.0001, "maker_fee": 0.00002, "k": 0.1, "lambda": 0.0002}
    values["kill_switch"] = {"hl_max_lag_ms": 20_000, "cex_max_lag_ms": 20_000}
    for delays in (Delays(), Delays(200 * MILLI, 100 * MILLI)):
        hook, kernel, _ = both({"SOL": perp}, rows, values, delays)
        assert_same(hook, kernel)
        assert len(hook.sent) > 20 and len(hook.fills) > 0
