"""The fund's one volatility forecast: hourly squared returns, a fast and a slow average, blended; betas on the way.

    variance a day = 24 * (half of a 24-hour half-life average + half of a 240-hour one)

Hours are of venue time. Betas to BTC and ETH come from the slow average of products of the same returns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from slipstream.model.messages import Forecast

HOUR = 3_600_000_000_000
FAST = 24.0  # half-lives, hours
SLOW = 240.0
FAST_SHARE = 0.5
PRIOR_DAILY_VOL = 0.05  # of a coin of which nothing is known yet
PRIOR_HOURS = 12.0  # what that belief weighs
PRIOR_BETA = 1.0
HUGE = 1e12  # USD; beyond it, or below its inverse, a number is no price
LARGEST_MOVE = (
    3.0  # log: twenty-fold between two looks is another unit, not a return; it is taken up, and not learnt from
)
LONGEST_GAP = 48  # hours between two marks; a return over more is left out
ANCHORS = ("BTC", "ETH")
METHOD = "hourly EWMA, half-lives 24 h and 240 h, half each"


class CoinVol(msgspec.Struct, frozen=True):
    """A coin's averages of hourly squared returns, and of products with each anchor (`ANCHORS`). ``n`` hours seen."""

    mark: float
    fast: float = PRIOR_DAILY_VOL**2 / 24.0
    slow: float = PRIOR_DAILY_VOL**2 / 24.0
    with_anchor: tuple[float, ...] = (0.0,) * len(ANCHORS)
    anchor_var: tuple[float, ...] = (0.0,) * len(ANCHORS)
    n: int = 0


class VolState(msgspec.Struct, frozen=True):
    """Every coin's averages, at the last full hour."""

    hour: int = 0
    coins: dict[str, CoinVol] = {}


def learn(state: VolState, ns: int, marks: Mapping[str, float]) -> VolState:
    """The state after a look at the prices; only the first look in an hour counts. Prices must be positive."""
    hour = ns // HOUR
    fair = {coin: px for coin, px in sorted(marks.items()) if 1.0 / HUGE <= px <= HUGE}
    if hour <= state.hour or not fair:
        fresh = {coin: CoinVol(px) for coin, px in fair.items() if coin not in state.coins}
        return state if not fresh else msgspec.structs.replace(state, coins={**state.coins, **fresh})
    gap = hour - state.hour
    if gap > LONGEST_GAP:
        moved = {
            coin: msgspec.structs.replace(state.coins.get(coin, CoinVol(px)), mark=px) for coin, px in fair.items()
        }
        return VolState(hour, {**state.coins, **moved})
    moves = {coin: math.log(px / state.coins[coin].mark) for coin, px in fair.items() if coin in state.coins}
    returns = {coin: move for coin, move in moves.items() if abs(move) <= LARGEST_MOVE}
    anchors = tuple(returns.get(anchor) for anchor in ANCHORS)
    coins = dict(state.coins)
    for coin, px in fair.items():
        if coin in returns:
            coins[coin] = _learn_coin(state.coins[coin], px, returns[coin], anchors, gap)
        else:
            coins[coin] = msgspec.structs.replace(state.coins.get(coin, CoinVol(px)), mark=px)
    return VolState(hour, coins)


def _learn_coin(old: CoinVol, px: float, move: float, anchors: tuple[float | None, ...], gap: int) -> CoinVol:
    square = move * move / gap
    # the first hours replace the belief, then the half-lives rule
    fast = max(1.0 - 0.5 ** (gap / FAST), gap / (old.n + gap + PRIOR_HOURS))
    slow = max(1.0 - 0.5 ** (gap / SLOW), gap / (old.n + gap + PRIOR_HOURS))
    products = list(old.with_anchor)
    variances = list(old.anchor_var)
    for place, anchor in enumerate(anchors):
        if anchor is not None:
            products[place] += slow * (move * anchor / gap - products[place])
            variances[place] += slow * (anchor * anchor / gap - variances[place])
    return CoinVol(
        px,
        old.fast + fast * (square - old.fast),
        old.slow + slow * (square - old.slow),
        tuple(products),
        tuple(variances),
        old.n + gap,
    )


def daily_vol(coin: CoinVol | None) -> float:
    """Standard deviation of a day's return, a fraction; the prior for an unknown coin."""
    if coin is None:
        return PRIOR_DAILY_VOL
    return math.sqrt(24.0 * (FAST_SHARE * coin.fast + (1.0 - FAST_SHARE) * coin.slow))


def betas(coin: str, found: CoinVol | None) -> tuple[float, ...]:
    """Betas to each of `ANCHORS`, drawn towards `PRIOR_BETA` while there is little; a coin's own is 1."""
    if found is None:
        return (PRIOR_BETA,) * len(ANCHORS)
    trust = found.n / (found.n + 4.0 * PRIOR_HOURS)
    raw = [c / v if v > 0.0 else PRIOR_BETA for c, v in zip(found.with_anchor, found.anchor_var, strict=True)]
    return tuple(
        1.0 if coin == anchor else PRIOR_BETA + trust * (min(5.0, max(-5.0, beta)) - PRIOR_BETA)
        for anchor, beta in zip(ANCHORS, raw, strict=True)
    )


def to_message(state: VolState, version: int, ns: int) -> Forecast:
    """The forecast as it is broadcast."""
    return Forecast(version, ns, {coin: daily_vol(found) for coin, found in sorted(state.coins.items())}, METHOD)


def qlike(realised_var: float, forecast_var: float) -> float:
    """Loss of a variance forecast: r - ln r - 1 with r = realised / forecast (Patton 2011); 0 is perfect."""
    ratio = realised_var / forecast_var
    return ratio - math.log(ratio) - 1.0
