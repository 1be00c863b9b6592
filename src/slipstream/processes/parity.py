"""Holds a pod over bars against the backtest: the same kernel over the bars that the pod heard, rebalance by rebalance.

The backtest knows the bars, the prices at each rebalance, and what befell the pod in between (fills, funding, leases,
halts); it is fed nothing else, looks once a bar, and decides for itself. Compared at every rebalance:

- what is held before (by both ledgers), the weights of the book, the Targets: coin, size in lots, urgency, deadline;
- the orders sent in answer: coin, side, size, price, time in force.

Not compared: what the market makes of it afterwards (new prices of a passive child, when it crosses), and what a pod
does between rebalances (drawdown stop, a lease that shrinks): bars do not show the prices that it then saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import msgspec
import typer

from slipstream.execution.kernel import Kernel
from slipstream.execution.strategy import Strategy
from slipstream.model.errors import ConfigError, SlipstreamError
from slipstream.model.events import Event, Fill
from slipstream.pods import strategy_of
from slipstream.processes.bar_backtest import patient
from slipstream.processes.heard import HOUR_NS, MS, Asked, Decision, Heard, Moment, Watched, asked
from slipstream.processes.tick_parity import NO_ANSWER, is_quoting, lines, tick_parity
from slipstream.runtime.journal import Journal, open_journal
from slipstream.runtime.journal.address import parse_address
from slipstream.runtime.records import Session
from slipstream.runtime.replay import replay
from slipstream.simulation.bars import BarTerms, BarVenue, run_bars
from slipstream.simulation.retold import RetoldVenue

MINUTE = HOUR_NS // 60
WEIGHT = 1e-9  # weights closer than this are the same: a bar's volume is told in USD, a candle's in coins
ZERO = Decimal(0)


class Pair(msgspec.Struct, frozen=True):
    """A rebalance of the pod and the backtest's at that bar. ``differs`` says what is not the same; empty: nothing."""

    run: int
    ns: int
    live: Decision
    tested: Decision | None
    orders: int
    differs: tuple[str, ...]


class Parity(msgspec.Struct, frozen=True):
    """Every rebalance of a journal; ``skipped`` runs had none, or their prices were pruned."""

    pairs: tuple[Pair, ...]
    skipped: int

    @property
    def same(self) -> bool:
        """Whether there were rebalances, and the backtest decided and ordered the same at all of them."""
        return bool(self.pairs) and not any(pair.differs for pair in self.pairs)


def parity(journal: Journal) -> Parity:
    """Compare every run of a pod's journal. Raises ConfigError: not a pod over bars, or a journal that differs from
    its own replay.
    """
    watched: dict[int, Watched] = {}

    def make(session: Session) -> Strategy:
        if "signal" not in session.strategy_config.get("config", {}):
            raise ConfigError(f"{journal.name}: {session.slug} does not trade on bars: there is nothing to compare")
        found = Watched(strategy_of(session), session.strategy_config["coins"])
        watched[session.run] = found
        return found

    verdict = replay(journal, make)
    if verdict.difference is not None:
        raise ConfigError(f"{journal.name}: the journal is not what this release decides; {verdict.difference}")
    sessions = journal.sessions()
    pairs: list[Pair] = []
    skipped = 0
    for number, session in enumerate(sessions):
        stop = sessions[number + 1].seq if number + 1 < len(sessions) else None
        decisions = watched[session.run].decisions if session.run in watched else []
        if decisions:
            pairs += compare(Heard(journal, session, stop, decisions))
        else:
            skipped += 1
    return Parity(tuple(pairs), skipped)


