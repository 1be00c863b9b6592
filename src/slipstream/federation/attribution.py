"""Where a pod's money came from: alpha and beta, costs of execution, maker share, markouts, fees and funding. Pure.

Alpha and beta: hourly returns on capital are regressed on BTC's and ETH's with an intercept (Newey-West errors). Beta
PnL is what the fitted betas earned on the capital of each hour; alpha PnL is the rest, so the two add up to the PnL.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec
import numpy as np

from slipstream.core.stats.hac import hac_mean, hac_ols
from slipstream.core.stats.residual import HOURS_A_YEAR
from slipstream.federation.shortfall import Parent, Shortfall, added, shortfall
from slipstream.model.instrument import Side

ZERO = Decimal(0)
LEAST_HOURS = 24  # fewer say nothing of betas


class PodHour(msgspec.Struct, frozen=True):
    """An hour of a pod: PnL net of fees and funding and the capital it had, USD; returns of BTC and ETH, fractions."""

    ns: int
    pnl: float
    capital: float
    btc: float
    eth: float


class FillSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A fill and what the mid was when it happened and so many seconds later (missing or None: unknown)."""

    coin: str
    side: Side
    px: Decimal
    sz: Decimal
    fee: Decimal
    crossed: bool
    mids: dict[int, Decimal | None] = {}


class PodRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that is attributed. ``maker_share``: the least part of its volume that the pod declares to make.

    ``funding`` by coin is what it received, USD (negative: paid).
    """

    pod: str
    hours: tuple[PodHour, ...] = ()
    fills: tuple[FillSeen, ...] = ()
    orders: tuple[Parent, ...] = ()
    funding: dict[str, Decimal] = {}
    maker_share: float = 0.0


class Alpha(msgspec.Struct, frozen=True):
    """PnL split, USD. ``alpha`` a year as a fraction of capital with its error; None where hours are too few."""

    hours: int
    pnl: float
    alpha_pnl: float
    btc_pnl: float
    eth_pnl: float
    alpha: float | None = None
    alpha_se: float | None = None
    t: float | None = None
    btc_beta: float | None = None
    btc_se: float | None = None
    eth_beta: float | None = None
    eth_se: float | None = None
    r2: float | None = None

    @property
    def beta_pnl(self) -> float:
        """What BTC's and ETH's moves earned."""
        return self.btc_pnl + self.eth_pnl


class MakerShare(msgspec.Struct, frozen=True):
    """Part of the volume made, with a 95 % interval, against the least part declared. None: no volume."""

    maker: Decimal
    taker: Decimal
    share: float | None
    low: float | None
    high: float | None
    declared: float

    @property
    def broken(self) -> bool:
        """Whether even the upper end of the interval is below what was declared."""
        return self.high is not None and self.high < self.declared


class Markout(msgspec.Struct, frozen=True):
    """Average side x (mid later - price) of fills, bp of notional, with its standard error; and how many had a mid."""

    seconds: int
    bp: float
    se: float
    fills: int


class CoinCosts(msgspec.Struct, frozen=True):
    """Volume, fees paid and funding received of one coin, USD."""

    coin: str
    volume: Decimal
    fees: Decimal
    funding: Decimal


class Attribution(msgspec.Struct, frozen=True):
    """What one pod, or the fund, earned by what."""

    pod: str
    alpha: Alpha
    costs: Shortfall
    maker: MakerShare
    markouts: tuple[Markout, ...]
    coins: tuple[CoinCosts, ...]

    @property
    def fees(self) -> Decimal:
        """Fees paid, USD."""
        return sum((line.fees for line in self.coins), ZERO)

    @property
    def funding(self) -> Decimal:
        """Funding received, USD."""
        return sum((line.funding for line in self.coins), ZERO)


class FundAttribution(msgspec.Struct, frozen=True):
    """The fund and its pods. The fund's PnL, volume, fees and funding are the sums of the pods'."""

    fund: Attribution
    pods: tuple[Attribution, ...]


def attribute(records: Iterable[PodRecord]) -> FundAttribution:
    """Attribute every pod and the fund. Raises ValueError for numbers not finite and pods given twice."""
    given = sorted(records, key=lambda record: record.pod)
    if len({record.pod for record in given}) < len(given):
        raise ValueError("attribution: a pod is given twice")
    pods = tuple(attribute_pod(record) for record in given)
    hours: dict[int, PodHour] = {}
    for record in given:
        for hour in record.hours:
            so_far = hours.get(hour.ns)
            hours[hour.ns] = hour if so_far is None else _together(so_far, hour)
    whole = PodRecord(
        pod="fund",
        hours=tuple(hours[ns] for ns in sorted(hours)),
        fills=tuple(fill for record in given for fill in record.fills),
        orders=tuple(order for record in given for order in record.orders),
        funding=_sums(record.funding for record in given),
        maker_share=0.0,
    )
    return FundAttribution(attribute_pod(whole), pods)


def attribute_pod(record: PodRecord) -> Attribution:
    """Attribute one pod. Raises ValueError for numbers that are not finite."""
    return Attribution(
        record.pod,
        alpha_of(record.hours, record.pod),
        added(shortfall(order) for order in record.orders),
        maker_share_of(record.fills, record.maker_share),
        markouts_of(record.fills),
        coin_costs(record.fills, record.funding),
    )


def alpha_of(hours: Sequence[PodHour], pod: str = "") -> Alpha:
    """Split the PnL of the hours. Hours without capital have no return: their PnL is all alpha."""
    rows = np.array([(h.pnl, h.capital, h.btc, h.eth) for h in hours], dtype=np.float64).reshape(-1, 4)
    if not np.isfinite(rows).all():
        raise ValueError(f"attribution of {pod or 'a pod'}: PnL, capital and returns of hours must be finite")
    pnl = math.fsum(rows[:, 0])
    used = rows[rows[:, 1] > 0.0]
    if len(used) < LEAST_HOURS:
        return Alpha(len(rows), pnl, pnl, 0.0, 0.0)
    capital, factors = used[:, 1], used[:, 2:]
    fit = hac_ols(used[:, 0] / capital, np.column_stack((np.ones(len(used)), factors)))
    btc, eth = (math.fsum(fit.coef[i + 1] * capital * factors[:, i]) for i in range(2))
    alpha, se = (float(x) * HOURS_A_YEAR for x in (fit.coef[0], fit.se[0]))
    return Alpha(
        hours=len(rows),
        pnl=pnl,
        alpha_pnl=pnl - btc - eth,
        btc_pnl=btc,
        eth_pnl=eth,
        alpha=alpha,
        alpha_se=se,
        t=alpha / se if se > 0.0 else None,
        btc_beta=float(fit.coef[1]),
        btc_se=float(fit.se[1]),
        eth_beta=float(fit.coef[2]),
        eth_se=float(fit.se[2]),
        r2=fit.r2,
    )


def maker_share_of(fills: Sequence[FillSeen], declared: float) -> MakerShare:
    """Maker volume over volume. Wilson's interval with as many trials as the volumes are worth, (sum v)^2 / sum v^2."""
    made = sum((fill.px * fill.sz for fill in fills if not fill.crossed), ZERO)
    taken = sum((fill.px * fill.sz for fill in fills if fill.crossed), ZERO)
    total = made + taken
    if not total:
        return MakerShare(made, taken, None, None, None, declared)
    weights = [float(fill.px * fill.sz / total) for fill in fills]
    n, p, z = 1.0 / math.fsum(w * w for w in weights), float(made / total), 1.959963984540054
    centre, half = p + z * z / (2.0 * n), z * math.sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n))
    low, high = ((centre + sign * half) / (1.0 + z * z / n) for sign in (-1.0, 1.0))
    return MakerShare(made, taken, p, max(0.0, min(low, p)), min(1.0, max(high, p)), declared)


