"""From findings to halts: what lasts rises, what is latched stays, what is over is resumed."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import msgspec
import pytest

from slipstream.federation.auditor.auditor import Auditor, Told, standing_orders
from slipstream.federation.auditor.case import Finding
from slipstream.federation.auditor.escalate import LEVELS, MOST, follow, level_of, merge, resolve, wanted
from slipstream.federation.auditor.limits import SECOND, AuditLimits
from slipstream.federation.auditor.memory import Tracked
from slipstream.federation.auditor.observe import Addressed, Observation, Resolve
from slipstream.federation.auditor.roster import PodSpec, Roster
from slipstream.model.breaks import Break, BreakKind, Level, break_id
from slipstream.model.mandate import Halt, Resume, TradingState
from slipstream.model.messages import Alert, AuditReport, Flatten, PodReport
from tests.federation.auditor.reporting import totalled
from tests.federation.auditor.street import Street

LIMITS = AuditLimits()
NONE: frozenset[str] = frozenset()


def finding(kind: BreakKind = BreakKind.FEES, **more: object) -> Finding:
    fields = {"pod": "brawler", "subject": "BTC", "size": Decimal(1), "unit": "USD", "evidence": ("seen",)} | more
    return Finding(kind=kind, **fields)  # type: ignore[arg-type]


def looks(
    *found: Finding | None, step_ns: int = SECOND // 2, blind: frozenset[str] = NONE
) -> tuple[dict[str, Tracked], list[tuple[int, Break]]]:
    tracked: dict[str, Tracked] = {}
    told = []
    for number, item in enumerate(found):
        ns = 100 * SECOND + number * step_ns
        tracked, changed = follow(tracked, merge([item] if item is not None else []), blind, ns, LIMITS)
        told += [(number, one) for one in changed]
    return tracked, told


def test_every_kind_has_a_highest_level() -> None:
    assert MOST.keys() == set(BreakKind)


def test_a_difference_must_last() -> None:
    item = finding()
    _, told = looks(item, item, None, item, item, None)
    assert told == []
    _, told = looks(item, item, item)
    assert [number for number, _ in told] == [2]


def test_what_the_venue_alone_shows_is_a_break_at_once() -> None:
    _, told = looks(finding(BreakKind.CAP_EXCEEDED, proven=True, latched=True, level=Level.REDUCING))
    assert told[0][1].level is Level.REDUCING


def test_it_clears_by_itself_after_four_looks_without_it() -> None:
    item = finding()
    tracked, told = looks(item, item, item, None, None, None, None)
    assert not tracked
    assert [(number, one.is_open) for number, one in told] == [(2, True), (6, False)]
    assert told[-1][1].resolved_by == "the accounts agree again"


def test_what_is_latched_stays_until_an_operator_says_why() -> None:
    item = finding(BreakKind.FILL_FORGED, latched=True, level=Level.HALTED)
    tracked, _ = looks(*[item] * 3, *[None] * 50)
    (key,) = tracked
    for reason in ("", "  "):
        same, closed, refused = resolve(tracked, [Resolve(key, "ann", reason)], 7)
        assert (same, closed) == (tracked, ())
        assert "why" in refused[0]
    _, _, refused = resolve(tracked, [Resolve("fees/nobody", "ann", "because")], 7)
    assert key in refused[0]
    left, closed, refused = resolve(tracked, [Resolve(key, "ann", "the venue restated it")], 7)
    assert (left, refused) == ({}, ())
    assert (closed[0].resolved_ns, closed[0].resolved_by) == (7, "ann: the venue restated it")


def test_a_pod_that_cannot_be_compared_is_not_cleared() -> None:
    item = finding()
    tracked, told = looks(item, item, item, *[None] * 20, blind=frozenset({"brawler"}))
    assert len(told) == 1
    assert tracked


@pytest.mark.parametrize("kind", list(BreakKind))
def test_levels_rise_with_age_and_never_beyond_the_most(kind: BreakKind) -> None:
    seen = [LEVELS.index(level_of(finding(kind), i * LIMITS.escalate_ns, LIMITS)) for i in range(6)]
    assert seen == sorted(seen)
    assert LEVELS[seen[-1]] is MOST[kind]
    assert seen[0] == 0


def test_a_big_difference_begins_higher() -> None:
    assert level_of(finding(BreakKind.POSITION, usd=LIMITS.big_usd), 0, LIMITS) is Level.REDUCING
    assert level_of(finding(BreakKind.STAGE, usd=LIMITS.big_usd), 0, LIMITS) is Level.WARN


def test_one_difference_told_by_two_checks_is_one_break() -> None:
    merged = merge([finding(usd=Decimal(1), evidence=("a",)), finding(usd=Decimal(2), evidence=("b",), latched=True)])
    (item,) = merged.values()
    assert (item.usd, item.latched, item.evidence) == (Decimal(2), True, ("b", "a"))


def test_growth_by_half_is_told_and_less_is_not() -> None:
    sizes = (10, 10, 10, 11, 12, 14, 15, 16, 23)
    _, told = looks(*[finding(size=Decimal(size)) for size in sizes])
    assert [int(one.size) for _, one in told] == [10, 15, 23]


def test_the_funds_own_breaks_stop_everybody() -> None:
    item = finding(BreakKind.FUND_POSITION, pod="", usd=LIMITS.big_usd)
    tracked, _ = looks(item, item, item)
    assert wanted(tracked, "all")["all"][0] is Level.REDUCING


def forged(report: PodReport) -> PodReport:
    """With three fills too many in BTC, if it is brawler's."""
    lines = tuple(msgspec.structs.replace(x, fills=x.fills + 3 * (x.coin == "BTC")) for x in report.lines)
    return totalled(msgspec.structs.replace(report, lines=lines)) if report.pod == "brawler" else report


