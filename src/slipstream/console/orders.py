"""What an operator asks of the fund, and how to see that it was obeyed. Pure: messages out, judgements of a FundState.

A halt or a resume outranks what was said before by its generation: the venue's time now, or one more than the highest
heard. Stages and breaks are other processes' to change: the operator asks with a Configure to ``allocator`` (value
``stage.<pod>``) or ``auditor`` (value ``resolve``), and they answer with a StageChange or a resolved Break.
"""

from __future__ import annotations

import difflib
import re

import msgspec

from slipstream.console.fund_state import OPERATOR, FundState
from slipstream.console.reading import STATES, audited, venue_ns
from slipstream.model.errors import ConfigError
from slipstream.model.mandate import Halt, Resume, Stage, TradingState
from slipstream.model.messages import Configure, Flatten, PodReport
from slipstream.model.topics import ALL

ALLOCATOR, AUDITOR = "allocator", "auditor"
CLEARS = "slipstream resume"
REFUSALS = ("refused", "resolve", "override")  # kinds of decisions that answer an order which was not carried out
_HALT_LINE = re.compile(r"^(reducing|halted) by ")


class Obedience(msgspec.Struct, frozen=True):
    """Whether a pod (or process) obeyed, and what it says of it."""

    whom: str
    obeyed: bool
    text: str


def whom(state: FundState, target: str) -> tuple[str, ...]:
    """The pods that a target means. Raises ConfigError for a pod that the fund does not have."""
    known = tuple(state.pods)
    if target == ALL:
        if not known:
            raise ConfigError("the fund has no pod that was ever heard; name one, or give --fund configs/fund.yml")
        return known
    if target in known:
        return (target,)
    near = difflib.get_close_matches(target, [*known, ALL], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"no pod is called {target!r}: the fund has {', '.join(known) or 'none that was heard'}{hint}")


def generation(state: FundState, now_ns: int) -> int:
    """A generation above every one heard; the venue's time now where that is known."""
    seen = [state.generation, *state.cleared.values(), *(p.halt.generation for p in state.halts)]
    return max(venue_ns(state, now_ns), max(seen) + 1)


def halt(state: FundState, why: str, level: TradingState, now_ns: int) -> Halt:
    """A halt of the operator. Where no venue time was heard the wall's serves: better too high than passed over."""
    number = generation(state, now_ns) if state.ns else max(now_ns, generation(state, now_ns))
    return Halt(number, level, OPERATOR, why, CLEARS, venue_ns(state, now_ns))


def resume(state: FundState, why: str, now_ns: int, whose: str = "") -> Resume:
    """Clears what was latched up to now, and nothing later. Raises ConfigError if the venue's time was never heard."""
    if not state.ns:
        raise ConfigError("no process of the fund was heard, so what to resume from is not known; start the fund first")
    return Resume(generation(state, now_ns), OPERATOR, why, venue_ns(state, now_ns), whose)


def flatten(state: FundState, target: str, why: str, now_ns: int) -> Flatten:
    """An order to the breaker; ``all`` means everybody."""
    pod = "" if target == ALL else target
    return Flatten(generation(state, now_ns), pod, OPERATOR, why, venue_ns(state, now_ns))


def override(state: FundState, pod: str, stage: Stage, why: str, now_ns: int) -> Configure:
    """Ask the allocator to put a pod into a stage."""
    values = {f"stage.{pod}": stage.value}
    return Configure(generation(state, now_ns), ALLOCATOR, values, OPERATOR, why, venue_ns(state, now_ns))


def resolve(state: FundState, break_id: str, why: str, now_ns: int) -> Configure:
    """Ask the auditor to close a break. Raises ConfigError if no such break is open."""
    if break_id not in state.breaks:
        near = difflib.get_close_matches(break_id, list(state.breaks), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"no break {break_id!r} is open; open: {', '.join(sorted(state.breaks)) or 'none'}{hint}")
    return Configure(generation(state, now_ns), AUDITOR, {"resolve": break_id}, OPERATOR, why, venue_ns(state, now_ns))


def _since(before: FundState, now: FundState, slug: str) -> PodReport | None:
    """A report that was made after we spoke: the first one to come may have crossed our words."""
    old, new = before.pods[slug].report, now.pods[slug].report
    if new is None or (old is not None and (new.run, new.seq) <= (old.run, old.seq)):
        return None
    return new


