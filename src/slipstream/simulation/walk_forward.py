"""A forecast walked forward through a market: what its book would have earned, with the path it took.

- A row of the market at stamp s is the period that ends at s. A forecast of stamp t was known at t and trades at t, at
  the prices of t; it earns from the next period on, and nothing it uses is later than t.
- At the end of a period: prices move what is held (weights drift), funding that falls due is paid on what is held at
  that instant at its value then, coins silent for too long are closed, and then a decision trades.
- With costs a decision solves the cost-aware problem from the book as it has drifted, and every trade pays fee, half
  spread and ``impact Q^1.5``. Without, it is the closed form scaled to the leverage, and trading is free.
- Positions are whole lots where lots are given, with the beta repaired; fractions otherwise.
- A coin without a return keeps its last price and cannot be traded; after ``delist_hours`` of silence its position is
  closed at that price, pays costs, and is reported. A coin without a forecast is not held.
- Every order is filled whole, at once, at the price of the stamp plus the model's cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from slipstream.core.costs.model import TransactionCostModel
from slipstream.core.portfolio.cost_aware import OptimiserFailed
from slipstream.core.portfolio.covariance import FactorCovariance
from slipstream.core.portfolio.neutral import neutral_weights, scaled_to_gross
from slipstream.core.portfolio.record import BacktestRecord
from slipstream.simulation import walk_loop
from slipstream.simulation.vectorised import DEFAULT_RATE, FundingMissing

Array = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.int64]

HOUR_MS = 3_600_000


HUGE = 100.0  # of a simple return in one period
HUGE_RATE = 1.0  # of a period's funding: the venue's own cap is 0.04 an hour


@dataclass(frozen=True)
class Market:
    """What happened. ``stamps`` (T,) ms UTC, ends of periods; ``returns`` and ``funding`` (T, N), fractions.

    A NaN return: the coin had no price then. ``funding`` is the sum of the rates settled within the period.
    """

    coins: tuple[str, ...]
    stamps: Stamps
    returns: Array
    funding: Array | None


@dataclass(frozen=True)
class Forecasts:
    """What was believed when. ``stamps`` (D,) ms UTC; ``alpha`` (price less funding) and ``beta`` (D, N), NaN: none.

    ``covariance`` is one for all decisions, or one for each with the same number of factors.
    """

    stamps: Stamps
    alpha: Array
    beta: Array
    covariance: FactorCovariance | Sequence[FactorCovariance]


@dataclass(frozen=True, kw_only=True)
class WalkTerms:
    """``gross`` and ``cap`` are multiples of equity, ``cap`` a bound of every coin; ``lot`` (N,) is USD at the start.

    ``lot_usd`` None trades fractions. ``costs`` None is free trading of the closed form. ``funding``: ``data`` refuses
    settlements that are missing, ``default`` charges them at the venue's base rate and counts them, ``none`` leaves
    funding out.
    """

    capital: float = 1_000_000.0
    gross: float = 1.0
    cap: float | Array = np.inf
    costs: TransactionCostModel | None = None
    lot_usd: Array | None = None
    funding: Literal["data", "default", "none"] = "data"
    delist_hours: float = 48.0
    slug: str = "carry"
    title: str = "Walk-forward"
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Walk:
    """``record`` is the run; ``weights`` (D, N) after each decision at ``decided`` (D,), and ``beta`` (D,) of them."""

    record: BacktestRecord
    coins: tuple[str, ...]
    decided: Stamps
    weights: Array
    beta: Array


def walk_forward(market: Market, forecasts: Forecasts, terms: WalkTerms) -> Walk:
    """Raises ValueError on bad input, FundingMissing, OptimiserFailed with the decision at which it failed."""
    findings: list[str] = []
    check(market, forecasts, terms)
    n, t_max = len(market.coins), len(market.stamps)
    period = length_of(market, forecasts)
    hours = period / HOUR_MS
    funding = settled_rates(market, terms.funding, hours, findings)
    decides = decision_places(market, forecasts, period)
    alpha, beta = np.ascontiguousarray(forecasts.alpha), np.ascontiguousarray(forecasts.beta)
    loadings, specific = stacked(forecasts.covariance)
    optimise = terms.costs is not None
    model = (terms.costs or TransactionCostModel(0.0, 0.0, 0.0)).aligned(market.coins)
    book, coin_pnl = np.zeros((t_max, walk_loop.COLUMNS)), np.zeros(n)
    held, ends = np.zeros((len(decides), n)), np.empty(n)
    targets = np.zeros((0, n)) if optimise else closed_form(market, forecasts, decides, terms.gross)
    status, place = walk_loop.walk(
        np.ascontiguousarray(market.returns),
        funding,
        decides,
        alpha,
        beta,
        loadings,
        specific,
        targets,
        optimise,
        np.array(model.spread_over(n)),
        np.broadcast_to(np.asarray(terms.cap, dtype=np.float64), (n,)).copy(),
        float(terms.gross),
        np.zeros(n) if terms.lot_usd is None else np.asarray(terms.lot_usd, dtype=np.float64),
        float(terms.capital),
        max(1, round(terms.delist_hours / hours)),
        book,
        coin_pnl,
        held,
        ends,
    )
    if status == walk_loop.NO_OPTIMUM:
        raise OptimiserFailed(
            f"decision of {moment(forecasts.stamps[place])}: no optimum found; look at alpha, beta and covariance of it"
        )
    if status == walk_loop.RUIN:
        book[max(place, 0) :] = 0.0
        beyond = -(float(terms.capital) + float(coin_pnl.sum()))
        findings.append(
            f"the account lost everything at {moment(market.stamps[max(place, 0)])}; the walk ends there. PnL by coin "
            f"has the {max(0.0, beyond):,.0f} USD that were lost beyond it, too"
        )
    findings += findings_of(market, forecasts, ends)
    seen = np.where(np.isnan(beta), 0.0, beta)
    betas = (held * seen).sum(axis=1)
    findings += excesses(held, betas, terms)
    record = BacktestRecord(
        slug=terms.slug,
        title=terms.title,
        stamps=market.stamps,
        equity=book[:, walk_loop.EQUITY].copy(),
        capital=float(terms.capital),
        gross=book[:, walk_loop.GROSS].copy(),
        net=book[:, walk_loop.NET].copy(),
        turnover=book[:, walk_loop.TURNOVER].copy(),
        costs={
            "fee": book[:, walk_loop.FEE].copy(),
            "spread": book[:, walk_loop.SPREAD].copy(),
            "impact": book[:, walk_loop.IMPACT].copy(),
        },
        funding=book[:, walk_loop.FUNDING].copy(),
        coin_pnl=dict(zip(market.coins, coin_pnl.tolist(), strict=True)),
        assumptions=assumptions(terms),
        settings={"gross": terms.gross, "capital": terms.capital, "hours": hours, **terms.settings},
        findings=tuple(findings),
    )
    return Walk(record, market.coins, forecasts.stamps, held, betas)


def closed_form(market: Market, forecasts: Forecasts, decides: Stamps, gross: float) -> Array:
    """Weights of the closed form at every decision; coins without a forecast or without a price then are left out."""
    out = np.zeros_like(forecasts.alpha)
    one = forecasts.covariance if isinstance(forecasts.covariance, FactorCovariance) else None
    for at, place in enumerate(decides):
        c = one or forecasts.covariance[at]  # type: ignore[index]
        able = np.isfinite(forecasts.alpha[at]) & np.isfinite(forecasts.beta[at])
        if place >= 0:
            able &= np.isfinite(market.returns[place])
        if able.any():
            own = FactorCovariance(c.loadings[able], c.specific[able])
            weights = neutral_weights(forecasts.alpha[at, able], forecasts.beta[at, able], own)
            out[at, able] = scaled_to_gross(weights, gross)
    return out


def stacked(covariance: FactorCovariance | Sequence[FactorCovariance]) -> tuple[Array, Array]:
    """Loadings (1 or D, N, K) and specific variances (1 or D, N). Raises ValueError on factors of unequal number."""
    several = [covariance] if isinstance(covariance, FactorCovariance) else list(covariance)
    most = max(c.loadings.shape[1] for c in several)
    loadings = np.zeros((len(several), len(several[0]), most))
    for at, c in enumerate(several):
        loadings[at, :, : c.loadings.shape[1]] = c.loadings
    return loadings, np.array([c.specific for c in several])


def settled_rates(market: Market, mode: str, hours: float, findings: list[str]) -> Array:
    """The rates to charge, without NaN. Raises FundingMissing."""
    if mode == "none":
        findings.append("funding was left out, as asked")
        return np.zeros_like(market.returns)
    if market.funding is None:
        raise FundingMissing('no realised funding was given: give it, or say funding="none" to leave it out')
    lacking = np.isnan(market.funding) & np.isfinite(market.returns)
    if lacking.any() and mode == "data":
        row, column = np.argwhere(lacking)[0]
        raise FundingMissing(
            f"realised funding lacks {int(lacking.sum())} settlements, first {market.coins[column]} at "
            f'{moment(market.stamps[row])}: mend the data, or say funding="default" to charge the venue\'s base rate'
        )
    if lacking.any():
        findings.append(f"{int(lacking.sum())} settlements were missing and are charged at the venue's base rate")
    listed = np.cumsum(np.isfinite(market.returns), axis=0) > 0
    still = np.isnan(market.funding) & np.isnan(market.returns) & listed
    if still.any():
        findings.append(
            f"{int(still.sum())} settlements of coins that stood still are missing: what was held then is charged at "
            "the venue's base rate"
        )
    rates: Array = np.where(lacking | still, DEFAULT_RATE * hours, np.nan_to_num(market.funding))
    return rates


def length_of(market: Market, forecasts: Forecasts) -> int:
    """Length of a period, ms. Raises ValueError for stamps that are not even: what happened between is not there."""
    steps = np.diff(market.stamps)
    if not len(steps):
        return max(1, int(market.stamps[0] - forecasts.stamps[0]))
    period = int(np.median(steps))
    if (steps != period).any():
        at = int(np.flatnonzero(steps != period)[0])
        raise ValueError(
            f"realised stamps are uneven: {moment(market.stamps[at])} is followed by {moment(market.stamps[at + 1])}, "
            f"periods last {period / HOUR_MS:g} h: give every period a row (NaN where a coin has no price)"
        )
    return period


def decision_places(market: Market, forecasts: Forecasts, period: int) -> Stamps:
    """After which period each decision trades, -1 at the start of the first. Raises ValueError for any other stamp."""
    places = np.searchsorted(market.stamps, forecasts.stamps, side="right") - 1
    off = (places >= 0) & (market.stamps[np.maximum(places, 0)] != forecasts.stamps)
    # within the first period a forecast would earn what happened before it was made
    off |= (places < 0) & (forecasts.stamps != market.stamps[0] - period)
    if off.any():
        at = int(np.flatnonzero(off)[0])
        raise ValueError(
            f"decision of {moment(forecasts.stamps[at])} is not the end of a period of the realised returns, nor the "
            f"start of the first, {moment(market.stamps[0] - period)}: align both, or drop forecasts from before it"
        )
    return places.astype(np.int64)


def findings_of(market: Market, forecasts: Forecasts, ends: Array) -> list[str]:
    """What a reader should know of the data: closings, silences, forecasts that are missing."""
    found = [
        f"{coin} fell silent and was closed at its last price at {moment(market.stamps[int(end)])}"
        for coin, end in zip(market.coins, ends, strict=True)
        if end >= 0.0
    ]
    missing = np.isnan(forecasts.alpha) | np.isnan(forecasts.beta)
    if missing.any():
        found.append(f"{int(missing.sum())} of {missing.size} forecasts are missing: such coins were not held then")
    silent = np.isnan(market.returns)
    if silent.any():
        found.append(f"{int(silent.sum())} of {silent.size} returns are missing: such coins stood still and untraded")
    return found


def excesses(held: Array, betas: Array, terms: WalkTerms) -> list[str]:
    """Where lots, or coins that could not be traded, left a decision's book beyond what was asked."""
    cap = np.broadcast_to(np.asarray(terms.cap, dtype=np.float64), held.shape[1:])
    found = []
    for name, over, most in (
        ("gross exposure", np.abs(held).sum(axis=1) - terms.gross, 0.01 * terms.gross),
        ("a coin's weight", (np.abs(held) - cap).max(axis=1), 1e-3),
        ("beta", np.abs(betas), 0.01),
    ):
        if (over > most).any():
            found.append(
                f"{name} was beyond its bound after {int((over > most).sum())} of {len(held)} decisions, by "
                f"{float(over.max()):.3f} of equity at most: lots, costs, or coins that could not be traded"
            )
    return found


