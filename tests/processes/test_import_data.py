from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from slipstream.data.lake import Lake, Query
from slipstream.data.recorder.tables import Part
from slipstream.processes import import_data as command

ROWS = "ts,open,high,low,close,volume\n" + "".join(
    f"{1735689600000 + n * 3_600_000},1.5,2,1,1.5,{10 if n else 0}\n" for n in range(30) if n != 7
)


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command("import")(command.import_files)
    made.add_typer(command.app, name="lake")
    return made


def run(app: typer.Typer, *words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_files_whose_names_tell_the_coin(app: typer.Typer, tmp_path: Path) -> None:
    for coin in ("BTC", "ETH"):
        (tmp_path / f"{coin}_USDT-1h.csv").write_text(ROWS)
    files, lake = sorted(tmp_path.glob("*.csv")), tmp_path / "lake"
    words = ("import", *files, "--pattern", "{coin}_USDT-1h.csv", "--venue", "binance", "--lake", lake)
    done = run(app, *words)
    assert done.exit_code == 0, done.output
    assert "2 series: 56 rows new, 0 there already, 0 revised, 2 dropped" in done.output
    assert "binance bars_1h BTC: 1 back-fill (dropped), 2025-01-01 00:00:00" in done.output
    assert "binance bars_1h ETH: 1 gap (missing), 2025-01-01 07:00:00" in done.output
    assert "0 rows new, 56 there already" in run(app, *words).output
    assert Lake(lake).coins("binance", "bars_1h") == ("BTC", "ETH")
    found = [json.loads(line) for line in (lake / "quality.jsonl").read_text().splitlines()]
    assert [one["coin"] for one in found[:2]] == ["BTC", "ETH"] and found[0]["findings"][0]["kind"] == "back-fill"
    checked = run(app, "lake", "check", "--lake", lake)
    assert checked.output.count("1 gap (missing), 2025-01-01 07:00:00") == 2 and checked.exit_code == 0
    assert "2 series, 2 with findings" in checked.output
    shown = run(app, "lake", "show", "--lake", lake)
    assert shown.exit_code == 0 and "binance" in shown.output and "56" in shown.output


def test_bars_that_are_stamped_by_their_close(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(ROWS)
    done = run(app, "import", tmp_path / "x.csv", "--coin", "BTC", "--stamped", "close", "--lake", tmp_path / "lake")
    assert done.exit_code == 0, done.output
    frame = Lake(tmp_path / "lake").frame(Query(venue="hl", stream="bars_1h"))
    assert frame["open_ns"].iloc[0] == 1_735_689_600_000_000_000  # the dropped one opened an hour before


def test_a_folder_is_a_panel(app: typer.Typer, tmp_path: Path) -> None:
    import pandas as pd

    (tmp_path / "x.csv").write_text(ROWS)
    bars = pd.read_csv(tmp_path / "x.csv").assign(coin="BTC")
    bars.to_parquet(tmp_path / "hl_1h_ohlcv.parquet")
    bars.assign(rate=1e-5)[["coin", "ts", "rate"]].to_parquet(tmp_path / "hl_funding_hourly.parquet")
    done = run(app, "import", tmp_path, "--lake", tmp_path / "lake")
    assert done.exit_code == 0 and "2 series: 57 rows new" in done.output, done.output
    assert Lake(tmp_path / "lake").streams() == (("hl", "bars_1h"), ("hl", "funding"))


def test_bad_input_is_one_line_and_changes_nothing(app: typer.Typer, tmp_path: Path) -> None:
    path, lake = tmp_path / "x.csv", tmp_path / "lake"
    path.write_text(ROWS)
    (tmp_path / "empty").mkdir()
    for words, text in (
        ((path,), "no column coin"),
        ((path, "--coin", "../x"), "cannot name a folder"),
        ((path, "--coin", "A", "--pattern", "{coin}.csv"), "both name the coin"),
        ((path, "--pattern", "{coin}-1h.csv"), "does not fit the pattern"),
        ((path, "--coin", "A", "--interval", "7h"), "interval '7h' is not kept"),
        ((path, "--coin", "A", "--unit", "s"), "is it in another unit"),
        ((path, "--coin", "A", "--stream", "funding"), "no column for rate"),
        ((path, "--coin", "A", "--strict"), "1 rows would be dropped"),
        ((path, "--coin", "A", "--venue", "h/l"), "--venue 'h/l' cannot name a folder"),
        ((tmp_path / "empty",), "no panel there"),
    ):
        done = run(app, "import", *words, "--lake", lake)
        assert done.exit_code == 2 and done.output.count("\n") == 1, (words, done.output)
        assert text in done.output, done.output
    assert not list(lake.rglob("*.parquet"))


def test_verify_and_adopt(app: typer.Typer, tmp_path: Path) -> None:
    part = Part(tmp_path, ("hl", "bbo", "BTC", "2025-01-01"), "segment")
    part.rows = [(1, 2, 99.0, 1.0, 101.0, 2.0)]
    part.close()
    assert run(app, "lake", "adopt", "--lake", tmp_path).output.startswith("1 files adopted")
    good = run(app, "lake", "verify", "--lake", tmp_path)
    assert (good.exit_code, good.output) == (0, "1 files, 0 damaged\n")
    (file,) = tmp_path.rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-9])
    bad = run(app, "lake", "verify", "--lake", tmp_path)
    assert bad.exit_code == 1 and "segment.parquet: " in bad.output and "1 files, 1 damaged" in bad.output
    mended = run(app, "lake", "verify", "--mend", "--lake", tmp_path)
    assert mended.exit_code == 0 and "count no longer" in mended.output
    assert run(app, "lake", "verify", "--lake", tmp_path).output == "0 files, 0 damaged\n"
    assert run(app, "lake", "adopt", "--lake", tmp_path).output.startswith("0 files adopted")
    assert [path.name for path in tmp_path.rglob("segment*")] == ["segment.parquet.damaged"]


