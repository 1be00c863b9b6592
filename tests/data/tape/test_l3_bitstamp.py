"""Order logs of Bitstamp's kind: each trap on its own, then the recording."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.l3_bitstamp import HEADER, BitstampLog, bitstamp_rows, prior_orders
from slipstream.lob.replay.order_book import OrderBook
from slipstream.lob.replay.order_rows import ADD, CANCEL, EXECUTE, KINDS, PRINT, REDUCE

RECORDING = Path(__file__).resolve().parents[3] / "../shared/data/bitstamp_l3_2015-05-01/orders.csv.xz"
Row = tuple[int, int, str, int, str, str]  # id, ms, price, volume, action, direction


def written(folder: Path, *rows: Row) -> Path:
    path = folder / "orders.csv"
    lines = [",".join(HEADER)]
    lines += [
        f"{i},{ms},{1000 * (i // 1000)},{px},{volume},{action},{side}" for i, ms, px, volume, action, side in rows
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def kinds(path: Path, *, prior: bool = True) -> tuple[list[tuple[str, int, int, int]], dict[str, int]]:
    """(kind, order, tick, lots) of every row made, and the counts; the book that they make is never crossed."""
    rows, counts = bitstamp_rows(path, prior=prior)
    OrderBook().feed(rows)
    return [(KINDS[int(r["kind"])], int(r["order"]), int(r["tick"]), int(r["lots"])) for r in rows], counts


def test_an_order_that_meets_the_book_rests_when_its_matches_are_told(tmp_path: Path) -> None:
    made, counts = kinds(
        written(
            tmp_path,
            (1, 1000, "236.47", 50, "created", "bid"),
            (2, 1100, "236.46", 80, "created", "ask"),
            (1, 1220, "236.47", 0, "deleted", "bid"),
            (2, 1222, "236.46", 30, "changed", "ask"),
            (2, 1400, "236.46", 30, "deleted", "ask"),
        )
    )
    assert made == [
        ("ADD", 1, 23647, 50),
        ("EXECUTE", 1, 23647, 50),
        ("ADD", 2, 23646, 30),
        ("CANCEL", 2, 23646, 30),
    ]
    assert counts["trades"] == counts["aggressors"] == counts["aggressors that came to rest"] == 1
    assert counts["crossed states, rows taken word for word"] == 1


def test_the_takers_row_may_come_first_and_differ_by_a_lot(tmp_path: Path) -> None:
    made, counts = kinds(
        written(
            tmp_path,
            (1, 1000, "100.00", 50, "created", "ask"),
            (2, 1100, "101.00", 21, "created", "bid"),
            (2, 1220, "101.00", 0, "deleted", "bid"),
            (1, 1221, "100.00", 30, "changed", "ask"),
        )
    )
    assert made == [("ADD", 1, 10000, 50), ("EXECUTE", 1, 10000, 20)]
    assert counts["lots traded"] == 20 and counts["lots traded, by the takers' rows"] == 21


def test_an_order_that_walks_the_book_by_its_price_is_followed(tmp_path: Path) -> None:
    made, counts = kinds(
        written(
            tmp_path,
            (1, 1000, "100.00", 50, "created", "ask"),
            (2, 1001, "100.10", 50, "created", "ask"),
            (3, 1100, "100.00", 90, "created", "bid"),
            (1, 1220, "100.00", 0, "deleted", "ask"),
            (3, 1221, "100.00", 40, "changed", "bid"),
            (3, 1222, "100.10", 38, "changed", "bid"),
            (3, 1300, "100.10", 0, "deleted", "bid"),
            (2, 1301, "100.10", 12, "changed", "ask"),
        )
    )
    assert made[2:] == [
        ("EXECUTE", 1, 10000, 50),
        ("ADD", 3, 10000, 40),
        ("CANCEL", 3, 10000, 40),
        ("EXECUTE", 2, 10010, 38),
    ]
    assert counts["resting orders repriced into the book"] == 1 and counts["lots lost by repricing"] == 2


def test_orders_from_before_the_log_rest_as_far_as_their_rows_tell(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        (10, 1000, "100.00", 50, "created", "bid"),
        (10, 1100, "100.00", 20, "changed", "bid"),  # 30 lots, to an order of unknown size
        (3, 1101, "100.00", 0, "deleted", "ask"),
        (4, 1200, "101.00", 70, "deleted", "ask"),
        (5, 1300, "102.00", 0, "deleted", "ask"),  # filled, and nothing tells by how much
    )
    assert prior_orders(path).sizes == {3: (-1, 10000, 30), 4: (-1, 10100, 70)}
    made, counts = kinds(path)
    assert made == [
        ("ADD", 3, 10000, 30),
        ("ADD", 4, 10100, 70),
        ("EXECUTE", 3, 10000, 30),
        ("ADD", 10, 10000, 20),
        ("CANCEL", 4, 10100, 70),
    ]
    assert counts["prior orders"] == 2 and counts["prior orders of unknown size"] == 1
    assert counts["orders deleted that were never seen"] == 1
    without, counts = kinds(path, prior=False)
    assert without == [("ADD", 10, 10000, 50), ("PRINT", 0, 10000, 30), ("REDUCE", 10, 10000, 30)]
    assert counts["trades whose maker was not on the book"] == counts["trades whose taker rested"] == 1


def test_rows_out_of_their_order_are_counted_and_left_out(tmp_path: Path) -> None:
    made, counts = kinds(
        written(
            tmp_path,
            (1, 1000, "100.00", 50, "created", "bid"),
            (1, 1000, "100.00", 50, "created", "bid"),
            (1, 1100, "100.00", 50, "deleted", "bid"),
            (1, 1101, "100.00", 50, "deleted", "bid"),
            (1, 1102, "100.00", 20, "changed", "bid"),
            (9, 1200, "100.00", 50, "deleted", "bid"),
            (9, 1201, "100.00", 50, "created", "bid"),
        )
    )
    assert made == [("ADD", 1, 10000, 50), ("CANCEL", 1, 10000, 50)]
    for what in (
        "orders created twice",
        "orders deleted after they were deleted",
        "orders changed after they were deleted",
        "orders deleted that were never seen",
        "orders created after they were deleted",
    ):
        assert counts[what] == 1, what


def test_a_fill_that_has_no_second_row_is_the_makers(tmp_path: Path) -> None:
    made, counts = kinds(
        written(
            tmp_path,
            (1, 1000, "100.00", 50, "created", "bid"),
            (1, 1100, "100.00", 20, "changed", "bid"),
            (2, 9000, "99.00", 30, "created", "ask"),
            (2, 9100, "99.00", 30, "deleted", "ask"),
        )
    )
    assert made[1:] == [("EXECUTE", 1, 10000, 30)]
    assert counts["fills without a second row"] == 1 and counts["lots filled without a second row"] == 30


def test_a_rows_number_is_its_line_and_findings_name_it(tmp_path: Path) -> None:
    found: list[tuple[int, str, str]] = []
    path = written(tmp_path, (1, 1000, "1.00", 5, "created", "bid"), (2, 1001, "1.00", 5, "deleted", "bid"))
    list(BitstampLog(path, lambda *what: found.append(what)))
    assert found == [(3, "orders deleted that were never seen", "left out")]


GOOD = "7,1000,1000,236.47,5,created,bid"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("7,1000,1000,236.47,5,created", "6 fields, not 7"),
        ("x,1000,1000,236.47,5,created,bid", "id 'x' is no whole number"),
        ("0,1000,1000,236.47,5,created,bid", "id 0 is not in 1"),
        ("7,1e3,1000,236.47,5,created,bid", "timestamp '1e3'"),
        ("7,999,1000,236.47,5,created,bid", "before that of the row above"),
        ("7,1000,1000,236.471,5,created,bid", "not a multiple of the tick size 0.01"),
        ("7,1000,1000,nan,5,created,bid", "price nan"),
        ("7,1000,1000,-1,5,created,bid", "price -1 is not positive"),
        ("7,1000,1000,1e99,5,created,bid", "beyond the grid"),
        ("7,1000,1000,236.47,0,created,bid", "no volume"),
        ("7,1000,1000,236.47,-5,created,bid", "volume -5 is not in 0"),
        ("7,1000,1000,236.47,5,made,bid", "action 'made'"),
        ("7,1000,1000,236.47,5,created,buy", "direction 'buy'"),
        ("7,1000,1000,236.47,5,created,b\u00fcy", "no text"),
        (f"7,{'9' * 30},1000,236.47,5,created,bid", "timestamp"),
    ],
)
def test_a_bad_row_is_refused_with_its_file_and_line(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("\n".join([",".join(HEADER), GOOD, line]) + "\n", encoding="utf-8")
    with pytest.raises(TapeError, match=rf"orders.csv: row \d: .*{reason}"):
        bitstamp_rows(path, prior=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), ("a,b\n", "row 1: begins with 'a,b'"), (",".join(HEADER) + "\n", "holds no row")],
)
def test_a_file_without_rows_or_of_another_kind_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(text)
    with pytest.raises(TapeError, match=reason):
        bitstamp_rows(path)


def test_a_file_that_is_not_there_or_cut_off_is_said(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="cannot be read: No such file"):
        bitstamp_rows(tmp_path / "orders.csv")
    packed = lzma.compress("\n".join([",".join(HEADER), *[GOOD] * 500]).encode())
    path = tmp_path / "orders.csv.xz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(TapeError, match="cut off, damaged or no text"):
        bitstamp_rows(path)


ACTIONS = st.tuples(
    st.integers(1, 6),
    st.integers(0, 90),
    st.sampled_from(["0.99", "1.00", "1.01"]),
    st.integers(0, 4),
    st.sampled_from(["created", "changed", "deleted"]),
    st.sampled_from(["bid", "ask"]),
)


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(ACTIONS, min_size=1, max_size=30), prior=st.booleans())
def test_whatever_the_rows_say_the_book_fits_and_is_never_crossed(tmp_path: Path, rows: list[Row], prior: bool) -> None:
    ms = 0
    told: list[Row] = []
    sides: dict[int, str] = {}
    for order, wait, px, volume, action, side in rows:
        ms += wait
        told.append((order, ms, px, max(volume, int(action == "created")), action, sides.setdefault(order, side)))
    made, counts = bitstamp_rows(written(tmp_path, *told), prior=prior)
    book = SMALL_BOOK()
    book.feed(made)
    assert counts["rows"] == len(rows)
    assert counts["lots left on the book"] == sum(int(book.book.l3(side, 99)[:, 4].sum()) for side in (1, -1))


def SMALL_BOOK() -> OrderBook:
    return OrderBook(64, 64, 256)


@pytest.mark.skipif(not RECORDING.is_file(), reason=f"the recording is not there: {RECORDING.name}")
def test_the_recording_rebuilds_a_book_that_is_never_crossed() -> None:
    rows, counts = bitstamp_rows(RECORDING)
    book = OrderBook()
    book.feed(rows)  # an order that would cross, or that is not there, is an error
    told = book.counts()
    assert told["out_of_turn"] == 0  # every execution was of the first order at the best price
    assert counts["rows"] == 50_414
    assert counts["crossed states, rows taken word for word"] == 1_022
    assert counts["prior orders"] == 182 and counts["prior orders of unknown size"] == 0
    assert told["executions"] == counts["trades"] + counts["fills without a second row"] == 575
    resting = sum(int(book.book.l3(side, 9999)[:, 4].sum()) for side in (1, -1))
    assert resting == counts["lots left on the book"]
    assert told["joined"] == told["removed"] + told["traded"] + resting
    assert told["traded"] == counts["lots traded"] + counts["lots filled without a second row"]
    assert np.isin(rows["kind"], (ADD, CANCEL, EXECUTE, REDUCE, PRINT)).all()
    assert (np.diff(rows["exch_ns"]) >= 0).all()
