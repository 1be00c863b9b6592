"""What Alembic runs: the steps that are missing, on the connection and in the transaction of the journal's writer."""

from __future__ import annotations

from alembic import context

from slipstream.runtime.journal.tables import META

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("a journal is migrated by the process that opens it for writing, not from outside")
context.configure(connection=connection, target_metadata=META, transactional_ddl=False)
context.run_migrations()
