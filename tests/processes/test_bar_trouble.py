"""Bad days of a pod over bars, on the stepped venue: narrowed leases, models that may not be used, bars that lack."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from slipstream.core.forecast.artefact import encode
from slipstream.model.commands import Report
from slipstream.model.mandate import Mandate
from slipstream.processes.barred_venue import barred_venue
from slipstream.processes.parity import parity
from slipstream.processes.stepped_bars import SteppedBars
from slipstream.processes.stepped_pod import USER
from slipstream.research.synthetic_bars import synthetic_bars
from slipstream.runtime.journal import open_journal
from tests.processes.stepped_books import (
    CARRY,
    COINS,
    GRADIENT,
    HISTORY,
    HOUR_NS,
    QUIET,
    follower,
    opened,
    pass_bars,
)

D = Decimal
BOTH = pytest.mark.parametrize(("slug", "values"), [("gradient", GRADIENT), ("carry", CARRY)])


def notes(pod: SteppedBars, text: str) -> list[dict[str, Any]]:
    """The fields of the notes of a text."""
    found = [one.body for one in pod.reports if isinstance(one, Report) and one.topic == "note"]
    return [body for body in found if body["text"] == text]


def lent(pod: SteppedBars, version: int, caps: dict[str, Decimal]) -> Mandate:
    """A lease of all the capital for some coins."""
    until = pod.now + 24 * HOUR_NS
    return Mandate(version, pod.entry.slug, D(20_000), D(40_000), caps, issued_ns=pod.now, expires_ns=until)


@BOTH
def test_a_lease_that_leaves_coins_out_while_their_orders_rest(
    slug: str, values: dict[str, Any], tmp_path: Path
) -> None:
    """Nothing that the lease no longer grants rests on, or is bought later; what was filled already is closed."""
    with open_journal(tmp_path / "journal.db") as journal:
        pod = opened(slug, values, tmp_path, journal)
        pod._feed(lent(pod, 1, dict.fromkeys(COINS, D(10_000))))
        account = pod.exchange.accounts[USER]
        granted: dict[str, Decimal] = {}
        for _ in range(120):
            pod.run(10)
            asked = {order.coin for order in account.open_orders.values()}
            granted = dict.fromkeys({min(asked, default="ETH"), "ETH"}, D(10_000))
            if asked - granted.keys():
                break
        assert asked - granted.keys()
        pod._feed(lent(pod, 2, granted))
        pod.run(60)  # what was under way is cancelled once the venue has taken it
        left = [order for order in account.open_orders.values() if order.coin not in granted]
        assert all(order.reduce_only for order in left), "what filled meanwhile is being closed, nothing else rests"
        pod.run(1_800)
        assert not {coin for coin, one in account.positions.items() if one.szi} - granted.keys()
        before = len([fill for fill in pod.fills if fill.coin not in granted])
        pass_bars(pod, 1)
        assert len([fill for fill in pod.fills if fill.coin not in granted]) == before


def test_without_a_model_nothing_is_traded_and_with_a_stale_one_positions_only_shrink(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.db") as journal:
        pod = opened("carry", CARRY, tmp_path, journal)
        pod.run(1_200)
        account = pod.exchange.accounts[USER]
        sizes = [{coin: one.szi for coin, one in account.positions.items() if one.szi}]
        assert len(sizes[0]) >= 3
        # the next process finds a model whose time is over
        (tmp_path / "model.json").write_bytes(encode(follower(pod.config, until_ms=2)))
        pass_bars(pod, 1)
        sizes = [{coin: one.szi for coin, one in account.positions.items() if one.szi}]
        pod.restart()
        for _ in range(3):
            pass_bars(pod, 1)
            sizes.append({coin: one.szi for coin, one in account.positions.items() if one.szi})
        for before, after in pairwise(sizes):
            for coin, size in before.items():
                left = after.get(coin, D(0))
                assert left * size >= 0 and abs(left) <= abs(size) * D("0.55"), (coin, sizes)
            assert after.keys() <= before.keys()
        said = notes(pod, "the model is refused: positions are only reduced")
        assert said and all("ended" in one["field.why"] for one in said), said


@pytest.mark.parametrize(
    ("content", "why"), [(None, "no model at"), ("other", "other features: window 25"), ("torn", "model.json")]
)
def test_a_pod_that_begins_without_a_usable_model_says_so_and_waits(
    content: str | None, why: str, tmp_path: Path
) -> None:
    with open_journal(tmp_path / "journal.db") as journal:
        pod = opened("carry", CARRY, tmp_path, journal)
        path = tmp_path / "model.json"
        if content is None:
            path.unlink()
        elif content == "other":
            other = pod.config.model_copy(update={"signal": pod.config.signal.model_copy(update={"window": 25})})
            path.write_bytes(encode(follower(other)))
        else:
            path.write_bytes(path.read_bytes()[:200])
        pod.restart()  # before its first look
        pod.run(600)
        assert not pod.fills and not pod.exchange.accounts[USER].open_orders
        (said,) = notes(pod, "the model is refused: positions are only reduced")
        assert why in said["field.why"], said


@pytest.mark.slow
@BOTH
def test_bars_that_lack_are_the_same_gap_in_the_backtest(slug: str, values: dict[str, Any], tmp_path: Path) -> None:
    """A coin without a bar at a rebalance, and a bar that nobody has."""
    made = synthetic_bars(np.random.default_rng(5), coins=len(COINS), days=60)
    made = msgspec.structs.replace(made, coins=COINS)
    holes = {name: np.array(getattr(made, name)) for name in ("open", "close", "volume_usd")}
    start = HISTORY
    for table in holes.values():
        table[start + 1, 2] = np.nan
        table[start + 3] = np.nan
    bars = msgspec.structs.replace(made, **holes)
    begin_ns = int(bars.opened[start]) * 1_000_000 + HOUR_NS // 2
    with open_journal(tmp_path / "journal.db") as journal:
        pod = opened(slug, values, tmp_path, journal, barred_venue(bars, begin_ns, 3, QUIET))
        pod.run(1_200)
        pass_bars(pod, 5)
        found = parity(journal)
    assert found.same, [pair.differs for pair in found.pairs]
    assert len(found.pairs) == 6
    assert "SOL" not in {coin for coin, weight in found.pairs[2].live.weights.items() if weight}
    assert "SOL" in found.pairs[1].live.weights
