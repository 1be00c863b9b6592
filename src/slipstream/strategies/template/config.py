"""What can be chosen about Template. ``configs/template.yml`` explains every key."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, SecretStr, model_validator

from slipstream.core.portfolio.books import BookTerms
from slipstream.execution.settings import SECOND, KernelConfig, Limits

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
Above = Annotated[FiniteFloat, Field(gt=0.0)]
Amount = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class Block(BaseModel):
    """A block of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SignalBlock(Block):
    """Bars, the move that is faded, and who may be held."""

    bar_hours: Literal[1, 2, 4, 8, 12, 24] = 4
    lookback: Annotated[int, Field(ge=1, le=1024)] = 6
    vol_span: Annotated[int, Field(ge=2, le=4096)] = 64
    warm_up_bars: Annotated[int, Field(ge=2)] = 64
    trade_usd: Above = 10_000.0
    max_share: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 0.025


class BookBlock(Block):
    """How many names and how heavy."""

    top_fraction: Annotated[FiniteFloat, Field(gt=0.0, le=0.5)] = 0.2
    gross_leverage: Annotated[FiniteFloat, Field(gt=0.0, le=10.0)] = 1.0
    max_coin_weight: Annotated[FiniteFloat, Field(gt=0.0, le=10.0)] = 0.25


class TradeBlock(Block):
    """When and how the book is traded. Times in venue time."""

    capital: Amount = Decimal(20_000)
    rebalance_hours: Annotated[FiniteFloat, Field(gt=0.0, le=720.0)] = 24.0
    offset_minutes: Annotated[FiniteFloat, Field(ge=0.0, lt=1440.0)] = 1.0
    passive_minutes: Annotated[FiniteFloat, Field(ge=0.0, le=720.0)] = 20.0
    deadline_minutes: Annotated[FiniteFloat, Field(gt=0.0, le=720.0)] = 40.0
    min_trade_usd: Above = 25.0
    band: Annotated[FiniteFloat, Field(ge=0.0, le=1.0)] = 0.1
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


class TemplateConfig(Block):
    """Template's file. ``coins`` empty: every perp of the venue but ``exclude``."""

    version: int = 1
    hl_url: str = "http://127.0.0.1:3001"
    state_dir: str = "state/template"
    state_snapshot_path: Path | None = None
    status_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    log_level: str | None = None
    hyperliquid_api_key: str | None = None
    hyperliquid_api_secret: SecretStr | None = None
    hyperliquid_main_wallet: str | None = None
    require_mandate: bool = False
    coins: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    signal: SignalBlock = SignalBlock()
    book: BookBlock = BookBlock()
    trade: TradeBlock = TradeBlock()
    gross_cap: Amount = Decimal(40_000)
    coin_cap: Amount = Decimal(10_000)
    fat_finger: Annotated[FiniteFloat, Field(gt=0.0, lt=1.0)] = 0.05
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

    def terms(self) -> BookTerms:
        """The terms of the books."""
        return BookTerms(
            top_fraction=self.book.top_fraction,
            gross=self.book.gross_leverage,
            max_weight=self.book.max_coin_weight,
            beta_neutral=False,
            trade_usd=self.signal.trade_usd,
            max_share=self.signal.max_share,
        )

    def public(self) -> dict[str, Any]:
        """Plain values without secrets, enough to be read back."""
        secret = {name for name in type(self).model_fields if name.startswith("hyperliquid_")}
        return self.model_dump(mode="json", exclude=secret, exclude_none=True)


def kernel_settings(config: TemplateConfig, speed: float) -> KernelConfig:
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
