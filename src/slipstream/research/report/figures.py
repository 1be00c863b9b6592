"""Everything a report says of a record, as plain values: money first, then ratios and what they prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.periods import DAY_MS, Periods, periods
from slipstream.core.portfolio.record import Array, BacktestRecord
from slipstream.core.stats import performance as perf
from slipstream.research.report.comparison import Versus, compare
from slipstream.research.report.ratios import Evidence, Ratio, bounds, evidence, ratios
from slipstream.research.report.sweep import Judged, Sweep, as_sweep, judge


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """Where the profit came from, USD: profit = price + funding - costs."""

    capital: float
    profit: float
    low: float | None
    high: float | None
    price: float
    funding: float
    costs: dict[str, float]
    traded: float
    cost_bp: float | None

    @property
    def cost(self) -> float:
        """All costs of trading."""
        return sum(self.costs.values())


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What was held and traded: exposures in multiples of equity, turnover in multiples of equity a day."""

    gross: float
    gross_most: float
    net: float
    net_most: float
    turnover_day: float
    invested: float


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """One month (or day, where the record is short), USD."""

    name: str
    profit: float
    share: float
    price: float
    funding: float
    costs: float
    traded: float


class Coin(msgspec.Struct, frozen=True):
    """Net PnL of a coin, USD."""

    name: str
    usd: float


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """Losses of one period in other ways, shares of equity, and the deepest fall in USD; None: not defined.

    ``underwater`` is the longest stay below a former peak, periods; ``drawdown_stamps`` sees within periods too.
    """

    normal_var: float | None
    cornish_fisher_var: float | None
    normal_cvar: float | None
    dollar_drawdown: float
    drawdown_stamps: float
    worst: float
    best: float
    hit: float
    profit_factor: float | None
    underwater: int


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The series behind the charts, one value a period."""

    ends: list[int]
    equity: list[float]
    pnl: list[float]
    gross: list[float]
    net: list[float]
    turnover: list[float]
    funding: list[float]
    costs: dict[str, list[float]]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. ``period`` is what returns are taken over; times are UTC."""

    slug: str
    title: str
    begin: str
    end: str
    days: float
    period: str
    ann: float
    verdict: str
    tone: str
    money: Money
    ratios: list[Ratio]
    evidence: Evidence | None
    risk: Risk | None
    holding: Holding
    calendar: list[Month]
    calendar_by: str
    coins: list[Coin]
    assumptions: list[str]
    findings: list[str]
    settings: dict[str, str]
    series: Series
    comparison: list[Versus] = []
    sweep: Judged | None = None


def report(
    record: BacktestRecord,
    rng: np.random.Generator,
    *,
    others: Sequence[BacktestRecord] = (),
    sweep: Sweep | npt.ArrayLike | None = None,
) -> Report:
    """A record's report. Raises ValueError for a sweep or records that cannot be compared (says which and why)."""
    kept = periods(record)
    found, drawn, block = ratios(kept.returns, kept.ann, rng)
    known = evidence(kept.returns, kept.ann, block)
    judged = None if sweep is None else judge(as_sweep(sweep, kept.ann))
    money = _money(record, kept, drawn)
    verdict, tone = _verdict(money, known, judged, kept)
    by, calendar = _calendar(record, kept)
    return Report(
        slug=record.slug,
        title=record.title,
        begin=when(int(record.stamps[0])),
        end=when(int(record.stamps[-1])),
        days=float(record.stamps[-1] - record.stamps[0]) / DAY_MS,
        period=kept.name,
        ann=kept.ann,
        verdict=verdict,
        tone=tone,
        money=money,
        ratios=found,
        evidence=known,
        risk=_risk(record, kept),
        holding=_holding(record, kept),
        calendar=calendar,
        calendar_by=by,
        coins=[
            Coin(name, float(usd))
            for name, usd in sorted(record.coin_pnl.items(), key=lambda item: (-item[1], item[0]))
        ],
        assumptions=list(record.assumptions),
        findings=[*record.findings, *_found(record, kept)],
        settings=flat(record.settings),
        series=_series(kept),
        comparison=list(compare(record, others, rng)) if others else [],
        sweep=judged,
    )


def when(ms: int) -> str:
    """UTC, to the minute."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def flat(settings: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted keys and text."""
    out: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            out |= flat(value, f"{name}.")
        elif isinstance(value, list | tuple) and len(value) > 12:
            out[name] = f"{', '.join(str(part) for part in value[:12])} and {len(value) - 12} more"
        elif isinstance(value, list | tuple):
            out[name] = ", ".join(str(part) for part in value)
        else:
            out[name] = str(value)
    return out


def _money(record: BacktestRecord, kept: Periods, drawn: Array | None) -> Money:
    costs = {name: float(part.sum()) for name, part in record.costs.items()}
    profit, funding = float(record.equity[-1] - record.capital), float(record.funding.sum())
    traded = float(record.turnover.sum())
    low, high = (None, None) if drawn is None else bounds(np.prod(1.0 + drawn, axis=1) - 1.0)
    return Money(
        capital=float(record.capital),
        profit=profit,
        low=None if low is None else float(low * record.capital),
        high=None if high is None else float(high * record.capital),
        price=profit - funding + sum(costs.values()),
        funding=funding,
        costs=costs,
        traded=traded,
        cost_bp=sum(costs.values()) / traded * 1e4 if traded > 0.0 else None,
    )


