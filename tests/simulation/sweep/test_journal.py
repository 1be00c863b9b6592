"""A sweep's journal, cut off anywhere by a kill, and what is no journal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from slipstream.model.errors import ConfigError
from slipstream.simulation.sweep.knobs import parse_knobs
from slipstream.simulation.sweep.search import SearchTerms, Trial, Values, Verdict, open_storage, search

KNOBS = parse_knobs(["a=0.5:3", "b=1,2,3"])
TERMS = SearchTerms(trials=4, batch=2, seed=3)


def judge(asked: Sequence[Values]) -> Iterator[tuple[int, Verdict]]:
    for place, values in enumerate(asked):
        yield place, Verdict(float(values["a"]) + float(values["b"]))


def run(path: Path) -> list[Trial]:
    return search(open_storage(path), "fold-0", 0, KNOBS, TERMS, "mark", judge)


def test_a_journal_that_a_kill_cut_off_is_taken_up_where_it_was_whole(tmp_path: Path) -> None:
    first = tmp_path / "first.journal"
    trials, data = run(first), first.read_bytes()
    assert len(trials) == 4 and run(first) == trials
    ends = [place + 1 for place, byte in enumerate(data) if byte == ord("\n")]
    for cut in (0, 9, *ends, *(end - 1 for end in ends)):
        path = tmp_path / f"{cut}.journal"
        path.write_bytes(data[:cut])
        assert run(path) == trials
        assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"garbage\n", r"x\.journal:1: not a line of a sweep's journal; move the file away, or begin --fresh"),
        (b'{"op_code": 0}\n7\n', r"x\.journal:2: not a line"),
        (b"\xff\xfe\x00\n", r"x\.journal:1: not a line"),
        (b"\xff\xfe\x00", r"x\.journal: not a sweep's journal"),
    ],
)
def test_what_is_no_journal_is_refused_and_left_alone(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "x.journal"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=said):
        open_storage(path)
    assert path.read_bytes() == data


HOLDER = """
import sys
from pathlib import Path
from slipstream.simulation.sweep.search import JournalLock
JournalLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.timeout(60)
def test_whoever_was_killed_while_writing_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("x.journal")  # relative, as the command's default is
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait(10)
    holder.stdin.close()
    holder.stdout.close()
    assert len(run(path)) == 4
    assert [one.name for one in Path().iterdir()] == ["x.journal"], "nothing beside it that a kill could leave"
