from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slipstream.data.catalogue import Catalogue, Taken, joined, missing
from slipstream.data.lake import BATCH, GRACE_NS, Lake, Query
from slipstream.data.recorder.tables import Part
from slipstream.data.series import Appended
from slipstream.data.streams import DAY, HOUR, LakeError, bars_stream, date_of, stream_of

T0 = 1_735_689_600_000_000_000  # 2025-01-01
BARS = bars_stream("1h")
QUERY = Query(venue="hl", stream="bars_1h")


def bars(first: int, count: int, price: float = 100.0) -> pd.DataFrame:
    opened = T0 + HOUR * np.arange(first, first + count, dtype=np.int64)
    close = price + np.arange(first, first + count, dtype=np.float64)
    frame = pd.DataFrame({"open_ns": opened, "close_ns": opened + HOUR, "open": close - 0.5, "close": close})
    return frame.assign(high=close + 1.0, low=close - 1.0, volume=2.0, trades=np.nan)


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    assert lake.append("hl", BARS, "BTC", bars(-5, 10), now_ns=T0) == Appended(new=10)
    assert lake.append("hl", BARS, "ETH", bars(0, 3), now_ns=T0) == Appended(new=3)
    read = Lake(tmp_path / "lake").frame(QUERY)
    assert read["coin"].tolist() == ["BTC"] * 10 + ["ETH"] * 3
    pd.testing.assert_frame_equal(read.iloc[:10, 1:][list(bars(0, 1))], bars(-5, 10))
    folders = sorted(path.name for path in (tmp_path / "lake/venue=hl/stream=bars_1h/coin=BTC").iterdir())
    assert folders == ["date=2024", "date=2025"]


def test_appending_again_changes_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("hl", BARS, "BTC", bars(0, 10), now_ns=T0)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert lake.append("hl", BARS, "BTC", bars(0, 10), now_ns=T0 + 1) == Appended(same=10)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert lake.append("hl", BARS, "BTC", bars(5, 10), now_ns=T0 + 2) == Appended(new=5, same=5)
    assert len(lake.frame(QUERY)) == 15
    assert len(lake.entries(QUERY)) == 1


