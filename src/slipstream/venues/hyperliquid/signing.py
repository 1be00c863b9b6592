"""Hyperliquid signatures: the EIP-712 digests by hand, signed and recovered with libsecp256k1.

Two schemes. An *L1 action* (orders, cancels, leverage, ...) is hashed as msgpack bytes and signed through a phantom
agent whose source is "a" on mainnet and "b" anywhere else. A *user-signed action* (transfers, approving an agent)
is typed data over its named fields. Bit-identical to the official SDK (RFC 6979 nonces), an order of magnitude
faster, because the domain and type hashes are constants and nothing is encoded generically.

Source: hyperliquid-python-sdk 0.24 ``utils/signing.py``; EIP-712.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sha3
from coincurve import PrivateKey, PublicKey
from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from slipstream.model.errors import SecretError

MAINNET_SOURCE = "a"
TESTNET_SOURCE = "b"


_keccak_256 = sha3.keccak_256
_sign_recoverable = lib.secp256k1_ecdsa_sign_recoverable
_serialize_compact = lib.secp256k1_ecdsa_recoverable_signature_serialize_compact
_CONTEXT, _NULL = GLOBAL_CONTEXT.ctx, ffi.NULL


def keccak(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it."""
    digest: bytes = _keccak_256(data).digest()
    return digest


_DOMAIN_TYPE = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_VERSION = keccak(b"1")
_ZERO_ADDRESS = bytes(32)


def _domain(name: bytes, chain_id: int) -> bytes:
    return keccak(_DOMAIN_TYPE + keccak(name) + _VERSION + chain_id.to_bytes(32, "big") + _ZERO_ADDRESS)


_L1_PREFIX = b"\x19\x01" + _domain(b"Exchange", 1337)
_AGENT_TYPE = keccak(b"Agent(string source,bytes32 connectionId)")
_AGENT_PREFIX = {source: _AGENT_TYPE + keccak(source.encode()) for source in (MAINNET_SOURCE, TESTNET_SOURCE)}

# Field names and types after `string hyperliquidChain`, in signing order.
USER_SIGNED: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "usdSend": ("UsdSend", (("destination", "string"), ("amount", "string"), ("time", "uint64"))),
    "spotSend": (
        "SpotSend",
        (("destination", "string"), ("token", "string"), ("amount", "string"), ("time", "uint64")),
    ),
    "withdraw3": ("Withdraw", (("destination", "string"), ("amount", "string"), ("time", "uint64"))),
    "usdClassTransfer": ("UsdClassTransfer", (("amount", "string"), ("toPerp", "bool"), ("nonce", "uint64"))),
    "sendAsset": (
        "SendAsset",
        (
            ("destination", "string"),
            ("sourceDex", "string"),
            ("destinationDex", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("fromSubAccount", "string"),
            ("nonce", "uint64"),
        ),
    ),
    "approveAgent": ("ApproveAgent", (("agentAddress", "address"), ("agentName", "string"), ("nonce", "uint64"))),
    "approveBuilderFee": (
        "ApproveBuilderFee",
        (("maxFeeRate", "string"), ("builder", "address"), ("nonce", "uint64")),
    ),
    "userDexAbstraction": (
        "UserDexAbstraction",
        (("user", "address"), ("enabled", "bool"), ("nonce", "uint64")),
    ),
    "userSetAbstraction": (
        "UserSetAbstraction",
        (("user", "address"), ("abstraction", "string"), ("nonce", "uint64")),
    ),
    "tokenDelegate": (
        "TokenDelegate",
        (("validator", "address"), ("wei", "uint64"), ("isUndelegate", "bool"), ("nonce", "uint64")),
    ),
    "convertToMultiSigUser": ("ConvertToMultiSigUser", (("signers", "string"), ("nonce", "uint64"))),
}


def _type_hash(action_type: str) -> bytes:
    name, fields = USER_SIGNED[action_type]
    listed = ",".join(f"{kind} {field}" for field, kind in (("hyperliquidChain", "string"), *fields))
    return keccak(f"HyperliquidTransaction:{name}({listed})".encode())


_USER_TYPE = {action_type: _type_hash(action_type) for action_type in USER_SIGNED}