def markouts_of(fills: Sequence[FillSeen]) -> tuple[Markout, ...]:
    """Markouts at every horizon that fills have a mid for, by notional; errors bear autocorrelation (Newey-West)."""
    found: list[Markout] = []
    for seconds in sorted({h for fill in fills for h in fill.mids}):
        seen = [(fill, mid) for fill in fills if (mid := fill.mids.get(seconds)) is not None]
        if not seen:
            continue
        weight = np.array([float(fill.px * fill.sz) for fill, _ in seen])
        gain = np.array([fill.side.sign * float((mid - fill.px) / fill.px) * 1e4 for fill, mid in seen])
        mean = float(weight @ gain / weight.sum())
        spread = hac_mean(weight * (gain - mean)).se / float(weight.mean())
        found.append(Markout(seconds, mean, spread, len(seen)))
    return tuple(found)


def coin_costs(fills: Sequence[FillSeen], funding: Mapping[str, Decimal]) -> tuple[CoinCosts, ...]:
    """Volume, fees and funding by coin, in the order of their names."""
    coins = sorted({fill.coin for fill in fills} | set(funding))
    return tuple(
        CoinCosts(
            coin,
            sum((fill.px * fill.sz for fill in fills if fill.coin == coin), ZERO),
            sum((fill.fee for fill in fills if fill.coin == coin), ZERO),
            funding.get(coin, ZERO),
        )
        for coin in coins
    )


def render_lines(found: FundAttribution) -> list[str]:
    """Plain text for a terminal: the fund first, then every pod."""
    lines: list[str] = []
    for one in (found.fund, *found.pods):
        lines += _render(one)
    return lines


def _render(one: Attribution) -> list[str]:
    alpha, costs, maker = one.alpha, one.costs, one.maker
    lines = [
        f"{one.pod}: net {alpha.pnl:+,.2f} USD over {alpha.hours} h",
        f"  alpha {alpha.alpha_pnl:+,.2f}   BTC {alpha.btc_pnl:+,.2f}   ETH {alpha.eth_pnl:+,.2f} USD",
    ]
    if alpha.alpha is not None and alpha.alpha_se is not None:
        worth = f"t {alpha.t:.1f}" if alpha.t is not None else "t unknown"
        lines.append(
            f"  alpha {alpha.alpha:+.1%} +- {1.96 * alpha.alpha_se:.1%} a year ({worth}); beta to BTC "
            f"{alpha.btc_beta:.2f} +- {1.96 * (alpha.btc_se or 0.0):.2f}, to ETH {alpha.eth_beta:.2f} +- "
            f"{1.96 * (alpha.eth_se or 0.0):.2f}"
        )
    else:
        lines.append(f"  too few hours with capital for betas ({LEAST_HOURS} are needed): all PnL counts as alpha")
    lines.append(f"  fees {-one.fees:+,.2f}   funding {one.funding:+,.2f} USD")
    if costs.bp is not None:
        parts = "   ".join(f"{name} {getattr(costs, name):,.2f}" for name in ("delay", "spread", "impact", "fees"))
        lines.append(
            f"  shortfall {costs.total:,.2f} USD, {costs.bp:.1f} bp of {costs.orders} orders: {parts}   "
            f"opportunity {costs.opportunity:,.2f}"
        )
    if maker.share is not None:
        text = f"  made {maker.share:.1%} [{maker.low:.1%}, {maker.high:.1%}] of {maker.maker + maker.taker:,.0f} USD"
        if maker.declared:
            text += f"; declares at least {maker.declared:.0%}" + (": BROKEN" if maker.broken else "")
        lines.append(text)
    if one.markouts:
        told = ", ".join(f"{m.seconds} s {m.bp:+.2f} +- {1.96 * m.se:.2f}" for m in one.markouts)
        lines.append(f"  markouts (bp): {told}")
    return lines


def _together(one: PodHour, other: PodHour) -> PodHour:
    if (one.btc, one.eth) != (other.btc, other.eth):
        raise ValueError(f"attribution: two pods know different market returns of the hour that ended at {one.ns}")
    return PodHour(one.ns, one.pnl + other.pnl, one.capital + other.capital, one.btc, one.eth)


def _sums(parts: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for part in parts:
        for coin, usdc in part.items():
            total[coin] = total.get(coin, ZERO) + usdc
    return total
