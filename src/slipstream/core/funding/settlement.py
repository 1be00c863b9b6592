"""What funding is and what it pays.

A rate is a fraction of the notional per hour; positive: longs pay shorts. It is paid AT its stamp, by whoever holds a
position at that instant. Reference: mathematical specification, section 12. The venue's own arithmetic on Decimals is
the emulator's; this is research's, on floats.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
INTEREST_8H = 0.0001
CLAMP_8H = 0.0005
CAP_HOURLY = 0.04
BASE_HOURLY = INTEREST_8H / 8.0
HOURS_A_YEAR = 8760.0


def premium(impact_bid: float, impact_ask: float, oracle: float) -> float:
    """Premium of the book over the oracle price: one sample of those that an hour averages."""
    if not oracle > 0.0:
        raise ValueError(f"oracle price {oracle} must be positive")
    return (max(impact_bid - oracle, 0.0) - max(oracle - impact_ask, 0.0)) / oracle


def hourly_rate(mean_premium: npt.ArrayLike) -> Array:
    """Rate of an hour from its average premium; `BASE_HOURLY` for every premium between -4 and +6 bp."""
    p = np.asarray(mean_premium, dtype=np.float64)
    eight = p + np.clip(INTEREST_8H - p, -CLAMP_8H, CLAMP_8H)
    rate: Array = np.clip(eight / 8.0, -CAP_HOURLY, CAP_HOURLY)
    return rate


def cash_flows(position: npt.ArrayLike, oracle: npt.ArrayLike, rate: npt.ArrayLike) -> Array:
    """What each settlement pays a position (signed, in coin) held AT it, USD: ``-position x oracle x rate``."""
    flows: Array = -np.asarray(position, dtype=np.float64) * np.asarray(oracle) * np.asarray(rate)
    return flows


def position_pnl(position: float, first: float, last: float, funding: float, fee: float) -> float:
    """USD of a position bought at ``first`` and sold at ``last``: price, funding received, fee (fraction) both ways."""
    return position * (last - first) + funding - fee * abs(position) * (first + last)


def breakeven_hours(rate: float, fee: float) -> float:
    """Hours until funding of ``rate`` an hour has paid the fees (fraction, each way) of getting in and out."""
    return float("inf") if rate == 0.0 else 2.0 * fee / abs(rate)


def ar1_r2(phi: float, hours: int) -> float:
    """R² of the best forecast of the next H hours' sum, if hourly rates were an AR(1) of coefficient ``phi``.

    A yardstick: it falls with H, always. Raises ValueError unless 0 < phi < 1 and there is at least one hour.
    """
    if not 0.0 < phi < 1.0 or hours < 1:
        raise ValueError(f"phi {phi} must lie between 0 and 1, and hours {hours} be at least 1")
    lead = phi * (1.0 - phi**hours) / (1.0 - phi)
    lags = np.arange(1, hours)
    variance = hours + 2.0 * float(((hours - lags) * phi**lags).sum())
    # both over the variance of one rate
    return lead**2 / variance
