"""The journal: what is acknowledged is there, whatever happens next; what cannot be written says so."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from kernel_doubles import BUY, ETH, T0, D, account, bbo, config

from slipstream.execution.desk import make_place
from slipstream.model.commands import Place, SetTimer
from slipstream.model.errors import JournalError
from slipstream.model.events import Ack, Fill, Timer, Trade
from slipstream.model.order import Tif
from slipstream.runtime.journal import SqliteJournal
from slipstream.runtime.records import Session

HERE = Path(__file__).resolve().parent
PLACE = make_place("0x" + "1" * 32, "ETH", BUY, D("1999.50"), D("0.10"), Tif.ALO)


def session(run: int = 1) -> Session:
    return Session(run=run, ns=T0, slug="puppet", config=config(), instruments=(ETH,), state={"ema": 1.5})


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    fill = Fill("ETH", BUY, D("1999.5"), D("0.1"), D("-0.0001"), 7, 8, T0)
    trade = Trade("hl", "ETH", float("nan"), 1.0, BUY, 1, T0, T0)
    with SqliteJournal(tmp_path / "a") as journal:
        assert journal.begin(session()).run == 1
        assert journal.append([fill], [PLACE, SetTimer("kernel:tick", T0)]) == 1
        assert journal.append([trade, account(T0, "1")], []) == 3
        assert journal.append_steps([]) == 3
    with SqliteJournal(tmp_path / "a") as journal:
        rows = list(journal.read())
        assert rows[0] == (1, fill, (PLACE, SetTimer("kernel:tick", T0)))
        assert str(rows[0][1].px) == "1999.5" and isinstance(rows[0][2][0], Place)  # type: ignore[union-attr]
        assert rows[2][1] == account(T0, "1")
        assert [seq for seq, _, _ in journal.read(1)] == [2, 3]
        assert journal.last_seq == 3
        (found,) = journal.sessions()
        assert found.config == config() and found.state == {"ema": 1.5} and found.instruments == (ETH,)


def test_commands_need_a_cause(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "a") as journal, pytest.raises(JournalError, match="without an event"):
        journal.append([], [PLACE])


def test_a_run_is_always_above_the_last(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "a") as journal:
        assert journal.begin(session(5)).run == 5
        journal.append([Timer("x", T0)], [])
        assert journal.begin(session(5)).run == 6
        assert journal.begin(session(6)).run == 7
        assert [(s.run, s.seq) for s in journal.sessions()] == [(5, 0), (7, 1)]


def test_a_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    with (
        SqliteJournal(tmp_path / "a"),
        pytest.raises(JournalError, match=rf"process {os.getpid()} is writing it; stop that one first"),
    ):
        SqliteJournal(tmp_path / "a")
    SqliteJournal(tmp_path / "a").close()


def test_readers_do_not_disturb_the_writer(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "a") as writer, SqliteJournal(tmp_path / "a", read_only=True) as reader:
        writer.append([Timer("x", T0)], [])
        assert len(list(reader.read())) == 1
        with pytest.raises(JournalError):
            reader.append([Timer("x", T0)], [])


def test_public_data_is_pruned_and_the_account_is_kept(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "a") as journal:
        journal.begin(session())
        for number in range(50):
            journal.append([bbo(1.0, 2.0, T0 + number)], [])
        journal.append_steps([(bbo(1.0, 2.0, T0), [PLACE]), (Ack(PLACE.cloid, 1, T0), [])])
        for number in range(20):
            journal.append([bbo(1.0, 2.0, T0 + number)], [])
        assert journal.prune(10) == 60
        assert journal.pruned_to == 62
        kept = list(journal.read())
        assert [type(e).__name__ for _, e, _ in kept[:2]] == ["Bbo", "Ack"] and len(kept) == 12
        assert [seq for seq, _, _ in journal.read(needed_only=True)] == [51, 52]
        assert journal.prune(10) == 0
        assert journal.append([Timer("x", T0)], []) == 73


@pytest.mark.parametrize("content", [b"this is no database, it is a text file" * 40, b"SQLite format 3\0rest"])
def test_a_file_that_is_no_journal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(JournalError, match=r"not a database|malformed|damaged"):
        SqliteJournal(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == content


def test_damage_inside_is_found_at_the_start(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "a") as journal:
        for number in range(400):
            journal.append([account(T0 + number, "1")], [])
    data = bytearray((tmp_path / "a").read_bytes())
    for offset in range(4096 * 3, len(data), 4096):
        data[offset : offset + 64] = b"\xff" * 64
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(JournalError, match="damaged"):
        SqliteJournal(tmp_path / "a")


def test_another_schema_is_refused(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "a").close()
    with sqlite3.connect(tmp_path / "a") as raw:
        raw.execute("UPDATE journal SET value = '99' WHERE key = 'schema'")
    raw.close()
    with pytest.raises(JournalError, match="schema 99, this release reads 1"):
        SqliteJournal(tmp_path / "a")


def test_a_row_of_nonsense_names_itself(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "a") as journal:
        journal.append([Timer("x", T0)], [])
    raw = sqlite3.connect(tmp_path / "a")
    raw.execute("UPDATE rows SET event = x'00'")
    raw.commit()
    raw.close()
    with SqliteJournal(tmp_path / "a") as journal, pytest.raises(JournalError, match="row 1 cannot be read"):
        list(journal.read())


def test_a_foreign_lock_is_an_error_and_after_it_nothing_is_written(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "a", busy_timeout=0.05) as journal:
        raw = sqlite3.connect(tmp_path / "a", isolation_level=None)
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="database is locked; another program holds the file"):
            journal.append([Timer("x", T0)], [])
        raw.execute("ROLLBACK")
        raw.close()
        with pytest.raises(JournalError, match="locked"):
            journal.append([Timer("y", T0)], [])
    with SqliteJournal(tmp_path / "a", read_only=True) as journal:
        assert list(journal.read()) == []


def test_a_folder_that_does_not_exist_is_made_and_one_that_cannot_be_is_told(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "new" / "deep" / "a").close()
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be opened"):
        SqliteJournal(tmp_path / "file" / "a")
    with pytest.raises(JournalError, match="no such file"):
        SqliteJournal(tmp_path / "absent", read_only=True)


WRITER = """
    import resource, signal, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from kernel_doubles import account, T0
    from slipstream.runtime.journal import SqliteJournal
    from slipstream.model.errors import JournalError
    limit = int(sys.argv[2])
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    journal = SqliteJournal(Path(sys.argv[1]), sync=sys.argv[3])
    number = journal.last_seq
    try:
        while True:
            number += 1
            print(journal.append([account(T0 + number, str(number))], []), flush=True)
    except JournalError as error:
        print("ERROR", error, flush=True)
        try:
            journal.append([account(T0, "1")], [])
            print("WROTE AGAIN")
        except JournalError:
            print("STAYS", flush=True)
