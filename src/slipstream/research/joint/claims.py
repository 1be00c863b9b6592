"""What was claimed of Hyperliquid's perps before this study, figure by figure, beside what the study finds.

The claims come from the same venue, 186 perps to 2025-07; the panel that can be had ends with 2025-04. A claim with an
interval asks for OUR figure in it. A claim without one is asked for in OUR 95 % interval. A claimed range of all H asks
for ours in it, at the digits that were claimed. What is claimed of no other data proves nothing there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import msgspec

from slipstream.core.stats.bootstrap import Interval
from slipstream.research.joint.study import Horizon, JointStudy

BP = 1e4


class Claim(NamedTuple):
    """Of one H: R² of funding in money with its interval, of the last rate in money, and three in sigmas."""

    funding: Interval
    last_rate: float
    sigmas_funding: float
    sigmas_last_rate: float
    sigmas_constant: float


CLAIMS = {
    4: Claim(Interval(0.64, 0.60, 0.68), 0.53, 0.757, 0.882, 0.798),
    8: Claim(Interval(0.58, 0.52, 0.61), 0.35, 0.824, 0.793, 0.628),
    12: Claim(Interval(0.54, 0.49, 0.57), 0.21, 0.729, 0.711, 0.489),
    24: Claim(Interval(0.45, 0.39, 0.51), -0.10, 0.477, 0.569, 0.229),
    48: Claim(Interval(0.33, 0.26, 0.41), -0.66, 0.280, 0.391, -0.03),
}
# of all H together: R² of price and of return less funding; funding that a book of tenths receives, bp a period
PRICE_RANGE, COMBINED_RANGE, CARRY_RANGE = (-0.0009, 0.0018), (0.0004, 0.0015), (1.9, 17.0)
SIGMA_PEAK = 8
SOURCE = (
    "Claims are of 186 Hyperliquid perps to 2025-07, five folds over the last 60 % of time; of other data they say "
    "nothing. Inside: our figure is in the claimed interval or range; where none was claimed, the claim is in our 95 % "
    "interval. Ends count at the digits that were claimed."
)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One claim: of which H (0: of all), the figure's name, claim and our figure as text, and whether it holds."""

    hours: int
    figure: str
    claim: str
    ours: str
    holds: bool

    @property
    def row(self) -> dict[str, str]:
        """As a table has it."""
        return {
            "H": f"{self.hours} h" if self.hours else "all",
            "figure": self.figure,
            "claimed": self.claim,
            "ours": self.ours,
            "inside": "yes" if self.holds else "NO",
        }


def within(value: float, low: float, high: float, digits: int) -> bool:
    """Whether a value lies between ends that were rounded to so many digits."""
    half = 0.5 * 10.0**-digits
    return low - half <= value <= high + half


def claim_checks(found: JointStudy) -> tuple[Check, ...]:
    """Every claim about an H that was studied; statements about all H only where all of them were."""
    studied = {one.hours: one for one in found.horizons}
    checks: list[Check] = []
    for hours, claim in CLAIMS.items():
        if hours in studied:
            checks += _of_horizon(studied[hours], claim)
    if set(CLAIMS) <= set(studied):
        checks += _of_all([studied[hours] for hours in CLAIMS], found.distinguishable)
    return tuple(checks)


def summary(checks: tuple[Check, ...]) -> str:
    """How many hold, and which do not."""
    if not checks:
        return "No claim is about a holding period that was studied."
    apart = [f"{check.figure} ({check.row['H']})" for check in checks if not check.holds]
    told = f"{len(checks) - len(apart)} of {len(checks)} claimed figures and statements hold here"
    return f"{told}." if not apart else f"{told}. Outside: {', '.join(apart)}."


def _of_horizon(one: Horizon, claim: Claim) -> Iterator[Check]:
    ours = one.money["funding"]
    yield Check(
        hours=one.hours,
        figure="funding R², money",
        claim=_interval(claim.funding, 2),
        ours=_interval(ours, 3),
        holds=within(ours.estimate, claim.funding.low, claim.funding.high, 2),
    )
    for figure, value, digits, found in (
        ("last rate R², money", claim.last_rate, 2, one.money["last_rate"]),
        ("recipe R², sigmas", claim.sigmas_funding, 3, one.sigmas["funding"]),
        ("last rate R², sigmas", claim.sigmas_last_rate, 3, one.sigmas["last_rate"]),
        ("constant R², sigmas", claim.sigmas_constant, 3, one.sigmas["constant"]),
    ):
        yield Check(
            hours=one.hours,
            figure=figure,
            claim=f"{value:.{digits}f}",
            ours=_interval(found, 3),
            holds=within(value, found.low, found.high, 3),
        )


def _of_all(horizons: list[Horizon], distinguishable: bool) -> Iterator[Check]:
    for figure, (low, high), name in (
        ("price R², money", PRICE_RANGE, "price"),
        ("combined R², money", COMBINED_RANGE, "combined"),
    ):
        ours = [one.money[name] for one in horizons]
        yield Check(
            hours=0,
            figure=figure,
            claim=f"{low:.4f} to {high:.4f}",
            ours=_span([one.estimate for one in ours], "{:.4f}"),
            holds=all(within(one.estimate, low, high, 4) for one in ours),
        )
    yield _said("price R²: every interval includes 0", horizons, lambda one: _holds_zero(one.money["price"]))
    paid = [one.books["carry"].funding * BP for one in horizons]
    yield Check(
        hours=0,
        figure="carry book of tenths: funding, bp a period",
        claim="{:.1f} to {:.0f}".format(*CARRY_RANGE),
        ours=_span(paid, "{:.1f}"),
        # 17 was claimed without a decimal
        holds=min(paid) >= CARRY_RANGE[0] - 0.05 and max(paid) <= CARRY_RANGE[1] + 0.5,
    )
    yield _said("carry book: net profit below 0", horizons, lambda one: one.books["carry"].net < 0.0)
    yield _said("carry book: net profit not told from 0", horizons, lambda one: _holds_zero(one.books["carry"].ratio))
    money = [one.money["funding"].estimate for one in horizons]
    yield _statement("funding R² in money falls with H", all(a > b for a, b in pairwise(money)))
    peak = max(horizons, key=lambda one: one.sigmas["funding"].estimate).hours
    yield Check(
        hours=0,
        figure="recipe's R² in sigmas peaks at",
        claim=f"{SIGMA_PEAK} h",
        ours=f"{peak} h",
        holds=peak == SIGMA_PEAK,
    )
    yield _statement("no H is distinguishable from none", not distinguishable)


def _said(figure: str, horizons: list[Horizon], true_of: Callable[[Horizon], bool]) -> Check:
    held = [one.hours for one in horizons if true_of(one)]
    lacking = [f"{one.hours}" for one in horizons if one.hours not in held]
    ours = "at every H" if not lacking else f"not at {', '.join(lacking)} h"
    return Check(hours=0, figure=figure, claim="at every H", ours=ours, holds=not lacking)


def _statement(figure: str, true: bool) -> Check:
    return Check(hours=0, figure=figure, claim="yes", ours="yes" if true else "no", holds=true)


def _holds_zero(found: Interval) -> bool:
    return found.low <= 0.0 <= found.high


def _interval(found: Interval, digits: int) -> str:
    return f"{found.estimate:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def _span(values: list[float], form: str) -> str:
    return f"{form.format(min(values))} to {form.format(max(values))}"
