"""LOBSTER's files: a session of our own matching engine written as one comes back as the same book."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.l3_lobster import LobsterLog
from slipstream.data.tape.l3_lobster_check import compare
from slipstream.lob.replay.order_book import OrderBook
from slipstream.lob.replay.order_rows import ADD, CANCEL, PRINT, REDUCE
from tests.data.tape.lobster_files import DAY, LEVELS, MIDNIGHT, OPEN, ORDERS, level_lines, message_lines, put, session


@pytest.mark.parametrize("packed", [False, True])
def test_a_session_written_as_messages_comes_back_as_the_same_book(tmp_path: Path, packed: bool) -> None:
    book, log = session(3, 3000)
    path = put(tmp_path / "messages.csv", message_lines(log))
    if packed:
        path = tmp_path / "messages.csv.gz"
        path.write_bytes(gzip.compress((tmp_path / "messages.csv").read_bytes()))
    lobster = LobsterLog(path, DAY)
    rows = np.concatenate(list(lobster))
    assert lobster.counts["rows"] == len(log) == len(rows)
    for name in ("order", "lots", "tick", "kind", "side"):
        assert (rows[name] == log[name]).all()
    assert (rows["exch_ns"] == log["exch_ns"] + MIDNIGHT + OPEN).all()
    rebuilt = OrderBook(100, LEVELS, ORDERS)
    rebuilt.feed(rows)
    for side in (1, -1):
        assert (rebuilt.book.l3(side, ORDERS)[:, [1, 3, 4]] == book.l3(side, ORDERS)[:, [1, 3, 4]]).all()


def test_the_file_of_levels_is_held_against_the_messages(tmp_path: Path) -> None:
    _, log = session(4, 600)
    messages, levels = message_lines(log), level_lines(log, 5)
    path = put(tmp_path / "m.csv", messages)
    same = compare(LobsterLog(path, DAY), put(tmp_path / "l.csv", levels))
    assert (same.rows, same.differing, same.first) == (len(log), 0, 0)
    fields = levels[99].split(",")
    levels[99] = ",".join([fields[0], str(int(fields[1]) + 1), *fields[2:]])
    other = compare(LobsterLog(path, DAY), put(tmp_path / "l.csv", levels))
    assert (other.differing, other.first) == (1, 100)
    with pytest.raises(TapeError, match="fewer rows than"):
        compare(LobsterLog(path, DAY), put(tmp_path / "l.csv", levels[:-1]))
    with pytest.raises(TapeError, match=r"l.csv: row 2: 3 fields"):
        compare(LobsterLog(path, DAY), put(tmp_path / "l.csv", [levels[0], "1,2,3"]))


def test_hidden_trades_auctions_halts_and_earlier_orders(tmp_path: Path) -> None:
    found: list[tuple[int, str, str]] = []
    lines = [
        "34200.1,1,11,100,1000000,1",
        "34200.2,5,0,30,1000100,-1",
        "34200.25,5,0,30,1000050,-1",
        "34200.3,6,0,500,1000000,-1",
        "34200.4,7,0,0,-1,-1",
        "34200.5,7,0,0,0,-1",
        "34200.6,7,0,0,1,-1",
        "34200.7,3,5,40,990000,1",
        "34200.8,2,11,40,1000000,1",
        "34200.9,2,11,60,1000000,1",
    ]
    log = LobsterLog(put(tmp_path / "m.csv", lines), DAY, lambda *what: found.append(what))
    rows = np.concatenate(list(log))
    assert [(int(r["kind"]), int(r["tick"]), int(r["lots"]), int(r["side"])) for r in rows] == [
        (ADD, 10000, 100, 1),
        (PRINT, 10001, 30, -1),
        (PRINT, 10000, 500, -1),
        (REDUCE, 10000, 40, 1),
        (CANCEL, 10000, 60, 1),
    ]
    assert [(row, what) for row, what, _ in found] == [
        (2, "executions of hidden orders"),
        (3, "executions of hidden orders"),
        (3, "trades without an order between two ticks"),
        (4, "cross trades"),
        (5, "trading halted"),
        (6, "quoting resumed"),
        (7, "trading resumed"),
        (8, "messages of orders from before the file"),
    ]


GOOD = "34200.1,1,11,100,1000000,1"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("34200.2,1,12,100,1000000", "5 fields, not 6"),
        ("34200.0,1,12,100,1000000,1", "before that of the row above"),
        ("34200.0000000001,1,12,100,1000000,1", "at most nine decimals"),
        ("noon,1,12,100,1000000,1", "time 'noon' is no whole number"),
        ("34200.2,8,12,100,1000000,1", "type 8 is none of 1..7"),
        ("34200.2,1,12,0,1000000,1", "size 0 is not in 1"),
        ("34200.2,1,12,100,1000001,1", "not a multiple of 100"),
        ("34200.2,1,12,100,-5,1", "price -5 is not in 1"),
        ("34200.2,1,12,100,1000000,0", "direction 0"),
        ("34200.2,1,11,100,1000000,1", "order 11 joins, but rests already"),
        ("34200.2,3,11,99,1000000,1", "order 11 has 100 lots left, not 99"),
        ("34200.2,4,11,101,1000000,1", "order 11 has 100 lots left, not 101"),
        ("34200.2,4,11,100,1000100,1", "order 11 rests on side 1 at tick 10000, not 1 at 10001"),
        ("34200.2,4,11,100,1000000,-1", "order 11 rests on side 1 at tick 10000, not -1"),
    ],
)
def test_a_bad_message_is_refused_with_its_file_and_row(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(TapeError, match=rf"m.csv: row 2: .*{reason}"):
        list(LobsterLog(put(tmp_path / "m.csv", [GOOD, line]), DAY))


def test_an_empty_file_and_a_tick_size_between_prices_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("")
    with pytest.raises(TapeError, match="empty"):
        list(LobsterLog(tmp_path / "m.csv", DAY))
    with pytest.raises(TapeError, match=r"tick size of 0\.00003"):
        LobsterLog(tmp_path / "m.csv", DAY, tick_size=Decimal("0.00003"))


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.lists(
            st.one_of(st.integers(-2, 9).map(str), st.sampled_from(["34200", "100", "x", "", "1e5", '"'])), max_size=7
        ),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_a_file_holds_it_is_rows_or_a_named_error(tmp_path: Path, lines: list[list[str]]) -> None:
    path = put(tmp_path / "m.csv", [",".join(line) for line in lines])
    try:
        for rows in LobsterLog(path, DAY):
            OrderBook(64, LEVELS, ORDERS).feed(rows)
    except TapeError as error:
        assert str(error).startswith(f"{path}: ")


def test_what_rested_before_the_file_is_a_block_in_front(tmp_path: Path) -> None:
    _, log = session(6, 900)
    cut = 400  # the file begins in the middle of a session
    messages = put(tmp_path / "m.csv", message_lines(log)[cut:])
    levels = put(tmp_path / "l.csv", level_lines(log, 40)[cut:])
    lobster = LobsterLog(messages, DAY, levels=levels)
    rows = np.concatenate(list(lobster))
    assert lobster.counts["levels from before the file"] > 5
    assert lobster.counts["messages of orders from before the file, in their level's block"] > 10
    assert lobster.counts["messages of orders from before the file"] == 0
    rebuilt, whole = OrderBook(100, LEVELS, ORDERS), OrderBook(100, LEVELS, ORDERS)
    rebuilt.feed(rows)
    whole.feed(log)
    for side in (1, -1):
        assert all(
            (a == b).all()
            for a, b in zip(rebuilt.book.depth(side, 64)[:2], whole.book.depth(side, 64)[:2], strict=True)
        )
        later = set(log["order"][cut:][log["kind"][cut:] == ADD].tolist())
        ours = [(order, lots) for _, order, _, _, lots in rebuilt.book.l3(side, ORDERS).tolist() if order > 0]
        theirs = [(order, lots) for _, order, _, _, lots in whole.book.l3(side, ORDERS).tolist() if order in later]
        assert ours == theirs and ours
    assert compare(LobsterLog(messages, DAY, levels=levels), levels).differing == 0
    assert compare(LobsterLog(messages, DAY), levels).first == 1
