"""The allocator as a fold: what it sees each cycle, what it knows, and the leases, forecasts and reasons it gives out.

    step(terms, state, input) -> (state, outputs)

An observation teaches the records, the volatilities and the capacities; every ``every_ns`` capital is shared anew; on
every one, leases that are due are renewed. Without a usable observation no lease is renewed, and the pods run dry by
themselves.
"""

from __future__ import annotations

import math

import msgspec

from slipstream.federation import capacity, evidence, forecast, tenure
from slipstream.federation.allocation import Allocation, AllocationTerms, AllocatorInput, PodView, allocate
from slipstream.federation.capacity import Fit, Sample
from slipstream.federation.evidence import Record
from slipstream.federation.forecast import VolState
from slipstream.federation.life import Admit, LifecycleState, Override, Rules
from slipstream.federation.mandate import Grant, LeaseTerms, PodTerms, ceiling, grants, is_due, issue, scaled
from slipstream.federation.shortfall import OrderCost, mean_bp, recent
from slipstream.federation.stress import Market, Maximum, Stressed, StressTerms, stress
from slipstream.model.mandate import Mandate, Stage
from slipstream.model.messages import Alert, Decision, Forecast, StageChange


class AllocatorTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The fund's rules for lending. ``every_ns`` is of venue time."""

    pods: tuple[PodTerms, ...]
    allocation: AllocationTerms
    stress: StressTerms
    lease: LeaseTerms
    life: Rules = Rules()
    every_ns: int
    pod_drawdown: float = 0.4  # of a pod's own capital: beyond it the pod is retired
    gross_leverage: float = 2.0
    max_slippage_bp: float = 25.0


class Observation(msgspec.Struct, frozen=True, kw_only=True, tag="observation"):
    """The fund at a time, in USD: equity, pods' nets and signed positions by coin, prices, what slippage was seen.

    ``fills`` counts since the pod's books began; ``costs`` are of the orders that ended since the last look.
    ``blocked`` names pods that get no more than they have, and why; ``halted`` the open breaks that halt a pod. A pod
    without a net is one nobody can see.
    """

    ns: int
    equity: float
    nets: dict[str, float]
    marks: dict[str, float]
    positions: dict[str, dict[str, float]] = {}
    fills: dict[str, int] = {}
    blocked: dict[str, str] = {}
    halted: dict[str, tuple[str, ...]] = {}
    samples: tuple[Sample, ...] = ()
    costs: dict[str, tuple[OrderCost, ...]] = {}


class Rebase(msgspec.Struct, frozen=True, tag="rebase"):
    """An operator's word on where drawdowns count from: after a deposit, a withdrawal, or a stop that was accepted."""

    ns: int
    high_water: float
    who: str
    why: str


class Outranked(msgspec.Struct, frozen=True, tag="outranked"):
    """Versions above ours are in force: a mandate and a stage of an allocator whose journal is gone."""

    ns: int
    mandate: int
    stage: int


Input = Observation | Rebase | Override | Outranked
Output = Mandate | Forecast | StageChange | Decision | Alert


class AllocatorState(msgspec.Struct, frozen=True):
    """All that the allocator knows."""

    records: dict[str, Record] = {}
    vols: VolState = VolState()
    fits: dict[str, Fit] = {}
    costs: dict[str, tuple[OrderCost, ...]] = {}
    life: LifecycleState | None = None
    fills: dict[str, int] = {}  # at each pod's last closed hour
    capital: dict[str, float] = {}
    grants: dict[str, Grant] = {}
    leases: dict[str, Mandate] = {}
    high_water: float = 0.0
    shared_ns: int = 0
    versions: int = 0
    forecasts: int = 0


Step = tuple[AllocatorState, tuple[Output, ...]]


def step(terms: AllocatorTerms, state: AllocatorState, given: Input) -> Step:
    """The state after an input, and what goes out."""
    if isinstance(given, Rebase):
        return _rebased(state, given)
    if isinstance(given, Override):
        return _overridden(terms, state, given)
    if isinstance(given, Outranked):
        return _outranked(terms, state, given), ()
    if not (math.isfinite(given.equity) and given.equity >= 0.0) or not given.marks:
        return state, (_unusable(given),)
    old = state
    state, said = _lived(terms, old, _learned(terms, old, given), given)
    outputs: list[Output] = [*said, _beta(state, given)]
    if state.vols.hour != old.vols.hour or not state.forecasts:
        state = msgspec.structs.replace(state, forecasts=state.forecasts + 1)
        outputs.append(forecast.to_message(state.vols, state.forecasts, given.ns))
    newcomers = any(pod.pod not in state.grants for pod in terms.pods)
    if not state.shared_ns or newcomers or given.ns >= state.shared_ns + terms.every_ns:
        state, decisions = _shared(terms, state, given)
        outputs += decisions
    state, leases = _leased(terms, state, given.ns)
    return state, (*outputs, *leases)


