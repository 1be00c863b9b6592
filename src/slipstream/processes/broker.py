"""`slipstream broker`: the fund's message broker as a process of its own, where none is given by URL."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from slipstream.model.errors import ConfigError
from slipstream.processes.fund import FundOptions, load_fund
from slipstream.processes.serve import serve
from slipstream.runtime.bus.acl import processes
from slipstream.runtime.bus.broker import BrokerOptions, EmbeddedBroker
from slipstream.runtime.telemetry import start_logging


async def run_broker(options: FundOptions) -> None:
    """Run until cancelled. Raises ConfigError: the config names another broker or no port, or none is installed."""
    fund = load_fund(options)
    if fund.bus.url is not None:
        raise ConfigError("broker: bus.url names a broker already; this one is for funds without it")
    if not fund.bus.port:
        raise ConfigError("broker: bus.port is 0: the others could not find it; give one, such as 1883")
    folder = fund.state_dir / "broker"
    names = processes(pod.slug for pod in fund.pods)
    broker = BrokerOptions(realm=fund.realm, directory=folder, processes=names, port=fund.bus.port)
    async with EmbeddedBroker(broker) as running:
        typer.echo(
            f"broker ready: {running.kind} on 127.0.0.1:{running.port}, passwords of {', '.join(names)} in "
            f"{folder / 'credentials.json'}"
        )
        await asyncio.Event().wait()


def broker(
    fund: Annotated[Path, typer.Option(help="The fund's configuration.")] = Path("configs/fund.yml"),
    state_dir: Annotated[
        Path | None, typer.Option(help="Where its store and passwords go, in a folder broker.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning, error.")] = "info",
) -> None:
    """Serve the fund's bus on 127.0.0.1 and bus.port.

    Every process has a password and may write its own topics alone.
    """
    start_logging(log_level)
    serve("broker", run_broker(FundOptions(fund=fund, state_dir=state_dir)))
