"""Client order ids: deterministic, reversible, recognisable by pod."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.model.cloid import Cloid, parse_cloid, pod_id, pod_prefix
from slipstream.model.errors import InvalidOrder


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1), st.integers(0, 2**16 - 1))
def test_text_and_back(pod: int, run: int, intent: int, part: int) -> None:
    cloid = Cloid(pod, run, intent, part)
    assert len(str(cloid)) == 34
    assert parse_cloid(str(cloid)) == cloid
    assert parse_cloid(str(cloid).upper().replace("0X", "0x")) == cloid


def test_the_prefix_tells_the_pod() -> None:
    assert str(Cloid(pod_id("brawler"), 1, 2, 3)).startswith(pod_prefix("brawler"))
    assert pod_prefix("brawler") != pod_prefix("gradient")


@pytest.mark.parametrize("text", ["", "0x", "0x12", "1" * 34, "0x" + "g" * 32, "0x" + "1" * 33, "0x" + "+" + "1" * 31])
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidOrder, match="32 hex digits"):
        parse_cloid(text)


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidOrder, match="slice 65536 does not fit 16 bits"):
        Cloid(0, 0, 0, 1 << 16)
