"""The pictures' axes of time, whatever the span."""

from __future__ import annotations

import numpy as np
import pytest

from slipstream.research.report.charts import SIZES, dates

HOUR, DAY = 3_600_000, 86_400_000
START = 1_686_009_600_000  # 2023-06-06


@pytest.mark.parametrize("narrow", [False, True])
def test_every_span_has_a_step_of_its_own(narrow: bool) -> None:
    """matplotlib warns (here: an error) where none of its steps fits; then labels run into each other."""
    from matplotlib.figure import Figure

    even = np.geomspace(HOUR / 60, 12 * 365 * DAY, 14).astype(np.int64).tolist()
    # just below a coarser unit, where steps of the finer one run out
    steep = [170 * HOUR // 60, 50 * HOUR, 71 * HOUR, 85 * DAY, 92 * DAY, 24 * 30 * DAY, 25 * 31 * DAY, 35 * 31 * DAY]
    axes = Figure(figsize=SIZES["narrow" if narrow else "wide"]).subplots()
    for span in [*even, *steep]:
        x = dates(axes, [START, START + span], narrow)
        axes.set_xlim(x[0] - (x[1] - x[0]) // 20, x[1] + (x[1] - x[0]) // 20)
        low, high = axes.get_xlim()
        shown = [place for place in axes.xaxis.get_majorticklocs() if low <= place <= high]
        assert 2 <= len(shown) <= (8 if narrow else 10), span / DAY
