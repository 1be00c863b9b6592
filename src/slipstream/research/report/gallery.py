"""Which pictures a report has, drawn from its figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slipstream.core.portfolio.periods import periods
from slipstream.core.portfolio.record import Array, BacktestRecord
from slipstream.research.report import charts
from slipstream.research.report.charts import Picture, usd
from slipstream.research.report.comparison import labels
from slipstream.research.report.figures import Report
from slipstream.research.report.page import number, share


def gallery(found: Report, record: BacktestRecord, others: Sequence[BacktestRecord] = ()) -> dict[str, Picture]:
    """Every picture that the record has data for, by name, in the order of the page."""
    s, per = found.series, found.period
    costs = np.sum([np.asarray(part) for part in s.costs.values()], axis=0) if s.costs else np.zeros(len(s.ends))
    pictures: dict[str, Picture] = {}
    if len(s.ends) > 1:
        pictures |= _over_time(found, costs)
    money = found.money
    paid = [(name, -value) for name, value in sorted(money.costs.items(), key=lambda item: -item[1])]
    parts = [("price", money.price), ("funding", money.funding), *paid]
    told = f"price {usd(money.price)}, funding {usd(money.funding)}, costs {usd(-money.cost)} USD"
    pictures["money"] = charts.waterfall("Where it came from, USD", told, parts, "net profit")
    if found.coins:
        pictures["coins"] = _coins(found)
    if len(s.ends) >= 20:
        returns = periods(record).returns
        known = {ratio.name: ratio.value for ratio in found.ratios}
        named = (("VaR 95 %", known["VaR 95 %"]), ("CVaR 95 %", known["CVaR 95 %"]))
        marks = [("mean", float(returns.mean())), *((name, -value) for name, value in named if value is not None)]
        note = f"{len(returns)} {per}s; lines: the mean, the loss that 5 % exceed, and the mean of those"
        pictures["returns"] = charts.histogram(f"Returns of a {per}", note, returns, marks)
    if others:
        pictures["rivals"] = _rivals(record, others)
    if found.sweep is not None:
        judged = found.sweep
        marks = [("chosen", judged.sharpe), ("luck's best", judged.luck)]
        note = f"{judged.trials} trials; luck's best is what as many skill-less ones would show, on average"
        pictures["trials"] = charts.histogram("Sharpe ratios of all trials", note, judged.sharpes, marks, share=False)
        note = f"{len(judged.logits)} splits; left of 0 the chosen trial fell below the median"
        pictures["splits"] = charts.histogram(
            "Rank of the best out of sample (logit)", note, judged.logits, [("median", 0.0)], share=False
        )
    return pictures


def _over_time(found: Report, costs: Array) -> dict[str, Picture]:
    s, per, capital = found.series, found.period, found.money.capital
    equity = np.asarray(s.equity)
    funding = np.cumsum(s.funding)
    before = equity + np.cumsum(costs)
    lines = [("after everything", equity)]
    if costs.any():
        lines.append(("before costs", before))
    wealth = np.maximum(equity, 0.0)
    peaks = np.maximum.accumulate(np.concatenate([[capital], wealth]))[1:]
    falls = 1.0 - wealth / peaks
    price = equity - capital - funding + np.cumsum(costs)
    last = f"from {capital:,.0f} to {equity[-1]:,.0f} USD"
    depth = f"the deepest fall is {share(float(falls.max()))} of the peak before it"
    paid = [("costs", -np.cumsum(costs)), ("funding", funding)]
    traded = np.asarray(s.turnover)
    held = found.holding
    about = f"mean gross {held.gross:.2f} × equity, most {held.gross_most:.2f}; mean net {number(held.net)}"
    pace = f"mean {held.turnover_day:.2f} × equity a day; {usd(found.money.traded)} USD in all"
    return {
        "equity": charts.curves("Equity, USD", last, s.ends, lines, base=capital),
        "drawdown": charts.under_water("Drawdown", depth, s.ends, falls),
        "parts": charts.curves(
            "Profit by source, summed up, USD",
            "net is price and funding less costs",
            s.ends,
            [("net", equity - capital), *(pair for pair in paid if np.any(pair[1])), ("price", price)],
            base=0.0,
        ),
        "exposure": charts.exposure("Exposure, USD", about, s.ends, np.asarray(s.gross), np.asarray(s.net)),
        "turnover": charts.amounts(f"Traded in each {per}, USD", pace, s.ends, traded),
    }


def _coins(found: Report) -> Picture:
    rows = [(coin.name, coin.usd) for coin in found.coins]
    gained = sum(value > 0.0 for _, value in rows)
    note = f"{gained} of {len(rows)} coins gained, after their costs"
    if len(rows) > 2 * charts.SHOWN + 1:
        rest = rows[charts.SHOWN : -charts.SHOWN]
        note += f"; {len(rest)} that are not shown made {usd(sum(value for _, value in rest))} USD together"
        rows = [*rows[: charts.SHOWN], *rows[-charts.SHOWN :]]
    return charts.bars("Profit by coin, USD", note, rows)


def _rivals(record: BacktestRecord, others: Sequence[BacktestRecord]) -> Picture:
    """Equity of each from one start, over the time of the record."""
    everybody = [record, *others]
    own = periods(record)
    lines = []
    for name, one in zip(labels(everybody), everybody, strict=True):
        theirs = periods(one, own.name)
        wealth = record.capital * np.cumprod(1.0 + theirs.returns)
        places = np.searchsorted(theirs.ends, own.ends, side="right") - 1
        start = places[0]
        scale = record.capital / wealth[start] if start >= 0 and one is not record else 1.0
        values = np.where(places >= 0, wealth[np.maximum(places, 0)] * scale, np.nan)
        lines.append((name, np.where(own.ends > theirs.ends[-1], np.nan, values)))
    note = f"each from {usd(record.capital)} USD where the record begins"
    return charts.curves("Beside others, USD", note, own.ends.tolist(), lines, base=record.capital)
