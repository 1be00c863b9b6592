"""`slipstream market`: a tape in, a market and a page out; what is wrong is said in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

from slipstream.data.tape.formats import convert
from slipstream.data.tape.scale import Grid as TapeGrid
from slipstream.data.tape.scale import Market
from slipstream.data.tape.terms import Terms
from slipstream.data.tape.writer import TapeWriter
from slipstream.lob.replay.rows import BEST, MORE, ROW_DTYPE, TRADE
from slipstream.processes.market_chapters import apart, figure
from slipstream.processes.market_study import app, one_tape, seen_of
from slipstream.simulation.market.blocks import Estimate
from slipstream.simulation.market.market_file import decode_market
from slipstream.simulation.market.observed import Observed
from slipstream.simulation.market.stylised import measure
from slipstream.simulation.market.terms import Arrivals, FlowTerms, Grid, Makers, Size, Takers, Value
from slipstream.simulation.market.watched_flow import simulate

TERMS = FlowTerms(
    grid=Grid(lot=0.01, decimals=4),
    arrivals=Arrivals(mu=(0.5, 0.5), alpha=((0.5, 0.1), (0.1, 0.5)), beta=((1.5, 1.5), (1.5, 1.5))),
    takers=Takers(size=Size.of_median(400.0, 1.5, 100_000.0), reach=18),
    makers=Makers(levels=20, level_size=20_000.0, parts=3.0, spread=2.0, lag=0.5),
    value=Value(px=200.0, volatility=5e-5),
    step_ns=200_000_000,
)
EPOCH_NS = 1_790_000_000_000_000_000


def rows_of(seen: Observed) -> npt.NDArray[np.void]:
    """Best prices and trades as a tape has them."""
    quotes, prints = seen.quotes, seen.prints
    rows = np.zeros(2 * len(quotes) + len(prints), ROW_DTYPE)
    for start, side, tick, lots in ((0, 1, "bid", "bid_lots"), (1, -1, "ask", "ask_lots")):
        some = rows[: 2 * len(quotes)][start::2]
        some["exch_ns"], some["kind"], some["side"] = quotes["ns"], BEST | (MORE if side > 0 else 0), side
        some["tick"], some["lots"] = quotes[tick], quotes[lots]
    some = rows[2 * len(quotes) :]
    some["exch_ns"], some["kind"] = prints["ns"], TRADE
    for name in ("side", "tick", "lots"):
        some[name] = prints[name]
    rows["exch_ns"] += EPOCH_NS
    rows["local_ns"] = rows["exch_ns"]
    # at one time: trades, then best prices, bid before ask
    return rows[np.lexsort((rows["side"] * -1, (rows["kind"] & ~MORE) == BEST, rows["exch_ns"]))]


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tapes") / "hl_SOL"
    market = Market(venue="hl", coin="SOL", grid=TapeGrid(decimals=4), lot="0.01")
    with TapeWriter(folder, market) as writer:
        writer.append(rows_of(simulate(TERMS, 0.4, 1)))
    return folder


def slipstream(*argv: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(one) for one in argv])
    return done.exit_code, done.output


def test_a_market_is_made_and_a_page_is_written(tape: Path, tmp_path: Path) -> None:
    made, page = tmp_path / "sol.json", tmp_path / "sol.html"
    code, told = slipstream("calibrate", tape, "--out", made, "--rounds", 1, "--hours", 0.2)
    assert code == 0 and "hl_SOL, 24.0 minutes" in told and "market orders a minute" in told, told
    market = decode_market(made.read_bytes(), "sol.json")
    assert market.name == "hl_SOL" and market.terms.grid == TERMS.grid
    code, told = slipstream(
        "facts", "--tape", tape, "--simulate", made, "--hours", 0.3, "--paths", 8, "--out", page, "--seed", 2
    )
    assert code == 0 and "figures of simulated lie apart from hl_SOL's" in told, told
    html = page.read_text()
    for words in ("Where the simulation does not match", "Signature plot", "Large orders, simulated", "Bunching"):
        assert words in html
    assert html.count("<svg") == 2 * 9 and "<script" not in html and "src=" not in html


def test_a_recording_alone_is_measured(tape: Path, tmp_path: Path) -> None:
    page = tmp_path / "alone.html"
    code, told = slipstream("facts", "--tape", tape, "--out", page)
    assert code == 0 and "hl_SOL over 24.0 minutes" in told
    assert "does not match" not in page.read_text()


def test_a_tape_shows_what_the_market_did(tape: Path) -> None:
    seen, truth = seen_of(one_tape(tape)), simulate(TERMS, 0.4, 1)
    assert len(seen.prints) == len(truth.prints)
    assert np.array_equal(seen.quotes["bid"], truth.quotes["bid"]) and np.array_equal(
        seen.quotes["ask"], truth.quotes["ask"]
    )
    assert seen.orders_taken()["lots"].sum() == truth.prints["lots"].sum()


RECORDINGS = Path(__file__).resolve().parents[2] / "../shared/data/hyperliquid_books_2025-09-04"
MEASURED = {  # of the recordings, by an independent program: median and mean spread in bp, ms between quotes, trades
    "SOL": (0.49, 0.55, 119.0, 4_437, 1_834),
    "WLFI": (2.7, 3.0, 148.0, 2_563, 1_064),
}


@pytest.mark.parametrize("coin", MEASURED)
def test_recordings_have_the_figures_that_others_measured(coin: str, tmp_path: Path) -> None:
    if not RECORDINGS.exists():
        pytest.skip("the recordings are not beside this checkout")
    convert(RECORDINGS, tmp_path, Terms(coins=(coin,)), "hyperliquid")
    seen = seen_of(one_tape(tmp_path))
    median, mean, gap, trades, blocks = MEASURED[coin]
    found = measure(seen, np.random.default_rng(1))
    assert found.spread_bp.value[3] == pytest.approx(median, rel=0.02)
    assert found.spread_bp.value[0] == pytest.approx(mean, rel=0.02)
    assert found.quote_ms.value[2] == pytest.approx(gap, rel=0.02)
    assert len(seen.prints) == pytest.approx(trades, rel=0.02)  # those of before the first book are left out
    assert len(np.unique(seen.prints["ns"])) == pytest.approx(blocks, rel=0.02)


def test_what_cannot_be_done_is_said(tape: Path, tmp_path: Path) -> None:
    cases = {
        ("calibrate", tmp_path, "--out", tmp_path / "x.json"): "no tape",
        ("calibrate", tape, "--out", tmp_path / "no" / "x.json"): "there is no folder",
        ("facts", "--tape", tape, "--simulate", tape / "tape.json", "--out", tmp_path / "x.html"): "calibrated market",
    }
    for argv, words in cases.items():
        code, told = slipstream(*argv)
        assert code == 2 and "error: " in told and words in told, told
    code, told = slipstream("facts", "--tape", tape, "--simulate", tmp_path / "none.json", "--out", tmp_path / "x.html")
    assert code == 1 and "none.json: No such file" in told
    assert not list(tmp_path.iterdir())


def test_figures_agree_where_their_intervals_touch() -> None:
    def estimate(value: float, low: float, high: float) -> Estimate:
        return Estimate(np.array([value]), np.array([low]), np.array([high]))

    assert not apart(estimate(1.0, 0.8, 1.2), estimate(1.3, 1.1, 1.5))
    assert apart(estimate(1.0, 0.9, 1.1), estimate(1.3, 1.2, 1.5))
    assert not apart(estimate(1.0, 1.0, 1.0), estimate(1.01, 1.01, 1.01))
    assert [figure(x) for x in (1234.4, 0.123456, float("nan"))] == ["1,234", "0.123", "-"]
