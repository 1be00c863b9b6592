"""The tables of a journal as this release uses them. `migrations` is how a database gets there."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

LONG = BigInteger().with_variant(Integer(), "sqlite")  # 64 bits on both

META = MetaData()
HEAD = Table("journal", META, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))
SESSIONS = Table(
    "sessions",
    META,
    Column("seq", LONG, primary_key=True, autoincrement=False),
    Column("run", LONG, nullable=False, unique=True),
    Column("ns", LONG, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
ROWS = Table(
    "rows",
    META,
    Column("seq", LONG, primary_key=True, autoincrement=False),
    Column("needed", Integer, nullable=False),
    Column("event", LargeBinary, nullable=False),
    Column("commands", LargeBinary, nullable=False),
)
DECISION_SESSIONS = Table(
    "decision_sessions",
    META,
    Column("run", LONG, primary_key=True, autoincrement=False),
    Column("seq", LONG, nullable=False),
    Column("ns", LONG, nullable=False),
    Column("config", LargeBinary, nullable=False),
)
DECISIONS = Table(
    "decisions",
    META,
    Column("seq", LONG, primary_key=True, autoincrement=False),
    Column("ns", LONG, nullable=False),
    Column("input", LargeBinary, nullable=False),
    Column("outputs", LargeBinary, nullable=False),
)
CHECKPOINTS = Table(
    "decision_checkpoints",
    META,
    Column("seq", LONG, primary_key=True, autoincrement=False),
    Column("state", LargeBinary, nullable=False),
)
