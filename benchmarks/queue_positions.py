"""How well the queue models guess, against books that are known order by order.

    uv run --no-sync python benchmarks/queue_positions.py [--log orders.csv.xz] [--seeds 8] [--write PAGE]

Orders of one lot that were never sent join the best three occupied levels of both sides again and again
(`queue_probe`). The truth is the orders that stand in front of them; the models see only levels and trades. Books:

- an order log of Bitstamp's kind (--log; without it this part is left out);
- our own matching engine with orders that are all as likely to be cancelled (even), and with most of them cancelled
  soon after they came (hasty), several seeds each;
- deep queues of round lots, written as a LOBSTER message file and read back from it.

--write puts tables between the marks of a page, and a plot of the errors beside it.
"""

from __future__ import annotations

import argparse
import math
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.data.tape.l3_bitstamp import BitstampLog
from slipstream.data.tape.l3_lobster import LobsterLog
from slipstream.data.tape.l3_lobster_levels import PRICE_UNIT
from slipstream.lob.book import Book
from slipstream.lob.replay.order_book import OrderBook, project
from slipstream.lob.replay.order_record import record
from slipstream.lob.replay.order_rows import ADD, CANCEL, EXECUTE, REDUCE
from slipstream.simulation.tick.queue_errors import Interval, Judged, Verdict, by_offset, by_size, judge
from slipstream.simulation.tick.queue_flow import QueueFlow, session
from slipstream.simulation.tick.queue_probe import DEPTHS, MODELS, OFFSETS_S, SWEPT, TRADED, Probes

Array = npt.NDArray[Any]
SECOND = 10**9
HORIZON_S = 320.5
LEVELS, ORDERS, FILLS = 1 << 16, 1 << 14, 1 << 12
WARM_S = 600
DAY = date(2012, 6, 21)
EVEN = QueueFlow(20_000.0)
HASTY = QueueFlow(20_000.0, hasty=0.8, limit_rate=12.0, hasty_s=2.0, patient_s=90.0)
DEEP = QueueFlow(
    23_400.0,
    hasty=0.6,
    limit_rate=8.0,
    hasty_s=10.0,
    patient_s=240.0,
    size=200.0,
    take_size=600.0,
    round_to=100,
    take_rate=0.25,
    volatility=0.03,
)
MARK = "<!-- measured by benchmarks/queue_positions.py -->"


@dataclass
class Study:
    """Probes of one kind of book, and what is worth saying about it."""

    name: str
    about: str
    probes: Array
    counts: Counter[str] = field(default_factory=Counter)


def bitstamp(path: Path, every_s: float) -> Study:
    log = BitstampLog(path)
    book = OrderBook(0, 1 << 18, 1 << 14)
    rows = np.concatenate(list(project(log, book)))
    first, last = int(rows["exch_ns"][0]), int(rows["exch_ns"][-1])
    probes = Probes(first + 60 * SECOND, last - round(HORIZON_S * SECOND), every_s, HORIZON_S)
    probes.feed(rows)
    counts = log.counts.copy()
    counts.update({f"book: {name}": value for name, value in book.counts().items()})
    about = f"{log.path.name}: {counts['rows']:,} rows, {(last - first) / SECOND / 3600:.1f} hours, tick 0.01, lot 1e-8"
    return Study("Bitstamp's order log", about, probes.seen, counts)


def played(chunks: Iterable[Array], seconds: float, every_s: float) -> tuple[Array, int]:
    """Probes of an order log, and how many rows of levels and trades it made."""
    probes = Probes(WARM_S * SECOND, round((seconds - HORIZON_S) * SECOND), every_s, HORIZON_S, 0, LEVELS)
    rows = 0
    for made in project(chunks, OrderBook(0, LEVELS, ORDERS)):
        if not rows:
            probes = _from(probes, int(made["exch_ns"][0]), seconds, every_s)
        probes.feed(made)
        rows += len(made)
    return probes.seen, rows


def _from(probes: Probes, first_ns: int, seconds: float, every_s: float) -> Probes:
    """Probes that count their times from the log's midnight."""
    start = first_ns // (86_400 * SECOND) * 86_400 * SECOND
    if not start:
        return probes
    until = start + round((seconds - HORIZON_S) * SECOND)
    return Probes(start + WARM_S * SECOND, until, every_s, HORIZON_S, 0, LEVELS)


