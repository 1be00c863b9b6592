from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lz4.frame
import msgspec
import pytest
import typer
from moto.server import ThreadedMotoServer
from rich.progress import Progress
from typer.testing import CliRunner

from slipstream.data.archive import BUCKET, CONTEXT_COLUMNS, KINDS, ArchiveError, Kind, Prices, days_of
from slipstream.data.catalogue import Catalogue, Taken
from slipstream.data.lake import Lake, Query
from slipstream.data.recorder.envelope import time_text
from slipstream.data.streams import MINUTE, SECOND
from slipstream.processes import fetch_archive as command
from slipstream.processes.fetch_archive import Fetched, FetchPlan, archive_client, run_fetch

DAY0 = 1_741_651_200_000_000_000  # 2025-03-11
DAYS = ("20250311", "20250312")
CONTEXTS = Query(venue="hl", stream="minute_contexts")
BOOKS = Query(venue="hl", stream="books")


def contexts(day: int, coins: tuple[str, ...], minutes: int) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(CONTEXT_COLUMNS)
    for minute in range(minutes):
        when = time_text(DAY0 + day * 1440 * MINUTE + minute * MINUTE)[:19] + "Z"
        for coin in coins:
            mid = "" if minute == 1 else 100.5 + minute
            rows.writerow([when, coin, 0.0000125, 7.5, 99, 1e6, 0.0001, 100 + minute, 101 + minute, mid, 100, 101])
    return lz4.frame.compress(text.getvalue().encode())


