"""Journals: what a process handled and decided, durable before it acts. In an SQLite file or in PostgreSQL."""

from __future__ import annotations

from slipstream.runtime.journal.database import Sync
from slipstream.runtime.journal.events import Journal, SqliteJournal, open_journal
from slipstream.runtime.journal.ledger import LedgerRows
from slipstream.runtime.journal.open import Description, describe

__all__ = ["Description", "Journal", "LedgerRows", "SqliteJournal", "Sync", "describe", "open_journal"]
