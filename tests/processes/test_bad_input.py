"""Commands that read data, given what people give by mistake: one line that says what and where, and no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
import zstandard
from typer.testing import CliRunner

from slipstream.data.lake import Lake, Query
from slipstream.processes import import_data, joint_study, pca_factor
from slipstream.processes.backtest import backtest
from slipstream.processes.candidates import candidates
from slipstream.processes.carry_train import carry
from slipstream.processes.hl_load import hl_load
from slipstream.processes.record import compact
from slipstream.processes.reproduce import reproduce
from slipstream.processes.sweep import sweep
from slipstream.processes.watchlist import watchlist

HOUR = 3_600_000
T0 = 1_735_689_600_000
ROWS = 60
COINS = 20
Made = Callable[[Path], Path]


def run(command: Callable[..., Any], *words: object) -> Any:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(word) for word in words])


def script(main: Callable[..., None]) -> Callable[..., tuple[int, str]]:
    def go(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        return int(left.value.code or 0), capsys.readouterr().err

    return go


def bars(path: Path) -> Path:
    opened = T0 + np.arange(ROWS) * 4 * HOUR
    one = {"ts": opened, "open": 5.0, "high": 6.0, "low": 4.0, "close": 5.0, "volume": 9.0}
    pd.concat([pd.DataFrame({"coin": coin, **one}) for coin in "AB"]).to_csv(path, index=False)
    return path


def changed(old: str, new: str) -> Made:
    def made(path: Path) -> Path:
        bars(path)
        path.write_text(path.read_text().replace(old, new, 1))
        return path

    return made


def empty(path: Path) -> Path:
    path.touch()
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


BAD: dict[str, tuple[Made, str]] = {
    "empty": (empty, "cannot be read"),
    "a folder": (folder, "the lake has no bars"),
    "not there": (lambda path: path.with_name("none.csv"), "there"),
    "a name too long": (lambda path: path.with_name("x" * 300 + ".csv"), "File name too long"),
    "no column": (changed("close", "schluss"), "no column close"),
    "text": (changed(",5.0,9.0\n", ",abc,9.0\n"), "row 2: close is 'abc', not a number"),
    "nan": (changed(",5.0,9.0\n", ",,9.0\n"), "close nan of A"),
    "seconds": (changed(str(T0), str(T0 // 1000)), "is it in another unit"),
    "the future": (changed(str(T0), str(4_000_003_200_000)), "a time is wrong"),
    "constant": (bars, ""),
}


@pytest.mark.parametrize("name", BAD)
def test_commands_over_bars(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    made, said = BAD[name]
    path, out = made(tmp_path / "bars.csv"), tmp_path / "out"
    rates = tmp_path / "rates.csv"
    stamps = T0 + np.arange(1, 4 * ROWS) * HOUR
    pd.concat([pd.DataFrame({"coin": coin, "ts": stamps, "rate": 1e-5}) for coin in "AB"]).to_csv(rates, index=False)
    given = ("--bars", path, "--funding", rates, "--set", "signal.bar_hours=4", "--output", out)
    found = {
        "backtest": run(backtest, "gradient", *given),
        "train": run(carry, *given),
        "sweep": run(sweep, "gradient", *given, "--param", "trade.rebalance_hours=24,48", "--workers", "1"),
    }
    for command, done in found.items():
        if name == "constant" and command == "sweep":
            continue  # its workers would start, and say the same
        assert isinstance(done.exception, SystemExit) and done.exit_code in (1, 2), (command, done.output)
        line = done.stderr.strip().splitlines()[-1]
        assert said in line and "Traceback" not in done.output, (command, line)
    for main, words in (
        (pca_factor.main, ("--bars", path, "--H", 8, "--K", 5, "--output", out)),
        (joint_study.main, ("--bars", path, "--funding", rates, "--H", 8, "--output", out)),
    ):
        code, text = script(main)(capsys, *words)
        assert code == 2 and said in text.splitlines()[-1] and "Traceback" not in text, text
    assert not (out / "report.html").exists()


def test_addresses_and_lengths_that_are_none_are_not_tried(tmp_path: Path) -> None:
    for words, said in (
        (("--coins", "BTC", "--url", "nonsense"), "write a whole address"),
        (("--coins", "BTC", "--interval", "7h"), "interval '7h' is not kept"),
        ((), "say which coins"),
    ):
        done = run(hl_load, *words, "--lake", tmp_path / "lake")
        assert done.exit_code == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.output


def test_a_panel_that_is_none(tmp_path: Path) -> None:
    bars(tmp_path / "hl_4h_ohlcv.csv")
    for path, said in ((tmp_path / "none", "no such folder"), (tmp_path, "no hl_funding_hourly")):
        done = run(reproduce, "--panel", path, "--output", tmp_path / "out")
        assert done.exit_code == 2 and said in done.stderr, done.output


def samples(path: Path, **columns: object) -> Path:
    times = T0 + np.arange(120) * 1000
    table = {"recv_ms": times, "event_ms": times, "bid_px": 99.0, "bid_sz": 1.0, "ask_px": 101.0, "ask_sz": 1.0}
    pd.DataFrame({**table, **columns}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("columns", "old", "new", "said"),
    [
        ({}, "ask_sz", "ask_sz,bid_px", "column 'bid_px' comes twice"),
        ({"bid_px": "x"}, "", "", "row 2: bid_px is 'x'"),
        ({"recv_ms": T0 // 1000}, "", "", "not a time in ms"),
        ({"bid_px": 200.0}, "", "", "is above ask"),
        ({"ask_sz": -1.0}, "", "", "below 0"),
        ({}, "\n", f"\n{T0},2,3,4,5,6,7\n", "more fields than the header"),
        ({}, "bid_px", "gebot", "no column bid_px"),
    ],
)
def test_recordings_that_cannot_be_judged(
    tmp_path: Path, columns: dict[str, object], old: str, new: str, said: str
) -> None:
    bad, good = samples(tmp_path / "bad.csv", **columns), samples(tmp_path / "good.csv")
    bad.write_text(bad.read_text().replace(old, new, 1))
    for command in (candidates, watchlist):
        done = run(command, "--hl-pattern", bad, "--cex-pattern", good, "--symbols", "BTC")
        assert done.exit_code == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.output


def test_depth_and_funding_of_another_time_or_unit(tmp_path: Path) -> None:
    good = samples(tmp_path / "good.csv")
    times = T0 - 10**10 + np.arange(9) * 1000
    pd.DataFrame({"recv_ms": times, "event_ms": times, "bid_usd": 1.0, "ask_usd": 1.0}).to_csv(
        tmp_path / "depth.csv", index=False
    )
    rates = pd.DataFrame({"ts": T0 + np.arange(9) * HOUR, "rate": 1.25})
    rates.to_csv(tmp_path / "percent.csv", index=False)
    pd.concat([rates * [1, 1e-5]] * 2).sort_values("ts").to_csv(tmp_path / "twice.csv", index=False)
    for option, name, said in (
        ("--hl-depth-pattern", "depth", "do not overlap in time"),
        ("--funding-pattern", "percent", "a rate is a fraction"),
        ("--funding-pattern", "twice", "comes twice"),
        ("--order-usd", "", "must be above 0"),
    ):
        value = tmp_path / f"{name}.csv" if name else "inf"
        done = run(candidates, "--hl-pattern", good, "--cex-pattern", good, "--symbols", "BTC", option, value)
        assert done.exit_code == 2 and said in done.stderr, done.output


def test_damaged_segments_are_named_and_what_is_whole_comes_in(tmp_path: Path) -> None:
    pack = zstandard.ZstdCompressor(write_checksum=True).compress
    line = (
        b'{"time":"2025-01-01T00:00:01.5","ver_num":1,"raw":{"channel":"trades","data":'
        b'[{"coin":"BTC","side":"A","px":"1","sz":"1","time":1735689600000,"tid":%d}]}}\n'
    )
    day = tmp_path / "rec" / "hl" / "2025-01-01"
    day.mkdir(parents=True)
    (day / "a.jsonl.zst").write_bytes(pack(line % 1) + pack(line % 2)[:-6])
    (day / "b.jsonl.zst").write_bytes(b"no frame")
    (day / "c.jsonl.zst").write_bytes(pack(b"\xff\xfe\n" + line % 3 + b'{"time":"\xff","raw":{}}\n'))
    done = run(compact, "--dir", tmp_path / "rec", "--lake", tmp_path / "lake")
    assert done.exit_code == 1 and "Traceback" not in done.output
    for said in ("a.jsonl.zst: its last", "b.jsonl.zst: its last 8 bytes", "c.jsonl.zst:1:", "c.jsonl.zst:3:"):
        assert said in done.stderr
    query = Query(venue="hl", stream="trades")
    assert sorted(Lake(tmp_path / "lake").frame(query)["tid"]) == [1, 3]


def test_a_full_disk_is_one_line_and_a_second_run_ends_the_work(tmp_path: Path) -> None:
    path, lake = bars(tmp_path / "bars.csv"), tmp_path / "lake"
    words = [sys.executable, "-m", "slipstream", "import", str(path), "--interval", "4h", "--lake", str(lake)]
    # no file may grow beyond 2 kB: what a full disk does to a writer
    limited = "import os, resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048)); "
    limited += f"os.execv({words[0]!r}, {words!r})"
    done = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    done = run(import_data.import_files, path, "--interval", "4h", "--lake", lake)
    assert done.exit_code == 0 and "0 dropped" in done.output
    assert len(Lake(lake).frame(Query(venue="hl", stream="bars_4h"))) == 2 * ROWS


@pytest.mark.parametrize("with_what", [signal.SIGINT, signal.SIGKILL])
def test_an_import_that_was_stopped_is_taken_up_again(tmp_path: Path, with_what: signal.Signals) -> None:
    opened = T0 + np.arange(400) * 4 * HOUR
    one = {"ts": opened, "open": 5.0, "high": 6.0, "low": 4.0, "close": 5.0, "volume": 9.0}
    table = pd.concat([pd.DataFrame({"coin": f"C{n}", **one}) for n in range(COINS)])
    path, lake = tmp_path / "bars.parquet", tmp_path / "lake"
    table.to_parquet(path, index=False)
    words = [sys.executable, "-m", "slipstream", "import", str(path), "--interval", "4h", "--lake", str(lake)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        until = time.monotonic() + 60.0
        while not (lake / "catalogue.jsonl").exists() and time.monotonic() < until and child.poll() is None:
            os.sched_yield()
        child.send_signal(with_what)
        _, text = child.communicate(timeout=60)
    assert "Traceback" not in text
    held = Lake(lake)
    before = len(held.frame(Query(venue="hl", stream="bars_4h")))
    assert before % 400 == 0 and all(not fault for _, fault in held.verify())  # whole coins, none torn
    done = run(import_data.import_files, path, "--interval", "4h", "--lake", lake)
    assert done.exit_code == 0 and f"{COINS * 400 - before} rows new, {before} there already" in done.output
