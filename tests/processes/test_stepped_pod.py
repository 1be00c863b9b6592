"""A kernel and the emulated exchange in simulated time: both sides agree, whatever is asked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from slipstream.model.commands import Cancel, Query
from slipstream.model.events import Ack, Closed, Event, Reject
from slipstream.pods import kernel_config
from slipstream.processes.brawler_backtest import START_NS
from slipstream.processes.stepped_pod import USER, SteppedPod
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.strategies.brawler.strategy import Brawler
from slipstream.venues.emulator.serve import ServeOptions, build_venue

COINS = ("WLFI", "LTC")
CONFIG = BrawlerConfig.model_validate(
    {
        "symbols": [
            {"symbol": "WLFI", "order_size": "2000", "max_inventory": "10000"},
            {"symbol": "LTC", "order_size": "4", "max_inventory": "20"},
        ],
        "base_spread": 0.00035,
        "k": 0.5,
        "sigma_window": 60,
        "basis_halflife_s": 15.0,
    }
)


def opened(seed: int = 7) -> SteppedPod:
    options = ServeOptions(port=0, pace="stepped", seed=seed, coins=COINS, start_ns=START_NS, limits=True)
    return SteppedPod(Brawler(CONFIG), kernel_config(CONFIG, 1.0), build_venue(options), COINS, Decimal(50_000))


def heard(pod: SteppedPod) -> list[Event]:
    """What the kernel is told from now on."""
    told: list[Event] = []
    step: Any = pod.kernel.step

    def listen(event: Event) -> Any:
        told.append(event)
        return step(event)

    pod.kernel.step = listen  # type: ignore[method-assign]
    return told


def test_both_sides_remember_the_same() -> None:
    pod = opened()
    pod.run(240)
    account = pod.exchange.accounts[USER]
    ledger = pod.kernel.desk.ledger
    assert len(pod.fills) > 5 and pod.requests > 20
    for coin in COINS:
        held = account.positions.get(coin)
        assert ledger.position(coin) == (held.szi if held is not None else 0)
    resting = {order.cloid for order in account.open_orders.values()}
    assert resting == {order.cloid for order in pod.kernel.live_orders()} and resting
    marks = {coin: pod.exchange.contexts[coin].mark for coin in COINS}
    assert pod.equity - 50_000 == sum(ledger.line(coin).net(px) for coin, px in marks.items())
    assert not [report for report in pod.reports if report.topic in ("odd", "break")]


def test_the_fate_of_an_order_is_told() -> None:
    pod = opened()
    pod.run(30)
    live = pod.kernel.live_orders()[0]
    told = heard(pod)
    pod.obey([Query(live.cloid, live.coin), Query("0x" + "9" * 32, live.coin)])
    pod.run(0.1)
    answers = {event.cloid: event for event in told if isinstance(event, Ack | Reject | Closed)}
    assert isinstance(answers[live.cloid], Ack) and isinstance(answers["0x" + "9" * 32], Reject)
    pod.obey([Cancel(live.cloid, live.coin)])
    pod.run(0.2)
    pod.obey([Query(live.cloid, live.coin)])
    pod.run(0.1)
    ends = [event for event in told if isinstance(event, Closed) and event.cloid == live.cloid]
    assert [end.status for end in ends] == ["canceled", "canceled"] and ends[0].filled == ends[1].filled


def test_the_same_seed_is_the_same_market() -> None:
    runs = [opened(seed) for seed in (3, 3, 4)]
    for pod in runs:
        pod.run(90)
    one, same, other = ([(fill.tid, fill.px, fill.sz) for fill in pod.fills] for pod in runs)
    assert one == same and one != other