class Signature(msgspec.Struct, frozen=True):
    """An ECDSA signature; ``v`` is 27 or 28."""

    r: int
    s: int
    v: int

    def to_wire(self) -> dict[str, str | int]:
        """As the SDK writes it: hex without padding."""
        return {"r": hex(self.r), "s": hex(self.s), "v": self.v}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Signature:
        """Read r and s as hex of any length (or integers) and v. Raises ValueError on anything else."""
        try:
            r, s = (value if isinstance(value, int) else int(value, 16) for value in (wire["r"], wire["s"]))
            v = int(wire["v"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"a signature needs r, s and v: {error}") from None
        if not (0 < r < 1 << 256 and 0 < s < 1 << 256 and v in (0, 1, 27, 28)):
            raise ValueError("signature out of range")
        return cls(r, s, v if v >= 27 else v + 27)


def l1_hash(action: Any, vault: str | None, nonce: int, expires_after: int | None) -> bytes:
    """The connection id of an L1 action: keccak of its msgpack bytes, nonce, vault and expiry.

    ``action`` may be the packed bytes already. Key order is the order of the mapping.
    """
    packed = action if isinstance(action, bytes) else msgspec.msgpack.encode(action)
    data = packed + nonce.to_bytes(8, "big")
    data += b"\x00" if vault is None else b"\x01" + bytes.fromhex(vault.lower().removeprefix("0x"))
    if expires_after is not None:
        data += b"\x00" + expires_after.to_bytes(8, "big")
    return keccak(data)


def l1_digest(action: Any, vault: str | None, nonce: int, expires_after: int | None, source: str) -> bytes:
    """What is signed for an L1 action; ``source`` is "a" on mainnet, "b" elsewhere."""
    agent = keccak(_AGENT_PREFIX[source] + l1_hash(action, vault, nonce, expires_after))
    return keccak(_L1_PREFIX + agent)


def _encode(kind: str, value: Any) -> bytes:
    if kind == "string":
        return keccak(str(value).encode())
    if kind == "bool":
        return int(bool(value)).to_bytes(32, "big")
    if kind == "address":
        return bytes.fromhex(str(value).lower().removeprefix("0x")).rjust(32, b"\x00")
    return int(value).to_bytes(32, "big")


def user_digest(action: Mapping[str, Any]) -> bytes:
    """What is signed for a user-signed action, chain id and chain name read from it.

    A missing ``agentName`` counts as "" (the SDK signs it so and then drops the key). Raises KeyError on an action
    that is not user-signed or lacks a field, ValueError on one that cannot be encoded.
    """
    action_type = action["type"]
    data = _USER_TYPE[action_type] + _encode("string", action["hyperliquidChain"])
    for field, kind in USER_SIGNED[action_type][1]:
        value = action.get("agentName") or "" if field == "agentName" else action[field]
        data += _encode(kind, value)
    chain_id = int(str(action["signatureChainId"]), 16)
    return keccak(b"\x19\x01" + _domain(b"HyperliquidSignTransaction", chain_id) + keccak(data))


def recover(digest: bytes, signature: Signature) -> str:
    """The lower-case address that signed a digest. Raises ValueError if no key could have."""
    raw = signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes([signature.v - 27])
    try:
        public = PublicKey.from_signature_and_message(raw, digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception for unrecoverable points
        raise ValueError(f"unrecoverable signature: {error}") from None
    return address_of(public)


def address_of(public: PublicKey) -> str:
    """The lower-case address of a public key."""
    return "0x" + keccak(public.format(compressed=False)[1:])[12:].hex()


class Signer:
    """A private key that signs; its text forms never show the key."""

    def __init__(self, secret: str | bytes) -> None:
        """Read 32 bytes or their hex. Raises SecretError on anything else, without repeating it."""
        try:
            raw = secret if isinstance(secret, bytes) else bytes.fromhex(secret.strip().removeprefix("0x"))
            if len(raw) != 32:
                raise ValueError
            self._key = PrivateKey(raw)
        except ValueError:
            raise SecretError("a private key is 64 hex digits (32 bytes), with or without 0x; this is not") from None
        self.address = address_of(self._key.public_key)
        # libsecp256k1 is called as coincurve would call it, without its allocations and checks on every signature
        self._raw = raw
        self._signature = ffi.new("secp256k1_ecdsa_recoverable_signature *")
        self._compact = ffi.new("unsigned char[64]")
        self._view = ffi.buffer(self._compact)
        self._recovery = ffi.new("int *")

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def sign(self, digest: bytes) -> Signature:
        """A deterministic (RFC 6979) low-s signature of a 32-byte digest. One thread at a time.

        Raises ValueError if the digest is not 32 bytes long.
        """
        if len(digest) != 32:
            raise ValueError(f"a digest is 32 bytes, not {len(digest)}")
        if not _sign_recoverable(_CONTEXT, self._signature, digest, self._raw, _NULL, _NULL):
            raise SecretError("libsecp256k1 refuses to sign with this key")
        _serialize_compact(_CONTEXT, self._compact, self._recovery, self._signature)
        raw = self._view[:]
        return Signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"), self._recovery[0] + 27)

    def sign_l1(
        self, action: Any, nonce: int, source: str, vault: str | None = None, expires_after: int | None = None
    ) -> Signature:
        """Sign an L1 action."""
        return self.sign(l1_digest(action, vault, nonce, expires_after, source))

    def sign_user(self, action: Mapping[str, Any]) -> Signature:
        """Sign a user-signed action."""
        return self.sign(user_digest(action))
