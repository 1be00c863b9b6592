"""No number that the schema admits breaks the exchange: it answers, and money stays whole."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from street import ALICE, BOB, BTC, DOGE, ETH, ISO, Desk, Street
from test_money import check_books, check_money

PRICES = {BTC: "100000", ETH: "4000", DOGE: "0.2", ISO: "10"}
DESK = Desk(Street(PRICES))
DESK.exchange.faucet(ALICE)
DESK.exchange.faucet(BOB)

numbers = st.one_of(
    st.from_regex(r"\A[0-9]{1,20}(\.[0-9]{1,20})?\Z"),
    st.sampled_from(["0", "0.0", "0.1", "1", "100000", "99999.0", "4000.10", "0.20000000000000000001", "9" * 20]),
)
kinds = st.one_of(
    st.builds(lambda tif: {"limit": {"tif": tif}}, st.sampled_from(["Gtc", "Ioc", "Alo", "FrontendMarket"])),
    st.builds(
        lambda market, px, tpsl: {"trigger": {"isMarket": market, "triggerPx": px, "tpsl": tpsl}},
        st.booleans(),
        numbers,
        st.sampled_from(["tp", "sl"]),
    ),
)
orders = st.builds(
    lambda a, b, p, s, r, t: {"a": a, "b": b, "p": p, "s": s, "r": r, "t": t},
    st.integers(0, 5),
    st.booleans(),
    numbers,
    numbers,
    st.booleans(),
    kinds,
)
integers = st.integers(0, 2**63 - 1)
actions = st.one_of(
    st.builds(
        lambda o, g: {"type": "order", "orders": o, "grouping": g},
        st.lists(orders, max_size=3),
        st.sampled_from(["na", "normalTpsl", "positionTpsl"]),
    ),
    st.builds(lambda n, o: {"type": "modify", "oid": n, "order": o}, st.integers(0, 200), orders),
    st.builds(lambda a, o: {"type": "cancel", "cancels": [{"a": a, "o": o}]}, st.integers(0, 5), integers),
    st.builds(
        lambda s, m, b: {"type": "twapOrder", "twap": {"a": 0, "b": b, "s": s, "r": False, "m": m, "t": True}},
        numbers,
        integers,
        st.booleans(),
    ),
    st.builds(
        lambda a, c, v: {"type": "updateLeverage", "asset": a, "isCross": c, "leverage": v},
        st.integers(0, 5),
        st.booleans(),
        st.integers(-(2**62), 2**62),
    ),
    st.builds(
        lambda n: {"type": "updateIsolatedMargin", "asset": 0, "isBuy": True, "ntli": n},
        st.integers(-(2**62), 2**62),
    ),
    st.builds(lambda t: {"type": "scheduleCancel", "time": t}, integers),
    st.builds(
        lambda u, d: {"type": "subAccountTransfer", "subAccountUser": BOB, "isDeposit": d, "usd": u},
        integers,
        st.booleans(),
    ),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(action=actions, user=st.sampled_from([ALICE, BOB]))
def test_every_action_is_answered(action: dict[str, Any], user: str) -> None:
    answer = DESK.do(user, action)
    assert answer["status"] in ("ok", "err")
    if action["type"] == "order" and answer["status"] == "ok":
        assert len(answer["response"]["data"]["statuses"]) == len(action["orders"])
    check_money(DESK.exchange)
    check_books(DESK.exchange)
