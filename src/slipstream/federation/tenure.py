"""What the fund's records mean for the lives of its pods: closed hours and conduct, told to the lifecycle."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from slipstream.federation import lifecycle
from slipstream.federation.evidence import HOUR, Record
from slipstream.federation.forecast import ANCHORS, VolState
from slipstream.federation.life import Admit, Conduct, HourSeen, Input, LifecycleState, PodLife, Rules
from slipstream.federation.mandate import PodTerms
from slipstream.model.messages import Decision, StageChange

Told = StageChange | Decision


class Standing(msgspec.Struct, frozen=True):
    """How a pod stands: capital that its coins bear over what it has (None: unknown), ids of breaks that halt it.

    ``shortfall_bp``: of its recent parent orders; None: too few to say.
    """

    room: float | None = None
    halted: tuple[str, ...] = ()
    shortfall_bp: float | None = None


def anchor_moves(before: VolState, after: VolState) -> tuple[float, ...]:
    """Log returns of `ANCHORS` since the last full hour; 0 for one that was not priced."""
    moves = []
    for coin in ANCHORS:
        old, new = before.coins.get(coin), after.coins.get(coin)
        moves.append(math.log(new.mark / old.mark) if old is not None and new is not None else 0.0)
    return tuple(moves)


def closed_hours(
    pod: str, old: Record | None, new: Record, moves: tuple[float, ...], fills: int
) -> tuple[HourSeen, ...]:
    """The hours that a record gained. Of several, the last carries the whole move and all fills, as its return does."""
    end = new.first_hour + len(new.returns)
    known = old.first_hour + len(old.returns) if old is not None and old.returns else 0
    first = max(new.first_hour, known)
    found = []
    for hour in range(first, end):
        ret = new.returns[hour - new.first_hour]
        btc, eth = moves if hour == end - 1 else (0.0, 0.0)
        found.append(HourSeen(pod, (hour + 1) * HOUR, ret, btc, eth, fills if hour == end - 1 else 0))
    return tuple(found)


def drawdown(returns: Sequence[float]) -> float:
    """How far the compounded returns stand below their highest point, a fraction."""
    wealth = peak = 1.0
    for ret in returns:
        wealth *= max(0.0, 1.0 + ret)
        peak = max(peak, wealth)
    return 1.0 - wealth / peak


def _since(record: Record, life: PodLife | None) -> tuple[float, ...]:
    """Returns of the whole hours since drawdowns count."""
    first = life.falls_ns // HOUR + 1 if life is not None and life.falls_ns else 0
    return record.returns[max(0, first - record.first_hour) :]


def begun(rules: Rules, pods: Sequence[PodTerms], state: LifecycleState | None) -> LifecycleState:
    """The lives as known, under the rules of now; a fund of more pods than planned plans for those it has."""
    if len(pods) > rules.planned_pods:
        rules = msgspec.structs.replace(rules, planned_pods=len(pods))
    return LifecycleState(rules) if state is None else msgspec.structs.replace(state, rules=rules)


def lived(
    state: LifecycleState,
    pods: Sequence[PodTerms],
    ns: int,
    hours: Mapping[str, tuple[HourSeen, ...]],
    records: Mapping[str, Record],
    standings: Mapping[str, Standing],
    max_drawdown: float,
) -> tuple[LifecycleState, tuple[Told, ...]]:
    """The lives after a look: pods that are new are admitted, then their hours and their conduct are told."""
    inputs: list[Input] = []
    for pod in pods:
        if pod.pod not in state.pods:
            inputs.append(Admit(pod.pod, pod.stage, ns))
        inputs += hours.get(pod.pod, ())
        record, standing = records.get(pod.pod), standings.get(pod.pod, Standing())
        fallen = drawdown(_since(record, state.pods.get(pod.pod))) if record is not None else 0.0
        inputs.append(Conduct(pod.pod, ns, fallen, max_drawdown, standing.shortfall_bp, standing.room, standing.halted))
    return told(state, inputs)


def told(state: LifecycleState, inputs: Iterable[Input]) -> tuple[LifecycleState, tuple[Told, ...]]:
    """The lives after several inputs, and everything that followed. Raises ValueError as `lifecycle.step` does."""
    outputs: list[Told] = []
    for one in inputs:
        state, said = lifecycle.step(state, one)
        outputs += said
    return state, tuple(outputs)
