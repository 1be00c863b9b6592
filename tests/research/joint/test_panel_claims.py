"""The real panel in seconds: funding's claims at two H, and what a leak, a shuffle and a constant would give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from slipstream.research.joint.claims import CLAIMS, within
from slipstream.research.joint.folds import walk_forward
from slipstream.research.joint.models import Weekly, means_of, walk, weekly, weeks_of
from slipstream.research.joint.panel import Panel, load_panel
from slipstream.research.joint.resampling import r2_interval, week_draws
from slipstream.research.joint.samples import FundingSamples, SampleTerms, funding_samples
from slipstream.research.joint.study import StudyTerms

FOLDER = Path(__file__).resolve().parents[3] / "../shared/data/hyperliquid_panel"
TERMS = SampleTerms()


@pytest.fixture(scope="module")
def panel() -> Panel:
    if not FOLDER.is_dir():
        pytest.skip(f"the panel is absent: {FOLDER}")
    return load_panel(FOLDER / "hl_4h_ohlcv.parquet", FOLDER / "hl_funding_hourly.parquet")


def scores(panel: Panel, hours: int, sample: FundingSamples) -> dict[str, Weekly]:
    """As the study scores funding, without the price half."""
    terms = StudyTerms()
    folds = walk_forward(
        len(panel.stamps), panel.width(hours), count=terms.folds, test_part=terms.test_part,
        embargo=-(-terms.embargo_hours // panel.hours),
    )  # fmt: skip
    weeks = weeks_of(panel.stamps)
    forecast, means, _ = walk(sample.features, sample.paid, folds)
    known = means_of(sample.paid, folds)
    constant = np.where(np.isfinite(sample.last_rate), known[:, None], np.nan)
    return {
        "funding": weekly(sample.paid, forecast, means, weeks),
        "last_rate": weekly(sample.paid, sample.last_rate, means, weeks),
        "constant": weekly(sample.paid, constant, means, weeks),
    }


@pytest.mark.parametrize("hours", [4, 48])
def test_funding_is_known_as_far_as_was_claimed(panel: Panel, hours: int) -> None:
    claim = CLAIMS[hours]
    found = scores(panel, hours, funding_samples(panel, hours, TERMS))
    assert within(found["funding"].r2, claim.funding.low, claim.funding.high, 2)
    counts = week_draws(found["funding"].spread > 0.0, 400, np.random.default_rng(1))
    last = r2_interval(found["last_rate"], counts)
    assert last.low <= claim.last_rate <= last.high
    assert found["constant"].r2 == 0.0


def test_shuffled_hours_tell_nothing_and_hours_from_the_future_nearly_all(panel: Panel) -> None:
    """Rates change places with those of any coin and hour: the same tails, and nothing left to know."""
    some = slice(None, None, 3)  # every third coin, for speed
    panel = replace(
        panel, coins=panel.coins[some], rates=panel.rates[:, some],
        **{name: getattr(panel, name)[:, some] for name in ("returns", "volume_usd", "volume_base")},
    )  # fmt: skip
    honest = funding_samples(panel, 8, TERMS)
    mixed, known = panel.rates.copy(), np.isfinite(panel.rates)
    mixed[known] = np.random.default_rng(3).permutation(panel.rates[known])
    shuffled = scores(panel, 8, funding_samples(replace(panel, rates=mixed), 8, TERMS))
    assert abs(shuffled["funding"].r2) < 0.01
    assert shuffled["last_rate"].r2 < -1.0
    # features as they will be eight hours later: the target's own settlements are in them
    future = funding_samples(replace(panel, rates=np.roll(panel.rates, -8, axis=0)), 8, TERMS)
    peeking = scores(panel, 8, honest._replace(features=future.features))
    assert peeking["funding"].r2 > scores(panel, 8, honest)["funding"].r2 + 0.2
