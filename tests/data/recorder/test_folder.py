"""A recorder's folder: one writer, segments turned over, a killed recorder's segments recovered and confessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.data.recorder.envelope import LineError, Note, line, read_line, time_ns, time_text
from slipstream.data.recorder.folder import Folder, FolderError, Turnover, closed_segments
from slipstream.data.recorder.frames import read_frame
from slipstream.data.recorder.segment import read_lines

NOW = 1_741_683_603_296_545_473  # 2025-03-11T09:00:03.296545473
SECOND = 1_000_000_000
SYMBOLS = {"hl": {"BTC": "BTC"}, "binance": {"1000PEPEUSDT": "kPEPE"}}


def notes(path: Path) -> list[Note]:
    found = [read_frame(raw, ns, {}) for ns, raw in map(read_line, read_lines(path))]
    return [one for one in found if isinstance(one, Note)]


def test_the_envelope_is_the_archives() -> None:
    text = line(NOW, b'{"channel":"l2Book","data":null}')
    assert text == b'{"time":"2025-03-11T09:00:03.296545473","ver_num":1,"raw":{"channel":"l2Book","data":null}}\n'
    when, raw = read_line(text)
    assert (when, bytes(raw)) == (NOW, b'{"channel":"l2Book","data":null}')
    assert time_ns("2025-03-11T09:00:03.2965Z") == NOW - 45_473
    assert time_ns(time_text(5)) == 5 and time_text(NOW + SECOND) == "2025-03-11T09:00:04.296545473"


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b'{"time":"2025-03-11"}', b'{"time":"soon","raw":1}',
     b'{"time":"2025-03-11T09:00:03","ver_num":2,"raw":1}', b'{"time":"2025-03-11T09:00:03.x","raw":1}',
     b'{"time":"2025-03-11T09:00:03.0123456789","raw":1}'],
)  # fmt: skip
def test_what_is_no_envelope_is_refused(text: bytes) -> None:
    with pytest.raises(LineError):
        read_line(text)


def test_segments_turn_over_by_time_and_size_and_name_their_symbols(tmp_path: Path) -> None:
    with Folder(tmp_path, SYMBOLS, Turnover(seconds=60, size=10_000)) as folder:
        for at in range(180):
            folder.frame("hl", NOW + at * SECOND, b'{"channel":"x","data":%d}' % at)
    first, *others = closed_segments(tmp_path)
    assert first.relative_to(tmp_path).as_posix() == "hl/2025-03-11/20250311T090003.296545473.jsonl.zst"
    assert len(others) == 3
    for path in (first, *others):
        (note,) = notes(path)
        assert (note.kind, note.venue, note.symbols) == ("segment", "hl", {"BTC": "BTC"})
    assert sum(1 for path in (first, *others) for _ in read_lines(path)) == 180 + 4


def test_one_recorder_a_folder(tmp_path: Path) -> None:
    with Folder(tmp_path, SYMBOLS), pytest.raises(FolderError, match="another recorder"), Folder(tmp_path, SYMBOLS):
        pass
    with Folder(tmp_path, SYMBOLS):
        pass


def test_a_killed_recorders_segment_is_closed_and_confessed(tmp_path: Path) -> None:
    folder = Folder(tmp_path, SYMBOLS).__enter__()
    folder.frame("binance", NOW, b'{"stream":"x@y","data":1}')
    folder.flush()
    folder.frame("binance", NOW + 1, b'{"stream":"x@y","data":2}')  # never flushed: lost by the kill
    (left,) = tmp_path.glob("binance/*/*.open")
    with left.open("ab") as file:
        file.write(b"\x28\xb5\x2f\xfdtorn")
    import os

    os.close(folder._lock)  # as the kill does
    with Folder(tmp_path, SYMBOLS) as again:
        (recovered,) = again.recovered
        assert (recovered.venue, recovered.torn) == ("binance", 8)
        again.frame("binance", NOW + SECOND, b'{"stream":"x@y","data":3}')
    before, after = closed_segments(tmp_path)
    assert [note.kind for note in notes(before)] == ["segment"] and len(list(read_lines(before))) == 2
    assert [note.kind for note in notes(after)] == ["segment", "torn"]
    assert "8 bytes cut off" in notes(after)[1].reason and before.name in notes(after)[1].reason


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="cannot be written"):
        Folder(tmp_path / "file" / "x", SYMBOLS).__enter__()
    with pytest.raises(FolderError, match="no such folder"):
        closed_segments(tmp_path / "nowhere")
