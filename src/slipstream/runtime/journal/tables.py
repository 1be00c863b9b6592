"""The tables of a journal as this release uses them. `migrations` is how a database gets there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    TypeDecorator,
)

LONG = BigInteger().with_variant(Integer(), "sqlite")  # 64 bits on both


class Money(TypeDecorator[Decimal]):
    """An exact decimal: NUMERIC where there is one, else its digits as text (SQLite would make it a float)."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """The column's type in a database."""
        return dialect.type_descriptor(Numeric() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """What is written."""
        return value if value is None or dialect.name == "postgresql" else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """What is read."""
        return None if value is None else Decimal(value)


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
FILLS = Table(
    "fills",
    META,
    Column("tid", LONG, primary_key=True, autoincrement=False),
    Column("oid", LONG, primary_key=True, autoincrement=False),
    Column("seq", LONG, nullable=False, unique=True),
    Column("ns", LONG, nullable=False),
    Column("coin", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("px", Money, nullable=False),
    Column("sz", Money, nullable=False),
    Column("fee", Money, nullable=False),
    Column("cloid", Text),
    Column("crossed", Boolean, nullable=False),
    Column("start_position", Money, nullable=False),
    Column("closed_pnl", Money, nullable=False),
    Column("liquidation", Boolean, nullable=False),
)
PAYMENTS = Table(
    "funding_payments",
    META,
    Column("coin", Text, primary_key=True),
    Column("ns", LONG, primary_key=True, autoincrement=False),
    Column("seq", LONG, nullable=False, unique=True),
    Column("usdc", Money, nullable=False),
    Column("szi", Money, nullable=False),
    Column("rate", Money, nullable=False),
)
