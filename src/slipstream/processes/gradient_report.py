"""What Gradient's research commands write: rows, figures, Markdown."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from slipstream.core.portfolio.books import Book
from slipstream.core.portfolio.periods import periods
from slipstream.core.portfolio.record import BacktestRecord
from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.core.stats.bootstrap import interval
from slipstream.core.stats.performance import performance, sharpe
from slipstream.simulation.gradient_study import Row, Study
from slipstream.simulation.vectorised import Result
from slipstream.strategies.gradient.target import Signals


def when_text(ms: int) -> str:
    """UTC, to the minute."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def csv_text(rows: list[dict[str, Any]]) -> str:
    """Rows of the same keys as a CSV file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def signal_rows(found: Signals, book: Book) -> list[dict[str, Any]]:
    """One row a coin, the strongest trend first, coins without one last."""
    strength, vol, usd = found.panel.strength(), found.panel.vol, found.daily_usd()
    rows = []
    for j, coin in enumerate(found.coins):
        weight = book.weights.get(coin, 0.0)
        rows.append(
            {
                "coin": coin,
                "trend_strength": float(strength[j]) if np.isfinite(strength[j]) else None,
                "vol_day": float(vol[j]) * found.config.bars_per_day**0.5,
                "volume_day_usd": float(usd[j]),
                "side": "long" if weight > 0 else "short" if weight < 0 else "",
                "weight": weight,
                "why_not": book.out.get(coin, ""),
            }
        )
    return sorted(rows, key=lambda row: (row["trend_strength"] is None, -(row["trend_strength"] or 0.0), row["coin"]))


def summary(bars: Bars, result: Result, record: BacktestRecord, seed: int, funding: bool) -> dict[str, Any]:
    """A run's figures as plain values, from the first trade on; ratios over the same periods as the report's."""
    kept = periods(record)
    ratio = interval(kept.returns, lambda r: sharpe(r, kept.ann) or 0.0, np.random.default_rng(seed), draws=500)
    first = int(np.flatnonzero(result.turnover > 0.0)[0])
    order = np.argsort(-result.coin_pnl)
    return {
        "from": when_text(int(bars.opened[first])),
        "to": when_text(int(bars.opened[-1]) + round(bars.hours * HOUR_MS)),
        "capital": record.capital,
        "pnl": float(result.equity[-1]) - record.capital,
        "price_pnl": float(result.price_pnl.sum()),
        "funding": -float(result.funding_paid.sum()) if funding else None,
        "costs": -float(result.costs_paid.sum()),
        "sharpe_95": [ratio.low, ratio.high],
        "ratios_by": kept.name,
        **performance(kept.returns, kept.ann)._asdict(),
        "turnover_day": float(result.turnover[first:].mean()) * bars.bars_per_day,
        "largest_trade_share_of_day": result.worst_share,
        "funding_settlements_assumed": result.funding_gaps,
        "closed_at_last_price": [msgspec.to_builtins(closing) for closing in result.closings],
        "coin_pnl": {bars.coins[j]: float(result.coin_pnl[j]) for j in order if result.coin_pnl[j] != 0.0},
        "assumptions": [
            *record.assumptions,
            *bars.notes,
        ],
    }


def study_rows(found: Study) -> list[dict[str, Any]]:
    """The study as flat rows for a CSV file."""
    return [_flat(row) for row in sorted(found.rows, key=lambda row: -row.usd.estimate)]


def _flat(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = dict(row.case._asdict())
    for name, value in (("usd", row.usd), ("sharpe", row.sharpe)):
        flat |= {name: value.estimate, f"{name}_low": value.low, f"{name}_high": value.high}
    for key in ("cagr", "max_drawdown", "turnover_day", "price", "funding", "costs"):
        flat[key] = getattr(row, key)
    for rival in ("random", "long", "past 30 d"):
        versus = row.against.get(rival)
        for part in ("estimate", "low", "high"):
            flat[f"less {rival} {part}"] = None if versus is None else getattr(versus, part)
    return flat


def study_table(found: Study) -> list[dict[str, str]]:
    """The study as text, the best first: estimates with their intervals."""
    return [_told(row) for row in sorted(found.rows, key=lambda row: -row.usd.estimate)]


def _told(row: Row) -> dict[str, str]:
    case = row.case
    told = {
        "rule": case.rule,
        "n": f"{case.fraction:.0%}",
        "every": f"{case.hours} h",
        "weights": case.weighting,
        "USD": f"{row.usd.estimate:,.0f} [{row.usd.low:,.0f}, {row.usd.high:,.0f}]",
        "Sharpe": f"{row.sharpe.estimate:.2f} [{row.sharpe.low:.2f}, {row.sharpe.high:.2f}]",
        "max drawdown": f"{row.max_drawdown:.0%}",
        "turnover/day": f"{row.turnover_day:.2f}",
        "price": f"{row.price:+.1%}",
        "funding": f"{row.funding:+.1%}",
        "costs": f"{row.costs:+.1%}",
    }
    for rival in ("random", "long", "past 30 d"):
        v = row.against.get(rival)
        told[f"less {rival}"] = "" if v is None else f"{v.estimate:,.0f} [{v.low:,.0f}, {v.high:,.0f}]"
    return told


def study_words(found: Study, bars: Bars) -> tuple[str, str]:
    """What the table shows, and what its best row is worth."""
    terms, best = found.terms, found.best
    first, last = int(bars.opened[found.periods[0][0]]), int(bars.opened[found.periods[-1][1] - 1])
    return (
        f"{when_text(first)} to {when_text(last)} UTC, {len(found.periods)} random periods of {terms.period_days} days "
        f"that do not overlap, each with an account of {terms.capital:,.0f} USD; USD per 1,000,000 and period, net; 95 "
        "% intervals in brackets.",
        f"Best Sharpe ratio: n {best.fraction:.0%}, every {best.hours} h, {best.weighting}. Probability that it is "
        f"above what the best of as many skill-less ones would show: {found.deflated:.0%}.",
    )


def study_text(found: Study, bars: Bars) -> str:
    """The study as Markdown."""
    shown, worth = study_words(found, bars)
    rows = study_table(found)
    lines = [shown, "", f"| {' | '.join(rows[0])} |", "|---" * len(rows[0]) + "|"]
    lines += [f"| {' | '.join(row.values())} |" for row in rows]
    return "\n".join([*lines, "", worth]) + "\n"
