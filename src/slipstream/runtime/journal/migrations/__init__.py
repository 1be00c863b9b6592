"""How a journal's tables came to be: one module of `versions` a step, applied by the writer when it opens a journal."""

from __future__ import annotations

REVISIONS = ("0001", "0002", "0003")  # oldest first; a database at the last one needs no migration
