"""Laws of sizes come back from what was drawn from them, also where most of it was only partly seen."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from slipstream.lob.flow.sizes import quantile_mean
from slipstream.simulation.market.observed import DEPTH_DTYPE, PRINT_DTYPE, QUOTE_DTYPE, Observed
from slipstream.simulation.market.size_fit import (
    Points,
    fit_sides,
    fit_sizes,
    quantile_points,
    resting_law,
    share_up_to,
)
from slipstream.simulation.market.terms import Grid


def at(points: Points, share: float) -> float:
    return float(np.interp(share, [point[0] for point in points], [point[1] for point in points]))


def lumpy(n: int, seed: int) -> np.ndarray:
    """Two in five are a venue's least order."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < 0.4, 12.0, 12.0 + rng.lognormal(6.0, 1.5, n))


def test_sizes_that_are_log_normal_are_told_from_others() -> None:
    good = fit_sizes(np.random.default_rng(2).lognormal(6.0, 1.5, 3000))
    assert good.median == pytest.approx(math.exp(6.0), rel=0.1) and good.sigma == pytest.approx(1.5, rel=0.05)
    assert good.p > 0.01 and good.distance < 0.02
    assert good.lognormal and good.size.quantiles == () and good.size.cv > 1.0
    bad = fit_sizes(lumpy(3000, 2))
    assert bad.p < 1e-6 and bad.distance > 0.1
    assert not bad.lognormal and bad.foretold[1] < 0.5 * bad.foretold[0]
    with pytest.raises(ValueError, match="all positive"):
        fit_sizes([1.0] * 19 + [0.0])


def test_quantiles_keep_lumps_the_mean_and_the_largest() -> None:
    sizes = lumpy(3000, 3)
    points = fit_sizes(sizes).quantiles
    assert at(points, 0.1) == at(points, 0.39) == 12.0 and at(points, 0.5) > 20.0
    assert quantile_mean(points) == pytest.approx(sizes.mean(), rel=0.03)
    assert points[-1][1] == pytest.approx(sizes.max())
    assert share_up_to(points, np.array([5.0, 12.0, sizes.max()])) == pytest.approx([0.0, 0.4, 1.0], abs=0.03)
    weighted = quantile_points(np.array([10.0, 100.0]), np.array([3.0, 1.0]))
    assert at(weighted, 0.2) == pytest.approx(10.0) and at(weighted, 0.99) == pytest.approx(100.0)


def test_sides_of_two_laws_are_told_apart() -> None:
    rng = np.random.default_rng(7)
    lots = np.round(rng.lognormal(6.0, 1.0, 2_000)) + 1.0
    side = np.where(rng.random(2_000) < 0.5, 1, -1)
    seen = queue(800.0, 20)

    def sides(larger: float) -> tuple[float, float | None]:
        sizes = np.where(side > 0, larger * lots, lots).astype(np.int64)
        rows = [(k * 10**9, int(size), 100, int(way)) for k, (size, way) in enumerate(zip(sizes, side, strict=True))]
        _, buys, sells = fit_sides(dataclasses.replace(seen, prints=np.array(rows, PRINT_DTYPE)))
        return buys.median, sells.median if sells is not None else None

    alike = sides(1.0)
    assert alike[0] == pytest.approx(math.exp(6.0), rel=0.1) and alike[1] is None
    apart = sides(3.0)
    assert apart[1] is not None and apart[0] == pytest.approx(3.0 * apart[1], rel=0.15)


def queue(median: float, orders: int) -> Observed:
    """Takers of all sizes meet a queue of log-normal orders without an end: a print for each that they meet."""
    rng = np.random.default_rng(5)
    prints = []
    for k in range(orders):
        left = rng.lognormal(6.0, 2.0)
        while left > 0.0:
            resting = rng.lognormal(math.log(median), 1.0)
            prints.append((k * 1_000_000_000, max(1, round(min(left, resting))), 100, 1))
            left -= resting
    return Observed(
        name="queue",
        grid=Grid(lot=1.0, tick_size=0.01),
        begin_ns=0,
        end_ns=orders * 1_000_000_000,
        quotes=np.zeros(0, QUOTE_DTYPE),
        prints=np.array(prints, PRINT_DTYPE),
        depth=np.zeros(0, DEPTH_DTYPE),
    )


def test_orders_that_were_mostly_seen_in_part_tell_their_law() -> None:
    seen = queue(800.0, 3000)
    law = resting_law(seen)
    assert law is not None and law.quote
    assert at(law.quantiles, 0.5) == pytest.approx(800.0, rel=0.12)
    assert at(law.quantiles, 0.16) == pytest.approx(800.0 / math.e, rel=0.15)
    naive = float(np.median(seen.prints["lots"]))
    assert naive < 0.75 * 800.0  # prints as they are would make orders far too small
    assert resting_law(queue(800.0, 20)) is None
