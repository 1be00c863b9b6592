"""Where the fund is: the bus's address and the operator's password, from a run directory or the fund's config.

`slipstream up` writes ``fund.json`` into its run directory (readable by its owner alone)::

    {"version": 1, "realm": "demo", "bus_url": "mqtt://127.0.0.1:40123", "credentials": "bus/credentials.json",
     "pods": ["brawler", "gradient"], "speed": 60.0, "pid": 4711}

``credentials`` names a JSON file of passwords by process, relative to ``fund.json``; empty: the URL is enough.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from slipstream.console.fund_state import OPERATOR
from slipstream.model.errors import ConfigError
from slipstream.runtime.secrets import read_owned

NAME = "fund.json"
VERSION = 1
RUNS = Path("var/up")
URL_VARIABLE = "SLIPSTREAM_FUND_BUS__URL"


class FundFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a run says of itself. ``speed`` 0: not known; ``pid``: of the process that supervises the fund."""

    realm: str
    bus_url: str
    version: int = VERSION
    credentials: str = ""
    pods: tuple[str, ...] = ()
    speed: float = 0.0
    pid: int = 0


class FundAddress(msgspec.Struct, frozen=True):
    """A fund that can be spoken to. ``url`` holds the password, for the bus alone; ``source``: where it was found;
    ``run``: its run directory, if it is on this machine.
    """

    realm: str
    url: str
    pods: tuple[str, ...]
    speed: float
    source: str
    run: Path | None = None

    def __repr__(self) -> str:
        return f"FundAddress(realm={self.realm!r}, source={self.source!r})"


def write_fund_file(directory: Path, fund: FundFile) -> Path:
    """Write ``fund.json`` for its owner alone, whole or not at all; returns its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path, fresh = directory / NAME, directory / f".{NAME}.new"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(fund), indent=2) + b"\n")
    fresh.replace(path)
    return path


def find_fund(
    fund: Path | None = None, directory: Path | None = None, *, env: Mapping[str, str], runs: Path = RUNS
) -> FundAddress:
    """The fund meant: ``directory`` (a run, or a folder of runs), else ``fund`` (a config), else the latest run.

    Raises ConfigError that says what was looked for and how to name a fund.
    """
    if directory is not None:
        return _from_run(_latest(directory, f"{directory}: no {NAME} there, nor in a folder of it"))
    if fund is not None:
        return _from_config(fund, env)
    missing = (
        f"no fund found: there is no {runs}/*/{NAME}; start one with `slipstream up`, or name one with "
        "--dir var/up/<run> or --fund configs/fund.yml"
    )
    return _from_run(_latest(runs, missing))


def _latest(directory: Path, missing: str) -> Path:
    """The file of a run, or of the newest of its folders."""
    if (directory / NAME).is_file():
        return directory / NAME
    found = [path for path in directory.glob(f"*/{NAME}") if path.is_file()]
    if not found:
        raise ConfigError(missing)
    return max(found, key=lambda path: (path.stat().st_mtime_ns, str(path)))


def _from_run(path: Path) -> FundAddress:
    try:
        fund = msgspec.json.decode(read_owned(path, "fund file"), type=FundFile)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: not a fund file: {error}; start the fund anew with `slipstream up`") from None
    if fund.version != VERSION:
        raise ConfigError(f"{path}: version {fund.version}; this release reads {VERSION}")
    url = fund.bus_url
    if fund.credentials:
        url = with_password(url, OPERATOR, _password(path.parent / fund.credentials))
    return FundAddress(fund.realm, url, fund.pods, fund.speed, str(path), path.parent)


def _password(path: Path) -> str:
    try:
        passwords = json.loads(read_owned(path, "bus credentials"))
    except ValueError:
        raise ConfigError(f"{path}: not JSON; it should hold a password by process name") from None
    found = passwords.get(OPERATOR) if isinstance(passwords, dict) else None
    if not isinstance(found, str) or not found:
        raise ConfigError(f"{path}: no password for {OPERATOR!r}; the fund's broker must know an operator")
    return found


def with_password(url: str, user: str, password: str) -> str:
    """A broker's URL with a user and a password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}").geturl()


def _from_config(path: Path, env: Mapping[str, str]) -> FundAddress:
    """What the operator needs of a fund's config; the rest is its processes' affair and is not judged here."""
    # YAML and its models cost half a second that a run directory need not pay
    from slipstream.runtime.config import read_yaml

    document = read_yaml(path)
    pods = document.get("pods")
    if not isinstance(pods, list) or not all(isinstance(pod, dict) and "slug" in pod for pod in pods):
        raise ConfigError(f"{path}: `pods` must be a list of pods with a `slug` each: is it a fund's config?")
    bus: Any = document.get("bus") or {}
    url = (bus.get("url") if isinstance(bus, dict) else None) or env.get(URL_VARIABLE, "").strip()
    slugs = tuple(str(pod["slug"]) for pod in pods)
    if url:
        return FundAddress(str(document.get("realm", "demo")), str(url), slugs, 0.0, str(path))
    state_dir = Path(str(document.get("state_dir", "var/fund")))
    return _from_run(
        _latest(
            state_dir,
            f"{path}: no bus; give bus.url there or {URL_VARIABLE} (mqtt://operator:password@host:port), "
            f"or --dir with the run directory of `slipstream up`; there is no {state_dir / NAME} either",
        )
    )
