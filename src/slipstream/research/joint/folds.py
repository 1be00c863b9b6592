"""Walk-forward folds: fitted on everything before, judged on what comes next, with a gap so that none sees the other.

A row at bar t has a target that reaches ``width`` bars beyond it. Rows whose target reaches into the test (or within
``embargo`` bars of it) are purged from its training.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Fold(NamedTuple):
    """Training rows ``[0, train)`` and test rows ``[first, last)``."""

    train: int
    first: int
    last: int


def walk_forward(
    rows: int, width: int, *, count: int = 5, test_part: float = 0.6, embargo: int = 0, least: int = 50
) -> tuple[Fold, ...]:
    """``count`` expanding folds over the last ``test_part`` of the rows.

    Raises ValueError where a fold has fewer than ``least`` training rows or no test row.
    """
    if not 0.0 < test_part < 1.0 or count < 1 or width < 1 or embargo < 0:
        raise ValueError(f"test part {test_part}, {count} folds, width {width} and embargo {embargo} make no folds")
    cuts = np.linspace(rows - int(rows * test_part), rows, count + 1).astype(int)
    # the target of row t ends AT row t + width, which may be the first test row's own close
    folds = tuple(Fold(int(a) - width - embargo + 1, int(a), int(b)) for a, b in pairwise(cuts))
    if folds[0].train < least or any(fold.last <= fold.first for fold in folds):
        raise ValueError(
            f"{rows} rows leave {max(folds[0].train, 0)} to train the first of {count} folds on, after a purge of "
            f"{width} and an embargo of {embargo}: at least {least} are needed; give a longer history"
        )
    return folds
