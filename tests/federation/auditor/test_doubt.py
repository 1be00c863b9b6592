"""A stream that loses fills makes honest pods look like liars: nobody is accused before a second reading."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from slipstream.federation.auditor.escalate import ON_FILLS
from slipstream.model.breaks import Break, BreakKind
from slipstream.model.messages import PodReport
from tests.federation.auditor.reporting import totalled
from tests.federation.auditor.street import Street


def breaks(street: Street, cycles: int) -> list[Break]:
    told = [item.message for _ in range(cycles) for item in street.cycle()]
    return [item for item in told if isinstance(item, Break)]


def lossy(seed: int, speed: float) -> Street:
    street = Street(Random(seed), speed, busy=0.5)
    street.lost = 0.3
    return street


@pytest.mark.parametrize(("seed", "speed"), [(1, 1.0), (2, 10.0), (3, 60.0), (4, 60.0)])
def test_what_a_stream_lost_accuses_nobody(seed: int, speed: float) -> None:
    street = lossy(seed, speed)
    found = breaks(street, 700)
    assert len(street.log) > 50
    assert not [item for item in found if item.kind is not BreakKind.FUND_POSITION], found[:3]
    assert not [item for item in found if item.level.value != "warn"], found[:3]


def test_while_nothing_can_be_read_twice_nobody_is_called_a_liar() -> None:
    street = lossy(5, 60.0)
    assert breaks(street, 100) == []
    street.sweeps = False
    doubts = ON_FILLS | {BreakKind.FUND_POSITION}
    assert not [item for item in breaks(street, 240) if item.kind in doubts]
    assert street.memory.doubted
    street.sweeps = True
    assert not [item for item in breaks(street, 200) if item.kind in ON_FILLS]


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_a_liar_is_caught_all_the_same(speed: float) -> None:
    street = lossy(6, speed)
    breaks(street, 400)
    assert street.fills_of("gradient")

    def lie(report: PodReport) -> PodReport:
        if report.pod != "gradient" or not report.lines:
            return report
        lines = tuple(
            msgspec.structs.replace(x, fills=x.fills + 1, position=x.position + 1, volume=x.volume + 1)
            for x in report.lines
        )
        return totalled(msgspec.structs.replace(report, lines=lines))

    street.lie = lie
    found = breaks(street, 8)
    assert BreakKind.FILL_FORGED in {item.kind for item in found}
    assert {item.pod for item in found if item.pod} == {"gradient"}
