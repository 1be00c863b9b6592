"""Alpha and beta, shortfall, maker share, markouts, fees and funding."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.federation.attribution import (
    FillSeen,
    PodHour,
    PodRecord,
    alpha_of,
    attribute,
    maker_share_of,
    markouts_of,
    render_lines,
)
from slipstream.federation.shortfall import Child, Parent, added, paper_less_real, shortfall
from slipstream.model.instrument import Side

MATH = Path(__file__).resolve().parents[2] / "../shared/reference/math/07_tca.json"


def dec(x: float) -> Decimal:
    return Decimal(str(x))


def pod_hours(n: int, alpha: float, btc_beta: float, eth_beta: float, seed: int = 1) -> tuple[PodHour, ...]:
    rng = np.random.default_rng(seed)
    market = np.random.default_rng(99).standard_normal((n, 2)) * 0.006
    noise = 0.001 * rng.standard_normal(n)
    capital = 10_000.0 + 10.0 * np.arange(n)
    ret = alpha + market @ [btc_beta, eth_beta] + noise
    return tuple(
        PodHour(i, float(r * c), float(c), float(b), float(e))
        for i, (r, c, (b, e)) in enumerate(zip(ret, capital, market, strict=True))
    )


def fill(side: Side, px: float, sz: float, *, crossed: bool, coin: str = "BTC", **mids: float) -> FillSeen:
    known = {int(h[1:]): dec(mid) for h, mid in mids.items()}
    return FillSeen(
        coin=coin, side=side, px=dec(px), sz=dec(sz), fee=dec(px * sz * 0.0002), crossed=crossed, mids=known
    )


def test_alpha_and_beta_are_found_and_add_up() -> None:
    found = alpha_of(pod_hours(2000, 0.0002, 0.7, -0.3))
    assert found.alpha is not None and found.alpha_se is not None
    assert abs(found.alpha - 0.0002 * 8760) < 3 * found.alpha_se
    assert found.btc_beta == pytest.approx(0.7, abs=0.02) and found.eth_beta == pytest.approx(-0.3, abs=0.02)
    assert found.alpha_pnl + found.beta_pnl == pytest.approx(found.pnl, rel=1e-12)
    market = pod_hours(2000, 0.0, 1.0, 0.0)
    assert abs(alpha_of(market).alpha_pnl) < 0.2 * sum(abs(h.pnl) for h in market) / 10


def test_few_hours_and_no_capital_give_no_betas() -> None:
    few = alpha_of(pod_hours(10, 0.0, 1.0, 0.0))
    assert few.alpha is None and few.alpha_pnl == few.pnl
    assert alpha_of(()).pnl == 0.0
    idle = tuple(PodHour(i, 1.0, 0.0, 0.01, 0.0) for i in range(100))
    assert alpha_of(idle).alpha_pnl == 100.0
    still = alpha_of(tuple(PodHour(i, 0.0, 100.0, 0.0, 0.0) for i in range(100)))
    assert still.alpha == 0.0 and still.t is None
    with pytest.raises(ValueError, match="gradient"):
        alpha_of((PodHour(0, math.nan, 1.0, 0.0, 0.0),), "gradient")


def test_shortfall_reference() -> None:
    if not MATH.exists():
        pytest.skip("no reference values at 07_tca.json")
    for case in json.loads(MATH.read_text())["implementation_shortfall"]:
        fills = [Child(dec(sz), dec(px)) for sz, px in case["fills"]]
        if fills:
            fills[0] = Child(fills[0].sz, fills[0].px, dec(case["fees"]))
        parent = Parent(
            coin="BTC",
            side=Side.BUY if case["side"] > 0 else Side.SELL,
            size=dec(case["X"]),
            decision_px=dec(case["P_decision"]),
            arrival_px=dec(case["P_arrival"]),
            end_px=dec(case["P_end"]),
            fills=tuple(fills),
        )
        found = shortfall(parent)
        assert float(found.delay) == pytest.approx(case["delay"], rel=1e-9)
        assert float(found.spread + found.impact) == pytest.approx(case["execution"], rel=1e-9)
        assert float(found.opportunity) == pytest.approx(case["opportunity"], rel=1e-9, abs=1e-12)
        assert float(found.total) == pytest.approx(case["total"], rel=1e-9)
        assert found.bp == pytest.approx(case["total_bps"], rel=1e-9)
        assert found.unpriced == len(fills)


price = st.decimals("0.000001", "250000", places=6)
size = st.decimals("0.00001", "100000", places=5)
money = st.decimals("-1000", "1000", places=8)


@st.composite
def parents(draw: st.DrawFn) -> Parent:
    fills = draw(st.lists(st.builds(Child, size, price, money, st.one_of(st.none(), price)), max_size=6))
    rest = draw(st.decimals("0.00001", "1000", places=5))
    return Parent(
        coin="BTC",
        side=draw(st.sampled_from(list(Side))),
        size=sum((f.sz for f in fills), Decimal(0)) + rest,
        decision_px=draw(price),
        arrival_px=draw(price),
        end_px=draw(price),
        fills=tuple(fills),
    )


@given(st.lists(parents(), min_size=1, max_size=4))
def test_shortfall_is_exactly_paper_less_real(orders: list[Parent]) -> None:
    for order in orders:
        assert shortfall(order).total == paper_less_real(order)
    assert added(map(shortfall, orders)).total == sum(map(paper_less_real, orders))


def test_shortfall_refuses_what_cannot_be() -> None:
    def order(**change: object) -> Parent:
        base: dict[str, object] = {
            "coin": "SOL",
            "side": Side.BUY,
            "size": Decimal(1),
            "decision_px": Decimal(10),
            "arrival_px": Decimal(10),
            "end_px": Decimal(10),
        }
        return Parent(**{**base, **change})  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="SOL: prices"):
        shortfall(order(end_px=Decimal("NaN")))
    with pytest.raises(ValueError, match="filled 2 of 1"):
        shortfall(order(fills=(Child(Decimal(2), Decimal(10)),)))
    assert shortfall(order()).total == 0 and added([]).bp is None


def test_maker_share_against_what_is_declared() -> None:
    fills = [fill(Side.BUY, 100, 1, crossed=i % 10 == 0) for i in range(400)]
    found = maker_share_of(fills, 0.8)
    assert found.share == pytest.approx(0.9) and not found.broken
    assert found.low is not None and found.high is not None and 0.85 < found.low < 0.9 < found.high < 0.94
    assert maker_share_of(fills, 0.95).broken
    assert not maker_share_of(fills[:5], 0.95).broken  # too few to say so
    one_big = [*fills, fill(Side.BUY, 100, 4000, crossed=True)]
    assert not maker_share_of(one_big, 0.5).broken  # one fill says little, however large
    assert maker_share_of([], 0.9).share is None and not maker_share_of([], 0.9).broken


@given(st.lists(st.tuples(price, size, st.booleans()), max_size=12))
def test_maker_interval_holds_the_share(rows: list[tuple[Decimal, Decimal, bool]]) -> None:
    found = maker_share_of(
        [FillSeen(coin="X", side=Side.BUY, px=p, sz=s, fee=Decimal(0), crossed=c) for p, s, c in rows], 0.5
    )
    if rows:
        assert found.share is not None and found.low is not None and found.high is not None
        assert 0.0 <= found.low <= found.share <= found.high <= 1.0
    else:
        assert found.share is None


def test_markouts_by_horizon() -> None:
    fills = [
        fill(Side.BUY, 100, 3, crossed=False, h0=100.05, h5=99.9),
        fill(Side.SELL, 100, 1, crossed=False, h0=99.9),
    ]
    zero, five = markouts_of(fills)
    assert zero.seconds == 0 and zero.bp == pytest.approx((3 * 5 + 10) / 4) and zero.fills == 2
    assert five.bp == pytest.approx(-10.0) and five.fills == 1 and five.se == 0.0


def test_fund_is_the_sum_of_its_pods() -> None:
    hours = pod_hours(300, 0.0002, 0.7, 0.0), pod_hours(300, -0.0001, 0.0, 0.4, seed=2)
    order = Parent(
        coin="BTC",
        side=Side.BUY,
        size=Decimal(2),
        decision_px=Decimal(100),
        arrival_px=Decimal("100.1"),
        end_px=Decimal(101),
        fills=(Child(Decimal(1), Decimal("100.2"), Decimal("0.02"), Decimal("100.15")),),
    )
    records = [
        PodRecord(
            pod="gradient",
            hours=hours[0],
            fills=(fill(Side.BUY, 100, 1, crossed=True, h5=100.1),),
            orders=(order,),
            funding={"BTC": Decimal("-1.5")},
        ),
        PodRecord(
            pod="brawler",
            hours=hours[1],
            fills=tuple(fill(Side.SELL, 100, 1, crossed=True, coin="ETH") for _ in range(50)),
            funding={"BTC": Decimal("0.5"), "ETH": Decimal(2)},
            maker_share=0.9,
        ),
    ]
    found = attribute(records)
    assert [one.pod for one in found.pods] == ["brawler", "gradient"]
    assert found.fund.alpha.pnl == pytest.approx(sum(one.alpha.pnl for one in found.pods))
    assert found.fund.funding == Decimal(1) == sum(one.funding for one in found.pods)
    assert found.fund.fees == sum(one.fees for one in found.pods)
    assert found == attribute(reversed(records))
    text = "\n".join(render_lines(found))
    assert text.startswith("fund: net") and "BROKEN" in text and "shortfall" in text and "5 s +10.00" in text
    assert "nan" not in text and "None" not in text
    with pytest.raises(ValueError, match="twice"):
        attribute([records[0], records[0]])


def test_nothing_at_all_renders() -> None:
    assert render_lines(attribute([]))[0] == "fund: net +0.00 USD over 0 h"
