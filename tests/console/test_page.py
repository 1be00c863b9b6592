"""docs/console.md: its commands, flags and keys exist."""

import re
from functools import reduce
from pathlib import Path

from slipstream.console.fund_json import to_json
from slipstream.console.fund_state import begin, fold
from tests.console.fund_messages import PODS, REALM, WALL, broken, whole_fund
from tests.console.test_commands import NAMES, call

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "console.md").read_text()


def test_every_command_of_the_page_exists_with_its_flags() -> None:
    shown = re.findall(r"^\$ slipstream (\S+)((?: (?:explain|resolve))?)(.*?)(?:\| jq.*)?$", PAGE, re.MULTILINE)
    assert {name for name, _, _ in shown} == set(NAMES)
    for name, verb, rest in shown:
        code, out, _ = call(name, *verb.split(), "--help")
        assert code == 0
        for flag in re.findall(r"--[a-z]+", re.sub(r'"[^"]*"', "", rest)):
            assert flag in out, f"slipstream {name}{verb} has no {flag}"


def test_every_key_of_the_json_is_on_the_page() -> None:
    out = to_json(reduce(fold, whole_fund(broken()), begin(REALM, PODS)), WALL)
    keys = [*out, *out["fund"], *out["processes"][0]]
    keys += [key for key in out["pods"][0] if key != "account"]
    table = PAGE[PAGE.index("## JSON") : PAGE.index("## What is said")]
    for key in keys:
        assert re.search(rf"`{key}(\[\])?`", table), key
