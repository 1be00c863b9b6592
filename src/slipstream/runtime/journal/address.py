"""Where a journal is: a file, or a schema of a PostgreSQL database, from one line of text."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from slipstream.model.errors import ConfigError

FORMS = "a path, sqlite:///path or postgresql://user@host/database?schema=name"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_DRIVERS = ("postgresql", "postgres", "postgresql+psycopg")


class FileAddress(msgspec.Struct, frozen=True):
    """A journal in an SQLite file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


class ServerAddress(msgspec.Struct, frozen=True):
    """A journal in a schema of a PostgreSQL database. Shown without its password."""

    url: URL
    schema: str

    def __str__(self) -> str:
        shown = {name: value for name, value in self.url.query.items() if name == "host"}
        bare = URL.create("postgresql", self.url.username, None, self.url.host, self.url.port, self.url.database, shown)
        mark = "&" if shown else "?"
        return f"{bare.render_as_string(hide_password=True)}{mark}schema={self.schema}"

    def __repr__(self) -> str:
        return f"ServerAddress({self})"


Address = FileAddress | ServerAddress


def parse_address(text: str | Path) -> Address:
    """The address that a line means. Raises ConfigError that shows the forms there are, never a password."""
    if isinstance(text, Path) or "://" not in text:
        if not str(text).strip():
            raise ConfigError(f"journal: the address is empty; give {FORMS}")
        return FileAddress(Path(text).expanduser())
    scheme = text.split("://", 1)[0]
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(f"journal: an address with {scheme}:// that cannot be read; give {FORMS}") from None
    if scheme == "sqlite":
        if url.host or url.query or not url.database or url.database == ":memory:":
            raise ConfigError(
                f"journal {text}: not a file; give sqlite:///relative/path or sqlite:////absolute/path, three or four /"
            )
        return FileAddress(Path(url.database).expanduser())
    if scheme not in _DRIVERS:
        raise ConfigError(f"journal: {scheme}:// is not a journal's database; give {FORMS}")
    return _server(url)


def _server(url: URL) -> ServerAddress:
    query = dict(url.query)
    schema = query.pop("schema", "public")
    if not isinstance(schema, str) or not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
        raise ConfigError(
            f"journal: schema {schema!r} is not a plain name; "
            "use small letters, digits and _, at most 63, and not pg_ in front"
        )
    if not url.database:
        raise ConfigError(f"journal: the address names no database; give {FORMS}")
    return ServerAddress(url.set(drivername="postgresql+psycopg", query=query), schema)
