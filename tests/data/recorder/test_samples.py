"""CSV samples: grow across runs and kills, one writer each; what is wrong in them is named by file, row and column."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.data.recorder.samples import (
    BBO,
    DEPTH,
    FUNDING,
    SampleError,
    SampleFile,
    check_bbo,
    depth_usd,
    path_of,
    read_samples,
)
from slipstream.model.events import L2Book

T0 = 1_741_683_603_000
ROW = (T0, T0 - 5, 100.0, 1.0, 101.0, 2.0)


def test_rows_come_back_and_files_grow(tmp_path: Path) -> None:
    path = tmp_path / "a" / "BTC.csv"
    for start in (0, 2):
        with SampleFile(path, BBO) as file:
            for at in (start, start + 1):
                file.write((T0 + at, T0, 0.1 + at, 1e-07, 101.0, 2.0))
    found = read_samples(path, BBO)
    assert found["recv_ms"].tolist() == [T0, T0 + 1, T0 + 2, T0 + 3]
    assert found["bid_px"].tolist() == [0.1, 1.1, 2.1, 3.1] and found["bid_sz"].tolist() == [1e-07] * 4


@pytest.mark.parametrize("left", [1, 10, 30, 43, 44, 60, 10_000, 100_000])
def test_half_a_row_is_cut_off(tmp_path: Path, left: int) -> None:
    path = tmp_path / "BTC.csv"
    with SampleFile(path, BBO) as file:
        for at in range(3_000):
            file.write((T0 + at, *ROW[1:]))
    data = path.read_bytes()[:left]
    path.write_bytes(data)
    whole = max(0, data.count(b"\n") - 1)
    with SampleFile(path, BBO) as file:
        file.write((T0 + 5_000, *ROW[1:]))
    found = read_samples(path, BBO)["recv_ms"].tolist()
    assert found == [*range(T0, T0 + whole), T0 + 5_000]


def test_a_reader_leaves_half_a_row_out(tmp_path: Path) -> None:
    path = tmp_path / "BTC.csv"
    with SampleFile(path, BBO) as file:
        file.write(ROW)
        file.write(ROW)
    os.truncate(path, path.stat().st_size - 5)
    assert len(read_samples(path, BBO)["recv_ms"]) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60), st.floats(0.0, 200_000.0), st.integers(1, 12))
def test_the_end_of_a_file_is_found_by_bisection(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], last_ms: float, width: int
) -> None:
    path = tmp_path_factory.mktemp("tail") / "f.csv"
    times = [T0 + sum(steps[: at + 1]) for at in range(len(steps))]
    path.write_text("rate,ts\n" + "".join(f"{'1' * (1 + at % width)},{ns}\n" for at, ns in enumerate(times)))
    found = read_samples(path, FUNDING, last_ms)["ts"].tolist()
    assert found == [ns for ns in times if ns >= times[-1] - last_ms]


def test_rows_passed_over_still_count_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("ts,rate\n" + "".join(f"{T0 + at * 1_000},1\n" for at in range(1_000)) + f"{T0 + 10**6},x\n")
    with pytest.raises(SampleError, match=r"row 1002: rate is 'x'"):
        read_samples(path, FUNDING, 5_000.0)
    assert len(read_samples(path, ("ts",), 5_000.0)["ts"]) == 6


def test_one_writer_a_file_and_its_own_columns(tmp_path: Path) -> None:
    with SampleFile(tmp_path / "a.csv", BBO), pytest.raises(SampleError, match="another recorder"):
        SampleFile(tmp_path / "a.csv", BBO).__enter__()
    with pytest.raises(SampleError, match="its columns are not recv_ms,event_ms,bid_usd,ask_usd"):
        SampleFile(tmp_path / "a.csv", DEPTH).__enter__()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no header"),
        ("ts,rate\n", "no rows below the header"),
        ("ts,price\n1,2\n", r"row 1: no column rate; it has ts, price"),
        (f"ts,rate\n{T0},0.1\n{T0},x\n", r"row 3: rate is 'x', not a number"),
        (f"ts,rate\n{T0},\n", r"row 2: rate is '', not a number"),
        (f"ts,rate\n{T0},nan\n", r"row 2: rate is 'nan'"),
        (f"ts,rate\n{T0}\n", r"row 2: rate is"),
        (f"ts,rate\n{T0},1\n{T0},1,2\n", "not a CSV file"),
        (f"ts,rate\n{T0 // 1000},1\n", r"row 2: ts is 1741683603, not a time in ms"),
        (f"ts,rate\n{T0},1\n{T0 - 90_000},1\n", r"row 3: ts is more than a minute before the row above"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "f.csv"
    path.write_text(text)
    with pytest.raises(SampleError, match=said) as caught:
        read_samples(path, FUNDING)
    assert str(caught.value).startswith(str(path))
    with pytest.raises(SampleError, match="No such file"):
        read_samples(tmp_path / "nowhere.csv", FUNDING)


@pytest.mark.parametrize(("at", "value", "said"), [(2, 102.0, "is above ask"), (3, -1.0, "bid_sz is -1.0, below 0")])
def test_bad_prices_are_named(tmp_path: Path, at: int, value: float, said: str) -> None:
    path = tmp_path / "f.csv"
    with SampleFile(path, BBO) as file:
        file.write(ROW)
        file.write((*ROW[:at], value, *ROW[at + 1 :]))
    with pytest.raises(SampleError, match=said):
        check_bbo(path, read_samples(path, BBO))


def test_tokens() -> None:
    assert path_of("{symbol}/{lower}/{cex_symbol}/{cex_lower}", "kPEPE", "1000PEPEUSDT") == Path(
        "kPEPE/kpepe/1000PEPEUSDT/1000pepeusdt"
    )
    for pattern in ("{coin}.csv", "{}.csv", "{symbol", "{symbol.x}"):
        with pytest.raises(SampleError, match=r"its tokens are \{symbol\}"):
            path_of(pattern, "BTC", "BTCUSDT")


def test_depth_is_what_lies_near_the_middle() -> None:
    book = L2Book("hl", "X", ((99.9, 1.0), (99.0, 50.0)), ((100.1, 2.0), (100.26, 9.0)), 0, 0)
    assert depth_usd(book) == pytest.approx((99.9, 200.2))
    assert depth_usd(book, 200.0) == pytest.approx((99.9 + 4_950.0, 200.2 + 902.34))
    assert depth_usd(L2Book("hl", "X", (), ((100.1, 2.0),), 0, 0)) == (0.0, 0.0)
