"""From capital to leases: caps of gross and coins, shares of the action budget, and mandates that shrink at once and
grow by steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Decimal

import msgspec

from slipstream.model.mandate import Mandate, Stage

CENT = Decimal("0.01")
ZERO = Decimal(0)


class PodTerms(msgspec.Struct, frozen=True):
    """What the fund's config allows a pod at most (USD), and the stage it begins in.

    ``coins`` empty: every coin that has a price.
    """

    pod: str
    coins: tuple[str, ...] = ()
    gross_cap: float = 20_000.0
    coin_cap: float = 10_000.0
    stage: Stage = Stage.INCUBATION


class LeaseTerms(msgspec.Struct, frozen=True):
    """Times in ns of the venue; ``grow_step`` is the part of a grant that one lease may add to the one before.

    ``actions`` is the fund's whole budget of requests for the life of a lease.
    """

    valid_ns: int
    renew_ns: int
    grace_ns: int
    grow_step: float = 0.25
    actions: int = 0


class Grant(msgspec.Struct, frozen=True):
    """What a pod is to have (USD), before leases grow to it."""

    pod: str
    stage: Stage
    capital: float
    gross_cap: float
    coin_caps: dict[str, float]
    actions: int


def coins_of(pod: PodTerms, priced: Sequence[str]) -> tuple[str, ...]:
    """The coins a pod may trade now, sorted."""
    return tuple(sorted(pod.coins or priced))


def ceiling(pod: PodTerms, priced: Sequence[str], capacity: Mapping[str, float]) -> float:
    """The most capital that what the pod trades can hold: the sum of its coins' caps, at most its gross cap."""
    return min(pod.gross_cap, sum(min(pod.coin_cap, capacity.get(c, math.inf)) for c in coins_of(pod, priced)))


def grants(
    pods: Sequence[PodTerms],
    capital: Mapping[str, float],
    stages: Mapping[str, Stage],
    priced: Sequence[str],
    capacity: Mapping[str, float],
    *,
    leverage: float,
    actions: int,
) -> tuple[Grant, ...]:
    """Caps for each pod's capital. The pods' caps of a coin never sum to more than its capacity.

    Coins whose capacity is not known yet are held by the configured caps alone.
    """
    gross = {pod.pod: min(pod.gross_cap, leverage * capital[pod.pod]) for pod in pods}
    wanted = {pod.pod: {coin: min(pod.coin_cap, gross[pod.pod]) for coin in coins_of(pod, priced)} for pod in pods}
    asked: dict[str, float] = {}
    for caps in wanted.values():
        for coin, cap in caps.items():
            asked[coin] = asked.get(coin, 0.0) + cap
    fit = {
        coin: min(1.0, capacity.get(coin, math.inf) / total) if total > 0.0 else 1.0 for coin, total in asked.items()
    }
    lent = sum(max(0.0, capital[pod.pod]) for pod in pods)
    found = []
    for pod in pods:
        caps = {coin: _cents(cap * fit[coin]) for coin, cap in wanted[pod.pod].items()}
        part = 0.5 / len(pods) + 0.5 * (capital[pod.pod] / lent if lent > 0.0 else 1.0 / len(pods))
        found.append(
            Grant(
                pod.pod,
                stages[pod.pod],
                capital[pod.pod],
                min(gross[pod.pod], sum(caps.values())),
                caps,
                max(1, int(actions * part)) if actions else 0,
            )
        )
    return tuple(found)


def _cents(usd: float) -> float:
    """What is worth less than a cent is nothing: floats near the smallest there are round by far more than a part."""
    return usd if usd >= 0.01 else 0.0


def scaled(grant: Grant, scale: float) -> Grant:
    """The same capital with smaller limits."""
    return msgspec.structs.replace(
        grant,
        gross_cap=grant.gross_cap * scale,
        coin_caps={coin: cap * scale for coin, cap in grant.coin_caps.items()},
    )


def is_due(before: Mandate | None, grant: Grant, ns: int, terms: LeaseTerms) -> bool:
    """Whether a lease must be written now: none yet, time to renew, or the pod must shrink."""
    if before is None or ns >= before.issued_ns + terms.renew_ns or before.stage is not grant.stage:
        return True
    shrinks = _amount(grant.capital) < before.capital or _amount(grant.gross_cap) < before.gross_cap
    lost = any(_amount(grant.coin_caps.get(coin, 0.0)) < cap for coin, cap in before.coin_caps.items())
    return shrinks or lost


def issue(before: Mandate | None, grant: Grant, version: int, ns: int, terms: LeaseTerms) -> Mandate:
    """The next lease: no cap above its grant, none grown by more than a step of it. Amounts are cut to cents."""
    old_coins = before.coin_caps if before else {}

    def grown(old: Decimal, wanted: float) -> Decimal:
        return min(_amount(wanted), old + _amount(wanted * terms.grow_step))

    return Mandate(
        version=version,
        pod=grant.pod,
        capital=_amount(grant.capital),
        gross_cap=grown(before.gross_cap if before else ZERO, grant.gross_cap),
        # a mandate without any coin would bound none: one of zero bounds them all
        coin_caps={coin: grown(old_coins.get(coin, ZERO), cap) for coin, cap in sorted(grant.coin_caps.items())},
        action_budget=grant.actions,
        stage=grant.stage,
        issued_ns=ns,
        expires_ns=ns + terms.valid_ns,
        grace_ns=terms.grace_ns,
    )


def _amount(usd: float) -> Decimal:
    """USD in whole cents, never rounded up, never below nothing."""
    return max(ZERO, Decimal(usd)).quantize(CENT, rounding=ROUND_DOWN)
