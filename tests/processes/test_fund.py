from decimal import Decimal
from pathlib import Path

import pytest

from slipstream.model.errors import ConfigError
from slipstream.processes.fund import FundOptions, load_fund

ROOT = Path(__file__).resolve().parents[2]
PODS = "pods:\n  - {slug: brawler, config: b.yml}\n"


def given(tmp_path: Path, text: str) -> FundOptions:
    path = tmp_path / "fund.yml"
    path.write_text("version: 1\n" + text)
    return FundOptions(fund=path)


def test_the_sample_is_a_fund_and_flags_come_first(tmp_path: Path) -> None:
    sample = ROOT / "configs" / "fund.yml"
    address = "0x" + "Ab" * 20
    fund = load_fund(FundOptions(fund=sample, state_dir=tmp_path, account=address, bus_url="mqtt://elsewhere"))
    assert [pod.slug for pod in fund.pods] == ["brawler", "gradient"]
    assert fund.account_of("gradient") == address.lower()
    assert fund.bus.url == "mqtt://elsewhere"
    assert fund.journal_of("auditor") == str(tmp_path / "auditor" / "journal.db")
    assert fund.pod("brawler").coin_cap == Decimal(9000)


def test_a_database_gets_a_schema_for_each_process(tmp_path: Path) -> None:
    fund = load_fund(given(tmp_path, "journal_url: postgresql://me@localhost/db\n" + PODS))
    assert fund.journal_of("my-pod") == "postgresql://me@localhost/db?schema=my_pod"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pods: []\n", "no pods"),
        ("pods:\n  - {slug: all, config: x}\n", "may not be called 'all'"),
        ("pods:\n  - {slug: a, config: x}\n  - {slug: a, config: x}\n", "cannot be told apart"),
        ("pods:\n  - {slug: a-b, config: x}\n  - {slug: a_b, config: x}\n", "cannot be told apart"),
        ("lease: {valid_s: 10, renew_s: 8}\n" + PODS, "at most half"),
        ("audits: {}\n" + PODS, "audit"),
        ("account: 0x12\n" + PODS, "account"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_fund(given(tmp_path, text))


def test_an_unknown_pod_or_account_is_named(tmp_path: Path) -> None:
    fund = load_fund(given(tmp_path, PODS))
    with pytest.raises(ConfigError, match="the fund has brawler"):
        fund.pod("browler")
    with pytest.raises(ConfigError, match="`account` is missing"):
        fund.account_of("brawler")
