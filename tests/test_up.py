"""What `slipstream up` starts, without starting it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from slipstream.model.errors import ConfigError
from slipstream.up import Fund, UpOptions

ROOT = Path(__file__).resolve().parents[1]


def fund_of(tmp_path: Path, pods: str) -> Fund:
    path = tmp_path / "fund.yml"
    path.write_text(f"version: 1\npods:\n{pods}")
    return Fund(UpOptions(fund=path, directory=tmp_path / "run"), cast("Any", None))


def test_a_book_under_a_name_of_its_own_is_started_under_it(tmp_path: Path) -> None:
    config = ROOT / "configs" / "gradient.yml"
    fund = fund_of(
        tmp_path,
        f"  - {{slug: gradient, config: {config}}}\n  - {{slug: slow-trend, strategy: gradient, config: {config}}}\n",
    )
    broker = cast("Any", SimpleNamespace(url=lambda process: f"mqtt://{process}@127.0.0.1:1"))
    specs = {spec.name: spec for spec in fund.specs(tmp_path / "fund.yml", broker)}
    argv = specs["slow-trend"].argv
    assert argv[argv.index("pod") + 1] == "gradient"
    assert argv[argv.index("--slug") + 1] == "slow-trend", "else it would be the other book, with its journal and key"
    assert "SLIPSTREAM_SLOW_TREND_API_SECRET" in specs["slow-trend"].env


def test_a_strategy_that_cannot_bear_another_name_is_refused_before_anything_starts(tmp_path: Path) -> None:
    config = ROOT / "configs" / "brawler.yml"
    with pytest.raises(ConfigError, match="brawler-2"):
        fund_of(tmp_path, f"  - {{slug: brawler-2, strategy: brawler, config: {config}}}\n")


def test_more_pods_than_the_venue_gives_agents_to_are_refused_before_anything_starts(tmp_path: Path) -> None:
    config = ROOT / "configs" / "gradient.yml"
    pods = [f"  - {{slug: book-{n}, strategy: gradient, config: {config}}}\n" for n in range(4)]
    assert len(fund_of(tmp_path, "".join(pods[:3])).pods) == 3
    with pytest.raises(ConfigError, match="4 pods on one account"):
        fund_of(tmp_path, "".join(pods))
