"""Who sent a request: the address recovered from its signature.

There is no login. The real venue hashes its own re-serialisation of an action; clients hash what they send. So the
received form is tried first, then the canonical one (keys in schema order, numbers without padding, lower-case
cloids), each with the phantom agent's source "b", then "a"; the first address the exchange knows is the sender. If
none is known, the address of the first attempt is, and the exchange will say that it does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgpack
import msgspec

from slipstream.venues.emulator.exchange import Malformed, wire
from slipstream.venues.emulator.exchange.refusal import RequestRefused
from slipstream.venues.hyperliquid.signing import USER_SIGNED, Signature, l1_digest, recover, user_digest

Network = Literal["any", "mainnet", "testnet"]
SOURCES: dict[Network, tuple[str, ...]] = {"any": ("b", "a"), "mainnet": ("a",), "testnet": ("b",)}
CHAINS = {"mainnet": "Mainnet", "testnet": "Testnet"}
NUMBERS = frozenset({"p", "s", "triggerPx"})


class Envelope(msgspec.Struct):
    """The body of a signed request."""

    action: dict[str, Any]
    nonce: wire.Natural
    signature: dict[str, Any]
    vaultAddress: wire.Address | None = None
    expiresAfter: wire.Natural | None = None


class Sender(msgspec.Struct, frozen=True):
    """A recovered address and whether it signed typed fields (its own account) or an L1 action."""

    address: str
    user_signed: bool


def read_envelope(body: Any) -> Envelope:
    """A decoded JSON body as an envelope. Raises Malformed with the reason."""
    if isinstance(body, dict) and isinstance(vault := body.get("vaultAddress"), str) and vault[:2] not in ("0x", "0X"):
        body = {**body, "vaultAddress": "0x" + vault}  # ccxt sends it bare
    try:
        return msgspec.convert(body, Envelope)
    except msgspec.ValidationError as error:
        raise Malformed(str(error)) from error


def canonical(action: wire.Action) -> dict[str, Any]:
    """The action as the venue itself would write it."""
    plain = msgspec.to_builtins(action)
    cleaned: dict[str, Any] = _clean(plain)
    return cleaned


def _clean(value: Any) -> Any:
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for key, item in value.items():
        if item is None or (item is False and (key == "f" or (key == "a" and "t" not in value))):
            continue  # optional keys are absent, not null or false
        if key in NUMBERS and isinstance(item, str) and "." in item:
            item = item.rstrip("0").rstrip(".")
        elif key in ("c", "cloid") and isinstance(item, str):
            item = item.lower()
        out[key] = _clean(item)
    return out


def identify(envelope: Envelope, knows: Callable[[str], bool], network: Network = "any") -> Sender:
    """The sender of a request whose action is well-formed.

    Raises RequestRefused if no address can be recovered or a user-signed action is for another network, Malformed if
    the action or signature fits no schema.
    """
    typed = wire.read_action(envelope.action)
    try:
        signature = Signature.from_wire(envelope.signature)
    except (ValueError, AttributeError) as error:
        raise Malformed(f"signature: {error}") from error
    if envelope.action["type"] in USER_SIGNED:
        return _user_signed(envelope.action, signature, network)
    first = ""
    for digest in _digests(envelope, typed, SOURCES[network]):
        try:
            address = recover(digest, signature)
        except ValueError:
            continue
        if knows(address):
            return Sender(address, False)
        first = first or address
    if not first:
        raise RequestRefused("Unable to recover signer.")
    return Sender(first, False)


def _digests(envelope: Envelope, typed: wire.Action, sources: tuple[str, ...]) -> Iterator[bytes]:
    vault, nonce, expires = envelope.vaultAddress, envelope.nonce, envelope.expiresAfter
    received = _packed(envelope.action)
    for source in sources:
        yield l1_digest(received, vault, nonce, expires, source)
    own = _packed(canonical(typed))
    if own != received:
        for source in sources:
            yield l1_digest(own, vault, nonce, expires, source)


def _packed(action: dict[str, Any]) -> bytes:
    try:
        packed: bytes = msgpack.packb(action)
    except (ValueError, OverflowError, TypeError) as error:
        raise Malformed(f"action cannot be hashed: {error}") from error
    return packed


def _user_signed(action: dict[str, Any], signature: Signature, network: Network) -> Sender:
    if network != "any" and action["hyperliquidChain"] != CHAINS[network]:
        raise RequestRefused("Mainnet and testnet require different signature.")
    try:
        digest = user_digest(action)
    except (ValueError, KeyError, OverflowError, TypeError) as error:
        raise Malformed(f"action cannot be hashed: {error}") from error
    try:
        return Sender(recover(digest, signature), True)
    except ValueError:
        raise RequestRefused("Unable to recover signer.") from None
