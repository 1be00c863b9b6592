"""`slipstream costs`: every source of the same books gives the same costs, and too little data gives none."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import pytest
from typer.testing import CliRunner

from slipstream.core.costs.calibrated import Calibrated, decode
from slipstream.data.lake import Lake
from slipstream.data.recorder.envelope import line
from slipstream.data.recorder.folder import Folder
from slipstream.data.recorder.tables import compact
from slipstream.processes.costs import app

START_MS = 1_741_683_600_000
LAWS = {"AAA": (1e-4, 4e-7), "BBB": (4e-4, 3e-6)}  # half spread, impact per sqrt(USD)
RECORDED = Path(__file__).resolve().parents[2] / "../shared/data/hyperliquid_books_2025-09-04"


def book(coin: str, ms: int) -> dict[str, Any]:
    """20 levels whose mean cost is the coin's law, the mid moving; sizes breathe from book to book."""
    spread, impact = LAWS[coin]
    rng = np.random.default_rng([ms % 2**31, len(coin)])
    mid = 100.0 * (1.0 + 0.001 * float(np.sin(ms / 1e5)))
    edges = np.concatenate([[0.0], np.geomspace(500.0, 400_000.0, 20)])
    root = impact * float(rng.uniform(0.8, 1.2))
    # what a taker pays beyond the mid up to each edge, so that the mean to that edge follows the law
    paid = edges * (spread + root * np.sqrt(edges))
    at = np.diff(paid) / np.diff(edges)
    usd = np.diff(edges)
    bids = [(mid * (1.0 - x), u / (mid * (1.0 - x))) for x, u in zip(at, usd, strict=True)]
    asks = [(mid * (1.0 + x), u / (mid * (1.0 + x))) for x, u in zip(at, usd, strict=True)]
    sides = [[{"px": f"{px:.10f}", "sz": f"{sz:.10f}", "n": 1} for px, sz in side] for side in (bids, asks)]
    return {"coin": coin, "time": ms, "levels": sides}


@lru_cache
def frames(minutes: int = 20) -> list[tuple[int, str, bytes]]:
    """(ms, coin, l2Book frame) every 5 s."""
    out = []
    for k in range(minutes * 12):
        for coin in LAWS:
            ms = START_MS + 5_000 * k
            out.append((ms, coin, json.dumps({"channel": "l2Book", "data": book(coin, ms)}).encode()))
    return out


def lines(coin: str = "", minutes: int = 20) -> bytes:
    return b"".join(line(ms * 1_000_000, raw) for ms, name, raw in frames(minutes) if coin in ("", name))


