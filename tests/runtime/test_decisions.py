"""Decision journals: inputs with their outputs, sessions, checkpoints, pruning, and replay byte for byte."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.model.errors import JournalError
from slipstream.runtime.decisions import DecisionJournal, DecisionSession, Fold, recover, verify
from slipstream.runtime.journal import SqliteJournal


class Paid(msgspec.Struct, frozen=True, tag="paid"):
    ns: int
    usd: Decimal
    by: dict[str, Decimal] = {}


class Look(msgspec.Struct, frozen=True, tag="look"):
    ns: int


class Said(msgspec.Struct, frozen=True, tag="said"):
    total: Decimal
    factor: int


class Rule(msgspec.Struct, frozen=True):
    factor: int = 1


class State(msgspec.Struct, frozen=True):
    total: Decimal = Decimal(0)
    factor: int = 1


In = Paid | Look


def step(state: State, one: In) -> tuple[State, tuple[Said, ...]]:
    if isinstance(one, Paid):
        return msgspec.structs.replace(state, total=state.total + one.usd), ()
    return state, (Said(state.total * state.factor, state.factor),)


class Teller(Fold[State, In, Said]):
    def __init__(self) -> None:
        super().__init__(step, State())

    def on_session(self, session: DecisionSession) -> None:
        self.state = msgspec.structs.replace(self.state, factor=session.read_config(Rule).factor)

    def restore(self, state: bytes) -> None:
        self.state = msgspec.msgpack.decode(state, type=State)


def open_(path: Path, *, read_only: bool = False) -> DecisionJournal[In, Said]:
    return DecisionJournal(path, input_type=In, output_type=Said, read_only=read_only)


def run(path: Path, inputs: list[In], factor: int = 1, keep: int | None = None) -> None:
    """One life of a process: recover, record the start, decide, and end with a checkpoint if it prunes."""
    with open_(path) as journal:
        teller = Teller()
        recover(journal, teller, on_session=teller.on_session, restore=teller.restore)
        journal.begin(Rule(factor), ns=5)
        teller.on_session(journal.sessions()[-1])
        for one in inputs:
            journal.append([(one, teller(one))])
        if keep is not None:
            journal.checkpoint(journal.last_seq, msgspec.msgpack.encode(teller.state))
            journal.prune(keep)


def replay(path: Path) -> object:
    teller = Teller()
    with open_(path, read_only=True) as journal:
        return verify(journal, teller, on_session=teller.on_session, restore=teller.restore)


PAYMENTS: list[In] = [
    Paid(1, Decimal("1.10"), {"b": Decimal("1.0"), "a": Decimal(2)}),
    Look(2),
    Paid(3, Decimal("-0.3")),
]


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    with open_(tmp_path / "a") as journal:
        assert journal.begin(Rule(3), ns=9) == 1
        assert journal.append([(PAYMENTS[0], []), (Look(2), [Said(Decimal("1.10"), 3)])]) == 2
        assert journal.append([]) == 2
        assert journal.begin(Rule(4)) == 2
    with open_(tmp_path / "a", read_only=True) as journal:
        assert list(journal.read()) == [(1, PAYMENTS[0], ()), (2, Look(2), (Said(Decimal("1.10"), 3),))]
        ((_, paid, _),) = journal.read(0, stop=1)
        assert isinstance(paid, Paid) and str(paid.usd) == "1.10"
        assert [seq for seq, _, _ in journal.read(1)] == [2]
        assert [(s.run, s.seq, s.ns, s.read_config(Rule)) for s in journal.sessions()] == [
            (1, 0, 9, Rule(3)),
            (2, 2, 0, Rule(4)),
        ]
        with pytest.raises(JournalError):
            journal.append([(Look(3), [])])


def test_two_lives_replay_as_one_and_a_changed_rule_is_shown(tmp_path: Path) -> None:
    run(tmp_path / "a", PAYMENTS, factor=2)
    run(tmp_path / "a", [*PAYMENTS, Look(9)], factor=3)
    verdict = replay(tmp_path / "a")
    assert (verdict.identical, verdict.sessions, verdict.rows, verdict.outputs) == (True, 2, 7, 3)  # type: ignore[attr-defined]
    with open_(tmp_path / "a") as journal:
        found = verify(journal, Fold(step, State(factor=2)))
    assert not found.identical and found.rows == 5
    assert found.difference is not None and "row 5: Look(ns=2)" in found.difference
    assert "recorded: Said(total=Decimal('5.70'), factor=3)" in found.difference
    assert "replayed: Said(total=Decimal('3.80'), factor=2)" in found.difference


def test_an_output_that_is_missing_or_too_many_is_a_difference(tmp_path: Path) -> None:
    with open_(tmp_path / "a") as journal:
        journal.append([(Look(1), [Said(Decimal(0), 1), Said(Decimal(0), 1)])])
        found = verify(journal, Fold(step, State()))
    assert found.difference is not None and "output 2 replayed: none" in found.difference


def test_bytes_do_not_depend_on_the_order_of_keys(tmp_path: Path) -> None:
    one, two = {"a": Decimal("1.0"), "b": Decimal(2)}, {"b": Decimal(2), "a": Decimal("1.0")}
    with open_(tmp_path / "a") as journal:
        journal.append([(Paid(1, Decimal(0), one), []), (Paid(1, Decimal(0), two), [])])
        (_, first, _), (_, second, _) = journal.read_raw()
    assert first == second


def test_rows_a_fold_needs_are_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a"
    run(path, PAYMENTS * 10)
    with open_(path) as journal:
        with pytest.raises(JournalError, match="rows up to 25 are not dropped: the newest checkpoint covers up to 0"):
            journal.prune(5)
        assert len(list(journal.read())) == 30
        with pytest.raises(JournalError, match="no checkpoint after row 31"):
            journal.checkpoint(31, b"")
        teller = Teller()
        recover(journal, teller)
        journal.checkpoint(30, msgspec.msgpack.encode(teller.state))
        assert journal.prune(5) == 25 and journal.pruned_to == 25
        assert journal.prune(5) == 0
        assert [seq for seq, _, _ in journal.read()] == [26, 27, 28, 29, 30]
        with pytest.raises(JournalError, match="a replay needs `restore`"):
            verify(journal, teller)
    run(path, [Look(4)], factor=7)
    verdict = replay(path)
    assert (verdict.identical, verdict.rows, verdict.skipped) == (True, 1, 5)  # type: ignore[attr-defined]
    with open_(path) as journal:
        assert next(iter(journal.read(30)))[2] == (Said(Decimal("8.0") * 7, 7),)


def test_numbers_go_on_when_every_row_was_dropped(tmp_path: Path) -> None:
    run(tmp_path / "a", PAYMENTS, keep=0)
    with open_(tmp_path / "a") as journal:
        assert list(journal.read()) == [] and journal.append([(Look(1), [])]) == 4


def test_only_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    run(tmp_path / "a", PAYMENTS * 3)
    with open_(tmp_path / "a") as journal:
        for seq in range(10):
            journal.checkpoint(seq, bytes([seq]))
        assert [one.seq for one in journal.checkpoints()] == [6, 7, 8, 9]


@settings(max_examples=25, deadline=None)
@given(
    lives=st.lists(
        st.tuples(
            st.integers(1, 5),
            st.one_of(st.none(), st.integers(0, 6)),
            st.lists(
                st.one_of(
                    st.builds(Paid, st.integers(0, 9), st.decimals("-1e6", "1e6", places=4)),
                    st.builds(Look, st.integers(0, 9)),
                ),
                max_size=8,
            ),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_the_lives_the_replay_is_identical(
    tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[int, int | None, list[In]]]
) -> None:
    path = tmp_path_factory.mktemp("lives") / "a"
    for factor, keep, inputs in lives:
        run(path, inputs, factor, keep)
    assert replay(path).identical  # type: ignore[attr-defined]


def test_a_row_of_another_type_names_itself(tmp_path: Path) -> None:
    run(tmp_path / "a", PAYMENTS)
    journal: DecisionJournal[Said, Said]
    with (
        DecisionJournal(tmp_path / "a", input_type=Said, output_type=Said) as journal,
        pytest.raises(JournalError, match="row 1 cannot be read"),
    ):
        list(journal.read())


def test_a_pods_journal_and_a_decision_journal_share_the_lock(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "a"), pytest.raises(JournalError, match="is writing it; stop that one first"):
        open_(tmp_path / "a")
    open_(tmp_path / "a").close()
