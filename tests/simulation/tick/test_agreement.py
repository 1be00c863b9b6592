"""The same strategy twice on one exchange: the compiled Brawler and the pod's kernel send and fill the same, field by
field, at any delay; and they believe and want the same at every step.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.lob.replay.record import MODIFY, WOULD_TRADE
from slipstream.model.errors import ConfigError
from slipstream.model.instrument import Side
from slipstream.pods import kernel_config
from slipstream.simulation.tick.kernel_on_tape import TapeKernel
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.strategies.brawler.replayed.hook import brawler
from slipstream.strategies.brawler.replayed.opening import opening
from slipstream.strategies.brawler.strategy import Brawler
from tests.simulation.tick import brawler_rows as made
from tests.simulation.tick.brawler_rows import BTC, ETH, MILLI
from tests.simulation.tick.drivers import Delays, assert_same, both, compiled, desk_of, with_kernel

ONE, TWO = {"ETH": ETH}, {"ETH": ETH, "BTC": BTC}


def said(kernel: TapeKernel) -> Counter[str]:
    """What the kernel told people, by its first words."""
    out: Counter[str] = Counter()
    for report in kernel.reports:
        if report.topic in ("note", "refused", "odd"):
            out[str(report.body.get("text", report.body.get("reason")))] += 1
    return out


def test_at_no_delay_every_request_and_fill_is_the_kernels() -> None:
    rows = made.tape(TWO, 90, 2)
    hook, kernel, driver = both(TWO, rows, made.settings(TWO))
    assert_same(hook, kernel)
    assert len(hook.fills) > 20 and (hook.sent["action"] == MODIFY).sum() > 40
    # the pod's books are the exchange's
    held = {coin: driver.kernel.desk.ledger.position(coin) for coin in TWO}
    assert [int(held[c].scaleb(p.size_decimals)) for c, p in TWO.items()] == hook.positions[::2].tolist()
    fees = sum(float(driver.kernel.desk.ledger.line(coin).fees) for coin in TWO)
    assert fees == pytest.approx(float(hook.fees.sum()))
    assert said(driver).keys() == {"quoting"}


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "caps and portfolio": ({}, {"portfolio": {"gross_cap": "700"}}, "suspended: portfolio"),
    "halt": ({}, {"portfolio": {"gross_cap": "900", "halt_ratio": 0.5, "reduce_only_ratio": 0.45, "resume_ratio": 0.2}},
             "suspended: portfolio halt"),
    "a silent anchor": ({"hole": 50}, {}, "suspended: binance feed"),
    "a basis that moves": ({}, {"max_basis_deviation": 0.0006}, "suspended: basis"),
    "volatility": ({"sigma": 2e-4}, {"max_volatility": 0.00066}, "suspended: volatility"),
    "a small inventory": ({}, {"kill_switch": {"inventory_ratio": 0.3, "inventory_resume_ratio": 0.1}},
                          "suspended: inventory"),
    "few requests": ({}, {"actions_per_second": 0.5}, "action rate: more than 0.5 a second, the rest is for cancels"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_switches_limits_and_modes(name: str) -> None:
    tape, changes, expected = CASES[name]
    rows = made.tape(TWO, 80, 4, **tape)
    hook, kernel, driver = both(TWO, rows, made.settings(TWO, **changes))
    assert_same(hook, kernel)
    assert expected in said(driver) and len(hook.sent) > 10


def test_delays_change_what_happens_and_not_that_both_do_the_same() -> None:
    seen, refused = [], 0
    wild = made.settings(ONE, max_volatility=0.01)
    for delays, feed in ((Delays(), 0), (Delays(40 * MILLI, 30 * MILLI), 20 * MILLI), (Delays(700 * MILLI, MILLI), 0)):
        hook, kernel, _ = both(ONE, made.tape(ONE, 80, 9, sigma=5e-4, feed_ns=feed), wild, delays)
        assert_same(hook, kernel)
        assert len(hook.fills) > 2
        seen.append(hook.sent.tobytes())
        refused += int((hook.sent["outcome"] == WOULD_TRADE).sum())
    assert len(set(seen)) == len(seen)
    assert refused > 0  # a post-only order that met a market which had moved: tried again a tick further out


def test_inventory_held_elsewhere_and_what_reduces_it() -> None:
    """An offset of our own position: reductions that open one here are not reduce-only, and may come to be."""
    held = {"ETH": Decimal("0.41"), "BTC": Decimal("-0.0150")}
    changes = {"kill_switch": {"inventory_ratio": 0.8, "inventory_resume_ratio": 0.3}}
    hook, kernel, _ = both(
        TWO, made.tape(TWO, 80, 5), made.settings(TWO, **changes), Delays(5 * MILLI, 5 * MILLI), held
    )
    assert_same(hook, kernel)
    assert len(hook.fills) > 2


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10_000),
    entry=st.sampled_from((0, 1, 90 * MILLI, 600 * MILLI)),
    response=st.sampled_from((0, 1, 110 * MILLI)),
    cap=st.sampled_from(("400", "900", "5000")),
    ratio=st.sampled_from((0.35, 0.95)),
    rate=st.sampled_from((0.4, 20.0)),
    sigma=st.sampled_from((5e-5, 2e-4)),
)
def test_step_by_step_both_believe_and_want_the_same(
    seed: int, entry: int, response: int, cap: str, ratio: float, rate: float, sigma: float
) -> None:
    """Two paused runs side by side: at every event the compiled function is called on one, the kernel on the other."""
    changes = {
        "portfolio": {"gross_cap": cap},
        "kill_switch": {"inventory_ratio": ratio, "inventory_resume_ratio": ratio * 0.6},
        "actions_per_second": rate,
    }
    config = BrawlerConfig.model_validate(made.settings(TWO, **changes))
    delays = Delays(entry, response)
    replay = compiled(TWO, config, delays, {}, paused=True)
    driver = with_kernel(TWO, config, delays, {})
    for rows in (made.tape(TWO, 25, seed, sigma=sigma), None):
        while replay.advance(rows):
            assert driver.replay.advance(rows)
            brawler(replay.sim)
            driver.wake()
            _compare(replay, driver)
        assert not driver.replay.advance(rows)


def _compare(replay: Any, driver: TapeKernel) -> None:
    desk, kernel = desk_of(replay), driver.kernel
    strategy: Any = kernel.strategy
    assert desk["now_ns"] == kernel.desk.now_ns
    assert desk["pace"]["debt"] == strategy.pace.debt
    for number, (coin, perp) in enumerate(TWO.items()):
        ours, maker = desk["coins"][number], strategy.makers[coin]
        assert ours["belief"]["basis"]["value"] == maker.belief.basis.value
        assert ours["belief"]["window"]["sigma"] == maker.volatility.sigma
        wanted = kernel.quoter.wanted.get(coin)
        for place, side in enumerate(Side):
            lane = ours["lanes"][place]
            one = None if wanted is None else wanted.bid if side is Side.BUY else wanted.ask
            asked = (0, 0) if one is None else (perp.to_tick(one.px), perp.to_lots(one.sz))
            assert (lane["wish_tick"], lane["wish_lots"]) == asked
            live = [w.order for w in kernel.desk.orders.live(coin) if w.order.side is side]
            entries = [e for e in (lane["older"], lane["newer"]) if e["live"]]
            theirs = [(perp.to_tick(o.px), perp.to_lots(o.sz), perp.to_lots(o.filled)) for o in live]
            assert [(e["tick"], e["lots"], e["filled"]) for e in entries] == theirs


def test_the_opening_refuses_what_a_replay_has_not() -> None:
    config = BrawlerConfig.model_validate(made.settings(ONE))
    limits = kernel_config(config, 1.0)
    with pytest.raises(ConfigError, match="no anchor market of ETH"):
        opening(Brawler(config), limits, ONE, {"ETH": 0}, {})
    with pytest.raises(ConfigError, match="nothing is known of the perp ETH"):
        opening(Brawler(config), limits, {}, {"ETH": 0}, {"ETH": 1})
    leased = kernel_config(config.model_copy(update={"require_mandate": True}), 1.0)
    with pytest.raises(ConfigError, match="require_mandate"):
        opening(Brawler(config), leased, ONE, {"ETH": 0}, {"ETH": 1})
    names = ("A", "B", "C", "D")
    long = made.settings({}, sigma_window=10_000)
    long["symbols"] = [{"symbol": name, "order_size": "0.1", "max_inventory": "0.5"} for name in names]
    places = {name: number for number, name in enumerate(names)}
    with pytest.raises(ConfigError, match="sigma windows of all symbols hold 40000"):
        opening(Brawler(BrawlerConfig.model_validate(long)), limits, dict.fromkeys(names, ETH), places, places)
