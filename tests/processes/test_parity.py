"""Backtest = live: at every rebalance of days on the emulator the backtest decides and orders what the pod did."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from slipstream.core.signals.bars import Bars
from slipstream.data.bars import read_bars
from slipstream.model.commands import Place
from slipstream.model.events import Fill
from slipstream.pods import strategy_of
from slipstream.processes.barred_venue import barred_venue
from slipstream.processes.gradient_plans import plan
from slipstream.processes.heard import MS, Heard
from slipstream.processes.parity import command, compare, parity
from slipstream.processes.stepped_bars import SteppedBars
from slipstream.processes.stepped_pod import USER
from slipstream.runtime.journal import open_journal
from slipstream.runtime.replay import replay
from tests.processes.stepped_books import CARRY, GRADIENT, HISTORY, HOUR_NS, QUIET, SECOND, config_of, opened, pass_bars

BARS = 9  # of four hours: a day and a half


@pytest.mark.slow
@pytest.mark.parametrize(("slug", "values"), [("gradient", GRADIENT), ("carry", CARRY)])
def test_every_rebalance_is_the_backtests(slug: str, values: dict[str, Any], tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.db") as journal:
        pod = opened(slug, values, tmp_path, journal)
        pod.run(300)
        pass_bars(pod, BARS)
        assert replay(journal, strategy_of).identical
        found = parity(journal)
    assert found.same, [pair.differs for pair in found.pairs]
    assert len(found.pairs) == 1 + BARS
    assert sum(pair.orders for pair in found.pairs) > 2 * BARS
    # every book is another one, and begins from positions that were really traded
    assert len({tuple(sorted(pair.live.targets.items())) for pair in found.pairs}) == 1 + BARS
    assert all(pair.live.held for pair in found.pairs[1:]) and pod.fills


class Killed(Exception):
    """What SIGKILL is to a pod in this process."""


def killed(*_: object) -> None:
    raise Killed


def held(pod: SteppedBars) -> dict[str, Decimal]:
    """The positions that the venue has."""
    return {coin: one.szi for coin, one in pod.exchange.accounts[USER].positions.items() if one.szi}


@pytest.mark.parametrize(("slug", "values"), [("gradient", GRADIENT), ("carry", CARRY)])
def test_a_kill_between_decision_and_orders_and_one_amid_the_trades(
    slug: str, values: dict[str, Any], tmp_path: Path
) -> None:
    """The rebalance is taken up again, nothing is ordered twice, and each run is still the backtest's."""
    with open_journal(tmp_path / "journal.db") as journal:
        pod = opened(slug, values, tmp_path, journal)
        pod.run(1_200)
        pod.run(pod.bar_ns / SECOND - pod.now % pod.bar_ns / SECOND, 300 * SECOND)
        pod._send = killed  # type: ignore[method-assign,assignment]
        with pytest.raises(Killed):
            pod.run(300)
        del pod._send
        pod.restart()
        for _ in range(50):  # until orders rest and some have filled
            pod.run(10)
            if pod.exchange.accounts[USER].open_orders and pod.now - pod.fills[-1].ns < 60 * SECOND:
                break
        else:
            pytest.fail("no order rested")
        pod.restart()
        pass_bars(pod, 1)
        found = parity(journal)
        verdict = replay(journal, strategy_of)
        rows = list(journal.read(0))
    assert verdict.identical and verdict.sessions == 3
    assert [pair.run for pair in found.pairs] == [1, 1, 2, 3, 3]
    assert found.same, [pair.differs for pair in found.pairs]
    sent = [one.cloid for _, _, commands in rows for one in commands if isinstance(one, Place)]
    assert len(sent) == len(set(sent))
    wanted = {coin: size for coin, size in found.pairs[-1].live.targets.items() if size}
    assert held(pod) == wanted == {coin: pod.kernel.desk.ledger.position(coin) for coin in wanted}


