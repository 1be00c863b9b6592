"""Limits tightened while a pod runs: only within the config, one generation after another, and back again."""

from __future__ import annotations

import pytest
from kernel_doubles import T0, D, bbo, limits, ready

from slipstream.model.errors import ConfigError
from slipstream.model.messages import Configure


def wanted(generation: int, **values: str) -> Configure:
    return Configure(generation, "puppet", {k.replace("__", "."): v for k, v in values.items()}, "me", "test", T0)


def test_limits_become_tighter_and_return() -> None:
    kernel, _ = ready(limits=limits(gross_cap=D(9000), coin_cap=D(8000)))
    kernel.step(wanted(2, gross_cap="500", coin_caps__ETH="100"))
    assert kernel.desk.gate.gross_cap() == 500 and kernel.desk.gate.coin_cap("ETH") == 100
    kernel.step(wanted(1, gross_cap="400"))
    assert kernel.desk.gate.gross_cap() == 500, "an older generation came late"
    kernel.step(wanted(3, gross_cap=""))
    assert kernel.desk.gate.gross_cap() == 9000 and kernel.desk.gate.coin_cap("ETH") == 100
    kernel.step(bbo(2000.0, 2001.0, T0 + 9))
    assert kernel.desk.config.limits.coin_caps == {"ETH": D(100)}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"gross_cap": "9001"}, "from 0 to 9000"),
        ({"gross_cap": "-1"}, "from 0"),
        ({"gross_cap": "lots"}, "give a number"),
        ({"gross_cup": "1"}, "choose of gross_cap"),
        ({"require_mandate": "0"}, "cannot be configured"),
        ({"coin_caps.ETH": "NaN"}, "give a number"),
    ],
)
def test_what_is_looser_or_unknown_changes_nothing_and_is_said(values: dict[str, str], says: str) -> None:
    kernel, _ = ready(limits=limits(gross_cap=D(9000), coin_cap=D(8000)))
    with pytest.raises(ConfigError, match=says):
        kernel.desk.check(values)
    out = kernel.step(Configure(1, "puppet", values, "me", "test", T0))
    assert any("not configured" in str(getattr(c, "body", "")) for c in out)
    assert kernel.desk.gate.gross_cap() == 9000
