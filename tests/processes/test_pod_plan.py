"""What every pod is decided by: who it is, whose journal it opens, how it is left."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from slipstream.accounts import Environment
from slipstream.execution.settings import KernelConfig, Limits
from slipstream.model.errors import ConfigError, NotConnected
from slipstream.processes.pod_plan import PodOptions, PodPlan, host, plan_pod, prefix_of, read_config
from slipstream.runtime.journal import open_journal
from slipstream.runtime.parts import Outcome
from slipstream.runtime.records import Session
from slipstream.strategies.template.config import TemplateConfig


def planned(folder: Path, variables: dict[str, str] | None = None) -> PodPlan:
    file = folder / "pod.yml"
    file.write_text("version: 1\ntrade: {capital: 5000}\n")
    options = PodOptions(config=file, state_dir=folder / "state", log_level="error")
    environment = Environment({"SLIPSTREAM_A_B_TRADE__MIN_TRADE_USD": "7", **(variables or {})})
    return plan_pod("a-b", options, read_config("a-b", options, TemplateConfig, environment), environment)


def begun(plan: PodPlan, record: dict[str, Any]) -> None:
    one = Decimal(1)
    config = KernelConfig(limits=Limits(gross_cap=one, coin_cap=one, max_order=one))
    with plan.journal(record) as journal:
        journal.begin(Session(run=1, ns=5, slug="a", config=config, instruments=(), strategy_config=record, state={}))


def test_flags_come_before_the_file_and_the_file_before_variables(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"SLIPSTREAM_A_B_STATUS_TOKEN": " word "})
    assert (plan.config.log_level, plan.config.trade.capital, plan.config.trade.min_trade_usd) == ("error", 5000, 7)
    assert plan.status_token is not None and plan.status_token.reveal() == "word"
    assert plan.is_local and plan.owner() == {"account": plan.keys.account, "venue": "local"}
    assert planned(tmp_path).keys.account == plan.keys.account, "the test key is kept"
    assert prefix_of("a-b") == "SLIPSTREAM_A_B_" and planned(tmp_path).status_token is None


def test_another_accounts_journal_is_refused_and_let_go(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    begun(plan, plan.owner())
    with pytest.raises(ConfigError, match=r"journal .* belongs to account 0x.*, not 0xother; choose another"):
        plan.journal({**plan.owner(), "account": "0xother"})
    with open_journal(plan.state_dir / "journal.db") as journal:  # the writer's lock is free
        assert journal.sessions()[-1].strategy_config == plan.owner()


def test_the_connector_asks_for_what_came_since_the_last_session(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    with plan.journal(plan.owner()) as journal:
        assert plan.broker_options(journal, ("BTC",), stale_ns=3).since_ns is None
    begun(plan, plan.owner())
    with plan.journal(plan.owner()) as journal:
        options = plan.broker_options(journal, ("BTC",), stale_ns=3, books=False)
    assert (options.since_ns, options.stale_ns, options.books, options.coins) == (5, 3, False, ("BTC",))
    assert options.account == plan.keys.account and not options.allow_mainnet


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        (Outcome(None, (), 3), 0, ""),
        (Outcome("it broke", (), 3), 1, "pod x: it broke"),
        (ConfigError("mend this"), 2, "pod x: mend this"),
        (NotConnected("no venue"), 1, "pod x: no venue"),
    ],
)
def test_a_pod_is_left_with_a_line_and_a_code(
    outcome: Any, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main(plan: Any) -> Outcome:
        if isinstance(outcome, Exception):
            raise outcome
        found: Outcome = outcome
        return found

    plan: Any = SimpleNamespace(config=SimpleNamespace(log_level=None))
    with pytest.raises(typer.Exit) as left:
        host("x", lambda: plan, main, "console")
    assert left.value.exit_code == code and capsys.readouterr().err.strip() == said