def assumptions(terms: WalkTerms) -> tuple[str, ...]:
    """How fills, costs and funding were taken."""
    if terms.costs is None:
        trading = "trading is free, and each decision is the closed form scaled to the leverage"
    else:
        trading = "each decision weighs fee, half spread and impact of Q^1.5; every trade pays them"
    funding = {
        "data": "funding is paid at settlement on what is held then",
        "default": "funding is paid at settlement on what is held then, the base rate where data lack",
        "none": "no funding is paid",
    }[terms.funding]
    sizes = "positions are fractions of coins" if terms.lot_usd is None else "positions are whole lots, beta repaired"
    return (
        "decisions trade at their stamp, at its price, filled whole: no queue and no partial fill",
        trading,
        funding,
        sizes,
        f"a coin without prices for {terms.delist_hours:g} hours is closed at its last price",
    )


def moment(stamp: int) -> str:
    """A stamp for a person."""
    return f"{np.datetime64(int(stamp), 'ms')} UTC"


def check(market: Market, forecasts: Forecasts, terms: WalkTerms) -> None:
    """Raises ValueError with what is wrong, where."""
    n, t_max, d_max = len(market.coins), len(market.stamps), len(forecasts.stamps)
    if n == 0 or t_max == 0 or d_max == 0:
        raise ValueError(f"nothing to walk: {n} coins, {t_max} periods, {d_max} decisions")
    several = not isinstance(forecasts.covariance, FactorCovariance)
    if several and len(forecasts.covariance) != d_max:
        raise ValueError(f"{len(forecasts.covariance)} covariances for {d_max} decisions")
    sizes = {len(c) for c in (forecasts.covariance if several else [forecasts.covariance])}  # type: ignore[union-attr]
    if sizes != {n}:
        raise ValueError(f"covariance of {sorted(sizes)} assets, {n} coins")
    shapes: list[tuple[str, Array, tuple[int, int]]] = [
        ("realised returns", market.returns, (t_max, n)),
        ("alpha", forecasts.alpha, (d_max, n)),
        ("beta", forecasts.beta, (d_max, n)),
    ]
    if market.funding is not None:
        shapes.append(("realised funding", market.funding, (t_max, n)))
    for name, values, shape in shapes:
        if values.shape != shape:
            raise ValueError(f"{name} has shape {values.shape}, expected {shape}: (stamps, coins)")
        if np.isinf(values).any():
            row, column = np.argwhere(np.isinf(values))[0]
            raise ValueError(f"{name} is infinite for {market.coins[column]} in row {row}")
    for name, stamps in (("realised", market.stamps), ("forecast", forecasts.stamps)):
        if (np.diff(stamps) <= 0).any():
            at = int(np.flatnonzero(np.diff(stamps) <= 0)[0]) + 1
            raise ValueError(f"{name} stamps are unsorted or double at {moment(stamps[at])}: sort them, drop doubles")
    check_rates(market, terms)
    if not (terms.capital > 0.0 and np.isfinite(terms.capital)):
        raise ValueError(f"capital {terms.capital} must be a positive amount of USD")
    if not (terms.gross > 0.0 and np.isfinite(terms.gross)):
        raise ValueError(f"leverage {terms.gross} must be a positive multiple of equity")
    cap = np.asarray(terms.cap, dtype=np.float64)
    if cap.shape not in ((), (n,)) or not (cap > 0.0).all():
        raise ValueError(f"cap of shape {cap.shape} must be above 0, one number or ({n},)")
    lot = None if terms.lot_usd is None else np.asarray(terms.lot_usd, dtype=np.float64)
    if lot is not None and (lot.shape != (n,) or not (np.isfinite(lot) & (lot > 0.0)).all()):
        raise ValueError(f"lot_usd of shape {lot.shape} must be ({n},) notionals above 0 USD")


def check_rates(market: Market, terms: WalkTerms) -> None:
    """Raises ValueError for returns and funding that are no fractions, and for terms that say nothing."""
    if not np.isfinite(market.returns).any():
        raise ValueError("realised returns hold no number at all")
    bad = (market.returns <= -1.0) | (market.returns > HUGE)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"return of {market.coins[column]} at {moment(market.stamps[row])} is {market.returns[row, column]:g}: "
            f"simple returns are fractions above -1 and below {HUGE:g}: are these percentages, or prices?"
        )
    if terms.funding not in ("data", "default", "none"):
        raise ValueError(f"funding {terms.funding!r}: say data, default or none")
    if not terms.delist_hours > 0.0:
        raise ValueError(f"delist_hours {terms.delist_hours} must be above 0")
    if market.funding is not None and terms.funding != "none" and (np.abs(market.funding) > HUGE_RATE).any():
        row, column = np.argwhere(np.abs(market.funding) > HUGE_RATE)[0]
        raise ValueError(
            f"funding of {market.coins[column]} at {moment(market.stamps[row])} is {market.funding[row, column]:g} a "
            "period: rates are fractions (0.0001 is one bp)"
        )
