"""What can be chosen about Carry. ``configs/carry.yml`` explains every key."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, SecretStr, model_validator

from slipstream.core.forecast.artefact import Artefact, ArtefactError, decode
from slipstream.core.forecast.drift import DriftTerms
from slipstream.core.forecast.features import FeatureSpec
from slipstream.execution.settings import SECOND, KernelConfig, Limits

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
Above = Annotated[FiniteFloat, Field(gt=0.0)]
Fraction = Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]
Amount = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Spans = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1)]


class Block(BaseModel):
    """A block of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SignalBlock(Block):
    """The features, which the model must have been trained on: see `FeatureSpec`."""

    bar_hours: Literal[1, 2, 4, 8, 12, 24] = 4
    horizon_hours: Annotated[int, Field(ge=1, le=720)] = 24
    window: Annotated[int, Field(ge=5, le=1000)] = 30
    price_spans: Spans = (2, 4, 8, 16, 32)
    funding_spans: Spans = (1, 2, 6, 18, 42)
    vol_span: Annotated[int, Field(ge=2, le=4096)] = 64
    warm_up_bars: Annotated[int, Field(ge=1)] = 6
    weight_method: Literal["sqrt", "log", "sqrt_dollar"] = "sqrt_dollar"


class BookBlock(Block):
    """Risk, limits, and the costs that the optimiser weighs."""

    risk_aversion: Above = 5.0
    gross_leverage: Annotated[FiniteFloat, Field(gt=0.0, le=10.0)] = 1.0
    max_coin_weight: Annotated[FiniteFloat, Field(gt=0.0, le=10.0)] = 0.1
    covariance_shrink: Fraction = 0.25
    trade_usd: Above = 10_000.0
    max_share: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 0.025
    fee: Annotated[FiniteFloat, Field(ge=0.0, lt=0.1)] = 0.00045
    half_spread: Annotated[FiniteFloat, Field(ge=0.0, lt=0.1)] = 0.0002
    impact: Annotated[FiniteFloat, Field(ge=0.0, le=100.0)] = 1.0
    hold_horizons: Annotated[FiniteFloat, Field(ge=1.0, le=100.0)] = 5.0


class DriftBlock(Block):
    """When to say, and when to act on it, that the market is not the one of training."""

    bars: Annotated[int, Field(ge=2, le=4096)] = 84
    psi_report: Above = 0.5
    psi_halt: Above = 3.0
    shift_report: Above = 0.5
    shift_halt: Above = 2.0


class TradeBlock(Block):
    """When and how the book is traded. Times in venue time."""

    capital: Amount = Decimal(20_000)
    rebalance_hours: Annotated[FiniteFloat, Field(gt=0.0, le=720.0)] = 24.0
    offset_minutes: Annotated[FiniteFloat, Field(ge=0.0, lt=1440.0)] = 1.0
    passive_minutes: Annotated[FiniteFloat, Field(ge=0.0, le=720.0)] = 20.0
    deadline_minutes: Annotated[FiniteFloat, Field(gt=0.0, le=720.0)] = 40.0
    min_trade_usd: Above = 25.0
    band: Fraction = 0.0
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


class CarryConfig(Block):
    """Carry's file. ``coins`` empty: every perp of the venue but ``exclude``.

    ``artefact`` is the model's file; ``artefact_text`` its content, which a journalled session keeps so that it can be
    replayed after the file has changed.
    """

    version: int = 1
    hl_url: str = "http://127.0.0.1:3001"
    state_dir: str = "state/carry"
    state_snapshot_path: Path | None = None
    status_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    log_level: str | None = None
    hyperliquid_api_key: str | None = None
    hyperliquid_api_secret: SecretStr | None = None
    hyperliquid_main_wallet: str | None = None
    require_mandate: bool = False
    coins: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    artefact: Path = Path("var/carry/model.json")
    artefact_text: str | None = None
    signal: SignalBlock = SignalBlock()
    book: BookBlock = BookBlock()
    drift: DriftBlock = DriftBlock()
    trade: TradeBlock = TradeBlock()
    gross_cap: Amount = Decimal(40_000)
    coin_cap: Amount = Decimal(10_000)
    fat_finger: Annotated[FiniteFloat, Field(gt=0.0, lt=1.0)] = 0.05
    actions_per_second: Above = 5.0
    max_feed_age_ms: Annotated[int, Field(gt=0)] = 10_000

    @model_validator(mode="after")
    def _whole_horizon(self) -> CarryConfig:
        self.spec()  # says what does not fit
        return self

    @property
    def bar_ns(self) -> int:
        """Length of a bar, ns."""
        return self.signal.bar_hours * HOUR

    @property
    def bars_per_day(self) -> float:
        """Bars in a day."""
        return 24.0 / self.signal.bar_hours

    def spec(self) -> FeatureSpec:
        """The features that are computed. Raises ValueError: a horizon that is not whole bars."""
        signal = self.signal
        return FeatureSpec(
            bar_hours=signal.bar_hours,
            horizon_hours=signal.horizon_hours,
            window=signal.window,
            price_spans=signal.price_spans,
            funding_spans=signal.funding_spans,
            vol_span=signal.vol_span,
            warm_up=signal.warm_up_bars,
            weight_method=signal.weight_method,
        )

    def drift_terms(self) -> DriftTerms:
        """The terms of the drift monitor."""
        return DriftTerms(**self.drift.model_dump())

    def model(self) -> tuple[Artefact | None, str]:
        """The model in ``artefact_text``, or why there is none that can be used."""
        if not self.artefact_text:
            return None, f"no model at {self.artefact}: train one with slipstream train carry"
        try:
            return decode(self.artefact_text.encode(), str(self.artefact), self.spec()), ""
        except ArtefactError as error:
            return None, str(error)

    def public(self) -> dict[str, Any]:
        """Plain values without secrets, enough to be read back, with the model's content as its file has it now."""
        secret = {name for name in type(self).model_fields if name.startswith("hyperliquid_")}
        values = self.model_dump(mode="json", exclude=secret, exclude_none=True)
        if self.artefact_text is None:
            try:
                values["artefact_text"] = self.artefact.read_text(encoding="utf-8")
            except FileNotFoundError:
                values["artefact_text"] = ""
            except (OSError, UnicodeDecodeError) as error:
                raise ArtefactError(f"{self.artefact}: {error}; train one with slipstream train carry") from None
        return values


def funding_hours(config: CarryConfig) -> int:
    """Hours of settled funding that a pod's averages begin with: four of the longest span leave 0.03 % to the rest."""
    signal = config.signal
    return signal.bar_hours * max(4 * max(signal.funding_spans), signal.warm_up_bars)


def kernel_settings(config: CarryConfig, speed: float) -> KernelConfig:
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
