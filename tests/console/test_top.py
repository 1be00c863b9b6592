"""`slipstream top` driven by keys, on a played fund: what stands on the screen, and what the fund then does."""

import re
import time
from collections.abc import AsyncIterator, Callable
from html import unescape
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from slipstream.console.discovery import FundAddress
from slipstream.console.top.app import TopApp
from slipstream.console.top.pod_screen import PodScreen
from slipstream.console.top.prompts import HelpScreen, ReasonPrompt, SurePrompt
from slipstream.console.top.tables import RowTable
from slipstream.model.errors import ConfigError
from slipstream.model.mandate import TradingState
from slipstream.runtime.bus.envelope import pack
from slipstream.runtime.bus.memory import memory_broker
from tests.console.fund_messages import PODS, REALM, SPEED, broken, decision
from tests.console.played_fund import PlayedFund, playing
from tests.console.test_history import said, write

NARROW, BROAD = (80, 24), (160, 40)


@pytest.fixture
def address(request: pytest.FixtureRequest) -> FundAddress:
    return FundAddress(REALM, f"memory://{request.node.name}", PODS, float(SPEED), "test")


@pytest.fixture
async def fund(address: FundAddress) -> AsyncIterator[PlayedFund]:
    async with playing(PlayedFund(lambda process: address.url, breaks=(broken(),))) as played:
        yield played


def screen_text(app: TopApp) -> str:
    """The screen as a reader of its SVG sees it, a line a row."""
    svg = app.export_screenshot()
    rows: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(r'<text class="[^"]*" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        rows.setdefault(float(y), []).append((float(x), unescape(text).strip("\n")))
    lines = ("".join(text for _, text in sorted(row)) for _, row in sorted(rows.items()))
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


async def until(pilot: Pilot[None], so: Callable[[], bool], seconds: float = 8.0) -> None:
    give_up = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < give_up, "not so in time; the screen:\n" + screen_text(pilot.app)  # type: ignore[arg-type]
        await pilot.pause(0.02)


async def ready(pilot: Pilot[None], app: TopApp) -> None:
    await until(pilot, lambda: app.state.audit is not None and len(app.state.processes) == 5)
    app.draw()
    await pilot.pause()


@pytest.mark.parametrize("size", [NARROW, BROAD])
async def test_fund_first_then_pods_breaks_and_decisions(
    fund: PlayedFund, address: FundAddress, size: tuple[int, int]
) -> None:
    app = TopApp(lambda: address)
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        broker = memory_broker(address.url.removeprefix("memory://"))
        broker.route("allocator", decision().topic, pack("allocator", 1, 0, decision().message), False)
        await until(pilot, lambda: bool(app.state.decisions))
        app.draw()
        await pilot.pause()
        text = screen_text(app)
        lines = text.splitlines()
        assert len(lines) <= size[1] and max(map(len, lines)) <= size[0]
        assert "fund demo" in lines[0] and "at 60x" in lines[0]
        for piece in ("equity 100,026.50", "PnL after costs +26.50", "gross 12,800", "net -4,800", "beta -"):
            assert piece in text, piece
        for piece in (
            "brawler",
            "evaluation",
            "active",
            "+13.25",
            "position/gradient/ETH",
            "0.4 ETH",
            "25000 (thin evidence)",
            "q quit",
        ):
            assert piece in text, piece
        assert "DEAD" not in text
        # money stands above pods, pods above what is broken, and that above (narrow) or beside (wide) decisions
        places = [text.index(piece) for piece in ("equity", "evaluation", "open breaks")]
        assert places == sorted(places)
        side_by_side = any("open breaks" in line and "last decisions" in line for line in lines)
        assert side_by_side == (size == BROAD)


async def test_enter_shows_a_pod_and_escape_leads_back(fund: PlayedFund, address: FundAddress) -> None:
    app = TopApp(lambda: address)
    async with app.run_test(size=NARROW) as pilot:
        await ready(pilot, app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, PodScreen) and bool(app.screen.query("#page")))
        await until(pilot, lambda: "pod gradient" in screen_text(app))
        text = screen_text(app)
        for piece in ("stage evaluation", "audited  net +13.25", "said     net +13.50", "30,000", "open breaks"):
            assert piece in text, piece
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, ReasonPrompt))
        assert "halt gradient" in screen_text(app)
        app.screen.query_one(Input).value = "drill"
        await pilot.press("enter")
        await until(pilot, lambda: any("halt gradient: obeyed" in line for line in app.said))
        await until(pilot, lambda: "obeyed" in screen_text(app), 2.0)
        assert fund.pods["gradient"].permit.state(fund.pods["gradient"].now()) is TradingState.HALTED
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, PodScreen))
        assert app.query_one(RowTable).chosen == "gradient"


