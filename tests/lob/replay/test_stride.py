"""Copying between records: what both have by name and type, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from slipstream.lob.replay.stride import copy, step

OF = np.dtype([("a", "i8"), ("b", "i4"), ("c", "i2"), ("only", "f8"), ("d", "f8"), ("other", "i4")])
TO = np.dtype([("d", "f8"), ("mine", "i8"), ("b", "i4"), ("c", "i2"), ("a", "i8"), ("other", "i8")])


@njit
def _copy_second(to: Any, of: Any) -> None:
    copy(step(to[0], 1), step(of[0], 2))


def test_shared_fields_go_over_and_nothing_else_changes() -> None:
    of = np.array([(k, k + 1, k + 2, 0.5, k + 0.25, 7) for k in (10, 20, 30)], OF)
    to = np.array([(-1.0, -2, -3, -4, -5, -6)] * 3, TO)
    _copy_second(to, of)
    assert to[1].tolist() == (30.25, -2, 31, 32, 30, -6)  # ``other`` is of another type
    assert to[0].tolist() == to[2].tolist() == (-1.0, -2, -3, -4, -5, -6)
    assert of[2].tolist() == (30, 31, 32, 0.5, 30.25, 7)
