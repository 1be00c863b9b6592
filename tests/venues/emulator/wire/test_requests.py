"""Signed requests and reads over HTTP: who sent it, what is refused at which layer, faucet, limits."""

from __future__ import annotations

from typing import Any

import pytest

from slipstream.venues.emulator.serve import running_venue

STRANGER = "0x" + "66" * 32


async def test_sources_b_and_a_and_the_canonical_form_all_recover(trader: Any) -> None:
    for source in ("b", "a"):
        status, answer = await trader.post("/exchange", trader.signed(trader.order(), source))
        assert status == 200 and "resting" in answer["response"]["data"]["statuses"][0]
    # signed in the venue's own form, sent with padding, another key order and an upper-case cloid
    action = trader.order(cloid="0x" + "ab" * 16)
    body = trader.signed(action)
    sent = dict(reversed(list(action["orders"][0].items())))
    sent["p"], sent["s"], sent["c"] = sent["p"] + ".0", sent["s"] + "0", "0x" + "AB" * 16
    body["action"] = {**action, "orders": [sent]}
    status, answer = await trader.post("/exchange", body)
    assert "resting" in answer["response"]["data"]["statuses"][0], answer


async def test_an_unknown_signer_is_told_so_and_gets_no_faucet(trader: Any, make_trader: Any) -> None:
    stranger = make_trader.__new__(make_trader)
    stranger.__dict__.update(trader.__dict__)
    from slipstream.venues.hyperliquid.signing import Signer

    stranger.signer = Signer(STRANGER)
    answer = await stranger.send(trader.order())
    unknown = stranger.signer.address
    assert answer == {"status": "err", "response": f"User or API Wallet {unknown} does not exist."}
    assert (await trader.info("userRole", user=unknown)) == {"role": "missing"}
    assert (await trader.info("clearinghouseState", user=unknown.upper().replace("0X", "0x")))[
        "withdrawable"
    ] == "100000.0"
    assert (await trader.info("userRole", user=unknown)) == {"role": "user"}
    assert "resting" in (await stranger.send(trader.order()))["response"]["data"]["statuses"][0]


@pytest.mark.parametrize("network,good,bad", [("mainnet", "a", "b"), ("testnet", "b", "a")])
async def test_a_strict_network_takes_one_source(
    network: str, good: str, bad: str, http: Any, make_trader: Any, options: Any
) -> None:
    async with running_venue(options(network=network)) as venue:
        trader = make_trader(venue, http)
        _, fine = await trader.post("/exchange", trader.signed(trader.order(), good))
        _, lost = await trader.post("/exchange", trader.signed(trader.order(), bad))
        assert fine["status"] == "ok"
        assert lost["response"].endswith("does not exist.")
        chain = "Testnet" if network == "mainnet" else "Mainnet"
        action = {"type": "usdSend", "signatureChainId": "0x66eee", "hyperliquidChain": chain,
                  "destination": "0x" + "1" * 40, "amount": "1", "time": trader.nonce + 5}  # fmt: skip
        body = {"action": action, "nonce": action["time"], "signature": trader.signer.sign_user(action).to_wire()}
        _, refused = await trader.post("/exchange", body)
        assert refused == {"status": "err", "response": "Mainnet and testnet require different signature."}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"type":"nonsense"}',
        b'{"type":5}',
        b'{"type":"l2Book"}',
        b'{"type":"clearinghouseState","user":"0x12"}',
        b'{"type":"candleSnapshot","req":{"coin":"BTC","interval":"7m","startTime":0}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
async def test_info_that_cannot_be_read_is_422_in_plain_text(trader: Any, body: bytes) -> None:
    status, answer = await trader.post("/info", body)
    assert status == 422 and answer.startswith("Failed to deserialize the JSON body into the target type")


async def test_actions_that_cannot_be_read_are_422(trader: Any) -> None:
    good = trader.signed(trader.order())
    for change in (
        {"action": {"type": "fly"}},
        {"action": {}},
        {"nonce": "1"},
        {"nonce": -1},
        {"signature": {}},
        {"signature": {"r": "0xzz", "s": "0x1", "v": 27}},
        {"vaultAddress": "0x1"},
        {"expiresAfter": 1.5},
    ):
        status, answer = await trader.post("/exchange", {**good, **change})
        assert status == 422 and answer.startswith("Failed to deserialize"), (change, answer)


async def test_aggregated_books(trader: Any) -> None:
    whole = await trader.info("l2Book", coin="BTC")
    assert set(whole) == {"coin", "time", "levels"} and [len(side) for side in whole["levels"]] == [20, 20]
    merged = await trader.info("l2Book", coin="BTC", nSigFigs=4)
    assert "spread" in merged
    bids, asks = merged["levels"]
    assert all(float(level["px"]) % 100 == 0 for level in bids + asks)
    assert float(bids[0]["px"]) <= float(whole["levels"][0][0]["px"])
    assert float(asks[0]["px"]) >= float(whole["levels"][1][0]["px"])
    assert bids[0]["n"] >= whole["levels"][0][0]["n"]
    assert await trader.info("l2Book", coin="NOPE") is None
    status, answer = await trader.post("/info", {"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 3})
    assert (status, answer) == (500, None)


async def test_request_weight_runs_out_and_is_429(http: Any, make_trader: Any, options: Any) -> None:
    async with running_venue(options(limits=True)) as venue:
        trader = make_trader(venue, http)
        statuses = [(await trader.post("/info", {"type": "userRole", "user": trader.user}))[0] for _ in range(25)]
        assert statuses[:20] == [200] * 20 and statuses[-1] == 429
        status, text = await trader.post("/exchange", trader.signed(trader.order()))
        assert status == 429 and isinstance(text, str)


async def test_health(trader: Any, http: Any) -> None:
    async with http.get(trader.venue.url + "/healthz") as answer:
        health = await answer.json()
    assert answer.status == 200 and health["status"] == "ok" and health["speed"] == 1.0
    assert (
        health["time"] == trader.venue.exchange.now_ns // 1_000_000 and health["height"] == trader.venue.exchange.height
    )


async def test_control_is_off_unless_asked_for_and_for_loopback_only(http: Any, make_trader: Any, options: Any) -> None:
    async with running_venue(options(control=False)) as venue:
        trader = make_trader(venue, http)
        status, body = await trader.post("/control/deposit", {"address": trader.user, "usdc": "5"})
        assert status == 404 and "--control" in body["error"]
    async with running_venue(options()) as venue:
        assert venue.control is not None
        for remote in ("10.0.0.1", "", "::ffff:8.8.8.8"):
            assert venue.control.answer("clear", b"", remote)[0] == 403
        assert venue.control.answer("clear", b"", "127.0.0.1")[0] == 200
