"""Inventory held elsewhere: what ``--inventory-file`` states.

It is no fill and no position of ours: books and orders do not change by it. It is exposure to the same coin that
somebody holds at another place, so the skew, the inventory caps and the portfolio's gross count it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from slipstream.model.errors import ConfigError

EXAMPLE = '{"version": 1, "inventory": {"BTC": "0.25", "ETH": "-1.5"}}'


def read_inventory(path: Path, symbols: Iterable[str]) -> dict[str, Decimal]:
    """Signed sizes in base coin by symbol. Raises ConfigError: unreadable, malformed, an unknown symbol."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal, object_pairs_hook=_once)
    except FileNotFoundError:
        raise ConfigError(f"inventory file {path}: no such file; it looks like {EXAMPLE}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"inventory file {path}: cannot be read: {error}") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"inventory file {path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except ValueError as error:
        raise ConfigError(f"inventory file {path}: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"inventory file {path}: not a JSON object; it looks like {EXAMPLE}")
    if "inventory" in found:
        found = _versioned(path, found)
    known = sorted(symbols)
    return {symbol: _size(path, symbol, value, known) for symbol, value in found.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        twice = next(key for number, (key, _) in enumerate(pairs) if key in dict(pairs[:number]))
        raise ValueError(f"{twice!r} comes twice; keep one of the two")
    return out


def _versioned(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    if found.get("version") != 1 or not isinstance(found["inventory"], dict):
        raise ConfigError(f"inventory file {path}: version 1 with an object `inventory` is expected, such as {EXAMPLE}")
    extra = sorted(set(found) - {"version", "inventory"})
    if extra:
        raise ConfigError(f"inventory file {path}: unknown key `{extra[0]}`; known: version, inventory")
    return dict(found["inventory"])


def _size(path: Path, symbol: str, value: Any, known: list[str]) -> Decimal:
    if symbol not in known:
        near = difflib.get_close_matches(symbol, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the config quotes {', '.join(known)}"
        raise ConfigError(f"inventory file {path}: {symbol} is not quoted by the config; {hint}")
    try:
        size = Decimal(str(value)) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else None
    except InvalidOperation:
        size = None
    if size is None or not size.is_finite():
        raise ConfigError(f"inventory file {path}: {symbol}: {value!r} is not a signed size in base coin such as 0.25")
    return size
