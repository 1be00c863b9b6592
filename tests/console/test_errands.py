"""Errands against a played fund: pods with the real link and the real permit say whether they obeyed."""

import time
from collections.abc import AsyncIterator

import pytest

from slipstream.console import errands
from slipstream.console.discovery import FundAddress
from slipstream.console.fund_json import to_json
from slipstream.console.fund_state import begin
from slipstream.console.orders import halt, resume
from slipstream.console.reading import halts_in_force, problems
from slipstream.model.errors import ConfigError
from slipstream.model.mandate import Halt, Stage, TradingState
from slipstream.runtime.bus.envelope import unpack
from slipstream.runtime.bus.memory import memory_broker
from tests.console.fund_messages import PODS, REALM, SPEED, TOPICS, broken
from tests.console.played_fund import PlayedFund, playing


@pytest.fixture
def address(request: pytest.FixtureRequest) -> FundAddress:
    return FundAddress(REALM, f"memory://{request.node.name}", PODS, float(SPEED), "test")


@pytest.fixture
async def fund(address: FundAddress) -> AsyncIterator[PlayedFund]:
    async with playing(PlayedFund(lambda process: address.url, breaks=(broken(),))) as played:
        yield played


async def test_a_living_fund_is_read_at_once(fund: PlayedFund, address: FundAddress) -> None:
    began = time.monotonic()
    state, silent = await errands.see(address, 3.5)
    assert time.monotonic() - began < 2.0
    assert silent == "" and set(state.processes) == {"allocator", "auditor", "breaker", *PODS}
    wrong = problems(state, time.time_ns())
    assert len(wrong) == 1 and "position/gradient/ETH is reducing" in wrong[0]
    assert to_json(state, time.time_ns())["fund"]["equity"] == "100026.5"


async def test_halt_and_resume_of_one_pod(fund: PlayedFund, address: FundAddress) -> None:
    done = await errands.run(address, errands.halting("brawler", "feed looks wrong", TradingState.HALTED), 5.0)
    assert done.is_obeyed and [a.whom for a in done.answers] == ["brawler"]
    assert done.answers[0].text == "halted, no order rests, 2 positions held"
    assert fund.pods["gradient"].permit.state(fund.pods["gradient"].now()) is TradingState.ACTIVE
    kept = unpack(
        memory_broker(address.url.removeprefix("memory://")).retained[TOPICS.halt("operator", "brawler")]
    ).body
    assert isinstance(kept, Halt) and (kept.who, kept.why) == ("operator", "feed looks wrong")
    state, _ = await errands.see(address, 3.5)
    assert [p.halt for p in halts_in_force(state)] == [kept]
    done = await errands.run(address, errands.resuming("brawler", "feed is back"), 5.0)
    assert done.is_obeyed and done.answers[0].text == "active"
    state, _ = await errands.see(address, 3.5)
    assert halts_in_force(state) == ()


async def test_halt_of_all_and_who_did_not_obey(fund: PlayedFund, address: FundAddress) -> None:
    fund.pods["gradient"].deaf = True
    done = await errands.run(address, errands.halting("all", "drill", TradingState.REDUCING), 1.0)
    assert not done.is_obeyed
    assert [(a.whom, a.obeyed) for a in done.answers] == [("brawler", True), ("gradient", False)]
    assert "does not speak of this halt" in done.answers[1].text


async def test_resume_of_one_writer_leaves_the_others_latched(fund: PlayedFund, address: FundAddress) -> None:
    brawler = fund.pods["brawler"]
    brawler.put(Halt(1, TradingState.HALTED, "auditor", "forged fill", "resolve", 1))
    done = await errands.run(address, errands.halting("brawler", "look", TradingState.HALTED), 5.0)
    assert done.is_obeyed
    done = await errands.run(address, errands.resuming("brawler", "looked", "operator"), 5.0)
    assert done.is_obeyed and done.answers[0].text.startswith("halted: halted by auditor: forged fill")
    done = await errands.run(address, errands.resuming("brawler", "mended"), 5.0)
    assert done.is_obeyed and done.answers[0].text == "active"


async def test_flatten_is_seen_by_the_auditor(fund: PlayedFund, address: FundAddress) -> None:
    done = await errands.run(address, errands.flattening("gradient", "leaving"), 5.0)
    assert done.is_obeyed and done.answers[0].text == "flat, no order rests (audited)"
    assert not fund.pods["brawler"].flat


async def test_flatten_without_a_breaker_is_not_obeyed(fund: PlayedFund, address: FundAddress) -> None:
    done = await errands.run(address, errands.flattening("all", "leaving"), 5.0)
    assert done.is_obeyed
    fund.pods["brawler"].flat = False
    broker = memory_broker(address.url.removeprefix("memory://"))
    broker.may_publish = lambda process, topic: "/flatten/" not in topic
    done = await errands.run(address, errands.flattening("all", "again"), 0.5)
    assert [a.obeyed for a in done.answers] == [False, True]
    assert "0.02 BTC" in done.answers[0].text


async def test_override_and_resolve(fund: PlayedFund, address: FundAddress) -> None:
    done = await errands.run(address, errands.overriding("gradient", Stage.GROWTH, "ran elsewhere"), 5.0)
    assert done.is_obeyed and done.answers[0].text == "evaluation -> growth by operator: ran elsewhere"
    fund.stubborn = True
    done = await errands.run(address, errands.resolving("position/gradient/ETH", "restated"), 0.3)
    assert not done.is_obeyed and done.answers[0].text == "not resolved: the auditor is asleep"
    fund.stubborn = False
    done = await errands.run(address, errands.resolving("position/gradient/ETH", "restated"), 5.0)
    assert done.is_obeyed and "closed by operator: restated" in done.answers[0].text
    with pytest.raises(ConfigError, match="no break 'position/gradient/ETH' is open; open: none"):
        await errands.run(address, errands.resolving("position/gradient/ETH", "again"), 5.0)


async def test_bad_names_are_named(fund: PlayedFund, address: FundAddress) -> None:
    with pytest.raises(ConfigError, match=r"no pod is called 'brawlr'.*did you mean 'brawler'"):
        await errands.run(address, errands.halting("brawlr", "x", TradingState.HALTED), 1.0)
    with pytest.raises(ConfigError, match="a stage is one pod's"):
        await errands.run(address, errands.overriding("all", Stage.GROWTH, "x"), 1.0)
    with pytest.raises(ConfigError, match="did you mean 'position/gradient/ETH'"):
        await errands.run(address, errands.resolving("position/gradent/ETH", "x"), 1.0)


async def test_a_broker_that_is_away_is_said(address: FundAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "ENOUGH_S", 0.05)
    memory_broker(address.url.removeprefix("memory://")).stop()
    state, silent = await errands.see(address, 0.05)
    assert silent == "the broker does not answer" and not state.heard
    done = await errands.run(address, errands.halting("all", "emergency", TradingState.HALTED), 0.05)
    assert not done.is_obeyed and done.trouble == "the broker does not answer"


def test_generations_outrank_and_never_swallow_the_future() -> None:
    empty = begin(REALM, PODS)
    assert halt(empty, "x", TradingState.HALTED, 17).generation == 17
    with pytest.raises(ConfigError, match="no process of the fund was heard"):
        resume(empty, "x", 17)
