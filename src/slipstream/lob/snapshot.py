"""A whole book as bytes, unread fills included, in a form that continues identically."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import msgspec
import numpy as np

from slipstream.lob.record import SLOT_DTYPE, new_book
from slipstream.lob.window import mark_levels

FORMAT = b"LOB2"  # then 4 bytes of CRC-32 of what follows
_SCALARS = ("free", "fresh", "resting", "seq", "best_bid", "best_ask", "fill_count", "expired_count")
_LEVEL_FIELDS = ("level_head", "level_tail", "level_count", "level_lots")


class _Saved(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    shape: tuple[int, int, int, int]  # base, levels, slots, ring
    scalars: dict[str, int]
    occupied: bytes
    levels: dict[str, bytes]
    slots: bytes
    fills: bytes
    expired: bytes


def dump(book: Any) -> bytes:
    """The book's state; equal books that went the same way give equal bytes."""
    occupied = np.flatnonzero(book["level_count"]).astype(np.int64)
    saved = _Saved(
        shape=(int(book["base"]), int(book["n_levels"]), int(book["n_slots"]), int(book["n_ring"])),
        scalars={name: int(book[name]) for name in _SCALARS},
        occupied=occupied.tobytes(),
        levels={name: book[name][occupied].tobytes() for name in _LEVEL_FIELDS},
        slots=book["slots"][1 : int(book["fresh"])].tobytes(),
        fills=book["fill_rows"][: book["fill_count"]].tobytes(),
        expired=book["expired_rows"][: book["expired_count"]].tobytes(),
    )
    body = msgspec.msgpack.encode(saved)
    return FORMAT + crc32(body).to_bytes(4, "big") + body


def load(data: bytes) -> Any:
    """A book's record from `dump`. Raises ValueError on anything else, or on damage."""
    if data[:4] != FORMAT:
        raise ValueError(f"not a book of this version: it starts with {data[:4]!r}, not {FORMAT!r}")
    body = data[8:]
    if crc32(body).to_bytes(4, "big") != data[4:8]:
        raise ValueError("the book's bytes are damaged: their checksum differs; take an older snapshot")
    saved = msgspec.msgpack.decode(body, type=_Saved)
    book = new_book(*saved.shape)
    for name in _SCALARS:
        book[name] = saved.scalars[name]
    occupied = np.frombuffer(saved.occupied, np.int64)
    for name in _LEVEL_FIELDS:
        book[name][occupied] = np.frombuffer(saved.levels[name], book[name].dtype)
    slots = np.frombuffer(saved.slots, SLOT_DTYPE)
    book["slots"][1 : 1 + len(slots)] = slots
    for name, rows in (("fill_rows", saved.fills), ("expired_rows", saved.expired)):
        values = np.frombuffer(rows, np.int64).reshape(-1, book[name].shape[1])
        book[name][: len(values)] = values
    mark_levels(book, occupied)
    return book