def books(coin: str, hour: int, count: int) -> bytes:
    lines = []
    for n in range(count):
        ns = DAY0 + hour * 3_600 * SECOND + n * SECOND // 2
        levels = [[{"px": f"{100 - i}.5", "sz": "1.5", "n": 2} for i in range(3)], [{"px": "101", "sz": "2", "n": 1}]]
        data = {"coin": coin, "time": ns // 1_000_000 - 5, "levels": levels}
        raw = {"channel": "l2Book", "data": data}
        lines.append(msgspec.json.encode({"time": time_text(ns), "ver_num": 1, "raw": raw}))
    return lz4.frame.compress(b"\n".join(lines) + b"\n")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        running.stop()


@pytest.fixture
def client(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    made = archive_client(server)
    made.create_bucket(Bucket=BUCKET)
    put(made, "asset_ctxs/20250311.csv.lz4", contexts(0, ("BTC", "ETH"), 30))
    put(made, "asset_ctxs/20250312.csv.lz4", contexts(1, ("BTC", "ETH", "NEW"), 20))
    put(made, "asset_ctxs/20250313.csv.lz4", contexts(2, ("BTC",), 20))
    for hour in (0, 9):
        put(made, f"market_data/20250311/{hour}/l2Book/BTC.lz4", books("BTC", hour, 50))
    put(made, "market_data/20250311/9/l2Book/ETH.lz4", books("ETH", 9, 40))
    put(made, "market_data/20250311/9/notes.txt", b"not an object of the archive")
    yield made
    for row in made.list_objects_v2(Bucket=BUCKET)["Contents"]:
        made.delete_object(Bucket=BUCKET, Key=row["Key"])
    made.delete_bucket(Bucket=BUCKET)
    made.close()


def put(client: Any, key: str, body: bytes) -> None:
    client.put_object(Bucket=BUCKET, Key=key, Body=body)


def fetch(client: Any, lake: Path, *kinds: Kind, coins: tuple[str, ...] = (), most: float = 1.0) -> Fetched:
    plan = FetchPlan(lake=lake, days=DAYS, kinds=kinds or ("contexts",), coins=coins)
    with Progress(disable=True) as progress:
        return run_fetch(client, plan, prices=Prices(), yes=True, most_usd=most, progress=progress)


def test_what_is_in_the_archive_is_in_the_lake(client: Any, tmp_path: Path) -> None:
    done = fetch(client, tmp_path, "contexts", "books")
    assert (done.objects, done.refused, done.failed) == (5, [], [])
    lake = Lake(tmp_path)
    frame = lake.frame(CONTEXTS)
    assert frame.groupby("coin").size().to_dict() == {"BTC": 50, "ETH": 50, "NEW": 20}
    first = frame.iloc[0]
    assert (first["time_ns"], first["oracle_px"], first["mark_px"], first["mid_px"]) == (DAY0, 100.0, 101.0, 100.5)
    assert frame["mid_px"].isna().sum() == 5
    book = lake.frame(BOOKS)
    assert book.groupby("coin").size().to_dict() == {"BTC": 100, "ETH": 40}
    row = book.iloc[50]
    assert row["recv_ns"] == DAY0 + 9 * 3_600 * SECOND and row["event_ns"] == row["recv_ns"] - 5_000_000
    assert (list(row["bid_px"]), list(row["ask_sz"])) == ([100.5, 99.5, 98.5], [2.0])
    assert all(not text for _, text in lake.verify())
    assert lake.coins("hl", "minute_contexts", as_of_ns=DAY0 + MINUTE) == ("BTC", "ETH")


def test_every_request_says_who_pays(client: Any, tmp_path: Path) -> None:
    payers = []
    client.meta.events.register("before-send.s3.*", lambda request, **_: payers.append(request.headers))
    fetch(client, tmp_path, "contexts", "books")
    client.meta.events.unregister("before-send.s3.*")
    assert len(payers) == 3 + 5  # a month of contexts, two days of books; five objects
    assert all(headers["x-amz-request-payer"] in ("requester", b"requester") for headers in payers)


def test_a_second_run_fetches_only_what_is_new_or_changed(client: Any, tmp_path: Path) -> None:
    fetch(client, tmp_path, "contexts", "books")
    got: list[str] = []
    client.meta.events.register("before-send.s3.GetObject", lambda request, **_: got.append(request.url))
    assert fetch(client, tmp_path, "contexts", "books").objects == 0 and not got
    put(client, "market_data/20250311/9/l2Book/ETH.lz4", books("ETH", 9, 45))
    put(client, "asset_ctxs/20250312.csv.lz4", contexts(1, ("BTC",), 25))
    again = fetch(client, tmp_path, "contexts", "books")
    client.meta.events.unregister("before-send.s3.GetObject")
    assert again.objects == 2 and len(got) == 2
    lake = Lake(tmp_path)
    assert lake.frame(BOOKS).groupby("coin").size().to_dict() == {"BTC": 100, "ETH": 45}
    assert lake.frame(CONTEXTS).groupby("coin").size().to_dict() == {"BTC": 55, "ETH": 50, "NEW": 20}


def test_some_coins_first_and_all_later(client: Any, tmp_path: Path) -> None:
    fetch(client, tmp_path, "contexts", "books", coins=("ETH",))
    lake = Lake(tmp_path)
    assert lake.coins("hl", "minute_contexts") == lake.coins("hl", "books") == ("ETH",)
    assert fetch(client, tmp_path, "contexts", coins=("ETH",)).objects == 0
    assert fetch(client, tmp_path, "contexts").loaded["ETH"].appended.same == 50
    assert lake.coins("hl", "minute_contexts") == ("BTC", "ETH", "NEW")
    assert fetch(client, tmp_path, "contexts", coins=("ETH",)).objects == 0


def test_what_cannot_be_read_is_named_and_the_rest_comes_in(client: Any, tmp_path: Path) -> None:
    whole = books("BTC", 0, 50)
    put(client, "market_data/20250311/0/l2Book/BTC.lz4", whole[: len(whole) // 2])
    lines = lz4.frame.decompress(books("BTC", 9, 3)).splitlines()
    lines[1] = b'{"time": "noon"}'
    lines[2] = lines[2].replace(b"BTC", b"DOGE")
    put(client, "market_data/20250311/9/l2Book/BTC.lz4", lz4.frame.compress(b"\n".join(lines)))
    put(client, "market_data/20250311/9/l2Book/ETH.lz4", b"<html>no</html>")
    put(client, "asset_ctxs/20250312.csv.lz4", lz4.frame.compress(b"time,coin\n2025-03-12T00:00:00Z,BTC\n"))
    done = fetch(client, tmp_path, "contexts", "books")
    assert len(done.failed) == 3 and done.objects == 2
    assert "0/l2Book/BTC.lz4: not a whole LZ4 object" in done.failed[0]
    assert "9/l2Book/ETH.lz4: not a whole LZ4 object" in done.failed[1]
    assert "20250312.csv.lz4: no column funding" in done.failed[2]
    assert [line.partition(": ")[0][-2:] for line in done.refused] == [":2", ":3"]
    assert "not a book of BTC" in done.refused[1]
    assert len(Lake(tmp_path).frame(BOOKS)) == 1
    put(client, "market_data/20250311/0/l2Book/BTC.lz4", whole)
    assert len(fetch(client, tmp_path, "books").failed) == 1
    assert len(Lake(tmp_path).frame(BOOKS)) == 51


def test_stopped_before_an_object_counted_it_is_fetched_again_and_comes_in_once(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Catalogue.commit

    def commit(self: Catalogue, lines: Sequence[Any]) -> None:
        if any(isinstance(line, Taken) for line in lines):
            raise OSError(28, "No space left on device")
        real(self, lines)

    monkeypatch.setattr(Catalogue, "commit", commit)
    for kind in KINDS:
        with pytest.raises(OSError, match="No space left"):
            fetch(client, tmp_path, kind)
    monkeypatch.undo()
    lake = Lake(tmp_path)
    assert len(lake.frame(CONTEXTS)) == 120 and lake.frame(BOOKS).empty
    fetch(client, tmp_path, "contexts", "books")
    assert len(Lake(tmp_path).frame(CONTEXTS)) == 120 and len(Lake(tmp_path).frame(BOOKS)) == 140


def test_an_answer_that_is_cut_off_is_asked_for_again(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = client.get_object, []

    def get_object(**words: Any) -> Any:
        answer = real(**words)
        asked.append(words["Key"])
        if asked.count(words["Key"]) < 3 or words["Key"].endswith("ETH.lz4"):
            answer["Body"] = io.BytesIO(answer["Body"].read()[:-5])
        return answer

    monkeypatch.setattr(client, "get_object", get_object)
    done = fetch(client, tmp_path, "books")
    assert len(done.failed) == 1 and "bytes came" in done.failed[0] and done.objects == 2
    assert len(asked) == 9 and Lake(tmp_path).coins("hl", "books") == ("BTC",)


def test_more_than_the_most_is_refused_before_anything_is_fetched(client: Any, tmp_path: Path) -> None:
    got: list[str] = []
    client.meta.events.register("before-send.s3.GetObject", lambda request, **_: got.append(request.url))
    with pytest.raises(ArchiveError, match=r"5 to fetch, 0.000 GB, about 0.00 USD .*more than --max-usd 0; raise it"):
        fetch(client, tmp_path, "contexts", "books", most=0.0)
    assert not got and not list(tmp_path.iterdir())


def test_the_command(client: Any, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    app.command()(command.fetch_archive)

    def run(*words: str) -> Any:
        base = ["--start", "2025-03-10", "--end", "2025-03-12", "--endpoint-url", server, "--lake", str(tmp_path)]
        return CliRunner().invoke(app, [*base, *words])

    done = run()
    assert done.exit_code == 2 and "2 to fetch" in done.output and "give --yes" in done.output
    assert "the archive has no contexts of 1 days: 20250310" in done.output
    done = run("--yes")
    assert done.exit_code == 0, done.output
    assert "2 objects, 120 rows" in done.output and "USD" in done.output
    assert run("--yes", "--streams", "candles").exit_code == 2
    assert run("--start", "2025-04-01").exit_code == 2
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    nobody = run("--yes")
    assert nobody.exit_code == 2 and "aws configure" in nobody.output


def test_somebody_at_a_terminal_is_asked(
    client: Any, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    answers = iter([False, True])

    def confirm(text: str, *, abort: bool) -> None:
        assert abort
        if not next(answers):
            raise typer.Abort

    monkeypatch.setattr(command.typer, "confirm", confirm)
    plan = FetchPlan(lake=tmp_path, days=DAYS)

    def go() -> Fetched:
        with Progress(disable=True) as progress:
            return run_fetch(client, plan, prices=Prices(), yes=False, most_usd=1.0, progress=progress)

    with pytest.raises(typer.Abort):
        go()
    assert not list(tmp_path.iterdir())
    assert go().objects == 2


def test_the_script_as_it_is_typed(client: Any, server: str, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    words = ["--start", "2025-03-11", "--end", "2025-03-12", "--endpoint-url", server, "--yes"]
    args = [sys.executable, str(root / "scripts/fetch_s3_historical.py"), *words]
    done = subprocess.run(args, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert len(Lake(tmp_path / "var/lake").frame(CONTEXTS)) == 120


def test_days() -> None:
    assert days_of("2024-02-28", "2024-03-01") == ["20240228", "20240229", "20240301"]
    for start, end in (("2024-03-02", "2024-03-01"), ("2024-02-30", "2024-03-01"), ("yesterday", "2024-03-01")):
        with pytest.raises(ArchiveError, match=r"--start|--end"):
            days_of(start, end)
