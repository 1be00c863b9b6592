"""What being a pod of a fund changes: a shared account, a mandate to wait for, caps, and a link to the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from slipstream.execution.settings import KernelConfig
from slipstream.model.cloid import breaker_prefix, pod_prefix
from slipstream.model.errors import ConfigError
from slipstream.processes.fund import FundConfig, FundOptions, PodEntry, load_fund
from slipstream.runtime.bus.connect import connect
from slipstream.runtime.link import LinkOptions
from slipstream.runtime.parts import PodParts
from slipstream.venues.hyperliquid.broker import BrokerOptions


class Membership(msgspec.Struct, frozen=True):
    """A pod's place in its fund."""

    fund: FundConfig
    entry: PodEntry
    account: str
    bus_url: str

    @property
    def slug(self) -> str:
        """The pod's name."""
        return self.entry.slug

    @property
    def is_shared(self) -> bool:
        """Whether others trade on the same account. The breaker always may: only an own account is not shared."""
        return sum(self.fund.account_of(pod.slug) == self.account for pod in self.fund.pods) > 1

    @property
    def journal(self) -> str:
        """Where the pod's journal is kept."""
        return self.fund.journal_of(self.slug)

    def broker(self, options: BrokerOptions) -> BrokerOptions:
        """The connector's options on the fund's account."""
        prefixes = (pod_prefix(self.slug), breaker_prefix(self.slug)) if self.is_shared else ()
        return msgspec.structs.replace(options, account=self.account, prefixes=prefixes)

    def kernel(self, config: KernelConfig) -> KernelConfig:
        """The kernel's config: nothing without a mandate, and never more than the fund's file allows."""
        limits = config.limits
        coin_cap = min(limits.coin_cap, self.entry.coin_cap)
        limits = msgspec.structs.replace(
            limits,
            require_mandate=True,
            gross_cap=min(limits.gross_cap, self.entry.gross_cap),
            coin_cap=coin_cap,
            coin_caps={coin: min(cap, coin_cap) for coin, cap in limits.coin_caps.items()},
        )
        return msgspec.structs.replace(config, limits=limits, owns_account=not self.is_shared)

    def parts(self, parts: PodParts) -> PodParts:
        """The pod's parts with its link to the fund."""
        return replace(
            parts,
            account=self.account,
            bus=connect(self.bus_url, self.slug, realm=self.fund.realm, pod=True),
            link=LinkOptions(realm=self.fund.realm),
        )


def membership(fund: Path | None, slug: str, environ: Mapping[str, str]) -> Membership | None:
    """A pod's membership of the fund in a file; None without one. Raises ConfigError."""
    if fund is None:
        return None
    config = load_fund(FundOptions(fund=fund), env=environ)
    url = config.bus.url
    if url is None:
        raise ConfigError(
            f"pod {slug}: the fund's bus is not known; give bus.url in {fund} or SLIPSTREAM_FUND_BUS__URL "
            "(mqtt://pod:password@host:port)"
        )
    return Membership(config, config.pod(slug), config.account_of(slug), url)
