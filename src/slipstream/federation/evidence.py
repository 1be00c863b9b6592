"""What is known of the pods' returns: hourly, net of fees and funding, on the capital each one had.

Nets come from the venue's side (the auditor's books). An hour is one of venue time. Where several hours passed unseen,
the whole change is booked to the last of them and zeros to the others: the mean is kept and the variance is never
understated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.shrinkage import ledoit_wolf_constant_correlation

Array = npt.NDArray[np.float64]

HOUR = 3_600_000_000_000
HOURS_A_YEAR = 8_760.0
KEPT_HOURS = 2_160  # ninety days
LONGEST_GAP = 168  # hours unseen; a longer silence begins a new record
LEAST_CAPITAL = 1.0  # USD; a return on less says nothing


class Record(msgspec.Struct, frozen=True):
    """A pod's returns so far. ``first_hour`` numbers the hour of ``returns[0]``; NaN never occurs.

    The rest is the open hour: its number, the net at its start, the last net, and the integral of capital over time.
    """

    hour: int
    opened_net: float
    last_net: float
    last_ns: int
    capital_ns: float = 0.0
    seen_ns: int = 0
    first_hour: int = 0
    returns: tuple[float, ...] = ()


class Strength(msgspec.Struct, frozen=True):
    """How good a pod's record is: Sharpe ratio a year with its standard error, volatility a year, effective hours."""

    hours: int
    effective: float
    sharpe: float
    error: float
    volatility: float


def observe(record: Record | None, ns: int, net: float, capital: float) -> Record:
    """The record after a look at a pod's net (USD, since it began) while it had ``capital`` (USD).

    An earlier time than the last look changes nothing. Raises ValueError for a net or capital that is not finite.
    """
    if not (math.isfinite(net) and math.isfinite(capital)):
        raise ValueError(f"a pod's net {net} and capital {capital} must be finite")
    hour = ns // HOUR
    if record is None or hour - record.hour > LONGEST_GAP:
        return Record(hour, net, net, ns, returns=())
    if ns <= record.last_ns:
        return record
    passed = ns - record.last_ns
    record = msgspec.structs.replace(
        record,
        last_net=net,
        last_ns=ns,
        capital_ns=record.capital_ns + max(0.0, capital) * passed,
        seen_ns=record.seen_ns + passed,
    )
    return record if hour == record.hour else _close(record, hour)


def _close(record: Record, hour: int) -> Record:
    """End the open hour (and those that passed unseen) at the last net."""
    capital = record.capital_ns / record.seen_ns if record.seen_ns else 0.0
    opened = Record(hour, record.last_net, record.last_net, record.last_ns)
    if capital < LEAST_CAPITAL and not record.returns:
        return opened
    # an idle hour in the middle of a record counts as no return: the sceptic's reading
    change = (record.last_net - record.opened_net) / capital if capital >= LEAST_CAPITAL else 0.0
    fresh = (0.0,) * (hour - record.hour - 1) + (change,)
    joined = (*record.returns, *fresh)[-KEPT_HOURS:]
    return msgspec.structs.replace(opened, first_hour=hour - len(joined), returns=joined)


def effective_size(returns: npt.ArrayLike) -> float:
    """How many independent observations the returns are worth; never more than there are.

    n / (1 + 2 sum w_k rho_k) with Bartlett weights over 4 (n/100)^(2/9) lags (Newey and West 1994).
    """
    x = np.asarray(returns, dtype=np.float64)
    n = x.size
    if n < 3:
        return float(n)
    x = x - x.mean()
    power = float(x @ x)
    if power <= 0.0:
        return float(n)
    lags = min(n - 1, int(4.0 * (n / 100.0) ** (2.0 / 9.0)))
    total = sum((1.0 - k / (lags + 1.0)) * float(x[k:] @ x[:-k]) / power for k in range(1, lags + 1))
    return float(n / max(1.0, 1.0 + 2.0 * total))


def strength(
    returns: Sequence[float], *, prior_vol: float, prior_hours: float = 24.0, hours_each: float = 1.0
) -> Strength:
    """What the returns say. The variance is drawn towards ``prior_vol`` (a year) with the weight of ``prior_hours``.

    ``hours_each``: hours that one return covers. Two or fewer returns, or none that differ, are no evidence:
    an infinite error.
    """
    x = np.asarray(returns, dtype=np.float64)
    n = x.size
    a_year = HOURS_A_YEAR / hours_each
    weight = prior_hours / hours_each
    hours = int(n * hours_each)
    if n < 3:
        return Strength(hours, 0.0, 0.0, math.inf, prior_vol)
    variance = float(x.var(ddof=1))
    drawn = (n * variance + weight * prior_vol**2 / a_year) / (n + weight)
    volatility = math.sqrt(drawn * a_year)
    if variance <= 1e-18:
        return Strength(hours, 0.0, 0.0, math.inf, volatility)
    effective = effective_size(x)
    each = float(x.mean()) / math.sqrt(drawn)
    error = math.sqrt((1.0 + 0.5 * each**2) / effective * a_year)
    return Strength(hours, effective * hours_each, each * math.sqrt(a_year), error, volatility)


def aligned(records: Mapping[str, Record], pods: Sequence[str]) -> Array:
    """Returns of the hours that all the pods have: rows are hours, columns pods in the order given."""
    found = [records[pod] for pod in pods if pod in records]
    if len(found) < len(pods) or not found:
        return np.zeros((0, len(pods)))
    start = max(one.first_hour for one in found)
    end = min(one.first_hour + len(one.returns) for one in found)
    if end <= start:
        return np.zeros((0, len(pods)))
    columns = [one.returns[start - one.first_hour : end - one.first_hour] for one in found]
    return np.array(columns, dtype=np.float64).T


def correlation(rows: Array, *, prior: float, prior_hours: float) -> Array:
    """Correlation of the pods, shrunk (Ledoit and Wolf, constant correlation) and drawn towards one stated ``prior``.

    The prior weighs as much as ``prior_hours`` hours. The result is positive definite for 0 <= prior < 1.
    """
    n, p = rows.shape
    belief = np.full((p, p), prior)
    np.fill_diagonal(belief, 1.0)
    if n < 3 or p < 2:
        return belief
    cov = ledoit_wolf_constant_correlation(rows).cov
    sd = np.sqrt(np.diag(cov))
    outer = np.outer(sd, sd)
    shrunk = np.divide(cov, outer, out=np.zeros_like(cov), where=outer > 1e-300)
    np.fill_diagonal(shrunk, 1.0)
    shrunk = np.clip(shrunk, -1.0, 1.0)
    mixed: Array = (n * shrunk + prior_hours * belief) / (n + prior_hours)
    return mixed
