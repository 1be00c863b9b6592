"""What an honest pod says, from its own ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from slipstream.execution.ledger import Ledger
from slipstream.model.mandate import Mandate, TradingState
from slipstream.model.messages import CoinLine, OrderLine, PodReport

ZERO = Decimal(0)


def honest_report(
    ledger: Ledger,
    px: Mapping[str, Decimal],
    orders: Iterable[OrderLine],
    mandate: Mandate | None,
    *,
    pod: str,
    account: str,
    run: int,
    seq: int,
    ns: int,
    wall_ns: int,
    as_of_ns: int,
    state: TradingState,
    phase: str = "running",
) -> PodReport:
    """Everything follows from the ledger and the prices."""
    marks = {coin: px[coin] for coin in ledger.lines}
    rows = tuple(
        CoinLine(c, x.position, x.average_px, x.realised, x.fees, x.funding, x.volume, x.fills)
        for c, x in ledger.lines.items()
    )
    said = PodReport(
        pod=pod,
        account=account,
        run=run,
        seq=seq,
        ns=ns,
        wall_ns=wall_ns,
        phase=phase,
        state=state,
        stage=mandate.stage if mandate is not None else None,
        mandate_version=mandate.version if mandate is not None else 0,
        lines=rows,
        orders=tuple(orders),
        marks=marks,
        maker_volume=sum((x.volume - x.taker_volume for x in ledger.lines.values()), ZERO),
        taker_volume=sum((x.taker_volume for x in ledger.lines.values()), ZERO),
        as_of_ns=as_of_ns,
    )
    return totalled(said)


def totalled(report: PodReport) -> PodReport:
    """The report with totals that follow from its lines: a lie told well."""
    realised = sum((x.realised for x in report.lines), ZERO)
    fees = sum((x.fees for x in report.lines), ZERO)
    funding = sum((x.funding for x in report.lines), ZERO)
    worth = [x.position * report.marks[x.coin] for x in report.lines]
    unrealised = sum((x.position * (report.marks[x.coin] - x.average_px) for x in report.lines), ZERO)
    return msgspec.structs.replace(
        report,
        realised=realised,
        fees=fees,
        funding=funding,
        unrealised=unrealised,
        net=realised + unrealised - fees + funding,
        gross=sum((abs(w) for w in worth), ZERO),
        net_exposure=sum(worth, ZERO),
        fills=sum(x.fills for x in report.lines),
    )
