"""What a pod says of itself, drawn from its kernel: the report that the auditor holds against the venue."""

from __future__ import annotations

from decimal import Decimal

from slipstream.execution.kernel import Kernel
from slipstream.model.messages import CoinLine, OrderLine, PodReport

ZERO = Decimal(0)


def self_report(
    kernel: Kernel, *, account: str, phase: str, error: str | None, seq: int, ns: int, wall_ns: int
) -> PodReport:
    """A report as of the last event handled. A held coin without a price counts at its last fill's."""
    desk = kernel.desk
    lines, marks = [], {}
    realised = unrealised = fees = funding = gross = net_exposure = volume = taker = ZERO
    fills = 0
    for coin in sorted(desk.ledger.lines):
        line = desk.ledger.lines[coin]
        lines.append(
            CoinLine(
                coin, line.position, line.average_px, line.realised, line.fees, line.funding, line.volume, line.fills
            )
        )
        px = desk.market.reference(coin) or line.last_px
        realised, fees, funding = realised + line.realised, fees + line.fees, funding + line.funding
        volume, taker, fills = volume + line.volume, taker + line.taker_volume, fills + line.fills
        if line.position:
            marks[coin] = px
            unrealised += line.unrealised(px)
            gross += abs(line.position) * px
            net_exposure += line.position * px
    orders = tuple(
        OrderLine(o.cloid, o.oid or 0, o.coin, o.side, o.px, o.remaining, o.reduce_only) for o in kernel.live_orders()
    )
    mandate = desk.permit.mandate
    return PodReport(
        pod=desk.slug,
        account=account,
        run=desk.run,
        seq=seq,
        ns=ns,
        wall_ns=wall_ns,
        phase=phase,
        state=desk.state,
        reasons=tuple(desk.permit.reasons(desk.now_ns)),
        stage=mandate.stage if mandate is not None else None,
        mandate_version=mandate.version if mandate is not None else 0,
        lines=tuple(lines),
        orders=orders,
        marks=marks,
        realised=realised,
        unrealised=unrealised,
        fees=fees,
        funding=funding,
        net=realised + unrealised - fees + funding,
        gross=gross,
        net_exposure=net_exposure,
        worst_gross=desk.gate.gross(),
        maker_volume=volume - taker,
        taker_volume=taker,
        fills=fills,
        actions=desk.budget.sent,
        as_of_ns=desk.account_ns,
        error=error,
    )
