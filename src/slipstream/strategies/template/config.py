"""What can be chosen about Template. ``configs/template.yml`` explains every key."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FiniteFloat

from slipstream.core.portfolio.books import BookTerms
from slipstream.strategies.bar_config import Above, BarBlock, BarConfig, Block, Leverage, Share
from slipstream.strategies.bar_config import kernel_settings as kernel_settings  # the entry's hook


class SignalBlock(BarBlock):
    """Bars, the move that is faded, and who may be held."""

    lookback: Annotated[int, Field(ge=1, le=1024)] = 6
    vol_span: Annotated[int, Field(ge=2, le=4096)] = 64
    warm_up_bars: Annotated[int, Field(ge=2)] = 64
    trade_usd: Above = 10_000.0
    max_share: Share = 0.025


class BookBlock(Block):
    """How many names and how heavy."""

    top_fraction: Annotated[FiniteFloat, Field(gt=0.0, le=0.5)] = 0.2
    gross_leverage: Leverage = 1.0
    max_coin_weight: Leverage = 0.25


class TemplateConfig(BarConfig):
    """Template's file. ``coins`` empty: every perp of the venue but ``exclude``."""

    state_dir: str = "state/template"
    signal: SignalBlock = SignalBlock()
    book: BookBlock = BookBlock()

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
