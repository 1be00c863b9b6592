"""The registry: every entry loads, and what it names exists."""

from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest

from slipstream.execution.settings import KernelConfig, Limits
from slipstream.model.errors import ConfigError
from slipstream.pods import strategy_of
from slipstream.runtime.config import load
from slipstream.runtime.records import Session
from slipstream.strategies.registry import STRATEGIES, find

KERNEL = KernelConfig(limits=Limits(gross_cap=Decimal(1), coin_cap=Decimal(1), max_order=Decimal(1)))

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("slug", sorted(STRATEGIES))
def test_an_entry_is_whole(slug: str) -> None:
    entry = find(slug)
    config = load(ROOT / entry.sample, entry.config_model(), env={})
    record = {"strategy": slug, "config": config.public(), "coins": ["BTC", "ETH"]}
    strategy = strategy_of(Session(run=1, ns=0, slug=slug, config=KERNEL, instruments=(), strategy_config=record))
    assert isinstance(strategy, entry.strategy_class())
    assert strategy.slug == slug
    strategy.restore(strategy.snapshot())
    assert (ROOT / entry.docs).is_file()
    assert find_spec(entry.command) is not None


def test_an_unknown_slug_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean brawler"):
        find("brawlr")