def simulated(name: str, about: str, flow: QueueFlow, seeds: int, every_s: float) -> Study:
    parts, rows, ops = [], 0, 0
    for seed in range(seeds):
        drawn = session(flow, np.random.default_rng(seed))
        seen, made = played([record(Book(0, LEVELS, ORDERS, FILLS), drawn)], flow.seconds, every_s)
        seen = seen.copy()
        seen["joined_ns"] += seed * 10**6 * SECOND  # sessions are blocks of their own
        parts.append(seen)
        rows, ops = rows + made, ops + len(drawn)
    about = f"{about}; {seeds} sessions of {flow.seconds:,.0f} s, {ops:,} operations, {rows:,} rows"
    return Study(name, about, np.concatenate(parts))


def lobster(flow: QueueFlow, seed: int, every_s: float) -> Study:
    log = record(Book(0, LEVELS, ORDERS, FILLS), session(flow, np.random.default_rng(seed)))
    types = {ADD: 1, REDUCE: 2, CANCEL: 3, EXECUTE: 4}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "messages.csv"
        with path.open("w") as file:
            for row in log.tolist():
                ns, _, order, lots, tick, _, kind, side = row
                file.write(
                    f"{ns // SECOND}.{ns % SECOND:09d},{types[kind]},{order},{lots},{tick * PRICE_UNIT // 100},{side}\n"
                )
        messages = LobsterLog(path, DAY)
        seen, rows = played(messages, flow.seconds, every_s)
        told = f"a message file of {messages.counts['rows']:,} rows, {rows:,} rows of levels and trades"
    about = f"round lots of 100, three of five orders live ten seconds; one session of {flow.seconds:,.0f} s; {told}"
    return Study("Deep queues, as LOBSTER messages", about, seen)


def shown(value: Interval, scale: float = 1.0, digits: int = 2) -> str:
    return f"{value.value * scale:+.{digits}f} [{value.low * scale:+.{digits}f}, {value.high * scale:+.{digits}f}]"


def plain(value: Interval, scale: float = 1.0, digits: int = 2) -> str:
    return f"{value.value * scale:.{digits}f} [{value.low * scale:.{digits}f}, {value.high * scale:.{digits}f}]"


