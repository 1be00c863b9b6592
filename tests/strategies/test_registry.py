"""The registry: every entry loads, and what it names exists."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from slipstream.model.errors import ConfigError
from slipstream.runtime.config import load
from slipstream.strategies.registry import STRATEGIES, find

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("slug", sorted(STRATEGIES))
def test_an_entry_is_whole(slug: str) -> None:
    entry = find(slug)
    config = load(ROOT / entry.sample, entry.config_model(), env={})
    strategy = entry.strategy_class()(config)
    assert strategy.slug == slug
    strategy.restore(strategy.snapshot())
    assert (ROOT / entry.docs).is_file()
    assert find_spec(entry.command) is not None


def test_an_unknown_slug_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean brawler"):
        find("brawlr")
