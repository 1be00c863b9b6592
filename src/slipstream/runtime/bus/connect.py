"""A bus by its address."""

from __future__ import annotations

from slipstream.model.mandate import TradingState
from slipstream.model.messages import Message, PodReport
from slipstream.model.topics import Topics
from slipstream.runtime.bus.acl import OPERATOR
from slipstream.runtime.bus.memory import MemoryBus, memory_broker
from slipstream.runtime.bus.mqtt import MqttBus
from slipstream.runtime.bus.port import Bus


def connect(url: str, process: str, *, realm: str, pod: bool = False) -> Bus:
    """A bus for a process: ``memory://name`` within this process, else MQTT. Raises ConfigError.

    A pod's will is a last report with the phase ``lost``.
    """
    if url.startswith("memory://"):
        return MemoryBus(memory_broker(url.removeprefix("memory://")), process)
    will: tuple[str, Message] | None = None
    if pod:
        lost = PodReport(
            pod=process, account="", run=0, seq=0, ns=0, wall_ns=0, phase="lost", state=TradingState.HALTED
        )
        will = (Topics(realm).pod(process, "status"), lost)
    return MqttBus(url, process, will=will, lasting=not process.startswith(OPERATOR))
