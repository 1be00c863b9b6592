"""Inputs and outputs of decision processes, their sessions and their checkpoints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "decision_sessions",
        sa.Column("run", LONG, primary_key=True, autoincrement=False),
        sa.Column("seq", LONG, nullable=False),
        sa.Column("ns", LONG, nullable=False),
        sa.Column("config", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("seq", LONG, primary_key=True, autoincrement=False),
        sa.Column("ns", LONG, nullable=False),
        sa.Column("input", sa.LargeBinary, nullable=False),
        sa.Column("outputs", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "decision_checkpoints",
        sa.Column("seq", LONG, primary_key=True, autoincrement=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
