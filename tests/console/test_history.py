"""Decisions of before, read from journals as the processes write them."""

from pathlib import Path
from typing import Any

import pytest

from slipstream.console.fund_state import KEPT_DECISIONS, begin, fold
from slipstream.console.history import past_decisions, with_past
from slipstream.federation.auditor.auditor import Told
from slipstream.model.messages import Beat, Decision
from slipstream.runtime.decisions import DecisionJournal
from tests.console.fund_messages import PODS, REALM, TOPICS, received


def write(run: Path, process: str, outputs: list[Any]) -> None:
    (run / process).mkdir(parents=True)
    path = run / process / "journal.db"
    with DecisionJournal[Any, Any](path, input_type=Beat, output_type=Any) as journal:
        journal.begin({}, ns=0)
        journal.append([(Beat("x", 1, 1, n, n, n), [said]) for n, said in enumerate(outputs)])


def said(ns: int, kind: str = "allocation") -> Decision:
    return Decision(kind, "gradient", f"move {ns}", ns, ("thin evidence",))


def test_the_newest_decisions_of_all_journals_in_order(tmp_path: Path) -> None:
    write(tmp_path, "allocator", [said(n) for n in range(0, 200, 2)])
    write(tmp_path, "auditor", [Told("fund", said(n, "halt")) for n in range(1, 200, 2)])
    past = past_decisions(tmp_path)
    assert [h.decision.ns for h in past] == list(range(200 - KEPT_DECISIONS, 200))
    assert {h.process for h in past} == {"allocator", "auditor"}
    assert past[-1].decision == said(199, "halt")


def test_history_stands_before_what_is_heard_and_nothing_twice(tmp_path: Path) -> None:
    write(tmp_path, "allocator", [said(1), said(2)])
    state = fold(begin(REALM, PODS), received(TOPICS.decision("allocator"), said(2)))
    state = with_past(state, past_decisions(tmp_path))
    assert [h.decision.ns for h in state.decisions] == [1, 2]
    assert fold(state, received(TOPICS.decision("allocator"), said(1))).decisions == state.decisions


@pytest.mark.parametrize("content", [None, b"", b"no database"])
def test_what_cannot_be_read_is_left_out(tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / "allocator").mkdir()
    if content is not None:
        (tmp_path / "allocator" / "journal.db").write_bytes(content)
    assert past_decisions(tmp_path) == ()
    assert past_decisions(None) == ()
