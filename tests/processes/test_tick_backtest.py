"""Brawler and the naive maker over small tapes: money adds up, nothing is assumed unsaid, nothing wrong is run."""

from pathlib import Path

import numpy as np
import pytest
import typer
from msgspec.structs import replace
from typer.testing import CliRunner

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.reader import open_tape
from slipstream.data.tape.touch import touch_tape
from slipstream.data.tape.writer import TapeWriter
from slipstream.lob.replay.delay import CONSTANT, LOGNORMAL, TABLE
from slipstream.lob.replay.rows import BEST, KIND, TRADE
from slipstream.model.errors import ConfigError
from slipstream.processes.backtest import backtest as command
from slipstream.processes.tick_backtest import backtest, backtest_naive
from slipstream.processes.tick_terms import TickTerms, fees_of, latency_of, queue_of, stated
from slipstream.simulation.tick.settled import Settlement, settled
from slipstream.simulation.tick.split import split
from tests.processes.ticks import SECOND, START, request, tape
from tests.simulation.tick.made import told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tape(tmp_path_factory.mktemp("tapes"))


def test_money_adds_up_and_a_run_is_the_same_twice(folder: Path) -> None:
    for run in (backtest, backtest_naive):
        record = run(request(folder), quiet=True)
        (part,) = split(record.told, 3)
        assert record.told.fills.count > 5, run
        assert record.equity[-1] - record.capital == pytest.approx(part.total, abs=1e-9)
        assert record.costs["fee"].sum() == pytest.approx(record.told.fills.fee.sum(), abs=1e-9)
        again = run(request(folder), quiet=True)
        assert np.array_equal(record.equity, again.equity) and np.array_equal(record.stamps, again.stamps)
        assert any("docs/fills.md" in line for line in record.assumptions)


def test_the_pods_own_kernel_runs_on_the_same_tapes(folder: Path) -> None:
    asked = replace(request(folder), kernel=True, hours=0.02)
    record = backtest(asked, quiet=True)
    assert "the pod's own kernel" in record.assumptions[0] and record.told.requests.kind.size > 0
    assert record.stamps[-1] <= (START + 73 * SECOND) // 1_000_000


def test_a_parameter_reaches_the_symbol_that_has_its_own(folder: Path) -> None:
    """The compiled form, the pod's kernel and the naive maker trade alike whoever gave the width, and it is said."""
    plain = request(folder)
    assert plain.config is not None
    own = plain.config.with_name("own.yml")
    own.write_text(plain.config.read_text().replace("max_inventory: 0.2", "max_inventory: 0.2, base_spread: 0.01"))
    wide = replace(plain, config=own)
    for run, changes in ((backtest, {}), (backtest, {"kernel": True, "hours": 0.02}), (backtest_naive, {})):
        wanted = run(replace(plain, **changes), quiet=True)
        alone = run(replace(wide, **changes), quiet=True)
        assert not np.array_equal(alone.equity, wanted.equity) and not any("replaces" in x for x in alone.assumptions)
        for key in ("base_spread", "symbols.ETH.base_spread"):
            found = run(replace(wide, **changes, overrides={key: 0.0004}), quiet=True)
            assert np.array_equal(found.equity, wanted.equity), (run, key)
            said = [line for line in found.assumptions if line.endswith("replaces what the config says of ETH (0.01)")]
            assert len(said) == (key == "base_spread")


def test_funding_of_a_file_is_settled_on_what_was_held(folder: Path, tmp_path: Path) -> None:
    plain = backtest_naive(request(folder), quiet=True)
    hour = START + 60 * SECOND
    rates = tmp_path / "funding.csv"
    rates.write_text(f"coin,ts,rate\nETH,{hour // 1_000_000},0.01\n")
    paid = backtest_naive(request(folder, funding=str(rates)), quiet=True)
    f, seen = plain.told.fills, plain.told.samples
    held = float((f.side * f.size)[f.exch_ns < hour].sum())
    assert held != 0.0
    mid = float(seen.mid[np.searchsorted(seen.ns, hour, side="right") - 1, 0])
    assert paid.funding.sum() == pytest.approx(-held * mid * 0.01)
    assert paid.equity[-1] - plain.equity[-1] == pytest.approx(paid.funding.sum())
    rates.write_text(f"coin,ts,rate\nETH,{hour // 1_000_000 + 3_600_000},0.01\n")
    with pytest.raises(ConfigError, match=r"no rate of ETH at .*, within the tapes"):
        backtest_naive(request(folder, funding=str(rates)), quiet=True)


