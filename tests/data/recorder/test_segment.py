"""Segments: whatever a kill leaves, every whole frame is read and nothing else; what was cut off is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.data.recorder.segment import ENDING, OPEN, Segment, read_lines, recover, torn_bytes

LINES = [b'{"n":%d,"text":"%s"}\n' % (n, b"x" * (n % 50)) for n in range(300)]


def written(folder: Path, per_frame: int = 25) -> Path:
    """An open segment as a kill leaves it: flushed, not closed."""
    segment = Segment(folder / f"a{ENDING}")
    for start in range(0, len(LINES), per_frame):
        for line in LINES[start : start + per_frame]:
            segment.write(line)
        segment.flush()
    return folder / f"a{ENDING}{OPEN}"


def test_lines_come_back_and_any_zstd_reads_them(tmp_path: Path) -> None:
    segment = Segment(tmp_path / "deep" / f"a{ENDING}")
    for line in LINES:
        segment.write(line)
    path = segment.close()
    assert list(read_lines(path)) == [line[:-1] for line in LINES]
    with path.open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        assert reader.read() == b"".join(LINES)
    assert torn_bytes(path) == 0
    with pytest.raises(FileExistsError, match="such a segment"):
        Segment(path)


@settings(max_examples=40, deadline=None)
@given(cut=st.floats(0.0, 1.0))
def test_a_kill_anywhere_loses_the_torn_frame_alone(tmp_path_factory: pytest.TempPathFactory, cut: float) -> None:
    path = written(tmp_path_factory.mktemp("cut"))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * cut)])
    found = list(read_lines(path))
    assert found == [line[:-1] for line in LINES[: len(found)]] and len(found) % 25 == 0
    size = path.stat().st_size
    final, torn = recover(path)
    assert not path.exists()
    if final is None:
        assert found == [] and torn == size
    else:
        assert list(read_lines(final)) == found and final.stat().st_size == size - torn and torn_bytes(final) == 0
    assert len(found) >= int(len(LINES) * cut) - 100


def test_a_damaged_frame_ends_what_can_be_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    found = list(read_lines(path))
    assert 0 < len(found) < len(LINES) and found == [line[:-1] for line in LINES[: len(found)]]
    assert torn_bytes(path) > 0


def test_frames_larger_than_a_chunk(tmp_path: Path) -> None:
    import numpy as np

    noise = np.random.default_rng(3).integers(65, 90, 3_000_000, dtype=np.uint8).tobytes()
    segment = Segment(tmp_path / f"a{ENDING}")
    for line in (noise + b"\n", b"short\n", noise + b"\n"):
        segment.write(line)
        segment.flush()
    assert list(read_lines(segment.close())) == [noise, b"short", noise]


def test_names_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ends in"):
        Segment(tmp_path / "a.zst")
    with pytest.raises(ValueError, match="not an open segment"):
        recover(tmp_path / f"a{ENDING}")
