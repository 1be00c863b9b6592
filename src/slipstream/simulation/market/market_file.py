"""A calibrated market as a file (JSON), with the terms to simulate it and everything they were made of."""

from __future__ import annotations

import msgspec

from slipstream.model.errors import ConfigError
from slipstream.simulation.market.calibration import Calibration

VERSION = 1


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    slipstream_market: int
    market: Calibration


class _Version(msgspec.Struct):
    slipstream_market: int | None = None


def encode_market(market: Calibration) -> bytes:
    """The file's bytes."""
    return msgspec.json.format(msgspec.json.encode(_File(slipstream_market=VERSION, market=market)), indent=1) + b"\n"


def decode_market(data: bytes, where: str) -> Calibration:
    """The calibration that a file holds; ``where`` names the file in errors. Raises ConfigError."""
    try:
        version = msgspec.json.decode(data, type=_Version).slipstream_market
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{where}: not a calibrated market: {error}") from None
    if version != VERSION:
        raise ConfigError(
            f"{where}: version {version} of a calibrated market; this release reads {VERSION}: "
            "make it again with `slipstream market calibrate`"
        )
    try:
        whole = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{where}: {error}; make it again with `slipstream market calibrate`") from None
    return whole.market
