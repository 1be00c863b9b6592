"""What a search may turn: keys of a config, each with a range or a list."""

from __future__ import annotations

import itertools
import math
from typing import Any

import msgspec

from slipstream.model.errors import ConfigError

Value = float | int | str | bool
WORDS = {"int", "log"}


class Knob(msgspec.Struct, frozen=True, kw_only=True):
    """One key. With ``choices`` it takes one of them, else a number from ``low`` to ``high``, both included.

    ``whole`` numbers only; ``log``: equally likely in every decade.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False
    choices: tuple[Value, ...] = ()

    def distribution(self) -> Any:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


def parse_knob(text: str) -> Knob:
    """``key=low:high``, with ``:int``, ``:log`` or both behind it, or ``key=a,b,c``. Raises ConfigError."""
    key, _, said = text.partition("=")
    key, said = key.strip(), said.strip()
    if not key or not said:
        raise ConfigError(f"--param {text}: write key=low:high, key=low:high:int:log, or key=a,b,c")
    if ":" not in said:
        choices = tuple(_value(part.strip()) for part in said.split(","))
        if len(choices) < 2 or len(set(map(str, choices))) < len(choices) or "" in choices:
            raise ConfigError(f"--param {text}: a list needs two values or more, each once")
        return Knob(key=key, choices=choices)
    low_text, high_text, *words = said.split(":")
    unknown = [word for word in words if word not in WORDS]
    if unknown:
        raise ConfigError(f"--param {text}: {unknown[0]!r} is none of {', '.join(sorted(WORDS))}")
    try:
        low, high = float(low_text), float(high_text)
    except ValueError:
        raise ConfigError(f"--param {text}: {low_text!r} to {high_text!r} is no range of numbers") from None
    whole, log = "int" in words, "log" in words
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"--param {text}: the low end must be below the high end")
    if log and low <= 0.0:
        raise ConfigError(f"--param {text}: a range by decades begins above 0")
    if whole and (low != int(low) or high != int(high)):
        raise ConfigError(f"--param {text}: the ends of a range of whole numbers must be whole")
    return Knob(key=key, low=low, high=high, whole=whole, log=log)


def parse_knobs(texts: list[str]) -> tuple[Knob, ...]:
    """Several knobs, sorted by key. Raises ConfigError: none, or a key twice."""
    knobs = sorted((parse_knob(text) for text in texts), key=lambda knob: knob.key)
    if not knobs:
        raise ConfigError(
            "nothing to search: give --param key=low:high (again for more), such as signal.lookback=2:24:int"
        )
    for one, other in itertools.pairwise(knobs):
        if one.key == other.key:
            raise ConfigError(f"--param {one.key} is given twice; keep one of the two")
    return tuple(knobs)


def _value(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)
