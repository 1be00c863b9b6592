"""Journals: what a process handled and decided, durable before it acts. In an SQLite file or in PostgreSQL."""

from __future__ import annotations

from slipstream.runtime.journal.database import Sync
from slipstream.runtime.journal.events import Journal, SqliteJournal, open_journal

__all__ = ["Journal", "SqliteJournal", "Sync", "open_journal"]
