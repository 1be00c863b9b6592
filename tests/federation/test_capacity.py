"""The slippage surface: what it recovers, what it refuses to promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.federation.capacity import HALF_LIFE_NS, Fit, Sample, learn, surface, walk

NOW = 10**18


def test_the_law_is_recovered_from_noisy_fills() -> None:
    rng = np.random.default_rng(1)
    sizes = np.exp(rng.uniform(np.log(500), np.log(500_000), 400))
    cost = 1.5 + 0.04 * np.sqrt(sizes) + rng.normal(0, 3.0, 400)
    fit = learn(Fit(), NOW, [Sample("BTC", float(q), float(c), True) for q, c in zip(sizes, cost, strict=True)])
    law = surface(fit)
    assert law is not None
    assert law.low < 0.04 < law.high
    assert law.slope == pytest.approx(0.04, rel=0.1)
    assert law.spread_bp == pytest.approx(1.5, abs=1.0)
    low, high = law.interval_bp(100_000)
    assert low < law.slippage_bp(100_000) < high


def test_the_cap_costs_what_is_accepted_at_the_careful_slope() -> None:
    samples = [Sample("X", q, 2.0 + 0.1 * math.sqrt(q), True) for q in (1e3, 1e4, 1e5)]
    law = surface(learn(Fit(), NOW, samples))
    assert law is not None
    assert law.cap(25.0) == pytest.approx((23.0 / 0.1) ** 2, rel=1e-6)
    assert law.cap(2.0) == pytest.approx(0.0, abs=1e-6)
    assert law.cap(1.0) == 0.0


def test_a_book_is_walked_on_its_dearer_side() -> None:
    bids = ((99.0, 1000.0),)
    asks = ((101.0, 5.0), (103.0, 1000.0))
    found = walk("X", bids, asks)
    assert found[0].notional == 1_000.0
    assert found[0].slippage_bp == pytest.approx(100 * (505 * 1 + 495 * 3) / 1000, rel=1e-9)
    assert found[-1].notional == pytest.approx(99_000.0)  # what the thinner side shows, and no more
    assert walk("X", (), asks) == ()
    assert walk("X", ((102.0, 1.0),), asks) == ()  # crossed


def test_little_evidence_is_no_surface() -> None:
    one = walk("X", ((99.9, 100.0),), ((100.1, 100.0),))
    assert surface(Fit()) is None
    assert surface(learn(Fit(), NOW, one)) is None
    fit = Fit()
    for i in range(8):
        fit = learn(fit, NOW + i, one)
    assert surface(fit) is not None


def test_old_sights_fade() -> None:
    old = learn(Fit(), NOW, [Sample("X", 1e4, 50.0, True)] * 10)
    both = learn(old, NOW + HALF_LIFE_NS, [Sample("X", 1e4, 10.0, True)] * 10)
    assert both.w == pytest.approx(45.0)
    law = surface(both)
    assert law is not None
    assert law.slippage_bp(1e4) == pytest.approx((50 * 0.5 + 10) / 1.5, rel=1e-6)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.floats(-1e3, 1e7), st.floats(-500, 500)), max_size=30), st.floats(0, 100))
def test_no_samples_make_nonsense(samples: list[tuple[float, float]], bound: float) -> None:
    law = surface(learn(Fit(), NOW, [Sample("X", q, c, True) for q, c in samples]))
    if law is None:
        return
    cap = law.cap(bound)
    assert cap >= 0.0 and not math.isnan(cap)
    assert law.slope >= 0.0 and law.low <= law.slope <= law.high
    assert law.cap(bound + 1.0) >= cap
    if 0.0 < cap < 1e15:
        assert law.interval_bp(cap)[1] <= bound + 1e-6 * max(1.0, bound)
