"""What can be chosen about Brawler. ``configs/brawler.yml`` explains every key, ``docs/BRAWLER_SPEC.md`` its meaning.

A key of the quoting block stands at the top level for every symbol, or inside an entry of ``symbols`` for that one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, SecretStr, model_validator

SECOND = 1_000_000_000
MILLI = 1_000_000

Fraction = Annotated[FiniteFloat, Field(ge=0.0, lt=1.0)]
Above = Annotated[FiniteFloat, Field(gt=0.0)]
NotBelow = Annotated[FiniteFloat, Field(ge=0.0)]
Amount = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class Block(BaseModel):
    """A block of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Quoting(msgspec.Struct, frozen=True, kw_only=True):
    """The quoting terms of one symbol, complete. Fractions are of the fair price; sizes are in base coin."""

    symbol: str
    cex_symbol: str
    order_size: Decimal
    max_inventory: Decimal
    base_spread: float = 0.0008
    k: float = 2.0
    skew: float = 0.0004
    maker_fee: float = 0.00015
    tick_size: Decimal = Decimal(0)
    quote_reprice_tolerance_ticks: float = 1.0
    sigma_window: int = 120
    sigma_interval_ms: int = 1000
    basis_halflife_s: float = 30.0
    max_volatility: float = 0.0015
    max_basis_deviation: float = 0.003
    requote_horizon_s: float = 10.0
    request_cost_usd: float = 0.0005


class Overrides(Block):
    """Keys of the quoting block, each optional here; see `Quoting` for the defaults."""

    order_size: Amount | None = None
    max_inventory: Amount | None = None
    base_spread: Annotated[FiniteFloat, Field(gt=0.0, lt=0.2)] | None = None
    k: NotBelow | None = None
    skew: Fraction | None = Field(None, alias="lambda")
    maker_fee: Annotated[FiniteFloat, Field(ge=-0.001, lt=0.01)] | None = None
    tick_size: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] | None = None
    quote_reprice_tolerance_ticks: NotBelow | None = None
    sigma_window: Annotated[int, Field(ge=10, le=10_000)] | None = None
    sigma_interval_ms: Annotated[int, Field(ge=10, le=600_000)] | None = None
    basis_halflife_s: Above | None = None
    max_volatility: Above | None = None
    max_basis_deviation: Above | None = None
    requote_horizon_s: Above | None = None
    request_cost_usd: NotBelow | None = None


class SymbolConfig(Overrides):
    """One symbol: the venue's coin, the reference venue's symbol, and what differs from the top level."""

    symbol: Annotated[str, Field(min_length=1)]
    cex_symbol: Annotated[str, Field(min_length=1)] | None = None


class KillSwitch(Block):
    """When quoting is suspended, and when it resumes by itself."""

    hl_max_lag_ms: Annotated[int, Field(ge=50)] = 3_000
    cex_max_lag_ms: Annotated[int, Field(ge=50)] = 3_000
    max_basis: Above = 0.02
    basis_resume_ratio: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 0.7
    volatility_resume_ratio: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 0.8
    inventory_ratio: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 0.95
    inventory_resume_ratio: Annotated[FiniteFloat, Field(gt=0.0, lt=1.0)] = 0.7
    backoff_s: NotBelow = 5.0
    backoff_max_s: NotBelow = 120.0
    backoff_memory_s: NotBelow = 300.0
    check_interval_ms: Annotated[int, Field(ge=10, le=10_000)] = 250

    @model_validator(mode="after")
    def _ordered(self) -> KillSwitch:
        if self.inventory_resume_ratio >= self.inventory_ratio:
            raise ValueError(
                f"inventory_resume_ratio {self.inventory_resume_ratio} must be below "
                f"inventory_ratio {self.inventory_ratio}"
            )
        if self.backoff_max_s < self.backoff_s:
            raise ValueError(f"backoff_max_s {self.backoff_max_s} must not be below backoff_s {self.backoff_s}")
        return self


class Portfolio(Block):
    """Exposure of all symbols together. Ratios are of ``gross_cap``, which is USD."""

    gross_cap: Amount = Decimal(10_000)
    coin_cap: Amount | None = None
    taper_start_ratio: Annotated[FiniteFloat, Field(ge=0.0, lt=1.0)] = 0.5
    taper_floor: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 0.25
    reduce_only_ratio: Above = 0.85
    halt_ratio: Above = 1.2
    resume_ratio: Above = 0.7

    @model_validator(mode="after")
    def _ordered(self) -> Portfolio:
        if not self.resume_ratio < self.reduce_only_ratio < self.halt_ratio:
            raise ValueError(
                f"resume_ratio {self.resume_ratio} < reduce_only_ratio {self.reduce_only_ratio} < halt_ratio "
                f"{self.halt_ratio} does not hold; put them in that order"
            )
        if self.coin_cap is not None and self.coin_cap > self.gross_cap:
            raise ValueError(f"coin_cap {self.coin_cap} is above gross_cap {self.gross_cap}")
        return self


