"""The `slipstream` command: the only module that may import everything, and imports it late."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from decimal import Decimal, InvalidOperation
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from slipstream.examples import CODES, show_examples
from slipstream.late import register
from slipstream.model.errors import SlipstreamError

app = typer.Typer(
    name="slipstream",
    help="Run several trading strategies on Hyperliquid perpetual futures as one fund.",
    epilog=CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"slipstream {version('slipstream')}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Options of every command."""


def _coins(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@app.command()
def up(
    fund: Annotated[Path, typer.Option(help="The fund's configuration.")] = Path("configs/fund.yml"),
    directory: Annotated[Path, typer.Option("--dir", help="Where logs, journals and the demo key go.")] = Path(
        "var/up"
    ),
    port: Annotated[int, typer.Option(help="The venue's port; 0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 7,
    speed: Annotated[float, typer.Option(help="How many times faster than the wall the venue's clock runs.")] = 60.0,
    coins: Annotated[str, typer.Option(help="Coins of the synthetic market, such as BTC,ETH; empty: all.")] = "",
    replay: Annotated[Path | None, typer.Option(help="A folder of recordings instead of the synthetic market.")] = None,
    seconds: Annotated[float, typer.Option("--for", help="Stop by itself after so many seconds; 0: never.")] = 0.0,
    plain: Annotated[bool, typer.Option(help="Lines instead of a live view.")] = False,
    control: Annotated[bool, typer.Option(help="Let the venue be told to misbehave (loopback only).")] = False,
) -> None:
    """Start the demo fund on a local venue. No keys, no network; Ctrl-C stops it in order.

    The venue, a broker, Brawler and Gradient, the allocator that lends to them, the auditor and the breaker.
    """
    from slipstream.up import UpOptions
    from slipstream.up import up as run_up

    options = UpOptions(
        fund=fund,
        directory=directory / datetime.now().strftime("%Y-%m-%d_%H%M%S"),
        port=port,
        seed=seed,
        speed=speed,
        coins=_coins(coins),
        replay=replay,
        duration=seconds,
        plain=plain,
        control=control,
    )
    raise typer.Exit(asyncio.run(run_up(options)))


@app.command()
def venue(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 3001,
    seed: Annotated[int, typer.Option(help="Seed of the market and of the faults.")] = 7,
    speed: Annotated[float, typer.Option(help="How many times faster than the wall the clock runs, 1 to 3600.")] = 1.0,
    faucet: Annotated[str, typer.Option(help="USDC that an address gets when it is first named.")] = "100000",
    replay: Annotated[Path | None, typer.Option(help="Serve the recordings of a folder.")] = None,
    coins: Annotated[str, typer.Option(help="Coins to list, such as BTC,ETH; empty: all.")] = "",
    limits: Annotated[bool, typer.Option(help="Enforce rate limits and the address budget.")] = False,
    control: Annotated[bool, typer.Option(help="Offer /control: deposits and faults (loopback only).")] = False,
    snapshot: Annotated[Path | None, typer.Option(help="Keep the venue's state in this file across restarts.")] = None,
    network: Annotated[str, typer.Option(help="Signatures taken: any, mainnet or testnet.")] = "any",
) -> None:
    """Serve the emulated venue: Hyperliquid's REST and WebSocket, and Binance USD-M's market data."""
    import uvloop

    from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, serve

    try:
        money = Decimal(faucet)
    except InvalidOperation:
        raise typer.BadParameter(f"{faucet!r} is not an amount of USDC", param_hint="--faucet") from None
    if network not in ("any", "mainnet", "testnet"):
        raise typer.BadParameter(f"{network!r} is none of any, mainnet, testnet", param_hint="--network")
    options = ServeOptions(
        host=host,
        port=port,
        seed=seed,
        speed=speed,
        faucet=money,
        replay=str(replay) if replay is not None else None,
        coins=_coins(coins),
        limits=limits,
        control=control,
        snapshot=str(snapshot) if snapshot is not None else None,
        network=network,  # type: ignore[arg-type]
    )

    def say(running: RunningVenue) -> None:
        typer.echo(f"venue ready: {running.url} and {running.ws_url}, {len(running.exchange.instruments)} perps")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options, say))


@app.command()
def doctor(
    config: Annotated[Path, typer.Option(help="Brawler's configuration.")] = Path("configs/brawler.yml"),
    hl_url: Annotated[str | None, typer.Option(help="Hyperliquid, or a local venue.")] = None,
    cex_url: Annotated[str | None, typer.Option(help="The anchor's WebSocket base.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Journal, nonces, estimates.")] = None,
    keystore: Annotated[Path | None, typer.Option(help="Keystore (version 3) with the private key.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the keystore's password.")] = None,
    mainnet: Annotated[bool, typer.Option("--mainnet", help="Allow the real venue.")] = False,
) -> None:
    """Check configuration, key, clock, feeds and disk; places no order. 1 if something fails."""
    from slipstream.doctor import run
    from slipstream.pods import BrawlerOptions

    options = BrawlerOptions(
        config=config,
        hl_url=hl_url,
        cex_url=cex_url,
        state_dir=state_dir,
        keystore=keystore,
        password_file=password_file,
        mainnet=mainnet,
    )
    raise typer.Exit(run(options))


@app.command()
def replay(
    journal: Annotated[str, typer.Argument(help="A journal's file or database address.")],
    process: Annotated[
        str | None, typer.Option(help="Whose it is, where its folder does not say: allocator, auditor, breaker.")
    ] = None,
) -> None:
    """Run a recorded journal again and compare every command, or every decision, byte for byte; 1 if one differs."""
    from slipstream.processes.verifying import replay_journal

    verdict = replay_journal(journal, process)
    typer.echo(
        f"{verdict.sessions} sessions ({verdict.skipped} pruned), {verdict.rows} events, "
        f"{verdict.outputs} {verdict.what}: " + ("identical" if verdict.difference is None else "different")
    )
    if verdict.difference is not None:
        typer.echo(verdict.difference, err=True)
        raise typer.Exit(1)


@app.command()
def report(
    journal: Annotated[
        Path | None, typer.Argument(help="A pod's journal file, or the run directory of `slipstream up`.")
    ] = None,
    fund: Annotated[Path | None, typer.Option(help="A fund's configuration: the report of all its pods.")] = None,
) -> None:
    """Show what a pod earned, or a fund, and by what.

    Of a journal: fills, spread captured, markouts, fees, funding and PnL by coin. Of a fund: alpha and beta to BTC and
    ETH, shortfall of orders, maker share against what was declared, markouts, and how capital was moved.
    """
    from rich.console import Console

    console = Console()
    console = console if console.is_terminal else Console(width=200)
    if fund is not None or (journal is not None and journal.is_dir()):
        from slipstream.processes.attributing import fund_of, show_fund

        show_fund(fund_of(journal, fund), console)
    elif journal is not None:
        from slipstream.report import show

        show(journal, console)
    else:
        raise typer.BadParameter("name a journal or a run directory, or a fund with --fund", param_hint="JOURNAL")


def main() -> None:
    """Entry point of the console script. Errors of the house are one line, exit code 2; bugs keep their traceback."""
    # Before numpy is loaded. Matrices here are small: threads would wait for each other longer than they compute, and
    # sums would depend on how many there are. The research takes 65 s of processor time with one and 187 s with two.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    register(app)
    show_examples(app)
    try:
        app()
    except SlipstreamError as error:
        typer.echo(f"slipstream: {error}", err=True)
        raise SystemExit(2) from None
