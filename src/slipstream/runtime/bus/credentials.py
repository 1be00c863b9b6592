"""Random passwords of a fund's processes, in a file that only its owner reads."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import msgspec

from slipstream.model.errors import SecretError
from slipstream.runtime.secrets import read_owned


def credentials(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Passwords by process; new names get one. Raises SecretError: readable by others, or not JSON."""
    found: dict[str, str] = {}
    if path.exists():
        try:
            found = msgspec.json.decode(read_owned(path, "bus credentials"), type=dict[str, str])
        except msgspec.DecodeError as error:
            raise SecretError(f"bus credentials {path}: {error}; delete the file to have new ones made") from None
    missing = [name for name in names if name not in found]
    if missing:
        found |= {name: secrets.token_urlsafe(24) for name in missing}
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as out:
            out.write(msgspec.json.encode(found))
        os.replace(fresh, path)
    return found