def _beta(state: AllocatorState, given: Observation) -> Decision:
    """The fund's beta, for those who watch: what it holds, each coin at its beta to the anchor, over equity."""
    held = [(coin, usd) for book in given.positions.values() for coin, usd in book.items()]
    sums = [
        sum(usd * forecast.betas(coin, state.vols.coins.get(coin))[place] for coin, usd in held)
        for place in range(len(forecast.ANCHORS))
    ]
    after = [usd / given.equity for usd in sums] if given.equity > 0.0 else []
    lines = tuple(f"to {anchor} {value:+.3f}" for anchor, value in zip(forecast.ANCHORS, after, strict=False))
    text = f"the fund's beta to {forecast.ANCHORS[0]}"
    return Decision("beta", "", text, given.ns, lines, None, after[0] if after else None)


def _outranked(terms: AllocatorTerms, state: AllocatorState, given: Outranked) -> AllocatorState:
    """Count on from there, or nobody would take what we say."""
    life = tenure.begun(terms.life, terms.pods, state.life)
    life = msgspec.structs.replace(life, version=max(life.version, given.stage))
    return msgspec.structs.replace(state, versions=max(state.versions, given.mandate), life=life)


def _rebased(state: AllocatorState, given: Rebase) -> Step:
    if not (math.isfinite(given.high_water) and given.high_water >= 0.0):
        return state, (Alert("allocator/rebase", "warning", "rebase refused", f"{given.high_water} USD", given.ns),)
    text = f"drawdowns count from {given.high_water:,.2f} USD"
    said = Decision("rebase", "", text, given.ns, (given.why, f"by {given.who}"), state.high_water, given.high_water)
    return msgspec.structs.replace(state, high_water=given.high_water), (said,)


def stage_of(terms: AllocatorTerms, state: AllocatorState, pod: str) -> Stage:
    """A pod's stage: as it lives, or the one it is to begin in. Raises KeyError for a pod that is not known."""
    begun = {one.pod: one.stage for one in terms.pods}
    return state.life.pods[pod].stage if state.life is not None and pod in state.life.pods else begun[pod]


def _overridden(terms: AllocatorTerms, state: AllocatorState, given: Override) -> Step:
    """A person moves a pod; capital is shared anew at the next observation."""
    admissions = [Admit(pod.pod, pod.stage, given.ns) for pod in terms.pods]
    life, said = tenure.told(tenure.begun(terms.life, terms.pods, state.life), [*admissions, given])
    return msgspec.structs.replace(state, life=life, shared_ns=0), said


def _unusable(given: Observation) -> Alert:
    what = "no prices" if not given.marks else f"equity {given.equity}"
    body = f"{what}: nothing is lent and no lease renewed on that; pods only reduce when theirs end"
    return Alert("allocator/unusable", "error", "the allocator cannot see the fund", body, given.ns)


def _learned(terms: AllocatorTerms, state: AllocatorState, given: Observation) -> AllocatorState:
    records = dict(state.records)
    for pod in terms.pods:
        net = given.nets.get(pod.pod, math.nan)
        if math.isfinite(net):
            lent = state.capital.get(pod.pod, 0.0)
            records[pod.pod] = evidence.observe(records.get(pod.pod), given.ns, net, lent)
    by_coin: dict[str, list[Sample]] = {}
    for sample in given.samples:
        by_coin.setdefault(sample.coin, []).append(sample)
    fits = dict(state.fits)
    for coin, samples in by_coin.items():
        fits[coin] = capacity.learn(fits.get(coin, Fit()), given.ns, samples)
    return msgspec.structs.replace(
        state,
        records=records,
        fits=fits,
        costs={**state.costs, **{pod: recent(state.costs.get(pod, ()), new) for pod, new in given.costs.items()}},
        vols=forecast.learn(state.vols, given.ns, given.marks),
        high_water=max(state.high_water, given.equity),
    )


def _lived(
    terms: AllocatorTerms, old: AllocatorState, state: AllocatorState, given: Observation
) -> tuple[AllocatorState, tuple[tenure.Told, ...]]:
    """Tell the lifecycle of closed hours and of conduct; a changed stage has capital shared anew at once."""
    moves = tenure.anchor_moves(old.vols, state.vols)
    known, priced = capacities(terms, state), tuple(sorted(state.vols.coins))
    hours, standings, fills = {}, {}, dict(state.fills)
    for pod in terms.pods:
        slug, record = pod.pod, state.records.get(pod.pod)
        count = max(0, given.fills.get(slug, 0))
        if record is not None:
            fresh = max(0, count - fills.get(slug, 0))
            hours[slug] = tenure.closed_hours(slug, old.records.get(slug), record, moves, fresh)
            if hours[slug]:
                fills[slug] = count
        lent = state.capital.get(slug, 0.0)
        room = ceiling(pod, priced, known) / lent if lent > 1.0 else None
        standings[slug] = tenure.Standing(room, given.halted.get(slug, ()), mean_bp(state.costs.get(slug, ())))
    life, said = tenure.lived(
        tenure.begun(terms.life, terms.pods, state.life),
        terms.pods,
        given.ns,
        hours,
        state.records,
        standings,
        terms.pod_drawdown,
    )
    moved = any(isinstance(one, StageChange) for one in said)
    shared_ns = 0 if moved else state.shared_ns
    return msgspec.structs.replace(state, life=life, fills=fills, shared_ns=shared_ns), said