class ScoreWeights(Block):
    """What the parts of a candidate's score weigh, relative to each other."""

    basis: NotBelow = 1.0
    drift: NotBelow = 1.0
    parity: NotBelow = 1.0
    edge: NotBelow = 2.0
    depth: NotBelow = 1.0
    funding: NotBelow = 0.5


class CandidateScreening(Block):
    """What a listing should look like before it is quoted; a symbol that does not is reported, not stopped.

    The pod looks at the first four; the candidate scan, which has a recording, at all. Targets and weights only score.
    """

    min_local_spread_bps: NotBelow = 0.0
    max_abs_basis_bps: Above = 50.0
    max_sigma: Above = 0.001
    min_depth_usd: NotBelow = 0.0
    max_basis_drift_bps: Above = 20.0
    max_sigma_ratio: Annotated[FiniteFloat, Field(gt=1.0)] = 3.0
    min_spread_edge_bps: FiniteFloat = 0.0
    min_depth_multiple: NotBelow = 0.0
    max_funding_vol_bps: Above = 1.0
    target_spread_edge_bps: Above = 5.0
    target_depth_multiple: Above = 50.0
    weights: ScoreWeights = ScoreWeights()


class BrawlerConfig(Overrides):
    """The whole file."""

    ENTRIES: ClassVar = ("symbols", "symbol")  # a flag of a symbol alone is symbols.SOL.base_spread

    version: int = 1
    symbols: Annotated[list[SymbolConfig], Field(min_length=1)]
    budget_horizon_h: Above = 4.0
    kill_switch: KillSwitch = KillSwitch()
    portfolio: Portfolio = Portfolio()
    candidate_screening: CandidateScreening = CandidateScreening()
    fat_finger: Annotated[FiniteFloat, Field(gt=0.0, lt=1.0)] = 0.05
    actions_per_second: Above = 20.0
    require_mandate: bool = False
    hl_url: str = "http://127.0.0.1:3001"
    cex_url: str | None = None
    state_dir: str = "state/brawler"
    state_snapshot_path: str | None = None
    status_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    log_level: str | None = None
    hyperliquid_api_key: str | None = None
    hyperliquid_api_secret: SecretStr | None = None
    hyperliquid_main_wallet: str | None = None

    @model_validator(mode="after")
    def _resolvable(self) -> BrawlerConfig:
        seen: set[str] = set()
        for number, entry in enumerate(self.symbols):
            where = f"symbols[{number}] ({entry.symbol})"
            if entry.symbol in seen:
                raise ValueError(f"{where}: the symbol is listed twice; keep one of the two")
            seen.add(entry.symbol)
            for key in ("order_size", "max_inventory"):
                if getattr(entry, key) is None and getattr(self, key) is None:
                    raise ValueError(f"{where}: `{key}` is missing; give it in base coin, here or at the top level")
            terms = self.quoting(entry)
            if terms.order_size > terms.max_inventory:
                raise ValueError(f"{where}: order_size {terms.order_size} is above max_inventory {terms.max_inventory}")
            if terms.base_spread <= 2 * terms.maker_fee:
                raise ValueError(
                    f"{where}: base_spread {terms.base_spread} does not pay for two maker fees of {terms.maker_fee}"
                )
        return self

    def quoting(self, entry: SymbolConfig) -> Quoting:
        """The complete terms of a symbol: its own keys, then the top level's, then the defaults."""
        chosen: dict[str, Any] = {}
        for key in Overrides.model_fields:
            value = getattr(entry, key)
            value = getattr(self, key) if value is None else value
            if value is not None:
                chosen[key] = value
        return Quoting(symbol=entry.symbol, cex_symbol=entry.cex_symbol or "", **chosen)

    @property
    def terms(self) -> tuple[Quoting, ...]:
        """The complete terms of every symbol, in the order of the file."""
        return tuple(self.quoting(entry) for entry in self.symbols)

    def scaled(self, speed: float) -> BrawlerConfig:
        """The same patience on the wall when the venue's clock runs ``speed`` times as fast.

        Only what waits for machines is scaled (feed lags, the check interval, the action rate); what measures the
        market is not.
        """
        switches = self.kill_switch
        scaled = switches.model_copy(
            update={
                "hl_max_lag_ms": int(switches.hl_max_lag_ms * speed),
                "cex_max_lag_ms": int(switches.cex_max_lag_ms * speed),
                "check_interval_ms": int(switches.check_interval_ms * speed),
            }
        )
        rate = self.actions_per_second / speed
        return self.model_copy(update={"kill_switch": scaled, "actions_per_second": rate})

    def public(self) -> dict[str, Any]:
        """Everything but credentials as plain values, for the journal; `from_public` reads it back."""
        secret = {name for name in type(self).model_fields if name.startswith("hyperliquid_")}
        return self.model_dump(mode="json", by_alias=True, exclude=secret, exclude_none=True)


def from_public(values: dict[str, Any]) -> BrawlerConfig:
    """The config that `BrawlerConfig.public` wrote down."""
    return BrawlerConfig.model_validate(values)
