"""Tapes on disk: what was written is read, a tape is whole or not there, and nothing damaged is read as if it were."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.header import Header, Packing, header_bytes, read_header
from slipstream.data.tape.inspecting import inspect
from slipstream.data.tape.reader import open_tape, open_tapes
from slipstream.data.tape.writer import TapeWriter
from slipstream.lob.replay.rows import L3_ROW_DTYPE, MORE
from tests.data.tape.plain_book import MARKET, some_rows

ROWS = some_rows(5_000)


def write(folder: Path, *, packing: Packing = "none", step: int = 777) -> Path:
    with TapeWriter(folder, MARKET, packing=packing, chunk_rows=1 << 10) as writer:
        for at in range(0, len(ROWS), step):
            writer.append(ROWS[at : at + step])
    return folder


@pytest.mark.parametrize("packing", ["none", "zstd"])
def test_what_was_written_is_read(tmp_path: Path, packing: Packing) -> None:
    tape = open_tape(write(tmp_path / "t", packing=packing))
    header = tape.header
    assert header.rows == len(tape) == len(ROWS) and [chunk.rows for chunk in header.chunks] == [1024] * 4 + [904]
    assert np.array_equal(np.concatenate(list(tape.chunks())), ROWS)
    assert (header.first_ns, header.last_ns) == (ROWS["exch_ns"][0], ROWS["exch_ns"][-1])
    assert (header.first_local_ns, header.last_local_ns) == (ROWS["local_ns"][0], ROWS["local_ns"][-1])
    assert sum(header.kinds.values()) == len(ROWS) and header.kinds["trade"] == int((ROWS["kind"] == 4).sum())
    if packing == "none":
        assert np.array_equal(tape.rows, ROWS)
    else:
        assert tape.path.stat().st_size < len(ROWS) * 12
        with pytest.raises(TapeError, match="packed"):
            _ = tape.rows


def test_rows_are_mapped_and_what_is_written_to_them_stays_out_of_the_file(tmp_path: Path) -> None:
    tape = open_tape(write(tmp_path / "t"))
    chunk = next(tape.chunks())
    assert not chunk.flags.owndata and chunk.flags.writeable
    chunk["lots"] = 0
    assert np.array_equal(open_tape(tmp_path / "t").rows, ROWS)


def test_order_level_rows_have_their_place(tmp_path: Path) -> None:
    rows = np.zeros(10, L3_ROW_DTYPE)
    for name in ROWS.dtype.names or ():
        rows[name] = ROWS[name][:10]
    rows["seq"] = np.arange(10)
    for packing in ("none", "zstd"):
        with TapeWriter(tmp_path / packing, MARKET, layout="orders", packing=packing) as writer:  # type: ignore[arg-type]
            writer.append(rows)
            with pytest.raises(TapeError, match="orders"):
                writer.append(ROWS)
        assert np.array_equal(open_tape(tmp_path / packing).chunk(0), rows)


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), TapeWriter(tmp_path / "t", MARKET) as writer:
        writer.append(ROWS)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
from pathlib import Path
from slipstream.data.tape.writer import TapeWriter
from tests.data.tape.plain_book import MARKET, some_rows
with TapeWriter(Path(sys.argv[1]), MARKET, chunk_rows=100) as writer:
    writer.append(some_rows(1000))
    os.kill(os.getpid(), 9)
"""


def test_a_writer_that_is_killed_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "t")], timeout=60, check=False)
    assert done.returncode == -9
    assert [one.name for one in tmp_path.iterdir()] == [".t.part"] and any((tmp_path / ".t.part").iterdir())
    with pytest.raises(TapeError, match="no tape in it"):
        open_tapes(tmp_path)
    write(tmp_path / "t")  # starts from the beginning
    assert [one.name for one in tmp_path.iterdir()] == ["t"] and len(open_tape(tmp_path / "t")) == len(ROWS)


