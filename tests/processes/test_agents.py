from pathlib import Path

import aiohttp
import pytest

from slipstream.model.errors import SecretError, VenueRejected
from slipstream.processes.agents import approve, own_key
from slipstream.venues.emulator.serve import ServeOptions, running_venue
from slipstream.venues.hyperliquid.signing import Signer


async def test_agents_of_a_demo_fund_are_approved_by_their_master(tmp_path: Path) -> None:
    master = Signer(own_key(tmp_path / "master.key"))
    names = ("", "brawler", "gradient", "carry")  # as many as an account may have: the breaker's goes without a name
    agents = [(name, Signer(own_key(tmp_path / f"{name}.key")).address) for name in names]
    assert Signer(own_key(tmp_path / "master.key")).address == master.address
    options = ServeOptions(port=0, pace="instant", coins=("BTC",))
    async with running_venue(options) as venue, aiohttp.ClientSession() as session:
        with pytest.raises(VenueRejected, match=r"agent 0x.* was not approved"):
            await approve(session, venue.url, master, agents)
        venue.exchange.faucet(master.address)
        await approve(session, venue.url, master, agents)
        for _, address in agents:
            async with session.post(venue.url + "/info", json={"type": "userRole", "user": address}) as response:
                assert (await response.json())["data"]["user"] == master.address
    with pytest.raises(SecretError):
        (tmp_path / "carry.key").chmod(0o644)
        own_key(tmp_path / "carry.key")


async def test_one_agent_more_than_the_venue_allows_is_refused_by_name(tmp_path: Path) -> None:
    master = Signer(own_key(tmp_path / "master.key"))
    agents = [(name, Signer(own_key(tmp_path / f"{name}.key")).address) for name in ("a", "b", "c", "d")]
    options = ServeOptions(port=0, pace="instant", coins=("BTC",))
    async with running_venue(options) as venue, aiohttp.ClientSession() as session:
        venue.exchange.faucet(master.address)
        with pytest.raises(VenueRejected, match=r"agent d was not approved.*Too many extra agents"):
            await approve(session, venue.url, master, agents)
