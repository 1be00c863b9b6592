"""The client order id: 128 bits that say whose order it is, and make the same intent the same order.

Layout, most significant first: pod (32 bits of a hash of the slug) | run (32) | intent (48) | slice (16).
The auditor and the breaker recognise a pod's orders by the first eight hex digits alone.
"""

from __future__ import annotations

from zlib import crc32

import msgspec

from slipstream.model.errors import InvalidOrder


class Cloid(msgspec.Struct, frozen=True, order=True):
    """A deterministic client order id; the same (pod, run, intent, slice) is always the same id."""

    pod: int
    run: int
    intent: int
    slice: int = 0

    def __post_init__(self) -> None:
        for name, value, bits in (
            ("pod", self.pod, 32),
            ("run", self.run, 32),
            ("intent", self.intent, 48),
            ("slice", self.slice, 16),
        ):
            if not 0 <= value < 1 << bits:
                raise InvalidOrder(f"cloid {name} {value} does not fit {bits} bits")

    def __str__(self) -> str:
        return f"0x{self.pod:08x}{self.run:08x}{self.intent:012x}{self.slice:04x}"


def pod_id(slug: str) -> int:
    """The 32-bit number of a pod: CRC-32 of its slug. A fund's config refuses two slugs with one number."""
    return crc32(slug.encode())


def pod_prefix(slug: str) -> str:
    """The start (``0x`` and eight digits) of every cloid of a pod."""
    return f"0x{pod_id(slug):08x}"


BREAKER = "breaker"


def breaker_prefix(slug: str) -> str:
    """The start (``0x`` and 16 digits) of the breaker's cloids that act for a pod: its own number, then the pod's."""
    return f"{pod_prefix(BREAKER)}{pod_id(slug):08x}"


def parse_cloid(text: str) -> Cloid:
    """Read ``0x`` and 32 hex digits. Raises InvalidOrder on anything else."""
    digits = text[2:]
    if len(text) != 34 or text[:2] != "0x" or any(c not in "0123456789abcdefABCDEF" for c in digits):
        raise InvalidOrder(f"cloid {text!r} is not 0x and 32 hex digits")
    return Cloid(int(digits[:8], 16), int(digits[8:16], 16), int(digits[16:28], 16), int(digits[28:], 16))
