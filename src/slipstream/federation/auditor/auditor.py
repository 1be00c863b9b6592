"""The auditor's cycle: read, listen, compare, escalate. A pure step from memory and observation to memory and words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from slipstream.federation.auditor.books import Books
from slipstream.federation.auditor.case import ZERO, Case, Finding, newest_before, newest_known
from slipstream.federation.auditor.checks import fund, silence
from slipstream.federation.auditor.escalate import (
    LEVELS,
    follow,
    in_words,
    merge,
    resolve,
    state_for,
    wanted,
)
from slipstream.federation.auditor.examine import examine, since_seen
from slipstream.federation.auditor.hearing import heard_halt, heard_resume, listen
from slipstream.federation.auditor.limits import AuditLimits
from slipstream.federation.auditor.memory import Account, Marks, Memory, Pod, Traded
from slipstream.federation.auditor.observe import Observation, Resolve
from slipstream.federation.auditor.reading import News, read_account
from slipstream.federation.auditor.roster import NOBODY, Roster
from slipstream.model.breaks import Break, BreakKind, Level
from slipstream.model.cloid import pod_prefix
from slipstream.model.mandate import Halt, Resume
from slipstream.model.messages import Alert, AuditedPod, AuditReport, Decision, Flatten
from slipstream.model.topics import ALL

WHO = "auditor"
KEPT_MARKS = 64


class Told(msgspec.Struct, frozen=True):
    """An output: ``target`` is a pod's slug, ``all``, or ``fund``."""

    target: str
    message: Break | Halt | Resume | Flatten | Alert | Decision | AuditReport