def models_table(judged: Judged, digits: int, lots: float) -> list[str]:
    heads = ("model", "bias, %", "mean abs. error, %", "in lots", "5 / 50 / 95 %, %", "false fills, %", "missed, %")
    lines = ["| " + " | ".join([*heads, "late, s", "time off, s"]) + " |", "|---|---|---|---|---|---|---|---|---|"]
    for one in judged.verdicts:
        mark = " **best**" if one is judged.best else " =" if one.even else ""
        low, _, middle, _, high = (100 * q for q in one.quantiles)
        cells = (
            one.model + mark,
            shown(one.bias, 100, digits),
            plain(one.mae, 100, digits),
            plain(one.mae_lots, lots, 3 if lots != 1 else 0),
            f"{low:+.1f} / {middle:+.1f} / {high:+.1f}",
            plain(one.false, 100),
            plain(one.missed, 100),
            shown(one.late_s, 1, 1),
            plain(one.off_s, 1, 1),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return lines


Cell = Callable[[Verdict], tuple[float, str]]


def parts_table(parts: list[tuple[str, Judged]], cell: Cell) -> list[str]:
    """A figure by part, as ``cell`` makes it (what is compared, what is shown); the least is marked."""
    lines = ["| model | " + " | ".join(label for label, _ in parts) + " |", "|---|" + "---|" * len(parts)]
    least = [min(judged.verdicts, key=lambda one: cell(one)[0]) for _, judged in parts]
    for m in range(len(MODELS) - 1):
        cells = []
        for (_, judged), best in zip(parts, least, strict=True):
            one = judged.verdicts[m]
            shown_as = cell(one)[1].removesuffix(" =")
            is_best = cell(one)[0] == cell(best)[0]
            cells.append(f"{shown_as} **best**" if is_best else cell(one)[1])
        lines.append(f"| {MODELS[m][0]} | " + " | ".join(cells) + " |")
    return lines


def error_cell(one: Verdict) -> tuple[float, str]:
    even = " =" if one.even else ""
    return one.mae.value, f"{100 * one.mae.value:.2f}{even}"


def fill_cell(one: Verdict) -> tuple[float, str]:
    wrong = one.false.value + one.missed.value
    off = f"{one.off_s.value:.1f} s" if math.isfinite(one.off_s.value) else "no fill"
    return wrong, f"{100 * wrong:.2f}, {off}"


def report(study: Study, seed: int = 1) -> list[str]:
    """The tables of one study, as Markdown."""
    probes = study.probes
    rng = np.random.default_rng(seed)
    digits = 2 if "Bitstamp" in study.name else 1
    lots = 1e-8 if "Bitstamp" in study.name else 1.0
    everyone = judge(probes, rng)
    turned, swept = ((probes["how"] == how).sum() for how in (TRADED, SWEPT))
    lines = [
        f"### {study.name}",
        "",
        f"{study.about}. {everyone.probes:,} probes; {100 * everyone.filled:.1f} % fill within {HORIZON_S:.0f} s, "
        f"{turned:,} in their turn, {swept:,} because their price was passed. {everyone.comparisons:,} comparisons; "
        f"before {100 * everyone.doubtful:.1f} % of them a cancel had left the models in doubt. Only those:",
        "",
        *models_table(judge(probes, rng, doubtful=True), digits, lots),
        "",
        "Mean absolute error, %, of all comparisons, by level and by what was in front at first (in BTC):"
        if lots != 1
        else "Mean absolute error, %, of all comparisons, by level and by what was in front at first (lots):",
        "",
    ]
    named = ("best level", *(f"{n} behind" for n in ("one", "two")))
    parts = [("all", everyone)]
    parts += [(named[d], judge(probes[probes["depth"] == d], rng)) for d in range(DEPTHS)]
    parts += [(_size(label, lots), judge(group, rng)) for label, group in by_size(probes)]
    lines += [
        *parts_table(parts, error_cell),
        "",
        "Wrong fills (false and missed), % of probes, and the time off of the others:",
        "",
    ]
    return [*lines, *parts_table(parts, fill_cell), ""]


def _size(label: str, lots: float) -> str:
    if lots == 1.0:
        return label
    low, high = (int(text.replace(",", "")) * lots for text in label.split(" to "))
    return f"{low:.3g} to {high:.3g}"


def counts_table(counts: Counter[str]) -> list[str]:
    lines = ["### The log's rows", "", "| what | how often |", "|---|---|"]
    return lines + [f"| {what} | {counts[what]:,} |" for what in sorted(counts)] + [""]


def plot(studies: list[Study], path: Path) -> None:
    """Mean absolute error by the time since joining."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "queue", "font.size": 9})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(studies), figsize=(3.6 * len(studies), 3.4), squeeze=False)
    for axis, study in zip(axes[0], studies, strict=True):
        for (name, _, _), curve in zip(MODELS[:-1], by_offset(study.probes), strict=True):
            axis.plot(OFFSETS_S, 100 * curve, linewidth=1.2, label=name)
        axis.set(xscale="log", title=study.name, xlabel="seconds since joining")
        axis.minorticks_off()
        axis.set_xticks([1, 10, 100], ["1", "10", "100"])
    axes[0][0].set_ylabel("mean absolute error, % of what was in front")
    axes[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def write(page: Path, lines: list[str]) -> None:
    text = page.read_text()
    if text.count(MARK) != 2:
        raise SystemExit(f"{page}: needs the line {MARK} twice, around what is measured")
    body = "\n".join(["", *lines])
    page.write_text(
        re.sub(f"{re.escape(MARK)}.*{re.escape(MARK)}", lambda _: f"{MARK}\n{body}\n{MARK}", text, flags=re.S)
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--log", type=Path, help="an order log of Bitstamp's kind (csv, .gz, .xz)")
    options.add_argument("--seeds", type=int, default=8)
    options.add_argument("--write", type=Path, help="the page to put the tables into")
    given = options.parse_args()
    studies = [bitstamp(given.log, 2.0)] if given.log else []
    studies.append(simulated("Even cancels", "every order as likely to go as any other", EVEN, given.seeds, 10.0))
    studies.append(simulated("Hasty cancels", "four of five orders live two seconds", HASTY, given.seeds, 10.0))
    studies.append(lobster(DEEP, 1, 5.0))
    lines = [line for study in studies for line in report(study)]
    if given.log:
        lines += counts_table(studies[0].counts)
    print("\n".join(lines))
    if given.write:
        plot(studies, given.write.with_suffix(".svg"))
        write(given.write, lines)


if __name__ == "__main__":
    main()
