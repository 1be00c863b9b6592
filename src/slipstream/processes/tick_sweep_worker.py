"""What a worker of a sweep over ticks computes: one set of parameters over whole tapes, in any process."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.model.errors import SlipstreamError
from slipstream.processes.backtest_request import BacktestRequest
from slipstream.processes.bar_market import settings_of
from slipstream.simulation.tick.record import TickRecord

Array = npt.NDArray[np.float64]
WORK = "slipstream.processes.tick_sweep_worker:evaluate"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose overrides are the trial's. It names folders; rows are read where it is computed."""

    request: BacktestRequest


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A trial's account, a value a stamp (ms UTC): profit, exposures, what was traded and paid; or why it has none."""

    why: str = ""
    fills: int = 0
    stamps: npt.NDArray[np.int64] = msgspec.field(default_factory=lambda: np.zeros(0, np.int64))
    pnl: Array = msgspec.field(default_factory=lambda: np.zeros(0))
    gross: Array = msgspec.field(default_factory=lambda: np.zeros(0))
    net: Array = msgspec.field(default_factory=lambda: np.zeros(0))
    turnover: Array = msgspec.field(default_factory=lambda: np.zeros(0))
    fees: Array = msgspec.field(default_factory=lambda: np.zeros(0))
    funding: Array = msgspec.field(default_factory=lambda: np.zeros(0))


def evaluate(job: Job) -> Ran:
    """Run a trial. Parameters that cannot be have no account; what is wrong with the tapes raises."""
    from slipstream.processes.tick_backtest import backtest

    try:
        settings_of(job.request)
    except SlipstreamError as error:
        return Ran(why=str(error))
    return ran(backtest(job.request, quiet=True))


def ran(record: TickRecord) -> Ran:
    """A record's series."""
    before: Any = np.concatenate([[record.capital], record.equity[:-1]])
    return Ran(
        fills=record.told.fills.count,
        stamps=record.stamps,
        pnl=record.equity - before,
        gross=record.gross,
        net=record.net,
        turnover=record.turnover,
        fees=record.costs["fee"],
        funding=record.funding,
    )
