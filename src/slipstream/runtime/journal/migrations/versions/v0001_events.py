"""Events and their commands, sessions, and the journal's own keys: the tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table("journal", sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
    op.create_table(
        "sessions",
        sa.Column("seq", LONG, primary_key=True, autoincrement=False),
        sa.Column("run", LONG, nullable=False, unique=True),
        sa.Column("ns", LONG, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "rows",
        sa.Column("seq", LONG, primary_key=True, autoincrement=False),
        sa.Column("needed", sa.Integer, nullable=False),
        sa.Column("event", sa.LargeBinary, nullable=False),
        sa.Column("commands", sa.LargeBinary, nullable=False),
    )
    op.execute("INSERT INTO journal (key, value) VALUES ('schema', '1')")
