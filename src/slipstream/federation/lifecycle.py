"""Who is promoted, demoted and retired, and why: ``step(state, input) -> (state, outputs)``, pure.

**Promotion.** One e-process a pod, over its whole life, against "its hourly return, net of fees and funding and hedged
of BTC and ETH, has no positive mean" (`core.stats.eprocess` says what exactly). It is looked at after every hour. A
pod's claim has a level a_n, fixed when it joins; it climbs the three rungs when its evidence reaches rung / a_n. All
rungs use the same process and the lowest stands at 1 / a_n, so P(a pod without alpha is ever promoted, to anything) <=
a_n (Ville), and the a_n of all pods that ever join add up to less than ``alpha``: that bounds the chance that any of
them is ever promoted falsely, whatever the order of events and whenever one looks. After a demotion or an override it
must also prove itself afresh (a further condition, so the bound stays). Gates (time, fills, cool-down, shortfall,
breaks, room) can only forbid.

**Decay.** A detector of change (Shiryaev-Roberts sum of e-processes) against "still good": earns at least half of what
it had shown, less one standard error, when it was last promoted; before any promotion, does not lose. A pod that is
still good is retired within t years with a chance of at most ``retire_alpha`` t, demoted with ``demote_alpha`` t.

**Conduct.** A break open at HALTED, a drawdown beyond the mandate's or a shortfall beyond the limit demote by one
stage; a drawdown in incubation retires. An override is obeyed at once, recorded with who and why, and spends nothing.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from slipstream.core.stats.eprocess import detect, log_factors, log_mean, spending
from slipstream.core.stats.residual import deviation, hedge, rescale
from slipstream.federation.life import (
    LADDER,
    NOTHING,
    Admit,
    Conduct,
    HourSeen,
    Input,
    LifecycleState,
    Override,
    PodLife,
    born,
)
from slipstream.model.mandate import Stage
from slipstream.model.messages import Decision, StageChange

LIFECYCLE = "lifecycle"
Output = StageChange | Decision
replace = msgspec.structs.replace


def step(state: LifecycleState, given: Input) -> tuple[LifecycleState, tuple[Output, ...]]:
    """The state after an input, and what follows from it. Raises ValueError for unknown pods and numbers not finite."""
    if isinstance(given, Admit):
        return _admit(state, given)
    if given.pod not in state.pods:
        raise ValueError(
            f"lifecycle: no pod {given.pod!r} was admitted; known: {', '.join(sorted(state.pods)) or 'none'}"
        )
    life = state.pods[given.pod]
    if isinstance(given, Override):
        return _override(state, life, given)
    if isinstance(given, HourSeen):
        if given.ns <= life.last_hour_ns:
            return state, ()
        life = _hour(life, given, state)
    else:
        if given.ns < life.conduct.ns:
            return state, ()
        life = _conduct(life, given)
    return _judge(state, life, given.ns)


def learn(life: PodLife, z: float, state: LifecycleState) -> PodLife:
    """The life after a block whose standardised residual return is ``z``: evidence and detector move on."""
    if life.blocks < state.rules.warm_blocks:
        return replace(life, blocks=life.blocks + 1, z_sum=life.z_sum + z)
    gains = log_factors(z)
    losses = log_factors(life.reference - z)
    fresh = life.fresh
    return replace(
        life,
        blocks=life.blocks + 1,
        z_sum=life.z_sum + z,
        wealth=tuple((np.asarray(life.wealth) + gains).tolist()),
        fresh=None if fresh is None else tuple((np.asarray(fresh) + gains).tolist()),
        decay=tuple(detect(life.decay, losses).tolist()),
    )


def evidence(life: PodLife) -> float:
    """Natural logarithm of the e-value against "no alpha"."""
    return float(log_mean(life.wealth))


def alarm(life: PodLife) -> float:
    """Natural logarithm of the detector of decay; `NOTHING` before the first block."""
    return float(log_mean(life.decay))


def _admit(state: LifecycleState, given: Admit) -> tuple[LifecycleState, tuple[Output, ...]]:
    if given.pod in state.pods:
        return state, ()
    rules, claim = state.rules, state.claims + 1
    level = min(spending(rules.alpha, claim, rules.planned_pods, rules.reserve), rules.alpha - state.spent)
    life = born(given.pod, given.stage, given.ns, max(level, 0.0), rules)
    told = Decision(
        "admission",
        given.pod,
        f"{given.pod} joins in {given.stage.value}",
        given.ns,
        (
            f"claim {claim} of the fund may spend {life.level:.3g} of its {rules.alpha:g} for false promotions",
            f"{state.spent:.3g} was given to earlier claims",
        ),
        after=life.level,
    )
    pods = {**state.pods, given.pod: life}
    return replace(state, pods=pods, claims=claim, spent=state.spent + life.level), (told,)


def _override(state: LifecycleState, life: PodLife, given: Override) -> tuple[LifecycleState, tuple[Output, ...]]:
    if given.who.strip() in ("", LIFECYCLE) or not given.why.strip():
        text = f"override of {given.pod} to {given.stage.value} refused: say which person, and why"
        return state, (Decision("override", given.pod, text, given.ns),)
    if given.stage is life.stage:
        text = f"{given.pod} is in {given.stage.value} already; {given.who} asked: {given.why}"
        return state, (Decision("override", given.pod, text, given.ns),)
    return _move(state, life, given.stage, given.who, f"by hand: {given.why}; no budget spent", given.ns)


def _hour(life: PodLife, given: HourSeen, state: LifecycleState) -> PodLife:
    if not all(math.isfinite(x) for x in (given.ret, given.btc, given.eth)) or given.fills < 0:
        raise ValueError(f"lifecycle: hour of {given.pod} at {given.ns}: returns must be finite, fills not negative")
    rules = state.rules
    moments, left = hedge(np.asarray(life.hedge), given.ret, given.btc, given.eth)
    residual, size = float(left), rules.block_hours
    sigma = life.block_scale if life.block_hours else float(deviation(np.asarray(life.scale)))
    life = replace(
        life,
        last_hour_ns=given.ns,
        stage_hours=life.stage_hours + 1,
        stage_fills=life.stage_fills + given.fills,
        hedge=tuple(moments.tolist()),
        scale=tuple(rescale(np.asarray(life.scale), residual).tolist()),
        block_hours=life.block_hours + 1,
        block_sum=life.block_sum + residual,
        block_scale=sigma,
    )
    if life.block_hours < size:
        return life
    z = life.block_sum / (sigma * math.sqrt(size))
    return learn(replace(life, block_hours=0, block_sum=0.0, block_scale=0.0), z, state)


def _conduct(life: PodLife, given: Conduct) -> PodLife:
    known = [x for x in (given.drawdown, given.max_drawdown, given.shortfall_bp, given.room) if x is not None]
    if not all(math.isfinite(x) for x in known):
        raise ValueError(f"lifecycle: conduct of {given.pod} at {given.ns}: numbers must be finite (unknown is None)")
    standing = tuple(b for b in life.answered if b in given.halted)
    return replace(life, conduct=given, answered=standing)


def _judge(state: LifecycleState, life: PodLife, ns: int) -> tuple[LifecycleState, tuple[Output, ...]]:
    """Retire before demote before promote; retirement ends only by hand."""
    if life.stage is Stage.RETIREMENT:
        return _keep(state, life), ()
    why = _retires(state, life, ns)
    if why:
        return _move(state, life, Stage.RETIREMENT, LIFECYCLE, why, ns)
    why, life = _demotes(state, life, ns)
    if why:
        return _move(state, life, LADDER[LADDER.index(life.stage) - 1], LIFECYCLE, why, ns)
    return _promotes(state, life, ns)


def _retires(state: LifecycleState, life: PodLife, ns: int) -> str:
    rules, conduct = state.rules, life.conduct
    bound = math.log(rules.blocks_a_year / rules.retire_alpha)
    if alarm(life) >= bound:
        return (
            f"decay: evidence {alarm(life):.1f} of {bound:.1f} (ln) that it no longer earns {_reference(life, state)}; "
            f"a pod that does is retired by mistake with a chance of at most {rules.retire_alpha:.0%} a year"
        )
    cooled = ns >= life.cool_until_ns  # else one fall would demote and retire in a breath, and no hand could undo it
    if life.stage is Stage.INCUBATION and cooled and conduct.drawdown > conduct.max_drawdown:
        return f"drawdown {conduct.drawdown:.1%} in incubation is beyond its mandate's {conduct.max_drawdown:.1%}"
    return ""


def _demotes(state: LifecycleState, life: PodLife, ns: int) -> tuple[str, PodLife]:
    rules, conduct = state.rules, life.conduct
    if life.stage is Stage.INCUBATION:
        return "", life
    new = tuple(b for b in conduct.halted if b not in life.answered)
    if new:
        return f"open break at level HALTED: {', '.join(new)}", replace(life, answered=conduct.halted)
    bound = math.log(rules.blocks_a_year / rules.demote_alpha)
    if not life.warned and alarm(life) >= bound:
        why = f"signs of decay: evidence {alarm(life):.1f} of {bound:.1f} (ln) that it no longer earns "
        return why + _reference(life, state), replace(life, warned=True)
    if ns < life.cool_until_ns:
        return "", life
    if conduct.drawdown > conduct.max_drawdown:
        return f"drawdown {conduct.drawdown:.1%} is beyond its mandate's {conduct.max_drawdown:.1%}", life
    if conduct.shortfall_bp is not None and conduct.shortfall_bp > rules.max_shortfall_bp:
        return f"shortfall {conduct.shortfall_bp:.1f} bp is beyond the limit of {rules.max_shortfall_bp:g} bp", life
    return "", life


def _promotes(state: LifecycleState, life: PodLife, ns: int) -> tuple[LifecycleState, tuple[Output, ...]]:
    rules, rung = state.rules, LADDER.index(life.stage)
    if rung == len(LADDER) - 1 or life.level <= 0.0:
        return _keep(state, life), ()
    bound = math.log(rules.rungs[rung] / life.level)
    found = evidence(life)
    if found < bound:
        return _keep(state, replace(life, held=())), ()
    after, gates = LADDER[rung + 1], _gates(state, life, ns)
    if not gates:
        mean = life.z_sum / life.blocks
        shown = max(0.0, mean - 1.0 / math.sqrt(life.blocks))
        life = replace(life, reference=rules.keep * shown)
        sharpe = mean * math.sqrt(rules.blocks_a_year)
        why = (
            f"evidence {found:.1f} of {bound:.1f} (ln) for alpha after costs, over {life.blocks} blocks of "
            f"{rules.block_hours} h; Sharpe {sharpe:.1f} a year; claim of {life.level:.3g} of alpha {rules.alpha:g}"
        )
        return _move(state, life, after, LIFECYCLE, why, ns)
    names = tuple(gates)
    if names == life.held:
        return _keep(state, life), ()
    text = f"{life.pod} has the evidence for {after.value} and is held back"
    told = Decision("promotion", life.pod, text, ns, tuple(gates.values()), before=found, after=bound)
    return _keep(state, replace(life, held=names)), (told,)


def _gates(state: LifecycleState, life: PodLife, ns: int) -> dict[str, str]:
    """What forbids a promotion for which there is evidence: a name and plain words each."""
    rules, conduct, gates = state.rules, life.conduct, dict[str, str]()
    if life.stage_hours < rules.min_hours:
        gates["hours"] = f"{life.stage_hours} of {rules.min_hours:g} hours in {life.stage.value}"
    if life.stage_fills < rules.min_fills:
        gates["fills"] = f"{life.stage_fills} of {rules.min_fills} fills in {life.stage.value}"
    if ns < life.cool_until_ns:
        gates["cool-down"] = f"cooling down for another {(life.cool_until_ns - ns) / 3.6e12:.1f} h"
    if life.fresh is not None and float(log_mean(life.fresh)) < math.log(rules.fresh):
        gates["fresh"] = f"must prove itself afresh: {log_mean(life.fresh):.1f} of {math.log(rules.fresh):.1f} (ln)"
    if conduct.halted:
        gates["break"] = f"open break at level HALTED: {', '.join(conduct.halted)}"
    if conduct.drawdown > conduct.max_drawdown:
        gates["drawdown"] = f"drawdown {conduct.drawdown:.1%} is beyond {conduct.max_drawdown:.1%}"
    if conduct.shortfall_bp is not None and conduct.shortfall_bp > rules.max_shortfall_bp:
        gates["shortfall"] = f"shortfall {conduct.shortfall_bp:.1f} bp is beyond {rules.max_shortfall_bp:g} bp"
    if conduct.room is not None and conduct.room <= 1.0:
        gates["room"] = f"its coins bear no more capital than it has ({conduct.room:.2f} times)"
    return gates


def _move(
    state: LifecycleState, life: PodLife, after: Stage, who: str, why: str, ns: int
) -> tuple[LifecycleState, tuple[Output, ...]]:
    """Into another stage. All but a promotion by evidence make the pod prove itself afresh."""
    earned = who == LIFECYCLE and _rank(after) > _rank(life.stage)
    again = earned or life.stage is Stage.RETIREMENT  # the detector starts anew; else decay goes on adding up
    none = (0.0,) * len(life.wealth)
    moved = replace(
        life,
        stage=after,
        since_ns=ns,
        cool_until_ns=ns + state.rules.cooldown_ns,
        falls_ns=life.falls_ns if earned else ns,
        stage_hours=0,
        stage_fills=0,
        fresh=life.fresh if earned else none,
        decay=(NOTHING,) * len(life.decay) if again or who != LIFECYCLE else life.decay,
        warned=False if again or who != LIFECYCLE else life.warned,
        held=(),
    )
    version = state.version + 1
    change = StageChange(version, life.pod, life.stage, after, who, why, ns)
    return _keep(replace(state, version=version), moved), (change,)


def _rank(stage: Stage) -> int:
    return LADDER.index(stage) if stage in LADDER else -1


def _reference(life: PodLife, state: LifecycleState) -> str:
    if life.reference <= 0.0:
        return "its costs"
    sharpe = life.reference * math.sqrt(state.rules.blocks_a_year)
    return f"a Sharpe ratio of {sharpe:.1f} a year, {state.rules.keep:.0%} of what it had shown"


def _keep(state: LifecycleState, life: PodLife) -> LifecycleState:
    return replace(state, pods={**state.pods, life.pod: life})
