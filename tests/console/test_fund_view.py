"""The terminal view: what a person reads, at any width."""

from functools import reduce

import pytest
from rich.console import Console

from slipstream.console.fund_state import begin, fold
from slipstream.console.fund_view import explain_break, fund_line, fund_screen
from slipstream.console.rows import MANDATE_COLUMNS, span
from slipstream.console.tables import table
from slipstream.model.mandate import Halt, TradingState
from tests.console.fund_messages import PODS, REALM, TOPICS, VENUE, WALL, S, broken, received, whole_fund


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
