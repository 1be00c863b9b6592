"""Which strategies there are: slug to class, config, documents and commands. Imported only when asked for.

Each package beside this module registers itself by a file ``entry.toml``: adding a strategy edits nobody's code.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel

from slipstream.execution.strategy import Strategy
from slipstream.model.errors import ConfigError

HERE = Path(__file__).parent
FILE = "entry.toml"


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One strategy. Paths are from the root of the project; classes and functions are ``module:name``.

    - ``command`` is the module that runs with ``python -m``; ``slipstream pod <slug>`` does the same.
    - ``pod`` is the function behind `slipstream pod <slug>`.
    - ``backtest`` takes a `slipstream.processes.backtest_request.BacktestRequest` and gives a BacktestRecord.
    - ``decisions`` takes bars and the config and gives what would have been decided at each bar's close (``targets``,
      ``sigma_day``, ``daily_usd``): what sweeps run on. Empty: the strategy has none.
    - ``kernel`` makes the kernel's settings of the config and the venue's speed. Empty: no run by kernel over bars.
    - ``funding`` gives, of the config, the hours of settled funding that a pod is told at its start. Empty: none.
    - ``recall`` makes the strategy of a journalled session from its record and the pod's name. Empty: by its class,
      from config, coins and name.
    """

    slug: str
    title: str
    strategy: str
    config: str
    docs: str
    sample: str
    command: str
    pod: str
    backtest: str
    decisions: str = ""
    kernel: str = ""
    funding: str = ""
    recall: str = ""

    def strategy_class(self) -> type[Strategy]:
        """The strategy's class."""
        found: type[Strategy] = resolve(self.strategy)
        return found

    def config_model(self) -> type[BaseModel]:
        """The pydantic model of its config file."""
        found: type[BaseModel] = resolve(self.config)
        return found

    def hook(self, name: str) -> Callable[..., Any]:
        """The function of a hook, such as ``pod`` or ``backtest``. Raises ConfigError without it."""
        place: str = getattr(self, name)
        if not place:
            raise ConfigError(f"{self.slug} has no `{name}`; name one in its {FILE}")
        found: Callable[..., Any] = resolve(place)
        return found

    def recalled(self, record: dict[str, Any], slug: str) -> Strategy:
        """The strategy that a session's record describes, under its pod's name."""
        if self.recall:
            told: Strategy = self.hook("recall")(record, slug)
            return told
        config = self.config_model().model_validate(record["config"])
        make: Callable[..., Strategy] = self.strategy_class()
        return make(config, tuple(record["coins"]), slug)


def resolve(place: str) -> Any:
    """What ``module:name`` names."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def read_entry(path: Path) -> Entry:
    """One entry file. Raises ConfigError: not TOML, a key unknown or missing, or a slug that is not its package's."""
    try:
        entry = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Entry)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}; see {Entry.__name__} in slipstream.strategies.registry") from None
    if entry.slug != path.parent.name:
        raise ConfigError(f"{path}: slug is {entry.slug!r}, its package {path.parent.name!r}; make them equal")
    return entry


def read_entries(folder: Path) -> dict[str, Entry]:
    """Every strategy of a folder of packages, by slug. Raises ConfigError."""
    return {path.parent.name: read_entry(path) for path in sorted(folder.glob(f"*/{FILE}"))}


STRATEGIES = read_entries(HERE)


def find(slug: str) -> Entry:
    """The strategy of a slug. Raises ConfigError naming the nearest one."""
    if slug in STRATEGIES:
        return STRATEGIES[slug]
    near = difflib.get_close_matches(slug, STRATEGIES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(STRATEGIES))}"
    raise ConfigError(f"no strategy is called {slug!r}; {hint}")
