"""Which strategies there are: slug to class, config, documents and command. Imported only when asked for."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

import msgspec
from pydantic import BaseModel

from slipstream.execution.strategy import Strategy
from slipstream.model.errors import ConfigError


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy. Paths are from the root of the project; ``strategy`` and ``config`` are ``module:name``.

    ``command`` is the module that runs with ``python -m``; ``slipstream pod <slug>`` does the same.
    """

    slug: str
    title: str
    strategy: str
    config: str
    docs: str
    sample: str
    command: str

    def strategy_class(self) -> type[Strategy]:
        """The strategy's class."""
        found: type[Strategy] = _load(self.strategy)
        return found

    def config_model(self) -> type[BaseModel]:
        """The pydantic model of its config file."""
        found: type[BaseModel] = _load(self.config)
        return found


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


STRATEGIES = {
    entry.slug: entry
    for entry in (
        Entry(
            slug="brawler",
            title="Market maker anchored to Binance",
            strategy="slipstream.strategies.brawler.strategy:Brawler",
            config="slipstream.strategies.brawler.config:BrawlerConfig",
            docs="docs/BRAWLER_SPEC.md",
            sample="configs/brawler.yml",
            command="slipstream.strategies.brawler.cli",
        ),
        Entry(
            slug="gradient",
            title="Trend book, long the strongest and short the weakest",
            strategy="slipstream.strategies.gradient.strategy:Gradient",
            config="slipstream.strategies.gradient.config:GradientConfig",
            docs="docs/strategies/gradient/README.md",
            sample="configs/gradient.yml",
            command="slipstream.strategies.gradient.cli",
        ),
    )
}


def find(slug: str) -> Entry:
    """The strategy of a slug. Raises ConfigError naming the nearest one."""
    if slug in STRATEGIES:
        return STRATEGIES[slug]
    near = difflib.get_close_matches(slug, STRATEGIES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(STRATEGIES))}"
    raise ConfigError(f"no strategy is called {slug!r}; {hint}")
