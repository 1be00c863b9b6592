"""What a backtest leaves behind: one shape for every strategy, which reports and comparisons read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class BacktestRecord:
    """One run. All series have the length T of ``stamps``; money is USD, and a cost is positive.

    ``stamps`` are ends of periods, ms UTC, strictly increasing. ``equity`` is at those ends, ``capital`` before the
    first. ``gross`` and ``net`` are exposures held at the end of a period, ``turnover`` the notional traded within it.
    ``costs`` names the parts of trading's cost (such as fee, spread, impact), ``funding`` is what was received
    (negative: paid). ``coin_pnl`` is net PnL by coin. ``assumptions`` states in words how fills, costs and funding were
    taken, ``findings`` what was found wrong with the data. ``settings`` are what a reader needs to repeat the run:
    config, seeds, data hash.

    Raises ValueError on series of unequal length, stamps out of order, and numbers that are not finite.
    """

    slug: str
    title: str
    stamps: npt.NDArray[np.int64]
    equity: Array
    capital: float
    gross: Array
    net: Array
    turnover: Array
    costs: Mapping[str, Array]
    funding: Array
    coin_pnl: Mapping[str, float]
    assumptions: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=dict)
    findings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        series = {"equity": self.equity, "gross": self.gross, "net": self.net, "turnover": self.turnover}
        series |= {"funding": self.funding, **{f"costs[{name}]": values for name, values in self.costs.items()}}
        if self.stamps.ndim != 1 or self.stamps.size == 0 or (np.diff(self.stamps) <= 0).any():
            raise ValueError(f"{self.slug}: stamps must be one strictly increasing series of at least one period")
        for name, values in series.items():
            if values.shape != self.stamps.shape:
                raise ValueError(f"{self.slug}: {name} has shape {values.shape}, stamps have {self.stamps.shape}")
            if not np.isfinite(values).all():
                place = int(np.flatnonzero(~np.isfinite(values))[0])
                raise ValueError(f"{self.slug}: {name} at period {place} is not a finite number")
        if not (np.isfinite(self.capital) and self.capital > 0.0):
            raise ValueError(f"{self.slug}: capital {self.capital} must be a positive amount of USD")

    @property
    def returns(self) -> Array:
        """Simple returns of equity, period by period."""
        before = np.concatenate([[self.capital], self.equity[:-1]])
        returns: Array = self.equity / before - 1.0
        return returns
