"""The breaker's decisions: a pure fold of what is heard and seen into cancels and reductions.

For each pod, the strictest of these holds:

- its beat is missing (`beat_missed`): cancel every order of its prefix;
- it is HALTED and orders of it still rest after the grace: cancel them;
- its lease ended: cancel what increases its position, after the lease's grace everything;
- it is REDUCING by a halt: cancel what increases its position;
- somebody ordered to flatten it, or it is halted and dead for long: cancel everything, then close its positions with
  reduce-only orders, a snapshot at a time, never more than the account holds.

The auditor's beat is watched too: while it is missing every pod only reduces. Nothing here can open or enlarge a
position: the venue holds a reduce-only order to the account's position, whatever we believe.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from slipstream.federation.breaker.state import (
    Answered,
    Arm,
    BreakerState,
    BreakerTerms,
    CancelOrders,
    Heard,
    Input,
    Latch,
    Output,
    PodWatch,
    Reduce,
    Seen,
    Tick,
)
from slipstream.model.cloid import BREAKER, breaker_prefix, pod_prefix
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate, Resume, TradingState
from slipstream.model.messages import Alert, AuditReport, Beat, Decision, Flatten
from slipstream.model.order import Order
from slipstream.model.topics import ALL

ZERO = Decimal(0)
FLATTEN = f"{BREAKER}:flatten"  # who of the halt that comes with an order to flatten: the auditor's return ends others
Step = tuple[BreakerState, tuple[Output, ...]]


def step(terms: BreakerTerms, state: BreakerState, given: Input) -> Step:
    """The state after an input, and what to do."""
    if isinstance(given, Heard):
        if isinstance(given.message, Flatten):
            return _ordered(state, given.message)
        return _heard(state, given), ()
    if isinstance(given, Answered):
        return _answered(terms, state, given)
    if isinstance(given, Tick):
        return _tick(terms, state, given)
    return _seen(terms, state, given)


def needs_sight(terms: BreakerTerms, state: BreakerState, ns: int, wall_ns: int) -> bool:
    """Whether anything is amiss, so that the venue must be looked at now."""
    troubled = any(_verdict(terms, state, slug, ns, wall_ns)[0] is not NOTHING for slug in terms.pods)
    return troubled or state.flatten_all is not None


def _replace(state: BreakerState, slug: str, watch: PodWatch) -> BreakerState:
    return msgspec.structs.replace(state, pods={**state.pods, slug: watch})


def _ordered(state: BreakerState, order: Flatten) -> Step:
    """Take an order to flatten: halt whom it concerns, so that nothing is opened behind our back."""
    if order.pod and order.pod not in state.pods:
        return state, ()
    # only a writer's own orders of one target have an order among themselves: each writer counts by its own clock
    key = f"{order.pod or ALL}/{order.who}"
    if order.generation <= max(state.flattened.get(key, 0), *_cleared(state, order.pod or ALL, order.who)):
        return state, ()
    state = msgspec.structs.replace(state, flattened={**state.flattened, key: order.generation})
    if not order.pod:
        state = msgspec.structs.replace(state, flatten_all=order)
    else:
        state = _replace(state, order.pod, msgspec.structs.replace(state.pods[order.pod], flatten=order))
    why = f"flatten by {order.who}: {order.why}"
    halt = Halt(order.generation, TradingState.HALTED, FLATTEN, why, "slipstream resume", order.ns)
    # everybody's topic keeps one message, and other halts use it: each pod's own keeps this one for who joins late
    whom = (order.pod,) if order.pod else (ALL, *sorted(state.pods))
    return state, (*(Latch(slug, halt) for slug in whom), Decision("flatten", order.pod, why, order.ns))


def _heard(state: BreakerState, heard: Heard) -> BreakerState:
    message = heard.message
    if isinstance(message, Beat):
        beats = {**state.beats, message.process: heard.wall_ns}
        state = msgspec.structs.replace(state, beats=beats)
        watch = state.pods.get(message.process)
        if watch is None:
            return state
        return _replace(state, message.process, msgspec.structs.replace(watch, beat_wall_ns=heard.wall_ns))
    if isinstance(message, AuditReport):
        for pod in message.pods:
            watch = state.pods.get(pod.pod)
            if watch is not None:
                held = {line.coin: line.position for line in pod.lines if line.position}
                # an auditor that cannot read the venue goes on telling what it knew, and its stream may lose a fill
                said = (pod.sure_ns, pod.known_ns, message.ns)
                audited_ns = next(ns for ns in said if ns is not None)
                watch = msgspec.structs.replace(watch, positions=held, audited_ns=audited_ns)
                state = _replace(state, pod.pod, watch)
        return state
    if isinstance(message, Halt | Resume):
        return _permit(state, heard.slug, message)
    watch = state.pods.get(heard.slug)
    if isinstance(message, Mandate) and watch is not None:
        known = watch.mandate.version if watch.mandate is not None else -1
        if message.version > known:
            return _replace(state, heard.slug, msgspec.structs.replace(watch, mandate=message))
    return state


def _cleared(state: BreakerState, slug: str, who: str) -> list[int]:
    """Generations up to which a writer's halts of a pod (or of all) were cleared: by whom, and whose."""
    return [state.cleared.get(f"{whom}/{whose}", 0) for whom in (ALL, slug) for whose in ("", who)]


