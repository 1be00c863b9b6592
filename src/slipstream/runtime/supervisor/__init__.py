"""Runs the processes of a fund: ordered start and stop, restart with backoff, hangs and limits, one line per process.

Each child is a process group of its own, so that Ctrl-C in a terminal reaches only the supervisor, which then stops
the children in reverse order: pods cancel their orders while the venue still answers. If the supervisor itself dies,
the kernel sends the children SIGTERM (Linux).
"""

from __future__ import annotations

from slipstream.runtime.supervisor.fund import Supervisor
from slipstream.runtime.supervisor.process import Process
from slipstream.runtime.supervisor.spec import Life, Limits, Row, Spec, State

__all__ = ["Life", "Limits", "Process", "Row", "Spec", "State", "Supervisor"]