class Auditor:
    """The rules of one fund: who trades, what is forgiven, which processes must be heard. Holds no state."""

    def __init__(self, roster: Roster, limits: AuditLimits, processes: tuple[str, ...] = ()) -> None:
        self.roster = roster
        self.limits = limits
        self.processes = processes

    def step(self, memory: Memory, seen: Observation) -> tuple[Memory, tuple[Told, ...]]:
        """One cycle."""
        gap = memory.ns > 0 and seen.ns - memory.ns > self.limits.silent_ns
        silent_ns = seen.ns - memory.ns if gap else 0
        memory, news = self._observe(memory, seen, gap)
        prices = memory.marks[-1].px if memory.marks else {}
        sums = {
            address: fund.check_positions(account, self.limits, prices) for address, account in memory.accounts.items()
        }
        cases = self._cases(memory, news, seen, sums)
        findings = [item for case in cases for item in examine(case)]
        findings += [item for address in sums for item in since_seen(memory, address, sums[address], seen.ns)]
        unsure = {item.pod for item in findings if not item.sure}
        doubted = {case.spec.account for case in cases if case.slug in unsure} | (set(sums) if "" in unsure else set())
        findings += self._of_fund(memory, news, seen, silent_ns)
        blind = frozenset(case.slug for case in cases if case.judged is None)
        tracked, changed = follow(memory.tracked, merge(findings), blind, seen.ns, self.limits)
        asked = tuple(item for item in seen.heard if isinstance(item, Resolve))
        tracked, closed, refused = resolve(tracked, asked, seen.ns)
        told = [Told(b.pod or "fund", b) for b in (*changed, *closed)]
        told += [Told("fund", _alert(b, seen.ns)) for b in changed if b.is_open]
        told += [Told("fund", _decision(b, seen.ns)) for b in (*changed, *closed)]
        told += [Told("fund", Decision("resolve", "", text, seen.ns)) for text in refused]
        memory = msgspec.structs.replace(memory, tracked=tracked, doubted=tuple(sorted(doubted)))
        memory, orders_given = self._stop(memory, seen.ns)
        told += orders_given
        told.append(Told("fund", self._report(memory, seen)))
        return memory, tuple(told)

    def _observe(self, memory: Memory, seen: Observation, gap: bool) -> tuple[Memory, dict[str, News]]:
        """Fold what was read and heard."""
        # the fund may have gained or lost a pod or an account since the memory began
        pods = {slug: memory.pods.get(slug, Pod()) for slug in self.roster.pods}
        accounts = {a: memory.accounts.get(a) or Account(books=Books(a)) for a in self.roster.accounts}
        news: dict[str, News] = {}
        for view in seen.accounts:
            if view.account in accounts:
                accounts[view.account], news[view.account] = read_account(
                    accounts[view.account], view, self.roster, self.limits, seen.marks
                )
        pods, pulses = listen(pods, memory.pulses, seen.heard, (seen.ns, seen.wall_ns), self.limits)
        marks = memory.marks
        if seen.marks and (not marks or seen.marks_ns > marks[-1].ns):
            marks = (*marks[1 - KEPT_MARKS :], Marks(seen.marks_ns, seen.marks))
        started = memory.started_ns or seen.ns
        for slug, pod in pods.items():
            pods[slug] = self._count(pod, slug, news.get(self.roster.pods[slug].account, News()), started)
        memory = msgspec.structs.replace(
            memory,
            cycle=memory.cycle + 1,
            started_ns=started,
            awake_ns=seen.ns if gap or not memory.awake_ns else memory.awake_ns,
            ns=seen.ns,
            wall_ns=seen.wall_ns,
            pods=pods,
            accounts=accounts,
            pulses=pulses,
            marks=marks,
        )
        return memory, news

    def _count(self, pod: Pod, slug: str, news: News, started_ns: int) -> Pod:
        """Requests and volumes of a pod's own hand."""
        placed = 0
        if pod.mandates:
            since = max(pod.mandates[-1].ns + self.limits.obey_ns, started_ns)
            placed = sum(
                1
                for item in news.orders
                if item.pod == slug and not item.by_breaker and (item.order.placed_ns or item.order.seen_ns) >= since
            )
        traded = tuple(
            Traded(item.fill.sz * item.fill.px, item.fill.crossed)
            for item in news.fills
            if item.pod == slug and not item.by_breaker and item.fill.ns > started_ns and not pod.halts
        )
        if not placed and not traded:
            return pod
        kept = (*pod.flow, *traded)[-self.limits.intent_fills :]
        return msgspec.structs.replace(pod, actions=pod.actions + placed, flow=kept)

    def _cases(
        self, memory: Memory, news: dict[str, News], seen: Observation, sums: dict[str, list[Finding]]
    ) -> list[Case]:
        cases = []
        for slug, spec in self.roster.pods.items():
            brought = news.get(spec.account, News())
            view = memory.accounts[spec.account].view
            pod = memory.pods[slug]
            cases.append(
                Case(
                    limits=self.limits,
                    ns=seen.ns,
                    spec=spec,
                    pod=pod,
                    account=memory.accounts[spec.account],
                    fills=tuple(item for item in brought.fills if item.pod == slug),
                    orders=tuple(item for item in brought.orders if item.pod == slug),
                    marks=memory.marks,
                    bus_since_ns=seen.bus_since_ns,
                    started_ns=memory.started_ns,
                    awake_ns=memory.awake_ns,
                    doubtful=frozenset(item.subject for item in sums[spec.account]),
                    judged=newest_known(pod, view.fills_ns) if view is not None else None,
                    judged_orders=newest_before(pod, view.orders_ns) if view is not None else None,
                )
            )
        return cases

    def _of_fund(self, memory: Memory, news: dict[str, News], seen: Observation, silent_ns: int) -> Iterator[Finding]:
        """What concerns no single pod's report."""
        for address, account in memory.accounts.items():
            yield from fund.check_unclaimed(account, news.get(address, News()), self.roster, memory.started_ns)
            yield from self._reach(memory, account, seen)
        yield from silence.check_beats(memory, self.processes, seen.ns, seen.bus_since_ns, self.limits)
        for slug in self.roster.pods:
            yield from silence.check_skew(slug, memory.pulses.get(f"report/{slug}"), self.limits)
        if silent_ns or not seen.bus_since_ns:
            text = "the bus is lost: nothing is heard" if not silent_ns else "no look at the venue in between"
            yield Finding(
                kind=BreakKind.AUDITOR_SILENT,
                pod="",
                subject="bus" if not silent_ns else "",
                size=silence.seconds(silent_ns),
                unit="s",
                proven=bool(silent_ns),
                evidence=(text,),
            )

    def _reach(self, memory: Memory, account: Account, seen: Observation) -> Iterator[Finding]:
        view = account.view
        known = min(view.state_ns, view.orders_ns, view.fills_ns) if view is not None else memory.started_ns
        age = seen.ns - known
        if age > self.limits.venue_stale_ns:
            yield Finding(
                kind=BreakKind.VENUE_UNREACHABLE,
                pod="",
                subject=account.books.account,
                size=silence.seconds(age),
                unit="s",
                proven=True,
                evidence=(f"the account was last read whole {silence.seconds(age)} s ago", seen.error or "no error"),
            )

    def _stop(self, memory: Memory, ns: int) -> tuple[Memory, list[Told]]:
        """Halts, resumes and orders to flatten: only where the level that is wanted changed."""
        now = wanted(memory.tracked, ALL)
        told: list[Told] = []
        halted, pods, generation = dict(memory.halted), dict(memory.pods), memory.generation
        flattens = dict(memory.flattens)
        for target in sorted({*now, *halted}):
            level, breaks = now.get(target, (Level.WARN, ()))
            before = halted.get(target, Level.WARN)
            if level is before:
                continue
            whom = tuple(pods) if target == ALL else tuple({target} & pods.keys())
            # a Resume that was heard may bear a number ahead of our clock: pods would take less for cleared
            cleared = max((pods[slug].cleared.get(whose, 0) for slug in whom for whose in ("", WHO)), default=0)
            generation = max(generation, cleared, ns - 1) + 1
            given: list[Halt | Resume] = []
            if LEVELS.index(level) < LEVELS.index(before):
                given.append(Resume(generation, WHO, "the breaks behind the halt are over", ns, WHO))
                generation += 1
            if level is not Level.WARN:
                given.append(halt_for(level, breaks, generation, ns))
            for order in given:
                told.append(Told(target, order))
                for slug in whom:
                    if isinstance(order, Halt):
                        pods[slug] = heard_halt(pods[slug], order, ns)
                    else:
                        pods[slug] = heard_resume(pods[slug], order)
            flattens.pop(target, None)
            if level is Level.BREAKER:
                flattens[target] = Flatten(generation, "" if target == ALL else target, WHO, given[-1].why, ns)
                told.append(Told(target, flattens[target]))
            text = f"{target}: {before.value} -> {level.value}"
            reasons = tuple(in_words(b) for b in breaks) or ("every break behind it is over",)
            told.append(Told("fund", Decision("halt", "" if target == ALL else target, text, ns, reasons)))
            halted[target] = level
        halted = {target: level for target, level in halted.items() if level is not Level.WARN}
        memory = msgspec.structs.replace(memory, halted=halted, flattens=flattens, pods=pods, generation=generation)
        return memory, told

    def _report(self, memory: Memory, seen: Observation) -> AuditReport:
        prices = memory.marks[-1].px if memory.marks else {}
        views = [account.view for account in memory.accounts.values() if account.view is not None]
        nobodys = [
            track.coin_line(coin)
            for account in memory.accounts.values()
            for coin, track in sorted(account.books.book(NOBODY).items())
        ]
        return AuditReport(
            cycle=memory.cycle,
            ns=seen.ns,
            wall_ns=seen.wall_ns,
            took_ns=seen.took_ns,
            equity=sum((view.equity for view in views), ZERO),
            pods=tuple(audited(slug, memory.accounts[spec.account], prices) for slug, spec in self.roster.pods.items()),
            breaks=tuple(t.broken for _, t in sorted(memory.tracked.items()) if t.broken is not None),
            unclaimed=tuple(nobodys),
        )


