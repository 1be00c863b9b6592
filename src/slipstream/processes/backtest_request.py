"""What a backtest is asked for, in the same words for every strategy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from slipstream.model.errors import ConfigError
from slipstream.processes.tick_terms import TickTerms
from slipstream.strategies.registry import Entry

SET_HELP = "key=value instead of the config's, and of what its symbols have of their own; one's alone: symbols.SOL.KEY."


class BacktestRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one strategy.

    ``config`` None takes the strategy's sample if it is there, else its defaults; ``overrides`` change keys of it
    (``trade.rebalance_hours``). The market is one of ``bars`` (with ``funding``), ``returns_csv`` (one column a coin),
    ``replay`` (a folder of recorded books) or ``demo`` (made up from ``seed``). ``hours`` is how long a simulated
    market runs. ``kernel`` runs the pod's own kernel over the bars instead of the vectorised account. Fractions are of
    the traded notional; ``costs`` is a file of `slipstream costs calibrate` instead of ``half_spread`` and ``impact``.
    ``capital`` is USD, None what the config says. ``tick`` are the terms of a run over tapes, tick by tick.
    """

    entry: Entry
    config: Path | None = None
    overrides: dict[str, Any] = {}
    bars: Path | None = None
    funding: Path | None = None
    returns_csv: Path | None = None
    no_funding: bool = False
    demo: bool = False
    replay: Path | None = None
    hours: float | None = None
    seed: int = 1
    capital: float | None = None
    half_spread: float | None = None
    impact: float | None = None
    maker_share: float | None = None
    costs: Path | None = None
    kernel: bool = False
    tick: TickTerms | None = None

    def settings_path(self) -> Path | None:
        """The config file to read: as given, else the sample if it is there."""
        if self.config is not None:
            return self.config
        sample = Path(self.entry.sample)
        return sample if sample.is_file() else None

    def refuse(self, names: tuple[str, ...], why: str) -> None:
        """Raises ConfigError if one of the fields was given, which this strategy has no use for."""
        for name in names:
            value = getattr(self, name)
            if value is not None and value is not False:
                raise ConfigError(f"--{name.replace('_', '-')} has no meaning here: {why}")


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """``key=value`` pairs; values are read as YAML does (numbers, lists, true). Raises ConfigError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    out: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key.strip() or not text.strip():
            raise ConfigError(f"--set {pair}: write key=value, such as trade.rebalance_hours=24")
        try:
            value = YAML(typ="safe").load(text)
        except YAMLError:
            raise ConfigError(f"--set {pair}: {text!r} is not a value; quote it") from None
        if key.strip() in out:
            raise ConfigError(f"--set {key.strip()} is given twice; keep one of the two")
        out[key.strip()] = value
    return out


def said(error: OSError) -> str:
    """What the system refused, in a line: the file, and why."""
    return f"{str(error.filename)[:200] if error.filename else 'a file'}: {error.strerror or error}"
