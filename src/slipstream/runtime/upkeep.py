"""What a pod does now and then: its strategy's snapshot, its gauges, its journal's bound."""

from __future__ import annotations

import time

from slipstream.execution.kernel import Kernel
from slipstream.runtime.inbox import Inbox
from slipstream.runtime.parts import PodParts
from slipstream.runtime.snapshot import write_snapshot
from slipstream.runtime.watch import Watch


class Upkeep:
    """Runs every ``snapshot_every`` wall seconds of its parts."""

    def __init__(self, parts: PodParts, kernel: Kernel, inbox: Inbox, watch: Watch) -> None:
        self._parts = parts
        self._kernel = kernel
        self._inbox = inbox
        self._watch = watch
        self._next = time.monotonic() + parts.snapshot_every
        self._pruned_at = 0

    def keep(self) -> None:
        """Do what is due. Raises JournalError: the journal could not be shortened."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._parts.snapshot_every
        self.save()
        journal = self._parts.journal
        self._watch.measure(self._kernel, journal.last_seq, self._inbox.counts().superseded)
        if journal.last_seq - self._pruned_at > self._parts.keep_rows // 10:
            self._pruned_at = journal.last_seq
            journal.prune(self._parts.keep_rows)

    def save(self) -> None:
        """Write the strategy's snapshot, if it has a place. One that cannot be written is said, and ends nothing."""
        path = self._parts.snapshot_path
        if path is None:
            return
        try:
            write_snapshot(path, self._parts.strategy.snapshot())
        except OSError as error:
            self._watch.first_error(f"state snapshot {path}: {error}")
            self._watch.log.error("snapshot not written", path=str(path), error=str(error))