def capacities(terms: AllocatorTerms, state: AllocatorState) -> dict[str, float]:
    """The largest position of each coin (USD) whose exit costs no more than the fund accepts; known coins only."""
    found = {coin: capacity.surface(fit) for coin, fit in sorted(state.fits.items())}
    return {coin: law.cap(terms.max_slippage_bp) for coin, law in found.items() if law is not None}


def to_input(terms: AllocatorTerms, state: AllocatorState, given: Observation) -> AllocatorInput:
    """What the sharing of capital depends on, from what is known."""
    rules = terms.allocation
    priced = tuple(sorted(state.vols.coins))
    known = capacities(terms, state)
    views = []
    for pod in terms.pods:
        record = state.records.get(pod.pod)
        blocked = given.blocked.get(pod.pod, "")
        if not math.isfinite(given.nets.get(pod.pod, math.nan)):
            blocked = blocked or "its books cannot be seen"
        views.append(
            PodView(
                pod.pod,
                stage_of(terms, state, pod.pod),
                evidence.strength(record.returns if record else (), prior_vol=rules.prior_vol),
                state.capital.get(pod.pod, 0.0),
                ceiling(pod, priced, known),
                blocked,
            )
        )
    rows = evidence.aligned(state.records, [pod.pod for pod in terms.pods])
    matrix = evidence.correlation(rows, prior=rules.prior_correlation, prior_hours=rules.min_hours)
    return AllocatorInput(
        rules, given.equity, state.high_water, tuple(views), tuple(tuple(float(x) for x in row) for row in matrix)
    )


def _shared(terms: AllocatorTerms, state: AllocatorState, given: Observation) -> tuple[AllocatorState, list[Output]]:
    """Share capital anew; limits shrink by capacity and stress."""
    found = allocate(to_input(terms, state, given))
    capital = {share.pod: share.capital for share in found.shares}
    priced = tuple(sorted(state.vols.coins))
    granted = grants(
        terms.pods,
        capital,
        {pod.pod: stage_of(terms, state, pod.pod) for pod in terms.pods},
        priced,
        capacities(terms, state),
        leverage=terms.gross_leverage,
        actions=terms.lease.actions,
    )
    stressed = stress(terms.stress, given.equity, _market(state, granted), [_maximum(g, given) for g in granted])
    said = _decisions(state, found, stressed, given.ns)
    state = msgspec.structs.replace(
        state,
        capital=capital,
        grants={one.pod: scaled(one, stressed.scales[one.pod]) for one in granted},
        shared_ns=given.ns,
    )
    return state, said


def _market(state: AllocatorState, granted: tuple[Grant, ...]) -> Market:
    coins = sorted({coin for grant in granted for coin in grant.coin_caps} | set(forecast.ANCHORS))
    known = state.vols.coins
    return Market(
        {coin: forecast.daily_vol(known.get(coin)) for coin in coins},
        {coin: forecast.betas(coin, known.get(coin)) for coin in coins},
    )


def _maximum(grant: Grant, given: Observation) -> Maximum:
    return Maximum(grant.pod, grant.gross_cap, grant.coin_caps, given.positions.get(grant.pod, {}))


def _decisions(state: AllocatorState, found: Allocation, stressed: Stressed, ns: int) -> list[Output]:
    said: list[Output] = []
    for share in found.shares:
        old = state.capital.get(share.pod, 0.0)
        word = "keeps" if abs(share.capital - old) < 0.005 else f"{old:,.2f} ->"
        text = f"{share.pod}: capital {word} {share.capital:,.2f} USD"
        limits = f"limits are {stressed.scales[share.pod]:.0%} of full: {stressed.binding}"
        reasons = (*share.reasons, limits) if stressed.scales[share.pod] < 1.0 else share.reasons
        said.append(Decision("allocation", share.pod, text, ns, reasons, old, share.capital))
    if stressed.binding:
        lines = tuple(f"{f.name}: {f.value:.2f}, limit {f.limit:.2f}" for f in stressed.findings if f.scale < 1.0)
        lowest = min(stressed.scales.values(), default=1.0)
        text = f"if every pod went to its maximum at once: {stressed.binding} binds"
        said.append(Decision("stress", "", text, ns, lines, 1.0, lowest))
    return said


def _leased(terms: AllocatorTerms, state: AllocatorState, ns: int) -> tuple[AllocatorState, list[Mandate]]:
    leases = dict(state.leases)
    written = []
    version = state.versions
    for pod in terms.pods:
        grant = state.grants[pod.pod]
        before = leases.get(pod.pod)
        if is_due(before, grant, ns, terms.lease):
            version += 1
            leases[pod.pod] = issue(before, grant, version, ns, terms.lease)
            written.append(leases[pod.pod])
    return msgspec.structs.replace(state, leases=leases, versions=version), written
