"""Packed text, damaged anywhere: what is read is the same, or an error that names the file; never a traceback."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from slipstream.data.tape.binance_lines import read_messages
from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.l3_lines import read_fields
from slipstream.data.tape.sourcing import Csv, header_of
from slipstream.data.tape.terms import Terms

LINES = [f'{1_725_000_000_000_000_000 + k} {{"e":"x","E":{k * 7919}}}' for k in range(60)]


def fields(path: Path) -> object:
    return list(read_fields(path, None, None))


def messages(path: Path) -> object:
    bad: list[tuple[int, str]] = []
    return [(row, ns, message.E) for row, ns, message in read_messages(path, lambda *told: bad.append(told))], bad


def table(path: Path) -> object:
    name = header_of(path)[0]
    return [values.tolist() for batch in Csv(path, {name: "string"}, Terms()).batches() for values in batch.values()]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
@pytest.mark.parametrize("read", [fields, messages, table])
def test_damage_anywhere_is_an_error_or_nothing(
    tmp_path: Path, read: Callable[[Path], object], pack: Callable[[bytes], bytes]
) -> None:
    rng = np.random.default_rng(3)
    plain, packed = tmp_path / "x.csv", tmp_path / f"x.csv.{'gz' if pack is gzip.compress else 'xz'}"
    text = "\n".join(LINES) + "\n"
    plain.write_text(text.replace('"', "") if read is fields else text)  # quotes are a CSV's own
    packed.write_bytes(pack(plain.read_bytes()))
    data, whole = packed.read_bytes(), read(plain)
    assert read(packed) == whole
    refused = 0
    for at in 1 + rng.choice(len(data) - 1, 60, replace=False):
        for broken in (data[:at], data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]):
            packed.write_bytes(broken)
            try:
                assert read(packed) == whole
            except TapeError as error:
                assert str(packed) in str(error)
                refused += 1
    assert refused > 80
