"""The comparison with what was claimed: figures that are the claims hold, and each one that moves is found out."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from slipstream.core.stats.bootstrap import Interval
from slipstream.research.joint.claims import CLAIMS, Check, claim_checks, summary, within
from slipstream.research.joint.study import BookFigures, Horizon, JointStudy, StudyTerms

NOTHING = Interval(0.0, -1.0, 1.0)


def around(value: float, half: float = 0.01) -> Interval:
    return Interval(value, value - half, value + half)


def book(funding: float, net: float = -3e-4) -> BookFigures:
    return BookFigures(
        price=0.0, funding=funding, cost=1e-4, net=net, turnover=1.0, decisions=100, ratio=NOTHING, p_value=0.5,
        best_share=0.2, behind=NOTHING,
    )  # fmt: skip


def horizon(hours: int) -> Horizon:
    claim = CLAIMS[hours]
    money = {"funding": claim.funding, "last_rate": around(claim.last_rate), "price": Interval(1e-4, -1e-3, 1e-3)}
    sigmas = {
        "funding": claim.sigmas_funding,
        "last_rate": claim.sigmas_last_rate,
        "constant": claim.sigmas_constant,
    }
    return Horizon(
        hours=hours,
        rows=1000,
        money=money | {"combined": around(6e-4)},
        sigmas={name: around(value) for name, value in sigmas.items()},
        books={"carry": book(4e-4)},
        tenths=(),
        coef={},
    )


def study_of(*horizons: Horizon) -> JointStudy:
    return JointStudy(
        horizons=horizons, best=8, distinguishable=False, p_value=0.5, weeks=60, first_ms=0, last_ms=1,
        terms=StudyTerms(),
    )  # fmt: skip


def lacking(found: JointStudy) -> list[tuple[int, str]]:
    return [(check.hours, check.figure) for check in claim_checks(found) if not check.holds]


def test_the_claims_themselves_hold() -> None:
    checks = claim_checks(study_of(*map(horizon, CLAIMS)))
    assert len(checks) == 5 * 5 + 9
    assert all(check.holds for check in checks)
    assert summary(checks) == "34 of 34 claimed figures and statements hold here."
    assert checks[0].row == {
        "H": "4 h", "figure": "funding R², money", "claimed": "0.64 [0.60, 0.68]", "ours": "0.640 [0.600, 0.680]",
        "inside": "yes",
    }  # fmt: skip


def test_fewer_horizons_are_fewer_checks_and_others_none() -> None:
    checks = claim_checks(study_of(horizon(8), horizon(24)))
    assert [check.hours for check in checks] == [8] * 5 + [24] * 5
    other = replace(horizon(8), hours=36)
    assert claim_checks(study_of(other)) == ()
    assert summary(()) == "No claim is about a holding period that was studied."


@pytest.mark.parametrize(
    ("kind", "name", "value", "figure"),
    [
        ("money", "funding", around(0.50), "funding R², money"),
        ("money", "last_rate", around(0.20), "last rate R², money"),
        ("sigmas", "funding", around(0.70), "recipe R², sigmas"),
        ("sigmas", "last_rate", around(0.70), "last rate R², sigmas"),
        ("sigmas", "constant", around(0.70), "constant R², sigmas"),
    ],
)
def test_a_figure_that_moves_is_outside(kind: str, name: str, value: Interval, figure: str) -> None:
    one = horizon(8)
    moved = replace(one, **{kind: {**getattr(one, kind), name: value}})
    assert (8, figure) in lacking(study_of(moved))
    checks = claim_checks(study_of(moved))
    assert f"Outside: {figure} (8 h)" in summary(checks)
    assert next(check for check in checks if check.figure == figure).row["inside"] == "NO"


def test_statements_about_all_are_found_out_one_by_one() -> None:
    good = [horizon(hours) for hours in CLAIMS]
    first = good[0]

    def with_first(**changes: object) -> JointStudy:
        return study_of(replace(first, **changes), *good[1:])

    def money(name: str, value: Interval) -> dict[str, Interval]:
        return {**first.money, name: value}

    for found, figure in (
        (with_first(money=money("price", Interval(0.0025, -0.001, 0.004))), "price R², money"),
        (with_first(money=money("price", Interval(0.0008, 0.0004, 0.0012))), "price R²: every interval includes 0"),
        (with_first(money=money("combined", around(0.0))), "combined R², money"),
        (with_first(books={"carry": book(1e-4)}), "carry book of tenths: funding, bp a period"),
        (with_first(books={"carry": book(20e-4)}), "carry book of tenths: funding, bp a period"),
        (with_first(books={"carry": book(4e-4, net=1e-5)}), "carry book: net profit below 0"),
        (
            with_first(books={"carry": replace(book(4e-4), ratio=Interval(-2.0, -3.0, -1.0))}),
            "carry book: net profit not told from 0",
        ),
        (with_first(sigmas={**first.sigmas, "funding": around(0.95, 0.3)}), "recipe's R² in sigmas peaks at"),
        (replace(study_of(*good), distinguishable=True), "no H is distinguishable from none"),
    ):
        assert lacking(found) == [(0, figure)]
    rising = with_first(money=money("funding", Interval(0.55, 0.5, 0.6)))
    assert (0, "funding R² in money falls with H") in lacking(rising)


def test_ends_count_at_the_digits_that_were_claimed() -> None:
    assert within(0.4121, 0.26, 0.41, 2)
    assert not within(0.4151, 0.26, 0.41, 2)
    assert within(0.5951, 0.60, 0.68, 2)
    assert not within(0.5949, 0.60, 0.68, 2)


def test_a_check_is_a_plain_value() -> None:
    one = Check(hours=0, figure="a", claim="b", ours="c", holds=False)
    assert list(one.row.values()) == ["all", "a", "b", "c", "NO"]