def test_as_of_leaves_out_what_could_not_be_known(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("hl", BARS, "BTC", bars(0, 10), now_ns=T0 + 20 * HOUR)
    lake.append("hl", BARS, "NEW", bars(8, 2), now_ns=T0 + 20 * HOUR)
    at = Query(venue="hl", stream="bars_1h", as_of_ns=T0 + 3 * HOUR)
    assert lake.frame(at)["close_ns"].max() == T0 + 3 * HOUR
    assert len(lake.frame(Query(venue="hl", stream="bars_1h", as_of_ns=T0 + 3 * HOUR - 1))) == 2
    assert lake.coins("hl", "bars_1h") == ("BTC", "NEW")
    assert lake.coins("hl", "bars_1h", as_of_ns=T0 + 3 * HOUR) == ("BTC",)


def test_a_revision_is_kept_beside_what_it_revised(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("hl", BARS, "BTC", bars(0, 4), now_ns=T0 + 10 * HOUR)
    other = bars(0, 4)
    other.loc[1, "close"] = 77.0
    assert lake.append("hl", BARS, "BTC", other, now_ns=T0 + 20 * HOUR) == Appended(same=3, revised=1)
    assert lake.frame(QUERY)["close"].tolist() == [100.0, 77.0, 102.0, 103.0]
    then = Query(venue="hl", stream="bars_1h", written_by_ns=T0 + 15 * HOUR)
    assert lake.frame(then)["close"].tolist() == [100.0, 101.0, 102.0, 103.0]
    # back to the first value is a revision again, and not "the same as once"
    assert lake.append("hl", BARS, "BTC", bars(0, 4), now_ns=T0 + 30 * HOUR) == Appended(same=3, revised=1)
    assert lake.frame(QUERY)["close"].tolist() == [100.0, 101.0, 102.0, 103.0]


def test_reading_is_lazy_and_takes_only_what_is_asked(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for coin in ("A", "B", "C"):
        lake.append("hl", BARS, coin, bars(0, 50), now_ns=T0)
    query = Query(
        venue="hl",
        stream="bars_1h",
        coins=("A", "C"),
        start_ns=T0 + 10 * HOUR,
        end_ns=T0 + 12 * HOUR,
        columns=("close",),
    )
    batches = lake.batches(query)
    coin, batch = next(batches)
    assert (coin, batch.column_names, batch.num_rows) == ("A", ["close"], 2)
    # the files of coins that come later are not open yet: one of them may even be away until then
    (gone,) = (tmp_path / "venue=hl/stream=bars_1h/coin=C").rglob("*.parquet")
    gone.unlink()
    with pytest.raises(LakeError, match=r"coin=C.*cannot be read"):
        list(batches)
    with pytest.raises(LakeError, match="no column mark; it has open_ns"):
        next(lake.batches(Query(venue="hl", stream="bars_1h", columns=("mark",))))


def test_a_large_tape_comes_in_small_batches(tmp_path: Path) -> None:
    part = Part(tmp_path, ("hl", "bbo", "BTC", "2025-01-01"), "segment-1")
    for lot in range(4):
        part.rows = [(T0 + n, T0 + n, 99.0, 1.0, 101.0, 2.0) for n in range(lot * 50_000, (lot + 1) * 50_000)]
        part.flush()
    part.close()
    lake = Lake(tmp_path)
    lake.adopt(T0 + DAY)
    sizes = [batch.num_rows for _, batch in lake.batches(Query(venue="hl", stream="bbo", columns=("recv_ns",)))]
    assert sum(sizes) == 200_000 and max(sizes) <= BATCH


def test_an_empty_lake_has_no_rows_but_columns(tmp_path: Path) -> None:
    frame = Lake(tmp_path / "none").frame(QUERY)
    assert list(frame) == ["coin", *BARS.columns] and frame.empty


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda f: f.drop(columns="close"), "no column close; it has"),
        (lambda f: f.assign(open_ns=f["open_ns"].astype(float)), "open_ns is not a column of whole ns but float64"),
        (lambda f: pd.concat([f, f.assign(close=1.0)]), "4 times come twice with different values"),
    ],
)
def test_rows_that_cannot_be_kept_are_refused(tmp_path: Path, change: object, text: str) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(LakeError, match=text):
        lake.append("hl", BARS, "BTC", change(bars(0, 4)), now_ns=T0)  # type: ignore[operator]
    assert not lake.entries(QUERY)


def test_names_that_would_leave_the_lake_are_refused(tmp_path: Path) -> None:
    for coin in ("../BTC", "", "A/B", ".hidden", "A" * 41):
        with pytest.raises(LakeError, match="cannot name a folder"):
            Lake(tmp_path).append("hl", BARS, coin, bars(0, 1), now_ns=T0)
    with pytest.raises(LakeError, match="interval '7h' is not kept"):
        bars_stream("7h")
    with pytest.raises(LakeError, match="no stream 'bars_7h'"):
        stream_of("bars_7h")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(LakeError, match="a lake is a folder"):
        Lake(file)


