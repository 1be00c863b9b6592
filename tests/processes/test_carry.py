"""Carry end to end: training, backtest with models of the past, and the pod on the emulator beside the backtest."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from slipstream.core.forecast.artefact import Artefact, Linear, decode, encode, sealed
from slipstream.core.forecast.drift import spread_of
from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.model.commands import Report
from slipstream.model.events import Fill
from slipstream.pods import strategy_of
from slipstream.processes.bar_pod import BarPodOptions, bar_pod_parts, plan_bar_pod
from slipstream.processes.carry_backtest import decisions
from slipstream.processes.carry_train import carry as train_carry
from slipstream.processes.parity import parity
from slipstream.research.predictor import TrainTerms, dataset, train
from slipstream.research.synthetic_bars import synthetic_bars
from slipstream.runtime.config import load
from slipstream.runtime.journal import open_journal
from slipstream.runtime.pod import Pod
from slipstream.runtime.replay import replay
from slipstream.strategies.carry.config import CarryConfig
from slipstream.strategies.registry import find
from slipstream.venues.emulator.serve import ServeOptions, running_venue

HOUR_NS = 3_600_000_000_000
COINS = ("BTC", "ETH", "SOL", "DOGE")
SMALL = {"signal": {"window": 10, "horizon_hours": 8, "price_spans": [2, 8], "funding_spans": [1, 6]}}
LIVE = """
version: 1
coins: [BTC, ETH, SOL, DOGE]
artefact: {folder}/model.json
signal:
  {{bar_hours: 1, horizon_hours: 1, window: 20, price_spans: [2], funding_spans: [1], vol_span: 8, warm_up_bars: 1}}
book: {{max_coin_weight: 0.5, max_share: 1.0, trade_usd: 100, risk_aversion: 0.01, fee: 0, half_spread: 0, impact: 0}}
drift: {{psi_halt: 1000, shift_halt: 1000000}}
trade:
  {{capital: 20000, rebalance_hours: 1, offset_minutes: 10, passive_minutes: 5, deadline_minutes: 9, min_trade_usd: 11}}
"""


def bars_of(days: int = 60, seed: int = 2) -> Bars:
    return synthetic_bars(np.random.default_rng(seed), coins=8, days=days)


def test_a_model_learns_what_is_there_and_says_so() -> None:
    """Made-up funding follows a slow drift: its averages forecast it; noise is not forecast by anything."""
    spec = CarryConfig.model_validate(SMALL).spec()
    bars = bars_of(90)
    found = train(bars, spec, TrainTerms(), np.random.default_rng(1))
    assert found.metrics["funding_r2"] > 0.5 > 0.3 > found.metrics["price_r2"]  # type: ignore[operator]
    assert found.metrics["funding_r2_low"] < found.metrics["funding_r2"] < found.metrics["funding_r2_high"]  # type: ignore[operator]
    assert decode(encode(found), "m", spec) == found and found.trained_to_ms == int(bars.opened[-1]) + 4 * HOUR_MS
    assert train(bars, spec, TrainTerms(), np.random.default_rng(1)) == found
    rng = np.random.default_rng(4)
    assert bars.funding is not None
    noise = msgspec.structs.replace(bars, funding=rng.permutation(bars.funding.ravel()).reshape(bars.funding.shape))
    nothing = train(noise, spec, TrainTerms(), np.random.default_rng(1))
    assert abs(nothing.metrics["funding_r2"]) < 0.05 and not nothing.price.used  # type: ignore[arg-type]


def test_training_reads_nothing_of_the_future() -> None:
    spec, bars = CarryConfig.model_validate(SMALL).spec(), bars_of(40)
    data = dataset(bars, spec)
    early = dataset(bars.until(180), spec)
    for name in ("price_features", "funding_features"):
        np.testing.assert_array_equal(getattr(data, name)[:, :180], getattr(early, name))
    known = data.known_at(179, spec.width)
    for name in ("price", "paid"):
        np.testing.assert_allclose(getattr(known, name), getattr(early, name), rtol=1e-12)


def test_what_is_decided_at_a_close_is_not_changed_by_later_bars() -> None:
    settings = CarryConfig.model_validate({**SMALL, "trade": {"rebalance_hours": 4}})
    bars = bars_of(70)
    plan = decisions(bars, settings)
    # models are retrained by count of bars from the first 40 % on: the same beginning needs the same length
    changed = {n: np.array(getattr(bars, n)) for n in ("open", "close", "volume_usd", "funding")}
    for table in changed.values():
        table[300:] *= 1.5
    later = decisions(msgspec.structs.replace(bars, **changed), settings)
    early = [t for t in plan.targets if t < 300]
    assert len(early) > 20 and early == [t for t in later.targets if t < 300]
    for t in early:
        np.testing.assert_array_equal(plan.targets[t], later.targets[t])


def test_the_command_trains_writes_and_refuses(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(train_carry)
    words = ["--demo", "--output", str(tmp_path / "m" / "model.json"), "--set", "signal.window=10"]
    (tmp_path / "c.yml").write_text("version: 1\nsignal: {horizon_hours: 8, bar_hours: 8}\n")
    done = CliRunner().invoke(app, [*words, "--config", str(tmp_path / "c.yml"), "--valid-until", "2030-01-01"])
    assert done.exit_code == 0, done.output
    assert "R²" in done.output and "price model is" in done.output and "ends 2030-01-01" in done.output
    made = decode((tmp_path / "m" / "model.json").read_bytes(), "m")
    assert made.spec.window == 10 and made.config["demo"] is True
    for wrong, said in (
        ([], "no market"),
        (["--demo", "--price", "maybe"], "give auto, always, never"),
        (["--demo", "--set", "signal.horizon_hours=7"], "not a whole number of bars"),
        (["--bars", str(tmp_path / "none.csv")], "none.csv"),
        ([*words, "--config", str(tmp_path / "c.yml"), "--valid-until", "soon"], "give a date"),
        ([*words, "--config", str(tmp_path / "c.yml"), "--valid-until", "2000-01-01"], "later than that"),
    ):
        bad = CliRunner().invoke(app, wrong)
        assert bad.exit_code == 2 and said in bad.output and "Traceback" not in bad.output, bad.output


# ---- the pod ------------------------------------------------------------------------------------------------------


def live_model(settings: CarryConfig, until_ms: int) -> Artefact:
    """Follows the momentum and the last rate, far more than anybody should: the emulator's coins differ little."""
    spec, rng = settings.spec(), np.random.default_rng(1)
    return sealed(
        Artefact(
            version=1,
            spec=spec,
            spec_hash=spec.hash,
            price=Linear((0.01,), 0.0),
            funding=Linear((1.0,), 0.0),
            trained_from_ms=0,
            trained_to_ms=1,
            valid_until_ms=until_ms,
            data_hash="",
            config={},
            metrics={},
            spreads={name: spread_of(rng.normal(0, 1, 400)) for name in (*spec.names, "error_funding")},
        )
    )


