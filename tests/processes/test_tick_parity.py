"""Live = backtest for a pod that quotes: a session on the emulated exchange is replayed from its journal, and every
difference has its cause.
"""

from __future__ import annotations

import shutil
import sqlite3
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from slipstream.lob.replay.replay import Replay
from slipstream.model.events import AccountState, AssetContext, Position
from slipstream.processes import parity
from slipstream.processes.parity import command
from slipstream.processes.tick_parity import (
    Retold,
    TickParity,
    beside,
    by_place,
    kernel_of,
    retell,
    terms_of,
    tick_parity,
)
from slipstream.runtime.journal import open_journal
from slipstream.runtime.records import Session
from slipstream.simulation.tick.differences import Comparison, Difference
from slipstream.simulation.tick.kernel_on_tape import Listing, TapeKernel
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.strategies.brawler.replayed.hook import brawler
from slipstream.strategies.brawler.replayed.opening import opening
from slipstream.strategies.brawler.strategy import Brawler
from tests.processes.recorded_pod import START_NS, RecordedPod

SETTINGS = BrawlerConfig.model_validate(
    {
        "symbols": [{"symbol": "LTC", "order_size": "4", "max_inventory": "20"}],
        "base_spread": 0.0002,
        "maker_fee": 0.00005,
        "k": 0.3,
        "sigma_interval_ms": 500,
        "sigma_window": 60,
        "basis_halflife_s": 10.0,
        "portfolio": {"gross_cap": "20000"},
        "kill_switch": {"check_interval_ms": 200},
    }
)
SECOND = 1_000_000_000
APP = typer.Typer()
APP.command()(command)


@pytest.fixture(scope="module")
def pod() -> RecordedPod:
    """A minute and a quarter of venue time."""
    made = RecordedPod(SETTINGS, seed=7)
    made.run(75)
    assert len(made.fills) > 5 and made.requests > 40
    return made


@pytest.fixture(scope="module")
def path(pod: RecordedPod, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its journal."""
    out: Path = tmp_path_factory.mktemp("pod") / "journal.db"
    with open_journal(out) as journal:
        pod.write(journal)
    return out


def session_of(path: Path) -> tuple[Session, Retold]:
    with open_journal(path, read_only=True) as journal:
        (session,) = journal.sessions()
        steps = [(event, commands) for _, event, commands in journal.read(session.seq)]
        retold = retell(session, steps, "journal")
    assert isinstance(retold, Retold)
    return session, retold


def test_every_difference_between_the_session_and_its_replay_has_a_cause(path: Path) -> None:
    session, retold = session_of(path)
    found = beside(session, retold, 2 * SECOND)
    told = found.comparison
    assert found.requests > 40 and found.fills > 5
    assert retold.answer_ns == SECOND // 10  # a block
    # all is the same until a fill, which in the tape comes of the same trade, is first split otherwise or reacted to
    assert told.until_ns is None or told.until_ns > retold.diary.requests[3].ns
    assert told.same_requests >= 0.8 * found.requests
    assert "UNEXPLAINED" not in told.causes
    assert sum(told.causes.values()) == len(told.differences)


def test_the_compiled_brawler_does_on_the_heard_tape_what_the_kernel_does(path: Path) -> None:
    session, retold = session_of(path)
    markets = by_place(retold.markets)
    perps = {perp.coin: perp for perp in session.instruments}
    # what both can hear: no budgets, and the feeds are up from the first row on
    kernel = kernel_of(session)
    driver = TapeKernel(
        kernel,
        Replay(terms_of(retold)),
        [Listing(market.venue, market.coin, market.perp) for market in markets],
        Decimal(100_000),
    )
    theirs = driver.run([retold.rows])
    replay = Replay(terms_of(retold), brawler)
    memory = opening(Brawler(SETTINGS), session.config, perps, {"LTC": 1}, {"LTC": 0})
    replay.sim["memory"][: len(memory)] = memory
    replay.feed(retold.rows)
    ours = replay.finish()
    assert len(ours.sent) > 40 and ours.sent.tobytes() == theirs.sent.tobytes()
    assert len(ours.fills) == len(theirs.fills)


def test_the_command_prints_the_causes(path: Path) -> None:
    result = CliRunner().invoke(APP, [str(path)])
    assert result.exit_code == 0, result.output
    assert "requests" in result.output and "the same at the same time" in result.output


def test_rows_that_are_missing_are_told_and_nothing_is_compared(path: Path, tmp_path: Path) -> None:
    with open_journal(path, read_only=True) as journal:
        unasked = [seq for seq, event, commands in journal.read(0) if isinstance(event, AssetContext) and not commands]
    copy = tmp_path / "journal.db"
    shutil.copy(path, copy)
    with sqlite3.connect(copy) as database:  # the kernel decides the same without them: only their number tells
        database.execute(f"delete from rows where seq = {unasked[5]}")
    database.close()
    result = CliRunner().invoke(APP, [str(copy)])
    assert result.exit_code == 2
    assert f"rows {unasked[5]} to {unasked[5]} are missing" in result.output


def test_what_one_of_the_runs_never_saw_is_no_agreement(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Comparison(0, 0, (Difference(1, "pod", "place", "UNSEEN", "the other run had not begun"),))
    one = TickParity(run=1, answer_ns=0, requests=1, fills=0, comparison=told)
    monkeypatch.setattr(parity, "tick_parity", lambda journal: ([one], []))
    assert CliRunner().invoke(APP, [str(path)]).exit_code == 1


def test_a_run_that_did_not_begin_flat_is_left_out(pod: RecordedPod, path: Path) -> None:
    session, _ = session_of(path)
    held = (Position("LTC", Decimal(1), Decimal(100)),)
    steps = [
        (msgspec.structs.replace(event, positions=held) if isinstance(event, AccountState) else event, commands)
        for event, commands in pod.steps
    ]
    assert retell(session, steps, "journal") == "it began with a position or orders; a tape begins flat"


def test_a_journal_of_another_program_is_refused(pod: RecordedPod, tmp_path: Path) -> None:
    other = RecordedPod.__new__(RecordedPod)
    other.__dict__.update(pod.__dict__)
    other.settings = SETTINGS.model_copy(update={"base_spread": 0.0006})
    with open_journal(tmp_path / "journal.db") as journal:
        other.write(journal)
    result = CliRunner().invoke(APP, [str(tmp_path / "journal.db")])
    assert result.exit_code == 2
    assert "not what this release decides" in result.output
    with open_journal(tmp_path / "empty.db") as journal:
        assert tick_parity(journal) == ([], [])
    assert START_NS > 0