def test_a_torn_line_and_files_without_a_line_do_not_count(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("hl", BARS, "BTC", bars(0, 4), now_ns=T0)
    whole = (tmp_path / "catalogue.jsonl").read_bytes()
    lake.append("hl", BARS, "BTC", bars(4, 4), now_ns=T0)
    lines = (tmp_path / "catalogue.jsonl").read_bytes()
    for end in range(len(whole), len(lines), 7):
        (tmp_path / "catalogue.jsonl").write_bytes(lines[:end])
        assert len(Lake(tmp_path).frame(QUERY)) == 4, end
    assert Lake(tmp_path).append("hl", BARS, "BTC", bars(4, 4), now_ns=T0) == Appended(new=4)
    assert len(Lake(tmp_path).frame(QUERY)) == 8


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("hl", BARS, "BTC", bars(0, 4), now_ns=T0)
    with (tmp_path / "catalogue.jsonl").open("ab") as file:
        file.write(b'{"kind": "file"}\n')
    with pytest.raises(LakeError, match=r"catalogue.jsonl:3: .*missing required field"):
        Lake(tmp_path)


def test_verify_names_damage_and_sweep_removes_only_what_is_old(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("hl", BARS, "BTC", bars(0, 4), now_ns=T0)
    lake.append("hl", BARS, "BTC", bars(4, 4), now_ns=T0)
    lake.append("hl", BARS, "ETH", bars(0, 4), now_ns=T0)
    files = list(tmp_path.rglob("*.parquet"))
    assert len(files) == 3  # one of BTC's is replaced, and stays for those who read it
    new = max(path.stat().st_mtime_ns for path in files)
    assert lake.sweep(new) == 0
    assert lake.sweep(new + 2 * GRACE_NS) == 1
    assert [text for _, text in lake.verify()] == ["", ""]
    victim = tmp_path / lake.entries(QUERY)[0].path
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    assert [text for _, text in lake.verify()] == ["its hash is not the catalogue's", ""]
    victim.unlink()
    assert next(lake.verify())[1] == "the file is not there"


def test_a_damaged_file_can_be_forgotten_and_loaded_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for coin in ("BTC", "ETH"):
        lake.append("hl", BARS, coin, bars(0, 10), now_ns=T0, asked=(T0 - DAY, T0 + 10 * HOUR), source="api")
    with lake.catalogue.writing():
        lake.catalogue.commit([Taken(source=name, etag="e", rows=1) for name in ("api", "other")])
    entry = lake.entries(Query(venue="hl", stream="bars_1h", coins=("BTC",)))[0]
    (tmp_path / entry.path).write_bytes(b"PAR1 no more")
    with pytest.raises(LakeError, match=r"coin=BTC.*cannot be read.*verify --mend"):
        lake.append("hl", BARS, "BTC", bars(5, 10), now_ns=T0)
    lake.forget(entry)
    for held in (lake, Lake(tmp_path)):
        assert set(held.frame(QUERY)["coin"]) == {"ETH"}
        assert held.asked("hl", "bars_1h", "BTC") == (
            (T0 - DAY, T0 - HOUR // 2),
            (T0 + 9 * HOUR + HOUR // 2, T0 + 10 * HOUR),
        )
        assert held.asked("hl", "bars_1h", "ETH") == ((T0 - DAY, T0 + 10 * HOUR),)
        assert list(held.catalogue.taken) == ["other"]
    assert lake.append("hl", BARS, "BTC", bars(0, 10), now_ns=T0) == Appended(new=10)


def test_tapes_are_adopted_where_they_stand(tmp_path: Path) -> None:
    part = Part(tmp_path, ("hl", "bbo", "BTC", "2025-01-01"), "segment-1")
    part.rows = [(T0 + i, T0 + i + 5, 99.0, 1.0, 101.0, 2.0) for i in range(1000)]
    part.close()
    lake = Lake(tmp_path)
    query = Query(venue="hl", stream="bbo")
    assert lake.frame(query).empty
    assert lake.adopt(T0 + DAY) == 1
    assert lake.adopt(T0 + DAY) == 0
    (entry,) = lake.entries(query)
    assert (entry.rows, entry.first_ns, entry.last_known_ns) == (1000, T0 + 5, T0 + 1004)
    known = Query(venue="hl", stream="bbo", as_of_ns=T0 + 104, columns=("bid_px", "recv_ns"))
    assert list(lake.frame(known)) == ["coin", "bid_px", "recv_ns"] and len(lake.frame(known)) == 100
    assert lake.frame(Query(venue="hl", stream="bbo", written_by_ns=T0)).empty
    again = Part(tmp_path, ("hl", "bbo", "BTC", "2025-01-01"), "segment-1")
    again.rows = [(T0, T0, 1.0, 1.0, 2.0, 1.0)]
    again.close()
    assert lake.adopt(T0 + 2 * DAY) == 1 and len(lake.frame(query)) == 1
    with pytest.raises(LakeError, match="is a tape"):
        lake.append("hl", stream_of("bbo"), "BTC", pd.DataFrame(), now_ns=T0)


def test_writing_the_catalogue_anew_loses_nothing_and_readers_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.data.catalogue.SLACK", 0)
    reader = Lake(tmp_path)
    writer = Lake(tmp_path)
    for i in range(12):
        writer.append("hl", BARS, "BTC", bars(i, 1), now_ns=T0 + i, asked=(T0 + i * HOUR, T0 + (i + 1) * HOUR))
        assert len(reader.frame(QUERY)) == i + 1
        assert reader.asked("hl", "bars_1h", "BTC") == ((T0, T0 + (i + 1) * HOUR),)
    with writer.catalogue.writing():
        writer.catalogue.commit([Taken(source="a", etag="b", rows=3)])
    assert (tmp_path / "catalogue.jsonl").read_bytes().count(b"\n") < 9
    assert Lake(tmp_path).catalogue.taken["a"].etag == "b"


STEPS = ("replace", "fsync", "open", "write", "rename")


def _dies_at(point: int, act: Callable[[], object]) -> bool:
    """Whether a process that does it is killed at its so many-th call of the system."""
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        calls = 0

        def deadly(name: str) -> Callable[..., object]:
            real = getattr(os, name)

            def call(*args: Any, **more: Any) -> object:
                nonlocal calls
                calls += 1
                if calls == point:
                    if name == "write":
                        real(args[0], bytes(args[1])[: len(args[1]) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **more)

            return call

        for name in STEPS:
            setattr(os, name, deadly(name))
        try:
            act()
            os._exit(0)
        finally:
            os._exit(3)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status != 0


def test_a_kill_at_any_step_loses_nothing_that_counted_and_tears_nothing(tmp_path: Path) -> None:
    point, died = 0, True
    while died:
        point += 1
        folder = tmp_path / str(point)
        lake = Lake(folder)
        lake.append("hl", BARS, "BTC", bars(0, 4), now_ns=T0)
        more: Any = {"now_ns": T0 + 1, "asked": (T0, T0 + 8)}
        died = _dies_at(point, lambda lake=lake, more=more: lake.append("hl", BARS, "BTC", bars(4, 4), **more))
        held = Lake(folder)
        rows = len(held.frame(QUERY))
        assert rows in (4, 8) and (rows == 8 or not held.asked("hl", "bars_1h", "BTC"))
        assert all(not text for _, text in held.verify())
        again = held.append("hl", BARS, "BTC", bars(4, 4), now_ns=T0 + 2)
        assert again.new + again.same == 4 and len(held.frame(QUERY)) == 8
    assert 8 < point < 40


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8), st.integers(0, 40), st.integers(0, 40))
def test_spans_cover_what_sets_cover(spans: list[tuple[int, int]], start: int, end: int) -> None:
    held = {i for low, high in spans for i in range(low, high)}
    assert {i for low, high in joined(spans) for i in range(low, high)} == held
    gaps = missing(spans, start, end)
    assert {i for low, high in gaps for i in range(low, high)} == set(range(start, end)) - held
    assert all(low < high for low, high in gaps)


@settings(max_examples=60, deadline=None)
@example(b'{"kind": "\x80"}\n')
@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_any_text_in_the_catalogue_is_read_or_named(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    folder = tmp_path_factory.mktemp("lake")
    (folder / "catalogue.jsonl").write_bytes(text)
    try:
        Catalogue(folder).refresh()
    except LakeError as error:
        assert "catalogue.jsonl:" in str(error)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12), st.sampled_from([100.0, 101.0])), max_size=6))
def test_any_appends_give_the_newest_row_of_every_time(
    tmp_path_factory: pytest.TempPathFactory, appends: list[tuple[int, int, float]]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    model: dict[int, float] = {}
    for number, (first, count, price) in enumerate(appends):
        rows = bars(first, count, price)
        new = sum(ns not in model for ns in rows["open_ns"])
        done = lake.append("hl", BARS, "BTC", rows, now_ns=T0 + number)
        assert done.new == new and done.new + done.same + done.revised == count
        model |= dict(zip(rows["open_ns"].tolist(), rows["close"].tolist(), strict=True))
    frame = lake.frame(QUERY)
    assert dict(zip(frame["open_ns"], frame["close"], strict=True)) == dict(sorted(model.items()))


def test_dates() -> None:
    assert [date_of(T0 - 1, period) for period in ("day", "month", "year")] == ["2024-12-31", "2024-12", "2024"]
    with pytest.raises(LakeError, match="not a time"):
        date_of(10**30, "day")
