"""Fills and funding payments as columns, filled from the events that are there."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

from slipstream.model.errors import JournalError

revision = "0003"
down_revision = "0002"

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MONEY = sa.Text().with_variant(sa.Numeric(), "postgresql")
CHUNK = 2_000
DEFAULTS = {"cloid": None, "crossed": False, "start_position": "0", "closed_pnl": "0", "liquidation": False}
DECODE = msgspec.msgpack.Decoder()


def upgrade() -> None:
    """Make the tables and fill them."""
    fills = op.create_table(
        "fills",
        sa.Column("tid", LONG, primary_key=True, autoincrement=False),
        sa.Column("oid", LONG, primary_key=True, autoincrement=False),
        sa.Column("seq", LONG, nullable=False, unique=True),
        sa.Column("ns", LONG, nullable=False),
        sa.Column("coin", sa.Text, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("px", MONEY, nullable=False),
        sa.Column("sz", MONEY, nullable=False),
        sa.Column("fee", MONEY, nullable=False),
        sa.Column("cloid", sa.Text),
        sa.Column("crossed", sa.Boolean, nullable=False),
        sa.Column("start_position", MONEY, nullable=False),
        sa.Column("closed_pnl", MONEY, nullable=False),
        sa.Column("liquidation", sa.Boolean, nullable=False),
    )
    payments = op.create_table(
        "funding_payments",
        sa.Column("coin", sa.Text, primary_key=True),
        sa.Column("ns", LONG, primary_key=True, autoincrement=False),
        sa.Column("seq", LONG, nullable=False, unique=True),
        sa.Column("usdc", MONEY, nullable=False),
        sa.Column("szi", MONEY, nullable=False),
        sa.Column("rate", MONEY, nullable=False),
    )
    _fill(op.get_bind(), fills, payments)


def _fill(connection: sa.Connection, fills: sa.Table, payments: sa.Table) -> None:
    """Copy what the events hold. The bytes are read by their tags: the form of this revision, whatever comes later."""
    seen: set[tuple[Any, ...]] = set()
    query = sa.text("SELECT seq, event FROM rows WHERE needed = 1 AND seq > :start ORDER BY seq LIMIT :chunk")
    start = 0
    while chunk := connection.execute(query, {"start": start, "chunk": CHUNK}).all():
        for seq, body in chunk:
            start = seq
            try:
                event = DECODE.decode(body)
                if event["type"] == "fill":
                    _add(connection, fills, seq, {**DEFAULTS, **event}, (event["tid"], event["oid"]), seen)
                elif event["type"] == "funding":
                    _add(connection, payments, seq, event, (event["coin"], event["ns"]), seen)
            except (msgspec.DecodeError, KeyError, TypeError) as error:
                raise JournalError(f"journal: row {seq} cannot be read: {error}; restore it from a copy") from None


def _add(
    connection: sa.Connection,
    table: sa.Table,
    seq: int,
    event: dict[str, Any],
    key: tuple[Any, ...],
    seen: set[tuple[Any, ...]],
) -> None:
    if key not in seen:
        seen.add(key)
        row = {name: value for name, value in event.items() if name in table.c}
        connection.execute(sa.insert(table).values(seq=seq, **row))
