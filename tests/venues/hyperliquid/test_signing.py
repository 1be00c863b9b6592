"""Signatures against the SDK's vectors and, on random actions, against the SDK itself."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from hyperliquid.utils import signing as sdk
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.model.errors import SecretError
from slipstream.venues.hyperliquid.signing import Signature, Signer, l1_digest, l1_hash, recover, user_digest

KEY = "0x" + "0123456789" * 6 + "0123"
ADDRESS = st.integers(1, (1 << 160) - 1).map(lambda n: f"0x{n:040x}")
NUMBER = st.decimals(min_value="0.00001", max_value="99999", places=5).map(lambda d: format(d.normalize(), "f"))
NONCE = st.integers(1, 2_000_000_000_000)


def test_vectors_of_the_sdk() -> None:
    eth = {"a": 4, "b": True, "p": "1670.1", "s": "0.0147", "r": False, "t": {"limit": {"tif": "Ioc"}}}
    action = {"type": "order", "orders": [eth], "grouping": "na"}
    expected = "0fcbeda5ae3c4950a548021552a4fea2226858c4453571bf3f24ba017eac2908"
    assert l1_hash(action, None, 1677777606040, None).hex() == expected
    order = {"a": 1, "b": True, "p": "100", "s": "100", "r": False, "t": {"limit": {"tif": "Gtc"}}}
    signature = Signer(KEY).sign_l1({"type": "order", "orders": [order], "grouping": "na"}, 0, "a")
    assert signature.r == 0xD65369825A9DF5D80099E513CCE430311D7D26DDF477F5B3A33D2806B100D78E
    assert signature.v == 28


@st.composite
def actions(draw: Any) -> dict[str, Any]:
    def one() -> dict[str, Any]:
        out = {"a": draw(st.integers(0, 300)), "b": draw(st.booleans()), "p": draw(NUMBER), "s": draw(NUMBER)}
        out |= {"r": draw(st.booleans()), "t": {"limit": {"tif": draw(st.sampled_from(["Gtc", "Ioc", "Alo"]))}}}
        if draw(st.booleans()):
            out["c"] = f"0x{draw(st.integers(0, (1 << 128) - 1)):032x}"
        return out

    return {"type": "order", "orders": [one() for _ in range(draw(st.integers(1, 3)))], "grouping": "na"}


@settings(max_examples=40, deadline=None)
@given(actions(), NONCE, st.none() | ADDRESS, st.none() | NONCE, st.booleans())
def test_l1_actions_are_bit_identical(action: Any, nonce: int, vault: Any, expires: Any, mainnet: bool) -> None:
    theirs = sdk.sign_l1_action(Account.from_key(KEY), action, vault, nonce, expires, mainnet)
    source = "a" if mainnet else "b"
    signer = Signer(KEY)
    ours = signer.sign_l1(action, nonce, source, vault, expires)
    assert ours.to_wire() == theirs
    assert recover(l1_digest(action, vault, nonce, expires, source), ours) == signer.address
    if vault is not None:
        assert signer.sign_l1(action, nonce, source, vault.removeprefix("0x"), expires) == ours


@settings(max_examples=20, deadline=None)
@given(ADDRESS, NUMBER, NONCE, st.booleans())
def test_user_signed_actions_are_bit_identical(to: str, amount: str, nonce: int, mainnet: bool) -> None:
    wallet, signer = Account.from_key(KEY), Signer(KEY)
    cases: list[tuple[Any, dict[str, Any]]] = [
        (sdk.sign_usd_transfer_action, {"type": "usdSend", "destination": to, "amount": amount, "time": nonce}),
        (
            sdk.sign_withdraw_from_bridge_action,
            {"type": "withdraw3", "destination": to, "amount": amount, "time": nonce},
        ),
        (
            sdk.sign_usd_class_transfer_action,
            {"type": "usdClassTransfer", "amount": amount, "toPerp": True, "nonce": nonce},
        ),
        (sdk.sign_agent, {"type": "approveAgent", "agentAddress": to, "agentName": "a", "nonce": nonce}),
    ]
    for sign, action in cases:
        theirs = sign(wallet, action, mainnet)
        ours = signer.sign_user(action)
        assert ours.to_wire() == theirs
        assert recover(user_digest(action), ours) == signer.address


def test_hexadecimals_without_padding_are_read() -> None:
    signature = Signature(5, 7, 27)
    assert signature.to_wire() == {"r": "0x5", "s": "0x7", "v": 27}
    assert Signature.from_wire({"r": "0x05", "s": "7", "v": 0}) == signature
    with pytest.raises(ValueError, match="needs r, s and v"):
        Signature.from_wire({"r": "0x5"})


def test_a_bad_key_is_refused_without_being_shown() -> None:
    with pytest.raises(SecretError) as caught:
        Signer("0xdeadbeef")
    assert "deadbeef" not in str(caught.value)
    assert KEY[2:] not in repr(Signer(KEY))
