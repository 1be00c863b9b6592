"""What can be chosen about Carry. ``configs/carry.yml`` explains every key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, model_validator

from slipstream.core.costs.calibrated import Calibrated, read_costs
from slipstream.core.costs.calibrated import decode as decode_costs
from slipstream.core.costs.calibrated import encode as encode_costs
from slipstream.core.forecast.artefact import Artefact, ArtefactError, decode
from slipstream.core.forecast.drift import DriftTerms
from slipstream.core.forecast.features import FeatureSpec
from slipstream.strategies import bar_config
from slipstream.strategies.bar_config import Above, BarBlock, BarConfig, Block, Fraction, Leverage, Share, Within
from slipstream.strategies.bar_config import kernel_settings as kernel_settings  # the entry's hook

Spans = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1)]


class SignalBlock(BarBlock):
    """The features, which the model must have been trained on: see `FeatureSpec`."""

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
    gross_leverage: Leverage = 1.0
    max_coin_weight: Leverage = 0.1
    covariance_shrink: Fraction = 0.25
    trade_usd: Above = 10_000.0
    max_share: Share = 0.025
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


class TradeBlock(bar_config.TradeBlock):
    """When and how the book is traded, and what loss ends it. The optimiser weighs costs: no band of its own."""

    band: Fraction = 0.0
    drawdown_stop: Within = 0.15


class CarryConfig(BarConfig):
    """Carry's file. ``coins`` empty: every perp of the venue but ``exclude``.

    ``artefact`` is the model's file; ``artefact_text`` its content, which a journalled session keeps so that it can be
    replayed after the file has changed. ``costs`` is a file of `slipstream costs calibrate` that stands instead of the
    book's ``fee``, ``half_spread`` and ``impact``; ``costs_text`` its content, kept for the same reason.
    """

    state_dir: str = "state/carry"
    artefact: Path = Path("var/carry/model.json")
    artefact_text: str | None = None
    costs: Path | None = None
    costs_text: str | None = None
    signal: SignalBlock = SignalBlock()
    book: BookBlock = BookBlock()
    drift: DriftBlock = DriftBlock()
    trade: TradeBlock = TradeBlock()

    @model_validator(mode="after")
    def _whole_horizon(self) -> CarryConfig:
        self.spec()  # says what does not fit
        return self

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

    def calibrated(self) -> Calibrated | None:
        """The costs of ``costs``, None without it. Raises CostsError."""
        if self.costs is None:
            return None
        return read_costs(self.costs) if self.costs_text is None else decode_costs(self.costs_text.encode(), "costs")

    def public(self) -> dict[str, Any]:
        """Plain values without secrets, enough to be read back, with what the files of model and costs hold now."""
        values = super().public()
        if self.artefact_text is None:
            try:
                values["artefact_text"] = self.artefact.read_text(encoding="utf-8")
            except FileNotFoundError:
                values["artefact_text"] = ""
            except (OSError, UnicodeDecodeError) as error:
                raise ArtefactError(f"{self.artefact}: {error}; train one with slipstream train carry") from None
        found = self.calibrated()
        if found is not None:
            values["costs_text"] = encode_costs(found).decode()
        return values


def funding_hours(config: CarryConfig) -> int:
    """Hours of settled funding that a pod's averages begin with: four of the longest span leave 0.03 % to the rest."""
    signal = config.signal
    return signal.bar_hours * max(4 * max(signal.funding_spans), signal.warm_up_bars)
