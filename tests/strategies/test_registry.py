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
from slipstream.strategies.registry import FILE, HERE, STRATEGIES, find, read_entries

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


def entry_text(**changes: str) -> str:
    """Gradient's entry, with some of its lines changed."""
    lines = (HERE / "gradient" / FILE).read_text().splitlines()
    return "\n".join(changes.pop(line.split(" ")[0], line) for line in lines) + "\n".join(["", *changes.values()])


def test_an_entry_is_found_by_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / FILE).write_text(entry_text(slug='slug = "other"', decisions=""))
    entries = read_entries(tmp_path)
    assert list(entries) == ["other"] and entries["other"].strategy_class() is find("gradient").strategy_class()
    with pytest.raises(ConfigError, match="other has no `decisions`"):
        entries["other"].hook("decisions")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (entry_text(), r"slug is 'gradient', its package 'other'; make them equal"),
        (entry_text(slug='slug = "other"', title=""), "missing required field `title`"),
        (entry_text(slug='slug = "other"', typo="titel = 'x'"), "unknown field `titel`"),
        ("slug = ", "entry.toml: Invalid value"),
    ],
)
def test_an_entry_that_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / FILE).write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_entries(tmp_path)
