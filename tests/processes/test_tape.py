"""`slipstream tape`: recordings converted, checked and shown; one line and an exit code for what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from slipstream.data.tape.findings import POLICIES
from slipstream.data.tape.formats import FORMATS
from slipstream.data.tape.reader import open_tape
from slipstream.data.tape.writer import TapeWriter
from slipstream.lob.replay.rows import ROW_DTYPE
from slipstream.processes.tape import app
from tests.data.tape.plain_book import MARKET, MS, recording, some_rows
from tests.data.tape.test_files import forge, write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tapes.md"


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def test_convert_check_show(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    recording(tmp_path / "in", "ETH", seed=4)
    out = str(tmp_path / "out")
    code, said, _ = run("convert", str(tmp_path / "in"), "--to", out)
    assert code == 0 and "hl_BTC: " in said and "60 trade" in said and "heard 400.0 ms after it happened" in said
    code, said, _ = run("check", out)
    assert code == 0 and said.count("are whole") == 2
    code, said, _ = run("show", out, "--coins", "ETH")
    assert code == 0 and "hl_ETH" in said and "hl_BTC" not in said and "2025-09-04" in said
    rows = open_tape(tmp_path / "out" / "hl_ETH").rows
    assert str(len(rows)) in said
    code, _, error = run("convert", str(tmp_path / "in"), "--to", out)
    assert code == 2 and error.count("\n") == 1 and "--replace" in error
    args = ("--replace", "--clock", "-100ms", "--packed", "--coins", "ETH", "--size-decimals", "ETH=5")
    code, said, _ = run("convert", str(tmp_path / "in"), "--to", out, *args)
    assert code == 0 and open_tape(tmp_path / "out" / "hl_ETH").header.clock.offset_ns == -100 * MS
    assert open_tape(tmp_path / "out" / "hl_ETH").header.packing == "zstd"


def test_what_a_tape_does_not_have_is_no_zero(tmp_path: Path) -> None:
    with TapeWriter(tmp_path / "hl_ETH", MARKET) as writer:
        writer.append(np.zeros(0, ROW_DTYPE))
    code, said, _ = run("show", str(tmp_path))
    (line,) = [line for line in said.splitlines() if MARKET.name in line]
    assert code == 0 and "1970" not in said and line.split("│")[2].strip() == "-" == line.split("│")[7].strip()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--clock", "soon"), "--clock soon"),
        (("--size-decimals", "BTC"), "write COIN=VALUE"),
        (("--size-decimals", "BTC=x"), "whole number"),
        (("--tick-size", "BTC=-1"), "not a positive number"),
        (("--format", "foo"), "--format foo is not known"),
        (("--format", "lake"), "no books or best prices"),
        (("--coins", "DOGE"), "no orderbooks_DOGE.csv.gz"),
        (("--size-decimals", "BTC=2"), "have one fault|off the grid"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    recording(tmp_path / "in")
    code, _, error = run("convert", str(tmp_path / "in"), "--to", str(tmp_path / "out"), *args)
    assert code == 2 and error.startswith("error: ") and error.count("\n") == 1
    assert any(part in error for part in said.split("|")), error
    assert not list((tmp_path / "out").glob("*"))


def test_bad_tapes_are_refused_with_the_row(tmp_path: Path) -> None:
    write(tmp_path / "t")
    rows = some_rows(5_000)
    rows["side"][77] = 3
    forge(tmp_path / "t", rows)
    code, _, error = run("check", str(tmp_path / "t"))
    assert code == 2 and "rows.bin: row 77: a side that is neither 1 nor -1" in error
    code, _, error = run("check", str(tmp_path / "nowhere"))
    assert code == 2 and "no such folder" in error
    write(tmp_path / "u")
    data = bytearray((tmp_path / "u" / "rows.bin").read_bytes())
    data[100] ^= 4
    (tmp_path / "u" / "rows.bin").write_bytes(data)
    code, _, error = run("show", str(tmp_path / "u"))
    assert code == 2 and "chunk 0" in error and "checksum" in error


def test_strict_says_no(tmp_path: Path) -> None:
    write(tmp_path / "t")
    assert MARKET.coin == "BTC"
    code, said, _ = run("check", str(tmp_path / "t"), "--gap", "0.001")
    assert code == 0 and "a gap: nothing happened for long" in said
    code, _, error = run("check", str(tmp_path / "t"), "--gap", "0.001", "--strict")
    assert code == 1 and "--strict refuses" in error


def test_the_page_has_every_policy_and_format() -> None:
    lines = PAGE.read_text().splitlines()
    for policy in POLICIES.values():
        (row,) = [line for line in lines if line.startswith(f"| {policy.reason}")]
        assert f"| {policy.action} | {'yes' if policy.strict else 'no'} |" in row
    for name in FORMATS:
        assert any(f"`{name}`" in line for line in lines), name