def test_a_fund_may_gain_and_lose_pods_while_its_auditor_remembers() -> None:
    street = Street(Random(4), speed=1.0, busy=0.5)
    street.lie = forged
    for _ in range(20):
        street.cycle()
    assert street.memory.halted == {"brawler": Level.HALTED}
    both = tuple(street.auditor.roster.pods.values())
    other = PodSpec("newcomer", "0x" + "b" * 40)
    for specs in ((*both, other), (both[1],), (both[0], other), both):
        street.auditor = Auditor(Roster(specs), street.limits, ())
        street.memory, told = street.auditor.step(street.memory, Observation(ns=street.memory.ns + SECOND, wall_ns=1))
        (report,) = [item.message for item in told if isinstance(item.message, AuditReport)]
        assert [pod.pod for pod in report.pods] == [spec.slug for spec in specs]
    assert street.memory.halted == {"brawler": Level.HALTED}, "a break that is latched outlives a pod's absence"


def test_a_halt_outranks_every_resume_that_was_heard() -> None:
    street = Street(Random(3), speed=1.0, busy=0.5)
    for _ in range(10):
        street.cycle()
    ahead = street.ns + 3600 * SECOND  # of an operator whose clock is ahead, or who saw a larger number
    street.bus.insert(0, (street.ns, 0, Addressed("all", Resume(ahead, "operator", "all is well"))))
    street.lie = forged
    told = [item.message for _ in range(20) for item in street.cycle()]
    halts = [message for message in told if isinstance(message, Halt)]
    assert halts and all(halt.generation > ahead for halt in halts), "else the pods would take them for cleared"


def test_an_order_to_flatten_stands_as_long_as_its_level() -> None:
    street = Street(Random(3), speed=1.0, busy=0.5)
    street.lie = forged
    (order,) = [x.message for _ in range(70) for x in street.cycle() if isinstance(x.message, Flatten)]
    # a breaker that starts anew has not heard what was said before: it is told again, in the same words
    assert standing_orders(street.memory) == (Told("brawler", order),)
    street.lie = None
    for key in street.memory.tracked:
        street.bus.insert(0, (street.ns, 0, Resolve(key, "ann", "restated")))
    for _ in range(14):
        street.cycle()
    assert standing_orders(street.memory) == ()


def test_a_forger_is_halted_then_flattened_and_freed_when_resolved() -> None:
    street = Street(Random(3), busy=0.9)
    for _ in range(20):
        street.cycle()
    street.busy = 0.0
    street.lie = forged
    told = [item for _ in range(60) for item in street.cycle()]
    halts = [item.message for item in told if isinstance(item.message, Halt)]
    assert [halt.state for halt in halts] == [TradingState.HALTED, TradingState.HALTED]
    assert "fill_forged" in halts[0].why
    assert "operator" in halts[0].clears
    assert halts[0].who == "auditor"
    assert [item.message.pod for item in told if isinstance(item.message, Flatten)] == ["brawler"]
    assert any(isinstance(item.message, Alert) and item.message.level == "critical" for item in told)
    assert all(key.split("/")[1] == "brawler" for key in street.memory.tracked)
    street.lie = None
    open_breaks = [key for key, item in street.memory.tracked.items() if item.latched]
    assert break_id(BreakKind.FILL_FORGED, "brawler", "BTC") in open_breaks
    for key in open_breaks:
        street.count += 1
        street.bus.insert(0, (street.ns, street.count, Resolve(key, "ann", "restated")))
    after = [item for _ in range(14) for item in street.cycle()]
    resumes = [item.message for item in after if isinstance(item.message, Resume)]
    assert resumes
    assert all(r.whose == "auditor" and r.generation > halts[-1].generation for r in resumes)
    assert street.memory.halted == {}


def test_what_moves_no_money_never_stops_a_pod() -> None:
    limits = AuditLimits()
    finding = Finding(
        kind=BreakKind.ENTRY,
        pod="brawler",
        subject="SOL",
        size=Decimal(8),
        unit="USD",
        usd=Decimal(10**6),
        evidence=("x",),
    )
    assert level_of(finding, 100 * limits.escalate_ns, limits) is Level.WARN
    assert level_of(msgspec.structs.replace(finding, kind=BreakKind.PNL), 0, limits) is Level.REDUCING
