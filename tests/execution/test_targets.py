"""From sizes to Targets, and what coins are worth: by a window that the test sets."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from slipstream.execution.ledger import Line
from slipstream.execution.marks import closable, is_tradable, mid_of, net_of
from slipstream.execution.rebalance import Band, Room
from slipstream.execution.strategy import View
from slipstream.execution.targets import AT_ONCE, sizes_of, targets, traded_usd
from slipstream.model.events import AssetContext, Bbo
from slipstream.model.instrument import Instrument
from slipstream.model.intents import Note, Target
from slipstream.model.mandate import Mandate, TradingState

D = Decimal
COINS = ("A", "B", "GONE")
BAND = Band(D(25), D("0.1"))


class Window:
    """Prices of 100 unless the test takes them away."""

    def __init__(self, **held: str) -> None:
        self.now_ns = 7
        self.trading_state = TradingState.ACTIVE
        self.bids = dict.fromkeys(COINS, 99.0)
        self.marks: dict[str, float] = {}
        self.asked: dict[str, Decimal] = {}
        self.lines = {coin: Line(position=D(size), cost=D(size) * 100, last_px=D(100)) for coin, size in held.items()}
        self.instruments = {
            coin: Instrument(coin=coin, asset=i, size_decimals=1, max_leverage=5, delisted=coin == "GONE")
            for i, coin in enumerate(COINS)
        }

    def position(self, coin: str) -> Decimal:
        return self.line(coin).position

    def line(self, coin: str) -> Line:
        return self.lines.get(coin, Line())

    def target(self, coin: str) -> Decimal | None:
        return self.asked.get(coin)

    def bbo(self, venue: str, coin: str) -> Bbo | None:
        bid = self.bids.get(coin)
        return None if bid is None else Bbo(venue, coin, bid, 1.0, 101.0, 1.0, 7, 7)

    def context(self, coin: str) -> AssetContext | None:
        mark = self.marks.get(coin)
        return None if mark is None else AssetContext("hl", coin, mark, mark, 0.0, 0.0, 7, 7)


def seen(window: Window) -> View:
    return cast(View, window)


def test_a_one_sided_market_is_no_price() -> None:
    window = Window(B="1")
    window.bids["A"] = 0.0
    assert mid_of(seen(window), "A") is None and mid_of(seen(window), "B") == D("100.0")
    assert [coin for coin in (*COINS, "X") if is_tradable(seen(window), coin)] == ["B"]
    assert closable(seen(window), COINS) == ["B"]


def test_profit_is_at_the_mid_else_at_the_mark_else_at_the_last_fill() -> None:
    window = Window(A="2")
    window.bids["A"] = 109.0
    assert net_of(seen(window), COINS) == D(10)
    del window.bids["A"]
    assert net_of(seen(window), COINS) == 0  # the last fill
    window.marks["A"] = 90.0
    assert net_of(seen(window), COINS) == D(-20)
    window.marks.clear()
    window.lines["A"] = Line(position=D(2), cost=D(200))
    assert net_of(seen(window), COINS) is None


def test_sizes_are_of_what_is_wanted_or_held_and_has_a_price() -> None:
    window = Window(B="3")
    wanted = {"A": D(-1_234), "GONE": D(500), "X": D(9)}
    assert sizes_of(seen(window), COINS, wanted) == {"A": D("-12.3"), "B": D(0), "GONE": D(0)}
    window.bids.clear()
    assert sizes_of(seen(window), COINS, wanted) == {}


def test_targets_close_what_is_not_wanted_and_leave_what_has_no_price() -> None:
    window = Window(A="5", B="-2", GONE="1")
    del window.bids["GONE"]
    out = targets(seen(window), (*COINS, "X"), {"B": D(4)}, BAND, deadline_ns=10, reason="why", urgency=AT_ONCE)
    assert out == [
        Target("A", D(0), 1.0, D("100.0"), 17, "why"),
        Target("B", D(4), 1.0, D("100.0"), 17, "why"),
        Note("GONE has no price: position 1 stays"),
    ]
    assert traded_usd(seen(window), out) == D(1_100)


def test_within_the_band_the_target_is_what_is_held() -> None:
    out = targets(seen(Window(A="5")), COINS, {"A": D("5.2")}, BAND, deadline_ns=1, reason="")
    assert [one.position for one in out if isinstance(one, Target)] == [D(5)]


def test_reducing_only_shrinks() -> None:
    window = Window(A="5", B="-2")
    window.trading_state = TradingState.REDUCING
    out = targets(seen(window), COINS, {"A": D(9), "B": D(3), "GONE": D(1)}, BAND, deadline_ns=1, reason="")
    assert [one.position for one in out if isinstance(one, Target)] == [D(5), D(0), D(0)]


def test_a_room_under_a_mandate_is_never_wider() -> None:
    own = Room(D(1_000), D(2_000), {}, D(500))
    assert own.under(None) == Room(D(1_000), D(1_940), {}, D(485))
    lease = Mandate(1, "x", D(3_000), D(1_000), {"A": D(100), "B": D(9_000)}, expires_ns=1)
    narrow = own.under(lease)
    assert narrow == Room(D(1_000), D(970), {"A": D(97), "B": D(485)}, D(0))
    assert narrow.of("C") == 0  # named coins alone
    assert narrow.is_less(own.under(None), ("B",)) and not own.under(None).is_less(narrow, COINS)
    wider = Room(narrow.capital, narrow.gross, {"A": D(96)}, D(485))
    assert wider.is_less(narrow, ("A", "B")) and not wider.is_less(narrow, ("B",))


def test_what_was_wanted_before_and_never_filled_is_wanted_no_more() -> None:
    """A Target holds until it is replaced: a coin that left the book unfilled would be bought later."""
    window = Window(A="1")
    window.asked = {"A": D(1), "B": D(5)}
    found = targets(seen(window), COINS, {"A": D(2)}, BAND, deadline_ns=10, reason="rebalance")
    assert {one.coin: one.position for one in found if isinstance(one, Target)} == {"A": D(2), "B": D(0)}
    del window.bids["B"]  # not even while nobody quotes it
    found = targets(seen(window), COINS, {"A": D(2)}, BAND, deadline_ns=10, reason="rebalance")
    assert {one.coin: one.position for one in found if isinstance(one, Target)} == {"A": D(2), "B": D(0)}
    window.asked = {"B": D(0)}
    found = targets(seen(window), COINS, {}, BAND, deadline_ns=10, reason="rebalance")
    assert [one.coin for one in found if isinstance(one, Target)] == ["A"]
