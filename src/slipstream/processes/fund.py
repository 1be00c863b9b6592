"""What can be chosen about a fund. ``configs/fund.yml`` explains every key.

Times are wall seconds: a venue whose clock runs S times as fast gets venue times S times as long. Amounts are USD.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from slipstream.model.cloid import pod_id
from slipstream.model.errors import ConfigError
from slipstream.model.mandate import Stage
from slipstream.model.topics import ALL, WRITERS
from slipstream.runtime.config import load

Seconds = Annotated[FiniteFloat, Field(gt=0.0)]
Share = Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]
Amount = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
ADDRESS = r"^0x[0-9a-fA-F]{40}$"


class Block(BaseModel):
    """A block of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BusBlock(Block):
    """Where messages go. Without ``url`` the fund starts a broker of its own on this machine."""

    url: str | None = None
    port: Annotated[int, Field(ge=0, le=65535)] = 0


class LeaseBlock(Block):
    """How long a mandate holds, when it is renewed, and how long after its end a pod may still reduce."""

    valid_s: Seconds = 30.0
    renew_s: Seconds = 8.0
    grace_s: Seconds = 60.0

    @model_validator(mode="after")
    def _renewed_in_time(self) -> LeaseBlock:
        if self.renew_s * 2 > self.valid_s:
            raise ValueError(f"renew_s {self.renew_s} must be at most half of valid_s {self.valid_s}: one may be lost")
        return self


class AllocationBlock(Block):
    """How capital is shared. Shares are of the fund's equity."""

    every_s: Seconds = 15.0
    reserve: Share = 0.1
    gross_leverage: Annotated[FiniteFloat, Field(gt=0.0, le=20.0)] = 2.0
    kelly_fraction: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 0.25
    max_drawdown: Annotated[FiniteFloat, Field(gt=0.0, lt=1.0)] = 0.2
    max_turnover: Share = 0.1
    move_cost: Share = 0.001
    prior_sharpe_sd: Annotated[FiniteFloat, Field(gt=0.0)] = 0.5
    min_hours: Annotated[FiniteFloat, Field(ge=0.0)] = 72.0
    action_budget_per_s: Annotated[FiniteFloat, Field(gt=0.0)] = 20.0
    max_slippage_bp: Annotated[FiniteFloat, Field(gt=0.0)] = 25.0
    stage_caps: dict[Stage, Share] = {
        Stage.INCUBATION: 0.1,
        Stage.EVALUATION: 0.2,
        Stage.GROWTH: 0.4,
        Stage.MATURITY: 0.6,
        Stage.RETIREMENT: 0.0,
    }


class StressBlock(Block):
    """What the fund may look like if every pod went to its maximum at once."""

    max_beta: Annotated[FiniteFloat, Field(gt=0.0)] = 1.0
    max_correlation: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 0.95
    correlated_beta: Annotated[FiniteFloat, Field(ge=0.0)] = 0.25
    max_loss: Share = 0.35
    vol_factor: Annotated[FiniteFloat, Field(ge=1.0)] = 3.0


class LifecycleBlock(Block):
    """Promotion and retirement. ``alpha`` is the fund's whole budget of false promotions."""

    alpha: Annotated[FiniteFloat, Field(gt=0.0, lt=1.0)] = 0.05
    retire_alpha: Annotated[FiniteFloat, Field(gt=0.0, lt=1.0)] = 0.05
    min_hours: Annotated[FiniteFloat, Field(ge=0.0)] = 168.0
    min_fills: Annotated[int, Field(ge=0)] = 100
    cooldown_hours: Annotated[FiniteFloat, Field(ge=0.0)] = 48.0
    max_shortfall_bp: Annotated[FiniteFloat, Field(gt=0.0)] = 50.0


class AuditBlock(Block):
    """How often the auditor looks, what it forgives, and when it escalates."""

    every_s: Seconds = 0.5
    grace_s: Seconds = 0.7
    confirm: Annotated[int, Field(ge=1)] = 2
    clear_after: Annotated[int, Field(ge=1)] = 4
    report_stale_s: Seconds = 2.4
    beat_missed_s: Seconds = 4.0
    max_skew_s: Seconds = 2.0
    escalate_s: Seconds = 20.0
    pnl_tolerance: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] = Decimal("0.05")
    ip_weight: Annotated[int, Field(ge=200, le=1_200)] = 400


class BreakerBlock(Block):
    """When the breaker acts by itself."""

    every_s: Seconds = 0.5
    beat_missed_s: Seconds = 5.0
    flatten_after_s: Seconds = 30.0
    max_slippage: Annotated[FiniteFloat, Field(gt=0.0, lt=0.5)] = 0.02
    schedule_cancel_s: Seconds = 30.0


