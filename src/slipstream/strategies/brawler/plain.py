"""One layout, two carriers: a structured record that compiled code is handed, and plain Python attributes.

The pod's state is plain objects, since attributes of a numpy record cost a pod more than the arithmetic on them; a
compiled run's is a record in the run's memory. Functions that only read and write attributes take either.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import numpy as np

_HERE = Path(__file__).parent


@cache
def edition() -> int:
    """A number that changes with any source file of Brawler's, or of the grid's it computes with.

    Numba's cache notices edits of the file a function is in, not of those it calls; but what a function captures is
    part of its key.
    """
    mark = 0
    for path in sorted((*_HERE.rglob("*.py"), *(_HERE.parents[1] / "model").glob("grid.py"))):
        mark = crc32(path.read_bytes(), mark)
    return mark


def plain(layout: np.dtype[Any], **values: Any) -> Any:
    """An object with the fields of a layout, all zero but those given; fields that are layouts are such objects."""
    made = SimpleNamespace(**{name: _zero(layout[name]) for name in layout.names or ()})
    for name, value in values.items():
        if name not in (layout.names or ()):
            raise KeyError(f"{name} is not a field of {layout.names}")
        setattr(made, name, value)
    return made


def _zero(field: np.dtype[Any]) -> Any:
    if field.names:
        return plain(field)
    if field.subdtype is not None:
        inner, shape = field.subdtype
        return [_zero(inner) for _ in range(shape[0])]
    return 0.0 if field.kind == "f" else 0


def pour(state: Any, record: Any) -> None:
    """Copy a plain object into a record of the same layout."""
    for name in record.dtype.names:
        value, field = getattr(state, name), record.dtype[name]
        if field.names:
            pour(value, record[name])
        elif field.subdtype is not None and field.subdtype[0].names:
            for number, one in enumerate(value):
                pour(one, record[name][number])
        else:
            record[name] = value
