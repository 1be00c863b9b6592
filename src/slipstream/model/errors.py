"""Every error the house raises, by what the caller must do.

::

    SlipstreamError
    ├── ConfigError            stop: the user mends a file, a flag or a key (what, where, how)
    │   └── SecretError        stop: a key is missing, unreadable or belongs to someone else
    ├── InvalidOrder           stop this order: it breaks the venue's rules before it was sent
    ├── Refused                stop this order: the gate or a mandate forbids it
    ├── VenueRejected          stop this order: the venue answered no; nothing rests, nothing filled
    ├── Retry                  try again later, nothing happened
    │   ├── RateLimited        retry: after `retry_after` seconds
    │   ├── FeedStale          retry: after the feed was resubscribed and a snapshot arrived
    │   └── NotConnected       retry: nothing was sent
    ├── OutcomeUnknown         reconcile: sent, no answer; the order may rest, may be filled, may not exist
    ├── StateMismatch          reconcile: our record and the venue's differ
    ├── JournalError           stop the process: what cannot be recorded must not be done
    └── IllegalTransition      a bug: an order was moved along an edge its state machine lacks
"""

from __future__ import annotations


class SlipstreamError(Exception):
    """The root of every error of the house."""


class ConfigError(SlipstreamError):
    """A file, flag or environment variable is wrong; the text says what, where and how to mend it."""


class SecretError(ConfigError):
    """A key or password is missing, unreadable, too widely readable or of another account."""


class InvalidOrder(SlipstreamError):
    """An order breaks the venue's price, size or notional rules; it was not sent."""


class Refused(SlipstreamError):
    """The gate or a mandate forbids an order; it was not sent."""


class VenueRejected(SlipstreamError):
    """The venue answered no. Nothing rests and nothing was filled."""


class Retry(SlipstreamError):
    """Nothing happened; the same call may succeed later."""


class RateLimited(Retry):
    """The venue or our own accounting of its limits says: not now."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FeedStale(Retry):
    """A stream is alive but its newest event is too old to trade on."""


class NotConnected(Retry):
    """No connection; nothing was sent."""


class OutcomeUnknown(SlipstreamError):
    """A request was sent and no answer came. It is not a rejection: settle it by cloid before anything else."""


class StateMismatch(SlipstreamError):
    """Our record of an order or position differs from the venue's."""


class JournalError(SlipstreamError):
    """The journal cannot be written or read; the process must stop sending."""


class IllegalTransition(SlipstreamError):
    """An order was asked to move along an edge that its state machine does not have."""