def test_a_full_disk_is_told_with_the_tapes_name_and_leaves_nothing(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path / "hl_BTC", MARKET)
    with pytest.raises(OSError, match="No space left") as found, writer:
        writer.append(some_rows(100))
        writer._file.close()
        writer._file = open("/dev/full", "wb")  # noqa: SIM115
    assert found.value.filename == str(tmp_path / "hl_BTC")
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_tape(tmp_path: Path) -> None:
    with TapeWriter(tmp_path / "t", MARKET) as writer:
        with pytest.raises(TapeError, match="another writer"), TapeWriter(tmp_path / "t", MARKET):
            raise AssertionError
        writer.append(ROWS)
    with pytest.raises(TapeError, match="there already"):
        TapeWriter(tmp_path / "t", MARKET)
    with TapeWriter(tmp_path / "t", MARKET, replace=True) as writer:
        writer.append(ROWS[:7])
    assert len(open_tape(tmp_path / "t")) == 7 and os.listdir(tmp_path) == ["t"]


BAD = {
    "kind": ("kind", 9, "kind that is not known"),
    "negative": ("kind", -3, "kind that is not known"),
    "side": ("side", 0, "side"),
    "lots": ("lots", -1, "lots below 0"),
    "overflow": ("lots", 2**60, "beyond what a row may hold"),
    "tick": ("tick", -5, "no price"),
    "exch": ("exch_ns", 5, "exchange's time"),
    "local": ("local_ns", 5, "time of hearing"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_no_tape_may_hold_is_refused_with_its_row(tmp_path: Path, what: str) -> None:
    name, value, said = BAD[what]
    rows = ROWS[:2000].copy()
    rows["kind"], rows["lots"] = 1, 5
    rows[name][1234] = value
    with pytest.raises(TapeError, match=f"row 1234: .*{said}"), TapeWriter(tmp_path / "t", MARKET) as writer:
        writer.append(rows[:1000])
        writer.append(rows[1000:])
    assert not (tmp_path / "t").exists()


def test_a_message_ends_and_is_of_one_time(tmp_path: Path) -> None:
    rows = ROWS[:2].copy()
    rows["kind"] |= MORE
    with pytest.raises(TapeError, match="does not end"), TapeWriter(tmp_path / "t", MARKET) as writer:
        writer.append(rows[:1])
    rows["exch_ns"][1] += 1
    rows["local_ns"] = rows["exch_ns"]
    with pytest.raises(TapeError, match="row 1: a message of several times"), TapeWriter(tmp_path / "t", MARKET) as w:
        w.append(rows)


def read_all(folder: Path) -> tuple[Header, bytes]:
    tape = open_tape(folder)
    return tape.header, b"".join(rows.tobytes() for rows in tape.chunks())


@pytest.mark.parametrize("packing", ["none", "zstd"])
def test_a_damaged_tape_gives_the_same_rows_or_an_error_that_names_the_file(tmp_path: Path, packing: Packing) -> None:
    """Bytes flipped, cut off, doubled, moved anywhere in any file: never other rows, never another header."""
    whole = write(tmp_path / "whole", packing=packing)
    truth = read_all(whole)
    rng = np.random.default_rng(5)
    errors = 0
    for trial in range(100):
        folder = tmp_path / "t"
        shutil.copytree(whole, folder, dirs_exist_ok=True)
        path = rng.choice(sorted(folder.iterdir()))
        data = bytearray(path.read_bytes())
        at, to = sorted(int(one) for one in rng.integers(0, len(data), 2))
        match trial % 5:
            case 0:
                data[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[at:to]
            case 3:
                data[at : at + 32], data[to : to + 32] = data[to : to + 32], data[at : at + 32]
            case 4:
                data[at : at + 8] = bytes(rng.integers(0, 256, 8, np.uint8))
        path.write_bytes(bytes(data))
        try:
            assert read_all(folder) == truth
        except TapeError as error:
            errors += 1
            assert str(folder) in str(error)
    assert errors > 80


def test_damage_is_told_with_the_rows_it_is_in(tmp_path: Path) -> None:
    folder = write(tmp_path / "t")
    data = bytearray((folder / "rows.bin").read_bytes())
    data[32 * 2500] ^= 1
    (folder / "rows.bin").write_bytes(data)
    with pytest.raises(TapeError, match=r"rows.bin: chunk 2 \(rows 2048 to 3071\): its checksum"):
        read_all(folder)
    (folder / "rows.bin").write_bytes(data[:-10])
    with pytest.raises(TapeError, match="cut off"):
        open_tape(folder)


def forge(folder: Path, rows: object, **changes: object) -> None:
    """Rows that a writer refuses, under checksums that hold."""
    import zlib

    data = rows.tobytes()  # type: ignore[attr-defined]
    (folder / "rows.bin").write_bytes(data)
    header = read_header(folder)
    step, chunks = 1024 * 32, []
    for number, chunk in enumerate(header.chunks):
        part = data[number * step : (number + 1) * step]
        chunks.append(msgspec.structs.replace(chunk, crc32=zlib.crc32(part)))
    made = msgspec.structs.replace(header, chunks=tuple(chunks), **changes)
    (folder / "tape.json").write_bytes(header_bytes(made))


def test_rows_swapped_under_checksums_that_hold_are_found(tmp_path: Path) -> None:
    folder = write(tmp_path / "t")
    rows = ROWS.copy()
    first, last = rows[10].copy(), rows[4000].copy()
    rows[10], rows[4000] = last, first
    forge(folder, rows)
    with pytest.raises(TapeError, match=r"rows.bin: row 11: the exchange's time is before"):
        inspect(open_tape(folder))
    rows = ROWS.copy()
    rows["kind"][3000] = 33
    forge(folder, rows)
    with pytest.raises(TapeError, match="row 3000: a kind that is not known"):
        inspect(open_tape(folder))
    forge(folder, ROWS, kinds={"depth": len(ROWS)})
    with pytest.raises(TapeError, match="other kinds of rows"):
        inspect(open_tape(folder))


def test_other_versions_and_files_that_are_no_headers(tmp_path: Path) -> None:
    folder = write(tmp_path / "t")
    whole = json.loads((folder / "tape.json").read_text())
    cases = {
        json.dumps({**whole, "slipstream_tape": 2}): "version 2",
        json.dumps({"header": 1}): "version None",
        "[1, 2": "not a header",
        json.dumps(whole): "checksum does not hold",  # other white space: other bytes
    }
    for text, said in cases.items():
        (folder / "tape.json").write_text(text)
        with pytest.raises(TapeError, match=said):
            open_tape(folder)
    (folder / "tape.json").unlink()
    with pytest.raises(TapeError, match="not a tape"):
        open_tape(folder)
    with pytest.raises(TapeError, match="no such folder"):
        open_tapes(tmp_path / "nowhere")


READER = """
import sys
from pathlib import Path
from slipstream.data.tape.merge import Merge
from slipstream.data.tape.reader import open_tape

def peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))

tape = open_tape(Path(sys.argv[1]))
next(iter(Merge([tape], chunk_rows=1 << 16)))
before, rows = peak(), 0
for chunk in tape.chunks():
    rows += int((chunk["lots"] > -1).sum())
for chunk in Merge([tape], chunk_rows=1 << 16):
    rows += int((chunk["lots"] > -1).sum())
print(rows, peak() - before)
"""


def test_a_tape_is_read_in_the_memory_of_a_chunk(tmp_path: Path) -> None:
    rows = some_rows(1 << 16)
    span = int(rows["exch_ns"][-1] - rows["exch_ns"][0]) + 10**9
    with TapeWriter(tmp_path / "t", MARKET, chunk_rows=1 << 16) as writer:
        for _ in range(48):
            writer.append(rows)
            for name in ("exch_ns", "local_ns"):
                rows[name] += span
    assert open_tape(tmp_path / "t").path.stat().st_size == 48 * 2**21
    words = [sys.executable, "-c", READER, str(tmp_path / "t")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    read, kilobytes = (int(word) for word in done.stdout.split())
    assert read == 2 * 48 * 2**16 and kilobytes < 24_000  # of 100,663 in the file