def test_settlements_outside_a_run_change_nothing() -> None:
    run = told(3, 50, 2, seconds=60)
    ns = run.samples.ns
    inside = Settlement("C1", int(ns[30]), 0.001)
    outside = [
        Settlement("C1", int(ns[0]), 1.0),
        Settlement("C1", int(ns[-1]) + 1, 1.0),
        Settlement("X", int(ns[9]), 1.0),
    ]
    once = settled(run, [inside, *outside])
    changed = once.samples.funding - run.samples.funding
    assert not changed[:, 0].any() and not changed[:30, 1].any() and (changed[30:, 1] == changed[30, 1]).all()


@pytest.mark.parametrize(
    ("ticks", "why"),
    [
        ({"funding": ""}, "--funding none"),
        ({"funding": "tape"}, "has no FUNDING row"),
        ({"anchor": ""}, "no anchor: give --anchor"),
        ({"anchor": "self:x"}, "write self:LEAD_MS"),
        ({"anchor": "self:-5"}, "write self:LEAD_MS"),
        ({"queue": "fifo"}, "--queue fifo: choose one of"),
        ({"queue": "log:2"}, "--queue log:2: choose one of"),
        ({"queue": "exact"}, "--queue exact: choose one of"),
        ({"latency": "soon"}, "--latency soon: these are no times; write ms"),
        ({"latency": "nan"}, "--latency nan: these are no times"),
        ({"latency": "80:40:20"}, "these are no times"),
        ({"latency": "gone.csv"}, "--latency gone.csv: No such file"),
        ({"block_ms": 1e12}, "--block-ms 1e.12: a block lasts 60000 ms at most"),
        ({"block_ms": float("inf")}, "--block-ms inf"),
        ({"fees": "cheap"}, "--fees cheap"),
        ({"tapes": ()}, "no tape"),
        ({"clock": "late"}, "--clock late"),
    ],
)
def test_what_cannot_be_is_refused_in_words(folder: Path, ticks: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        backtest(request(folder, **ticks), quiet=True)


def test_options_without_a_meaning_are_refused(folder: Path) -> None:
    for changes in ({"demo": True}, {"half_spread": 0.1}, {"hours": 5.0}, {"capital": float("inf")}):
        with pytest.raises(ConfigError):
            backtest(replace(request(folder), **changes), quiet=True)
    for ticks, why in (
        ({"queue": "log"}, "--queue has no meaning with --simulate"),
        ({"partial": False}, "--whole has no meaning"),
        ({"impact": True}, "--own-impact has no meaning"),
        ({"simulate": float("inf")}, "--simulate inf: give hours"),
    ):
        asked = request(folder, **{"tapes": (), "simulate": 0.1, "anchor": "", "funding": ""} | ticks)
        with pytest.raises(ConfigError, match=why):
            backtest(asked, quiet=True)


def test_a_tape_without_trades_and_an_anchor_of_a_part_of_the_time_are_said(folder: Path, tmp_path: Path) -> None:
    whole = open_tape(folder / "hl_ETH")
    rows = np.concatenate([np.array(chunk) for chunk in whole.chunks()])
    with TapeWriter(tmp_path / "hl_ETH", whole.header.market) as writer:
        writer.append(rows[rows["kind"] & KIND != TRADE])
    anchor = tape(tmp_path / "anchor", "ETHUSDT", seconds=20, venue="binance")
    asked = replace(request(tmp_path / "hl_ETH"), config=request(folder).config)
    asked = replace(asked, tick=TickTerms(tapes=(tmp_path / "hl_ETH",), anchor=str(anchor), funding="none"))
    found = " ".join(backtest(asked, quiet=True).findings)
    assert "hl_ETH HAS NO TRADES" in found and "ONLY 0.006 OF 0.050 HOURS ARE COMMON" in found
    short = replace(asked.tick, anchor=str(tape(tmp_path / "empty", "ETHUSDT", seconds=0, venue="binance")))
    with pytest.raises(ConfigError, match="binance_ETHUSDT: no row in it"):
        backtest(replace(asked, tick=short), quiet=True)
    clean = " ".join(backtest(request(folder), quiet=True).findings)
    assert "HAS NO TRADES" not in clean and "ARE COMMON" not in clean


def test_a_lead_is_said_in_capitals_and_none_is_not() -> None:
    ahead = " ".join(stated(TickTerms(anchor="self:250", funding="none")))
    assert "LOOKS INTO THE FUTURE" in ahead and "250 MS" in ahead
    assert "FUTURE" not in " ".join(stated(TickTerms(anchor="self:0", funding="none")))


def test_words_of_latency_queue_and_fees(tmp_path: Path) -> None:
    entry, response = latency_of("80:40", 1)
    assert (entry.kind, entry.a, response.a) == (CONSTANT, 80e6, 40e6)
    assert latency_of("lognormal:90:0.3", 1)[0].kind == LOGNORMAL
    table = tmp_path / "measured.csv"
    table.write_text("request_ns,entry_ns,response_ns\n1000,5,6\n2000,7,8\n")
    assert latency_of(str(table), 1)[0].kind == TABLE
    table.write_text("request_ns,entry_ns,response_ns\n1000,5,6\n2000,x,8\n")
    with pytest.raises(ConfigError, match="row 3"):
        latency_of(str(table), 1)
    assert queue_of("risk-averse") == ("risk_averse", 3.0) and queue_of("power2:1.5") == ("power2", 1.5)
    flat, none = fees_of("0.0001:0.0004")
    assert (flat.tiers[0].maker, flat.tiers[0].taker, none) == (0.0001, 0.0004, 0.0)
    assert fees_of("tier:6e6")[1] == 6e6


def test_the_touch_of_a_tape_is_its_best_prices_so_much_earlier(folder: Path, tmp_path: Path) -> None:
    home = open_tape(folder / "hl_ETH")
    led = touch_tape(home, tmp_path / "led", 250_000_000)
    theirs, ours = home.rows[(home.rows["kind"] & KIND) == BEST], led.rows
    moved = np.flatnonzero(np.diff(theirs["tick"][::2], prepend=-1))
    assert ours["tick"][::2].tolist() == theirs["tick"][::2][moved].tolist()
    assert (theirs["exch_ns"][::2][moved] - ours["exch_ns"][::2]).tolist() == [250_000_000] * moved.size
    with pytest.raises(TapeError, match="would be a lag"):
        touch_tape(home, tmp_path / "lag", -1)


def test_the_command_writes_the_report_with_its_chapters(folder: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command)
    config = request(folder).config
    words = ["brawler", "--tape", str(folder), "--anchor", "self:250", "--funding", "none"]
    words += ["--config", str(config), "--against", "symmetric", "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "report.html").read_text()
    for title in ("Orders, queues and fills", "Quotes and inventory", "Beside others"):
        assert f"<h2>{title}</h2>" in page
    assert "THE ANCHOR LOOKS INTO THE FUTURE" in page
    wrong = CliRunner().invoke(app, ["gradient", "--tape", str(folder)])
    assert wrong.exit_code == 2 and "trades on bars" in wrong.output
    lost = CliRunner().invoke(app, ["brawler", "--demo", "--queue", "log"])
    assert lost.exit_code == 2 and "--queue has no meaning without --tape" in lost.output


def test_a_market_that_reacts_settles_its_own_and_takes_no_anchor(folder: Path) -> None:
    asked = replace(request(folder), tick=TickTerms(simulate=0.05, latency="50"), seed=3)
    record = backtest_naive(asked, quiet=True)
    (part,) = split(record.told, 3)
    assert record.equity[-1] - record.capital == pytest.approx(part.total, abs=1e-9)
    assert record.told.requests.kind.size > 0 and record.told.hours == pytest.approx(0.05, rel=0.02)
    assert "simulated market" in record.assumptions[1]
    with pytest.raises(ConfigError, match="no --anchor"):
        backtest(replace(request(folder), tick=TickTerms(simulate=0.05, anchor="self:0")), quiet=True)
    with pytest.raises(ConfigError, match="settles its own"):
        backtest(replace(request(folder), tick=TickTerms(simulate=0.05, funding="f.csv")), quiet=True)
