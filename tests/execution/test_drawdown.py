"""The drawdown stop: it measures by what was lent, trips once, and forgets nothing."""

from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from slipstream.execution.drawdown import DrawdownStop
from slipstream.model.mandate import Resume

D = Decimal
money = st.decimals(-10_000, 10_000, places=2)


def test_it_trips_once_at_its_share_of_the_peak() -> None:
    stop = DrawdownStop(0.1)
    assert not stop.watch(D(50), D(1_000)) and not stop.watch(D(-49), D(1_000))
    (said,) = stop.watch(D(-50), D(1_000))
    assert said.fields["lost"] == "10.00%" and stop.stopped
    assert not stop.watch(D(-500), D(1_000))


def test_profit_that_is_not_known_says_nothing() -> None:
    stop = DrawdownStop(0.1)
    before = stop.snapshot()
    assert stop.watch(None, D(1_000)) == [] and stop.snapshot() == before


def test_only_a_resume_for_everybody_clears_it() -> None:
    stop = DrawdownStop(0.1)
    assert stop.resumed(Resume(1, "operator", "nothing stands")) == []
    stop.watch(D(0), D(100))
    stop.watch(D(-20), D(100))
    assert stop.resumed(Resume(1, "auditor", "agrees", whose="auditor")) == [] and stop.stopped
    assert len(stop.resumed(Resume(2, "operator", "looked at"))) == 1 and not stop.stopped
    assert not stop.watch(D(-25), D(100))  # from a new peak


@given(money, st.lists(st.integers(1, 100_000), min_size=1, max_size=6))
def test_another_lease_alone_never_trips_it(loss: Decimal, leases: list[int]) -> None:
    stop = DrawdownStop(0.5)
    stop.watch(D(0), D(1_000_000))
    stop.watch(-abs(loss), D(1_000_000))
    assert all(not stop.watch(-abs(loss), D(capital)) for capital in leases)


@given(st.lists(money, max_size=5), money)
def test_a_snapshot_goes_on_where_it_was(path: list[Decimal], last: Decimal) -> None:
    one, other = DrawdownStop(0.3), DrawdownStop(0.3)
    for net in path:
        one.watch(net, D(5_000))
    other.restore(json.loads(json.dumps(one.snapshot())))
    assert other.watch(last, D(5_000)) == one.watch(last, D(5_000)) and other.snapshot() == one.snapshot()
