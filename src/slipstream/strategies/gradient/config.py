"""What can be chosen about Gradient. ``configs/gradient.yml`` explains every key."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, SecretStr, model_validator

from slipstream.core.portfolio.books import BookTerms
from slipstream.core.signals.trend import LOOKBACKS

HOUR = 3_600_000_000_000
SECOND = 1_000_000_000
Fraction = Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]
Above = Annotated[FiniteFloat, Field(gt=0.0)]
Amount = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class Block(BaseModel):
    """A block of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SignalBlock(Block):
    """Bars, lookbacks and who may be held."""

    bar_hours: Literal[1, 2, 4, 8, 12, 24] = 4
    lookbacks: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = LOOKBACKS
    vol_span: Annotated[int, Field(ge=2, le=4096)] = 64
    warm_up_bars: Annotated[int, Field(ge=2)] = 200
    trade_usd: Above = 10_000.0
    max_share: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 0.025

    @model_validator(mode="after")
    def _lookbacks_grow(self) -> SignalBlock:
        if not self.lookbacks or list(self.lookbacks) != sorted(set(self.lookbacks)):
            raise ValueError(f"lookbacks {list(self.lookbacks)} must be distinct and grow, such as [2, 4, 8]")
        return self


class BookBlock(Block):
    """How many names, how heavy, what is neutral."""

    top_n: Annotated[int, Field(ge=0)] = 0
    top_fraction: Annotated[FiniteFloat, Field(gt=0.0, le=0.5)] = 0.2
    weighting: Literal["inverse_vol", "equal"] = "inverse_vol"
    gross_leverage: Annotated[FiniteFloat, Field(gt=0.0, le=10.0)] = 1.0
    max_coin_weight: Annotated[FiniteFloat, Field(gt=0.0, le=10.0)] = 0.25
    dollar_neutral: bool = True
    beta_neutral: bool = True
    beta_coin: str = "BTC"
    var_limit: Fraction = 0.0


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
    drawdown_stop: Annotated[FiniteFloat, Field(gt=0.0, lt=1.0)] = 0.15

    @model_validator(mode="after")
    def _in_order(self) -> TradeBlock:
        if self.deadline_minutes < self.passive_minutes:
            raise ValueError(
                f"deadline_minutes {self.deadline_minutes} is before passive_minutes {self.passive_minutes} are over"
            )
        return self


class GradientConfig(Block):
    """Gradient's file. ``coins`` empty: every perp of the venue but ``exclude``."""

    version: int = 1
    hl_url: str = "http://127.0.0.1:3001"
    state_dir: str = "state/gradient"
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
        book, signal = self.book, self.signal
        return BookTerms(
            top_n=book.top_n,
            top_fraction=book.top_fraction,
            weighting=book.weighting,
            gross=book.gross_leverage,
            max_weight=book.max_coin_weight,
            dollar_neutral=book.dollar_neutral,
            beta_neutral=book.beta_neutral,
            trade_usd=signal.trade_usd,
            max_share=signal.max_share,
            var_limit=book.var_limit,
        )

    def public(self) -> dict[str, Any]:
        """Plain values without secrets, enough to be read back by `from_public`."""
        return self.model_dump(
            mode="json", exclude={"hyperliquid_api_secret", "hyperliquid_api_key"}, exclude_none=True
        )


def from_public(values: dict[str, Any]) -> GradientConfig:
    """The config of a journalled session."""
    return GradientConfig.model_validate(values)
