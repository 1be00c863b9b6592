"""The numbers a kernel obeys: the gate's limits and the kernel's patience. Frozen, journalled with every session."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from slipstream.model.errors import ConfigError
from slipstream.model.instrument import MIN_NOTIONAL

SECOND = 1_000_000_000
NARROWABLE = ("gross_cap", "coin_cap", "max_order", "fat_finger", "actions_per_second")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate lets through. Amounts are USD; a mandate can only narrow them.

    ``fat_finger`` is the largest distance of an order's price from the reference price, as a fraction.
    ``max_feed_age_ns`` bounds the age of the newest price of a coin (the older of its event and receive time).
    ``actions_per_second`` and ``burst`` are a token bucket; its last ``cancel_reserve`` tokens, and the last
    ``address_reserve`` requests of the address budget, are for cancels alone.
    """

    gross_cap: Decimal
    coin_cap: Decimal
    max_order: Decimal
    coin_caps: dict[str, Decimal] = {}
    min_notional: Decimal = MIN_NOTIONAL
    fat_finger: float = 0.05
    max_feed_age_ns: int = 5 * SECOND
    required_feeds: tuple[str, ...] = ("hl", "hl.user")
    require_mandate: bool = False
    actions_per_second: float = 20.0
    burst: int = 60
    cancel_reserve: int = 20
    address_reserve: int = 200

    def __post_init__(self) -> None:
        amounts = {"gross_cap": self.gross_cap, "coin_cap": self.coin_cap, "max_order": self.max_order}
        amounts |= {f"coin_caps.{coin}": cap for coin, cap in self.coin_caps.items()}
        for name, amount in amounts.items():
            if not amount.is_finite() or amount < 0:
                raise ConfigError(f"limits: {name} is {amount}; give an amount of USD, zero or more")
        if not (math.isfinite(self.fat_finger) and 0 < self.fat_finger < 1):
            raise ConfigError(f"limits: fat_finger is {self.fat_finger}; give a fraction between 0 and 1, such as 0.05")
        if not (math.isfinite(self.actions_per_second) and self.actions_per_second > 0):
            raise ConfigError(f"limits: actions_per_second is {self.actions_per_second}; give a rate above 0")
        if not 0 <= self.cancel_reserve < self.burst:
            raise ConfigError(f"limits: cancel_reserve {self.cancel_reserve} must be less than burst {self.burst}")
        if self.max_feed_age_ns <= 0:
            raise ConfigError(f"limits: max_feed_age_ns is {self.max_feed_age_ns}; give a time above 0")

    def narrowed(self, values: Mapping[str, str]) -> Limits:
        """These limits with some made tighter: ``gross_cap``, ``coin_cap``, ``coin_caps.<coin>``, ``max_order``,
        ``fat_finger``, ``actions_per_second``.

        Raises ConfigError: an unknown name, not a number, or looser than the config of the process allows.
        """
        changes: dict[str, Any] = {}
        caps = dict(self.coin_caps)
        for name, text in values.items():
            field, _, coin = name.partition(".")
            if name not in NARROWABLE and not (field == "coin_caps" and coin):
                raise ConfigError(
                    f"limits: {name} cannot be configured; choose of {', '.join(NARROWABLE)}, coin_caps.X"
                )
            try:
                amount = Decimal(text)
            except InvalidOperation:
                amount = Decimal("nan")
            most = self.cap(coin) if coin else Decimal(str(getattr(self, name)))
            if not amount.is_finite() or amount < 0 or amount > most:
                raise ConfigError(
                    f"limits: {name} is {text!r}; give a number from 0 to {most}, which the config allows"
                )
            if coin:
                caps[coin] = amount
            else:
                changes[name] = amount if isinstance(getattr(self, name), Decimal) else float(amount)
        if "coin_cap" in changes:
            caps = {coin: min(cap, changes["coin_cap"]) for coin, cap in caps.items()}
        return msgspec.structs.replace(self, **changes, coin_caps=caps)

    def cap(self, coin: str) -> Decimal:
        """The cap of one coin's absolute worst-case notional, USD."""
        return self.coin_caps.get(coin, self.coin_cap)


class KernelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and times. All times are ns of the venue's clock; a venue at 20x wants them 20 times as long.

    - ``tick_ns``: how often the kernel wakes by itself to chase silent orders and pull stale quotes.
    - ``pending_timeout_ns``: a request without an answer for so long has an unknown outcome.
    - ``query_backoff_ns`` .. ``query_backoff_max_ns``: pause between reads of one unknown order, doubling.
    - ``linger_ns``: a closed order whose filled total nobody told counts as fillable for so long.
    - ``alo_retries``: how often a refused post-only quote is re-priced before its side rests.
    - ``reject_backoff_ns``: how long a side rests after any other refusal.
    - ``patience_ns``: how long a Target of urgency just above 0 stays passive; urgency u waits (1 - u) of it.
    - ``max_slippage``: how far beyond the touch an aggressive child may reach, as a fraction.
    - ``requote_ns``: the least time between two prices of one passive child.
    - ``owns_account``: every fill of the account is ours. Otherwise the account is shared: ours are the fills of our
      cloids and the breaker's for us, funding is our part of each row, we begin flat, and comparing positions with the
      venue is left to the auditor, who sees everybody's.
    """

    limits: Limits
    tick_ns: int = SECOND // 2
    pending_timeout_ns: int = 5 * SECOND
    query_backoff_ns: int = SECOND
    query_backoff_max_ns: int = 30 * SECOND
    linger_ns: int = 2 * SECOND
    alo_retries: int = 3
    reject_backoff_ns: int = 5 * SECOND
    patience_ns: int = 30 * SECOND
    max_slippage: float = 0.005
    requote_ns: int = SECOND
    owns_account: bool = True

    def __post_init__(self) -> None:
        for name in ("tick_ns", "pending_timeout_ns", "query_backoff_ns", "query_backoff_max_ns", "requote_ns"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"kernel: {name} is {getattr(self, name)}; give a time above 0 ns")
        if not (math.isfinite(self.max_slippage) and 0 <= self.max_slippage < 1):
            raise ConfigError(f"kernel: max_slippage is {self.max_slippage}; give a fraction between 0 and 1")

    def scaled(self, speed: float) -> KernelConfig:
        """The same patience on the wall when the venue's clock runs ``speed`` times as fast."""
        times = {name: int(getattr(self, name) * speed) for name in self.__struct_fields__ if name.endswith("_ns")}
        age = int(self.limits.max_feed_age_ns * speed)
        limits = msgspec.structs.replace(
            self.limits, max_feed_age_ns=age, actions_per_second=self.limits.actions_per_second / speed
        )
        return msgspec.structs.replace(self, limits=limits, **times)
