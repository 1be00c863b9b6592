"""The terminal view: sums, and what a person reads."""

from decimal import Decimal
from functools import reduce
from typing import Any

import pytest
from rich.console import Console

from slipstream.console.fund_state import begin, fold
from slipstream.console.fund_view import explain_break, fund_line, fund_screen, headline, net_pnl, render, totals
from slipstream.console.rows import MANDATE_COLUMNS, span
from slipstream.console.tables import table
from slipstream.model.mandate import Halt, TradingState
from tests.console.fund_messages import PODS, REALM, TOPICS, VENUE, WALL, S, broken, received, whole_fund

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


@pytest.mark.parametrize("width", [80, 160])
def test_the_whole_fund_fits_the_width(width: int) -> None:
    halt = received(TOPICS.halt("operator", "all"), Halt(VENUE, TradingState.HALTED, "operator", "drill", "resume"))
    state = reduce(fold, [*whole_fund(broken()), halt], begin(REALM, PODS))
    console = Console(width=width)
    with console.capture() as captured:
        console.print(fund_screen(state, WALL))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for piece in (
        "PnL after costs +26.50",
        "net -4,800",
        "halted by operator: drill",
        "position/gradient/ETH",
        "0.4 ETH",
    ):
        assert piece in text, piece
    for name in ("allocator", "auditor", "breaker", "brawler", "gradient", "alive", "thin evidence"):
        assert name in text, name
    late = Console(width=width)
    with late.capture() as captured:
        late.print(fund_screen(state, WALL + 600 * S))
    assert "LAST WORD 10m AGO" in captured.get() and "dead" in captured.get() and "OLD" in captured.get()


def test_a_supervisors_processes_and_one_line() -> None:
    state = reduce(fold, whole_fund(broken()), begin(REALM, PODS))
    console = Console(width=100)
    with console.capture() as captured:
        console.print(fund_screen(state, WALL, processes=[("venue", "ready", "http://127.0.0.1:3001")]))
    assert "http://127.0.0.1:3001" in captured.get()
    line = fund_line(state, WALL)
    assert "\n" not in line and "equity 100,026.50" in line
    assert "breaks 1 (worst reducing: position/gradient/ETH)" in line
    assert "no breaks" in fund_line(begin(REALM), WALL)


def test_a_break_is_explained_whole() -> None:
    state = reduce(fold, whole_fund(broken()), begin(REALM, PODS))
    console = Console(width=80)
    with console.capture() as captured:
        console.print(explain_break(state, state.breaks["position/gradient/ETH"], WALL))
    for piece in (
        "position of gradient, ETH",
        "0.4 ETH",
        "90s",
        "gradient reports -1.5 ETH",
        "slipstream breaks resolve",
    ):
        assert piece in captured.get(), piece


@pytest.mark.parametrize("width", [80, 160])
def test_a_long_last_column_takes_no_room_from_the_others(width: int) -> None:
    row = ("brawler", "5", "4", "incubation", "7,898", "7,899", "45%", "500", "18s", "AAVE:3,000 " * 24)
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table("mandates", MANDATE_COLUMNS, [row]))
    _, head, line = captured.get().splitlines()
    assert head.split() == " ".join(MANDATE_COLUMNS).split() and line.split()[:9] == list(row[:9])
    assert len(line) <= width and line.rstrip().endswith("…")


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0.4, "0s"), (119, "119s"), (120, "2m"), (-7200, "-2h"), (200_000, "2d")]
)
def test_spans(seconds: float | None, text: str) -> None:
    assert span(seconds) == text
