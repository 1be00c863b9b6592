"""Log lines, metrics and snapshots as others read them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from slipstream.model.commands import Report
from slipstream.model.errors import ConfigError
from slipstream.model.events import Timer
from slipstream.runtime.secrets import Secret
from slipstream.runtime.snapshot import read_snapshot, write_snapshot
from slipstream.runtime.status import StatusServer
from slipstream.runtime.telemetry import Metrics, log_report, logger, process_line, start_logging


def test_notes_and_breaks_are_lines_of_json() -> None:
    out = io.StringIO()
    start_logging("info", style="json", stream=out)
    log = logger(pod="puppet")
    log_report(log, Report("note", {"text": "suspended: basis", "field.bp": 12.5}, 1))
    log_report(log, Report("break", {"open": ["ETH: ..."]}, 2))
    log.debug("too fine")
    log.info("key", secret=Secret("hunter2", "test"))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("suspended: basis", "info"),
        ("break", "error"),
        ("key", "info"),
    ]
    assert lines[0]["bp"] == 12.5 and lines[0]["pod"] == "puppet" and "hunter2" not in out.getvalue()


def test_console_lines_have_no_colour_in_a_file() -> None:
    out = io.StringIO()
    start_logging("warning", stream=out)
    logger().info("not shown")
    logger().warning("shown", coin="ETH")
    assert "shown" in out.getvalue() and "not shown" not in out.getvalue() and "\x1b" not in out.getvalue()


@pytest.mark.parametrize(("level", "style"), [("loud", "json"), ("info", "xml")])
def test_unknown_words_are_refused(level: str, style: str) -> None:
    with pytest.raises(ConfigError, match=r"is not known; choose"):
        start_logging(level, style=style)


def test_metrics_count_by_kind() -> None:
    metrics = Metrics("puppet")
    for _ in range(3):
        metrics.event(Timer("x", 1))
    metrics.gauge("equity_usd", 12.5)
    metrics.position("ETH", -2.0)
    text = metrics.text().decode()
    assert 'slipstream_events_total{kind="Timer",pod="puppet"} 3.0' in text
    assert 'slipstream_equity_usd{pod="puppet"} 12.5' in text
    assert 'slipstream_position{coin="ETH",pod="puppet"} -2.0' in text


def test_the_process_line() -> None:
    line = process_line("pod brawler", "running", 7, "2 perps", "first trouble")
    assert line == "pod brawler  running    pid 7  2 perps  error: first trouble"


def test_snapshots_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    assert read_snapshot(path) == {}
    write_snapshot(path, {"ema": {"ETH": 0.1}})
    write_snapshot(path, {"ema": {"ETH": 0.2}})
    assert read_snapshot(path) == {"ema": {"ETH": 0.2}}
    assert [p.name for p in path.parent.iterdir()] == ["state.json"]
    for text in ("{", "[1]"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="move it away to start with fresh estimates"):
            read_snapshot(path)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "example.org", ""])
def test_status_listens_on_loopback_alone(host: str) -> None:
    with pytest.raises(ConfigError, match="not a loopback address"):
        StatusServer(dict, bytes, host=host)


async def test_a_taken_port_is_told() -> None:
    async with StatusServer(dict, bytes) as first:
        with pytest.raises(ConfigError, match=f"status port {first.port} on 127.0.0.1: .*; choose another"):
            async with StatusServer(dict, bytes, port=first.port):
                pass
