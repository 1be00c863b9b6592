"""The commands of an operator: what the fund is, and what it shall do. Registered by `slipstream.late`.

Exit codes: 0 done or well; 1 not obeyed, or something is broken (`status`: a dead process, or an open break at REDUCING
or above); 2 bad input, or no fund was found.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from slipstream.console import errands
from slipstream.console.discovery import FundAddress, find_fund
from slipstream.console.errands import Done, Plan
from slipstream.console.fund_json import SCHEMA, break_json, mandate_json, plain, pod_json, to_json
from slipstream.console.fund_state import FundState
from slipstream.console.fund_view import explain_break, fund_screen
from slipstream.console.listening import READ_S
from slipstream.console.reading import open_breaks, problems
from slipstream.console.rows import BREAK_COLUMNS, MANDATE_COLUMNS, POD_COLUMNS, break_rows, mandate_rows, pod_rows
from slipstream.console.tables import table
from slipstream.model.breaks import Break
from slipstream.model.errors import ConfigError
from slipstream.model.mandate import Stage, TradingState
from slipstream.model.topics import ALL, WRITERS

Fund = Annotated[Path | None, typer.Option("--fund", help="The fund's configuration, where it names a broker.")]
Run = Annotated[
    Path | None,
    typer.Option("--dir", help="The run directory of `slipstream up`, or a folder of them; default: the latest run."),
]
Json = Annotated[bool, typer.Option("--json", help="Plain values (schema 1) instead of tables.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept with what is done.")]
Target = Annotated[str, typer.Argument(metavar="[POD|all]", help="A pod, or all.")]
Patience = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for obedience.")]

breaks_app = typer.Typer(rich_markup_mode=None)


def _find(fund: Path | None, directory: Path | None) -> FundAddress:
    return find_fund(fund, directory, env=os.environ)


def _print(renderable: RenderableType) -> None:
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(renderable, highlight=False, markup=False)


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2))


def _see(fund: Path | None, directory: Path | None) -> FundState:
    """The fund as heard; exit 1 with a line where nobody speaks."""
    address = _find(fund, directory)
    state, silent = asyncio.run(errands.see(address, READ_S))
    if silent:
        typer.echo(f"slipstream: the fund of {address.source} is silent: {silent}", err=True)
    return state


def _reason(why: str) -> str:
    if not why.strip():
        raise ConfigError("--why is empty; say why: the reason is kept, and people will read it")
    return why.strip()


def _act(fund: Path | None, directory: Path | None, plan: Plan, seconds: float, as_json: bool) -> None:
    """Run an errand, show who obeyed, leave with 0 or 1."""
    done = asyncio.run(errands.run(_find(fund, directory), plan, seconds))
    if as_json:
        _print_json(_done_json(done))
    else:
        for answer in done.answers:
            typer.echo(f"{answer.whom:<12} {'obeyed' if answer.obeyed else 'NOT OBEYED':<11} {answer.text}")
    if not done.is_obeyed:
        missing = ", ".join(a.whom for a in done.answers if not a.obeyed)
        why = f" ({done.trouble})" if done.trouble else ""
        typer.echo(f"slipstream: {done.name}: not obeyed within {seconds:g} s by {missing}{why}", err=True)
        raise typer.Exit(1)


def _done_json(done: Done) -> dict[str, Any]:
    answers = [{"whom": a.whom, "obeyed": a.obeyed, "text": a.text} for a in done.answers]
    out = {"schema": SCHEMA, "action": done.name, "obeyed": done.is_obeyed, "trouble": done.trouble or None}
    return {**out, "message": plain(done.message), "answers": answers}


def status(fund: Fund = None, directory: Run = None, as_json: Json = False) -> None:
    """Show the fund, money first.

    Then pods, processes, breaks, halts and the last decisions. Exit code 1 if a process is dead or a break at REDUCING
    or above is open.

    Example: slipstream status --json | jq .fund.equity
    """
    state, now = _see(fund, directory), time.time_ns()
    wrong = problems(state, now)
    if as_json:
        _print_json(to_json(state, now))
    else:
        _print(fund_screen(state, now, decisions=8))
        for line in wrong:
            typer.echo(f"slipstream: {line}", err=True)
    if wrong:
        raise typer.Exit(1)


def pods(fund: Fund = None, directory: Run = None, as_json: Json = False) -> None:
    """Show every pod.

    Stage, state, PnL as audited (net) and as it says itself (said), exposure, orders, seconds of its lease.

    Example: slipstream pods --json | jq '.pods[] | {pod, state, net: .audited.net}'
    """
    state, now = _see(fund, directory), time.time_ns()
    if as_json:
        found = [pod_json(state, pod, now) for pod in state.pods.values()]
        _print_json({"schema": SCHEMA, "realm": state.realm, "pods": found})
    else:
        _print(table("pods", POD_COLUMNS, pod_rows(state, now)))
    _leave(state)


def mandates(fund: Fund = None, directory: Run = None, as_json: Json = False) -> None:
    """Show every pod's lease.

    Capital, caps, the share of the gross cap in use, the version it obeys, and the seconds left.

    Example: slipstream mandates --json | jq '.mandates[] | {pod, left_s}'
    """
    state, now = _see(fund, directory), time.time_ns()
    if as_json:
        found = [mandate_json(state, pod, now) or {"pod": pod.slug, "version": None} for pod in state.pods.values()]
        _print_json({"schema": SCHEMA, "realm": state.realm, "mandates": found})
    else:
        _print(table("mandates", MANDATE_COLUMNS, mandate_rows(state, now)))
    _leave(state)


def _leave(state: FundState) -> None:
    if not state.heard:
        raise typer.Exit(1)


@breaks_app.callback(invoke_without_command=True)
def breaks(context: typer.Context, fund: Fund = None, directory: Run = None, as_json: Json = False) -> None:
    """Show open breaks, the worst first.

    A break is a difference between two accounts of one thing; `explain` shows one whole, `resolve` closes a latched
    one.

    Example: slipstream breaks explain position/brawler/BTC
    """
    context.obj = (fund, directory)
    if context.invoked_subcommand is not None:
        return
    state, now = _see(fund, directory), time.time_ns()
    if as_json:
        found = [break_json(state, b, now) for b in open_breaks(state)]
        over = [break_json(state, b, now) for b in state.resolved]
        _print_json({"schema": SCHEMA, "realm": state.realm, "breaks": found, "resolved": over})
    elif state.breaks:
        _print(table("open breaks", BREAK_COLUMNS, break_rows(state, now)))
    elif state.heard:
        typer.echo("no break is open")
    _leave(state)


def _outer(context: typer.Context, fund: Path | None, directory: Path | None) -> tuple[Path | None, Path | None]:
    """Where the fund is, said before or after the subcommand."""
    before = context.obj or (None, None)
    return fund or before[0], directory or before[1]


@breaks_app.command("explain")
def explain(
    context: typer.Context,
    break_id: Annotated[str, typer.Argument(metavar="ID", help="Such as position/brawler/BTC.")],
    fund: Fund = None,
    directory: Run = None,
    as_json: Json = False,
) -> None:
    """Show a break whole.

    What differs, by how much, since when, the evidence, and how it clears.

    Example: slipstream breaks explain fill_missing/gradient/ETH
    """
    state, now = _see(*_outer(context, fund, directory)), time.time_ns()
    found: Break | None = state.breaks.get(break_id)
    found = found or next((b for b in reversed(state.resolved) if b.id == break_id), None)
    if found is None:
        raise ConfigError(f"no break {break_id!r} is open; open: {', '.join(sorted(state.breaks)) or 'none'}")
    if as_json:
        _print_json({"schema": SCHEMA, "realm": state.realm, "break": break_json(state, found, now)})
    else:
        _print(explain_break(state, found, now))


@breaks_app.command("resolve")
def resolve(
    context: typer.Context,
    break_id: Annotated[str, typer.Argument(metavar="ID", help="Such as position/brawler/BTC.")],
    why: Why,
    fund: Fund = None,
    directory: Run = None,
    as_json: Json = False,
    timeout: Patience = 15.0,
) -> None:
    """Have the auditor close a latched break.

    What still stands is found, and opened, again.

    Example: slipstream breaks resolve pnl/gradient --why "fee tier changed at noon, books restated"
    """
    _act(*_outer(context, fund, directory), errands.resolving(break_id, _reason(why)), timeout, as_json)


def halt(
    why: Why,
    target: Target = ALL,
    reducing: Annotated[bool, typer.Option("--reducing", help="Let it shrink positions instead of nothing.")] = False,
    fund: Fund = None,
    directory: Run = None,
    as_json: Json = False,
    timeout: Patience = 10.0,
) -> None:
    """Halt a pod, or all.

    Resting orders are cancelled, positions stay. Latched until `slipstream resume`. Waits until the pod says so.

    Example: slipstream halt brawler --why "index feed looks wrong"
    """
    level = TradingState.REDUCING if reducing else TradingState.HALTED
    _act(fund, directory, errands.halting(target, _reason(why), level), timeout, as_json)


def resume(
    why: Why,
    target: Target = ALL,
    whose: Annotated[str, typer.Option(help="Clear one writer's halts alone, such as operator.")] = "",
    fund: Fund = None,
    directory: Run = None,
    as_json: Json = False,
    timeout: Patience = 10.0,
) -> None:
    """Clear the halts of a pod, or of all.

    All of them up to now, whoever latched them; what still is wrong latches again.

    Example: slipstream resume brawler --why "feed is back" --whose operator
    """
    if whose and whose not in WRITERS:
        raise ConfigError(f"--whose {whose!r} halts nobody; give one of {', '.join(WRITERS)}")
    _act(fund, directory, errands.resuming(target, _reason(why), whose), timeout, as_json)


def flatten(
    why: Why,
    target: Target = ALL,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    fund: Fund = None,
    directory: Run = None,
    as_json: Json = False,
    timeout: Patience = 60.0,
) -> None:
    """Close the positions of a pod, or of all.

    The breaker halts it and closes with reduce-only orders at the market's price. Waits until the auditor sees it flat.

    Example: slipstream flatten gradient --why "leaving before the upgrade" --yes
    """
    plan = errands.flattening(target, _reason(why))
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("flatten asks first, and nobody is there to answer; give --yes")
        typer.confirm(f"Close all positions of {target} at the market's price?", abort=True)
    _act(fund, directory, plan, timeout, as_json)


def override(
    pod: Annotated[str, typer.Argument(metavar="POD", help="A pod.")],
    stage: Annotated[Stage, typer.Argument(metavar="STAGE", help=", ".join(s.value for s in Stage))],
    why: Why,
    fund: Fund = None,
    directory: Run = None,
    as_json: Json = False,
    timeout: Patience = 20.0,
) -> None:
    """Put a pod into a stage by hand.

    The lifecycle goes on from there.

    Example: slipstream override gradient evaluation --why "ran a year elsewhere"
    """
    _act(fund, directory, errands.overriding(pod, stage, _reason(why)), timeout, as_json)


def top(
    fund: Fund = None,
    directory: Run = None,
    once: Annotated[bool, typer.Option("--once", help="Print one plain snapshot and leave.")] = False,
) -> None:
    """Watch the fund, and act by key.

    Money, pods, breaks, decisions; h halts, r resumes, f flattens, ? shows the keys.

    Example: slipstream top --dir var/up
    """
    if once or not sys.stdout.isatty():
        status(fund, directory, as_json=False)
        return
    from slipstream.console.top.app import TopApp

    TopApp(lambda: _find(fund, directory)).run()
