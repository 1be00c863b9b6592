"""How soon rules see that a pod has decayed, at one rate of false alarms: the detector, a CUSUM, rolling Sharpe ratios.

Every pod shows a good year first. Thresholds are calibrated on pods that stay good for the next two years, so that a
tenth of them is alarmed; the rate is checked on others. Other pods stay good for one of these years and then decay.
Pods that any rule alarmed before are left out; delays end at three years. Differences are paired: the same pods under
both rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.core.stats.eprocess import BETS, detect, log_factors, log_mean
from slipstream.core.stats.residual import HOURS_A_YEAR, deviation, new_scale, rescale
from slipstream.research.noise import NOISES, Noise
from slipstream.research.pods import (
    BLOCK,
    WARM,
    YEAR,
    Array,
    Interval,
    Tick,
    clopper_pearson,
    mean_interval,
    plain,
    share,
)

WINDOWS = {"30 d": 60, "90 d": 180, "180 d": 360, "365 d": 730}  # blocks
FALSE_ALARMS = 0.10  # of pods that stay good, within two years
KEEP = 0.5
DECAYS = (
    (3.0, 0.0, "gaussian"),
    (6.0, 0.0, "gaussian"),
    (6.0, 0.0, "student t(3)"),
    (6.0, 0.0, "GARCH(1,1)"),
    (6.0, 2.0, "gaussian"),
    (6.0, -6.0, "gaussian"),
)


def statistics(blocks: Iterator[Array], pods: int, total: int, tick: Tick) -> dict[str, Array]:
    """Path of every rule's statistic after a record of a year, high when it smells decay: (blocks, pods) each."""
    scale = new_scale(0.2, pods)
    sums, squares, zs = (np.zeros((total + 1, pods)) for _ in range(3))
    for i in range(total):
        block = next(blocks)
        zs[i + 1] = block.sum(axis=0) / (deviation(scale) * math.sqrt(BLOCK))
        sums[i + 1] = sums[i] + block.sum(axis=0)
        squares[i + 1] = squares[i] + (block**2).sum(axis=0)
        for row in block:
            scale = rescale(scale, row)
        tick()
    shown = zs[WARM + 1 : YEAR + 1].mean(axis=0) - 1.0 / math.sqrt(YEAR - WARM)
    reference = KEEP * np.maximum(shown, 0.0)
    rules = {"e-detector": np.empty((total - YEAR, pods)), "CUSUM": np.empty((total - YEAR, pods))}
    detector, cusum = np.full((pods, len(BETS)), -1e9), np.zeros(pods)
    for i in range(YEAR, total):
        detector = detect(detector, log_factors(reference - zs[i + 1]))
        cusum = np.maximum(0.0, cusum + reference - zs[i + 1])
        rules["e-detector"][i - YEAR] = log_mean(detector)
        rules["CUSUM"][i - YEAR] = cusum
    for name, window in WINDOWS.items():
        hours = window * BLOCK
        mean = (sums[YEAR + 1 :] - sums[YEAR + 1 - window : -window]) / hours
        spread = (squares[YEAR + 1 :] - squares[YEAR + 1 - window : -window]) / hours - mean**2
        rules[f"rolling {name}"] = -mean / np.sqrt(np.maximum(spread, 1e-18)) * math.sqrt(HOURS_A_YEAR)
    return rules


class Delay(NamedTuple):
    """One rule: threshold, false alarms on pods that calibrated nothing, days from decay to alarm (3 years at most)."""

    rule: str
    threshold: float
    false_alarms: Interval
    median_days: float
    mean_days: float
    caught: float
    ours_sooner_by: Interval


class Decay(NamedTuple):
    """One case of decay: Sharpe ratios before and after, noise, pods compared, and every rule."""

    before: float
    after: float
    noise: str
    pods: int
    delays: tuple[Delay, ...]


def decay(
    before: float, after: float, name: str, rng: np.random.Generator, pods: int, tick: Tick, chunk: int = 1_000
) -> Decay:
    """Calibrate all rules on good pods, then compare their delays on pods that decay after two good years."""
    noise = NOISES[name]
    good = [
        {rule: path.max(axis=0) for rule, path in found.items()}
        for found in _chunks(noise, lambda _: before, 3 * YEAR, rng, pods, chunk, tick)
    ]
    peaks = {rule: np.concatenate([part[rule] for part in good]) for rule in good[0]}
    half = pods // 2
    bounds = {rule: float(np.quantile(peak[:half], 1.0 - FALSE_ALARMS)) for rule, peak in peaks.items()}
    early: dict[str, list[npt.NDArray[np.bool_]]] = {rule: [] for rule in peaks}
    waits: dict[str, list[Array]] = {rule: [] for rule in peaks}
    change = 2 * YEAR
    for found in _chunks(noise, lambda i: before if i < change else after, 5 * YEAR, rng, pods, chunk, tick):
        for rule, path in found.items():
            over = path >= bounds[rule]
            early[rule].append(np.any(over[:YEAR], axis=0))
            late = over[YEAR:]
            waits[rule].append(np.where(late.any(axis=0), late.argmax(axis=0) + 1.0, late.shape[0]) * BLOCK / 24.0)
    clean = ~np.logical_or.reduce([np.concatenate(parts) for parts in early.values()])
    days = {rule: np.concatenate(parts)[clean] for rule, parts in waits.items()}
    longest = 3 * YEAR * BLOCK / 24.0
    delays = tuple(
        Delay(
            rule,
            bounds[rule],
            clopper_pearson(int((peaks[rule][half:] >= bounds[rule]).sum()), pods - half),
            float(np.median(days[rule])),
            float(days[rule].mean()),
            float((days[rule] < longest).mean()),
            mean_interval(days[rule] - days["e-detector"]),
        )
        for rule in peaks
    )
    return Decay(before, after, name, int(clean.sum()), delays)


def _chunks(
    noise: Noise,
    sharpe: Callable[[int], float],
    total: int,
    rng: np.random.Generator,
    pods: int,
    chunk: int,
    tick: Tick,
) -> Iterator[dict[str, Array]]:
    for start in range(0, pods, chunk):
        size = min(chunk, pods - start)
        yield statistics(plain(noise(rng, size), sharpe, size), size, total, tick)


def decay_lines(rows: Sequence[Decay]) -> list[str]:
    """Table of part 3."""
    lines = [
        "",
        "| Sharpe | noise | rule | false alarms | median days | mean days | caught | e-detector sooner by (days) |",
        "|--" * 8 + "|",
    ]
    for row in rows:
        for one in row.delays:
            by = one.ours_sooner_by
            gap = "" if one.rule == "e-detector" else f"{by.value:+.1f} [{by.low:+.1f}, {by.high:+.1f}]"
            lines.append(
                f"| {row.before:g} to {row.after:g} | {row.noise} | {one.rule} | {share(one.false_alarms)} "
                f"| {one.median_days:.0f} | {one.mean_days:.0f} | {one.caught:.1%} | {gap} |"
            )
    return lines
