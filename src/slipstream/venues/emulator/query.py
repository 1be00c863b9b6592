"""The body of an ``/info`` request, read field by field."""

from __future__ import annotations

import re
from typing import Any

from slipstream.venues.emulator.exchange import Malformed

ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}")
CLOID = re.compile(r"0[xX][0-9a-fA-F]{32}")
LATEST = 1 << 62


class Query:
    """A decoded request. Every reader raises Malformed (HTTP 422) where a field is missing or of the wrong type."""

    __slots__ = ("body",)

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body

    def text(self, name: str) -> str:
        """A required string."""
        value = self.body.get(name)
        if not isinstance(value, str):
            raise Malformed(f"`{name}` must be a string")
        return value

    def address(self, name: str = "user") -> str:
        """A required address, lower-case."""
        value = self.text(name)
        if not ADDRESS.fullmatch(value):
            raise Malformed(f"`{name}` must be 0x and 40 hex digits")
        return value.lower()

    def integer(self, name: str, default: int | None = None) -> int:
        """A non-negative integer; null and missing give the default."""
        value = self.body.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LATEST:
            raise Malformed(f"`{name}` must be an integer of at least 0")
        return value

    def optional(self, name: str) -> int | None:
        """An integer or nothing."""
        return None if self.body.get(name) is None else self.integer(name)

    def flag(self, name: str) -> bool:
        """A boolean; null and missing are false."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            raise Malformed(f"`{name}` must be true or false")
        return bool(value)

    def order_key(self, name: str = "oid") -> int | str:
        """An order id or a client id."""
        value = self.body.get(name)
        if isinstance(value, str) and CLOID.fullmatch(value):
            return value.lower()
        return self.integer(name)

    def other_dex(self) -> bool:
        """Whether the request asks for a perp dex that this venue does not have."""
        dex = self.body.get("dex")
        if dex is not None and not isinstance(dex, str):
            raise Malformed("`dex` must be a string")
        return bool(dex)

    def span(self) -> tuple[int, int | None]:
        """Start and end of a time range, ms, both included."""
        return self.integer("startTime"), self.optional("endTime")