def _holding(record: BacktestRecord, kept: Periods) -> Holding:
    alive = record.equity > 0.0
    equity = np.where(alive, record.equity, 1.0)
    gross, net = (np.where(alive, held / equity, 0.0) for held in (record.gross, record.net))
    before = np.concatenate([[record.capital], kept.equity[:-1]])
    a_day = kept.ann / 365.0
    return Holding(
        gross=float(gross.mean()),
        gross_most=float(gross.max()),
        net=float(net.mean()),
        net_most=float(net[np.abs(net).argmax()]),
        turnover_day=float((kept.turnover / np.maximum(before, 1e-9)).mean()) * a_day,
        invested=float((record.gross > 0.0).mean()),
    )


def _risk(record: BacktestRecord, kept: Periods) -> Risk | None:
    r = kept.returns
    if r.size < 2:
        return None
    wealth = np.concatenate([[1.0], np.cumprod(1.0 + r)])
    under = wealth < np.maximum.accumulate(wealth)
    # the longest run under a former peak
    runs = np.diff(np.flatnonzero(np.concatenate([[True], ~under, [True]])))
    equity = np.concatenate([[record.capital], np.maximum(record.equity, 0.0)])
    return Risk(
        normal_var=perf.normal_value_at_risk(r),
        cornish_fisher_var=perf.cornish_fisher_value_at_risk(r),
        normal_cvar=perf.normal_expected_shortfall(r),
        dollar_drawdown=perf.dollar_drawdown(kept.pnl),
        drawdown_stamps=float((1.0 - equity / np.maximum.accumulate(equity)).max()),
        worst=float(r.min()),
        best=float(r.max()),
        hit=float((r > 0.0).mean()),
        profit_factor=perf.profit_factor(r),
        underwater=int(runs.max()) - 1,
    )


def _calendar(record: BacktestRecord, kept: Periods) -> tuple[str, list[Month]]:
    """By month; by day where there are less than three months, as long as days are what the record knows."""
    month = [when(int(end) - 1)[:7] for end in kept.ends]
    by, keys = "month", month
    if len(set(month)) < 3 and kept.ann >= 365.0:
        by, keys = "day", [when(int(end) - 1)[:10] for end in kept.ends]
    places = np.unique(np.array(keys), return_inverse=True)[1]
    names = sorted(set(keys))
    first = np.searchsorted(places, np.arange(len(names)))
    last = np.append(first[1:], len(keys)) - 1
    before = np.concatenate([[record.capital], kept.equity])[first]
    costs = sum(kept.costs.values(), np.zeros(len(keys)))
    out = []
    for k, name in enumerate(names):
        span = slice(int(first[k]), int(last[k]) + 1)
        profit, paid = float(kept.pnl[span].sum()), float(costs[span].sum())
        funding = float(kept.funding[span].sum())
        out.append(
            Month(
                name=name,
                profit=profit,
                share=profit / float(before[k]),
                price=profit - funding + paid,
                funding=funding,
                costs=paid,
                traded=float(kept.turnover[span].sum()),
            )
        )
    return by, out


def _found(record: BacktestRecord, kept: Periods) -> list[str]:
    """What the record itself shows a reader should know of."""
    out = []
    if kept.ruined is not None:
        out.append(f"the account lost everything by {when(kept.ruined)}: ratios end there")
    if kept.empty:
        out.append(f"{kept.empty} of {kept.ends.size} {kept.name}s have no stamp: nothing is earned in them")
    profit = float(record.equity[-1] - record.capital)
    apart = sum(record.coin_pnl.values()) - profit
    if record.coin_pnl and abs(apart) > max(1.0, 1e-3 * abs(profit)):
        out.append(f"PnL by coin adds up to {apart:+,.2f} USD more than the change of equity")
    return out


def _series(kept: Periods) -> Series:
    return Series(
        ends=kept.ends.tolist(),
        equity=kept.equity.tolist(),
        pnl=kept.pnl.tolist(),
        gross=kept.gross.tolist(),
        net=kept.net.tolist(),
        turnover=kept.turnover.tolist(),
        funding=kept.funding.tolist(),
        costs={name: part.tolist() for name, part in kept.costs.items()},
    )


def _verdict(money: Money, known: Evidence | None, judged: Judged | None, kept: Periods) -> tuple[str, str]:
    """A sentence that a reader in a hurry may take away, and whether it is good (up), bad (down) or neither."""
    if kept.ruined is not None:
        return "The account lost everything.", "down"
    if known is None or known.p is None or known.periods < 20:
        return "Too short to judge: the figures below are what happened, not what to expect.", ""
    before, places = money.profit + money.cost, 0 if money.cost >= 100.0 else 2
    if money.profit <= 0.0 and before > 0.0:
        text = f"Lost money; before costs of {money.cost:,.{places}f} USD it would have made {before:,.{places}f} USD."
        return text, "down"
    if money.profit <= 0.0:
        return f"Lost money, even before costs of {money.cost:,.{places}f} USD.", "down"
    sure = known.p < 0.05 and known.mean > 0.0
    text = "more than chance easily explains" if sure else "but no more than chance can explain"
    text = f"Made money after costs, {text} (p = {known.p:.2g})."
    if judged is not None and (judged.deflated is None or judged.deflated < 0.95 or judged.probability > 0.5):
        sure = False
        told = "cannot be told" if judged.deflated is None else f"is {judged.deflated:.0%}"
        text += (
            f" It is the pick of {judged.trials} trials: the chance that its Sharpe ratio beats their luck {told}, and "
            f"a choice like this falls below the median afterwards in {judged.probability:.0%} of splits."
        )
    return text, "up" if sure else ""
