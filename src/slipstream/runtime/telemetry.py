"""What a process says of itself: structured log lines, metrics, and the one line a person reads first."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from slipstream.model.commands import Command, Report
from slipstream.model.errors import ConfigError
from slipstream.model.events import Event

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_BUCKETS = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0)
_TOPIC_LEVELS = {"break": "error", "odd": "warning", "state": "warning", "refused": "info", "fill": "info"}

Log = structlog.typing.FilteringBoundLogger


def start_logging(level: str = "info", *, style: str = "console", stream: TextIO | None = None) -> None:
    """Send log lines to a stream (stderr), as text for people or as JSON. Raises ConfigError on an unknown word."""
    if level.lower() not in LEVELS:
        raise ConfigError(f"log level {level!r} is not known; choose one of {', '.join(LEVELS)}")
    if style not in ("console", "json"):
        raise ConfigError(f"log style {style!r} is not known; choose console or json")
    out = stream or sys.stderr
    colors = style == "console" and out.isatty()
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer(colors=colors)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level.lower()]),
        logger_factory=structlog.PrintLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )


def logger(**fields: object) -> Log:
    """A logger that carries some fields with every line."""
    log: Log = structlog.get_logger(**fields)
    return log


def process_line(name: str, state: str, pid: int, detail: str = "", error: str | None = None) -> str:
    """One line per process: its state, and the first error if there is one."""
    text = f"{name:<12} {state:<10} pid {pid}"
    if detail:
        text += f"  {detail}"
    return f"{text}  error: {error}" if error else text


def log_report(log: Log, report: Report) -> None:
    """Write a kernel's Report as a log line; suspensions and decisions (notes) under their own text."""
    body = dict(report.body)
    if report.topic == "note":
        text = str(body.pop("text", "note"))
        log.info(text, **{key.removeprefix("field."): value for key, value in body.items()})
        return
    level = _TOPIC_LEVELS.get(report.topic, "info")
    getattr(log, level)(report.topic, **body)


class Metrics:
    """Prometheus metrics of one pod, in a registry of its own; children are bound once and then only counted."""

    def __init__(self, pod: str) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter("slipstream_events", "Events handled", ["pod", "kind"], registry=self.registry)
        self._commands = Counter("slipstream_commands", "Commands decided", ["pod", "kind"], registry=self.registry)
        self._pod = pod
        self._event_children: dict[type, Counter] = {}
        self._command_children: dict[type, Counter] = {}
        steps = Histogram("slipstream_step_seconds", "Kernel step", ["pod"], buckets=_BUCKETS, registry=self.registry)
        self.step_seconds = steps.labels(pod)
        commits = Histogram(
            "slipstream_commit_seconds", "Journal commit", ["pod"], buckets=_BUCKETS, registry=self.registry
        )
        self.commit_seconds = commits.labels(pod)
        self._gauges = {
            name: Gauge(f"slipstream_{name}", text, ["pod"], registry=self.registry).labels(pod)
            for name, text in (
                ("live_orders", "Orders whose end is not known"),
                ("journal_rows", "Last row of the journal"),
                ("superseded_events", "Prices superseded before they were handled"),
                ("equity_usd", "Account equity as the venue last told it"),
                ("gross_usd", "Worst-case gross exposure"),
                ("up", "1 while the pod handles events"),
            )
        }
        self._position = Gauge("slipstream_position", "Signed position", ["pod", "coin"], registry=self.registry)

    def event(self, event: Event) -> None:
        """Count an event."""
        kind = type(event)
        child = self._event_children.get(kind)
        if child is None:
            child = self._event_children[kind] = self._events.labels(self._pod, kind.__name__)
        child.inc()

    def command(self, command: Command) -> None:
        """Count a command."""
        kind = type(command)
        child = self._command_children.get(kind)
        if child is None:
            child = self._command_children[kind] = self._commands.labels(self._pod, kind.__name__)
        child.inc()

    def gauge(self, name: str, value: float) -> None:
        """Set one of the pod's gauges."""
        self._gauges[name].set(value)

    def position(self, coin: str, value: float) -> None:
        """Set the position of a coin."""
        self._position.labels(self._pod, coin).set(value)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
