"""How a command ends: 0 done, 1 something outside failed (a disk, a file), 2 what the user can mend."""

from __future__ import annotations

from collections.abc import Callable

import typer

from slipstream.model.errors import SlipstreamError


def ask(act: Callable[[], None]) -> None:
    """Run a command; what the user can mend becomes one line and exit code 2, a full disk one line and 1."""
    try:
        act()
    except (SlipstreamError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"error: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
