"""A whole tape looked at, chunk by chunk: checksums, rows that no tape may hold, and what the validator finds."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import Findings
from slipstream.data.tape.header import Finding, Header
from slipstream.data.tape.reader import Tape
from slipstream.data.tape.scan import Validator
from slipstream.data.tape.tally import Tally


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """What a tape holds: spreads in ticks (the mean is over time), silences in seconds."""

    header: Header
    size: int  # bytes of its data
    findings: tuple[Finding, ...]
    mean_spread: float
    widest_spread: int
    mid: float  # at its end, in the quote currency; 0: one side is empty
    longest_gap_s: float

    @property
    def spread_bps(self) -> float:
        """The mean spread as 1/10,000 of the last mid; 0 where there is none."""
        if not self.mid:
            return 0.0
        grid = self.header.market.grid
        tick = grid.near(self.mid)
        return self.mean_spread * float(grid.price(tick + 1) - grid.price(tick)) / self.mid * 1e4


def inspect(
    tape: Tape,
    *,
    strict: bool = False,
    gap_s: float = 5.0,
    progress: Callable[[int, int, str], None] = lambda done, of, what: None,
) -> Inspected:
    """Walk all rows. Raises TapeError: damaged, a row that no tape may hold; under ``strict`` the first finding."""
    header, name = tape.header, tape.header.market.name
    found, tally = Findings(strict=strict), Tally()
    validator = Validator(found, name, gap_s)
    for rows in tape.chunks():
        try:
            tally.take(rows)
        except TapeError as error:
            raise TapeError(f"{tape.path}: {error}") from None
        validator.take(rows)
        progress(tally.rows, header.rows, name)
    if tally.by_name() != header.kinds:
        raise TapeError(f"{tape.path}: the header tells other kinds of rows than there are; convert its source again")
    return Inspected(
        header=header,
        size=tape.path.stat().st_size,
        findings=found.list(),
        mean_spread=validator.mean_spread,
        widest_spread=int(validator.state["widest"]),
        mid=_mid(validator, header),
        longest_gap_s=validator.longest_gap_s,
    )


def _mid(validator: Validator, header: Header) -> float:
    bid, ask = validator.best_ticks
    if bid < 0 or ask < 0:
        return 0.0
    grid = header.market.grid
    return (float(grid.price(bid)) + float(grid.price(ask))) / 2.0