def _latched(halts: dict[str, Halt], halt: Halt) -> dict[str, Halt]:
    """With one more: what comes late or twice replaces nothing newer, and a milder one nothing stricter."""
    key = f"{halt.who}/{halt.state.value}"
    known = halts.get(key)
    return halts if known is not None and known.generation > halt.generation else {**halts, key: halt}


def _permit(state: BreakerState, slug: str, message: Halt | Resume) -> BreakerState:
    """Latch or clear: a writer's newest halt of each state counts, a Resume clears up to its own generation."""
    if isinstance(message, Halt):
        if message.generation <= max(_cleared(state, slug, message.who)):
            return state
        if slug == ALL:
            return msgspec.structs.replace(state, halts_all=_latched(state.halts_all, message))
        watch = state.pods.get(slug)
        if watch is None:
            return state
        return _replace(state, slug, msgspec.structs.replace(watch, halts=_latched(watch.halts, message)))

    def left(halts: dict[str, Halt]) -> dict[str, Halt]:
        return {
            key: halt
            for key, halt in halts.items()
            if halt.generation > message.generation or message.whose not in ("", halt.who)
        }

    key = f"{slug}/{message.whose}"
    cleared = {**state.cleared, key: max(state.cleared.get(key, 0), message.generation)}
    state = msgspec.structs.replace(state, cleared=cleared)
    if slug != ALL:
        watch = state.pods.get(slug)
        if watch is None:
            return state
        flatten = None if message.whose == "" else watch.flatten
        return _replace(state, slug, msgspec.structs.replace(watch, halts=left(watch.halts), flatten=flatten))
    pods = {name: msgspec.structs.replace(watch, halts=left(watch.halts)) for name, watch in state.pods.items()}
    if message.whose == "":
        pods = {name: msgspec.structs.replace(watch, flatten=None) for name, watch in pods.items()}
        state = msgspec.structs.replace(state, flatten_all=None)
    return msgspec.structs.replace(state, pods=pods, halts_all=left(state.halts_all))


def _silence(state: BreakerState, process: str, wall_ns: int) -> int:
    """Wall ns since the last beat, or since we began."""
    return wall_ns - max(state.beats.get(process, 0), state.started_wall_ns)


NOTHING, INCREASING, EVERYTHING, FLAT = range(4)


