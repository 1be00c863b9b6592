"""A strategy's estimates in a file, replaced whole: a crash leaves the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from slipstream.execution.strategy import Strategy
from slipstream.model.errors import ConfigError


def write_snapshot(path: Path, state: dict[str, Any]) -> None:
    """Write plain values as JSON. Raises OSError; the old file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with open(fresh, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(state), indent=1))
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def read_snapshot(path: Path) -> dict[str, Any]:
    """The values of a snapshot; empty if there is none. Raises ConfigError if it cannot be read."""
    try:
        found = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"state snapshot {path}: {error}; move it away to start with fresh estimates") from None
    if not isinstance(found, dict):
        raise ConfigError(f"state snapshot {path}: not a JSON object; move it away to start with fresh estimates")
    return found


def restore(strategy: Strategy, path: Path | None) -> dict[str, Any]:
    """Give a strategy its snapshot, through the bytes that the journal keeps: a replay starts from the same."""
    if path is not None and (found := read_snapshot(path)):
        strategy.restore(found)
    state: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(strategy.snapshot()))
    strategy.restore(state)
    return state
