"""A joint study as plain values, rows and Markdown. ``bp`` are 1e-4 of the notional."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from slipstream.core.stats.bootstrap import Interval
from slipstream.research.joint.quantiles import Tenth
from slipstream.research.joint.study import BookFigures, Horizon, JointStudy

BP = 1e4
SCORES = ("funding", "last_rate", "constant", "price", "combined")
DIAGNOSTIC = (
    "R² in sigmas: funding over its EWMA-128 h deviation, price over its own. A constant rate scores high in it, and "
    "the two kinds of sigma do not add up to a profit. A diagnostic, nothing to choose by."
)
ASSUMPTIONS = (
    "Decided at a bar's close with what was paid and traded by then; held for H hours from that close, without delay "
    "and at that price: fills are NOT simulated here. The cost of turnover stands for fees, spread and impact.",
    "Books: the best and the worst tenth of the coins, half of the gross each; H hours' books overlap in equal parts.",
    "A coin whose bars stop within a horizon stays at its last price; an hour without a rate pays nothing.",
    "Intervals: calendar weeks resampled, the same weeks for every H.",
)


def when(ms: int) -> str:
    """UTC, to the minute."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def optimization_summary(found: JointStudy) -> dict[str, Any]:
    """``H_optimal`` and its R² in money by the names of old, and beside them what they are worth."""
    best = next(h for h in found.horizons if h.hours == found.best)
    combined = best.money["combined"]
    sigmas = {h.hours: h.sigmas["combined"].estimate for h in found.horizons}
    highest = max(sigmas, key=lambda hours: sigmas[hours])
    return {
        "H_optimal": found.best,
        "R2_combined_optimal": combined.estimate,
        "R2_combined_bp": round(combined.estimate * BP),
        "H_tested": [h.hours for h in found.horizons],
        "H_distinguishable": found.distinguishable,
        "p_value_corrected": found.p_value,
        "verdict": found.verdict,
        "chosen_by": "net profit a year over its deviation, joint book, after cost, corrected for the horizons tested",
        "R2_combined_interval": [combined.low, combined.high],
        "cost_of_turnover": found.terms.cost,
        "tests_from": when(found.first_ms),
        "tests_to": when(found.last_ms),
        "weeks": found.weeks,
        "diagnostic_in_sigmas": {
            "note": DIAGNOSTIC,
            "H_optimal": highest,
            "R2_combined_optimal": sigmas[highest],
            "R2_combined_bp": round(sigmas[highest] * BP),
        },
    }


def horizon_file(found: JointStudy, one: Horizon) -> dict[str, Any]:
    """All figures of a horizon, with the terms that made them."""
    return {
        "H": one.hours,
        "rows": one.rows,
        "R2_money": {name: _named(one.money[name]) for name in SCORES},
        "R2_sigmas_diagnostic": {"note": DIAGNOSTIC, **{name: _named(one.sigmas[name]) for name in SCORES}},
        "books": {name: _book(book) for name, book in one.books.items()},
        "coefficients": {
            "note": "last fold, intercept first; price per z of each span, funding per EWMA of each span",
            **{name: list(values) for name, values in one.coef.items()},
        },
        "quantiles": quantile_rows(one),
        "terms": msgspec.to_builtins(found.terms),
        "assumptions": list(ASSUMPTIONS),
    }


def comparison_rows(found: JointStudy) -> list[dict[str, Any]]:
    """A row a horizon, the same keys everywhere; ``sigmas_`` columns are the diagnostic."""
    rows = []
    for one in found.horizons:
        row: dict[str, Any] = {"H": one.hours, "rows": one.rows}
        for prefix, scores in (("R2", one.money), ("sigmas_R2", one.sigmas)):
            for name in SCORES:
                row |= {f"{prefix}_{name}{end}": value for end, value in _ends(scores[name])}
        for name, book in one.books.items():
            row |= {f"{name}_{part}_bp": getattr(book, part) * BP for part in ("price", "funding", "cost", "net")}
            row |= {f"{name}_ratio{end}": value for end, value in _ends(book.ratio)}
            row |= {f"{name}_{part}": getattr(book, part) for part in ("turnover", "p_value", "best_share")}
            row |= {f"{name}_behind_best{end}": value for end, value in _ends(book.behind)}
        rows.append(row)
    return rows


