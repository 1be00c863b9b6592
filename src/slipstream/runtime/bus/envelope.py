"""The envelope of every message: version, sender, number, wall time, body. MessagePack, Decimals as their digits."""

from __future__ import annotations

import msgspec

from slipstream.model.errors import SlipstreamError
from slipstream.model.messages import Message

VERSION = 1


class BusMessageError(SlipstreamError):
    """Bytes on the bus that are not a message of this release."""


class Envelope(msgspec.Struct, frozen=True):
    """``v`` is the protocol's version, ``seq`` grows by one with every message of a sender's run."""

    v: int
    sender: str
    seq: int
    wall_ns: int
    body: Message


class _Head(msgspec.Struct):
    v: int
    sender: str = ""


_ENCODER = msgspec.msgpack.Encoder(decimal_format="string")
_DECODER = msgspec.msgpack.Decoder(Envelope)
_HEAD = msgspec.msgpack.Decoder(_Head)


def pack(sender: str, seq: int, wall_ns: int, message: Message) -> bytes:
    """The bytes of a message."""
    return _ENCODER.encode(Envelope(VERSION, sender, seq, wall_ns, message))


def unpack(data: bytes) -> Envelope:
    """The message in some bytes. Raises BusMessageError: broken, or of another version."""
    try:
        return _checked(_DECODER.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            head = _HEAD.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BusMessageError(f"not a message: {error}") from None
        if head.v != VERSION:
            raise BusMessageError(f"{head.sender} speaks version {head.v}, this release {VERSION}") from None
        raise BusMessageError(f"a message of {head.sender} cannot be read: {error}") from None


def _checked(envelope: Envelope) -> Envelope:
    if envelope.v != VERSION:
        raise BusMessageError(f"{envelope.sender} speaks version {envelope.v}, this release {VERSION}")
    return envelope