async def live(folder: Path, url: str, seconds: float) -> None:
    options = BarPodOptions(config=folder / "carry.yml", slug="carry", hl_url=url, state_dir=folder / "state")
    async with bar_pod_parts(plan_bar_pod(find("carry"), options, {}, folder)) as parts:
        running = Pod(replace(parts, handle_signals=False, say=lambda _: None))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(running.run())
            await asyncio.sleep(seconds)  # wall time: the venue's clock runs by it
            running.stop("enough")
            outcome = await task
        assert outcome.error is None, outcome.error


def noted(rows: list[Any], text: str) -> list[tuple[int, dict[str, Any]]]:
    """The notes of a text, and the row that each came with."""
    return [
        (row, command.body)
        for row, _, commands in rows
        for command in commands
        if isinstance(command, Report) and command.topic == "note" and command.body.get("text") == text
    ]


@pytest.mark.slow
async def test_the_pod_orders_what_the_backtest_orders_and_replays(tmp_path: Path) -> None:
    (tmp_path / "carry.yml").write_text(LIVE.format(folder=tmp_path))
    settings = load(tmp_path / "carry.yml", CarryConfig, env={})
    (tmp_path / "model.json").write_bytes(encode(live_model(settings, 10**14)))
    begin_ns = 497_500 * HOUR_NS + 20 * 60 * 10**9  # twenty past: what falls due in 80 minutes is the same in each run
    options = ServeOptions(port=0, seed=3, speed=600.0, coins=COINS, start_ns=begin_ns)
    async with running_venue(options) as venue:
        async with asyncio.timeout(60):
            await live(tmp_path, venue.url, 8.0)
            await live(tmp_path, venue.url, 3.0)
        (account,) = [one for one in venue.exchange.accounts.values() if one.fills]
        theirs = {(fill.tid, fill.oid) for fill in account.fills}
    with open_journal(tmp_path / "state" / "journal.db") as journal:
        rows = list(journal.read(0))
        verdict = replay(journal, strategy_of)
        found = parity(journal)
    assert {(event.tid, event.oid) for _, event, _ in rows if isinstance(event, Fill)} == theirs
    assert verdict.sessions == 2 and verdict.identical, verdict.difference
    assert noted(rows, "rebalance") and len(found.pairs) == len(noted(rows, "rebalance"))
    # by the wall's clock bars may come after a rebalance that went without them; the first waits for all of history
    first = next(pair for pair in found.pairs if pair.live.weights)
    assert not first.differs, first.differs


async def test_a_stale_model_trades_nothing_on_the_venue(tmp_path: Path) -> None:
    (tmp_path / "carry.yml").write_text(LIVE.format(folder=tmp_path))
    settings = load(tmp_path / "carry.yml", CarryConfig, env={})
    (tmp_path / "model.json").write_bytes(encode(live_model(settings, 2)))
    async with running_venue(ServeOptions(port=0, seed=3, speed=600.0, coins=COINS)) as venue:
        async with asyncio.timeout(40):
            await live(tmp_path, venue.url, 3.0)
        assert not any(one.fills for one in venue.exchange.accounts.values())
    with open_journal(tmp_path / "state" / "journal.db") as journal:
        said = noted(list(journal.read(0)), "the model is refused: positions are only reduced")
    assert said and "the model ended" in said[0][1]["field.why"]