def quantile_rows(one: Horizon) -> list[dict[str, Any]]:
    """A row a tenth of forecast alpha less funding, the lowest first; money in bp per H hours."""
    return [_tenth(row) for row in one.tenths]


def _tenth(row: Tenth) -> dict[str, Any]:
    return {
        "quantile": row.quantile,
        "n": row.n,
        "forecast_bp": row.forecast * BP,
        "alpha_actual_bp": row.alpha.mean * BP,
        "alpha_t": row.alpha.t,
        "F_actual_bp": row.paid.mean * BP,
        "F_t": row.paid.t,
        "Total_actual_bp": row.total.mean * BP,
        "Total_t": row.total.t,
        "side": row.side,
        "alpha_actual_sigma_diagnostic": row.alpha_sigma,
        "F_actual_sigma_diagnostic": row.paid_sigma,
    }


def words(found: JointStudy, notes: tuple[str, ...]) -> list[str]:
    """What a reader must know, a sentence each, the verdict first."""
    return [
        found.verdict,
        f"Out of sample from {when(found.first_ms)} to {when(found.last_ms)} UTC: {found.terms.folds} expanding folds, "
        f"{found.weeks} weeks, {found.terms.draws} resamples, embargo {found.terms.embargo_hours} h.",
        *ASSUMPTIONS,
        *(f"Data: {note}." for note in notes),
    ]


def shown_rows(found: JointStudy) -> list[dict[str, str]]:
    """The table that people read: money, baselines, net profit, and the diagnostic last."""
    parts = zip(money_rows(found), book_rows(found), sigma_rows(found), strict=True)
    return [money | book | {f"IN SIGMAS: {k}": v for k, v in sigma.items() if k != "H"} for money, book, sigma in parts]


def money_rows(found: JointStudy) -> list[dict[str, str]]:
    """R² in money with intervals, and the forecasts that cost nothing."""
    return [
        {
            "H": f"{one.hours} h",
            "funding R², OLS": _r2(one.money["funding"]),
            "last rate": _r2(one.money["last_rate"]),
            "base rate": _r2(one.money["constant"]),
            "price R²": _r2(one.money["price"], 4),
            "combined R²": _r2(one.money["combined"], 4),
        }
        for one in found.horizons
    ]


def book_rows(found: JointStudy) -> list[dict[str, str]]:
    """What the books of tenths earn a period of H hours, bp of the gross."""
    return [
        {
            "H": f"{one.hours} h",
            "joint book: price + funding - cost = net, bp": _sum(one.books["joint"]),
            "net ratio a year": _r2(one.books["joint"].ratio),
            "p, corrected": f"{one.books['joint'].p_value:.3f}",
            "best in": f"{one.books['joint'].best_share:.0%}",
            "carry book, bp": _sum(one.books["carry"]),
        }
        for one in found.horizons
    ]


def sigma_rows(found: JointStudy) -> list[dict[str, str]]:
    """The diagnostic."""
    return [
        {
            "H": f"{one.hours} h",
            "funding": f"{one.sigmas['funding'].estimate:.3f}",
            "last rate": f"{one.sigmas['last_rate'].estimate:.3f}",
            "constant": f"{one.sigmas['constant'].estimate:.3f}",
            "price": f"{one.sigmas['price'].estimate:.4f}",
            "combined": f"{one.sigmas['combined'].estimate:.3f}",
        }
        for one in found.horizons
    ]


def markdown(title: str, lines: list[str], tables: list[tuple[str, list[dict[str, str]]]]) -> str:
    """Sentences, then tables of rows with the same keys."""
    out = [f"# {title}", "", *(f"- {line}" for line in lines)]
    for name, rows in tables:
        out += ["", f"## {name}", "", "| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
        out += ["| " + " | ".join(row.values()) + " |" for row in rows]
    return "\n".join(out) + "\n"


def _ends(found: Interval) -> list[tuple[str, float]]:
    return [("", found.estimate), ("_low", found.low), ("_high", found.high)]


def _named(found: Interval) -> dict[str, float]:
    return dict(found._asdict())


def _book(book: BookFigures) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(book)
    return plain | {"ratio": _named(book.ratio), "behind": _named(book.behind)}


def _r2(found: Interval, digits: int = 2) -> str:
    return f"{found.estimate:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def _sum(book: BookFigures) -> str:
    parts = [part * BP for part in (book.price, book.funding, book.cost, book.net)]
    return "{:+.1f} {:+.1f} - {:.1f} = {:+.1f}".format(*parts)
