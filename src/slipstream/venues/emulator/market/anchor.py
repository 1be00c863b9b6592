"""What a recording of one venue lacks: the leading exchange's price and the spot index, derived from the recording.

The leader is the recorded mid of LEAD_NS later (the recording knows its own future), less a seeded basis that reverts
to its mean; the index is the recorded mid of now less a seeded premium. So the leader leads by LEAD_NS, as the real one
does.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.venues.emulator.market import history

Floats = npt.NDArray[np.float64]
LEAD_NS = 500_000_000
BASIS_SD = 4.5e-4
BASIS_SECONDS = 1_800.0  # slower than a quote's life: the lead stays visible through it
MEAN_RANGE = (-2e-4, 8e-4)  # of a coin's mean basis, as measured between the two venues
START_SD = 1.5  # deviations of the premium
_ARRAYS = ("basis_mean", "basis", "slow", "fast")


class Anchor:
    """Basis over the leader and premium over the index of every coin, as fractions."""

    def __init__(self, rng: np.random.Generator, premium: Floats) -> None:
        """``premium`` is each coin's premium in the last hour before; a wild one has calmed down to START_SD."""
        self._rng = rng
        n = len(premium)
        self.basis_mean = rng.uniform(*MEAN_RANGE, n)
        self.basis = self.basis_mean + BASIS_SD * rng.standard_normal(n)
        calm = START_SD * history.PREMIUM_SD * 1e-4
        self.slow = np.clip(premium - history.PREMIUM_MEAN * 1e-4, -calm, calm)
        self.fast = np.zeros(n)

    @property
    def premium(self) -> Floats:
        """Premium of the local perp over the index now."""
        return history.PREMIUM_MEAN * 1e-4 + self.slow + self.fast

    def walk(self, seconds: float) -> None:
        """Let time pass (exact steps of Ornstein-Uhlenbeck processes, of any length)."""
        n = len(self.basis)
        keep = np.exp(-seconds / BASIS_SECONDS)
        noise = BASIS_SD * np.sqrt(1.0 - keep * keep) * self._rng.standard_normal(n)
        self.basis = self.basis_mean + keep * (self.basis - self.basis_mean) + noise
        for part, hours, share in (
            (self.slow, history.SLOW_HOURS, history.SLOW_SHARE),
            (self.fast, history.FAST_HOURS, history.FAST_SHARE),
        ):
            stay = np.exp(-seconds / 3_600.0 / hours)
            part *= stay
            part += history.PREMIUM_SD * 1e-4 * np.sqrt(share * (1.0 - stay * stay)) * self._rng.standard_normal(n)

    def dump(self) -> dict[str, bytes]:
        """Plain values for `restore`."""
        state = {name: getattr(self, name).tobytes() for name in _ARRAYS}
        return state | {"generator": msgspec.json.encode(self._rng.bit_generator.state)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `dump`."""
        for name in _ARRAYS:
            setattr(self, name, np.frombuffer(state[name], np.float64).copy())
        self._rng.bit_generator.state = msgspec.json.decode(state["generator"])
