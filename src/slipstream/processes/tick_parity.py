"""Holds a quoting pod against its backtest: what its journal says it heard, as a tape, through the same kernel.

The journal is replayed first, which proves that it is whole and what the pod decided; the market without the pod is
made of what it heard (`slipstream.simulation.tick.heard_tape`). A second kernel then runs on that tape, on the replay's
exchange, with the delay that the pod's requests were answered with; what is neither market nor orders (feeds, budgets,
leases, halts, limits) it is told when the pod was. Every request and fill that only one of the two has is explained.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec

from slipstream.execution.kernel import Kernel
from slipstream.lob.replay import delay
from slipstream.lob.replay.replay import Replay
from slipstream.lob.replay.terms import MarketTerms
from slipstream.model.cloid import pod_prefix
from slipstream.model.commands import Command, Modify, Place
from slipstream.model.errors import ConfigError
from slipstream.model.events import AccountState, Ack, Budget, Disconnect, Event, Reconnect
from slipstream.model.mandate import Halt, Mandate, Resume
from slipstream.model.messages import Configure
from slipstream.pods import strategy_of
from slipstream.runtime.journal import Journal
from slipstream.runtime.records import Session, encode_commands
from slipstream.runtime.replay import show
from slipstream.simulation.tick.differences import Comparison, compare
from slipstream.simulation.tick.heard_tape import ANCHOR_LOT, HeardMarket, HeardTape, Rows
from slipstream.simulation.tick.kernel_on_tape import HOME, Listing, TapeKernel
from slipstream.simulation.tick.looks import Diary
from slipstream.strategies.brawler.seen import seen
from slipstream.strategies.brawler.strategy import Brawler

ANCHOR = "binance"
WINDOW_NS = 2_000_000_000
TICK_NS = 1_000_000  # times of one millisecond are the same: the venue tells no finer ones
FEED_NS = 1  # a block's answers come before its prices
ASIDE = Budget | Mandate | Halt | Resume | Configure
ZERO = Decimal(0)
NO_ANSWER = ("UNEXPLAINED", "UNSEEN")  # causes that are none
MISSING = "{}: rows {} to {} are missing: what was heard then is not known; take the journal from where it was copied"


class Retold(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod's run was: its diary, the market without it, what else it heard, and how fast it was answered:
    for each request that came to rest, when it was sent and how long the answer took. On
    the tape all is heard ``late_ns`` later."""

    diary: Diary
    rows: Rows
    markets: tuple[HeardMarket, ...]
    aside: tuple[tuple[int, Event], ...]
    answers: tuple[tuple[int, int], ...]
    late_ns: int

    @property
    def answer_ns(self) -> int:
        """The median delay of an answer."""
        return int(statistics.median(ns for _, ns in self.answers)) if self.answers else 0


