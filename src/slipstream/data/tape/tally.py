"""What rows any tape may hold: times that do not go back, kinds, sides, ticks and lots that can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.header import KINDS
from slipstream.data.tape.scale import MAX_LOTS
from slipstream.lob.replay.rows import CLEAR, FUNDING, KIND, MORE, TRADE

Rows = npt.NDArray[np.void]


class Tally:
    """Rows that were looked at so far: how many of each kind, and the last one."""

    def __init__(self) -> None:
        self.rows = 0
        self.kinds = np.zeros(KIND + 1, np.int64)
        self.last: Any = None

    def take(self, rows: Rows) -> None:
        """Count rows. Raises TapeError for the first that no tape may hold, naming its place in the tape."""
        wrong = _wrong(rows, self.last)
        for reason, bad in wrong:
            if bad.any():
                at = int(np.argmax(bad))
                raise TapeError(f"row {self.rows + at}: {reason}: {_shown(rows[at])}")
        self.kinds += np.bincount(rows["kind"] & KIND, minlength=KIND + 1)
        self.rows += len(rows)
        self.last = rows[-1].copy()

    def by_name(self) -> dict[str, int]:
        """Rows by the names of their kinds, without those of which there are none."""
        return {name: int(self.kinds[code]) for name, code in KINDS.items() if self.kinds[code]}


def _shown(row: Any) -> str:
    return ", ".join(f"{name} {row[name]}" for name in row.dtype.names)


def _wrong(rows: Rows, last: Any) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    kind, tick, lots, side = rows["kind"] & KIND, rows["tick"], rows["lots"], rows["side"]
    level = (kind != FUNDING) & (kind != CLEAR) & (lots != 0)
    out = [
        ("a kind that is not known", ~np.isin(kind, tuple(KINDS.values())) | (rows["kind"] < 0)),
        ("a side that is neither 1 nor -1", (np.abs(side) != 1) & (kind != FUNDING)),
        ("lots below 0 or beyond what a row may hold", ((lots < 0) & (kind != FUNDING)) | (np.abs(lots) > MAX_LOTS)),
        ("a trade of no lots", (kind == TRADE) & (lots == 0)),
        ("a tick that is no price", (tick < -1) | (level & (tick < 1))),
    ]
    for name, clock in (("exch_ns", "the exchange's time"), ("local_ns", "the time of hearing")):
        before = rows[name][0] if last is None else last[name]
        out.append((f"{clock} is before that of the row above", np.diff(rows[name], prepend=before) < 0))
    first = False if last is None else bool(last["kind"] & MORE)
    inside = np.concatenate([[first], (rows["kind"][:-1] & MORE) != 0])
    before = rows["exch_ns"][0] if last is None else last["exch_ns"]
    out.append(("a message of several times", inside & (np.diff(rows["exch_ns"], prepend=before) != 0)))
    return out
