"""The venue's snapshot file: a restarted venue continues with its users, orders, nonces and market."""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path

import msgspec

from slipstream.model.errors import ConfigError
from slipstream.venues.emulator.exchange import Exchange

FORMAT = 1


class Saved(msgspec.Struct, frozen=True):
    """What a snapshot file holds. ``market`` names the kind of market: its seed and coins, or its recording."""

    format: int
    market: str
    exchange: bytes
    state: bytes
    now_ns: int


def encode(exchange: Exchange, market: str) -> bytes:
    """Everything, as one message."""
    saved = Saved(FORMAT, market, exchange.dump(), exchange.market.dump(), exchange.now_ns)
    return msgspec.msgpack.encode(saved)


def write(path: Path, data: bytes) -> None:
    """Replace the file (compressed) as a whole: a reader, or a crash, sees the old one or the new one.

    Raises ConfigError if it cannot be written; the old one stays.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(zlib.compress(data, 1))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        kept = "the snapshot before it is kept" if path.exists() else "there is none yet"
        raise ConfigError(f"snapshot {path} cannot be written: {error.strerror}; {kept}") from error


def read(path: Path, market: str) -> Saved | None:
    """The snapshot in a file; None if there is no file. Raises ConfigError for one that does not fit."""
    try:
        data = zlib.decompress(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"snapshot {path}: {error.strerror}; choose another file with --snapshot") from error
    except zlib.error as error:
        raise ConfigError(f"snapshot {path} is not one of this venue ({error}); delete it to start anew") from error
    try:
        saved = msgspec.msgpack.decode(data, type=Saved)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"snapshot {path} is not one of this venue ({error}); delete it to start anew") from error
    if saved.format != FORMAT:
        raise ConfigError(f"snapshot {path} has format {saved.format}, not {FORMAT}; delete it to start anew")
    if saved.market != market:
        raise ConfigError(
            f"snapshot {path} belongs to another market ({saved.market}, not {market}); start with the same --seed, "
            "--coins and --replay, or delete it"
        )
    return saved
