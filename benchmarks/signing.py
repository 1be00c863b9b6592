"""Signing and book-to-order against the official SDK with coincurve, in turns, every answer compared.

    uv run --no-sync python benchmarks/signing.py [--rounds 7] [--count 200]

1. one order action -> signature: SDK `sign_l1_action` against `Signer.sign_l1`;
2. l2Book frame bytes in -> signed order request bytes out: SDK path (json, its order wire, its signer, json)
   against ours. The price is the touch in both, so the bytes' meaning can be compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from eth_account import Account
from eth_keys.backends import get_backend_class
from hyperliquid.utils import signing as sdk
from hyperliquid.utils.types import Cloid

from slipstream.model.commands import Place
from slipstream.model.instrument import Instrument, Side
from slipstream.model.order import Tif
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.actions import requests, signed
from slipstream.venues.hyperliquid.signing import TESTNET_SOURCE, Signer

KEY = "0x" + "0123456789" * 6 + "0123"
BTC = Instrument("BTC", 0, 5, 40)
BOOKS = {"BTC": BTC}
CLOID = "0x" + "ab" * 16
NONCE = 1_741_683_603_296
TURN = 10  # calls before the other side's turn


def book_frame(number: int) -> bytes:
    """A pushed book of 20 levels a side; every one differs."""
    mid = 97_000 + number
    sides = [
        [{"px": f"{mid + way * (i + 1)}.0", "sz": f"{1 + i}.25", "n": i + 1} for i in range(20)] for way in (-1, 1)
    ]
    return json.dumps({"channel": "l2Book", "data": {"coin": "BTC", "time": NONCE + number, "levels": sides}}).encode()


def sdk_path(account: Any, frame: bytes, number: int) -> bytes:
    """As a client of the SDK does it."""
    data = json.loads(frame)["data"]
    price = float(data["levels"][0][0]["px"])
    request = {
        "coin": "BTC",
        "is_buy": True,
        "sz": 0.01,
        "limit_px": price,
        "order_type": {"limit": {"tif": "Alo"}},
        "reduce_only": False,
        "cloid": Cloid(CLOID),
    }
    action = sdk.order_wires_to_order_action([sdk.order_request_to_order_wire(request, 0)])
    signature = sdk.sign_l1_action(account, action, None, NONCE + number, None, False)
    body = {"action": action, "nonce": NONCE + number, "signature": signature}
    return json.dumps({**body, "vaultAddress": None, "expiresAfter": None}).encode()


FRAME = msgspec.json.Decoder(wire.Frame).decode


def our_path(signer: Signer, frame: bytes, number: int) -> bytes:
    """As the connector does it."""
    book = wire.to_book(wire.read_data(FRAME(frame), wire.BookData), 0)
    place = Place(CLOID, "BTC", Side.BUY, Decimal(repr(book.bids[0][0])), Decimal("0.01"), Tif.ALO)
    request = requests([place], [], [], BOOKS)[0]
    return signed(request, signer, NONCE + number, TESTNET_SOURCE, None)


def timed(work: Callable[[int], Any], numbers: range) -> float:
    """Seconds a call."""
    began = time.perf_counter()
    for number in numbers:
        work(number)
    return (time.perf_counter() - began) / len(numbers)


def compare(name: str, theirs: Callable[[int], Any], ours: Callable[[int], Any], rounds: int, count: int) -> float:
    """Medians over short turns, so that a busy machine slows both alike; prints them. Returns the ratio."""
    first, second = [], []
    for _ in range(rounds):
        for start in range(0, count, TURN):
            numbers = range(start, min(start + TURN, count))
            first.append(timed(theirs, numbers))
            second.append(timed(ours, numbers))
    sdk_s, our_s = statistics.median(first), statistics.median(second)
    print(f"{name:32} SDK {sdk_s * 1e6:8.1f} us   ours {our_s * 1e6:7.1f} us   {sdk_s / our_s:5.1f}x")
    return sdk_s / our_s


def main() -> None:
    """Check every answer, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=200)
    given = parser.parse_args()
    account, signer = Account.from_key(KEY), Signer(KEY)
    frames = [book_frame(number) for number in range(given.count)]
    actions = [json.loads(our_path(signer, frame, i))["action"] for i, frame in enumerate(frames)]

    def sdk_sign(i: int) -> Any:
        return sdk.sign_l1_action(account, actions[i], None, NONCE + i, None, False)

    def our_sign(i: int) -> Any:
        return signer.sign_l1(actions[i], NONCE + i, TESTNET_SOURCE).to_wire()

    for i, frame in enumerate(frames):
        if sdk_sign(i) != our_sign(i):
            raise SystemExit(f"signature {i} differs from the SDK's")
        if json.loads(sdk_path(account, frame, i)) != json.loads(our_path(signer, frame, i)):
            raise SystemExit(f"request {i} differs from the SDK's")
    print(f"backend of the SDK: {get_backend_class().__name__}; {given.count} answers identical")
    compare("order -> signature", sdk_sign, our_sign, given.rounds, given.count)
    compare(
        "l2Book bytes -> signed request",
        lambda i: sdk_path(account, frames[i], i),
        lambda i: our_path(signer, frames[i], i),
        given.rounds,
        given.count,
    )


if __name__ == "__main__":
    main()
