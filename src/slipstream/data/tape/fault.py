"""What is wrong with a tape, or with what should become one."""

from __future__ import annotations

from slipstream.model.errors import ConfigError


class TapeError(ConfigError):
    """A tape, or a source of one, that cannot be used as it is: the text names the file, the row and the reason."""


class EmptyTape(TapeError):
    """A source that tells no book of a market: there is nothing to replay."""
