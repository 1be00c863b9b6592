"""Keys of a demo fund on a local venue: a master account, and an agent for every process that may sign.

Play money only: on a real venue agents are approved by hand, once, in the venue's own interface.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import msgspec

from slipstream.model.errors import NotConnected, VenueRejected
from slipstream.runtime.secrets import read_owned
from slipstream.venues.hyperliquid.signing import Signer

CHAIN_ID = "0x66eee"


def own_key(path: Path) -> str:
    """The private key in a file that only its owner reads; made at the first start. Raises SecretError."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.write("0x" + secrets.token_hex(32))
    return read_owned(path, "demo key").strip()


async def approve(session: aiohttp.ClientSession, url: str, master: Signer, agents: Sequence[tuple[str, str]]) -> None:
    """Have the master approve (name, address) agents at a local venue; an account has one agent without a name, and
    three with one. Raises NotConnected, VenueRejected.
    """
    for number, (name, address) in enumerate(agents):
        nonce = time.time_ns() // 1_000_000 + number
        action = {
            "type": "approveAgent",
            "hyperliquidChain": "Testnet",
            "signatureChainId": CHAIN_ID,
            "agentAddress": address,
            "agentName": name,
            "nonce": nonce,
        }
        body = {"action": action, "nonce": nonce, "signature": master.sign_user(action).to_wire(), "vaultAddress": None}
        try:
            async with session.post(url + "/exchange", json=body) as response:
                answer = msgspec.json.decode(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotConnected(f"{url}: agent {name or address} could not be approved: {error}") from error
        if not isinstance(answer, dict) or answer.get("status") != "ok":
            raise VenueRejected(f"{url}: agent {name or address} was not approved: {answer}")
