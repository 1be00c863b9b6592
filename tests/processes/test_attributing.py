"""The fund's report: hours of several journals become one market, and capital's moves are told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from slipstream.federation.attribution import attribute
from slipstream.model.errors import ConfigError, JournalError
from slipstream.processes.attributing import HOUR, Mark, Read, fund_of, read_pod, records
from slipstream.runtime.journal import open_journal


def told(pod: str, nets: list[float], capital: float, anchors: list[dict[str, float]]) -> Read:
    marks = [Mark(100 + k, net, capital, prices) for k, (net, prices) in enumerate(zip(nets, anchors, strict=True))]
    return Read(pod, marks, (), (), {"BTC": Decimal("-0.5")}, False)


def test_pods_of_one_market_share_its_prices_even_those_that_see_none() -> None:
    seeing = told("maker", [0.0, 10.0, 5.0], 1_000.0, [{"BTC": 100.0}, {"BTC": 101.0}, {"BTC": 99.99}])
    blind = told("trend", [0.0, 1.0, 3.0], 500.0, [{}, {"BTC": 7.0}, {}])  # the price that was known first holds
    maker, trend = records([seeing, blind], {"maker": 0.9})
    assert [(h.ns, h.pnl, h.capital) for h in maker.hours] == [(101 * HOUR, 10.0, 1_000.0), (102 * HOUR, -5.0, 1_000.0)]
    assert [h.btc for h in maker.hours] == [h.btc for h in trend.hours] == [pytest.approx(0.01), pytest.approx(-0.01)]
    assert [h.eth for h in trend.hours] == [0.0, 0.0]
    found = attribute([maker, trend])
    assert found.fund.alpha.pnl == pytest.approx(8.0)
    assert found.fund.funding == Decimal("-1.0")
    assert maker.maker_share == 0.9 and trend.maker_share == 0.0


def test_a_journal_without_a_session_and_a_folder_without_a_fund_say_so(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.db"):
        pass
    with (
        open_journal(tmp_path / "journal.db", read_only=True) as journal,
        pytest.raises(JournalError, match="nothing was recorded"),
    ):
        read_pod("trend", journal)
    with pytest.raises(ConfigError, match=r"fund\.yml"):
        fund_of(tmp_path, None)