def _verdict(
    terms: BreakerTerms, state: BreakerState, slug: str, ns: int, wall_ns: int
) -> tuple[int, tuple[str, ...], Halt | None]:
    """How far to go with a pod, why, and the strictest halt."""
    watch = state.pods[slug]
    # as the pod takes it: a Resume of the pod alone also ends, for this pod, what was latched for everybody
    of_all = [h for h in state.halts_all.values() if h.generation > max(_cleared(state, slug, h.who))]
    halts = sorted([*watch.halts.values(), *of_all], key=lambda h: (h.generation, h.who))
    verdict, why = NOTHING, []
    silent = _silence(state, slug, wall_ns)
    halted = None
    for halt in halts:
        if halt.state is TradingState.HALTED:
            halted = halt
            if ns > halt.ns + terms.halt_grace_ns:
                verdict = max(verdict, EVERYTHING)
                why.append(f"halted by {halt.who}: {halt.why}")
        elif halt.state is TradingState.REDUCING and ns > halt.ns + terms.halt_grace_ns:
            verdict = max(verdict, INCREASING)
            why.append(f"reducing by {halt.who}: {halt.why}")
    if silent > terms.beat_missed_wall_ns:
        verdict = max(verdict, EVERYTHING)
        why.append("its beat is missing")
    if watch.mandate is not None and ns > watch.mandate.expires_ns:
        late = ns - watch.mandate.expires_ns
        verdict = max(verdict, EVERYTHING if late > watch.mandate.grace_ns else INCREASING)
        why.append(f"mandate {watch.mandate.version} has expired")
    order = watch.flatten or state.flatten_all
    if order is not None:
        verdict = FLAT
        why.append(f"flatten by {order.who}: {order.why}")
    elif halted is not None and silent > terms.flatten_after_wall_ns:
        verdict = FLAT
        why.append("halted and dead")
    return verdict, tuple(why), halted


def _tick(terms: BreakerTerms, state: BreakerState, tick: Tick) -> Step:
    out: list[Output] = []
    # a Resume that was heard may bear a number ahead of our clock: pods would take less for cleared
    number = max(tick.ns, 1 + max(state.cleared.values(), default=0))
    silent = tuple(
        p
        for p in terms.watched
        # who was silent when this process started is, until it is heard
        if _silence(state, p, tick.wall_ns) > terms.beat_missed_wall_ns or (p in state.silent and p not in state.beats)
    )
    if silent and not state.silent:
        why = f"no beat of the {', '.join(silent)}"
        halt = Halt(number, TradingState.REDUCING, BREAKER, why, "its beat comes back", tick.ns)
        out.append(Latch(ALL, halt))
        out.append(
            Alert("silent/" + "+".join(silent), "error", why, "every pod only reduces until it is back", tick.ns)
        )
        out.append(Decision("halt", "", "every pod only reduces", tick.ns, (why,)))
    elif state.silent and not silent:
        why = f"the {', '.join(state.silent)} is back"
        out.append(Latch(ALL, Resume(number, BREAKER, why, tick.ns, whose=BREAKER)))
        out.append(Decision("resume", "", "pods may increase again", tick.ns, (why,)))
    state = msgspec.structs.replace(state, silent=silent)
    for slug in terms.pods:
        verdict, reasons, _ = _verdict(terms, state, slug, tick.ns, tick.wall_ns)
        watch = state.pods[slug]
        dead = _silence(state, slug, tick.wall_ns) > terms.beat_missed_wall_ns
        if dead and not watch.dead:
            out.append(Alert(f"dead/{slug}", "error", f"pod {slug} is silent", "its orders are cancelled", tick.ns))
        if reasons != watch.troubles:
            text = ("leave it alone", "cancel what increases", "cancel all its orders", "close its positions")[verdict]
            out.append(Decision("breaker", slug, text, tick.ns, reasons or ("nothing is amiss any more",)))
        state = _replace(state, slug, msgspec.structs.replace(watch, dead=dead, troubles=reasons))
    due = tick.ns > state.armed_until_ns - 2 * terms.schedule_cancel_ns // 3
    if due and tick.ns >= state.retry_arm_ns and terms.schedule_cancel_ns > 0:
        out.append(Arm(tick.ns + terms.schedule_cancel_ns))
    return state, tuple(out)


def _answered(terms: BreakerTerms, state: BreakerState, answer: Answered) -> Step:
    if not answer.refused:
        return msgspec.structs.replace(state, armed_until_ns=answer.until_ns, retry_arm_ns=0), ()
    first = state.retry_arm_ns == 0
    state = msgspec.structs.replace(state, retry_arm_ns=answer.ns + terms.schedule_retry_ns, armed_until_ns=0)
    said = Decision("dead man's switch", "", "the venue does not arm it", answer.ns, (answer.refused,))
    return state, (said,) if first else ()


