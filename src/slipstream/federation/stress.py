"""What the fund would look like if every pod went to its maximum at once, and how far limits must shrink for that.

Linear loads (beta, loss) are taken at the worst: each pod fills its coins of greatest load up to its caps, all pods
leaning the same way. They scale with the limits, so the largest common scale has a closed form. A correlation does not
scale: it is taken of the pods' present books blown up to their maxima, for each anchor alone, and only pods that lean
with it are shrunk. It says nothing of size, so it counts only where those books have some beta: a fund that holds next
to nothing may well hold nothing but the market.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from slipstream.federation.forecast import ANCHORS

DUST = 0.01  # USD in all: a book that is less leans nowhere
STEPS = 60  # of bisection: the scale is exact to 1e-18


class Shock(msgspec.Struct, frozen=True):
    """A day of the past: moves of BTC, ETH and any other coin, fractions."""

    name: str
    btc: float
    eth: float
    other: float

    def move(self, coin: str) -> float:
        """What it did to a coin."""
        return {"BTC": self.btc, "ETH": self.eth}.get(coin, self.other)


# From the day's open to its low on large spot exchanges, as widely reported, rounded to a hundredth and not recomputed
# here; `other` stands for a liquid coin among those that fell most.
SHOCKS = (
    Shock("2020-03-12 the pandemic's sell-off", -0.39, -0.45, -0.50),
    Shock("2021-05-19 deleveraging", -0.30, -0.44, -0.50),
    Shock("2022-11-08 an exchange fails", -0.17, -0.21, -0.30),
    Shock("2025-10-10 liquidations of perpetuals", -0.16, -0.21, -0.50),
)


class Maximum(msgspec.Struct, frozen=True):
    """The most a pod may hold (USD), and what it holds: signed USD by coin."""

    pod: str
    gross_cap: float
    coin_caps: dict[str, float]
    positions: dict[str, float] = {}


class StressTerms(msgspec.Struct, frozen=True):
    """Limits in multiples of the fund's equity (but for the correlation). ``vol_factor`` daily deviations at once.

    ``correlated_beta``: correlations count where the beta of the books is above this.
    """

    max_beta: float = 1.0
    max_correlation: float = 0.95
    max_loss: float = 0.35
    vol_factor: float = 3.0
    correlated_beta: float = 0.0


class Market(msgspec.Struct, frozen=True):
    """Daily volatility of coins, and their betas to `ANCHORS`."""

    vols: dict[str, float]
    betas: dict[str, tuple[float, ...]]


class Finding(msgspec.Struct, frozen=True):
    """One scenario: its value against its limit, and the scale of the limits at which it is just met."""

    name: str
    value: float
    limit: float
    scale: float


class Stressed(msgspec.Struct, frozen=True):
    """Scales of the pods' limits, 0 to 1; every scenario; ``binding`` names what made them smaller, empty if none."""

    scales: dict[str, float]
    findings: tuple[Finding, ...]
    binding: str = ""


def worst_load(pod: Maximum, loads: Mapping[str, float]) -> float:
    """The greatest sum of |position| * |load| that the pod's caps permit (USD)."""
    room = max(0.0, pod.gross_cap)
    total = 0.0
    for coin in sorted(pod.coin_caps, key=lambda c: (-abs(loads[c]), c)):
        taken = min(room, max(0.0, pod.coin_caps[coin]))
        total += taken * abs(loads[coin])
        room -= taken
    return total


def stress(terms: StressTerms, equity: float, market: Market, pods: Sequence[Maximum]) -> Stressed:
    """Every scenario, and the scales that bring all of them within limits.

    Without equity everything shrinks to nothing. Coins that the market does not know raise KeyError: fail closed.
    """
    if not (math.isfinite(equity) and equity > 0.0):
        return Stressed({pod.pod: 0.0 for pod in pods}, (), "the fund has no equity")
    findings = [_linear(name, limit, loads, equity, pods) for name, limit, loads in _scenarios(terms, market, pods)]
    common = min((one.scale for one in findings), default=1.0)
    tightest = next((one for one in findings if one.scale == common and common < 1.0), None)
    scales = {pod.pod: common for pod in pods}
    binding = tightest.name if tightest else ""
    for place, anchor in enumerate(ANCHORS):
        found, shrunk = _correlated(terms, equity, market, pods, place, anchor)
        findings.append(found)
        for slug, scale in shrunk.items():
            scales[slug] = min(scales[slug], common * scale)
        if shrunk:
            binding = " and ".join(part for part in (binding, found.name) if part)
    return Stressed(scales, tuple(findings), binding)


