"""`slipstream record` on the emulated venue: every stream of both venues, gaps told, kill -9, and Parquet of it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec
import pyarrow.parquet as pq
import pytest
from typer import Typer
from typer.testing import CliRunner

from slipstream.data.lake import Lake, Query
from slipstream.data.recorder.envelope import Note
from slipstream.data.recorder.folder import Folder, closed_segments
from slipstream.data.recorder.tables import read_segment
from slipstream.model.errors import ConfigError, JournalError, NotConnected
from slipstream.processes.listings import check_listings
from slipstream.processes.public_streams import PublicStreams, Wanted, wanted_of
from slipstream.processes.record import RecordOptions, compact, record, run_record
from slipstream.runtime.clock import WallClock
from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue

SPEED = 10.0
START = 1_741_694_400_000_000_000  # noon: no segment ends in a test
OPTIONS = ServeOptions(port=0, speed=SPEED, control=True, coins=("WLFI", "LTC"), seed=11, start_ns=START)
RUNNER = CliRunner()


def wanted(venue: RunningVenue) -> Wanted:
    return wanted_of(None, coins=("WLFI", "LTC"), hl_url=venue.url)


def heard(folder: Path) -> tuple[Counter[tuple[str, str, str]], list[Note]]:
    """(rows by venue, type of event and coin; notes) of the closed segments."""
    counts: Counter[tuple[str, str, str]] = Counter()
    notes, refused = [], []
    for path in closed_segments(folder):
        for _, found in read_segment(path, refused):
            if isinstance(found, Note):
                notes.append(found)
            else:
                counts.update((event.venue, type(event).__name__, event.coin) for event in found)
    assert refused == []
    return counts, notes


def app() -> Typer:
    made = Typer()
    made.command("record")(record)
    made.command("compact")(compact)
    return made


async def test_every_stream_of_both_venues_through_a_cut(tmp_path: Path) -> None:
    async with running_venue(OPTIONS) as venue:

        async def cut() -> None:
            await asyncio.sleep(1.2)
            async with aiohttp.ClientSession() as session, session.post(f"{venue.url}/control/drop", json={}) as answer:
                assert answer.status == 200

        async with asyncio.TaskGroup() as group:
            group.create_task(run_record(RecordOptions(wanted=wanted(venue), folder=tmp_path / "raw", seconds=30.0)))
            group.create_task(cut())
    counts, notes = heard(tmp_path / "raw")
    for venue_name in ("hl", "binance"):
        for kind in ("L2Book", "Bbo", "Trade", "AssetContext"):
            for coin in ("WLFI", "LTC"):
                assert counts[venue_name, kind, coin] > 0, (venue_name, kind, coin, counts)
    kinds = Counter((note.feed, note.kind) for note in notes if note.feed)
    for feed in ("hl", "binance.public", "binance.market"):
        assert kinds[feed, "back"] == 2 and kinds[feed, "lost"] == 1, notes
    result = RUNNER.invoke(app(), ["compact", "--dir", str(tmp_path / "raw"), "--lake", str(tmp_path / "lake")])
    assert result.exit_code == 0, result.output
    for venue_name in ("hl", "binance"):
        for stream, kind in (("books", "L2Book"), ("bbo", "Bbo"), ("trades", "Trade"), ("contexts", "AssetContext")):
            folder = tmp_path / "lake" / f"venue={venue_name}" / f"stream={stream}" / "coin=LTC"
            rows = [table for path in sorted(folder.rglob("*.parquet")) for table in [pq.ParquetFile(path).read()]]
            recv = [ns for table in rows for ns in table["recv_ns"].to_pylist()]
            assert recv == sorted(recv)
            if stream == "trades":  # told again after the cut
                assert len(recv) == len({tid for table in rows for tid in table["tid"].to_pylist()})
                assert 0 < len(recv) <= counts[venue_name, kind, "LTC"]
            else:
                assert len(recv) == counts[venue_name, kind, "LTC"]
    lake = Lake(tmp_path / "lake")
    assert lake.coins("hl", "books") == ("LTC", "WLFI")
    frame = lake.frame(Query(venue="binance", stream="bbo", coins=("LTC",)))
    assert len(frame) == counts["binance", "Bbo", "LTC"] and (frame["bid_px"] < frame["ask_px"]).all()
    assert [problem for _, problem in lake.verify() if problem] == []
    again = RUNNER.invoke(app(), ["compact", "--dir", str(tmp_path / "raw"), "--lake", str(tmp_path / "lake")])
    assert again.exit_code == 0 and "0 segments" in again.output


async def start(folder: Path, url: str, *more: str) -> asyncio.subprocess.Process:
    words = [
        "-m",
        "slipstream.processes.record",
        "record",
        "--dir",
        str(folder),
        "--coins",
        "LTC",
        "--hl-url",
        url,
        *more,
    ]
    return await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def until(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not found():  # noqa: ASYNC110 another process tells no event
            await asyncio.sleep(0.05)


async def test_kill_9_leaves_a_readable_file_and_the_next_start_mends_it(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    async with running_venue(OPTIONS) as venue:
        first = await start(folder, venue.url)
        try:
            await until(lambda: sum(path.stat().st_size for path in folder.glob("*/*/*.open")) > 3_000)
        finally:
            os.kill(first.pid, signal.SIGKILL)
            await first.communicate()
        (left,) = folder.glob("hl/*/*.open")
        with left.open("ab") as file:  # a frame the kill caught half way
            file.write(b"\x28\xb5\x2f\xfd\x24torn")
        second = await start(folder, venue.url)
        try:
            await until(lambda: len(closed_segments(folder)) == 2 and len(list(folder.glob("*/*/*.open"))) == 2)
        finally:
            second.terminate()  # SIGTERM closes the segments
        out, err = await asyncio.wait_for(second.communicate(), 60)
    assert (second.returncode, err) == (0, b""), err
    assert re.search(rb"closed after a kill, 9 bytes cut off", out) and b"stopped" in out
    assert not list(folder.glob("*/*/*.open")) and len(closed_segments(folder)) == 4
    counts, notes = heard(folder)
    assert counts["hl", "Bbo", "LTC"] > 0 and counts["binance", "L2Book", "LTC"] > 0
    torn = {note.venue: note.reason for note in notes if note.kind == "torn"}
    assert torn.keys() == {"hl", "binance"} and "9 bytes" in torn["hl"] and "0 bytes" in torn["binance"]


class Full:
    """A disk that is full."""

    def frame(self, venue: str, recv_ns: int, raw: bytes) -> None:
        raise OSError(28, "No space left on device", "segment")

    def note(self, recv_ns: int, note: Note) -> None:
        pass

    def flush(self) -> None:
        pass


async def test_a_full_disk_ends_it_and_is_no_lost_connection(tmp_path: Path) -> None:
    async with running_venue(OPTIONS) as venue:
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.timeout(30):
                await PublicStreams(wanted(venue), WallClock(), Full()).hear()
    assert caught.group_contains(JournalError, match="segment: cannot be written: No space left")


async def test_a_venue_that_tells_nothing_is_an_error(tmp_path: Path) -> None:
    said: list[str] = []
    async with running_venue(OPTIONS) as venue:
        deaf = wanted_of(None, coins=("LTC",), hl_url=venue.url, cex_url="http://127.0.0.1:1", kinds=("bbo",))
        with Folder(tmp_path, deaf.names) as folder, pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(PublicStreams(deaf, WallClock(), folder, said.append).hear(1.0))
    assert caught.group_contains(NotConnected, match=r"nothing came from binance .*Connect call failed")
    assert "hl is heard" in said and any(text.startswith("binance.public is not heard") for text in said)
    assert len([text for text in said if text.startswith("binance")]) == 1, "told once, not at every try"
    assert heard(tmp_path)[0]["hl", "Bbo", "LTC"] > 0


async def test_names_that_a_venue_does_not_have(tmp_path: Path) -> None:
    async with running_venue(OPTIONS) as venue:
        with pytest.raises(ConfigError, match=r"WLFY is not listed on Hyperliquid .*; did you mean WLFI\?"):
            await check_listings(wanted_of(None, coins=("WLFY",), hl_url=venue.url))
        odd = msgspec.structs.replace(wanted(venue), symbols={"LTCUSD": "LTC"})
        with pytest.raises(ConfigError, match=r"LTCUSD is not listed on Binance; did you mean LTCUSDT\?"):
            await check_listings(odd)
        assert await check_listings(wanted(venue)) is None
    assert "were not checked" in str(await check_listings(wanted_of(None, coins=("A",), hl_url="http://127.0.0.1:1")))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no coins"),
        (["--coins", "BTC"], "no venue"),
        (["--coins", "BTC,BTC", "--hl-url", "http://127.0.0.1:1"], "named twice"),
        (["--coins", "BTC", "--hl-url", "http://127.0.0.1:1", "--streams", "book"], "'book' is none of books"),
        (["--coins", "BTC", "--hl-url", "http://127.0.0.1:1", "--venues", ""], "nothing named"),
        (["--config", "nowhere.yml"], "no such file"),
        (["--coins", "BTC", "--hl-url", "http://127.0.0.1:1", "--dir", "/dev/null/x"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line(words: list[str], said: str) -> None:
    result = RUNNER.invoke(app(), ["record", *words])
    assert result.exit_code == 2 and said in result.output, result.output


def test_a_venue_that_is_not_there(tmp_path: Path) -> None:
    result = RUNNER.invoke(
        app(), ["record", "--coins", "BTC", "--hl-url", "http://127.0.0.1:1", "--dir", str(tmp_path)]
    )
    assert result.exit_code == 1 and "is the venue running?" in result.output
    result = RUNNER.invoke(app(), ["compact", "--dir", str(tmp_path / "nowhere")])
    assert result.exit_code == 2 and "no such folder" in result.output


def test_a_thousand_subscriptions_are_the_most() -> None:
    with pytest.raises(ConfigError, match="1004 subscriptions"):
        wanted_of(None, coins=tuple(f"C{n}" for n in range(251)), hl_url="http://127.0.0.1:1")
