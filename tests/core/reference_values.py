"""The reference files of the mathematical specification, and a comparison that leaves no number of theirs unclaimed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MATH = Path(__file__).resolve().parents[2] / "../shared/reference/math"
CLOSED = 1e-9  # relative tolerance of closed forms, as the specification suggests


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every number and word of a JSON tree by its dotted path."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for name, part in pairs for k, v in leaves(part, f"{path}.{name}" if path else f"{name}").items()}
    return {path: value}


def reference(name: str) -> Any:
    """A reference file; the test is skipped where there is none."""
    if not (MATH / name).is_file():
        pytest.skip(f"the reference values are not on this machine: {MATH / name}")
    return json.loads((MATH / name).read_text())


def compare(ref: Any, found: dict[str, Any], left: Mapping[str, str], least: int, absolute: float = 1e-15) -> None:
    """``found`` must be the reference's numbers, at least ``least`` of them, and ``left`` say why each other is not.

    ``left`` has patterns of dotted paths; one that names nothing is out of date and fails as well.
    """
    wanted = leaves(ref)
    have = leaves(json.loads(json.dumps(found, default=lambda x: np.asarray(x).tolist())))
    assert set(have) <= set(wanted), f"no such reference number: {sorted(set(have) - set(wanted))[:5]}"
    for path, value in have.items():
        assert value == pytest.approx(wanted[path], rel=CLOSED, abs=absolute), path
    orphans = [path for path in wanted if path not in have and not any(fnmatch(path, p) for p in left)]
    assert orphans == []
    assert [p for p in left if not any(fnmatch(path, p) for path in wanted if path not in have)] == []
    assert len(have) >= least
