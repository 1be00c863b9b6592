"""What a trader asks of a run tick by tick, as chapters of its report: money's origin, markouts, queues, quotes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slipstream.research.report.chapters import Chapter
from slipstream.research.report.charts import Picture, usd, waterfall
from slipstream.research.report.page import amount, number
from slipstream.research.report.tick_charts import Band, Quotes, bands, quotes, steps
from slipstream.simulation.tick.markouts import Markout, markouts
from slipstream.simulation.tick.queue_stats import Quartiles, QueueStats, queue_stats
from slipstream.simulation.tick.split import Split, split
from slipstream.simulation.tick.told import Told

MILLI = 1_000_000
SHOWN_COINS = 6  # pictures of quotes: a page of more is not read
ZOOM_NS = 120_000_000_000
JUDGED_S = 10.0  # adverse selection is what the mid does to a fill in so many seconds


def tick_chapters(told: Told, rng: np.random.Generator) -> tuple[Chapter, ...]:
    """All chapters of a run; one that made no fill has no markouts. Raises ValueError (see `split`)."""
    if not told.fills.count:
        said = "No order was filled: there is nothing to take apart."
        return (Chapter(title="Fills", lines=(said,)), queue_chapter(queue_stats(told)), quote_chapter(told))
    horizon = judged(told)
    return (
        split_chapter(split(told, horizon), told.fills.horizons_ns[horizon] / 1e9),
        markout_chapter(markouts(told.fills, rng)),
        queue_chapter(queue_stats(told)),
        quote_chapter(told),
    )


def judged(told: Told) -> int:
    """The place of the horizon at which adverse selection is judged: that nearest to 10 s."""
    return int(np.argmin([abs(horizon / 1e9 - JUDGED_S) for horizon in told.fills.horizons_ns]))


def split_chapter(parts: Sequence[Split], seconds: float) -> Chapter:
    """The profit by origin, a row a coin."""
    whole = parts[-1]
    drawn = [
        ("spread captured", whole.spread),
        ("adverse selection", whole.adverse),
        ("inventory", whole.inventory),
        ("fees", -whole.fees),
        ("funding", whole.funding),
    ]
    note = f"adverse selection: what the mid did to a fill within {seconds:g} s; inventory: what it did after"
    rows = tuple(
        {
            "coin": one.name,
            "fills": f"{one.fills:,}",
            "traded": f"{one.traded:,.0f}",
            "spread captured": amount(one.spread, 2),
            "adverse selection": amount(one.adverse, 2),
            "inventory": amount(one.inventory, 2),
            "fees": amount(-one.fees, 2),
            "funding": amount(one.funding, 2),
            "profit": amount(one.total, 2),
            "bp of traded": number(one.total / one.traded * 1e4 if one.traded > 0.0 else None, 2),
        }
        for one in parts
    )
    lines = (
        "USD. The parts add up to the change of equity. The mid of a fill is the exchange's just after the row that "
        "filled it, so a fill by a move that went through its price captured less than half a spread.",
    )
    picture = waterfall("Profit by origin, USD", note, drawn, "profit")
    return Chapter(title="Where a market maker's profit came from", lines=lines, pictures=(picture,), tables=(rows,))


def markout_chapter(found: Sequence[Markout]) -> Chapter:
    """Markouts by horizon: a table a group, and makers' and takers' curves."""
    groups = list(dict.fromkeys(one.who for one in found))
    names = [_seconds(one.horizon_s) for one in found if one.who == groups[0]]
    drawn = [who for who in ("maker", "taker") if who in groups]
    curves = [_band(who, [one for one in found if one.who == who]) for who in drawn]
    rows = tuple(
        {
            "fills of": one.who,
            "after": _seconds(one.horizon_s),
            "fills": f"{one.fills:,}",
            "tape ended": f"{one.missing:,}",
            "bp a fill": number(one.mean.estimate, 3),
            "95 %": _range(one.mean.low, one.mean.high),
            "bp of USD": number(one.weighted.estimate, 3),
            "95 % ": _range(one.weighted.low, one.weighted.high),
        }
        for one in found
    )
    lines = (
        "What a fill was worth some time after it, at the exchange's mid, before fees, in basis points of its price; "
        "at 0 s the spread captured. Below 0 the fill was a loss by then. Intervals resample blocks of fills in time, "
        "as long as the horizon at least (stationary bootstrap; none where there are not eight such blocks); they are "
        "wide where fills come in bursts, and say nothing of another day.",
    )
    picture = bands("Markouts, bp of USD traded", "bands: 95 % intervals", names, curves, "bp")
    return Chapter(
        title="Markouts", lines=lines, pictures=(picture,), tables=(rows,), words=("fills of",), grouped=True
    )


def _band(who: str, found: Sequence[Markout]) -> Band:
    return Band(
        name=who,
        middle=np.array([one.weighted.estimate for one in found]),
        low=np.array([one.weighted.low for one in found]),
        high=np.array([one.weighted.high for one in found]),
    )


def _seconds(value: float) -> str:
    return f"{value:g} s"


def _range(low: float, high: float) -> str:
    return f"{number(low, 3)} to {number(high, 3)}" if np.isfinite(low) else "–"


def queue_chapter(found: Sequence[QueueStats]) -> Chapter:
    """Orders, queues, waiting, refusals; a column's quartiles are low, middle, high."""
    rows = tuple(
        {
            "coin": one.name,
            "orders": f"{one.places:,}",
            "accepted": f"{one.accepted:,}",
            "cancels": f"{one.cancels:,}",
            "changes": f"{one.modifies:,}",
            "requests an hour": number(one.requests_an_hour, 0),
            "fills": f"{one.fills:,}",
            "by maker": f"{one.maker_fills:,}",
            "orders a fill": _known(one.orders_a_fill, 1),
            "orders filled": _known(100.0 * one.orders_filled, 2, " %"),
            "size filled": _known(100.0 * one.filled, 2, " %"),
        }
        for one in found
    )
    waits = tuple(
        {
            "coin": one.name,
            "ahead when it joined, USD": _three(one.joined, 0),
            "filled, from short queues to long": " · ".join(_known(100.0 * part, 1, " %") for part in one.by_queue),
            "ahead of those filled, USD": _three(one.ahead, 0),
            "from order to fill, s": _three(one.wait, 3),
            "from fill to knowing, ms": _three(one.news, 2, 1e3),
        }
        for one in found
    )
    refused = tuple(
        {"coin": one.name, "request": reason, "times": f"{count:,}"}
        for one in found
        for reason, count in one.refused.items()
    )
    lines = (
        "Of what lay ahead and of the waits: lower quartile, median, upper quartile; the waits are those of orders that"
        " were filled. Filled: the part of the places in queues (a change that joins a level anew takes another) in"
        " which an order was filled at all, by quarter of what lay ahead.",
    )
    return Chapter(
        title="Orders, queues and fills", lines=lines, tables=(rows, waits, refused), words=("coin", "request")
    )


