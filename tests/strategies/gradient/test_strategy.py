"""Gradient's live half by itself: when it rebalances, what it asks for, and what stops it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from slipstream.execution.ledger import Line
from slipstream.model.events import AssetContext, Bbo, Candle, Event, Timer
from slipstream.model.instrument import Instrument
from slipstream.model.intents import Note, Target, Wake
from slipstream.model.mandate import Halt, Mandate, Resume, TradingState
from slipstream.strategies.gradient.config import GradientConfig
from slipstream.strategies.gradient.strategy import LOOK, Gradient

D = Decimal
HOUR, MINUTE = 3_600_000_000_000, 60_000_000_000
COINS = ("BTC", "C1", "C2", "C3")
DRIFT = {"BTC": 0.0, "C1": 0.01, "C2": -0.01, "C3": 0.001}
START = 480_000 * HOUR  # midnight, UTC


class Window:
    """What a strategy sees, as the test sets it. Positions are lines that cost what ``at`` says."""

    def __init__(self) -> None:
        self.now_ns = START
        self.instruments = {
            c: Instrument(coin=c, asset=i, size_decimals=2, max_leverage=9) for i, c in enumerate(COINS)
        }
        self.trading_state = TradingState.ACTIVE
        self.mandate: Mandate | None = None
        self.mids = dict.fromkeys(COINS, 100.0)
        self.marks: dict[str, float] = {}
        self.lines: dict[str, Line] = {}

    def hold(self, coin: str, size: str, at: str = "100") -> None:
        self.lines[coin] = Line(position=D(size), cost=D(size) * D(at), last_px=D(at))

    def position(self, coin: str) -> Decimal:
        return self.line(coin).position

    def worst_position(self, coin: str) -> tuple[Decimal, Decimal]:
        return self.position(coin), self.position(coin)

    def target(self, coin: str) -> Decimal | None:
        return None

    def line(self, coin: str) -> Line:
        return self.lines.get(coin, Line())

    def bbo(self, venue: str, coin: str) -> Bbo | None:
        mid = self.mids.get(coin)
        return None if mid is None else Bbo(venue, coin, mid - 0.01, 1.0, mid + 0.01, 1.0, self.now_ns, self.now_ns)

    def context(self, coin: str) -> AssetContext | None:
        mark = self.marks.get(coin)
        return None if mark is None else AssetContext("hl", coin, mark, mark, 0.0, 0.0, self.now_ns, self.now_ns)


def settings(trade: Mapping[str, object] | None = None, **values: Any) -> GradientConfig:
    chosen = {"capital": 20_000, "rebalance_hours": 4, "offset_minutes": 1, "band": 0.1, **(trade or {})}
    signal = {"bar_hours": 1, "lookbacks": [2, 4, 8], "warm_up_bars": 10, "vol_span": 8, "max_share": 1.0}
    book = {"top_n": 1, "max_coin_weight": 1.0, "beta_neutral": False}
    return GradientConfig.model_validate({"signal": signal, "book": book, "trade": chosen, **values})


class Bench:
    """A strategy, its window, and the bars that it has heard."""

    def __init__(self, config: GradientConfig | None = None) -> None:
        self.strategy = Gradient(config or settings(), COINS)
        self.view = Window()
        self.bar = 0

    def say(self, event: Event) -> list[Any]:
        return self.strategy.on_event(event, self.view)  # type: ignore[arg-type]

    def bars(self, count: int) -> None:
        """Closed bars up to now plus ``count`` hours; time moves with them."""
        for _ in range(count):
            for k, coin in enumerate(COINS):
                wiggle = 0.002 * ((self.bar * (k + 3)) % 5 - 2)
                px = 100.0 * (1.0 + DRIFT[coin]) ** self.bar * (1.0 + wiggle)
                opened = START + self.bar * HOUR
                self.say(Candle("hl", coin, HOUR, opened, px, px, px, px, 1e6, opened + HOUR, opened + HOUR))
            self.bar += 1
        self.view.now_ns = START + self.bar * HOUR

    def look(self, minutes: int) -> list[Any]:
        """A look so many minutes after the last bar's close."""
        self.view.now_ns = START + self.bar * HOUR + minutes * MINUTE
        return self.say(Timer(LOOK, self.view.now_ns))


def targets(out: list[Any]) -> dict[str, Decimal]:
    return {intent.coin: intent.position for intent in out if isinstance(intent, Target)}


def notes(out: list[Any]) -> list[str]:
    return [intent.text for intent in out if isinstance(intent, Note)]


def lease(version: int, capital: int, *, gross: int = 40_000, caps: dict[str, Decimal] | None = None) -> Mandate:
    return Mandate(version, "gradient", D(capital), D(gross), caps or {}, expires_ns=START * 2)


@pytest.fixture
def ready() -> Bench:
    """28 bars of an hour in, at a rebalance, nothing held."""
    bench = Bench()
    bench.bars(28)
    return bench


