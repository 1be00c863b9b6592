"""Walk-forward: parameters are chosen on what is past, and pay on what comes next.

::

    |======== train 0 ========|gap|-- test 0 --|
    |=============== train 1 ==============|gap|-- test 1 --|
    |===================== train 2 =====================|gap|-- test 2 --|

Tests follow each other without holes. The gap keeps what a position of the training stretch still earned out of the
choice's sight of the test.
"""

from __future__ import annotations

import msgspec

from slipstream.model.errors import ConfigError

LEAST = 10  # bars of a stretch that still says something


class Fold(msgspec.Struct, frozen=True):
    """Bars ``train_from <= t < train_to`` choose; bars ``test_from <= t < test_to`` pay."""

    number: int
    train_from: int
    train_to: int
    test_from: int
    test_to: int


def walk_forward(
    bars: int, folds: int, *, first_train: float = 0.4, gap: int = 0, train: int | None = None
) -> tuple[Fold, ...]:
    """``folds`` tests of equal length over the end of ``bars``; the first trains on ``first_train`` of them.

    Training begins at the first bar, or ``train`` bars before its end. Raises ConfigError if a stretch is too short.
    """
    if folds < 1 or not 0.0 < first_train < 1.0 or gap < 0 or (train is not None and train < LEAST):
        raise ConfigError(
            f"{folds} folds, a first training of {first_train:g}, a gap of {gap} bars and trainings of {train}: give "
            f"at least one fold, a part between 0 and 1, a gap from 0 up and at least {LEAST} bars"
        )
    begin = round(bars * first_train)
    edges = [begin + round((bars - begin) * k / folds) for k in range(folds + 1)]
    out = []
    for k in range(folds):
        end = edges[k] - gap
        fold = Fold(k, 0 if train is None else max(0, end - train), end, edges[k], edges[k + 1])
        if fold.train_to - fold.train_from < LEAST or fold.test_to - fold.test_from < LEAST:
            raise ConfigError(
                f"fold {k} of {bars} bars trains on {max(0, fold.train_to - fold.train_from)} and tests on "
                f"{fold.test_to - fold.test_from}: each needs {LEAST}; give more history, fewer folds or a smaller gap"
            )
        out.append(fold)
    return tuple(out)


def everything(bars: int) -> tuple[Fold, ...]:
    """One fold that chooses and pays on the same bars: in sample, and to be called so."""
    if bars < LEAST:
        raise ConfigError(f"{bars} bars: at least {LEAST} are needed")
    return (Fold(0, 0, bars, 0, bars),)
