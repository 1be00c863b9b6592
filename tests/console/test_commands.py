"""The commands as a script sees them: words, JSON and exit codes, on a fund played over a real broker."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from slipstream.console.discovery import (
    URL_VARIABLE,
    FundFile,
    find_fund,
    with_password,
    write_fund_file,
)
from slipstream.late import add
from slipstream.model.errors import ConfigError, SecretError, SlipstreamError
from slipstream.runtime.bus.acl import processes
from slipstream.runtime.bus.broker import BrokerOptions, EmbeddedBroker, find_broker
from tests.console.fund_messages import PODS, REALM, broken
from tests.console.played_fund import PlayedFund, fund_file

NAMES = ("status", "pods", "mandates", "breaks", "halt", "resume", "flatten", "override", "top")


def call(*args: object) -> tuple[int, str, str]:
    """Exit code, stdout, stderr, as the `slipstream` command makes them."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    add(app, "slipstream.console.commands")
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if isinstance(result.exception, SlipstreamError):
        return 2, result.stdout, f"slipstream: {result.exception}"
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


class Street:
    """A broker and a fund in a thread of their own, with the run directory that names them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fund: PlayedFund | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        options = BrokerOptions(directory=self.directory / "bus", processes=processes(PODS), realm=REALM)
        async with EmbeddedBroker(options) as broker, asyncio.TaskGroup() as group:
            self.fund = PlayedFund(broker.url, every=0.1, breaks=(broken(),))
            write_fund_file(self.directory, fund_file(broker.port))
            task = group.create_task(self.fund.run())
            self._ready.set()
            await self._end.wait()
            task.cancel()

    def __enter__(self) -> "Street":
        self._thread.start()
        assert self._ready.wait(20), "the broker did not start"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None and self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    try:
        find_broker()
    except ConfigError as error:
        pytest.skip(str(error))
    with Street(tmp_path_factory.mktemp("up") / "run") as running:
        yield running


def test_a_session_of_an_operator(street: Street) -> None:
    """Look, halt, resume, override, resolve, flatten, look again: one fund, in the order of a bad day."""
    where = ("--dir", street.directory)

    code, out, err = call("status", *where, "--json")
    seen: dict[str, Any] = json.loads(out)
    assert (code, seen["schema"], seen["well"]) == (1, 1, False)
    assert seen["fund"]["equity"] == "100026.5" and [p["alive"] for p in seen["processes"]] == [True] * 5
    code, out, err = call("status", *where)
    assert code == 1 and "equity 100,026.50" in out and "position/gradient/ETH" in out
    assert err.strip() == seen_line(seen) and len(err.strip().splitlines()) == 1

    code, out, _ = call("breaks", *where)
    assert code == 0 and "reducing" in out
    code, out, _ = call("breaks", *where, "explain", "position/gradient/ETH")
    assert code == 0 and "its fills on the venue make -1.1 ETH" in out and "slipstream breaks resolve" in out
    code, out, _ = call("breaks", "resolve", "position/gradient/ETH", "--why", "restated", *where)
    assert (code, out.split()[:2]) == (0, ["position/gradient/ETH", "obeyed"])
    code, _, err = call("breaks", "explain", "position/brawler/BTC", *where)
    assert code == 2 and "no break 'position/brawler/BTC' is open; open: none" in err
    assert call("status", *where)[0] == 0

    code, out, _ = call("halt", "brawler", "--why", "feed looks wrong", *where)
    assert code == 0 and out.split()[:3] == ["brawler", "obeyed", "halted,"]
    code, out, _ = call("pods", *where, "--json")
    states = {pod["pod"]: (pod["state"], [h["who"] for h in pod["halts"]]) for pod in json.loads(out)["pods"]}
    assert code == 0 and states == {"brawler": ("halted", ["operator"]), "gradient": ("active", [])}
    code, out, _ = call("resume", "brawler", "--why", "feed is back", *where, "--json")
    said = json.loads(out)
    assert (code, said["obeyed"], said["message"]["generation"] > 0) == (0, True, True)

    code, out, _ = call("override", "gradient", "growth", "--why", "ran elsewhere", *where)
    assert code == 0 and "evaluation -> growth by operator: ran elsewhere" in out
    code, out, _ = call("mandates", *where, "--json")
    leases = json.loads(out)["mandates"]
    assert code == 0 and [m["capital"] for m in leases] == ["30000", "30000"] and all(m["left_s"] > 0 for m in leases)

    code, _, err = call("flatten", "--why", "leaving", *where)
    assert code == 2 and "--yes" in err
    code, out, _ = call("flatten", "--why", "leaving", "--yes", *where)
    assert code == 0 and out.count("flat, no order rests (audited)") == 2


def seen_line(seen: dict[str, Any]) -> str:
    return f"slipstream: {seen['problems'][0]}"


def test_a_dead_process_and_a_deaf_pod_are_exit_code_1(street: Street) -> None:
    assert street.fund is not None
    street.fund.silent.add("auditor")
    street.fund.pods["gradient"].deaf = True
    try:
        code, _, err = call("status", "--dir", street.directory)
        assert code == 1 and "auditor is dead: no beat was heard" in err
        code, out, err = call("halt", "gradient", "--why", "drill", "--timeout", "0.5", "--dir", street.directory)
        assert code == 1 and "NOT OBEYED" in out
        assert err.strip() == "slipstream: halt: not obeyed within 0.5 s by gradient"
    finally:
        street.fund.silent.clear()
        street.fund.pods["gradient"].deaf = False


def test_bad_input_is_exit_code_2_and_one_line(street: Street) -> None:
    where = ("--dir", street.directory)
    for args, words in (
        (("halt", "brawlr", "--why", "x"), "did you mean 'brawler'"),
        (("halt", "brawler", "--why", " "), "--why is empty"),
        (("resume", "--why", "x", "--whose", "nobody"), "give one of auditor, breaker, allocator, operator"),
        (("override", "all", "growth", "--why", "x"), "name the pod"),
    ):
        code, out, err = call(*args, *where)
        assert (code, out) == (2, "") and words in err and len(err.splitlines()) == 1, args
    assert call("halt", "brawler", *where)[0] == 2  # no --why
    assert call("override", "brawler", "stardom", "--why", "x", *where)[0] == 2


@pytest.mark.parametrize("name", NAMES)
def test_help_teaches_with_an_example(name: str) -> None:
    code, out, _ = call(name, "--help")
    assert code == 0 and f"Example: slipstream {name}" in " ".join(out.split())


def test_no_fund_is_one_line_that_says_how_to_name_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call("status")
    assert (code, out) == (2, "") and "no fund found" in err and "--dir" in err and len(err.splitlines()) == 1
    code, _, err = call("status", "--dir", tmp_path)
    assert code == 2 and "fund.json" in err


def test_the_latest_run_is_meant(tmp_path: Path) -> None:
    for number, name in enumerate(("b", "a")):
        path = write_fund_file(tmp_path / name, FundFile(realm=name, bus_url="mqtt://127.0.0.1:1"))
        os.utime(path, (number, number))
    assert find_fund(env={}, runs=tmp_path).realm == "a"
    assert find_fund(directory=tmp_path / "b", env={}).realm == "b"


def test_a_fund_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = write_fund_file(tmp_path, FundFile(realm="demo", bus_url="mqtt://127.0.0.1:1", credentials="c.json"))
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SecretError, match="no such file"):
        find_fund(directory=tmp_path, env={})
    secrets = tmp_path / "c.json"
    secrets.write_text('{"operator": "pa:ss@word/"}')
    secrets.chmod(0o644)
    with pytest.raises(SecretError, match="chmod 600"):
        find_fund(directory=tmp_path, env={})
    secrets.chmod(0o600)
    found = find_fund(directory=tmp_path, env={})
    assert found.url == "mqtt://operator:pa%3Ass%40word%2F@127.0.0.1:1"
    assert "pa" not in repr(found)
    secrets.write_text("{}")
    with pytest.raises(ConfigError, match="no password for 'operator'"):
        find_fund(directory=tmp_path, env={})
    path.chmod(0o640)
    with pytest.raises(SecretError, match="readable by others"):
        find_fund(directory=tmp_path, env={})


def test_broken_fund_files_are_named(tmp_path: Path) -> None:
    path = write_fund_file(tmp_path, FundFile(realm="demo", bus_url="mqtt://127.0.0.1:1", version=9))
    with pytest.raises(ConfigError, match="version 9"):
        find_fund(directory=tmp_path, env={})
    path.write_text("[]")
    with pytest.raises(ConfigError, match="not a fund file"):
        find_fund(directory=tmp_path, env={})


def test_a_config_names_its_broker(tmp_path: Path) -> None:
    path = tmp_path / "fund.yml"
    path.write_text(f"version: 1\nrealm: main\nstate_dir: {tmp_path}/state\npods:\n  - slug: brawler\n")
    with pytest.raises(ConfigError, match=f"no bus; give bus.url there or {URL_VARIABLE}"):
        find_fund(fund=path, env={})
    found = find_fund(fund=path, env={URL_VARIABLE: "mqtt://operator:x@localhost:1883"})
    assert (found.realm, found.pods, found.url) == ("main", ("brawler",), "mqtt://operator:x@localhost:1883")
    write_fund_file(tmp_path / "state", FundFile(realm="main", bus_url="mqtt://127.0.0.1:2", pods=("brawler",)))
    assert find_fund(fund=path, env={}).url == "mqtt://127.0.0.1:2"
    path.write_text("version: 1\nuniverse: [BTC]\n")
    with pytest.raises(ConfigError, match="is it a fund's config"):
        find_fund(fund=path, env={})


def test_passwords_survive_urls() -> None:
    assert with_password("mqtts://old:pw@h:1", "operator", "a/b") == "mqtts://operator:a%2Fb@h:1"