class AlertBlock(Block):
    """Where alerts go: apprise URLs (mail, chat, webhook)."""

    urls: tuple[str, ...] = ()
    per_minute: Annotated[FiniteFloat, Field(gt=0.0)] = 6.0


class PodEntry(Block):
    """One pod. ``coins`` empty grants every coin; ``maker_share`` is the least part of volume it means to make.

    ``account`` empty: the fund's. ``max_memory_mb`` 0 sets no bound.
    """

    slug: Slug
    config: Path
    strategy: Slug | None = None
    account: Annotated[str, Field(pattern=ADDRESS)] | None = None
    stage: Stage = Stage.INCUBATION
    coins: tuple[str, ...] = ()
    gross_cap: Amount = Decimal(20_000)
    coin_cap: Amount = Decimal(10_000)
    maker_share: Share = 0.0
    max_memory_mb: Annotated[int, Field(ge=0)] = 2048

    @property
    def kind(self) -> str:
        """The strategy that it runs."""
        return self.strategy or self.slug


class FundConfig(Block):
    """A fund: a venue, an account, pods, and the processes that lend to them, watch them and stop them."""

    version: int = 1
    realm: Slug = "demo"
    hl_url: str = "http://127.0.0.1:3001"
    account: Annotated[str, Field(pattern=ADDRESS)] | None = None
    state_dir: Path = Path("var/fund")
    journal_url: str | None = None
    bus: BusBlock = BusBlock()
    lease: LeaseBlock = LeaseBlock()
    allocation: AllocationBlock = AllocationBlock()
    stress: StressBlock = StressBlock()
    lifecycle: LifecycleBlock = LifecycleBlock()
    audit: AuditBlock = AuditBlock()
    breaker: BreakerBlock = BreakerBlock()
    alerts: AlertBlock = AlertBlock()
    pods: tuple[PodEntry, ...]

    @model_validator(mode="after")
    def _pods_are_told_apart(self) -> FundConfig:
        seen: dict[int, str] = {}
        seen_names: dict[str, str] = {}
        for pod in self.pods:
            if pod.slug in (ALL, "fund", "alerts", "broker", "venue", *WRITERS):
                raise ValueError(f"a pod may not be called {pod.slug!r}: the fund's own processes are")
            # of a hyphen and an underscore the names of schemas and of environment variables know one
            alike = seen_names.setdefault(pod.slug.replace("-", "_"), pod.slug)
            other = seen.setdefault(pod_id(pod.slug), alike)
            if other != pod.slug or sum(p.slug == pod.slug for p in self.pods) > 1:
                raise ValueError(f"pods {other!r} and {pod.slug!r} cannot be told apart; rename one")
        if not self.pods:
            raise ValueError("no pods; give at least one")
        return self

    def pod(self, slug: str) -> PodEntry:
        """A pod by its slug. Raises ConfigError that names those there are."""
        for pod in self.pods:
            if pod.slug == slug:
                return pod
        raise ConfigError(f"no pod is called {slug!r}; the fund has {', '.join(p.slug for p in self.pods)}")

    def account_of(self, slug: str) -> str:
        """The address a pod trades on, lower case. Raises ConfigError if none is known."""
        found = self.pod(slug).account or self.account
        if found is None:
            raise ConfigError("fund: `account` is missing: the address that the pods trade on")
        return found.lower()

    def journal_of(self, process: str) -> str:
        """Where a process keeps its journal: a file in the state directory, or a schema of the database."""
        if self.journal_url is None:
            return str(self.state_dir / process / "journal.db")
        mark = "&" if "?" in self.journal_url else "?"
        return f"{self.journal_url}{mark}schema={process.replace('-', '_')}"


class FundOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a process of the fund was started with; None: not said."""

    fund: Path
    state_dir: Path | None = None
    hl_url: str | None = None
    account: str | None = None
    bus_url: str | None = None


def load_fund(options: FundOptions, env: Mapping[str, str] | None = None) -> FundConfig:
    """The fund's config, flags first. Raises ConfigError with file, line and column."""
    return load(
        options.fund,
        FundConfig,
        env_prefix="SLIPSTREAM_FUND_",
        env=env,
        overrides={
            "state_dir": str(options.state_dir) if options.state_dir is not None else None,
            "hl_url": options.hl_url,
            "account": options.account,
            "bus.url": options.bus_url,
        },
    )
