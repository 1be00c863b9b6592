"""A running venue for real clients, which are blocking and live in threads."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    """Three coins; a block follows every action."""
    options = ServeOptions(port=0, pace="instant", control=True, coins=("BTC", "ETH", "SOL"))
    async with running_venue(options) as running:
        await running.step(20)
        yield running
