"""The file that a calibration leaves: costs by coin with their evidence, for everybody who prices a trade."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np

from slipstream.core.costs.calibration import fit_curve, intervals
from slipstream.core.costs.curve import Curve
from slipstream.core.costs.model import TransactionCostModel
from slipstream.model.errors import ConfigError

VERSION = 1
LEAST_BOOKS = 100
LEAST_MINUTES = 15.0
MOST_DROPPED = 0.5
MOST_ERROR = 0.5  # of the fit, root mean square, relative


class CostsError(ConfigError, ValueError):
    """A file of costs that cannot be used as it is, or books that no costs can be told from."""


class CoinCosts(msgspec.Struct, frozen=True, kw_only=True):
    """One coin's law ``half_spread + impact sqrt(Q)`` per dollar, with 95 % intervals and what it was seen in.

    ``half_spread`` is a fraction, ``impact`` per sqrt(USD). ``rms``, ``worst`` (relative errors), ``r2`` and
    ``exponent`` say how well the law fits: see `BookFit`. ``notional_usd`` and ``cost_bp`` are the measured curve;
    costs beyond its last notional are extrapolated. ``minutes`` counts minutes with books, between ``first_ms`` and
    ``last_ms`` (UTC).
    """

    half_spread: float
    half_spread_low: float
    half_spread_high: float
    impact: float
    impact_low: float
    impact_high: float
    rms: float
    worst: float
    r2: float
    exponent: float | None
    books: int
    dropped: int
    minutes: float
    first_ms: int
    last_ms: int
    depth_usd: float
    notional_usd: tuple[float, ...]
    cost_bp: tuple[float, ...]

    def bps(self, notional: float) -> float:
        """Half spread and impact of trading so many USD, bp, without the fee."""
        return 1e4 * (self.half_spread + self.impact * math.sqrt(max(0.0, notional)))


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """Costs of several coins. ``fee`` is the taker's, a fraction; ``sources`` says where the books came from."""

    coins: dict[str, CoinCosts]
    fee: float = 0.00045
    venue: str = "hl"
    sources: tuple[str, ...] = ()
    version: int = VERSION

    def model(self) -> TransactionCostModel:
        """The same as the cost model of optimiser, backtest and shortfall: coins in the order of their names."""
        names = tuple(sorted(self.coins))
        return TransactionCostModel(
            fee=self.fee,
            spread=np.array([self.coins[name].half_spread for name in names]),
            impact=np.array([self.coins[name].impact for name in names]),
            coins=names,
        )


def calibrate(
    curve: Curve,
    rng: np.random.Generator,
    *,
    least_books: int = LEAST_BOOKS,
    least_minutes: float = LEAST_MINUTES,
    draws: int = 400,
) -> CoinCosts:
    """One coin's costs. Raises CostsError: too few books, too short, mostly faulty, or a law that does not fit them."""
    seen = curve.books + curve.dropped
    if curve.books < least_books:
        raise CostsError(f"{curve.books} sound books of {seen}, {least_books} are needed: record longer")
    if curve.minutes < least_minutes:
        raise CostsError(f"books of {curve.minutes:g} minutes, {least_minutes:g} are needed: record longer")
    if curve.dropped > MOST_DROPPED * seen:
        raise CostsError(f"{curve.dropped} of {seen} books are crossed, empty or out of order: look at the source")
    try:
        fit = fit_curve(curve)
        spread, impact = intervals(curve, rng, draws)
    except ValueError as error:
        raise CostsError(str(error)) from None
    if fit.rms > MOST_ERROR:
        raise CostsError(
            f"half spread and square root are off by {fit.rms:.0%} on average: the books follow another law (exponent "
            f"{fit.exponent:.2f}); narrow the range of notionals"
        )
    return CoinCosts(
        half_spread=fit.spread,
        half_spread_low=spread.low,
        half_spread_high=spread.high,
        impact=fit.impact,
        impact_low=impact.low,
        impact_high=impact.high,
        rms=fit.rms,
        worst=fit.worst,
        r2=fit.r2,
        exponent=fit.exponent if math.isfinite(fit.exponent) else None,
        books=fit.books,
        dropped=fit.dropped,
        minutes=curve.minutes,
        first_ms=curve.first_ms,
        last_ms=curve.last_ms,
        depth_usd=fit.depth,
        notional_usd=tuple(float(q) for q in fit.notional),
        cost_bp=tuple(float(1e4 * c) for c in fit.cost),
    )


def encode(costs: Calibrated) -> bytes:
    """The file's bytes: JSON, indented, coins in order; the same costs give the same bytes."""
    sorted_ = msgspec.structs.replace(costs, coins=dict(sorted(costs.coins.items())))
    return msgspec.json.format(msgspec.json.encode(sorted_), indent=1) + b"\n"


def decode(data: bytes, where: str) -> Calibrated:
    """The costs in a file's bytes. ``where`` names it in errors. Raises CostsError."""
    try:
        found = msgspec.json.decode(data, type=Calibrated)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CostsError(f"{where}: not a file of costs: {error}; make one with slipstream costs calibrate") from None
    if found.version != VERSION:
        raise CostsError(f"{where}: version {found.version} of the file is not known; this release reads {VERSION}")
    if not found.coins:
        raise CostsError(f"{where}: holds no coin")
    for coin, one in found.coins.items():
        for name in ("half_spread", "impact"):
            value = getattr(one, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise CostsError(f"{where}: {name} of {coin} is {value}; it must be a number not below 0")
    if not (math.isfinite(found.fee) and found.fee >= 0.0):
        raise CostsError(f"{where}: fee is {found.fee}; it must be a number not below 0")
    return found


def read_costs(path: Path) -> Calibrated:
    """The file of costs at a path. Raises CostsError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CostsError(f"{path}: {error.strerror or error}; make one with slipstream costs calibrate") from None
    return decode(data, str(path))