def test_longs_the_strongest_and_shorts_the_weakest_on_schedule(ready: Bench) -> None:
    out = ready.look(1)
    wanted = targets(out)
    assert wanted.keys() == {"C1", "C2"}
    assert wanted["C1"] > 0 > wanted["C2"]
    # gross 1 x 20,000 USD, dollar neutral: 10,000 a side within the coin cap of 10,000 less 3 % of room
    assert {abs(size) for size in wanted.values()} == {D("97")}
    assert all(0.0 < intent.urgency < 1.0 for intent in out if isinstance(intent, Target))
    assert any(isinstance(intent, Wake) and intent.name == LOOK for intent in out)


def test_a_rebalance_happens_once_and_again_when_due(ready: Bench) -> None:
    assert targets(ready.look(1))
    assert not targets(ready.look(2))
    ready.bars(3)
    assert not targets(ready.look(30))  # hour 31
    ready.bars(1)
    assert not targets(ready.look(0))  # hour 32, before the offset
    assert targets(ready.look(1))


def test_what_lies_within_the_band_stays(ready: Bench) -> None:
    ready.view.hold("C1", "92")  # wanted 97: a change of 5 %
    ready.view.hold("C2", "-60")
    wanted = targets(ready.look(1))
    assert (wanted["C1"], wanted["C2"]) == (D("92"), D("-97"))


def test_a_coin_that_left_the_book_is_closed_and_one_without_a_price_is_told(ready: Bench) -> None:
    ready.view.hold("C3", "0.05")  # 5 USD: less than the band, closed all the same
    ready.view.hold("BTC", "1")
    ready.view.mids.pop("BTC")
    out = ready.look(1)
    assert targets(out)["C3"] == 0
    assert "BTC" not in targets(out)
    assert any("BTC has no price" in text for text in notes(out))


def test_stale_bars_wait_and_are_made_up_for(ready: Bench) -> None:
    out = ready.look(1 + 3 * 60)  # 3 h after the newest close, with 2 bars of 1 h allowed
    assert not targets(out)
    assert any("waits: the newest bar closed" in text for text in notes(out))
    assert not notes(ready.look(2 + 3 * 60))  # said once
    ready.bars(3)
    assert targets(ready.look(5))  # the rebalance of hour 28, made up in hour 31


@pytest.mark.parametrize(
    ("change", "why"),
    [({"trading_state": TradingState.HALTED}, "halted"), ({"mids": {}}, "no prices yet")],
)
def test_what_is_missing_is_waited_for(ready: Bench, change: dict[str, Any], why: str) -> None:
    before = {name: getattr(ready.view, name) for name in change}
    for name, value in change.items():
        setattr(ready.view, name, value)
    assert notes(ready.look(1)) == [f"rebalance waits: {why}"]
    for name, value in before.items():
        setattr(ready.view, name, value)
    assert targets(ready.look(2))


def test_without_the_required_mandate_nothing_is_traded() -> None:
    bench = Bench(settings(require_mandate=True))
    bench.bars(28)
    assert notes(bench.look(1)) == ["rebalance waits: no mandate"]
    bench.view.mandate = lease(1, 5_000)
    wanted = targets(bench.look(2))
    assert wanted["C1"] == -wanted["C2"]
    assert wanted["C1"] == pytest.approx(D(25), abs=D("0.01"))


def test_reducing_only_closes(ready: Bench) -> None:
    ready.view.trading_state = TradingState.REDUCING
    ready.view.hold("C1", "-5")  # wanted long: may only go to nothing
    ready.view.hold("C2", "-200")
    wanted = targets(ready.look(1))
    assert (wanted["C1"], wanted["C2"]) == (D(0), D("-97"))


def test_caps_of_the_lease_bind(ready: Bench) -> None:
    ready.view.mandate = lease(1, 20_000, caps={"C1": D(1_000), "C2": D(50_000)})
    wanted = targets(ready.look(1))
    assert (wanted["C1"], wanted["C2"]) == (D("9.7"), D("-97"))
    other = Bench()
    other.bars(28)
    other.view.mandate = lease(1, 20_000, gross=10_000)
    wanted = targets(other.look(1))
    assert wanted["C1"] == -wanted["C2"] == D("48.5")


def test_a_smaller_lease_shrinks_the_book_at_once_and_a_larger_one_waits(ready: Bench) -> None:
    ready.view.mandate = lease(1, 20_000)
    ready.look(1)
    assert not targets(ready.say(ready.view.mandate))
    ready.view.hold("C1", "97")
    ready.view.hold("C2", "-97")
    ready.view.mandate = lease(2, 8_000)
    wanted = targets(ready.say(ready.view.mandate))
    assert wanted["C1"] == -wanted["C2"] == pytest.approx(D(40), abs=D("0.01"))
    ready.view.mandate = lease(3, 20_000)
    assert not targets(ready.say(ready.view.mandate))