def table(coin: str) -> str:
    head = [f"{side}_{what}_{k}" for k in range(20) for side in ("bid", "ask") for what in ("price", "size")]
    rows = [",".join(["timestamp", "exchange_timestamp", *head])]
    for ms, name, raw in frames():
        if name == coin:
            bids, asks = json.loads(raw)["data"]["levels"]
            cells = [x for b, a in zip(bids, asks, strict=True) for x in (b["px"], b["sz"], a["px"], a["sz"])]
            rows.append(",".join([str(ms / 1000), str(ms), *cells]))
    return "\n".join(rows) + "\n"


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["calibrate", "--largest-usd", "200000", *words])


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The same books as a recording, a lake, archive objects, plain lines and tables."""
    root = tmp_path_factory.mktemp("books")
    (root / "archive").mkdir()
    for coin in LAWS:
        (root / "archive" / f"{coin}.lz4").write_bytes(lz4.frame.compress(lines(coin)))
        with gzip.open(root / f"orderbooks_{coin}.csv.gz", "wt") as file:
            file.write(table(coin))
    (root / "all.jsonl").write_bytes(lines())
    for name in ("recording", "again"):
        with Folder(root / name, {"hl": {}}) as folder:
            for ms, _, raw in frames():
                folder.frame("hl", ms * 1_000_000, raw)
    compact(root / "again", root / "lake")
    Lake(root / "lake").adopt(1, source="recorder")
    return {
        "recording": ["--hl-pattern", f"{root}/recording/hl/**/*.jsonl.zst"],
        "lake": ["--lake", str(root / "lake")],
        "archive": ["--hl-pattern", f"{root}/archive/{{symbol}}.lz4", "--coins", "AAA,BBB"],
        "lines": ["--hl-pattern", f"{root}/all.jsonl"],
        "tables": ["--hl-pattern", f"{root}/orderbooks_*.csv.gz"],
    }


def found(words: list[str], to: Path) -> Calibrated:
    result = run(*words, "-o", str(to))
    assert result.exit_code == 0, result.output
    return decode(to.read_bytes(), "test")


@pytest.mark.parametrize("source", ["recording", "lake", "archive", "tables"])
def test_every_source_of_the_same_books_gives_the_same_costs(
    source: str, places: dict[str, list[str]], tmp_path: Path
) -> None:
    plain, other = found(places["lines"], tmp_path / "plain.json"), found(places[source], tmp_path / "other.json")
    assert plain.coins.keys() == other.coins.keys() == LAWS.keys()
    for coin, one in plain.coins.items():
        twin = other.coins[coin]
        assert (twin.half_spread, twin.impact) == pytest.approx((one.half_spread, one.impact), rel=1e-9)
        assert (twin.books, twin.minutes, twin.impact_high) == (one.books, one.minutes, pytest.approx(one.impact_high))


def test_the_law_is_found_within_its_interval(places: dict[str, list[str]], tmp_path: Path) -> None:
    costs = found(places["lines"], tmp_path / "costs.json")
    for coin, (spread, impact) in LAWS.items():
        one = costs.coins[coin]
        assert one.half_spread == pytest.approx(spread, rel=0.03)
        assert one.impact_low < impact < one.impact_high < 1.2 * one.impact_low
        assert one.rms < 0.05 and one.r2 > 0.98 and one.exponent == pytest.approx(0.5, abs=0.1)
        assert one.books == 240 and one.minutes == 20.0
        assert float(costs.model().of(coin).bps(1e4)) == pytest.approx(4.5 + one.bps(1e4))


def test_the_page_and_the_table_show_every_coin(places: dict[str, list[str]], tmp_path: Path) -> None:
    result = run(*places["lines"], "-o", str(tmp_path / "c.json"), "--html", str(tmp_path / "c.html"))
    page = (tmp_path / "c.html").read_text()
    assert all(coin in result.output and coin in page for coin in LAWS)
    assert page.count("<svg") == 2 * len(LAWS) and "less than a day of books" in result.output
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "c.json")])
    assert shown.exit_code == 0 and "half spread" in shown.output


def test_too_little_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "short.jsonl").write_bytes(lines(minutes=5))
    out = tmp_path / "costs.json"
    few = run("--hl-pattern", f"{tmp_path}/short.jsonl", "-o", str(out))
    assert few.exit_code == 2 and "AAA: 60 sound books of 60, 100 are needed" in few.output
    short = run("--hl-pattern", f"{tmp_path}/short.jsonl", "-o", str(out), "--least-books", "10")
    assert short.exit_code == 2 and "books of 5 minutes, 15 are needed" in short.output
    assert not out.exists()


def test_a_coin_that_has_too_little_is_left_out_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines("AAA"))
    (tmp_path / "b.jsonl").write_bytes(lines("BBB", minutes=5))
    words = ("--hl-pattern", f"{tmp_path}/*.jsonl", "-o", str(tmp_path / "costs.json"))
    stopped = run(*words)
    assert stopped.exit_code == 2 and "--skip leaves such coins out" in stopped.output
    skipped = run(*words, "--skip")
    assert skipped.exit_code == 1 and "BBB: 60 sound books" in skipped.output
    assert list(decode((tmp_path / "costs.json").read_bytes(), "x").coins) == ["AAA"]


def test_lines_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines("AAA") + b"{nonsense\n")
    result = run("--hl-pattern", f"{tmp_path}/a.jsonl", "-o", str(tmp_path / "costs.json"))
    assert result.exit_code == 1 and "a.jsonl:241: not an envelope" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give --lake DIR or --hl-pattern GLOB"),
        (("--hl-pattern", "{root}/none*.jsonl"), "no such file"),
        (("--hl-pattern", "{root}/{{symbol}}.jsonl"), "name them with --coins"),
        (("--hl-pattern", "{root}/x.txt"), "no file of books; endings known are"),
        (("--hl-pattern", "{root}/x.csv"), "not a table of books: it needs exchange_timestamp"),
        (("--hl-pattern", "{root}/a.jsonl", "--coins", "AAA,CCC"), "no books of CCC"),
        (("--lake", "{root}/lake"), "no books of any coin of venue hl"),
        (("--hl-pattern", "{root}/a.jsonl", "--smallest-usd", "0"), "needs 0 < smallest < largest"),
        (("--hl-pattern", "{root}/a.jsonl", "--smallest-usd", "1e9", "--largest-usd", "1e10"), "ask for smaller"),
    ],
)
def test_bad_input_is_told_what_to_mend(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.jsonl").write_bytes(lines("AAA", minutes=16))
    result = run(*(word.format(root=tmp_path) for word in words), "-o", str(tmp_path / "costs.json"))
    assert result.exit_code == 2 and said in result.output, result.output


def test_real_books_rank_by_what_they_cost(tmp_path: Path) -> None:
    if not RECORDED.exists():
        pytest.skip("the book recordings are not on this machine")
    words = ["--hl-pattern", f"{RECORDED}/orderbooks_{{symbol}}.csv.gz", "--coins", "SOL,WLFI", "--every", "20"]
    costs = found(words, tmp_path / "costs.json").coins
    sol, wlfi = costs["SOL"], costs["WLFI"]
    assert sol.half_spread_high < wlfi.half_spread_low and sol.impact_high < wlfi.impact_low
    assert max(sol.rms, wlfi.rms) < 0.1 and sol.minutes > 30.0
