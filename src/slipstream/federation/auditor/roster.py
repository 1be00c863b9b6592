"""Whose is an order or a fill: told by the first eight digits of its cloid, and by nothing else."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from slipstream.model.cloid import BREAKER, parse_cloid, pod_id, pod_prefix
from slipstream.model.errors import ConfigError, InvalidOrder

NOBODY = ""  # the owner of what no pod claims


class PodSpec(msgspec.Struct, frozen=True):
    """What the fund's config says of a pod. ``coins`` empty: any coin; ``maker_share``: least part of volume made."""

    slug: str
    account: str
    coins: tuple[str, ...] = ()
    maker_share: Decimal = Decimal(0)


class Owner(msgspec.Struct, frozen=True):
    """A pod (empty: nobody known), and whether the breaker acted for it."""

    pod: str
    by_breaker: bool = False


class Roster:
    """The pods of a fund. Raises ConfigError where two pods, or a pod and the breaker, cannot be told apart."""

    def __init__(self, pods: tuple[PodSpec, ...]) -> None:
        self.pods = {pod.slug: pod for pod in pods}
        self.accounts = tuple(dict.fromkeys(pod.account for pod in pods))
        self._ids: dict[int, str] = {}
        for pod in pods:
            other = self._ids.setdefault(pod_id(pod.slug), pod.slug)
            if other != pod.slug or pod.slug == BREAKER or sum(p.slug == pod.slug for p in pods) > 1:
                raise ConfigError(f"pods {other!r} and {pod.slug!r} cannot be told apart by cloid: rename one")
        self._prefixes = {pod_prefix(slug): Owner(slug) for slug in self.pods}
        self._breaker = pod_prefix(BREAKER)

    def owner(self, cloid: str | None, account: str) -> Owner:
        """Who is behind a cloid on an account. A pod's cloid on another account than its own is nobody's."""
        if not cloid:
            return Owner(NOBODY)
        found = self._prefixes.get(cloid[:10].lower())
        if found is None and cloid[:10].lower() == self._breaker:
            try:
                found = Owner(self._ids.get(parse_cloid(cloid).run, NOBODY), by_breaker=True)
            except InvalidOrder:
                return Owner(NOBODY)
        if found is None or (found.pod and self.pods[found.pod].account != account):
            return Owner(NOBODY)
        return found

    def sole(self, account: str) -> str | None:
        """The pod that has an account to itself, or None."""
        mine = [pod.slug for pod in self.pods.values() if pod.account == account]
        return mine[0] if len(mine) == 1 else None
