"""One matter once, so many a minute, and one line for what was held back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.model.messages import Alert
from slipstream.runtime.throttle import REMEMBERED, Throttle, level_of


def alert(key: str, level: str = "warn") -> Alert:
    return Alert(key, level, f"about {key}", "body", 0)


def test_one_matter_is_told_once_again_when_worse_and_again_after_a_while() -> None:
    throttle = Throttle(60.0, repeat=100.0)
    assert throttle.take(alert("a"), 0.0)
    assert throttle.take(alert("a"), 1.0) is None
    assert throttle.take(alert("a", "error"), 2.0)
    assert throttle.take(alert("a", "warn"), 3.0) is None
    assert throttle.take(alert("b"), 3.0)
    again = throttle.take(alert("a", "warn"), 200.0)
    assert again is not None and "(1 more since it was last told)" in again.body
    assert throttle.counted == 2


def test_what_the_rate_holds_back_is_summed_up_once_and_its_unnamed_matters_may_still_be_told() -> None:
    throttle = Throttle(2.0, repeat=1e6)
    told = [throttle.take(alert(f"k{i}"), 0.0) for i in range(14)]
    assert sum(one is not None for one in told) == 2 and throttle.summary(0.0) is None
    at = throttle.summary_at(0.0)
    assert at == pytest.approx(30.0, rel=1e-6)
    summary = throttle.summary(31.0)
    assert summary is not None
    assert summary.title == "12 alerts held back: 12 warning" and "and 2 more matters" in summary.body
    assert throttle.summary(1e5) is None
    assert throttle.take(alert("k2"), 1e5) is None, "the summary named it"
    assert throttle.take(alert("k13"), 1e5), "the summary did not name it"


def test_a_flood_of_warnings_does_not_hold_back_what_is_critical() -> None:
    throttle = Throttle(3.0)
    for number in range(100):
        throttle.take(alert(f"w{number}"), 0.0)
    assert throttle.take(alert("dead", "critical"), 0.0)


def test_a_level_that_nobody_knows_is_an_error() -> None:
    assert [level_of(word) for word in ("warn", "WARNING", "critical", "odd")] == [
        "warning",
        "warning",
        "critical",
        "error",
    ]


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="per_minute"):
        Throttle(rate)


def test_what_it_keeps_in_mind_is_bounded() -> None:
    throttle = Throttle(1.0)
    for number in range(3 * REMEMBERED):
        throttle.take(alert(f"k{number}"), 0.0)
    assert len(throttle._held) <= REMEMBERED
    rich = Throttle(1e9)
    for number in range(3 * REMEMBERED):
        assert rich.take(alert(f"k{number}"), 0.0)
    assert len(rich._matters) <= REMEMBERED


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abcdefgh"), st.sampled_from(["info", "warn", "error", "critical"]), st.floats(0.0, 40.0)
    ),
    max_size=80,
)


@given(EVENTS, st.floats(1.0, 20.0))
def test_nothing_is_lost_and_the_rate_is_kept(events: list[tuple[str, str, float]], per_minute: float) -> None:
    throttle = Throttle(per_minute, repeat=1e9)
    now, notes, spoken = 0.0, 0, ""
    for key, level, pause in events:
        now += pause
        for note in (throttle.take(alert(key, level), now), throttle.summary(now)):
            if note is not None:
                notes += 1
                spoken += f"{note.title}\n{note.body}\n"
    # four levels' full buckets, and what they gained
    assert notes <= 4 * (per_minute + now * per_minute / 60.0) + 1
    while (at := throttle.summary_at(now)) is not None:
        now = at
        note = throttle.summary(now)
        assert note is not None, "a summary comes when it was said to come"
        spoken += f"{note.title}\n{note.body}\n"
    assert all(f"about {key}\n" in spoken for key, _, _ in events), "every matter reached people"
