"""Stylised facts as chapters of a page: a recording, beside it a simulation, and where the two do not agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from slipstream.research.report.chapters import Chapter
from slipstream.research.report.tick_charts import Band, bands
from slipstream.simulation.market.blocks import Estimate
from slipstream.simulation.market.calibration import Calibration
from slipstream.simulation.market.metaorder import POINTS, Metaorders
from slipstream.simulation.market.observed import LEVELS
from slipstream.simulation.market.size_fit import REFUSED
from slipstream.simulation.market.stylised import (
    INTERVALS_S,
    QUANTILES,
    RESPONSE_S,
    RETURN_LAGS,
    SIGN_LAGS,
    SPREADS,
    WINDOWS_S,
    Facts,
)

Row = dict[str, str]
ALIKE = 0.02  # of a figure: where prices move by ticks, intervals are often points


def figure(value: float) -> str:
    """A number with three figures that matter."""
    if not math.isfinite(value):
        return "-"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def interval(one: Estimate, place: int = 0) -> str:
    """An estimate with its bounds."""
    value, low, high = one.one(place)
    return f"{figure(value)} ({figure(low)} to {figure(high)})"


def apart(mine: Estimate, other: Estimate, place: int = 0) -> bool:
    """Whether two intervals have nothing in common, and the figures differ by more than a fiftieth."""
    value, low, high = mine.one(place)
    theirs, least, most = other.one(place)
    return bool(low > most or least > high) and not abs(value - theirs) <= ALIKE * abs(value)


def compared(facts: Sequence[Facts]) -> list[tuple[str, list[Estimate], int]]:
    """The single figures of the table: name, the estimate of each market, the place in it."""
    names: list[tuple[str, str, int]] = [
        ("spread, mean bp", "spread_bp", 0),
        ("spread, median bp", "spread_bp", 1 + QUANTILES.index(0.5)),
        ("spread, mean ticks", "spread_ticks", 0),
        ("share of time at one tick", "spread_ticks", 1),
        ("depth at the best price, USD", "depth_usd", 0),
        ("depth at the 5th level, USD", "depth_usd", 4),
        ("depth at the 20th level, USD", "depth_usd", LEVELS - 1),
        ("time between quotes, median ms", "quote_ms", QUANTILES.index(0.5)),
        ("trades a minute", "trades", 0),
        ("market orders a minute", "trades", 1),
        ("USD a minute", "trades", 2),
        ("market order, median USD", "taken_usd", QUANTILES.index(0.5)),
        ("market order, 90 % quantile USD", "taken_usd", QUANTILES.index(0.9)),
        *((f"Fano factor of market orders in {w:g} s", "fano", k) for k, w in enumerate(WINDOWS_S)),
        ("volatility from 1 s, bp per root minute", "signature", int(np.flatnonzero(INTERVALS_S == 1.0)[0])),
        ("volatility from 30 s, bp per root minute", "signature", len(INTERVALS_S) - 1),
        ("kurtosis of returns over 1 s", "kurtosis", 0),
        ("kurtosis of returns over 10 s", "kurtosis", 1),
        ("autocorrelation of returns, 1 s", "returns", 0),
        ("autocorrelation of returns, 5 s", "returns", int(np.flatnonzero(RETURN_LAGS == 5)[0])),
        ("autocorrelation of |returns|, 1 s", "sizes", 0),
        ("autocorrelation of |returns|, 30 s", "sizes", int(np.flatnonzero(RETURN_LAGS == 30)[0])),
        ("autocorrelation of signs, next order", "signs", 0),
        ("exponent of the signs' memory", "sign_exponent", 0),
        ("response to a market order, 1 s, bp", "response", int(np.flatnonzero(RESPONSE_S == 1.0)[0])),
        ("response to a market order, 10 s, bp", "response", int(np.flatnonzero(RESPONSE_S == 10.0)[0])),
    ]
    return [(title, [getattr(one, field) for one in facts], place) for title, field, place in names]


def table_chapter(facts: Sequence[Facts]) -> Chapter:
    """Every single figure with its interval."""
    rows = []
    for title, found, place in compared(facts):
        row: Row = {"figure": title} | {one.name: interval(each, place) for one, each in zip(facts, found, strict=True)}
        if len(facts) > 1:
            row["agree"] = "no" if apart(found[0], found[1], place) else "yes"
        rows.append(row)
    return Chapter(
        title="Figures",
        lines=(
            "With 95 % intervals from a block bootstrap; two figures agree where their intervals touch, or they differ "
            "by less than 2 %.",
        ),
        tables=(tuple(rows),),
        words=("figure",),
        judged="agree" if len(facts) > 1 else "",
    )


def missing_chapter(facts: Sequence[Facts]) -> Chapter:
    """Where the simulation does not match, in words."""
    recorded, simulated = facts[0], facts[1]
    said = []
    for title, found, place in compared(facts):
        if apart(found[0], found[1], place):
            mine, theirs = found[0].value[place], found[1].value[place]
            times = f", {figure(theirs / mine)} times as much" if mine * theirs > 0.0 else ""
            said.append(f"{title}: {figure(theirs)} simulated, {figure(mine)} recorded{times}.")
    total = len(compared(facts))
    return Chapter(
        title="Where the simulation does not match",
        lines=(
            f"{len(said)} of {total} figures of {simulated.name} lie apart from {recorded.name}'s.",
            "By construction: a market order's size knows nothing of the book or of the order before, and it goes no "
            "further than the ladder of makers is deep; the "
            "value is a Brownian motion in two regimes, without jumps; makers renew a ladder at even steps; calm and "
            "wild change all rates together, and what came in one rush of the recording is spread over all wild times.",
        ),
        said=tuple(said) or ("Nothing that these figures can tell.",),
    )


def picture_chapter(facts: Sequence[Facts]) -> Chapter:
    """The curves."""

    def drawn(title: str, note: str, field: str, names: Sequence[str], unit: str, start: int = 0) -> object:
        rows = []
        for one in facts:
            found: Estimate = getattr(one, field)
            part = slice(start, start + len(names))
            rows.append(Band(name=one.name, middle=found.value[part], low=found.low[part], high=found.high[part]))
        return bands(title, note, names, rows, unit)

    ticks = [*(str(k) for k in range(1, SPREADS)), f"{SPREADS}+"]
    levels = [str(k + 1) for k in range(LEVELS)]
    seconds = [f"{lag:g}" for lag in RETURN_LAGS]
    pictures = (
        drawn("Spread", "share of time by spread in ticks", "spread_ticks", ticks, "share", 1),
        drawn("Depth", "mean USD at the 1st to 20th occupied level of a side", "depth_usd", levels, "USD"),
        drawn("Returns", "autocorrelation of returns over 1 s, by lag in seconds", "returns", seconds, "corr."),
        drawn("Sizes of returns", "autocorrelation of |returns| over 1 s", "sizes", seconds, "corr."),
        drawn(
            "Signature plot",
            "realised volatility by sampling interval, s: level where prices are a martingale",
            "signature",
            [f"{s:g}" for s in INTERVALS_S],
            "bp / √min",
        ),
        drawn(
            "Signs of market orders",
            "autocorrelation by lag in orders",
            "signs",
            [str(lag) for lag in SIGN_LAGS],
            "corr.",
        ),
        drawn("Bunching", "Fano factor of market orders by window, s", "fano", [f"{w:g}" for w in WINDOWS_S], "factor"),
        drawn(
            "Response to a market order",
            "mean move of the mid with the order's side, by seconds after it",
            "response",
            [f"{s:g}" for s in RESPONSE_S],
            "bp",
        ),
    )
    return Chapter(title="Curves", lines=("Shaded: 95 % intervals.",), pictures=pictures)  # type: ignore[arg-type]


def impact_chapter(found: Metaorders) -> Chapter:
    """What large orders do in the simulation; a recording cannot show it."""
    places = range(1, POINTS, 4)
    names = [f"{found.times_s[k]:.0f}" for k in places]
    rows = [
        Band(
            name=f"{one.share:.0%} of volume",
            middle=one.path[list(places)],
            low=(one.path - 1.96 * one.error)[list(places)],
            high=(one.path + 1.96 * one.error)[list(places)],
        )
        for one in found.impacts
    ]
    note = f"bp against the same market without the order, worked evenly until {found.work_s:g} s"
    table = tuple(
        {
            "share of volume": f"{one.share:.0%}",
            "filled": f"{one.filled:.1%}",
            "impact at the end, bp": f"{figure(float(one.path[POINTS // 2 - 1]))} ± "
            f"{figure(1.96 * float(one.error[POINTS // 2 - 1]))}",
            "later, bp": f"{figure(float(one.path[-1]))} ± {figure(1.96 * float(one.error[-1]))}",
            "paid, bp": f"{figure(one.cost)} ± {figure(1.96 * one.cost_error)}",
        }
        for one in found.impacts
    )
    return Chapter(
        title="Large orders, simulated",
        lines=(
            f"{found.paths} pairs of paths, with and without the order. Impact grows like size to the power "
            f"{figure(found.exponent)} ± {figure(1.96 * found.exponent_error)} (markets: about a half); "
            f"{figure(found.left)} ± {figure(1.96 * found.left_error)} of it is left as long after the order as it "
            "was worked (markets: about two thirds).",
        ),
        pictures=(bands("Impact", note, names, rows, "bp"),),
        tables=(table,),
    )


def _size_lines(found: Calibration) -> list[str]:
    """Which law the sizes of market orders have and why, and that of the orders they traded with."""
    sizes = found.sizes
    said = [
        f"Sizes: log-normal, median {figure(sizes.median)} USD, deviation of the logarithm "
        f"{sizes.sigma:.2f}; Kolmogorov-Smirnov distance {sizes.distance:.3f} "
        f"({'not ' if sizes.p < REFUSED else ''}what {sizes.count} log-normal sizes would show).",
        f"Taken for the simulation: {'log-normal sizes' if sizes.lognormal else 'quantiles of what was seen'}. A fifth "
        f"of the recording lies {sizes.foretold[0]:.3f} from the log-normal law of the other four and "
        f"{sizes.foretold[1]:.3f} from their quantiles, on average.",
    ]
    if found.sells is not None:
        said.append(
            "Buyers' sizes and sellers' are of two laws (Kolmogorov-Smirnov), sellers' of median "
            f"{figure(found.sells.median)} USD: each side has its own."
        )
    if found.resting is None:
        said.append(
            "Too few resting orders were taken whole to tell their law: levels are filled by a few orders each."
        )
    else:
        steps = found.resting.quantiles
        median = float(np.interp(0.5, [share for share, _ in steps], [size for _, size in steps]))
        said.append(
            f"Single resting orders, by what of them was taken: median {figure(median)} USD, mean "
            f"{figure(found.resting.mean)} USD; corrected so that a market order is as many trades as recorded."
        )
    return said


def calibration_chapter(found: Calibration) -> Chapter:
    """What the simulation was made of."""
    free, alike = found.takers.free, found.takers.alike
    far = [max(one.distance for one in some) for some in (free.goodness, free.poisson_goodness)]
    rows = tuple(
        {"figure": aim.name, "recorded": figure(aim.recorded), "simulated": figure(aim.simulated)} for aim in found.aims
    )
    told = [
        f"Market orders: self-exciting arrivals are {'more' if alike.prefers_hawkes else 'not more'} likely than "
        f"Poisson ones, by {free.gain:.0f} in twice the log-likelihood with figures for each side and {alike.gain:.0f} "
        f"with the same for both; branching ratio {alike.radius:.2f}. Kolmogorov-Smirnov distance of residuals "
        f"{far[0]:.3f} against {far[1]:.3f}.",
        *_size_lines(found),
        f"Value: {found.pursuit.volatility * 1e4 * math.sqrt(60.0):.2f} bp per root minute, which the price follows "
        f"within {found.pursuit.lag_s:.2f} s.",
    ]
    if found.regimes is not None:
        calm, wild = found.regimes.stay_s
        told.append(f"Regimes: calm for {calm:.0f} s, wild for {wild:.0f} s on average.")
    if found.anchor is not None:
        told.append(
            f"{found.anchor.anchor} leads by {found.anchor.lag_s:.1f} s (correlation {found.anchor.correlation:.2f})."
        )
    return Chapter(title="What it was made of", tables=(rows,), words=("figure",), said=tuple(told))