async def test_halt_and_resume_by_key_with_a_reason(fund: PlayedFund, address: FundAddress) -> None:
    app = TopApp(lambda: address)
    permit = fund.pods["brawler"].permit
    async with app.run_test(size=NARROW) as pilot:
        await ready(pilot, app)
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, ReasonPrompt))
        assert "halt brawler" in screen_text(app)
        await pilot.press("enter")  # no reason, no halt
        assert isinstance(app.screen, ReasonPrompt)
        app.screen.query_one(Input).value = "looks wrong"
        await pilot.press("enter")
        await until(pilot, lambda: any("halt brawler: obeyed" in line for line in app.said))
        assert permit.state(0) is TradingState.HALTED
        assert "why: looks wrong" not in str(app.said) and any("looks wrong" in r for r in permit.reasons(0))
        await until(pilot, lambda: "halted" in screen_text(app))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ReasonPrompt))
        app.screen.query_one(Input).value = "is well"
        await pilot.press("enter")
        await until(pilot, lambda: any("resume brawler: obeyed" in line for line in app.said))
        assert not permit.halts


async def test_flatten_asks_twice(fund: PlayedFund, address: FundAddress) -> None:
    app = TopApp(lambda: address)
    async with app.run_test(size=NARROW) as pilot:
        await ready(pilot, app)

        async def ask(word: str) -> None:
            await pilot.press("F")
            await until(pilot, lambda: isinstance(app.screen, ReasonPrompt))
            app.screen.query_one(Input).value = "leaving"
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, SurePrompt))
            app.screen.query_one(Input).value = word
            await pilot.press("enter")

        await ask("y")
        await until(pilot, lambda: any("left alone" in line for line in app.said))
        assert not any(pod.flat for pod in fund.pods.values())
        await ask("all")
        await until(pilot, lambda: sum("obeyed, flat" in line for line in app.said) == 2)
        assert all(pod.flat for pod in fund.pods.values())


async def test_help_and_leaving_a_prompt(fund: PlayedFund, address: FundAddress) -> None:
    app = TopApp(lambda: address)
    async with app.run_test(size=NARROW) as pilot:
        await ready(pilot, app)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await until(pilot, lambda: "flatten it (asks twice)" in screen_text(app))
        await pilot.press("escape")
        await pilot.press("H")
        await until(pilot, lambda: isinstance(app.screen, ReasonPrompt))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ReasonPrompt))
        assert app.said == ()
        assert not any(pod.permit.halts for pod in fund.pods.values())


async def test_old_figures_say_so_and_the_broker_comes_back(fund: PlayedFund, address: FundAddress) -> None:
    ahead = [0]
    app = TopApp(lambda: address, now=lambda: time.time_ns() + ahead[0])
    broker = memory_broker(address.url.removeprefix("memory://"))
    async with app.run_test(size=NARROW) as pilot:
        await ready(pilot, app)
        broker.stop()
        ahead[0] = 60_000_000_000
        app.draw()
        await pilot.pause()
        text = screen_text(app)
        for piece in ("BROKER AWAY", "LAST WORD 60s AGO", "DEAD (60s)", "OLD"):
            assert piece in text, piece
        heard = app.state.heard
        broker.start()
        ahead[0] = 0
        await until(pilot, lambda: app.state.heard > heard)
        app.draw()
        await pilot.pause()
        assert "BROKER AWAY" not in screen_text(app)


async def test_a_fund_that_moved_is_found_again(fund: PlayedFund, address: FundAddress) -> None:
    old = FundAddress(REALM, "memory://gone", PODS, float(SPEED), "old run")
    places = [old]
    app = TopApp(lambda: places[-1])
    gone = memory_broker("gone")
    gone.stop()
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: app._bus is not None)
        assert app.state.heard == 0
        places.append(address)
        assert app._bus is not None
        app._bus._lost = time.monotonic() - 60  # type: ignore[attr-defined]
        app._look_again()
        await ready(pilot, app)
        assert any("moved" in line for line in app.said)


async def test_a_fund_that_is_nowhere_is_an_error_before_the_screen() -> None:
    def find() -> FundAddress:
        raise ConfigError("no fund found")

    with pytest.raises(ConfigError, match="no fund found"):
        TopApp(find)


async def test_silence_is_no_death_at_first(address: FundAddress) -> None:
    app = TopApp(lambda: address)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        assert "never" in screen_text(app) and "DEAD" not in screen_text(app)
        assert isinstance(app.query_one("#fund"), Static)


async def test_what_was_decided_before_stands_there_too(fund: PlayedFund, address: FundAddress, tmp_path: Path) -> None:
    write(tmp_path, "allocator", [said(1)])
    app = TopApp(lambda: msgspec.structs.replace(address, run=tmp_path))
    async with app.run_test(size=NARROW) as pilot:
        await ready(pilot, app)
        await until(pilot, lambda: bool(app.state.decisions))
        app.draw()
        await pilot.pause()
        assert "move 1 (thin evidence)" in screen_text(app)
