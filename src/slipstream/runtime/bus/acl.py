"""Who may say and hear what: MQTT filters by process, over the topics of `slipstream.model.topics`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from slipstream.model.topics import ALL, WRITERS, Topics

ALLOCATOR, AUDITOR, BREAKER, OPERATOR = "allocator", "auditor", "breaker", "operator"
ALERTS = "alerts"
FEDERATION = (ALLOCATOR, AUDITOR, BREAKER, OPERATOR, ALERTS)


class Rights(msgspec.Struct, frozen=True):
    """Filters that a process may publish to and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def rights(process: str, realm: str) -> Rights:
    """What a process may do: its beat, its decisions, its alerts; beyond that a pod has its own topics alone."""
    topics = Topics(realm)
    own = (topics.beat(process), topics.decision(process), topics.alert(process))
    everything = (f"{topics.root}/#",)
    if process == ALLOCATOR:
        speaks = (topics.mandate("+"), topics.stage("+"), topics.forecast, topics.halt(process, "+"))
        return Rights((*own, *speaks), everything)
    if process == AUDITOR:
        speaks = (topics.audit, topics.broken("+"), topics.halt(process, "+"), topics.flatten("+"))
        return Rights((*own, *speaks), everything)
    if process == BREAKER:
        return Rights((*own, topics.halt(process, "+")), everything)
    if process == OPERATOR:
        asks = (topics.halt(process, "+"), topics.flatten("+"), topics.configure("+"))
        return Rights((*own, *asks), everything)
    if process == ALERTS:
        return Rights(own, (topics.alert("+"), topics.beat("+")))
    hears = (
        topics.mandate(process),
        topics.stage(process),
        topics.forecast,
        topics.configure(process),
        topics.beat("+"),
        *(topics.halt(writer, whom) for writer in ("+",) for whom in (process, ALL)),
    )
    return Rights((*own, f"{topics.root}/pod/{process}/#"), hears)


def processes(pods: Iterable[str]) -> tuple[str, ...]:
    """Everyone who needs a password: the federation and the pods."""
    assert set(WRITERS) <= set(FEDERATION)
    return (*FEDERATION, *pods)


def nats_subjects(filter_: str) -> tuple[str, ...]:
    """An MQTT filter as NATS subjects: a final ``#`` also takes its parent, which is a subject of its own."""
    levels = {"+": "*", "#": ">"}
    subject = ".".join(levels.get(level, level.replace(".", "//")) for level in filter_.split("/"))
    return (subject.removesuffix(".>"), subject) if subject.endswith(".>") else (subject,)