def _scenarios(
    terms: StressTerms, market: Market, pods: Sequence[Maximum]
) -> list[tuple[str, float, dict[str, float]]]:
    coins = sorted({coin for pod in pods for coin in pod.coin_caps})
    rows = [
        (f"beta to {anchor}", terms.max_beta, {coin: market.betas[coin][place] for coin in coins})
        for place, anchor in enumerate(ANCHORS)
    ]
    moves = {coin: terms.vol_factor * market.vols[coin] for coin in coins}
    rows.append((f"loss at {terms.vol_factor:g} daily deviations, correlations to one", terms.max_loss, moves))
    rows += [(f"loss as on {s.name}", terms.max_loss, {coin: s.move(coin) for coin in coins}) for s in SHOCKS]
    return rows


def _linear(name: str, limit: float, loads: dict[str, float], equity: float, pods: Sequence[Maximum]) -> Finding:
    value = sum(worst_load(pod, loads) for pod in pods) / equity
    return Finding(name, value, limit, 1.0 if value <= limit else limit / value)


def _correlated(
    terms: StressTerms, equity: float, market: Market, pods: Sequence[Maximum], place: int, anchor: str
) -> tuple[Finding, dict[str, float]]:
    """The correlation of the present books at their maxima with an anchor; scales of the pods that lean with it."""
    name = f"correlation to {anchor}"
    books = {pod.pod: _blown_up(pod) for pod in pods}
    lean = {
        pod: sum(market.betas[coin][place] * usd for coin, usd in book.items() if coin in market.betas)
        for pod, book in books.items()
    }
    total = sum(lean.values())
    value = _correlation(market, books, place, anchor, {})
    small = terms.correlated_beta * equity
    if abs(value) <= terms.max_correlation or abs(total) <= small:
        return Finding(name, value, terms.max_correlation, 1.0), {}
    with_it = [pod for pod, part in lean.items() if part * total > 0.0]
    if not any(usd for pod, book in books.items() if pod not in with_it for usd in book.values()):
        # nobody holds anything else: no mixture of these books is less correlated. All of them are made smaller by as
        # much as the correlation is too high, or until their beta is small.
        scale = max(terms.max_correlation / abs(value), small / abs(total))
        return Finding(name, value, terms.max_correlation, scale), {pod.pod: scale for pod in pods}
    low, high = 0.0, 1.0  # at 0 what is left leans the other way, or not at all
    for _ in range(STEPS):
        middle = (low + high) / 2.0
        mixed = _correlation(market, books, place, anchor, dict.fromkeys(with_it, middle))
        left = sum(part * (middle if pod in with_it else 1.0) for pod, part in lean.items())
        side = math.copysign(1.0, value)
        fine = side * mixed <= terms.max_correlation or side * left <= small
        low, high = (middle, high) if fine else (low, middle)
    return Finding(name, value, terms.max_correlation, low), dict.fromkeys(with_it, low)


def _blown_up(pod: Maximum) -> dict[str, float]:
    gross = sum(abs(usd) for usd in pod.positions.values())
    factor = pod.gross_cap / gross if gross >= DUST else 0.0
    return {coin: usd * factor for coin, usd in pod.positions.items()}


def _correlation(
    market: Market, books: Mapping[str, Mapping[str, float]], place: int, anchor: str, scales: Mapping[str, float]
) -> float:
    """Under one factor: coins move with the anchor by their betas, and beyond that alone. 0 for an empty book."""
    held: dict[str, float] = {}
    for pod, book in books.items():
        for coin, usd in book.items():
            if coin in market.betas:
                held[coin] = held.get(coin, 0.0) + usd * scales.get(pod, 1.0)
    factor = market.vols.get(anchor, 0.0)
    with_it = sum(usd * market.betas[coin][place] for coin, usd in held.items()) * factor
    alone = sum(
        usd**2 * max(0.0, market.vols[coin] ** 2 - (market.betas[coin][place] * factor) ** 2)
        for coin, usd in held.items()
    )
    deviation = math.sqrt(with_it**2 + alone)
    return with_it / deviation if deviation > 0.0 else 0.0
