"""Whatever comes over the wire is a message or a named error."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.model.messages import Beat
from slipstream.model.topics import Topics
from slipstream.runtime.bus.acl import nats_subjects, rights
from slipstream.runtime.bus.envelope import BusMessageError, pack, unpack
from slipstream.runtime.bus.memory import matches

BEAT = Beat("maker", 1, 2, 3, 4, 5)


def test_a_message_comes_back_as_it_went() -> None:
    envelope = unpack(pack("maker", 9, 77, BEAT))
    assert (envelope.sender, envelope.seq, envelope.wall_ns, envelope.body) == ("maker", 9, 77, BEAT)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_an_error(data: bytes) -> None:
    with pytest.raises(BusMessageError):
        unpack(data)


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_byte_is_a_message_or_an_error(place: int, value: int) -> None:
    data = bytearray(pack("maker", 9, 77, BEAT))
    data[place % len(data)] = value
    try:
        unpack(bytes(data))
    except BusMessageError:
        return


def test_another_version_says_who_speaks_it() -> None:
    data = msgspec.msgpack.encode({"v": 2, "sender": "maker", "seq": 1, "wall_ns": 1, "body": {"type": "new"}})
    with pytest.raises(BusMessageError, match="maker speaks version 2, this release 1"):
        unpack(data)


@pytest.mark.parametrize(
    ("filter_", "topic", "takes"),
    [
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/b/d", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/+", "a/b/c", False),
        ("a/b", "a", False),
    ],
)
def test_filters(filter_: str, topic: str, takes: bool) -> None:
    assert matches(filter_, topic) is takes


def test_breaks_are_the_auditors_alone_to_tell() -> None:
    topic = Topics("test").broken("brawler")
    who = [name for name in ("operator", "auditor", "breaker", "allocator", "brawler") if told_by(name, topic)]
    assert who == ["auditor"]


def told_by(process: str, topic: str) -> bool:
    return any(matches(one, topic) for one in rights(process, "test").publish)


def test_filters_as_subjects() -> None:
    assert nats_subjects("slip/v1/+/pod/#") == ("slip.v1.*.pod", "slip.v1.*.pod.>")
