"""Order logs as tapes of order-level rows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.formats import convert
from slipstream.data.tape.header import Header
from slipstream.data.tape.reader import open_tape
from slipstream.data.tape.terms import Terms
from slipstream.lob.replay.order_book import OrderBook
from slipstream.lob.replay.rows import KIND, L3_ROW_DTYPE, TRADE
from tests.data.tape.lobster_files import LEVELS, MIDNIGHT, OPEN, ORDERS, level_lines, message_lines, put, session

NAME = "TEST_2012-06-21_34200000_57600000_{}_10.csv"
HEADER = "id,timestamp,exchange.timestamp,price,volume,action,direction"
LOG = [
    "1,1000,1000,236.47,50,created,bid",
    "2,1100,1000,236.46,80,created,ask",
    "1,1220,1000,236.47,0,deleted,bid",
    "2,1222,1000,236.46,30,changed,ask",
    "9,1300,1000,236.46,30,deleted,ask",
]


def made(source: Path, to: Path, **terms: object) -> Header:
    report = convert(source, to, Terms(**terms))  # type: ignore[arg-type]
    return report.made[0].header


def test_a_lobster_file_becomes_the_rows_of_its_session(tmp_path: Path) -> None:
    _, log = session(11, 1500)
    put(tmp_path / NAME.format("message"), message_lines(log))
    header = made(tmp_path, tmp_path / "tapes")
    assert (header.market.coin, header.market.venue, header.layout, header.format) == (
        "TEST",
        "nasdaq",
        "orders",
        "lobster",
    )
    assert header.findings == () and header.sources[0].name == NAME.format("message")
    rows = np.concatenate(list(open_tape(tmp_path / "tapes" / "nasdaq_TEST").chunks()))
    told = OrderBook(100, LEVELS, ORDERS).feed(log)
    assert rows.dtype == L3_ROW_DTYPE and len(rows) == len(told)
    for name in ("lots", "tick", "kind", "side", "seq"):
        assert (rows[name] == told[name]).all()
    assert (rows["exch_ns"] == told["exch_ns"] + MIDNIGHT + OPEN).all()


def test_the_file_of_levels_beside_it_is_used_and_held_against_it(tmp_path: Path) -> None:
    _, log = session(6, 700)
    put(tmp_path / NAME.format("message"), message_lines(log)[300:])
    levels = level_lines(log, 40)[300:]
    put(tmp_path / NAME.format("orderbook"), levels)
    report = convert(tmp_path, tmp_path / "tapes", Terms())
    assert report.findings == () and len(report.made[0].header.sources) == 2
    put(tmp_path / NAME.format("orderbook"), [*levels[:-1], levels[-2]])
    report = convert(tmp_path, tmp_path / "again", Terms())
    assert [(one.count, one.places) for one in report.findings] == [
        (1, (f"{NAME.format('orderbook')}: row {len(levels)}",))
    ]


def test_a_log_becomes_a_tape_that_says_what_was_found(tmp_path: Path) -> None:
    path = put(tmp_path / "orders.csv", [HEADER, *LOG])
    header = made(path, tmp_path / "tapes", coins=("BTC",), clock="5ms", packed=True)
    assert header.market.name == "bitstamp_BTC" and header.market.grid.price(23647) == Decimal("236.47")
    assert [(one.count, one.reason, one.places) for one in header.findings] == [
        (1, "orders deleted that were never seen", ("orders.csv: row 6",))
    ]
    rows = np.concatenate(list(open_tape(tmp_path / "tapes" / "bitstamp_BTC").chunks()))
    assert (rows["local_ns"] - rows["exch_ns"] == 5_000_000).all()
    assert rows["lots"][rows["kind"] & KIND == TRADE].tolist() == [50]


@pytest.mark.parametrize(
    ("lines", "terms", "reason"),
    [
        (LOG, {}, "name the coin, such as --coins BTC"),
        (LOG, {"coins": ("BTC", "ETH")}, "--coins names 2"),
        (LOG, {"coins": ("BTC",), "strict": True}, "row 6: orders deleted that were never seen .--strict"),
        (LOG, {"coins": ("BTC",), "size_decimals": {"BTC": 4}}, "volumes of such a log are in 1e-8"),
        (LOG, {"coins": ("BTC",), "tick_sizes": {"BTC": "0.1"}}, "row 2: price 236.47 is not a multiple"),
        ([*LOG[:1], "3,1000,1000,2600.00,5,created,bid"], {"coins": ("BTC",)}, "near the end of the"),
        (["5,1000,1000,1.00,0,deleted,bid"], {"coins": ("BTC",)}, "holds no order"),
    ],
)
def test_a_log_that_cannot_be_a_tape_is_refused_and_leaves_none(
    tmp_path: Path, lines: list[str], terms: dict[str, object], reason: str
) -> None:
    path = put(tmp_path / "orders.csv", [HEADER, *lines])
    with pytest.raises(TapeError, match=rf"orders.csv: .*{reason}"):
        made(path, tmp_path / "tapes", **terms)
    assert not (tmp_path / "tapes" / "bitstamp_BTC").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("messages.csv", "the day is only in the name"),
        ("TEST_2012-06-31_1_2_message_10.csv", "2012-06-31 in its name is no day"),
    ],
)
def test_a_lobster_file_of_no_day_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    path = put(tmp_path / name, ["34200.1,1,11,100,1000000,1"])
    with pytest.raises(TapeError, match=reason):
        convert(path, tmp_path / "tapes", Terms(), "lobster")


def test_a_folder_of_several_message_files_is_refused(tmp_path: Path) -> None:
    for ticker in "AB":
        put(tmp_path / NAME.format("message").replace("TEST", ticker), ["34200.1,1,11,100,1000000,1"])
    with pytest.raises(TapeError, match="holds 2 message files"):
        convert(tmp_path, tmp_path / "tapes", Terms(), "lobster")
