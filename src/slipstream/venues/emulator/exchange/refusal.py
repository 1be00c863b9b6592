"""What the exchange says no with, at its three layers: schema, request, order."""

from __future__ import annotations

from slipstream.venues.emulator.state import Status


class Malformed(Exception):
    """The action cannot be read as any action of the venue: HTTP 422 and plain text."""


class RequestRefused(Exception):
    """A whole request is refused: ``{"status": "err", "response": text}``."""


class OrderRefused(Exception):
    """One order is refused: ``statuses[i].error``; the text gets its asset at the end."""

    def __init__(self, text: str, status: Status = Status.REJECTED) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
