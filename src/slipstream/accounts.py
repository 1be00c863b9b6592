"""Which account a pod trades and with which key: flag, config, environment, env file, keystore, in that order."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from slipstream.model.errors import ConfigError, SecretError
from slipstream.runtime.config import read_env_files
from slipstream.runtime.secrets import (
    Secret,
    find_secret,
    private_key,
    read_keystore,
    read_owned,
    require_secret,
)
from slipstream.venues.hyperliquid.signing import Signer

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class Given(msgspec.Struct, frozen=True):
    """What flags and config say about credentials; None where they say nothing."""

    api_key: str | None = None
    api_secret: str | None = None
    main_wallet: str | None = None


class Keys(msgspec.Struct, frozen=True):
    """A private key, its own address, and the account it trades for (lower case)."""

    key: Secret
    signer: str
    account: str


class Environment(msgspec.Struct, frozen=True):
    """Variables of the process and, below them, of one env file."""

    variables: Mapping[str, str]
    file: Path | None = None
    from_file: frozenset[str] = frozenset()


def read_environment(slug: str, environ: Mapping[str, str], folder: Path) -> Environment:
    """The process's variables over those of ``<SLUG>_ENV_FILE``, else ``.env.<slug>``, else ``.env.gradient``.

    Raises ConfigError if a file that was named does not exist or cannot be read.
    """
    named = environ.get(f"{slug.upper()}_ENV_FILE", "").strip()
    if named and not Path(named).is_file():
        raise ConfigError(f"{slug.upper()}_ENV_FILE names {named}: no such file")
    candidates = [Path(named)] if named else [folder / f".env.{slug}", folder / ".env.gradient"]
    file = next((path for path in candidates if path.is_file()), None)
    found = read_env_files([file]) if file is not None else {}
    return Environment({**found, **environ}, file, frozenset(set(found) - set(environ)))


def find_keys(
    slug: str,
    flags: Given,
    config: Given,
    environment: Environment,
    *,
    config_path: Path | None = None,
    keystore: Path | None = None,
    password_file: Path | None = None,
    test_key: Path | None = None,
) -> Keys:
    """The key to sign with and the account to trade. ``test_key`` is made and used when nothing else is given.

    Raises SecretError or ConfigError: nothing found, a file others can read, a malformed key or address, or an
    ``api_key`` that is not the address of the secret.
    """
    found = {
        name: find_secret(
            f"hyperliquid_{name}",
            flag=getattr(flags, name),
            config=getattr(config, name),
            env=environment.variables,
            variables=variables_of(slug, name),
        )
        for name in Given.__struct_fields__
    }
    secret = found["api_secret"]
    if secret is not None:
        _refuse_readable(secret, environment, config_path)
    elif keystore is not None:
        secret = read_keystore(keystore, _password(slug, environment, password_file))
    elif test_key is not None:
        secret = _test_key(test_key)
    key = private_key(require_secret(secret, "hyperliquid_api_secret", variables_of(slug, "api_secret")))
    signer = Signer(key.reveal()).address
    api_key, wallet = found["api_key"], found["main_wallet"]
    if api_key is not None and _address(api_key, "hyperliquid_api_key") != signer:
        raise SecretError(f"hyperliquid_api_key (from {api_key.source}) is not the address of the secret, {signer}")
    return Keys(key, signer, _address(wallet, "hyperliquid_main_wallet") if wallet is not None else signer)


def variables_of(slug: str, name: str) -> tuple[str, ...]:
    """The environment variables that may hold a credential, the pod's own first."""
    return (
        f"SLIPSTREAM_{slug.upper()}_{name.upper()}",
        f"SLIPSTREAM_{slug.upper()}_HYPERLIQUID_{name.upper()}",
        f"HYPERLIQUID_{name.upper()}",
    )


def _refuse_readable(secret: Secret, environment: Environment, config_path: Path | None) -> None:
    """A file that holds a key must be its owner's alone."""
    if secret.source.startswith("config key") and config_path is not None:
        read_owned(config_path, "config file with a private key")
    name = secret.source.removeprefix("environment variable ")
    if name in environment.from_file and environment.file is not None:
        read_owned(environment.file, "env file with a private key")


def _password(slug: str, environment: Environment, password_file: Path | None) -> Secret:
    if password_file is not None:
        return Secret(read_owned(password_file, "password file").strip(), f"file {password_file}")
    name = f"SLIPSTREAM_{slug.upper()}_KEYSTORE_PASSWORD"
    found = find_secret("keystore password", env=environment.variables, variables=(name,))
    if found is None:
        raise SecretError(f"the keystore's password is missing; give --password-file or {name}")
    return found


def _address(secret: Secret, name: str) -> str:
    text = secret.reveal()
    if not _ADDRESS.fullmatch(text):
        looks = "; it looks like a private key: that belongs in hyperliquid_api_secret" if len(text) >= 64 else ""
        raise ConfigError(f"{name} (from {secret.source}) is not an address of 0x and 40 hex digits{looks}")
    return text.lower()


def _test_key(path: Path) -> Secret:
    """The key of a local venue's test account; made at the first start, worth nothing anywhere else."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "0x" + secrets.token_hex(32)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.write(text)
    return Secret(read_owned(path, "test key").strip(), f"test key {path}")
