"""The prices nobody sees directly: the leading exchange's perp, the spot index and the local basis, per coin.

A common factor moves every coin, a two-state regime scales volatility, the basis over the leader reverts within
minutes (`slipstream.lob.flow.value`), the premium over the index within hours to days. Log prices, steps of any
length, seeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.lob.flow.record import VALUE_DTYPE
from slipstream.lob.flow.value import begin_all, walk_into
from slipstream.simulation.market.terms import Value, write_value
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
        seed = int(rng.integers(1 << 62))
        means = rng.uniform(-2e-4, 8e-4, n)
        self._values: Any = np.zeros(n, VALUE_DTYPE)
        for i, spec in enumerate(specs):
            write_value(self._values[i], value_terms(spec, float(means[i])), seed, i)
        self._values["basis"] += BASIS_SD * rng.standard_normal(n)
        begin_all(self._values, 0)
        self.premium_mean = history.PREMIUM_MEAN * 1e-4
        self.slow = premium - self.premium_mean
        self.fast = np.zeros(n)

    @property
    def leader(self) -> Floats:
        """Log price of the leading exchange."""
        out: Floats = self._values["leader"]
        return out

    @property
    def basis(self) -> Floats:
        """Local log premium over the leader."""
        out: Floats = self._values["basis"]
        return out

    @property
    def regime(self) -> int:
        """0 in the quiet, 1 in the wild state, which is one for all coins."""
        return int(self._values["regime"][0])

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
        rng, n = self._rng, len(self._values)
        leader, basis = np.empty((n, steps)), np.empty((n, steps))
        walk_into(self._values, steps, round(seconds * 1e9), leader, basis)
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
        state: dict[str, Any] = {name: getattr(self, name).tobytes() for name in ("slow", "fast")}
        generator = msgspec.json.encode(self._rng.bit_generator.state)
        return state | {"values": self._values.tobytes(), "generator": generator}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `dump`."""
        for name in ("slow", "fast"):
            setattr(self, name, np.frombuffer(state[name], np.float64).copy())
        self._values = np.frombuffer(state["values"], VALUE_DTYPE).copy()
        self._rng.bit_generator.state = msgspec.json.decode(state["generator"])


def value_terms(spec: CoinSpec, basis_mean: float) -> Value:
    """A coin's value: beta times the factor's volatility, and what is left to its own."""
    own = max(0.01, spec.volatility**2 - (FACTOR_VOLATILITY * spec.beta) ** 2) ** 0.5
    return Value(
        px=spec.px,
        volatility=own / YEAR_SECONDS**0.5,
        factor_volatility=FACTOR_VOLATILITY * spec.beta / YEAR_SECONDS**0.5,
        basis_mean=basis_mean,
        basis_sd=BASIS_SD,
        basis_seconds=BASIS_SECONDS,
        regime_seconds=REGIME_SECONDS,
        regime_volatility=REGIMES,
    )
