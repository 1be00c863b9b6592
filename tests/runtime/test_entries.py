"""Flags and the entries that say something for themselves: who wins, what is said, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipstream.model.errors import ConfigError
from slipstream.runtime.config import load, read_yaml
from slipstream.runtime.entries import Own, own_values
from slipstream.strategies.brawler.config import BrawlerConfig

TEXT = """\
version: 1
base_spread: 0.0008
lambda: 0.0004
symbols:
  - {symbol: ETH, order_size: 1, max_inventory: 4}
  - {symbol: SOL, order_size: 3, max_inventory: 9, base_spread: 0.001, lambda: 0.0001}
  - {symbol: WLFI, order_size: 5, max_inventory: 9, base_spread: 0.002, k: 3}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "brawler.yml"
    path.write_text(TEXT)
    return path


def spreads(path: Path | None, **flags: Any) -> dict[str, float]:
    found = load(path, BrawlerConfig, env={}, overrides={key.replace("__", "."): flags[key] for key in flags})
    return {terms.symbol: terms.base_spread for terms in found.terms}


def test_a_flag_is_every_symbol_s_and_that_of_a_symbol_is_its_own(path: Path) -> None:
    assert spreads(path) == {"ETH": 0.0008, "SOL": 0.001, "WLFI": 0.002}
    assert spreads(path, base_spread=0.004) == dict.fromkeys(("ETH", "SOL", "WLFI"), 0.004)
    assert spreads(path, symbols__SOL__base_spread=0.004) == {"ETH": 0.0008, "SOL": 0.004, "WLFI": 0.002}
    both = {"symbols__ETH__base_spread": 0.005, "base_spread": 0.004}
    assert spreads(path, **both) == {"ETH": 0.005, "SOL": 0.004, "WLFI": 0.004}
    assert spreads(path, **dict(reversed(both.items()))) == spreads(path, **both), "whichever is given first"
    assert spreads(path, base_spread=None) == spreads(path), "a flag that was not given"


def test_what_a_flag_leaves_alone_stays(path: Path) -> None:
    found = load(path, BrawlerConfig, env={}, overrides={"lambda": 0.0007, "symbols.ETH.k": 2.5})
    assert [terms.skew for terms in found.terms] == [0.0007] * 3
    assert [terms.k for terms in found.terms] == [2.5, 2.0, 3.0]
    assert [str(terms.order_size) for terms in found.terms] == ["1", "3", "5"]


def test_a_list_that_is_a_flag_s_own_is_taken_as_it_is() -> None:
    listed = [{"symbol": "SOL", "order_size": 1, "max_inventory": 2, "base_spread": 0.003}]
    assert spreads(None, base_spread=0.004, symbols=listed) == {"SOL": 0.003}
    assert spreads(None, symbols__SOL__base_spread=0.005, symbols=listed) == {"SOL": 0.005}


def test_what_a_flag_replaces_is_known(path: Path) -> None:
    tree = read_yaml(path)
    assert own_values(tree, BrawlerConfig, {"base_spread", "lambda"}) == (
        Own("SOL", "base_spread", 0.001),
        Own("SOL", "lambda", 0.0001),
        Own("WLFI", "base_spread", 0.002),
    )
    alone = {"base_spread", "symbols.WLFI.base_spread"}
    assert [own.entry for own in own_values(tree, BrawlerConfig, alone)] == ["SOL"]
    assert own_values(tree, BrawlerConfig, {"base_spread", "symbols"}) == ()
    assert own_values(tree, BrawlerConfig, {"portfolio.gross_cap", "symbols.SOL.base_spread"}) == ()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("symbols.XRP.k", 1, r"flag: symbols\.XRP\.k: `symbols` has no entry XRP; there are ETH, SOL, WLFI"),
        ("symbols.SOL", 1, r"flag: symbols\.SOL: write symbols\.NAME\.KEY"),
        ("symbols.SOL.", 1, r"write symbols\.NAME\.KEY"),
        ("symbols.SOL.base_spred", 1, r"unknown key `symbols\.SOL\.base_spred`; did you mean `base_spread`\?"),
        ("symbols.SOL.base_spread", -1, r"^flag --symbols-SOL-base-spread: `symbols\[1\]\.base_spread`: input should"),
    ],
)
def test_what_cannot_be_is_refused(path: Path, key: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(path, BrawlerConfig, env={}, overrides={key: value})
