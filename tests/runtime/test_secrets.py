"""Secrets: found in their order, refused when others can read them, never shown."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest
import structlog

from slipstream.model.errors import SecretError
from slipstream.runtime.secrets import (
    Secret,
    address_of,
    find_secret,
    private_key,
    read_keystore,
    read_owned,
    require_secret,
    write_keystore,
)

KEY = "0x" + "00" * 4 + "11" * 28  # leading zeros: a key is 32 bytes, not a number's shortest form


def test_a_secret_is_never_shown() -> None:
    secret = Secret(KEY, "test")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>90}", repr([secret]), repr({"k": secret})]
    shown.append(structlog.processors.KeyValueRenderer()(None, "info", {"key": secret}))
    assert not any("1111" in text for text in shown)
    assert "test" in repr(secret) and secret.reveal() == KEY
    for travel in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError):
            travel(secret)  # type: ignore[operator]


def test_flag_then_config_then_environment() -> None:
    env = {"A": " ", "B": "from-env "}
    assert find_secret("key", flag="f", config="c", env=env, variables=["B"]) == Secret("f", "")
    assert find_secret("key", config="c", env=env, variables=["B"]) == Secret("c", "")
    found = find_secret("key", env=env, variables=["A", "B"])
    assert found is not None and found.reveal() == "from-env" and "variable B" in repr(found)
    assert find_secret("key", env=env, variables=["A"]) is None
    with pytest.raises(SecretError, match=r"key is missing; give it by flag, .* in the environment as A or B"):
        require_secret(None, "key", ["A", "B"])


@pytest.mark.parametrize("text", ["", "0x12", "zz" * 32, "11" * 33, "00" * 32, "ff" * 32])
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SecretError) as caught:
        private_key(Secret(text, "flag"))
    assert "flag" in str(caught.value) and (len(text) < 8 or text not in str(caught.value))


def test_keystore_round_trip_and_its_mode(tmp_path: Path) -> None:
    path, password = tmp_path / "key.json", Secret("correct horse", "test")
    write_keystore(path, Secret(KEY, "test"), password, iterations=2)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_keystore(path, password) == Secret(KEY, "")
    assert address_of(read_keystore(path, password)).startswith("0x")
    with pytest.raises(SecretError, match=r"wrong password \(from test\)"):
        read_keystore(path, Secret("battery", "test"))
    with pytest.raises(SecretError, match="exists already"):
        write_keystore(path, Secret(KEY, "test"), password, iterations=2)
    path.chmod(0o640)
    with pytest.raises(SecretError, match=r"readable by others \(mode 0640\); run: chmod 600"):
        read_keystore(path, password)


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1}', '{"version": 3}', '{"version": 3, "crypto": {}}'])
def test_what_is_no_keystore_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SecretError, match=r"not JSON|not a version 3|damaged"):
        read_keystore(path, Secret("x", "test"))


def test_files_that_are_not_there_or_not_files(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="no such file"):
        read_owned(tmp_path / "absent", "password file")
    with pytest.raises(SecretError, match="not a regular file"):
        read_owned(tmp_path, "password file")
