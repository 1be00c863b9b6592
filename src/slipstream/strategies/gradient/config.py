"""What can be chosen about Gradient. ``configs/gradient.yml`` explains every key."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, FiniteFloat, model_validator

from slipstream.core.portfolio.books import BookTerms
from slipstream.core.signals.trend import LOOKBACKS
from slipstream.strategies import bar_config
from slipstream.strategies.bar_config import Above, BarBlock, BarConfig, Block, Fraction, Leverage, Share, Within


class SignalBlock(BarBlock):
    """Bars, lookbacks and who may be held."""

    lookbacks: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = LOOKBACKS
    vol_span: Annotated[int, Field(ge=2, le=4096)] = 64
    warm_up_bars: Annotated[int, Field(ge=2)] = 200
    trade_usd: Above = 10_000.0
    max_share: Share = 0.025

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
    gross_leverage: Leverage = 1.0
    max_coin_weight: Leverage = 0.25
    dollar_neutral: bool = True
    beta_neutral: bool = True
    beta_coin: str = "BTC"
    var_limit: Fraction = 0.0


class TradeBlock(bar_config.TradeBlock):
    """When and how the book is traded, and what loss ends it."""

    drawdown_stop: Within = 0.15


class GradientConfig(BarConfig):
    """Gradient's file. ``coins`` empty: every perp of the venue but ``exclude``."""

    # the wallet is an address: records have always said it
    UNRECORDED: ClassVar[frozenset[str]] = BarConfig.UNRECORDED - {"hyperliquid_main_wallet"}

    state_dir: str = "state/gradient"
    signal: SignalBlock = SignalBlock()
    book: BookBlock = BookBlock()
    trade: TradeBlock = TradeBlock()

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
