"""What a journal promises, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from decimal import Decimal
from pathlib import Path

import pytest
from kernel_doubles import BUY, ETH, T0, D, account, bbo, config

from slipstream.execution.desk import make_place
from slipstream.model.commands import Place, SetTimer
from slipstream.model.errors import JournalError
from slipstream.model.events import Ack, Event, Fill, FundingPayment, Timer, Trade
from slipstream.model.order import Tif
from slipstream.runtime.decisions import DecisionJournal, Fold, verify
from slipstream.runtime.journal import Journal, LedgerRows, Sync, describe, open_journal
from slipstream.runtime.records import Session

TESTS = Path(__file__).resolve().parents[2]
PLACE = make_place("0x" + "1" * 32, "ETH", BUY, D("1999.50"), D("0.10"), Tif.ALO)


def session(run: int = 1) -> Session:
    return Session(run=run, ns=T0, slug="puppet", config=config(), instruments=(ETH,), state={"ema": 1.5})


def fill(tid: int, px: str = "1999.50") -> Fill:
    return Fill("ETH", BUY, D(px), D("0.10"), D("-0.000100"), tid, 8, T0 + tid, cloid="0x" + "1" * 32, crossed=True)


def test_rows_come_back_as_they_were(where: str) -> None:
    trade = Trade("hl", "ETH", float("nan"), 1.0, BUY, 1, T0, T0)
    with open_journal(where) as journal:
        assert journal.begin(session()).run == 1
        assert journal.append([fill(7)], [PLACE, SetTimer("kernel:tick", T0)]) == 1
        assert journal.append([trade, account(T0, "1")], []) == 3
    with open_journal(where) as journal:
        rows = list(journal.read())
        assert rows[0] == (1, fill(7), (PLACE, SetTimer("kernel:tick", T0)))
        assert isinstance(rows[0][1], Fill) and str(rows[0][1].px) == "1999.50" and isinstance(rows[0][2][0], Place)
        assert [seq for seq, _, _ in journal.read(1)] == [2, 3]
        assert [seq for seq, _, _ in journal.read(0, stop=2, needed_only=True)] == [1]
        assert journal.last_seq == 3
        (found,) = journal.sessions()
        assert found.config == config() and found.state == {"ema": 1.5} and found.instruments == (ETH,)


def test_the_bytes_are_the_same_in_both(tmp_path: Path, schema: str) -> None:
    steps: list[tuple[Event, list[Place]]] = [(fill(1), []), (account(T0, "1.10"), [PLACE]), (bbo(1.0, 2.0, T0), [])]
    with open_journal(tmp_path / "a") as one, open_journal(schema) as two:
        one.append_steps(steps)
        two.append_steps(steps)
        assert list(one.read_raw()) == list(two.read_raw())


def test_a_run_is_always_above_the_last(where: str) -> None:
    with open_journal(where) as journal:
        assert journal.begin(session(5)).run == 5
        journal.append([Timer("x", T0)], [])
        assert journal.begin(session(5)).run == 6
        assert journal.begin(session(6)).run == 7
        assert [(s.run, s.seq) for s in journal.sessions()] == [(5, 0), (7, 1)]


def test_a_second_writer_is_told_who_the_first_is(where: str) -> None:
    with open_journal(where) as first:
        for _ in range(2):
            with pytest.raises(JournalError, match=rf"process {os.getpid()}.* is writing it; stop that one first"):
                open_journal(where)
        first.append([Timer("x", T0)], [])
    open_journal(where).close()


def test_readers_see_what_is_committed_and_write_nothing(where: str) -> None:
    with open_journal(where) as writer, open_journal(where, read_only=True) as reader:
        assert list(reader.read()) == []
        for number in range(1, 4):
            writer.append([Timer("x", T0 + number)], [])
            assert [seq for seq, _, _ in reader.read()] == list(range(1, number + 1))
        with pytest.raises(JournalError, match=r"cannot write: .*read-?only"):
            reader.append([Timer("x", T0)], [])
        writer.append([Timer("x", T0)], [])


def test_nothing_was_recorded_yet(where: str) -> None:
    with pytest.raises(JournalError, match=r"no such file|nothing was recorded there yet"):
        open_journal(where, read_only=True)


def test_public_data_is_pruned_and_the_account_is_kept(where: str) -> None:
    with open_journal(where) as journal:
        journal.begin(session())
        journal.append([bbo(1.0, 2.0, T0 + number) for number in range(50)], [])
        journal.append_steps([(bbo(1.0, 2.0, T0), [PLACE]), (Ack(PLACE.cloid, 1, T0), [])])
        journal.append([bbo(1.0, 2.0, T0 + number) for number in range(20)], [])
        assert journal.prune(10) == 60
        assert journal.pruned_to == 62
        kept = list(journal.read())
        assert [type(e).__name__ for _, e, _ in kept[:2]] == ["Bbo", "Ack"] and len(kept) == 12
        assert [seq for seq, _, _ in journal.read(needed_only=True)] == [51, 52]
        assert journal.prune(10) == 0
        assert journal.append([Timer("x", T0)], []) == 73


def test_a_group_is_written_whole_or_not_at_all(where: str) -> None:
    with open_journal(where) as journal:
        journal.append([Timer("x", T0)], [])
        journal._seq = -1  # the group begins with numbers that are free and runs into one that is taken
        with pytest.raises(JournalError, match="cannot write"):
            journal.append([Timer("a", T0), Timer("b", T0), Timer("c", T0)], [])
        journal._seq = 1
        with pytest.raises(JournalError, match="cannot write"):
            journal.append([Timer("d", T0)], [])
    with open_journal(where) as journal:
        assert [event for _, event, _ in journal.read()] == [Timer("x", T0)]


@pytest.mark.parametrize("sync", ["normal", "full", "intents"])
def test_every_sync_writes(where: str, sync: Sync) -> None:
    with open_journal(where, sync=sync) as journal:
        journal.append([bbo(1.0, 2.0, T0)], [])
        journal.append([fill(1)], [PLACE])
        journal.append([bbo(1.0, 2.0, T0)], [])
    with open_journal(where, read_only=True) as journal:
        assert len(list(journal.read())) == 3


def test_fifty_thousand_rows_are_read_in_bounded_memory(where: str) -> None:
    with open_journal(where) as journal:
        for group in range(25):
            journal.append([account(T0 + group * 2_000 + number, "1") for number in range(2_000)], [])
        del group
        tracemalloc.start()
        try:
            peaks = []
            for stop in (10_000, 50_000):
                tracemalloc.reset_peak()
                assert sum(1 for _ in journal.read_raw(stop=stop)) == stop
                peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] and peaks[1] < 8_000_000


WRITER = """
    import sys
    sys.path.insert(0, {tests!r})
    from kernel_doubles import account, T0
    from slipstream.runtime.journal import open_journal
    journal = open_journal(sys.argv[1])
    number = journal.last_seq
    while True:
        number += 1
        journal.append_steps([(account(T0 + number, str(number)), [])])
        print(number, flush=True)
