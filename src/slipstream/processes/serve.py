"""Runs a process of the fund until SIGTERM or SIGINT; an error that a person can mend is one line and exit code 2."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import typer
import uvloop

from slipstream.model.errors import ConfigError, SlipstreamError


async def _until_told(main: Coroutine[Any, Any, None]) -> None:
    task = asyncio.current_task()
    assert task is not None
    told = False

    def stop() -> None:
        nonlocal told
        told = True
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await main
    except asyncio.CancelledError:
        if not told:
            raise


def first_cause(error: BaseException) -> BaseException:
    """What a group of errors began with."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def serve(name: str, main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop until told to stop; leaves with the process's exit code."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_told(main))
    except (SlipstreamError, BaseExceptionGroup) as error:
        cause = first_cause(error)
        if not isinstance(cause, SlipstreamError):
            raise
        typer.echo(f"{name}: {cause}", err=True)
        raise typer.Exit(2 if isinstance(cause, ConfigError) else 1) from None