def _seen(terms: BreakerTerms, state: BreakerState, seen: Seen) -> Step:
    state = msgspec.structs.replace(state, positions=seen.positions)
    out: list[Output] = []
    for slug in terms.pods:
        verdict, why, _ = _verdict(terms, state, slug, seen.ns, seen.wall_ns)
        if verdict is NOTHING:
            continue
        orders = _orders(slug, seen.orders)
        held = state.pods[slug].positions
        going = orders if verdict >= EVERYTHING else _increasing(orders, held)
        if going:
            out.append(CancelOrders(tuple((o.coin, o.cloid) for o in going), f"{slug}: " + "; ".join(why)))
        watch = state.pods[slug]
        if verdict is FLAT and not orders and watch.audited_ns >= watch.reduced_ns + terms.settle_ns:
            orders_against = _reduce(terms, slug, held, seen, "; ".join(why))
            out.extend(orders_against)
            if orders_against:
                state = _replace(state, slug, msgspec.structs.replace(watch, reduced_ns=seen.ns))
            elif not held:
                # carried out; the halts that came with it stay
                state = _replace(state, slug, msgspec.structs.replace(watch, flatten=None))
    if state.flatten_all is not None:
        state, more = _flatten_account(terms, state, seen)
        out.extend(more)
    return state, tuple(out)


def _orders(slug: str, orders: Iterable[Order]) -> list[Order]:
    return [o for o in orders if o.cloid.startswith((pod_prefix(slug), breaker_prefix(slug)))]


def _increasing(orders: Iterable[Order], held: dict[str, Decimal]) -> list[Order]:
    """Orders that could leave a larger position than there is, or with those before them turn it round."""
    left = dict(held)
    out: list[Order] = []
    for order in orders:
        position = left.get(order.coin, ZERO)
        if position * order.side.sign >= 0 or order.remaining > abs(position):
            out.append(order)
        else:
            left[order.coin] = position + order.remaining * order.side.sign
    return out


def _reduce(terms: BreakerTerms, slug: str, held: dict[str, Decimal], seen: Seen, why: str) -> list[Output]:
    """Orders against a pod's positions, each no larger than the account's own position of that sign."""
    out: list[Output] = []
    for coin in sorted(held):
        account = seen.positions.get(coin, ZERO)
        size = min(abs(held[coin]), abs(account)) if held[coin] * account > 0 else ZERO
        mid = seen.mids.get(coin, ZERO)
        if size > 0 and mid > 0:
            side = Side.SELL if held[coin] > 0 else Side.BUY
            px = mid * (1 + side.sign * Decimal(repr(terms.max_slippage)))
            out.append(Reduce(slug, coin, side, size, px, _intent(seen.ns), why))
    return out


def _intent(ns: int) -> int:
    """A number no earlier reduction had: the venue's millisecond, within a cloid's 48 bits."""
    return (ns // 1_000_000) & ((1 << 48) - 1)


def _flatten_account(terms: BreakerTerms, state: BreakerState, seen: Seen) -> tuple[BreakerState, list[Output]]:
    """What the pods' books do not explain is closed too, once no order rests; all of it while nobody keeps books."""
    rest = {coin: szi for coin, szi in seen.positions.items() if szi}
    explained = set() if state.silent else {coin for watch in state.pods.values() for coin in watch.positions}
    if seen.orders:
        # a person's order, or one of the venue's own page, may bear no cloid: its number names it
        foreign = tuple(
            (o.coin, o.cloid or str(o.oid)) for o in seen.orders if not any(_orders(s, [o]) for s in terms.pods)
        )
        return state, [CancelOrders(foreign, "flatten everything")] if foreign else []
    if not rest:
        said = Decision("flat", "", "no order rests and no position is open", seen.ns)
        return msgspec.structs.replace(state, flatten_all=None), [said]
    strays = {coin: szi for coin, szi in rest.items() if coin not in explained}
    return state, _reduce(terms, "", strays, seen, "flatten everything: nobody claims this position")