"""


def writer(path: Path, limit: int = 0, sync: str = "normal") -> subprocess.Popen[str]:
    code = textwrap.dedent(WRITER).format(tests=str(HERE.parent / "execution"))
    argv = [sys.executable, "-c", code, str(path), str(limit), sync]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("sync", ["normal", "intents"])
def test_every_acknowledged_row_survives_kill_9(tmp_path: Path, sync: str) -> None:
    path = tmp_path / "a"
    acknowledged = 0
    for round_ in range(3):
        with writer(path, sync=sync) as child:
            assert child.stdout is not None
            for _ in range(50 + 37 * round_):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().split("\n")
            complete = [int(line) for line in rest[:-1]]
            acknowledged = max([acknowledged, *complete])
        with SqliteJournal(path) as journal:
            rows = list(journal.read())
            assert len(rows) >= acknowledged
            assert [seq for seq, _, _ in rows] == list(range(1, len(rows) + 1))
            assert all(event == account(T0 + seq, str(seq)) for seq, event, _ in rows)


def test_a_full_disk_is_a_clear_error_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with writer(path, limit=200_000) as child:
        out, _ = child.communicate(timeout=60)
    lines = out.split("\n")
    numbers = [int(line) for line in lines if line.isdigit()]
    assert len(numbers) > 20 and child.returncode == 0
    (error,) = [line for line in lines if line.startswith("ERROR")]
    assert str(path) in error and "cannot write" in error and ("full" in error or "disk I/O error" in error)
    assert "STAYS" in lines and "WROTE AGAIN" not in lines
    with SqliteJournal(path) as journal:
        assert [seq for seq, _, _ in journal.read()][: len(numbers)] == numbers
        assert journal.append([Timer("x", T0)], []) == journal.last_seq
