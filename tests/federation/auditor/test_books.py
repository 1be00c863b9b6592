"""Books from the venue alone: nothing lost, nothing counted twice, whoever traded and in whatever order it is told."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.federation.auditor.books import Books, Line, fold_fills, fold_funding, open_books
from slipstream.federation.auditor.roster import NOBODY, PodSpec, Roster
from slipstream.model.cloid import Cloid, pod_id
from slipstream.model.errors import ConfigError
from slipstream.model.events import Fill, FundingPayment
from slipstream.model.instrument import Side

ACCOUNT = "0x" + "a" * 40
ROSTER = Roster((PodSpec("brawler", ACCOUNT), PodSpec("gradient", ACCOUNT)))
KEEP = 10**18
CLOIDS = [
    str(Cloid(pod_id("brawler"), 1, 2)),
    str(Cloid(pod_id("gradient"), 1, 2)),
    str(Cloid(pod_id("breaker"), pod_id("gradient"), 2)),
    str(Cloid(7, 1, 2)),
    None,
]


def fill(tid: int, signed: str, px: str, cloid: str | None = CLOIDS[0], ns: int | None = None, **more: object) -> Fill:
    size = Decimal(signed)
    side = Side.BUY if size > 0 else Side.SELL
    fields = {"fee": Decimal("0.01"), "oid": tid, "ns": tid if ns is None else ns, "cloid": cloid} | more
    return Fill("BTC", side, Decimal(px), abs(size), tid=tid, **fields)  # type: ignore[arg-type]


fills = st.lists(
    st.tuples(
        st.integers(-50, 50).filter(bool),
        st.integers(1, 1000),
        st.sampled_from(CLOIDS),
        st.integers(1, 30),
        st.booleans(),
    ),
    max_size=40,
).map(
    lambda rows: [
        fill(i + 1, str(Decimal(sz) / 8), str(Decimal(px) / 4), cloid, ns, crossed=crossed)
        for i, (sz, px, cloid, ns, crossed) in enumerate(rows)
    ]
)


def total(books: Books) -> Decimal:
    return sum((track.line.position for book in books.owners.values() for track in book.values()), Decimal(0))


@given(fills)
@settings(max_examples=150, deadline=None)
def test_pods_and_nobody_add_up_to_the_account(rows: list[Fill]) -> None:
    books, new = fold_fills(Books(ACCOUNT), rows, ROSTER, KEEP)
    assert len(new) == len(rows)
    assert total(books) == sum((f.sz * f.side.sign for f in rows), Decimal(0))
    lines = [track.line for book in books.owners.values() for track in book.values()]
    assert sum((x.cash for x in lines), Decimal(0)) == sum((-f.sz * f.px * f.side.sign for f in rows), Decimal(0))
    assert sum((x.volume for x in lines), Decimal(0)) == sum((f.sz * f.px for f in rows), Decimal(0))
    assert sum(x.fills for x in lines) == len(rows)


@given(fills, st.randoms(use_true_random=False), st.integers(1, 7))
@settings(max_examples=150, deadline=None)
def test_order_batches_and_repeats_do_not_matter(rows: list[Fill], rng: object, batch: int) -> None:
    rows = [fill(f.tid, str(f.sz * f.side.sign), str(f.px), f.cloid, f.tid, crossed=f.crossed) for f in rows]
    once, _ = fold_fills(Books(ACCOUNT), rows, ROSTER, KEEP)
    told = rows + rows[::2]
    rng.shuffle(told)  # type: ignore[attr-defined]
    books = Books(ACCOUNT)
    for start in range(0, len(told), batch):
        books, _ = fold_fills(books, told[start : start + batch], ROSTER, KEEP)
    assert {p: {c: t.line for c, t in b.items()} for p, b in books.owners.items()} == {
        p: {c: t.line for c, t in b.items()} for p, b in once.owners.items()
    }


@given(fills, st.integers(-10_000, 10_000).filter(bool), st.integers(0, 31))
@settings(max_examples=150, deadline=None)
def test_the_parts_of_a_funding_row_add_up_to_it(rows: list[Fill], usdc: int, ns: int) -> None:
    books, _ = fold_fills(Books(ACCOUNT), rows, ROSTER, KEEP)
    szi = sum((f.sz * f.side.sign for f in rows if f.ns <= ns), Decimal(0))
    row = FundingPayment("BTC", Decimal(usdc) / 1000, szi, Decimal("0.0001"), ns)
    books = fold_funding(fold_funding(books, [row], KEEP), [row], KEEP)
    parts = [track.funding for book in books.owners.values() for track in book.values()]
    assert sum(parts, Decimal(0)) == pytest.approx(row.usdc, abs=Decimal("1e-22"))
    if not rows:
        assert books.track(NOBODY, "BTC").funding == row.usdc


def test_profit_of_a_round_trip_and_of_a_turn() -> None:
    line = Line()
    for item in (fill(1, "2", "100"), fill(2, "2", "110"), fill(3, "-1", "120"), fill(4, "-5", "90")):
        line = line.filled(item)
    assert (line.position, line.entry) == (Decimal(-2), Decimal(90))
    assert line.realised == Decimal(15) - Decimal(45)
    assert line.unrealised(Decimal(80)) == Decimal(20)
    assert line.realised + line.unrealised(Decimal(80)) == line.cash + line.position * 80


def test_the_breaker_acts_for_the_pod_in_its_run_field() -> None:
    rows = [fill(1, "3", "10", CLOIDS[1]), fill(2, "-3", "10", CLOIDS[2])]
    books, new = fold_fills(Books(ACCOUNT), rows, ROSTER, KEEP)
    assert [(pod, breaker) for pod, breaker, _, _ in new] == [("gradient", False), ("gradient", True)]
    assert books.track("gradient", "BTC").line.position == 0


def test_a_fill_that_comes_late_takes_its_place() -> None:
    early, late = fill(1, "1", "100"), fill(2, "-1", "105")
    books, _ = fold_fills(Books(ACCOUNT), [late], ROSTER, KEEP)
    books, _ = fold_fills(books, [early], ROSTER, KEEP)
    line = books.track("brawler", "BTC").line
    assert (line.position, line.realised) == (0, 5)
    assert [x.position for x in books.track("brawler", "BTC").lines_since(1)] == [1, 0]


def test_funding_goes_by_the_position_at_the_settlement() -> None:
    rows = [fill(1, "3", "10", ns=10), fill(2, "1", "10", CLOIDS[1], ns=10), fill(3, "-3", "10", ns=20)]
    books, _ = fold_fills(Books(ACCOUNT), rows, ROSTER, KEEP)
    books = fold_funding(books, [FundingPayment("BTC", Decimal("-4"), Decimal(4), Decimal(0), 15)], KEEP)
    assert books.track("brawler", "BTC").funding == -3
    assert books.track("gradient", "BTC").funding == -1


def test_a_fill_at_the_settlements_own_time_leaves_slack() -> None:
    rows = [fill(1, "3", "10", ns=10), fill(2, "1", "10", ns=15)]
    books, _ = fold_fills(Books(ACCOUNT), rows, ROSTER, KEEP)
    books = fold_funding(books, [FundingPayment("BTC", Decimal("-3"), Decimal(3), Decimal(0), 15)], KEEP)
    track = books.track("brawler", "BTC")
    assert (track.funding, track.slack) == (-3, 1)


def test_what_an_account_held_before_is_nobodys() -> None:
    books, _ = fold_fills(Books(ACCOUNT), [fill(1, "3", "10")], ROSTER, KEEP)
    books = open_books(books, {"BTC": Decimal(5)}, {"BTC": Decimal(12)}, 9)
    line = books.track(NOBODY, "BTC").line
    assert (line.position, line.realised, total(books)) == (2, 0, 5)


def test_an_account_of_its_own_is_the_pods_whoever_traded() -> None:
    alone = Roster((PodSpec("brawler", ACCOUNT), PodSpec("gradient", "0x" + "b" * 40)))
    books, new = fold_fills(Books(ACCOUNT), [fill(1, "4", "10", None, 5)], alone, KEEP)
    assert new == ()
    books = open_books(books, {"BTC": Decimal(4)}, {"BTC": Decimal(10)}, 9, "brawler")
    books, new = fold_fills(books, [fill(2, "-1", "10", None, 10, liquidation=True)], alone, KEEP)
    assert new[0][0] == "brawler"
    assert books.track("brawler", "BTC").line.position == 3
    assert fold_fills(Books(ACCOUNT), [fill(2, "-1", "10", None)], ROSTER, KEEP)[1][0][0] == NOBODY


def test_a_cloid_on_another_account_is_nobodys() -> None:
    elsewhere = Roster((PodSpec("brawler", ACCOUNT), PodSpec("gradient", "0x" + "b" * 40)))
    assert elsewhere.owner(CLOIDS[1], ACCOUNT).pod == NOBODY
    assert elsewhere.owner(CLOIDS[1], "0x" + "b" * 40).pod == "gradient"


@pytest.mark.parametrize("slugs", [("a", "a"), ("breaker",)])
def test_pods_that_cannot_be_told_apart_are_refused(slugs: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="rename"):
        Roster(tuple(PodSpec(slug, ACCOUNT) for slug in slugs))
