"""Hourly funding rates: those settled before the pod began, then what the venue's contexts tell.

The venue publishes the running estimate of the rate that settles at the hour's end. What is heard in [h, h+1) settles
at h+1 and belongs to the bar that holds that hour: the last estimate of an hour is its rate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from slipstream.model.events import AssetContext, FundingRate

Array = npt.NDArray[np.float64]
HOUR = 3_600_000_000_000
KEPT = 24 * 400  # hours that wait for their bar


class Rates:
    """The rates heard, by hour, until a bar asks for them."""

    def __init__(self, coins: Sequence[str]) -> None:
        self.coins = tuple(coins)
        self._index = {coin: number for number, coin in enumerate(self.coins)}
        self._hours: dict[int, Array] = {}

    def hear(self, told: AssetContext | FundingRate) -> None:
        """Take a context or a settled rate; those of unknown coins and without a rate are left aside."""
        place = self._index.get(told.coin)
        settled = isinstance(told, FundingRate)
        rate = told.rate if isinstance(told, FundingRate) else told.funding
        if place is None or not np.isfinite(rate):
            return
        # a settlement is dated some milliseconds after the hour that it ends
        hour = (told.event_ns + HOUR // 2) // HOUR - 1 if settled else told.event_ns // HOUR
        if hour not in self._hours:
            self._hours[hour] = np.full(len(self.coins), np.nan)
            while len(self._hours) > KEPT:
                del self._hours[min(self._hours)]
        self._hours[hour][place] = rate

    def of_bar(self, open_ns: int, bar_ns: int) -> Array:
        """The mean hourly rate of a bar, (N,), over its hours that were heard; NaN where none was. Older ones go."""
        first, last = open_ns // HOUR, (open_ns + bar_ns) // HOUR
        held = [rates for hour, rates in self._hours.items() if first <= hour < last]
        for hour in [hour for hour in self._hours if hour < last]:
            del self._hours[hour]
        out = np.full(len(self.coins), np.nan)
        if held:
            table = np.stack(held)
            count = np.isfinite(table).sum(axis=0)
            np.divide(np.nan_to_num(table).sum(axis=0), count, out=out, where=count > 0)
        return out
