"""Pods' journals, read while they are written: what their aggressive orders cost."""

from __future__ import annotations

from itertools import islice

from slipstream.federation.capacity import Sample
from slipstream.federation.slippage import Slippage
from slipstream.model.errors import ConfigError, JournalError
from slipstream.runtime.journal.events import Journal, open_journal

ROWS_A_READ = 20_000


class JournalTape:
    """One pod's journal from where it ends now. It may not exist yet; a pod that stops does not end it."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.error: str | None = None
        self._journal: Journal | None = None
        self._seq = 0
        self._slippage = Slippage()

    def read(self) -> tuple[Sample, ...]:
        """Samples of the rows since the last read, of at most `ROWS_A_READ` of them. Blocking; raises nothing.

        A journal that cannot be read gives no samples: capacity then rests on order books alone. See ``error``.
        """
        try:
            if self._journal is None:
                self._journal = open_journal(self.where, read_only=True)
                self._seq = self._journal.last_seq
            found = []
            for seq, event, commands in islice(self._journal.read(self._seq), ROWS_A_READ):
                self._seq = seq
                sample = self._slippage.take(event, commands)
                if sample is not None:
                    found.append(sample)
        except (JournalError, ConfigError) as error:
            self.error = str(error)
            self.close()
            return ()
        self.error = None
        return tuple(found)

    def close(self) -> None:
        """Let go of the file."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
