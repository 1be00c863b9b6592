"""The terminal view: sums, and what a person reads."""

from decimal import Decimal
from typing import Any

from rich.console import Console

from slipstream.console.fund_view import headline, net_pnl, render, totals

COIN: dict[str, Any] = {
    "position": "0.01",
    "realised": "5",
    "unrealised": "-1.5",
    "fees": "0.25",
    "funding": "-0.05",
    "volume": "1098.2",
    "fills": 3,
    "blocked": None,
    "orders": [
        {"side": "B", "px": "109750", "sz": "0.005"},
        {"side": "A", "px": "109760", "sz": "0.005"},
    ],
}
POD: dict[str, Any] = {
    "pod": "brawler",
    "error": None,
    "fills": [{"ns": 0, "coin": "BTC", "side": "B", "sz": "0.005", "px": "109750", "fee": "0.08"}],
    "notes": [{"ns": 0, "text": "suspended: volatility", "field.coin": "ETH"}],
    "kernel": {
        "state": "active",
        "reasons": [],
        "equity": "100003.20",
        "gross": "1097.6",
        "coins": {"BTC": COIN, "ETH": {**COIN, "unrealised": None, "blocked": "feed is stale"}},
        "strategy": {"symbols": {"BTC": {"hl_bid": 109754.0, "hl_ask": 109755.0, "fair": 109754.6}}},
    },
}


def test_net_is_pnl_less_fees_plus_funding() -> None:
    assert net_pnl(COIN) == Decimal("3.20")
    sums = totals([POD, POD])
    assert sums["net"] == 2 * (Decimal("3.20") + Decimal("4.70"))
    assert (sums["equity"], sums["fills"]) == (Decimal("200006.40"), 12)


def test_everything_a_person_needs_is_on_the_page() -> None:
    console = Console(width=170, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(render({"time": 0, "speed": 1.0}, [("venue", "ready", "http://x")], [POD]))
    text = captured.get()
    for piece in (
        "equity 100,003.20",
        "109750",
        "109754",
        "suspended: volatility ETH",
        "feed is stale",
        "+3.20",
        "BTC buy",
    ):
        assert piece in text, piece


def test_a_pod_that_says_nothing_yet_is_no_error() -> None:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(render({}, [], [{"pod": "brawler", "phase": "starting"}]))
    assert "brawler" in captured.get()
    assert "equity 0.00" in headline({}, [])
