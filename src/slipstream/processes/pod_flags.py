"""The flags that every `slipstream pod <slug>` has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path, typer.Option(help="Config file.")]
ApiKey = Annotated[str | None, typer.Option(help="Address of the API wallet; checked against the secret.")]
ApiSecret = Annotated[
    str | None, typer.Option(help="Private key. Others can read flags: prefer environment or keystore.")
]
MainWallet = Annotated[str | None, typer.Option(help="Account to trade; default: the key's own address.")]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning, error.")]
LogStyle = Annotated[str, typer.Option(help="console or json.")]
HlUrl = Annotated[str | None, typer.Option(help="Hyperliquid, or a local venue.")]
StateDir = Annotated[Path | None, typer.Option(help="Journal, nonces, and what the strategy must not forget.")]
StatusPort = Annotated[int | None, typer.Option(help="Port of the status page on loopback; 0: a free one.")]
Keystore = Annotated[Path | None, typer.Option(help="Keystore (version 3) with the private key.")]
PasswordFile = Annotated[Path | None, typer.Option(help="File with the keystore's password.")]
Mainnet = Annotated[bool, typer.Option("--mainnet", help="Allow the real venue, with real money.")]
Fund = Annotated[Path | None, typer.Option(help="Run as a pod of the fund in this file.")]
