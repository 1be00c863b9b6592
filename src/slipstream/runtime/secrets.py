"""Keys and passwords: where they come from, and that nobody ever prints them.

A secret is looked up as: flag, then config, then environment. The keystore (Web3 secret storage, version 3) is the way
for keys that matter; its file and its password file must be readable by their owner alone.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipstream.model.errors import SecretError


class Secret:
    """A string that shows itself only to who asks for it: `reveal`. Not in repr, str, format, pickles or JSON."""

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str) -> None:
        self._value = value
        self.source = source

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret(from {self.source})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret does not travel")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


def find_secret(
    name: str,
    *,
    flag: str | None = None,
    config: str | None = None,
    env: Mapping[str, str],
    variables: Sequence[str] = (),
) -> Secret | None:
    """The first of flag, config value and environment variables that is given and not empty, or None."""
    if flag:
        return Secret(flag.strip(), f"flag for {name}")
    if config:
        return Secret(config.strip(), f"config key {name}")
    for variable in variables:
        if env.get(variable, "").strip():
            return Secret(env[variable].strip(), f"environment variable {variable}")
    return None


def require_secret(found: Secret | None, name: str, variables: Sequence[str]) -> Secret:
    """The secret. Raises SecretError saying where one may be put."""
    if found is None:
        raise SecretError(
            f"{name} is missing; give it by flag, as config key `{name}`, as a keystore file, "
            f"or in the environment as {' or '.join(variables)}"
        )
    return found


def private_key(secret: Secret) -> Secret:
    """A private key as 0x and 64 hex digits. Raises SecretError without repeating what was given."""
    text = secret.reveal()
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    if len(digits) != 64 or any(c not in "0123456789abcdefABCDEF" for c in digits):
        raise SecretError(
            f"the private key from {secret.source} is not 0x and 64 hex digits ({len(text)} characters were given)"
        )
    if not 0 < int(digits, 16) < 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141:
        raise SecretError(f"the private key from {secret.source} is not a number of the secp256k1 group")
    return Secret("0x" + digits.lower(), secret.source)


def address_of(key: Secret) -> str:
    """The lower-case address of a private key."""
    # imported here and below: it takes more than a second, which every process would pay at its start
    from eth_account import Account

    return str(Account.from_key(private_key(key).reveal()).address).lower()


def read_owned(path: Path, what: str) -> str:
    """The text of a file that only its owner may read. Raises SecretError if it is wider, missing or unreadable."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise SecretError(f"{what} {path}: not a regular file")
        if stat.S_IMODE(mode) & (0o037 if _is_credential(path) else 0o077):
            raise SecretError(
                f"{what} {path}: readable by others (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {path}"
            )
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SecretError(f"{what} {path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{what} {path}: cannot be read: {error}") from None


def _is_credential(path: Path) -> bool:
    """Whether systemd handed a file to this service: an access list for its user alone shows as the group's right."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return bool(folder) and path.resolve().parent == Path(folder).resolve()


def read_keystore(path: Path, password: Secret) -> Secret:
    """Decrypt a version 3 keystore. Raises SecretError: too widely readable, not a keystore, wrong password."""
    text = read_owned(path, "keystore")
    try:
        document = json.loads(text)
    except ValueError:
        raise SecretError(f"keystore {path}: not JSON") from None
    if not isinstance(document, dict) or document.get("version") != 3:
        raise SecretError(f"keystore {path}: not a version 3 keystore (Web3 secret storage)")
    try:
        from eth_account import Account

        key = Account.decrypt(document, password.reveal())
    except ValueError as error:
        mac = "MAC" in str(error)
        reason = f"wrong password (from {password.source})" if mac else "damaged, or of an unknown cipher"
        raise SecretError(f"keystore {path}: {reason}") from None
    except (KeyError, TypeError, NotImplementedError):
        raise SecretError(f"keystore {path}: damaged, or of an unknown cipher") from None
    return private_key(Secret("0x" + bytes(key).hex(), f"keystore {path}"))


def write_keystore(path: Path, key: Secret, password: Secret, *, iterations: int | None = None) -> None:
    """Encrypt a key into a new file that only its owner may read. Raises SecretError if the file exists."""
    from eth_account import Account

    document = Account.encrypt(bytes.fromhex(private_key(key).reveal()[2:]), password.reveal(), iterations=iterations)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SecretError(f"keystore {path}: exists already; it is not overwritten") from None
    except OSError as error:
        raise SecretError(f"keystore {path}: cannot be written: {error}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