def compare(heard: Heard) -> list[Pair]:
    """The backtest of one run beside it."""
    config = heard.session.strategy_config["config"]
    offset = round(float(config["trade"]["offset_minutes"]) * MINUTE)
    by_bar: dict[int, Moment] = {heard.bar_of(moment): moment for moment in heard.moments}
    if len(by_bar) < len(heard.moments):
        raise ConfigError("the pod rebalanced more than once a bar: a backtest on these bars cannot")
    bars = heard.bars()
    terms = BarTerms(capital=Decimal(str(config["trade"]["capital"])), look_ns=offset + MINUTE)
    opening = {coin: (size, _price(heard.moments[0], coin)) for coin, size in _opening(heard.moments[0]).items()}
    venue = RetoldVenue(bars.coins, terms, opening)
    strategy = Watched(strategy_of(heard.session), bars.coins)
    strategy.restore(heard.session.state)
    settings = msgspec.structs.replace(patient(heard.session.config, bars), owns_account=True)
    kernel = Kernel(strategy, (), settings, heard.session.slug, heard.session.run)

    def before(t: int, told: BarVenue) -> Sequence[Event]:
        moment = by_bar.get(int(bars.opened[t]) * MS)
        if moment is None:
            return ()
        assert isinstance(told, RetoldVenue)
        told.tell(moment.record)
        # the market as the pod saw it, at the time of the look
        now = told.now_ns
        return [msgspec.structs.replace(one, event_ns=now, recv_ns=now) for one in moment.prices.values()]

    run_bars(kernel, bars, heard.session.instruments, terms, before=before, venue=venue)
    tested = {one.ns // heard.bar_ns * heard.bar_ns: one for one in strategy.decisions}
    found = [_pair(heard, moment, tested.get(at), venue) for at, moment in by_bar.items()]
    alone = [one for at, one in tested.items() if at not in by_bar]
    run = heard.session.run
    return found + [Pair(run, one.ns, one, one, 0, ("the backtest rebalances, the pod did not",)) for one in alone]


def _opening(first: Moment) -> dict[str, Decimal]:
    """What was held when the run began: what the first rebalance began from, less what was filled before it."""
    held = dict(first.decision.held)
    for event in first.record:
        if isinstance(event, Fill):
            held[event.coin] = held.get(event.coin, ZERO) - event.sz * event.side.sign
    return {coin: size for coin, size in held.items() if size}


def _price(moment: Moment, coin: str) -> Decimal:
    price = moment.prices.get(coin)
    return Decimal(repr(price.mid)) if price is not None and price.mid > 0.0 else Decimal(1)


def _pair(heard: Heard, moment: Moment, tested: Decision | None, venue: RetoldVenue) -> Pair:
    live = moment.decision
    if tested is None:
        return Pair(heard.session.run, live.ns, live, None, 0, ("the backtest does not rebalance",))
    sent = {place.coin: asked(place) for ns, place in venue.placed if ns == tested.ns}
    differs: list[str] = []
    if live.held != tested.held:
        differs.append(f"held: {_said(live.held, tested.held)}")
    far = [
        coin
        for coin in sorted(live.weights.keys() | tested.weights.keys())
        if abs(live.weights.get(coin, 0.0) - tested.weights.get(coin, 0.0)) > WEIGHT
    ]
    differs += [f"weight of {coin}: {live.weights.get(coin)} and {tested.weights.get(coin)}" for coin in far]
    if live.targets != tested.targets:
        differs.append(f"targets: {_said(live.targets, tested.targets)}")
    if live.terms != tested.terms:
        differs.append(f"urgency and deadline: {sorted(live.terms)} and {sorted(tested.terms)}")
    differs += _orders(moment, sent)
    return Pair(heard.session.run, live.ns, live, tested, len(moment.orders), tuple(differs))


def _orders(moment: Moment, tested: Mapping[str, Asked]) -> list[str]:
    """The first orders of both, coin by coin. To one that had to wait the market is another: price and size (largest
    orders are so many USD) may be, too, and by then it may cross.
    """
    differs = []
    for coin in sorted(moment.orders.keys() | tested.keys()):
        ours, theirs = moment.orders.get(coin), tested.get(coin)
        if ours is None and theirs is not None and coin in moment.later:
            ours = msgspec.structs.replace(moment.later[coin], px=theirs.px, sz=theirs.sz, tif=theirs.tif)
        if ours != theirs:
            differs.append(f"order of {coin}: {ours} and {theirs}")
    return differs


def _said(live: Mapping[str, object], tested: Mapping[str, object]) -> str:
    coins = sorted(coin for coin in live.keys() | tested.keys() if live.get(coin) != tested.get(coin))
    return ", ".join(f"{coin} {live.get(coin)} and {tested.get(coin)}" for coin in coins)


def told_by_ticks(opened: Journal, journal: str) -> None:
    """Print the parity of a pod that quotes, and leave."""
    found, skipped = tick_parity(opened)
    for one in found:
        typer.echo("\n".join(lines(one)))
    for line in skipped:
        typer.echo(f"left out: {line}")
    if not found:
        typer.echo(f"error: {journal}: no run in it to compare", err=True)
        raise typer.Exit(2)
    raise typer.Exit(1 if any(cause in one.comparison.causes for one in found for cause in NO_ANSWER) else 0)


def command(
    journal: Annotated[str, typer.Argument(help="A pod's journal: a file, or a database's URL.")],
) -> None:
    """Hold a pod against the backtest of what it heard.

    Rebalance by rebalance, or request by request if it quotes. Leaves with 0 if all rebalances are the same, or every
    different request and fill has a cause; 1 if not; 2 if there is nothing to compare.
    """
    try:
        parse_address(journal)
        with open_journal(journal, read_only=True) as opened:
            if is_quoting(opened):
                told_by_ticks(opened, journal)
            found = parity(opened)
    except SlipstreamError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    for pair in found.pairs:
        when = datetime.fromtimestamp(pair.ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")
        told = f"{len(pair.live.weights)} names, {len(pair.live.targets)} targets, {pair.orders} orders"
        typer.echo(f"run {pair.run}  {when}  {told}  {'same' if not pair.differs else 'DIFFERS'}")
        for line in pair.differs:
            typer.echo(f"    pod and backtest: {line}")
    if found.skipped:
        typer.echo(f"left out: runs without a rebalance, or whose prices were pruned: {found.skipped}")
    if not found.pairs:
        typer.echo(f"error: {journal}: no rebalance in it to compare", err=True)
        raise typer.Exit(2)
    raise typer.Exit(0 if found.same else 1)
