"""The rows of a series: one a time, and beside it what it was before it was revised."""

from __future__ import annotations

from typing import Any

import msgspec

from slipstream.data.streams import DAY, WRITTEN, LakeError, Stream, date_of


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """What an append did with its rows."""

    new: int = 0
    same: int = 0
    revised: int = 0

    def __add__(self, other: Appended) -> Appended:
        return Appended(new=self.new + other.new, same=self.same + other.same, revised=self.revised + other.revised)


def checked(rows: Any, stream: Stream, what: str) -> Any:
    """The stream's columns of a frame, equal rows once. Raises LakeError: a column or a time that cannot be kept."""
    import numpy as np
    import pandas as pd

    absent = [name for name in stream.columns if name not in rows.columns]
    if absent:
        raise LakeError(f"{what}: no column {', '.join(absent)}; it has {', '.join(map(str, rows.columns))}")
    rows = rows[list(stream.columns)]
    for name in stream.integers:
        if not pd.api.types.is_integer_dtype(rows[name]):
            raise LakeError(f"{what}: {name} is not a column of whole ns but {rows[name].dtype}")
    numbers = {name: rows[name].astype(np.float64) for name in stream.numbers}
    rows = rows.assign(**numbers).drop_duplicates(ignore_index=True)
    twice = rows[stream.time].duplicated()
    if twice.any():
        raise LakeError(
            f"{what}: {int(twice.sum())} times come twice with different values, the first at {stream.time} "
            f"{rows[stream.time][twice].iloc[0]}; run the rows through quality first"
        )
    return rows


def dates_of(times: Any, stream: Stream) -> Any:
    """The ``date=`` of every time of a column."""
    days = times // DAY
    return days.map({day: date_of(day * DAY, stream.period) for day in days.unique().tolist()})


def merged(held: Any, rows: Any, stream: Stream, now_ns: int) -> tuple[Any, Appended]:
    """What a file holds after rows came (None: as before), in the order of time and writing, and what came of them.

    ``held`` may be None. A row with the values that are the newest of its time is the same; one with others is kept
    beside them, as written now.
    """
    import pandas as pd

    rows = rows.assign(**{WRITTEN: now_ns})
    if held is None:
        return rows.sort_values(stream.time), Appended(new=len(rows))
    newest = held.sort_values([stream.time, WRITTEN]).drop_duplicates(stream.time, keep="last")
    both = rows[[stream.time]].merge(newest, on=stream.time, how="left", indicator=True)
    there = (both["_merge"] == "both").to_numpy()
    equal = there.copy()
    for name in stream.columns:
        ours, theirs = rows[name].to_numpy(), both[name].to_numpy()
        equal &= (ours == theirs) | ((ours != ours) & (theirs != theirs))
    same, revised = int(equal.sum()), int((there & ~equal).sum())
    rows = rows[~equal]
    done = Appended(new=len(rows) - revised, same=same, revised=revised)
    if rows.empty:
        return None, done
    whole = pd.concat([held, rows], ignore_index=True)
    return whole.sort_values([stream.time, WRITTEN], kind="stable"), done
