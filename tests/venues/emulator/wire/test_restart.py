"""A snapshot file: users, orders, nonces and the market survive; a wrong file is refused in words."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slipstream.model.errors import ConfigError
from slipstream.venues.emulator.serve import ServeOptions, running_venue


async def test_a_restarted_venue_continues(tmp_path: Path, http: Any, make_trader: Any, options: Any) -> None:
    file = tmp_path / "deep" / "venue.snapshot"
    cloid = "0x" + "ab" * 16
    async with running_venue(options(snapshot=str(file))) as venue:
        trader = make_trader(venue, http)
        await venue.step(10)
        await trader.send(trader.order("1.01", "0.02", "Ioc"))
        await trader.send(trader.order(cloid=cloid))
        nonce, height, book = trader.nonce, venue.exchange.height, await trader.info("l2Book", coin="BTC")
        state = await trader.info("clearinghouseState", user=trader.user)
        fills = await trader.info("userFills", user=trader.user)
        assert await trader.control("snapshot") == {"file": str(file)}
    async with running_venue(options(snapshot=str(file))) as venue:
        again = make_trader(venue, http)
        assert venue.exchange.height == height
        assert await again.info("clearinghouseState", user=again.user) == state
        assert await again.info("userFills", user=again.user) == fills
        assert await again.info("l2Book", coin="BTC") == book
        assert (await again.info("orderStatus", user=again.user, oid=cloid))["order"]["status"] == "open"
        again.nonce = nonce - 1
        assert "duplicate nonce" in (await again.send(again.order()))["response"]
        again.nonce = nonce + 10
        assert (await again.send({"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": cloid}]}))[
            "status"
        ] == "ok"
        assert await again.info("openOrders", user=again.user) == []


@pytest.mark.parametrize("content", [b"", b"junk", b"x\x9c\x03\x00\x00\x00\x00\x01"])
async def test_a_file_that_is_no_snapshot_is_refused(tmp_path: Path, options: Any, content: bytes) -> None:
    file = tmp_path / "venue.snapshot"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="delete it to start anew"):
        async with running_venue(options(snapshot=str(file))):
            pass
    assert file.read_bytes() == content


async def test_a_snapshot_of_another_market_is_refused(tmp_path: Path, options: Any) -> None:
    file = tmp_path / "venue.snapshot"
    async with running_venue(options(snapshot=str(file))):
        pass
    with pytest.raises(ConfigError, match="another market"):
        async with running_venue(options(snapshot=str(file), seed=8)):
            pass


async def test_a_taken_port_is_said_so(options: Any) -> None:
    async with running_venue(options()) as venue:
        port = int(venue.url.rsplit(":", 1)[1])
        with pytest.raises(ConfigError, match="choose another --host or --port"):
            async with running_venue(options(port=port)):
                pass


@pytest.mark.parametrize("change", [{"speed": 0.5}, {"speed": 1e9}, {"port": 70_000}])
def test_options_are_checked(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be from"):
        ServeOptions(**change)


async def test_the_clock_makes_blocks_by_itself(options: Any, http: Any) -> None:
    async with running_venue(options(pace="clock", speed=60.0)) as venue:
        start = venue.exchange.now_ns
        async with http.ws_connect(venue.ws_url) as ws:
            await ws.send_json({"method": "subscribe", "subscription": {"type": "allMids"}})
            for _ in range(5):
                await ws.receive(timeout=10)
        assert venue.exchange.now_ns - start > 5_000_000_000
        health = venue.venue.health()
        assert health["speed"] == 60.0 and health["lag"] < 5_000


async def test_a_snapshot_that_cannot_be_written_is_said_and_the_venue_goes_on(
    tmp_path: Path, http: Any, make_trader: Any, options: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "deep"
    file = folder / "venue.snapshot"
    with pytest.raises(ConfigError, match="cannot be written"):
        async with running_venue(options(snapshot=str(file), snapshot_seconds=0.02)) as venue:
            folder.write_text("a file where the folder should be")
            async with asyncio.timeout(20):
                while not venue.venue.trouble:
                    await venue.step()
            trader = make_trader(venue, http)
            await venue.step(10)
            assert (await trader.send(trader.order()))["status"] == "ok", "users are served all the same"
            assert "cannot be written" in venue.venue.health()["trouble"]
    assert capsys.readouterr().err.count("error: snapshot") == 1, "said once, not every time"


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit of another process is Linux's")
def test_a_full_disk_ends_a_venue_in_words(tmp_path: Path) -> None:
    file = tmp_path / "venue.snapshot"
    argv = [sys.executable, "-m", "slipstream", "venue", "--port", "0", "--coins", "BTC", "--snapshot", str(file)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("venue ready")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (50_000, 50_000))
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors == f"slipstream: snapshot {file} cannot be written: File too large; there is none yet\n"
    assert not list(tmp_path.iterdir()), "nothing half-written is left"
