"""The account along time, compiled: drift, funding, decisions by the cost-aware optimiser or given targets, costs.

Order of things at the end of period t (`walk_forward` says it in words): prices move, funding is paid on what was held,
silent coins are closed, and only then a decision trades. Nothing here reads a later row than t.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from slipstream.core.compiled import compiled
from slipstream.core.portfolio.lots import repair
from slipstream.core.portfolio.newton import solve
from slipstream.core.portfolio.proof import sizes

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

# columns of ``book`` (T, .): what is written down at every period
EQUITY, GROSS, NET, TURNOVER, FEE, SPREAD, IMPACT, FUNDING, BETA = range(9)
COLUMNS = 9
# what may end a walk
DONE, NO_OPTIMUM, RUIN = range(3)
ENOUGH = 1e-6  # relative error from which on a decision is no optimum


@compiled
def move(units: Array, price: Array, returns: Array, silent: Places, coin_pnl: Array) -> float:
    """Carry prices over a period; a coin without a return stands still. Returns the gain, USD."""
    gain = 0.0
    for i in range(units.size):
        if np.isnan(returns[i]):
            silent[i] += 1
            continue
        silent[i] = 0
        made = units[i] * price[i] * returns[i]
        price[i] *= 1.0 + returns[i]
        coin_pnl[i] += made
        gain += made
    return gain


@compiled
def settle(units: Array, price: Array, rates: Array, coin_pnl: Array) -> float:
    """Funding on what is held at the settlement: longs pay positive rates. Returns what was received, USD."""
    received = 0.0
    for i in range(units.size):
        if units[i] != 0.0 and rates[i] != 0.0:
            got = -units[i] * price[i] * rates[i]
            coin_pnl[i] += got
            received += got
    return received


@compiled
def trade(wanted: Array, units: Array, price: Array, costs: Array, coin_pnl: Array, row: Array) -> float:
    """Go to ``wanted`` units; writes turnover and costs into ``row``. Returns the cost, USD."""
    total = 0.0
    for i in range(units.size):
        q = abs(wanted[i] - units[i]) * price[i]
        if q > 0.0:
            fee, spread, impact = costs[0, i] * q, costs[1, i] * q, costs[2, i] * q * math.sqrt(q)
            row[TURNOVER] += q
            row[FEE] += fee
            row[SPREAD] += spread
            row[IMPACT] += impact
            coin_pnl[i] -= fee + spread + impact
            total += fee + spread + impact
            units[i] = wanted[i]
    return total


@compiled
def choose(
    alpha: Array,
    beta: Array,
    loadings: Array,
    specific: Array,
    costs: Array,
    equity: float,
    held: Array,
    may: Array,
    cap: Array,
    gross: float,
    rows: Array,
    state: Array,
    weights: Array,
) -> float:
    """The cost-aware weights of one decision into ``weights``; returns the solver's relative error.

    ``may`` is 1 for coins that can be held, 0 for those to be left (no forecast) and -1 for those that cannot trade.
    These stay what they are, and the others hedge their beta. Where no book within the bounds can do that, the others
    are neutral among themselves, and the bound of the gross exposure gives way as far as what cannot trade goes beyond.
    """
    n, k = loadings.shape
    fee, impact, low, high, a = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    exposure = np.zeros(k)
    root, stuck = math.sqrt(equity), 0.0
    for i in range(n):
        fee[i] = costs[0, i] + costs[1, i]
        impact[i] = costs[2, i] * root
        a[i] = alpha[i] if may[i] > 0.0 else 0.0
        high[i] = cap[i] if may[i] > 0.0 else held[i] if may[i] < 0.0 else 0.0
        low[i] = -cap[i] if may[i] > 0.0 else high[i]
        stuck += abs(held[i]) if may[i] < 0.0 else 0.0
        for j in range(k):
            rows[i, j] = loadings[i, j]
            exposure[j] += loadings[i, j] * held[i]
        rows[i, k] = beta[i] if may[i] != 0.0 else 0.0
    if not (may > 0.0).any():
        weights[:] = low  # nothing is left to choose: every bound is a point
        return 0.0
    error = np.inf
    for attempt in range(2):
        if attempt == 1:
            gross = max(gross, stuck * (1.0 + 1e-9))
            state[:] = 0.0
            for i in range(n):
                rows[i, k] = rows[i, k] if may[i] > 0.0 else 0.0
        scale, unit = sizes(a, loadings, specific, held, low, high, gross)
        state[:k] = exposure
        error, _ = solve(a, rows, k, specific, fee, impact, held, low, high, gross, scale, unit, state, weights, 1e-9)
        if error <= ENOUGH or stuck == 0.0:
            break
    return error


@compiled
def walk(
    returns: Array,
    funding: Array,
    decides: Places,
    alpha: Array,
    beta: Array,
    loadings: Array,
    specific: Array,
    targets: Array,
    optimise: bool,
    charged: Array,
    cap: Array,
    gross: float,
    lot: Array,
    capital: float,
    patience: int,
    book: Array,
    coin_pnl: Array,
    held: Array,
    ends: Array,
) -> tuple[int, int]:
    """Fill ``book`` (T, COLUMNS), ``coin_pnl`` (N,), ``held`` (D, N) weights after each decision, ``ends`` (N,).

    ``decides`` (D,) is the period after which a decision trades, -1 before the first. ``loadings`` and ``specific``
    have one row, or one for each decision. Without ``optimise`` the weights are ``targets`` (D, N). ``lot`` (N,) is a
    lot's notional at price 1, 0 for none. ``ends`` is the period where a silent coin was closed, else -1. Returns (how
    it ended, the period or decision where).
    """
    n = returns.shape[1]
    units, price = np.zeros(n), np.ones(n)
    silent = np.zeros(n, dtype=np.int64)
    rows, state = np.empty((n, loadings.shape[2] + 2)), np.zeros(loadings.shape[2] + 2)
    wanted, weights, now, may = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    equity = capital
    first = np.zeros(COLUMNS)
    ends[:] = -1.0
    at = 0
    for t in range(-1, returns.shape[0]):
        row = first if t < 0 else book[t]
        if t >= 0:
            equity += move(units, price, returns[t], silent, coin_pnl)
            row[FUNDING] = settle(units, price, funding[t], coin_pnl)
            equity += row[FUNDING]
            for i in range(n):
                wanted[i] = units[i]
                if silent[i] >= patience and units[i] != 0.0:
                    wanted[i], ends[i] = 0.0, t
            equity -= trade(wanted, units, price, charged, coin_pnl, row)
        if equity <= 0.0:
            return RUIN, t
        if at < decides.size and decides[at] == t:
            which = min(at, loadings.shape[0] - 1)
            for i in range(n):
                now[i] = units[i] * price[i] / equity
                known = not (np.isnan(alpha[at, i]) or np.isnan(beta[at, i]))
                may[i] = 1.0 if known else 0.0
                if silent[i] > 0:
                    may[i] = -1.0 if now[i] != 0.0 and not np.isnan(beta[at, i]) else 0.0
            if optimise:
                error = choose(
                    alpha[at],
                    beta[at],
                    loadings[which],
                    specific[which],
                    charged,
                    equity,
                    now,
                    may,
                    cap,
                    gross,
                    rows,
                    state,
                    weights,
                )
                if not error <= ENOUGH:
                    return NO_OPTIMUM, at
            else:
                weights[:] = targets[at]
            for i in range(n):
                tradable = silent[i] == 0
                wanted[i] = weights[i] * equity if tradable else units[i] * price[i]
            _to_units(wanted, units, price, lot, beta[at], may, silent, equity)
            equity -= trade(wanted, units, price, charged, coin_pnl, row)
            if equity <= 0.0:
                return RUIN, t
            for i in range(n):
                held[at, i] = units[i] * price[i] / equity
                row[BETA] += held[at, i] * beta[at, i] if held[at, i] != 0.0 and not np.isnan(beta[at, i]) else 0.0
            at += 1
        row[EQUITY] = equity
        for i in range(n):
            row[GROSS] += abs(units[i]) * price[i]
            row[NET] += units[i] * price[i]
    # what a decision before the first period traded belongs to that period's account
    for j in (TURNOVER, FEE, SPREAD, IMPACT):
        book[0, j] += first[j]
    return DONE, returns.shape[0]


@compiled
def _to_units(
    wanted: Array, units: Array, price: Array, lot: Array, beta: Array, may: Array, silent: Places, equity: float
) -> None:
    """Notionals into units, whole lots where there are lots; a silent coin keeps its units.

    A coin that is to be left is closed whole, and takes no part in the repair of the beta.
    """
    n = wanted.size
    sizes, exposure, lots = np.zeros(n), np.zeros(n), np.zeros(n)
    least, outside = np.inf, 0.0
    some = False
    for i in range(n):
        exposure[i] = 0.0 if np.isnan(beta[i]) else beta[i]
        if silent[i] == 0 and lot[i] > 0.0 and may[i] > 0.0:
            sizes[i] = lot[i] * price[i]
            some = True
            if exposure[i] != 0.0:
                least = min(least, 0.5 * abs(exposure[i]) * sizes[i])
        else:
            outside += exposure[i] * wanted[i]
    if some:
        # a lot's beta is repaired as if what has no lots were neutral; what that leaves is seen in BETA
        repair(wanted, sizes, exposure, max(least, 1e-4 * equity) if least < np.inf else 0.0, 12, lots)
    for i in range(n):
        if silent[i] > 0:
            wanted[i] = units[i]
        elif sizes[i] > 0.0:
            wanted[i] = lots[i] * lot[i]
        else:
            wanted[i] /= price[i]
