"""Fifty pods on one account: a cycle takes well under a second, and twice the pods do not take four times as long."""

from __future__ import annotations

import time
from decimal import Decimal

from slipstream.execution.ledger import Ledger
from slipstream.federation.auditor.auditor import Auditor
from slipstream.federation.auditor.limits import SECOND, AuditLimits
from slipstream.federation.auditor.memory import Memory
from slipstream.federation.auditor.observe import AccountView, Observation, OpenOrder
from slipstream.federation.auditor.roster import PodSpec, Roster
from slipstream.model.breaks import Break
from slipstream.model.cloid import Cloid, pod_id
from slipstream.model.events import Fill
from slipstream.model.instrument import Side
from slipstream.model.mandate import TradingState
from slipstream.model.messages import Beat, OrderLine
from tests.federation.auditor.reporting import honest_report

ACCOUNT = "0x" + "a" * 40
COINS = [f"C{number}" for number in range(24)]
PX = {coin: Decimal(100) for coin in COINS}
START = 1_000 * SECOND


def median_cycle(count: int, cycles: int = 20) -> float:
    """Seconds of the median cycle with so many pods, each with 24 coins, four orders and two new fills a cycle."""
    slugs = [f"pod{number}" for number in range(count)]
    auditor = Auditor(Roster(tuple(PodSpec(slug, ACCOUNT) for slug in slugs)), AuditLimits(), tuple(slugs))
    ledgers = {slug: Ledger() for slug in slugs}
    for ledger in ledgers.values():
        ledger.open(START - 1, ())
    memory, took, tid = Memory(), [], 0
    held = dict.fromkeys(COINS, Decimal(0))
    orders = tuple(
        OpenOrder(
            str(Cloid(pod_id(slug), 1, 10_000 + i)),
            1 + number * 4 + i,
            COINS[i],
            Side.BUY,
            Decimal(90),
            Decimal(1),
            START - 5 * SECOND,
        )
        for number, slug in enumerate(slugs)
        for i in range(4)
    )
    lines = {
        slug: [OrderLine(o.cloid, o.oid, o.coin, o.side, o.px, o.remaining) for o in orders[i * 4 : i * 4 + 4]]
        for i, slug in enumerate(slugs)
    }
    for cycle in range(cycles):
        now = START + cycle * SECOND
        fills = []
        for slug in slugs:
            for i in range(24 if cycle == 0 else 2):
                tid += 1
                coin = COINS[(cycle + i) % 24]
                cloid = str(Cloid(pod_id(slug), 1, tid))
                fill = Fill(coin, Side.BUY, Decimal(100), Decimal(1), Decimal("0.01"), tid, 10**6 + tid, now, cloid)
                fills.append(fill)
                ledgers[slug].fill(fill)
                held[coin] += 1
        heard = [
            honest_report(
                ledgers[slug],
                PX,
                lines[slug],
                None,
                pod=slug,
                account=ACCOUNT,
                run=1,
                seq=cycle + 1,
                ns=now,
                wall_ns=now,
                as_of_ns=now,
                state=TradingState.ACTIVE,
            )
            for slug in slugs
        ]
        view = AccountView(
            account=ACCOUNT,
            equity=Decimal(1),
            state_ns=now,
            positions=dict(held),
            entries={},
            orders_ns=now,
            orders=orders,
            fills_ns=now,
            fills=tuple(fills),
        )
        beats = [Beat(slug, 1, 1, cycle, now, now) for slug in slugs]
        began = time.perf_counter()
        memory, told = auditor.step(
            memory,
            Observation(ns=now, wall_ns=now, accounts=(view,), marks=PX, marks_ns=now, heard=(*heard, *beats)),
        )
        took.append(time.perf_counter() - began)
        assert not [item for item in told if isinstance(item.message, Break)]
    return sorted(took)[len(took) // 2]


def test_a_cycle_over_fifty_pods() -> None:
    ten, fifty = median_cycle(10), median_cycle(50)
    print(f"median cycle: 10 pods {ten * 1e3:.1f} ms, 50 pods {fifty * 1e3:.1f} ms")
    assert fifty < 1.0
    assert fifty < 12 * ten
