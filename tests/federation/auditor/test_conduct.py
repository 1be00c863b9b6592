"""When a fill may be held against its pod: by the time its order was placed, and only where that can be told."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from slipstream.federation.auditor.books import Books, Line
from slipstream.federation.auditor.case import Case
from slipstream.federation.auditor.checks.conduct import check_caps, check_halts, check_lease, check_left_over
from slipstream.federation.auditor.limits import SECOND, AuditLimits
from slipstream.federation.auditor.memory import Account, Granted, Pod, SeenOrder, Standing
from slipstream.federation.auditor.observe import AccountView
from slipstream.federation.auditor.reading import FillNews
from slipstream.federation.auditor.roster import PodSpec
from slipstream.model.breaks import BreakKind
from slipstream.model.cloid import Cloid, pod_id
from slipstream.model.events import Fill
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate, TradingState

D = Decimal
NOW = 1_000 * SECOND
CLOID = str(Cloid(pod_id("trend"), 1, 1, 1))
FILL = Fill("SUI", Side.BUY, D("3"), D("10"), D(0), 1, 77, NOW, cloid=CLOID)


def case(*, placed_ns: int | None, heard_since: int, rests: bool = False) -> Case:
    """A fill long after a halt and after the end of a lease."""
    order = SeenOrder(CLOID, 77, "SUI", Side.BUY, D(10), placed_ns or 0, NOW, 0 if rests else NOW)
    view = AccountView(
        account="0x",
        equity=D(1),
        state_ns=NOW,
        positions={},
        entries={},
        orders_ns=NOW,
        orders=(),
        fills_ns=NOW,
        changes_since_ns=heard_since,
    )
    lease = Mandate(1, "trend", D(1000), D(1000), issued_ns=1, expires_ns=NOW - 200 * SECOND, grace_ns=60 * SECOND)
    halt = Halt(5, TradingState.HALTED, "operator", "enough", "resume", NOW - 100 * SECOND)
    pod = Pod(mandates=(Granted(lease, 1),), halts={"operator/5": Standing(halt, NOW - 100 * SECOND)})
    return Case(
        limits=AuditLimits(),
        ns=NOW,
        spec=PodSpec("trend", "0x"),
        pod=pod,
        account=Account(books=Books("0x"), view=view, orders={77: order}),
        fills=(FillNews("trend", False, FILL, Line(), {}),),
        orders=(),
        marks=(),
        bus_since_ns=1,
        started_ns=1,
        awake_ns=1,
    )


def test_a_fill_of_an_order_that_nobody_saw_is_an_act_of_its_time() -> None:
    found = case(placed_ns=None, heard_since=1)
    assert [item.kind for item in check_halts(found)] == [BreakKind.HALT_IGNORED]
    assert [item.kind for item in check_lease(found)] == [BreakKind.LEASE_EXPIRED]


@pytest.mark.parametrize("placed_ns", [NOW - 300 * SECOND, NOW - SECOND])
def test_a_fill_of_a_known_order_is_not_judged_again(placed_ns: int) -> None:
    found = case(placed_ns=placed_ns, heard_since=1)
    assert [*check_halts(found), *check_lease(found)] == []


def test_where_nobody_listened_a_fill_proves_nothing() -> None:
    found = case(placed_ns=None, heard_since=NOW + 1)
    assert [*check_halts(found), *check_lease(found)] == []


def test_an_order_that_outlives_halt_and_grace_is_found_resting() -> None:
    found = case(placed_ns=NOW - 300 * SECOND, heard_since=1, rests=True)
    assert {(item.kind, item.subject) for item in check_left_over(found)} == {
        (BreakKind.HALT_IGNORED, "resting"),
        (BreakKind.LEASE_EXPIRED, "resting"),
    }
    alone = msgspec.structs.replace(found, pod=msgspec.structs.replace(found.pod, halts={}))
    assert [item.kind for item in check_left_over(alone)] == [BreakKind.LEASE_EXPIRED]
    assert not [*check_left_over(case(placed_ns=NOW - 300 * SECOND, heard_since=1))]


@pytest.mark.parametrize(("heard_ago", "found"), [(1, []), (60, [BreakKind.CAP_EXCEEDED] * 2)])
def test_a_mandate_that_was_sent_late_binds_once_it_is_heard(heard_ago: int, found: list[BreakKind]) -> None:
    wide = Mandate(1, "trend", D(1000), D(1000), {"SUI": D(1000)}, issued_ns=1, expires_ns=2 * NOW)
    narrow = Mandate(2, "trend", D(10), D(10), {"SUI": D(10)}, issued_ns=NOW - 90 * SECOND, expires_ns=2 * NOW)
    granted = (Granted(wide, 1), Granted(narrow, NOW - heard_ago * SECOND))
    fill = msgspec.structs.replace(FILL, ns=NOW)
    base = case(placed_ns=NOW - SECOND // 5, heard_since=1)
    grown = FillNews("trend", False, fill, Line(position=D(3)), {"SUI": D(3)})
    seen = msgspec.structs.replace(base, pod=Pod(mandates=granted), fills=(grown,))
    assert [item.kind for item in check_caps(seen)] == found
