"""Random sessions of a matching engine: operations that place, cancel, cut, move and take."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.lob.batch import CANCEL, MARKET, MODIFY, OP_DTYPE, PLACE, REDUCE


def random_ops(seed: int, count: int, middle: int = 132, reach: int = 9) -> npt.NDArray[Any]:
    """Orders within ``reach`` of the middle, on both sides of it, so that many cross; times in tenths of a second."""
    rng = np.random.default_rng(seed)
    ops = np.zeros(count, OP_DTYPE)
    ops["kind"] = rng.choice([PLACE, MARKET, CANCEL, REDUCE, MODIFY], count, p=[0.55, 0.06, 0.25, 0.08, 0.06])
    ops["kind"][0] = PLACE
    ops["side"] = rng.choice([1, -1], count)
    ops["tick"] = middle + rng.integers(-reach, reach + 1, count)
    ops["lots"] = rng.integers(1, 10, count)
    ops["ns"] = np.arange(count) * 100_000_000
    ops["tag"] = np.arange(count) + 1
    placed = np.flatnonzero(ops["kind"] == PLACE)
    acts = ops["kind"] >= CANCEL
    before = np.searchsorted(placed, np.flatnonzero(acts))
    ops["tag"][acts] = placed[np.maximum(0, before - 1 - rng.integers(0, 12, acts.sum()))]
    return ops