def _known(value: float, digits: int, unit: str = "") -> str:
    return number(value, digits) + unit if np.isfinite(value) else "–"


def _three(found: Quartiles, digits: int, scale: float = 1.0) -> str:
    if not found.count:
        return "–"
    return " · ".join(number(value * scale, digits) for value in (found.low, found.middle, found.high))


def quote_chapter(told: Told) -> Chapter:
    """Inventory of every coin; quotes, market and fills of the first few, whole and two busy minutes of each."""
    seen = told.samples
    held = np.where(seen.position == 0.0, 0.0, seen.position * seen.mid)
    ends = (seen.ns // MILLI).tolist()
    most = max((float(np.nanmax(np.abs(held[:, k]))) for k in range(len(told.coins))), default=0.0)
    lines = [(coin, held[:, k]) for k, coin in enumerate(told.coins)]
    note = f"positions at the mid; the largest was {usd(most)} USD"
    pictures = [steps("Inventory, USD", note, ends, lines[:7])]
    for k, coin in enumerate(told.coins[:SHOWN_COINS]):
        pictures += quote_pictures(told, k, coin)
    return Chapter(title="Quotes and inventory", pictures=tuple(pictures))


def quote_pictures(told: Told, market: int, coin: str) -> list[Picture]:
    """The whole run, and the two minutes with the most fills if it is much longer."""
    first, last = int(told.samples.ns[0]), int(told.samples.ns[-1])
    out = [quotes(f"{coin}: quotes and fills", "best prices of ours as steps", between(told, market, first, last))]
    when = told.fills.exch_ns[told.fills.market == market]
    if when.size and last - first > 5 * ZOOM_NS:
        inside = np.searchsorted(when, when + ZOOM_NS) - np.arange(when.size)
        begin = int(when[int(inside.argmax())]) - ZOOM_NS // 20
        count = int(inside.max())
        seen = between(told, market, begin, begin + ZOOM_NS)
        out.append(quotes(f"{coin}: the busiest two minutes", f"{count} fills", seen))
    return out


def between(told: Told, market: int, begin: int, end: int) -> Quotes:
    """What was quoted from one time to another, ns."""
    seen, fills = told.samples, told.fills
    of = (seen.ns >= begin) & (seen.ns <= end)
    hit = (fills.market == market) & (fills.exch_ns >= begin) & (fills.exch_ns <= end)
    return Quotes(
        ends=seen.ns[of] // MILLI,
        mid=seen.mid[of, market],
        own_bid=seen.own_bid[of, market],
        own_ask=seen.own_ask[of, market],
        fill_ends=fills.exch_ns[hit] // MILLI,
        fill_px=fills.px[hit],
        bought=fills.side[hit] > 0,
    )