class TickParity(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a pod beside its backtest. ``answer_ns`` is the median delay of an answer, which the backtest has."""

    run: int
    answer_ns: int
    requests: int
    fills: int
    comparison: Comparison


def is_quoting(journal: Journal) -> bool:
    """Whether a journal is of a pod that quotes."""
    return any("symbols" in session.strategy_config.get("config", {}) for session in journal.sessions())


def tick_parity(journal: Journal, window_ns: int = WINDOW_NS) -> tuple[list[TickParity], list[str]]:
    """Every run of a pod's journal, and why others were left out. Raises ConfigError: the journal differs from its
    own replay.
    """
    sessions, found, skipped = journal.sessions(), list[TickParity](), list[str]()
    for number, session in enumerate(sessions):
        stop = sessions[number + 1].seq if number + 1 < len(sessions) else None
        if session.seq < journal.pruned_to:
            skipped.append(f"run {session.run}: its prices were pruned")
            continue
        steps = whole(journal, session.seq, stop)
        retold = retell(session, steps, journal.name, first=number == 0)
        if isinstance(retold, str):
            skipped.append(f"run {session.run}: {retold}")
        else:
            found.append(beside(session, retold, window_ns))
    return found, skipped


def whole(journal: Journal, start: int, stop: int | None) -> Iterator[tuple[Event, Sequence[Command]]]:
    """A run's steps. Raises ConfigError where rows are missing: what the pod heard then is not known, and a market
    without it would explain differences that it made itself."""
    last = start
    for seq, event, commands in journal.read(start, stop=stop):
        if seq != last + 1:
            raise ConfigError(MISSING.format(journal.name, last + 1, seq - 1))
        last = seq
        yield event, commands
    if stop is not None and last != stop:
        raise ConfigError(MISSING.format(journal.name, last + 1, stop))


def is_flat(session: Session, account: AccountState, coins: tuple[str, ...], *, first: bool) -> bool:
    """Whether a run began with nothing of its own. What other pods hold on the same account is not its own; what an
    earlier run left to it is, and cannot be told apart from theirs.
    """
    prefix = pod_prefix(session.slug)
    mine = session.config.owns_account or not first
    held = mine and any(position.coin in coins for position in account.positions)
    return not held and not any(order.cloid.startswith(prefix) for order in account.orders)


def retell(
    session: Session, steps: Iterable[tuple[Event, Sequence[Command]]], name: str, *, first: bool = True
) -> Retold | str:
    """Run a session again and make its tape; or why it cannot be. ``first``: no run of the pod came before it.

    Raises ConfigError: it decides otherwise now.
    """
    kernel = kernel_of(session)
    coins = tuple(_brawler(kernel).makers)
    perps = {perp.coin: perp for perp in session.instruments}
    # of one moment the anchor's news is heard first, as pods are told it: the first market of the run goes first
    markets = [HeardMarket(2 * i + 1, HOME, coin, perps[coin]) for i, coin in enumerate(coins)]
    # a decimal more than the perp's own: anchors are not finer than that
    finer = {coin: 10.0 ** -(perps[coin].price_decimals + 1) for coin in coins}
    anchors = [HeardMarket(2 * i, ANCHOR, coin, tick_size=finer[coin]) for i, coin in enumerate(coins)]
    tape, diary = HeardTape([*markets, *anchors], FEED_NS), Diary(seen, coins)
    kernel.begin(session.run, session.instruments, session.ns)
    aside: list[tuple[int, Event]] = []
    sent: dict[str, int] = {}
    answered: dict[int, int] = {}
    opened = False
    for event, recorded in steps:
        if isinstance(event, AccountState) and event.complete and not opened:
            opened = True
            if not is_flat(session, event, coins, first=first):
                return "it began with a position or orders; a tape begins flat"
            aside.append((kernel.desk.now_ns, event))
        elif isinstance(event, Reconnect | Disconnect):
            aside.append((event.ns, event))
        elif isinstance(event, ASIDE):
            aside.append((kernel.desk.now_ns, event))
        elif isinstance(event, Ack) and event.cloid in sent:
            since = sent.pop(event.cloid)
            answered[since] = max(0, event.ns - since)
        coin = getattr(event, "coin", "")
        tape.take(event, [working.order for working in kernel.desk.orders.live(coin)])
        commands = diary.step(kernel, event)
        if encode_commands(commands) != encode_commands(recorded):
            found = show(kernel.desk.now_ns, event, tuple(recorded), tuple(commands))
            raise ConfigError(f"{name}: the journal is not what this release decides; at {found}")
        for command in commands:
            if isinstance(command, Place | Modify):
                place = command.new if isinstance(command, Modify) else command
                sent[place.cloid] = kernel.desk.now_ns
    rows = tape.rows()
    if not len(rows) or not diary.requests:
        return "it heard no prices, or asked for nothing"
    answers = tuple(sorted(answered.items()))
    late = tuple((ns + tape.late_ns, _late(event, tape.late_ns)) for ns, event in aside)
    return Retold(
        diary=diary, rows=rows, markets=(*markets, *anchors), aside=late, answers=answers, late_ns=tape.late_ns
    )


def _late(event: Event, ns: int) -> Event:
    """What moves the clock is heard as late as the tape."""
    return msgspec.structs.replace(event, ns=event.ns + ns) if isinstance(event, Reconnect | Disconnect) else event


def kernel_of(session: Session) -> Kernel:
    """A kernel that begins as a session's did."""
    strategy = strategy_of(session)
    strategy.restore(session.state)
    return Kernel(strategy, (), session.config, session.slug, session.run)


def _brawler(kernel: Kernel) -> Brawler:
    if not isinstance(kernel.strategy, Brawler):
        raise ConfigError(f"parity: {kernel.strategy.slug} is not a quoting strategy that can be replayed by ticks")
    return kernel.strategy


def terms_of(retold: Retold) -> list[MarketTerms]:
    """The exchange of a heard tape. Requests take all of the time that answers took at that time, answers none: a
    pod cannot tell the two ways apart.
    """
    out, entry = [], delay.constant(0)
    if retold.answers:
        entry, _ = delay.measured([(since, max(0, ns - 2 * FEED_NS), 0) for since, ns in retold.answers])
    for market in by_place(retold.markets):
        if market.perp is None:
            out.append(MarketTerms(f"{market.coin} anchor", lot_size=ANCHOR_LOT, tick_size=market.tick_size))
            continue
        perp = market.perp
        out.append(MarketTerms(perp.coin, lot_size=float(perp.lot), decimals=perp.price_decimals, entry=entry))
    return out


def by_place(markets: Iterable[HeardMarket]) -> list[HeardMarket]:
    """Markets in the order of their places in the run."""
    return sorted(markets, key=lambda market: market.place)


def beside(session: Session, retold: Retold, window_ns: int) -> TickParity:
    """The backtest of a run, and what it has other than the run."""
    kernel = kernel_of(session)
    markets = by_place(retold.markets)
    replay = Replay(terms_of(retold))
    listings = [Listing(market.venue, market.coin, market.perp) for market in markets]
    diary = Diary(seen, tuple(_brawler(kernel).makers))
    TapeKernel(kernel, replay, listings, ZERO, diary, retold.aside).run([retold.rows])
    comparison = compare(("pod", "backtest"), retold.diary, diary.earlier(retold.late_ns), window_ns, TICK_NS)
    return TickParity(
        run=session.run,
        answer_ns=retold.answer_ns,
        requests=len(retold.diary.requests),
        fills=len(retold.diary.fills),
        comparison=comparison,
    )


def lines(found: TickParity, most: int = 20) -> list[str]:
    """A run's parity, for people: what is the same, the causes of what is not, and the first differences."""
    told = found.comparison
    out = [
        f"run {found.run}  {found.requests} requests, {told.same_requests} the same at the same time; "
        f"{found.fills} fills, {told.same_fills} the same; answers after {found.answer_ns / 1e6:.3f} ms"
    ]
    out += [f"    {cause:<12} {count}" for cause, count in told.causes.items()]
    out += [f"    {one.ns}  {one.who}: {one.what}: {one.cause}: {one.detail}" for one in told.differences[:most]]
    more = len(told.differences) - most
    return [*out, f"    and {more} more"] if more > 0 else out
