"""`slipstream alerts`: tells people what the fund's processes say they should hear of.

It needs the bus alone, not the venue: when everything else is down it still says that the bus is gone.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, NoReturn, Protocol

import typer

from slipstream.model.errors import ConfigError
from slipstream.model.messages import Alert
from slipstream.model.topics import Topics
from slipstream.processes.fund import FundOptions, load_fund
from slipstream.processes.serve import serve
from slipstream.runtime.bus.acl import ALERTS
from slipstream.runtime.bus.connect import connect
from slipstream.runtime.bus.port import Bus
from slipstream.runtime.notify import AppriseNotifier
from slipstream.runtime.telemetry import logger, process_line, start_logging

BUS_LOST = 15.0  # seconds without the bus after which people are told


class Teller(Protocol):
    """Takes alerts; see `slipstream.runtime.notify.AppriseNotifier`."""

    def tell(self, alert: Alert) -> None:
        """Send it, or count it; never raises."""
        ...


async def tell(bus: Bus, notifier: Teller, topics: Topics) -> None:
    """Turn every Alert of the bus into a notification, until cancelled. The bus is entered by the caller."""
    log = logger(process=ALERTS)
    await bus.subscribe(topics.alert("+"))
    async for received in bus.messages():
        if not isinstance(received.message, Alert):
            log.warning("not an alert", topic=received.topic, sender=received.sender)
        elif received.topic != topics.alert(ALERTS):  # our own are about deliveries: telling them would go in circles
            notifier.tell(received.message)


async def watch_bus(bus: Bus, notifier: Teller, *, lost_after: float = BUS_LOST, every: float = 1.0) -> NoReturn:
    """Say that no alerts can come when the bus is away; each absence is a matter of its own."""
    told: float | None = None
    while True:
        lost = bus.lost_since
        if lost is not None and lost != told and time.monotonic() - lost >= lost_after:
            told = lost
            body = "alerts do not arrive; pods stop increasing exposure when their leases end"
            title = f"no bus for {lost_after:g} s"
            notifier.tell(Alert(f"alerts/bus/{lost}", "critical", title, body, time.time_ns()))
        await asyncio.sleep(every)


async def run_alerts(options: FundOptions) -> None:
    """Run until cancelled. Raises ConfigError: no bus, or a URL that apprise cannot read.

    Without URLs it goes on and says so: alerts then stand in its log alone.
    """
    fund = load_fund(options)
    if fund.bus.url is None:
        raise ConfigError(f"{ALERTS}: no bus; give bus.url in the fund's config or SLIPSTREAM_FUND_BUS__URL")
    topics = Topics(fund.realm)
    failures: asyncio.Queue[str] = asyncio.Queue()
    notifier = AppriseNotifier(fund.alerts.urls, per_minute=fund.alerts.per_minute, failed=failures.put_nowait)
    bus = connect(fund.bus.url, ALERTS, realm=fund.realm)

    async def confess() -> NoReturn:
        while True:
            line = await failures.get()
            alert = Alert("alerts/delivery", "error", "an alert was not delivered", line, time.time_ns())
            await bus.publish(topics.alert(ALERTS), alert)

    async with bus, asyncio.TaskGroup() as group:
        group.create_task(notifier.run(), name="deliver")
        group.create_task(watch_bus(bus, notifier), name="watch")
        group.create_task(confess(), name="confess")
        group.create_task(tell(bus, notifier, topics), name="tell")
        count = len(fund.alerts.urls)
        told = f"{count} places are told" if count else "alerts.urls is empty: nobody is told, this log has them"
        typer.echo(process_line(ALERTS, "running", os.getpid(), told))


def alerts(
    fund: Annotated[Path, typer.Option(help="The fund's configuration.")] = Path("configs/fund.yml"),
    state_dir: Annotated[Path | None, typer.Option(help="The fund's folder, as for every process.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning, error.")] = "info",
) -> None:
    """Send the fund's alerts to people.

    Where to: alerts.urls of the fund's config. The bus is SLIPSTREAM_FUND_BUS__URL.
    """
    start_logging(log_level)
    serve(ALERTS, run_alerts(FundOptions(fund=fund, state_dir=state_dir)))
