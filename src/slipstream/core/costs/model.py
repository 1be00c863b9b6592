"""The cost of trading a notional: a linear part and a power law, per coin. One object for everybody who asks.

Trading Q USD of a coin costs ``fee Q + spread Q + impact Q^1.5`` USD: fee and half spread are fractions of the
notional, ``impact`` is per sqrt(USD). The optimiser thinks in weights of equity E: with ``Q = E |dw|`` the same cost is
``(fee + spread) |dw| + impact sqrt(E) |dw|^1.5`` of equity: the law is one, only its unit changes. The square-root law
``Y sigma sqrt(Q / V)`` per dollar is the case ``impact = Y sigma / sqrt(V)``.

Reference: mathematical specification, sections 1.4 and 9.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, init=False, eq=False)
class TransactionCostModel:
    """``fee`` and ``spread`` (fractions of the notional) and ``impact`` (per sqrt(USD)), one number or (N,) each.

    ``coins`` names the N entries where they belong to coins. A cost is positive. Raises ValueError on NaN, on costs
    below 0 (a maker's rebate belongs to fills, not to a model of taking), and on unequal lengths.
    """

    fee: Array
    spread: Array
    impact: Array
    coins: tuple[str, ...]

    def __init__(
        self,
        fee: npt.ArrayLike = 0.00045,
        spread: npt.ArrayLike = 0.0002,
        impact: npt.ArrayLike = 0.0,
        coins: Sequence[str] = (),
    ) -> None:
        named = {"fee": fee, "spread": spread, "impact": impact}
        arrays = {name: np.asarray(values, dtype=np.float64) for name, values in named.items()}
        lengths = {a.shape for a in arrays.values() if a.shape != ()} | ({(len(coins),)} if coins else set())
        if len(lengths) > 1 or any(len(shape) > 1 for shape in lengths):
            shapes = ", ".join(f"{name} {a.shape}" for name, a in arrays.items())
            raise ValueError(f"costs of unequal length: {shapes}, {len(coins)} coins; give one number or one per coin")
        for name, values in arrays.items():
            if not (np.isfinite(values).all() and (values >= 0.0).all()):
                raise ValueError(f"{name} must be finite and not below 0, is {values}")
            object.__setattr__(self, name, values)
        object.__setattr__(self, "coins", tuple(coins))

    @property
    def linear(self) -> Array:
        """Cost of a traded dollar however small the trade: fee and half spread."""
        whole: Array = self.fee + self.spread
        return whole

    def usd(self, notional: npt.ArrayLike) -> Array:
        """What trading these notionals costs, USD, per entry; the sign of a notional does not matter."""
        q = np.abs(np.asarray(notional, dtype=np.float64))
        cost: Array = self.linear * q + self.impact * q * np.sqrt(q)
        return cost

    def parts(self, notional: npt.ArrayLike) -> tuple[Array, Array, Array]:
        """The same cost by its parts, USD per entry: fee, half spread, impact."""
        q = np.abs(np.asarray(notional, dtype=np.float64))
        return self.fee * q, self.spread * q, self.impact * q * np.sqrt(q)

    def bps(self, notional: npt.ArrayLike) -> Array:
        """The same in bp of each notional: what an execution shortfall is compared with. 0 USD cost the linear part."""
        q = np.abs(np.asarray(notional, dtype=np.float64))
        cost: Array = 1e4 * (self.linear + self.impact * np.sqrt(q))
        return cost

    def in_weights(self, equity: float, size: int) -> tuple[Array, Array]:
        """(f, l) of ``sum f |dw| + sum l |dw|^1.5`` as fractions of ``equity`` USD, (size,) each. Raises ValueError."""
        if not (equity > 0.0 and np.isfinite(equity)):
            raise ValueError(f"equity {equity} must be a positive amount of USD")
        return self._spread(self.linear, size), self._spread(self.impact, size) * float(np.sqrt(equity))

    def spread_over(self, size: int) -> tuple[Array, Array, Array]:
        """(fee, spread, impact), (size,) each. Raises ValueError."""
        return self._spread(self.fee, size), self._spread(self.spread, size), self._spread(self.impact, size)

    def _spread(self, values: Array, size: int) -> Array:
        if values.shape not in ((), (size,)):
            raise ValueError(f"the cost model is of {values.size} coins, the book of {size}")
        return np.full(size, float(values)) if values.ndim == 0 else values

    def excess_bps(self, notional: float, paid_usd: float, coin: str = "") -> float:
        """What an order cost beyond this model, bp of its notional: positive, it was dearer. Raises ValueError."""
        if not notional > 0.0:
            raise ValueError(f"notional {notional} must be above 0 USD")
        expected = self.of(coin).bps(notional) if coin else self.bps(notional)
        if np.ndim(expected):
            raise ValueError(f"say which of the model's coins: {', '.join(self.coins) or 'it names none'}")
        return 1e4 * paid_usd / notional - float(expected)

    def of(self, coin: str) -> TransactionCostModel:
        """One coin's costs. Raises ValueError for a coin it does not know."""
        if coin not in self.coins:
            raise ValueError(f"no costs are known for {coin}: known are {', '.join(self.coins) or 'none'}")
        at = self.coins.index(coin)
        fee, spread, impact = self.spread_over(len(self.coins))
        return TransactionCostModel(fee[at], spread[at], impact[at], (coin,))

    def aligned(self, coins: Sequence[str]) -> TransactionCostModel:
        """For these coins in this order; a model without names is for any. Raises ValueError for an unknown coin."""
        if not self.coins:
            self.spread_over(len(coins))
            return self
        lacking = [coin for coin in coins if coin not in self.coins]
        if lacking:
            some = ", ".join(lacking[:8]) + (" and others" if len(lacking) > 8 else "")
            raise ValueError(
                f"no costs are known for {len(lacking)} of {len(coins)} coins, {some}: calibrate them or leave them "
                "out (the config's coins or exclude)"
            )
        at = [self.coins.index(coin) for coin in coins]
        fee, spread, impact = self.spread_over(len(self.coins))
        return TransactionCostModel(fee[at], spread[at], impact[at], tuple(coins))

    def partly_passive(self, share: float, maker_fee: float) -> TransactionCostModel:
        """Where ``share`` of every trade rests until it is met: that part pays the maker's fee and no half spread.

        Its impact stays: a resting order moves the price that it waits at. Raises ValueError.
        """
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"the passive share {share} must lie between 0 and 1")
        fee = share * maker_fee + (1.0 - share) * self.fee
        return TransactionCostModel(fee, (1.0 - share) * self.spread, self.impact, self.coins)

    @classmethod
    def square_root(
        cls,
        sigma_day: npt.ArrayLike,
        daily_usd: npt.ArrayLike,
        *,
        coefficient: float = 1.0,
        fee: npt.ArrayLike = 0.00045,
        spread: npt.ArrayLike = 0.0002,
        coins: Sequence[str] = (),
    ) -> TransactionCostModel:
        """``coefficient sigma sqrt(Q / V)`` per dollar: volatility (a fraction) and USD traded, of a day each."""
        volume = np.asarray(daily_usd, dtype=np.float64)
        if not (volume > 0.0).all():
            raise ValueError("daily_usd must be above 0 for every coin: one without volume cannot be traded")
        return cls(fee, spread, coefficient * np.asarray(sigma_day, dtype=np.float64) / np.sqrt(volume), coins)
