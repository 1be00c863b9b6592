"""What a journal holds: sessions and rows, and their bytes.

MessagePack with Decimals as their digits: the same values are the same bytes wherever they are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from slipstream.execution.settings import KernelConfig
from slipstream.model.commands import Cancel, Command, Modify, Place, Query
from slipstream.model.errors import JournalError
from slipstream.model.events import AssetContext, Bbo, Candle, Event, FundingRate, L2Book, Timer, Trade
from slipstream.model.instrument import Instrument

Step = tuple[Event, Sequence[Command]]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A process start. ``seq`` is the last row before it; ``state`` the strategy's snapshot it started from."""

    run: int
    ns: int
    slug: str
    config: KernelConfig
    instruments: tuple[Instrument, ...]
    strategy_config: dict[str, Any] = {}
    state: dict[str, Any] = {}
    software: str = ""
    seq: int = 0


EVENT = msgspec.msgpack.Decoder(Event)
COMMANDS = msgspec.msgpack.Decoder(tuple[Command, ...])
SESSION = msgspec.msgpack.Decoder(Session)
ENCODE = msgspec.msgpack.Encoder(decimal_format="string")
NONE = ENCODE.encode(())


def encode_commands(commands: Sequence[Command]) -> bytes:
    """The bytes of a step's commands; equal commands are equal bytes."""
    return ENCODE.encode(commands) if commands else NONE


def is_needed(event: Event, commands: Sequence[Command]) -> bool:
    """Whether the account's state depends on a row: everything but public data and timers that caused no order."""
    public = isinstance(event, Bbo | L2Book | Trade | AssetContext | Candle | FundingRate | Timer)
    return not public or any(isinstance(command, Place | Modify | Cancel | Query) for command in commands)


def decode(decoder: msgspec.msgpack.Decoder[Any], data: bytes, name: str, seq: int) -> Any:
    """The value of a row's bytes. Raises JournalError that names the journal and the row."""
    try:
        return decoder.decode(data)
    except msgspec.DecodeError as error:
        raise JournalError(f"journal {name}: row {seq} cannot be read: {error}") from None