def test_a_loss_closes_everything_until_an_operator_resumes(ready: Bench) -> None:
    ready.look(1)
    ready.view.hold("C1", "97")
    ready.look(2)
    ready.view.mids["C1"] = 65.0  # 97 x 35 = 3,395 of 20,000: more than 15 %
    out = ready.look(3)
    assert targets(out) == {"C1": D(0)}
    assert any(text.startswith("drawdown stop") for text in notes(out))
    assert all(intent.urgency == 1.0 for intent in out if isinstance(intent, Target))
    ready.bars(4)
    assert not targets(ready.look(1))  # no rebalance while stopped
    ready.say(Resume(1, "auditor", "books agree", whose="auditor"))
    assert ready.strategy.status()["stopped"] is True  # somebody else's halt
    assert notes(ready.say(Resume(2, "operator", "looked at"))) == ["drawdown stop cleared"]
    ready.view.lines.clear()
    assert targets(ready.look(2))


def test_a_stop_survives_a_restart_and_closes_what_is_still_held(ready: Bench) -> None:
    ready.look(1)
    ready.view.hold("C1", "97")
    ready.look(2)
    ready.view.mids["C1"] = 65.0
    ready.look(3)
    again = Bench()
    again.view = ready.view
    again.strategy.restore(ready.strategy.snapshot())
    again.bar = ready.bar
    assert targets(again.look(4)) == {"C1": D(0)}
    assert not targets(again.look(5))  # asked for once


def test_a_coin_that_nobody_quotes_does_not_blind_the_stop(ready: Bench) -> None:
    ready.look(1)
    ready.view.hold("C1", "97")
    ready.look(2)
    ready.view.mids.pop("C1")
    ready.view.marks["C1"] = 65.0
    out = ready.look(3)
    assert any("drawdown stop" in text for text in notes(out))
    assert "C1" not in targets(out)
    ready.view.mids["C1"] = 65.0
    assert targets(ready.look(4)) == {"C1": D(0)}


def test_a_smaller_lease_makes_no_loss_larger_and_a_larger_one_none_smaller(ready: Bench) -> None:
    ready.view.mandate = lease(1, 20_000)
    ready.look(1)
    ready.view.hold("C1", "97")
    ready.look(2)
    ready.view.mids["C1"] = 90.0  # 970 of 20,000: 5 % down
    assert "drawdown stop" not in " ".join(notes(ready.look(3)))
    ready.view.mandate = lease(2, 4_000)  # the allocator takes capital home: 970 of 4,000 is not what was lost on it
    assert "drawdown stop" not in " ".join(notes(ready.look(4)))
    again = Bench()
    again.view, again.bar = ready.view, ready.bar
    again.strategy.restore(ready.strategy.snapshot())
    again.view.hold("C1", "19", at="90")
    again.view.lines["C2"] = Line(realised=D(-970), last_px=D(100))
    assert "drawdown stop" not in " ".join(notes(again.look(5)))
    again.view.mandate = lease(3, 20_000)
    again.look(6)
    again.view.mandate = lease(4, 4_000)
    again.look(7)
    again.view.mids["C1"] = 90.0 - 4_000 * 0.09 / 19  # another 9 % of what is lent now: 14 %
    assert "drawdown stop" not in " ".join(notes(again.look(8)))
    again.view.mids["C1"] = 90.0 - 4_000 * 0.11 / 19
    assert any(text.startswith("drawdown stop") for text in notes(again.look(9)))


def test_a_halt_of_the_fund_leaves_the_stop_alone(ready: Bench) -> None:
    ready.look(1)
    assert ready.say(Halt(1, TradingState.HALTED, "auditor", "a break", "agreement")) == []
    assert ready.strategy.status()["stopped"] is False


def test_missing_bars_of_everybody_make_no_return() -> None:
    gap, whole = Bench(), Bench()
    gap.bars(12)
    whole.bars(12)
    gap.bar += 30  # hours that nobody had a bar of
    gap.bars(2)
    assert gap.strategy.signals.bars == 12 + 30 + 1  # the newest bar waits for the next time
    vol = gap.strategy.signals.panel.vol
    assert (vol < 0.05).all()  # 30 bars of drift at once would be 30 %
    whole.bars(2)
    assert gap.strategy.signals.panel.count[0] == whole.strategy.signals.panel.count[0] - 1


def test_the_snapshot_is_plain_and_complete(ready: Bench) -> None:
    ready.view.mandate = lease(1, 20_000)
    ready.say(ready.view.mandate)
    ready.look(1)
    state = msgspec.json.decode(msgspec.json.encode(ready.strategy.snapshot()))
    other = Gradient(settings(), COINS)
    other.restore(state)
    assert other.snapshot() == ready.strategy.snapshot()
