"""An operator's errands: read the fund, say one thing, wait until everybody concerned has obeyed or time is up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import msgspec

from slipstream.console import orders
from slipstream.console.discovery import FundAddress
from slipstream.console.fund_state import OPERATOR, FundState
from slipstream.console.history import past_decisions, with_past
from slipstream.console.listening import Listener, listening
from slipstream.console.orders import Obedience
from slipstream.model.errors import ConfigError
from slipstream.model.mandate import Stage, TradingState
from slipstream.model.messages import Message
from slipstream.model.topics import Topics

ENOUGH_S = 2.0  # wall seconds to learn what must be known before anything is said
SETTLE_S = 0.3  # what lies retained on the bus arrives together


class Errand(msgspec.Struct, frozen=True):
    """What to say, where, and how to see that it was obeyed: ``judge(before, now)``."""

    name: str
    topic: str
    message: Message
    retain: bool
    judge: Callable[[FundState, FundState], tuple[Obedience, ...]]


Plan = Callable[[FundState, int], Errand]


class Done(msgspec.Struct, frozen=True):
    """How an errand ended. ``trouble``: why nobody can have heard it."""

    name: str
    message: Message
    answers: tuple[Obedience, ...]
    trouble: str = ""

    @property
    def is_obeyed(self) -> bool:
        """Whether everybody obeyed."""
        return bool(self.answers) and all(answer.obeyed for answer in self.answers)


def halting(target: str, why: str, level: TradingState) -> Plan:
    """Halt a pod, or all."""

    def plan(state: FundState, now_ns: int) -> Errand:
        slugs, said = orders.whom(state, target), orders.halt(state, why, level, now_ns)

        def judge(before: FundState, now: FundState) -> tuple[Obedience, ...]:
            return tuple(orders.halted(before, now, slug, said) for slug in slugs)

        return Errand("halt", Topics(state.realm).halt(OPERATOR, target), said, True, judge)

    return plan


def resuming(target: str, why: str, whose: str = "") -> Plan:
    """Clear the halts of a pod, or all; of one writer if named."""

    def plan(state: FundState, now_ns: int) -> Errand:
        slugs, said = orders.whom(state, target), orders.resume(state, why, now_ns, whose)

        def judge(before: FundState, now: FundState) -> tuple[Obedience, ...]:
            return tuple(orders.resumed(before, now, slug, said) for slug in slugs)

        return Errand("resume", Topics(state.realm).halt(OPERATOR, target), said, True, judge)

    return plan


def flattening(target: str, why: str) -> Plan:
    """Have the breaker close a pod's positions, or everybody's."""

    def plan(state: FundState, now_ns: int) -> Errand:
        slugs, said = orders.whom(state, target), orders.flatten(state, target, why, now_ns)

        def judge(before: FundState, now: FundState) -> tuple[Obedience, ...]:
            return tuple(orders.flattened(before, now, slug, said) for slug in slugs)

        return Errand("flatten", Topics(state.realm).flatten(target), said, False, judge)

    return plan


def overriding(pod: str, stage: Stage, why: str) -> Plan:
    """Have the allocator put a pod into a stage."""

    def plan(state: FundState, now_ns: int) -> Errand:
        if orders.whom(state, pod) != (pod,):
            raise ConfigError("a stage is one pod's: name the pod")
        said = orders.override(state, pod, stage, why, now_ns)

        def judge(before: FundState, now: FundState) -> tuple[Obedience, ...]:
            return (orders.overridden(before, now, pod, stage),)

        return Errand("override", Topics(state.realm).configure(orders.ALLOCATOR), said, False, judge)

    return plan


def resolving(break_id: str, why: str) -> Plan:
    """Have the auditor close a break."""

    def plan(state: FundState, now_ns: int) -> Errand:
        said = orders.resolve(state, break_id, why, now_ns)

        def judge(before: FundState, now: FundState) -> tuple[Obedience, ...]:
            return (orders.resolved(before, now, break_id),)

        return Errand("resolve", Topics(state.realm).configure(orders.AUDITOR), said, False, judge)

    return plan


def is_enough(state: FundState) -> bool:
    """Whether the venue's time and every pod's last words are known."""
    return state.ns > 0 and bool(state.pods) and all(pod.report is not None for pod in state.pods.values())


async def prepare(listener: Listener) -> None:
    """Learn what must be known before anything is said; a dead process holds nothing up for long."""
    await listener.until(is_enough, ENOUGH_S)
    await listener.until(lambda state: False, SETTLE_S)


async def carry_out(listener: Listener, errand: Errand, seconds: float) -> Done:
    """Say it and wait for obedience, for at most ``seconds`` of the wall."""
    before = listener.state
    await listener.bus.publish(errand.topic, errand.message, retain=errand.retain)
    await listener.until(partial(_obeyed, errand, before), seconds)
    answers = errand.judge(before, listener.state)
    trouble = "" if listener.bus.is_connected else listener.why_silent()
    return Done(errand.name, errand.message, answers, trouble)


def _obeyed(errand: Errand, before: FundState, now: FundState) -> bool:
    return all(answer.obeyed for answer in errand.judge(before, now))


async def run(address: FundAddress, plan: Plan, seconds: float) -> Done:
    """One errand from beginning to end. Raises ConfigError for what the fund does not have."""
    async with listening(address) as listener:
        await prepare(listener)
        return await carry_out(listener, plan(listener.state, time.time_ns()), seconds)


async def see(address: FundAddress, seconds: float) -> tuple[FundState, str]:
    """The fund now, and why nothing was heard if nothing was."""
    async with listening(address) as listener, asyncio.TaskGroup() as group:
        past = group.create_task(asyncio.to_thread(past_decisions, address.run))
        state = await listener.read(seconds)
        return with_past(state, await past), "" if state.heard else listener.why_silent()
