"""The prices nobody sees directly: the leading exchange's perp, the spot index and the local basis, per coin.

A common factor moves every coin, a two-state regime scales volatility, the basis over the leader reverts within
minutes, the premium over the index within hours to days. Log prices, steps of any length, one seeded generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.venues.emulator.market import history
from slipstream.venues.emulator.market.universe import CoinSpec

Floats = npt.NDArray[np.float64]
YEAR_SECONDS = 31_536_000.0
FACTOR_VOLATILITY = 0.42
REGIMES = (0.75, 1.9)  # volatility multipliers of the quiet and the wild state
REGIME_SECONDS = (5_400.0, 1_200.0)  # mean stay
BASIS_SD = 5e-4
BASIS_SECONDS = 600.0


class Paths(Protocol):
    """Where a market's prices come from: log prices by coin, in the order of its specs."""

    @property
    def slow(self) -> Floats:
        """The slow part of the premium over the index."""
        ...

    @property
    def index(self) -> Floats:
        """Log of the spot index."""
        ...

    def walk(self, steps: int, seconds: float) -> tuple[Floats, Floats]:
        """Move ``steps`` times by ``seconds``: leader and basis after each step, shapes (coins, steps)."""
        ...

    def dump(self) -> dict[str, Any]:
        """Plain values for `restore`."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `dump`."""
        ...


class Latent:
    """Latent state of every coin, in the order of the specs."""

    def __init__(self, specs: Sequence[CoinSpec], rng: np.random.Generator, premium: Floats) -> None:
        """``premium`` is each coin's last hourly mean premium over the index (a fraction)."""
        n = len(specs)
        self._rng = rng
        self.leader = np.log(np.array([spec.px for spec in specs]))
        self.basis_mean = rng.uniform(-2e-4, 8e-4, n)
        self.basis = self.basis_mean + BASIS_SD * rng.standard_normal(n)
        self.premium_mean = history.PREMIUM_MEAN * 1e-4
        self.slow = premium - self.premium_mean
        self.fast = np.zeros(n)
        self.regime = 0
        self._beta = np.array([spec.beta for spec in specs])
        total = np.array([spec.volatility for spec in specs])
        own = np.sqrt(np.maximum(0.01, total**2 - (FACTOR_VOLATILITY * self._beta) ** 2))
        self._own = own / YEAR_SECONDS**0.5
        self._factor = FACTOR_VOLATILITY / YEAR_SECONDS**0.5

    @property
    def premium(self) -> Floats:
        """Premium of the local perp over the index now, a fraction."""
        return self.premium_mean + self.slow + self.fast

    @property
    def index(self) -> Floats:
        """Log of the spot index: the local price less its premium."""
        return self.leader + self.basis - self.premium

    def walk(self, steps: int, seconds: float) -> tuple[Floats, Floats]:
        """Move ``steps`` times by ``seconds``: leader and basis after each step, shapes (coins, steps)."""
        rng, n = self._rng, len(self.leader)
        if rng.random() < 1.0 - np.exp(-steps * seconds / REGIME_SECONDS[self.regime]):
            self.regime = 1 - self.regime
        scale = REGIMES[self.regime] * seconds**0.5
        common = rng.standard_normal(steps) * self._factor * scale
        own = rng.standard_normal((n, steps)) * (self._own * scale)[:, None]
        leader = self.leader[:, None] + np.cumsum(self._beta[:, None] * common + own, axis=1)
        keep = np.exp(-seconds / BASIS_SECONDS)
        noise = rng.standard_normal((n, steps)) * BASIS_SD * (1.0 - keep * keep) ** 0.5
        basis = np.empty((n, steps))
        level = self.basis - self.basis_mean
        for k in range(steps):
            level = keep * level + noise[:, k]
            basis[:, k] = level
        basis += self.basis_mean[:, None]
        self.leader, self.basis = leader[:, -1].copy(), basis[:, -1].copy()
        hours = steps * seconds / 3_600.0
        sd = history.PREMIUM_SD * 1e-4
        for part, tau, share in (
            (self.slow, history.SLOW_HOURS, history.SLOW_SHARE),
            (self.fast, history.FAST_HOURS, history.FAST_SHARE),
        ):
            stay = np.exp(-hours / tau)
            part *= stay
            part += sd * (share * (1.0 - stay * stay)) ** 0.5 * rng.standard_normal(n)
        return leader, basis

    def dump(self) -> dict[str, Any]:
        """Plain values for `restore`."""
        arrays = ("leader", "basis", "basis_mean", "slow", "fast")
        state: dict[str, Any] = {name: getattr(self, name).tobytes() for name in arrays}
        generator = msgspec.json.encode(self._rng.bit_generator.state)
        return state | {"regime": self.regime, "generator": generator}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `dump`."""
        for name in ("leader", "basis", "basis_mean", "slow", "fast"):
            setattr(self, name, np.frombuffer(state[name], np.float64).copy())
        self.regime = state["regime"]
        self._rng.bit_generator.state = msgspec.json.decode(state["generator"])
