"""A FundState as plain values for scripts (``--json``), schema 1.

Within a schema number keys are only added. Amounts of money, prices and sizes are strings (exact decimals, USD unless
``unit`` says otherwise), counts and seconds are numbers. Times (``*ns``) are ns since the epoch, venue time but for
``now_ns``, the wall's. Ages and remainders (``*age_s``, ``left_s``) are wall seconds, but for a break's age, which is
venue time. ``null`` is not known, never zero. ``stale``: the figures beside it are older than 5 s or were never heard.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from slipstream.console.fund_state import FundState, Heard, Placed, PodView
from slipstream.console.reading import (
    CoinView,
    audit_age,
    audited,
    beat_age,
    coins_of,
    halts_in_force,
    halts_of,
    is_dead,
    is_stale,
    lease_left,
    open_breaks,
    problems,
    process_names,
    reasons_of,
    report_age,
    speed_of,
    stage_of,
    state_of,
    sums_of,
    venue_ns,
)
from slipstream.model.breaks import Break
from slipstream.model.mandate import Mandate
from slipstream.model.messages import AuditedPod, CoinLine, OrderLine, PodReport

SCHEMA = 1
_MONEY = ("realised", "unrealised", "fees", "funding", "net", "gross", "net_exposure", "worst_gross")
_REPORT = ("run", "seq", "ns", "as_of_ns", *_MONEY, "maker_volume", "taker_volume", "fills", "actions")
_AUDITED = ("net", "gross", "net_exposure", "open_orders", "maker_volume", "taker_volume")


def plain(value: Any) -> Any:
    """Any value of the house as JSON knows it: decimals as plain text, enums as their value, structs as mappings."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def _pick(value: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: plain(getattr(value, name)) for name in names}


def _age(age: float | None) -> float | None:
    return None if age is None else round(age, 3)


def mandate_json(state: FundState, pod: PodView, now_ns: int) -> dict[str, Any] | None:
    """A pod's lease, with the wall seconds that it has left (negative: over)."""
    mandate: Mandate | None = pod.mandate
    if mandate is None:
        return None
    obeyed = pod.report.mandate_version if pod.report is not None else None
    return {
        **plain(mandate),
        "left_s": _age(lease_left(state, pod, now_ns)),
        "obeyed_version": obeyed,
    }


def halt_json(placed: Placed) -> dict[str, Any]:
    """A halt in force."""
    out: dict[str, Any] = {"target": placed.target, **plain(placed.halt)}
    return out


def break_json(state: FundState, found: Break, now_ns: int) -> dict[str, Any]:
    """A break; ``age_s`` is in venue seconds, as its times are."""
    age_ns = found.age_ns(venue_ns(state, now_ns) or found.last_ns)
    return {**plain(found), "open": found.is_open, "age_s": round(age_ns / 1e9, 3)}


def decision_json(heard: Heard) -> dict[str, Any]:
    """A decision and the process that told it."""
    return {"process": heard.process, **plain(heard.decision)}


def _coin(view: CoinView) -> dict[str, Any]:
    def line(found: CoinLine | None) -> dict[str, Any] | None:
        return None if found is None else _pick(found, [n for n in found.__struct_fields__ if n != "coin"])

    return {"coin": view.coin, "mark": plain(view.mark), "reported": line(view.said), "audited": line(view.audited)}


def _order(order: OrderLine) -> dict[str, Any]:
    out: dict[str, Any] = plain(order)
    return out


def _reported(report: PodReport | None) -> dict[str, Any] | None:
    return None if report is None else _pick(report, _REPORT)


def _audited(found: AuditedPod | None) -> dict[str, Any] | None:
    return None if found is None else _pick(found, _AUDITED)


def pod_json(state: FundState, pod: PodView, now_ns: int) -> dict[str, Any]:
    """A pod: what it says, what the venue shows, what it was given."""
    report = pod.report
    age = report_age(pod, now_ns)
    return {
        "pod": pod.slug,
        "account": report.account if report is not None else None,
        "phase": pod.phase or None,
        "state": plain(state_of(state, pod, now_ns)),
        "reasons": list(reasons_of(state, pod)),
        "stage": plain(stage_of(pod)),
        "error": report.error if report is not None else None,
        "age_s": _age(age),
        "stale": is_stale(age),
        "beat_age_s": _age(beat_age(state, pod.slug, now_ns)),
        "mandate": mandate_json(state, pod, now_ns),
        "reported": _reported(report),
        "audited": _audited(audited(state, pod.slug)),
        "halts": [halt_json(p) for p in halts_of(state, pod.slug)],
        "acknowledged": plain(pod.ack),
        "coins": [_coin(c) for c in coins_of(state, pod)],
        "orders": [_order(o) for o in report.orders] if report is not None else [],
    }


def process_json(state: FundState, name: str, now_ns: int) -> dict[str, Any]:
    """A process by its beats."""
    view = state.processes.get(name)
    return {
        "process": name,
        "alive": view is not None and not is_dead(state, name, now_ns),
        "beat_age_s": _age(beat_age(state, name, now_ns)),
        "pid": view.beat.pid if view is not None else None,
        "run": view.beat.run if view is not None else None,
        "beats": view.beat.seq if view is not None else None,
    }


def fund_json(state: FundState, now_ns: int) -> dict[str, Any]:
    """The fund in sums. ``net`` is PnL after costs: the audited figure, or the reported one while there is no other."""
    sums, age = sums_of(state), audit_age(state, now_ns)
    shortest = [left for pod in state.pods.values() if (left := lease_left(state, pod, now_ns)) is not None]
    return {
        "equity": plain(sums.equity),
        "net": plain(sums.net),
        "net_audited": plain(sums.net_audited),
        "net_reported": plain(sums.net_reported),
        "gross": plain(sums.gross),
        "net_exposure": plain(sums.net_exposure),
        "fees": plain(sums.fees),
        "funding": plain(sums.funding),
        "fills": sums.fills,
        "orders": sums.orders,
        "beta": sums.beta,
        "audit_cycle": state.audit.cycle if state.audit is not None else None,
        "audit_took_s": state.audit.took_ns / 1e9 if state.audit is not None else None,
        "shortest_lease_s": _age(min(shortest, default=None)),
        "age_s": _age(age),
        "stale": is_stale(age),
        "unclaimed": plain(state.audit.unclaimed) if state.audit is not None else [],
    }


def to_json(state: FundState, now_ns: int) -> dict[str, Any]:
    """The whole fund as plain values; ``now_ns`` is the wall's clock. See the module for what the values mean."""
    wrong = problems(state, now_ns)
    return {
        "schema": SCHEMA,
        "realm": state.realm,
        "now_ns": now_ns,
        "venue_ns": venue_ns(state, now_ns) or None,
        "speed": round(speed_of(state), 3),
        "well": not wrong,
        "problems": list(wrong),
        "fund": fund_json(state, now_ns),
        "pods": [pod_json(state, pod, now_ns) for pod in state.pods.values()],
        "processes": [process_json(state, name, now_ns) for name in process_names(state)],
        "breaks": [break_json(state, b, now_ns) for b in open_breaks(state)],
        "resolved": [break_json(state, b, now_ns) for b in state.resolved],
        "halts": [halt_json(p) for p in halts_in_force(state)],
        "decisions": [decision_json(h) for h in state.decisions],
        "alerts": plain(state.alerts),
        "forecast": plain(state.forecast),
    }
