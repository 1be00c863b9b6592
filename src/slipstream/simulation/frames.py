"""Tables by name: what a user gives as arrays or pandas objects, as arrays in one order of coins and stamps.

Names, when present, must agree: nothing is reordered silently but columns of the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.covariance import FactorCovariance
from slipstream.simulation.walk_forward import moment

Array = npt.NDArray[np.float64]


def odd_ones(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """Names that only one of the two has, eight at most."""
    return sorted(set(one) ^ set(other))[:8]


def frame(name: str, table: Any) -> tuple[tuple[str, ...], npt.NDArray[np.int64], Array]:
    """(coins, stamps in ms UTC, values) of a DataFrame. Raises ValueError on doubles, disorder and non-numbers."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise ValueError(f"{name} must be a DataFrame with a row per stamp and a column per coin, is {type(table)}")
    if not len(table) or not len(table.columns):
        raise ValueError(f"{name} is empty: {table.shape}")
    index = table.index
    if isinstance(index, pd.DatetimeIndex):
        index = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
        stamps = index.as_unit("ms").asi8.astype(np.int64)
    elif pd.api.types.is_integer_dtype(index.dtype):
        stamps = index.to_numpy(dtype=np.int64)
        if stamps.min() < 10**11:
            raise ValueError(f"{name} is indexed by small whole numbers such as {stamps[0]}: give UTC stamps, or ms")
    else:
        raise ValueError(f"{name} is indexed by {index.dtype}: give UTC stamps (DatetimeIndex) or whole ms")
    steps = np.diff(stamps)
    if (steps <= 0).any():
        at = int(np.flatnonzero(steps <= 0)[0]) + 1
        fault = "double" if steps[at - 1] == 0 else "out of order"
        raise ValueError(f"{name}: stamp {moment(stamps[at])} (row {at}) is {fault}: sort the rows and drop doubles")
    names = tuple(str(column) for column in table.columns)
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise ValueError(f"{name} has columns twice: {', '.join(twice)}")
    try:
        values = table.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds something that is no number: {error}") from error
    return names, stamps, values


def same(
    table: tuple[tuple[str, ...], npt.NDArray[np.int64], Array],
    coins: tuple[str, ...],
    stamps: npt.NDArray[np.int64],
    name: str,
    model: str,
) -> Array:
    """A frame's values in the order of ``coins``, if it has the stamps and coins of another. Raises ValueError."""
    names, own, values = table
    if set(names) != set(coins):
        raise ValueError(f"{name} and {model} differ in coins: {', '.join(odd_ones(names, coins))}")
    if len(own) != len(stamps) or (own != stamps).any():
        odd = np.setxor1d(own, stamps)
        raise ValueError(f"{name} has {len(own)} stamps, {model} {len(stamps)}; first that differs: {moment(odd[0])}")
    return values[:, [names.index(coin) for coin in coins]]


def names_of(values: Any) -> tuple[str, ...]:
    """Coin names of a Series; empty for an array. Raises ValueError on names that come twice."""
    index = getattr(values, "index", None)
    if index is None or callable(index):
        return ()
    names = tuple(str(name) for name in index)
    if len(set(names)) != len(names):
        raise ValueError("alpha names a coin twice")
    return names


def values_of(values: Any) -> Array:
    """Numbers of an array or Series. Raises ValueError."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"not numbers: {error}") from error


def aligned(name: str, values: Any, coins: tuple[str, ...]) -> Array:
    """Numbers in the order of ``coins`` where both have names. Raises ValueError for names that differ."""
    own = getattr(values, "index", None)
    if own is None or callable(own) or not coins:
        return values_of(values)
    names = [str(n) for n in own]
    if set(names) != set(coins) or len(names) != len(coins):
        raise ValueError(f"{name} and alpha differ in coins: {', '.join(odd_ones(names, coins)) or 'one comes twice'}")
    return values_of(values)[[names.index(coin) for coin in coins]]


def covariance_of(S: Any, coins: tuple[str, ...]) -> Any:
    """A covariance in the order of ``coins``: FactorCovariance and arrays as they are. Raises ValueError."""
    if isinstance(S, FactorCovariance) or not hasattr(S, "columns") or not coins:
        return S if isinstance(S, FactorCovariance) else values_of(S)
    rows, columns = [str(n) for n in S.index], [str(n) for n in S.columns]
    if rows != columns or set(rows) != set(coins) or len(rows) != len(coins):
        raise ValueError(f"S must have the coins of alpha in rows and columns; differing: {odd_ones(rows, coins)}")
    order = [rows.index(coin) for coin in coins]
    return values_of(S)[np.ix_(order, order)]


def like(model: Any, values: Array) -> Any:
    """A Series where the model was one."""
    if hasattr(model, "index") and not callable(model.index):
        return type(model)(values, index=model.index)
    return values
