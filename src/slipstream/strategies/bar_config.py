"""What every strategy over closed bars is configured by: the venue, when and how it trades, and what it may hold.

A strategy's own file is `BarConfig` with its blocks: what its signal is made of, and how its book is built.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, SecretStr, model_validator

from slipstream.execution.rebalance import Band, Room
from slipstream.execution.schedule import HOUR, MINUTE, Schedule
from slipstream.execution.settings import SECOND, KernelConfig, Limits

Above = Annotated[FiniteFloat, Field(gt=0.0)]
Fraction = Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]
Share = Annotated[FiniteFloat, Field(gt=0.0, le=1.0)]
Leverage = Annotated[FiniteFloat, Field(gt=0.0, le=10.0)]
Within = Annotated[FiniteFloat, Field(gt=0.0, lt=1.0)]
Amount = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class Block(BaseModel):
    """A block of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BarBlock(Block):
    """The bars that a signal is made of."""

    bar_hours: Literal[1, 2, 4, 8, 12, 24] = 4


class TradeBlock(Block):
    """When and how the book is traded. Times in venue time."""

    capital: Amount = Decimal(20_000)
    rebalance_hours: Annotated[FiniteFloat, Field(gt=0.0, le=720.0)] = 24.0
    offset_minutes: Annotated[FiniteFloat, Field(ge=0.0, lt=1440.0)] = 1.0
    passive_minutes: Annotated[FiniteFloat, Field(ge=0.0, le=720.0)] = 20.0
    deadline_minutes: Annotated[FiniteFloat, Field(gt=0.0, le=720.0)] = 40.0
    min_trade_usd: Above = 25.0
    band: Fraction = 0.1
    max_order_usd: Amount = Decimal(5_000)
    max_slippage: Annotated[FiniteFloat, Field(gt=0.0, lt=0.1)] = 0.005
    max_bar_age_bars: Above = 2.0

    @model_validator(mode="after")
    def _in_order(self) -> TradeBlock:
        if self.deadline_minutes < self.passive_minutes:
            raise ValueError(
                f"deadline_minutes {self.deadline_minutes} is before passive_minutes {self.passive_minutes} are over"
            )
        return self

    def schedule(self, name: str) -> Schedule:
        """When the book is due, from the very beginning; ``name`` is the timer's."""
        return Schedule(
            name,
            every_ns=int(self.rebalance_hours * HOUR),
            offset_ns=int(self.offset_minutes * MINUTE),
            deadline_ns=int(self.deadline_minutes * MINUTE),
        )

    def quiet(self) -> Band:
        """What is too small to trade."""
        return Band(Decimal(repr(self.min_trade_usd)), Decimal(repr(self.band)))


class BarConfig(Block):
    """A strategy's file, less its own blocks. ``coins`` empty: every perp of the venue but ``exclude``."""

    UNRECORDED: ClassVar[frozenset[str]] = frozenset(
        {"hyperliquid_api_key", "hyperliquid_api_secret", "hyperliquid_main_wallet"}
    )

    version: int = 1
    hl_url: str = "http://127.0.0.1:3001"
    state_dir: str
    state_snapshot_path: Path | None = None
    status_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    log_level: str | None = None
    hyperliquid_api_key: str | None = None
    hyperliquid_api_secret: SecretStr | None = None
    hyperliquid_main_wallet: str | None = None
    require_mandate: bool = False
    coins: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    signal: BarBlock = BarBlock()
    trade: TradeBlock = TradeBlock()
    gross_cap: Amount = Decimal(40_000)
    coin_cap: Amount = Decimal(10_000)
    fat_finger: Within = 0.05
    actions_per_second: Above = 5.0
    max_feed_age_ms: Annotated[int, Field(gt=0)] = 10_000

    @property
    def bar_ns(self) -> int:
        """Length of a bar, ns."""
        return self.signal.bar_hours * HOUR

    @property
    def bars_per_day(self) -> float:
        """Bars in a day."""
        return 24.0 / self.signal.bar_hours

    @property
    def max_bar_age_ns(self) -> float:
        """Age from which the newest bar is too old to decide by, ns."""
        return self.trade.max_bar_age_bars * self.bar_ns

    def room(self) -> Room:
        """What may be held by this file alone, USD."""
        return Room(self.trade.capital, self.gross_cap, {}, self.coin_cap)

    def public(self) -> dict[str, Any]:
        """Plain values without secrets, enough to be read back."""
        return self.model_dump(mode="json", exclude=set(self.UNRECORDED), exclude_none=True)


def kernel_settings(config: BarConfig, speed: float) -> KernelConfig:
    """The gate's limits and the kernel's patience at a venue's speed; what is venue time already is not scaled."""
    limits = Limits(
        gross_cap=config.gross_cap,
        coin_cap=config.coin_cap,
        max_order=config.trade.max_order_usd,
        fat_finger=config.fat_finger,
        max_feed_age_ns=config.max_feed_age_ms * SECOND // 1000,
        require_mandate=config.require_mandate,
        actions_per_second=config.actions_per_second,
    )
    scaled = KernelConfig(limits=limits, max_slippage=config.trade.max_slippage, requote_ns=2 * SECOND).scaled(speed)
    return msgspec.structs.replace(scaled, patience_ns=int(config.trade.passive_minutes * MINUTE))