def halt_for(level: Level, breaks: Sequence[Break], generation: int, ns: int) -> Halt:
    """A halt in words: every break that is as bad as it says, and how all of them clear."""
    why = "; ".join(in_words(b) for b in breaks if b.level is level)
    return Halt(generation, state_for(level), WHO, why, "; ".join(sorted({b.clears for b in breaks})), ns)


def standing(memory: Memory) -> tuple[Told, ...]:
    """The halts in force, to be said again to a bus that may have forgotten them."""
    now = wanted(memory.tracked, ALL)
    return tuple(
        Told(target, halt_for(level, now[target][1], memory.generation, memory.ns))
        for target, level in sorted(memory.halted.items())
        if target in now
    )


def standing_orders(memory: Memory) -> tuple[Told, ...]:
    """The orders to flatten in force: no broker keeps them, and a breaker that starts anew has not heard them."""
    return tuple(Told(target, order) for target, order in sorted(memory.flattens.items()))


def audited(slug: str, account: Account, prices: dict[str, Decimal]) -> AuditedPod:
    """A pod as the venue shows it, at the newest prices; a coin without a price is valued at its entry."""
    book = account.books.book(slug)
    net = gross = exposure = maker = taker = ZERO
    for coin, track in book.items():
        line = track.line
        px = prices.get(coin, line.entry)
        net += line.cash + line.position * px - line.fees + track.funding
        gross += abs(line.position) * px
        exposure += line.position * px
        maker += line.maker
        taker += line.taker
    resting = account.view.orders if account.view is not None else ()
    prefix = pod_prefix(slug)
    return AuditedPod(
        pod=slug,
        lines=tuple(track.coin_line(coin) for coin, track in sorted(book.items())),
        net=net,
        gross=gross,
        net_exposure=exposure,
        open_orders=sum(1 for row in resting if row.cloid[:10].lower() == prefix),
        maker_volume=maker,
        taker_volume=taker,
        known_ns=account.view.fills_ns if account.view is not None else 0,
        sure_ns=account.view.sure_ns if account.view is not None else 0,
    )


def _alert(broken: Break, ns: int) -> Alert:
    level = {Level.WARN: "warning", Level.REDUCING: "error"}.get(broken.level, "critical")
    title = f"{broken.level.value}: {broken.kind.value} {broken.pod or 'fund'} {broken.subject}".strip()
    body = "\n".join((*broken.evidence, f"clears: {broken.clears}"))
    # every step up is a matter of its own: people hear of each
    return Alert(f"{broken.id}/{broken.level.value}", level, title, body, ns)


def _decision(broken: Break, ns: int) -> Decision:
    if broken.is_open:
        return Decision("break", broken.pod, f"{broken.level.value}: {in_words(broken)}", ns, broken.evidence)
    return Decision("break", broken.pod, f"over: {broken.id}", ns, (broken.resolved_by,))