"""


def test_every_acknowledged_row_survives_kill_9_and_the_next_writer_may_begin(where: str) -> None:
    code = textwrap.dedent(WRITER).format(tests=str(TESTS / "execution"))
    for round_ in range(2):
        with subprocess.Popen([sys.executable, "-c", code, where], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            told = [child.stdout.readline() for _ in range(50 + 37 * round_)]
            child.send_signal(signal.SIGKILL)
            told += child.stdout.read().splitlines(keepends=True)
            acknowledged = int([line for line in told if line.endswith("\n")][-1])
        with _open_again(where) as journal:
            rows = list(journal.read())
            assert len(rows) >= acknowledged > 40
            assert all(event == account(T0 + seq, str(seq)) for seq, event, _ in rows)
            assert [seq for seq, _, _ in rows] == list(range(1, len(rows) + 1))


def _open_again(where: str) -> Journal:
    """A server needs a moment to see that its client is gone."""
    for _ in range(200):
        try:
            return open_journal(where)
        except JournalError as error:
            if "is writing it" not in str(error):
                raise
            time.sleep(0.02)
    raise AssertionError("the dead writer's lock is still held")


def test_the_ledgers_rows_are_exact_and_counted_once(where: str) -> None:
    paid = FundingPayment("ETH", D("-0.0123450"), D("0.10"), D("0.0000125"), T0)
    with open_journal(where) as journal:
        journal.append([fill(1), bbo(1.0, 2.0, T0), fill(2, "2000.000"), paid], [])
        journal.append([fill(1), paid, fill(3)], [PLACE])
        with LedgerRows(where) as ledger:
            assert list(ledger.fills()) == [(1, fill(1)), (3, fill(2, "2000.000")), (7, fill(3))]
            assert [str(one.px) for _, one in ledger.fills(1)] == ["2000.000", "1999.50"]
            ((seq, found),) = ledger.payments()
            assert (seq, found, str(found.usdc)) == (4, paid, "-0.0123450")
            assert list(ledger.payments(4)) == []
            journal.append([fill(4)], [])
            assert [seq for seq, _ in ledger.fills(7)] == [8]
        journal.prune(0)
        with LedgerRows(where) as ledger:
            assert sum((one.px * one.sz for _, one in ledger.fills()), D(0)) == Decimal("799.85000")


def test_decisions_are_kept_and_replay(where: str) -> None:
    def count(state: int, given: int) -> tuple[int, tuple[str, ...]]:
        return state + given, (f"{state + given}",)

    journal: DecisionJournal[int, str]
    with DecisionJournal(where, input_type=int, output_type=str) as journal:
        fold = Fold(count, 0)
        assert journal.begin({"limit": 5}, ns=T0) == 1
        for one in range(30):
            journal.append([(one, fold(one))])
        with pytest.raises(JournalError, match="is writing it"):
            open_journal(where)
        journal.checkpoint(20, b"\x00state")
        assert journal.prune(10) == 20
    with DecisionJournal(where, input_type=int, output_type=str, read_only=True) as journal:

        def restore(state: bytes) -> None:
            assert state == b"\x00state"
            again.state = sum(range(20))

        again = Fold(count, 0)
        verdict = verify(journal, again, restore=restore)
        assert verdict.identical and verdict.rows == 10
        assert journal.sessions()[0].ns == T0 and journal.sessions()[0].read_config(dict) == {"limit": 5}
    found = describe(where)
    assert (found.decisions, found.decision_sessions, found.rows, found.revision) == (10, 1, 0, "0003")
