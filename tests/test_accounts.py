"""Credentials: precedence, files that others can read, and errors that never repeat a key."""

from pathlib import Path

import pytest
from eth_account import Account

from slipstream.accounts import Environment, Given, find_keys, read_environment
from slipstream.model.errors import ConfigError, SecretError
from slipstream.runtime.secrets import Secret, write_keystore

ONE, TWO, THREE = ("0x" + digit * 64 for digit in "123")
WALLET = "0x" + "Ab" * 20


def address(key: str) -> str:
    return str(Account.from_key(key).address).lower()


def env(**variables: str) -> Environment:
    return Environment(variables)


def test_flag_then_config_then_environment() -> None:
    environment = env(SLIPSTREAM_BRAWLER_API_SECRET=THREE, HYPERLIQUID_API_SECRET=ONE)
    find = lambda flag, config: find_keys("brawler", Given(api_secret=flag), Given(api_secret=config), environment)  # noqa: E731
    assert find(ONE, TWO).signer == address(ONE)
    assert find(None, TWO).signer == address(TWO)
    assert find(None, None).signer == address(THREE)
    assert ONE not in repr(find(ONE, None))


def test_the_account_is_the_wallet_or_the_key_itself() -> None:
    assert find_keys("brawler", Given(api_secret=ONE), Given(), env()).account == address(ONE)
    keys = find_keys("brawler", Given(api_secret=ONE, main_wallet=WALLET), Given(), env())
    assert (keys.signer, keys.account) == (address(ONE), WALLET.lower())


def test_an_api_key_must_be_the_secret_s_address() -> None:
    find_keys("brawler", Given(api_secret=ONE, api_key=address(ONE)), Given(), env())
    with pytest.raises(SecretError, match="not the address of the secret"):
        find_keys("brawler", Given(api_secret=ONE, api_key=address(TWO)), Given(), env())
    with pytest.raises(ConfigError, match="looks like a private key") as caught:
        find_keys("brawler", Given(api_secret=ONE, api_key=TWO), Given(), env())
    assert TWO not in str(caught.value)


def test_nothing_given_says_where_to_put_it() -> None:
    with pytest.raises(SecretError, match="SLIPSTREAM_BRAWLER_API_SECRET"):
        find_keys("brawler", Given(), Given(), env())


def test_a_bad_key_is_not_repeated() -> None:
    with pytest.raises(SecretError, match="64 hex digits") as caught:
        find_keys("brawler", Given(api_secret="0xhush"), Given(), env())
    assert "hush" not in str(caught.value)


def test_env_files_in_their_order(tmp_path: Path) -> None:
    (tmp_path / ".env.gradient").write_text("A=gradient\n")
    assert read_environment("brawler", {}, tmp_path).variables["A"] == "gradient"
    (tmp_path / ".env.brawler").write_text("A=brawler\nB=file\n")
    found = read_environment("brawler", {"B": "process"}, tmp_path)
    assert (found.variables["A"], found.variables["B"]) == ("brawler", "process")
    assert found.from_file == {"A"}
    other = tmp_path / "other"
    other.write_text("A=other\n")
    assert read_environment("brawler", {"BRAWLER_ENV_FILE": str(other)}, tmp_path).variables["A"] == "other"
    with pytest.raises(ConfigError, match="no such file"):
        read_environment("brawler", {"BRAWLER_ENV_FILE": str(tmp_path / "none")}, tmp_path)


def test_files_with_keys_must_be_private(tmp_path: Path) -> None:
    file = tmp_path / ".env.brawler"
    file.write_text(f"SLIPSTREAM_BRAWLER_API_SECRET={ONE}\n")
    file.chmod(0o644)
    environment = read_environment("brawler", {}, tmp_path)
    with pytest.raises(SecretError, match="chmod 600"):
        find_keys("brawler", Given(), Given(), environment)
    file.chmod(0o600)
    assert find_keys("brawler", Given(), Given(), environment).signer == address(ONE)
    config = tmp_path / "brawler.yml"
    config.write_text("x")
    config.chmod(0o644)
    with pytest.raises(SecretError, match="chmod 600"):
        find_keys("brawler", Given(), Given(api_secret=ONE), env(), config_path=config)


def test_keystore(tmp_path: Path) -> None:
    store, password = tmp_path / "key.json", tmp_path / "password"
    write_keystore(store, Secret(ONE, "test"), Secret("open sesame", "test"), iterations=2)
    password.write_text("open sesame\n")
    password.chmod(0o600)
    keys = find_keys("brawler", Given(), Given(), env(), keystore=store, password_file=password)
    assert keys.signer == address(ONE)
    with pytest.raises(SecretError, match="KEYSTORE_PASSWORD"):
        find_keys("brawler", Given(), Given(), env(), keystore=store)


def test_a_test_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "state" / "test.key"
    first = find_keys("brawler", Given(), Given(), env(), test_key=path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert find_keys("brawler", Given(), Given(), env(), test_key=path).signer == first.signer
