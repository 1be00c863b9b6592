"""Answers that are JSON but for a byte that is no UTF-8: what is unknown stays unknown, and nothing crashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.model.errors import ConfigError, OutcomeUnknown
from slipstream.runtime.snapshot import read_snapshot
from slipstream.venues.hyperliquid.rest import read_answer


@pytest.mark.parametrize("text", [b'{"status":"\xff","response":1}', b"\xff\xfe", b"", b"{", b"null"])
def test_an_order_whose_answer_cannot_be_read_is_neither_taken_nor_refused(text: bytes) -> None:
    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        read_answer(200, text)


def test_a_snapshot_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b'{"sigma":"\xff"}')
    with pytest.raises(ConfigError, match="move it away"):
        read_snapshot(path)