def test_funding_of_the_lake_goes_where_the_candidate_scan_reads_it(app: typer.Typer, tmp_path: Path) -> None:
    import pandas as pd

    from slipstream.data.bars import read_bars
    from slipstream.data.recorder.samples import FUNDING, check_rates, read_samples

    path, lake = tmp_path / "x.csv", tmp_path / "lake"
    path.write_text(ROWS)
    bars = pd.read_csv(path)
    rates = pd.concat([bars.assign(coin=coin, rate=1e-5)[["coin", "ts", "rate"]] for coin in ("BTC", "kPEPE")])
    rates.to_csv(tmp_path / "f.csv", index=False)
    assert run(app, "import", tmp_path / "f.csv", "--stream", "funding", "--lake", lake).exit_code == 0
    done = run(app, "lake", "export", tmp_path / "funding" / "{symbol}_{cex_lower}.csv", "--lake", lake)
    assert done.exit_code == 0 and "kPEPE_1000pepeusdt.csv: 29 rows" in done.output, done.output
    assert sorted(one.name for one in (tmp_path / "funding").iterdir()) == ["BTC_btcusdt.csv", "kPEPE_1000pepeusdt.csv"]
    samples = read_samples(tmp_path / "funding" / "BTC_btcusdt.csv", FUNDING)
    check_rates(path, samples)
    assert samples["ts"].tolist() == bars["ts"].tolist() and set(samples["rate"]) == {1e-5}
    # bars of all coins in one file, which is read as any other
    assert run(app, "import", path, "--coin", "BTC", "--lake", lake).exit_code == 0
    done = run(app, "lake", "export", tmp_path / "bars.csv", "--stream", "bars", "--lake", lake)
    assert done.exit_code == 0, done.output
    ours, theirs = read_bars(tmp_path / "bars.csv"), read_bars(lake)
    assert ours.opened.tolist() == theirs.opened.tolist() and str(ours.close) == str(theirs.close)
    for words, said in (
        (("{nope}.csv",), "its tokens are"),
        (("x.csv", "--coins", "ZZ"), "no funding of hl ZZ in that time"),
        (("x.csv", "--venue", "binance"), "no funding of binance"),
        (("x.csv", "--stream", "bars", "--interval", "4h"), "no bars_4h of hl"),
        (("x.csv", "--days", "1"), "no funding of hl BTC in that time"),
    ):
        done = run(app, "lake", "export", tmp_path / words[0], *words[1:], "--lake", lake)
        assert done.exit_code == 2 and said in done.output and done.output.count("\n") == 1, done.output
    assert not list(tmp_path.glob("*x.csv.*"))