def test_what_differs_is_found(tmp_path: Path) -> None:
    """A bar, a rate or a fill that the backtest is told otherwise is another decision, and is said."""
    with open_journal(tmp_path / "journal.db") as journal:
        pod = opened("carry", CARRY, tmp_path, journal)
        pod.run(1_200)
        pass_bars(pod, 2)
        whole = parity(journal)
        assert whole.same and len(whole.pairs) == 3
        (session,) = journal.sessions()
        decisions = [pair.live for pair in whole.pairs]

        def heard() -> Heard:
            return Heard(journal, session, None, decisions)

        bar = heard()
        row = bar._candles[max(bar._candles)]  # the last one that a rebalance used
        row["ETH"] = msgspec.structs.replace(row["ETH"], close=row["ETH"].close * 1.01)
        rate = heard()
        last = max(hour for hour, coin in rate._rates if coin == "SOL") - 1
        for hour in range(last - 4, last + 1):
            rate._rates[hour, "SOL"] -= 5e-3
        fill = heard()
        at = next(n for n, event in enumerate(fill.moments[1].record) if isinstance(event, Fill))
        rest = (*fill.moments[1].record[:at], *fill.moments[1].record[at + 1 :])
        fill.moments[1] = msgspec.structs.replace(fill.moments[1], record=rest)
        for told, first, word in ((bar, 2, "weight of ETH"), (rate, 1, "weight of"), (fill, 1, "held")):
            found = [pair.differs for pair in compare(told)]
            assert any(word in line for pair in found for line in pair), (word, found)
            assert not any(found[:first]), found


def test_the_command_says_what_is_the_same_and_what_cannot_be_compared(tmp_path: Path) -> None:
    shell = typer.Typer()
    shell.command()(command)
    with open_journal(tmp_path / "journal.db") as journal:
        pod = opened("gradient", GRADIENT, tmp_path, journal)
        pod.run(300)
    done = CliRunner().invoke(shell, [str(tmp_path / "journal.db")])
    assert done.exit_code == 0 and "4 names, 4 targets, 4 orders  same" in done.output, done.output
    with open_journal(tmp_path / "early.db") as journal:
        opened("gradient", GRADIENT, tmp_path, journal).run(10)
    for name, said in (("early.db", "no rebalance"), ("none.db", "none.db")):
        done = CliRunner().invoke(shell, [str(tmp_path / name)])
        assert done.exit_code == 2 and said in done.output and "Traceback" not in done.output, done.output


def panel(coins: tuple[str, ...], bars: int) -> Bars:
    """The last real 4 h bars of some coins, with funding."""
    folder = Path(__file__).resolve().parents[2] / "../shared/data/hyperliquid_panel"
    if not folder.exists():
        pytest.skip("the panel of real data is not beside this checkout (../shared/data/hyperliquid_panel)")
    found = read_bars(folder / "hl_4h_ohlcv.parquet", folder / "hl_funding_hourly.parquet", coins=coins)
    return found.of(coins).between(len(found.opened) - bars, len(found.opened))


@pytest.mark.slow
@pytest.mark.parametrize(("slug", "values"), [("gradient", GRADIENT), ("carry", CARRY)])
def test_the_panels_bars_traded_on_the_emulator_are_the_backtest_of_the_panel(
    slug: str, values: dict[str, Any], tmp_path: Path
) -> None:
    """A venue along real bars: the pod's books are those that a backtest reads off the panel's file."""
    coins = ("BTC", "ETH", "SOL", "DOGE", "AVAX", "LINK")
    bars = panel(coins, HISTORY + 8)
    values = {**values, "coins": coins}
    begin_ns = int(bars.opened[HISTORY]) * MS + HOUR_NS // 2
    with open_journal(tmp_path / "journal.db") as journal:
        pod = opened(slug, values, tmp_path, journal, barred_venue(bars, begin_ns, 3, QUIET))
        pod.run(1_200)
        pass_bars(pod, 6)
        found = parity(journal)
        heard = Heard(journal, journal.sessions()[0], None, [pair.live for pair in found.pairs]).bars()
    assert found.same and len(found.pairs) == 7, [pair.differs for pair in found.pairs]
    np.testing.assert_array_equal(heard.close[:-1], bars.close[: len(heard.close) - 1])
    if slug == "gradient":  # its weights do not depend on what is held: the plain backtest has them, too
        config = config_of(slug, values, tmp_path)
        decided = plan(bars, config).targets
        for pair in found.pairs:
            t = int(np.searchsorted(bars.opened, pair.ns // MS, side="right")) - 2  # decided at that bar's close
            np.testing.assert_allclose([pair.live.weights.get(c, 0.0) for c in coins], decided[t], rtol=0, atol=1e-12)
