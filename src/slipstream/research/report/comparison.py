"""One record beside others: paired differences over the time that both have, corrected for how many there are."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from scipy import stats

from slipstream.core.portfolio.periods import Periods, periods
from slipstream.core.portfolio.record import Array, BacktestRecord
from slipstream.core.stats import paired
from slipstream.core.stats.hac import hac_mean
from slipstream.core.stats.performance import sharpe
from slipstream.core.stats.sharpe import memmel
from slipstream.research.report.ratios import LEAST, bounds, resamples


class Versus(msgspec.Struct, frozen=True, kw_only=True):
    """The record less another. USD a period are of the record's own capital; ``p`` are two-sided.

    ``p_mean`` bears autocorrelation (Newey-West), ``p_t`` and ``p_rank`` (Wilcoxon) do not, ``p_sharpe`` is of the
    difference of Sharpe ratios (Memmel). ``p_holm`` is ``p_mean`` corrected for the number of comparisons, ``worth``
    whether that is below 5 %. None where there is nothing to test.
    """

    name: str
    shared: int
    profit: float
    other_profit: float
    sharpe: float | None
    other_sharpe: float | None
    usd: float
    low: float | None
    high: float | None
    p_mean: float | None
    p_t: float | None
    p_rank: float | None
    p_sharpe: float | None
    p_holm: float | None = None
    worth: bool = False


def labels(records: Sequence[BacktestRecord]) -> list[str]:
    """A name for each record: its title, numbered where two have the same."""
    seen: dict[str, int] = {}
    out = []
    for record in records:
        seen[record.title] = seen.get(record.title, 0) + 1
        again = seen[record.title]
        out.append(record.title if again == 1 else f"{record.title} ({again})")
    return out


def compare(record: BacktestRecord, others: Sequence[BacktestRecord], rng: np.random.Generator) -> tuple[Versus, ...]:
    """The record against each other one. Raises ValueError where two have less than two periods in common."""
    own = periods(record)
    found = [
        _against(record, own, other, name, rng)
        for other, name in zip(others, labels([record, *others])[1:], strict=True)
    ]
    tested = {k: row.p_mean for k, row in enumerate(found) if row.p_mean is not None}
    for k, p in zip(tested, paired.holm(list(tested.values())).tolist(), strict=True):
        found[k] = msgspec.structs.replace(found[k], p_holm=p, worth=p < 0.05)
    return tuple(found)


def _against(
    record: BacktestRecord, own: Periods, other: BacktestRecord, name: str, rng: np.random.Generator
) -> Versus:
    theirs = _on(other, own)
    common, left, right = np.intersect1d(own.ends, theirs.ends, assume_unique=True, return_indices=True)
    if common.size < 2:
        raise ValueError(
            f"comparison of {record.title!r} with {name!r}: {common.size} {own.name}s in common, 2 are needed; "
            "run both over the same time and the same length of bars"
        )
    a, b = own.returns[left], theirs.returns[right]
    d: Array = a - b
    profit, other_profit = (record.capital * (float(np.prod(1.0 + r)) - 1.0) for r in (a, b))
    plain = Versus(
        name=name,
        shared=int(common.size),
        profit=profit,
        other_profit=other_profit,
        sharpe=sharpe(a, own.ann),
        other_sharpe=sharpe(b, own.ann),
        usd=record.capital * float(d.mean()),
        low=None,
        high=None,
        p_mean=None,
        p_t=None,
        p_rank=None,
        p_sharpe=None,
    )
    if common.size < LEAST or not d.any():
        return plain
    low, high = bounds(resamples(d, rng)[0].mean(axis=1))
    varies = min(float(a.std()), float(b.std())) > 0.0
    mean = hac_mean(d)
    return msgspec.structs.replace(
        plain,
        low=None if low is None else record.capital * low,
        high=None if high is None else record.capital * high,
        p_mean=float(2.0 * stats.t.sf(abs(mean.t), d.size - 1)),
        p_t=paired.paired_t(a, b).p,
        p_rank=paired.wilcoxon(a, b).p,
        p_sharpe=memmel(a, b).p if varies else None,
    )


def _on(other: BacktestRecord, own: Periods) -> Periods:
    """The other record on its own calendar, which must be the same one."""
    theirs = periods(other, own.name)
    if (theirs.name, round(theirs.ann)) != (own.name, round(own.ann)):
        raise ValueError(
            f"{other.title!r} has {theirs.ann:,.0f} {theirs.name}s a year, the record it is compared with is judged "
            f"by the {own.name} ({own.ann:,.0f} a year); run both on bars of the same length"
        )
    return theirs