def halted(before: FundState, now: FundState, slug: str, asked: Halt) -> Obedience:
    """Whether a pod speaks of the halt, is as strict as asked, and (HALTED) has no order left."""
    report = _since(before, now, slug)
    if report is None:
        return Obedience(slug, False, "has not spoken since" + _phase(now, slug))
    heard = any(f"by {asked.who}" in line and asked.why in line for line in report.reasons)
    strict = STATES.index(report.state) >= STATES.index(asked.state)
    resting = len(report.orders) if asked.state is TradingState.HALTED else 0
    held = [line for line in report.lines if line.position]
    text = f"{report.state.value}, {_orders(len(report.orders))}, {len(held)} positions held"
    if not heard:
        text += "; it does not speak of this halt"
    return Obedience(slug, heard and strict and not resting, text)


def resumed(before: FundState, now: FundState, slug: str, asked: Resume) -> Obedience:
    """Whether the halts that the Resume clears are gone from what the pod says. Other limits may still hold it."""
    report = _since(before, now, slug)
    if report is None:
        return Obedience(slug, False, "has not spoken since" + _phase(now, slug))
    lines = [line for line in report.reasons if _HALT_LINE.match(line)]
    left = [line for line in lines if not asked.whose or f" by {asked.whose}:" in line]
    text = report.state.value + (f": {'; '.join(report.reasons)}" if report.reasons else "")
    return Obedience(slug, not left, text)


def flattened(before: FundState, now: FundState, slug: str, asked: Flatten) -> Obedience:
    """Whether the pod holds nothing and nothing of it rests, by the auditor; its own word does not settle it."""
    shown, audit = audited(now, slug), now.audit
    fresh = audit is not None and audit.ns > max(asked.ns, before.audit.ns if before.audit is not None else 0)
    if shown is not None and fresh:
        held = [f"{line.position:f} {line.coin}" for line in shown.lines if line.position]
        text = f"{', '.join(held) if held else 'flat'}, {_orders(shown.open_orders)} (audited)"
        return Obedience(slug, not held and not shown.open_orders, text)
    report = _since(before, now, slug)
    if report is None:
        return Obedience(slug, False, f"neither the {AUDITOR} nor the pod has spoken since" + _phase(now, slug))
    held = [f"{line.position:f} {line.coin}" for line in report.lines if line.position]
    text = f"{', '.join(held) if held else 'flat'}, {_orders(len(report.orders))}"
    return Obedience(slug, False, f"{text} by its own words, which no audit has confirmed since")


def overridden(before: FundState, now: FundState, slug: str, stage: Stage) -> Obedience:
    """Whether the lifecycle told a stage since, and that one."""
    old, new = before.pods[slug].stage, now.pods[slug].stage
    if new is None or (old is not None and new.version <= old.version):
        said = _refusal(before, now, ALLOCATOR)
        return Obedience(slug, False, said or f"the {ALLOCATOR} has told no stage since")
    text = f"{new.before.value} -> {new.after.value} by {new.who}: {new.why}"
    return Obedience(slug, new.after is stage, text)


def resolved(before: FundState, now: FundState, break_id: str) -> Obedience:
    """Whether an audit made since no longer has the break; one that still stands is found again, and said so."""
    old = {(b.id, b.first_ns, b.resolved_ns) for b in before.resolved}
    told = [b for b in now.resolved if b.id == break_id and (b.id, b.first_ns, b.resolved_ns) not in old]
    again, audit = now.breaks.get(break_id), now.audit
    fresh = audit is not None and (before.audit is None or audit.cycle > before.audit.cycle)
    if told and again is not None and again.first_ns > told[-1].first_ns:
        return Obedience(break_id, False, f"closed, and found again: {'; '.join(again.evidence)}")
    if again is None and fresh and audit is not None and (not told or audit.ns >= told[-1].resolved_ns):
        return Obedience(break_id, True, f"closed by {told[-1].resolved_by}" if told else "no longer open")
    return Obedience(break_id, False, _refusal(before, now, AUDITOR) or f"the {AUDITOR} has not closed it")


def _refusal(before: FundState, now: FundState, process: str) -> str:
    """What a process said since against what it was asked; empty: nothing."""
    said = [h.decision for h in now.decisions if h.process == process and h not in before.decisions]
    return next((d.text for d in reversed(said) if d.kind in REFUSALS), "")


def _orders(count: int) -> str:
    return f"{count} orders rest" if count > 1 else f"{'one' if count else 'no'} order rests"


def _phase(state: FundState, slug: str) -> str:
    phase = state.pods[slug].phase
    return f" (phase {phase})" if phase and phase != "running" else ""
