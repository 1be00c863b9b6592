"""Lies, told on the real emulator by a pod with real orders: each is caught, as what it is, within two seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import msgspec

from slipstream.federation.auditor.limits import SECOND
from slipstream.model.breaks import Break, BreakKind
from slipstream.model.cloid import Cloid, pod_id
from slipstream.model.commands import Cancel
from slipstream.model.instrument import Side
from slipstream.model.mandate import Stage, TradingState
from slipstream.model.messages import CoinLine, OrderLine, PodReport
from slipstream.model.order import Tif
from slipstream.venues.hyperliquid import actions
from tests.federation.auditor.reporting import totalled
from tests.federation.auditor.stage import FundStage, StagePod, fund_stage

WITHIN = 2 * SECOND
K = BreakKind
replace = msgspec.structs.replace
Act = Callable[[FundStage, StagePod], Awaitable[int]]


def line(report: PodReport, coin: str, change: Callable[[CoinLine], CoinLine]) -> PodReport:
    """A report with one line changed and totals to match."""
    return totalled(replace(report, lines=tuple(change(x) if x.coin == coin else x for x in report.lines)))


def hides_position(report: PodReport) -> PodReport:
    return line(report, "BTC", lambda x: replace(x, position=Decimal(0), average_px=Decimal(0)))


def omits_line(report: PodReport) -> PodReport:
    return totalled(replace(report, lines=tuple(x for x in report.lines if x.coin != "BTC")))


def wrong_size(report: PodReport) -> PodReport:
    return line(report, "BTC", lambda x: replace(x, position=x.position / 2))


def inflates_profit(report: PodReport) -> PodReport:
    return line(report, "BTC", lambda x: replace(x, realised=x.realised + 25))


def forges_fill(report: PodReport) -> PodReport:
    more = Decimal("0.001")
    return line(
        report,
        "BTC",
        lambda x: replace(
            x, position=x.position + more, volume=x.volume + more * report.marks["BTC"], fills=x.fills + 1
        ),
    )


def drops_fee(report: PodReport) -> PodReport:
    return line(report, "BTC", lambda x: replace(x, fees=x.fees - Decimal("0.02")))


def drops_fill(report: PodReport) -> PodReport:
    return line(
        report,
        "BTC",
        lambda x: replace(
            x, position=x.position - Decimal("0.001"), volume=x.volume - report.marks["BTC"] / 1000, fills=x.fills - 1
        ),
    )


def misstates_funding(report: PodReport) -> PodReport:
    return line(report, "BTC", lambda x: replace(x, funding=x.funding + Decimal("0.01")))


def false_prices(report: PodReport) -> PodReport:
    return totalled(replace(report, marks={coin: px * Decimal("1.05") for coin, px in report.marks.items()}))


def understates_exposure(report: PodReport) -> PodReport:
    return replace(report, gross=report.gross / 2)


def hides_order(report: PodReport) -> PodReport:
    return replace(report, orders=())


def invents_order(report: PodReport) -> PodReport:
    made = OrderLine(report.orders[0].cloid[:-5] + "9" * 5, 10**9, "BTC", Side.BUY, Decimal(90_000), Decimal("0.01"))
    return replace(report, orders=(*report.orders, made))


def claims_stage(report: PodReport) -> PodReport:
    return replace(report, stage=Stage.MATURITY)


def obeys_old_mandate(report: PodReport) -> PodReport:
    return replace(report, mandate_version=report.mandate_version - 1)


def skews_clock(report: PodReport) -> PodReport:
    return replace(report, ns=report.ns + 5 * SECOND, wall_ns=report.wall_ns + 5 * SECOND)


def runs_late(report: PodReport) -> PodReport:
    return replace(report, ns=report.ns - 5 * SECOND, wall_ns=report.wall_ns - 5 * SECOND)


def says_nothing(report: PodReport) -> None:
    return None


SAID = {
    "hides a position": (K.POSITION, hides_position),
    "omits a line": (K.POSITION, omits_line),
    "reports half a position": (K.POSITION, wrong_size),
    "inflates its profit": (K.PNL, inflates_profit),
    "marks at false prices": (K.PNL, false_prices),
    "forges a fill": (K.FILL_FORGED, forges_fill),
    "drops a fill": (K.FILL_MISSING, drops_fill),
    "drops a fee": (K.FEES, drops_fee),
    "misstates funding": (K.FUNDING, misstates_funding),
    "understates exposure": (K.EXPOSURE, understates_exposure),
    "hides an order": (K.ORDER_HIDDEN, hides_order),
    "invents an order": (K.ORDER_PHANTOM, invents_order),
    "claims another stage": (K.STAGE, claims_stage),
    "obeys an older mandate": (K.MANDATE_STALE, obeys_old_mandate),
    "sets its clock ahead": (K.CLOCK_SKEW, skews_clock),
    "sets its clock back": (K.CLOCK_SKEW, runs_late),
    "freezes": (K.REPORT_STALE, says_nothing),
}


async def replays(stage: FundStage, pod: StagePod) -> int:
    old = pod.last[-3]
    pod.lie = lambda report: old
    while not pod.lied_ns:
        await stage.block()
    return pod.lied_ns


async def replays_renumbered(stage: FundStage, pod: StagePod) -> int:
    old = pod.last[-3]
    pod.lie = lambda report: replace(old, seq=report.seq)
    while not pod.lied_ns:
        await stage.block()
    return pod.lied_ns


async def exceeds_cap(stage: FundStage, pod: StagePod) -> int:
    while stage.blocks % 10 != pod.phase:
        await stage.block()
    await pod.send(("BTC", "0.04", "1.02", Tif.IOC))
    told = pod.fills[-1].ns
    await pod.send(("BTC", "-0.04", "0.98", Tif.IOC))
    assert stage.blocks % 10 != pod.phase, "the trick must be over before the next report"
    return told


async def foreign_coin(stage: FundStage, pod: StagePod) -> int:
    told = stage.ns
    await pod.send(("SOL", "0.5", "1.02", Tif.IOC))
    return told


async def ungranted_coin(stage: FundStage, pod: StagePod) -> int:
    told = stage.ns
    await pod.send(("WLFI", "200", "0.9", Tif.ALO))
    return told


async def under_false_name(stage: FundStage, pod: StagePod) -> int:
    """An order with another pod's prefix: the victim's reports do not list it."""
    victim = stage.pods["gradient"]
    await pod.send(("SOL", "0.5", "0.95", Tif.ALO), whose="gradient")
    stage.strangers.append(Cancel(str(Cloid(pod_id("gradient"), pod.run, pod.intent)), "SOL"))
    await stage.blocks_of(3)
    said = victim.seq
    while victim.seq == said:
        await stage.block()
    return victim.last[-1].ns


async def nobody_trades(stage: FundStage, pod: StagePod) -> int:
    told = stage.ns
    await pod.send(("ETH", "0.01", "0.95", Tif.ALO), whose="stranger")
    stage.strangers.append(Cancel(str(Cloid(pod_id("stranger"), pod.run, pod.intent)), "ETH"))
    return told


async def ignores_halt(stage: FundStage, pod: StagePod) -> int:
    stage.halt(pod.slug)
    pod.state = TradingState.HALTED
    await pod.cancel_all()
    await stage.blocks_of(18)
    told = stage.ns
    await pod.send(("BTC", "0.001", "0.95", Tif.ALO))
    return told


async def denies_halt(stage: FundStage, pod: StagePod) -> int:
    stage.halt(pod.slug)
    pod.state = TradingState.HALTED
    await pod.cancel_all()
    await stage.blocks_of(18)
    pod.lie = lambda report: replace(report, state=TradingState.ACTIVE)
    while not pod.lied_ns:
        await stage.block()
    return pod.lied_ns


async def expired_lease(stage: FundStage, pod: StagePod) -> int:
    stage.renew = False
    stage.grant(expires_ns=stage.ns + SECOND)
    await stage.blocks_of(24)
    told = stage.ns
    await pod.send(("BTC", "0.001", "1.02", Tif.IOC))
    return told


async def burns_budget(stage: FundStage, pod: StagePod) -> int:
    stage.renew = False
    stage.grant(action_budget=10)
    await stage.blocks_of(12)
    told = stage.ns
    await pod.send(*[("BTC", "0.0002", f"0.9{i}", Tif.ALO) for i in range(12)])
    return told


async def wash_trades(stage: FundStage, pod: StagePod) -> int:
    told = stage.ns
    for _ in range(3):
        await pod.send(*[("BTC", f"{sign}0.001", "1.02" if not sign else "0.98", Tif.IOC) for sign in ("", "-") * 10])
    return told


DONE: dict[str, tuple[BreakKind, str, Act]] = {
    "replays an old report": (K.REPORT_REPLAYED, "brawler", replays),
    "replays one under a new number": (K.REPORT_REPLAYED, "brawler", replays_renumbered),
    "exceeds a cap between reports": (K.CAP_EXCEEDED, "brawler", exceeds_cap),
    "trades another pod's coin": (K.FOREIGN_COIN, "brawler", foreign_coin),
    "orders a coin nobody granted": (K.FOREIGN_COIN, "brawler", ungranted_coin),
    "orders under another pod's name": (K.ORDER_HIDDEN, "gradient", under_false_name),
    "orders under nobody's name": (K.ORDER_UNCLAIMED, "", nobody_trades),
    "ignores a halt": (K.HALT_IGNORED, "brawler", ignores_halt),
    "denies a halt": (K.HALT_IGNORED, "brawler", denies_halt),
    "trades on an expired lease": (K.LEASE_EXPIRED, "brawler", expired_lease),
    "burns the action budget": (K.BUDGET_ABUSE, "brawler", burns_budget),
    "wash-trades, though a maker": (K.INTENT, "brawler", wash_trades),
}


async def tell_lie(change: Callable[[PodReport], PodReport | None], stage: FundStage, pod: StagePod) -> int:
    """Say it in every report; when it was first said."""
    pod.lie = change
    while not pod.lied_ns:
        await stage.block()
    return pod.lied_ns


async def settle(stage: FundStage) -> None:
    """Honest again: no orders but one, positions as they were, books agreed."""
    stage.renew = True
    for pod in stage.pods.values():
        pod.lie, pod.lied_ns, pod.state = None, 0, TradingState.ACTIVE
        await pod.cancel_all()
    for request in actions.requests([], [], stage.strangers, stage.instruments):
        await stage.post(request)
    stage.strangers = []
    brawler = stage.pods["brawler"]
    for coin in ("SOL", "WLFI"):
        left = brawler.ledger.position(coin)
        if left:
            await brawler.send((coin, str(-left), "1.02" if left < 0 else "0.98", Tif.IOC))
    await brawler.send(("BTC", "0.001", "0.95", Tif.ALO))


async def catch(
    stage: FundStage, kind: BreakKind, pod: str, act: Callable[[], Awaitable[int]]
) -> tuple[int, Break | None, set[str]]:
    """Run an act under a new auditor: venue ns from the lie to the break of its kind, and every kind that was seen."""
    async with stage.audited():
        await stage.blocks_of(22)
        assert not stage.breaks, f"honest so far, and accused: {stage.breaks}"
        told = await act()
        limit = stage.ns + 3 * SECOND
        while stage.ns < limit:
            for ns, item in stage.breaks:
                if item.kind is kind and item.pod == pod:
                    return ns - told, item, {x.kind.value for _, x in stage.breaks}
            await stage.block()
        return 0, None, {x.kind.value for _, x in stage.breaks}


async def test_every_lie_is_caught_within_two_seconds() -> None:
    rows, failed = [], []
    async with fund_stage() as stage:
        brawler, gradient = stage.pods["brawler"], stage.pods["gradient"]
        await brawler.send(*[("BTC", "0.003", "1.02", Tif.IOC)] * 4)
        await gradient.send(("SOL", "2", "1.02", Tif.IOC))
        plays: list[tuple[str, BreakKind, str, Callable[[], Awaitable[int]]]] = [
            (name, kind, "brawler", lambda change=change: tell_lie(change, stage, brawler))  # type: ignore[misc]
            for name, (kind, change) in SAID.items()
        ]
        plays += [
            (name, kind, pod, lambda act=act: act(stage, brawler))  # type: ignore[misc]
            for name, (kind, pod, act) in DONE.items()
        ]
        for number, (name, kind, pod, act) in enumerate(plays):
            brawler.phase, gradient.phase = number % 10, (number + 4) % 10  # looks fall anywhere between two reports
            await settle(stage)
            took, found, kinds = await catch(stage, kind, pod, act)
            level = found.level.value if found is not None else "NOT CAUGHT"
            rows.append(f"{name:34} {kind.value:18} {level:10} {took / 1e9:6.2f} s   {', '.join(sorted(kinds))}")
            if found is None or not 0 <= took <= WITHIN:
                failed.append(rows[-1])
    print(f"\n{'lie':34} {'caught as':18} {'level':10} {'after':>8}   all kinds seen")
    print("\n".join(rows))
    assert not failed, "\n".join(failed)
