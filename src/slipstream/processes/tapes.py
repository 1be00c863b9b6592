"""Pods' journals, read while they are written: what their aggressive orders and their parent orders cost."""

from __future__ import annotations

from itertools import islice

import msgspec

from slipstream.federation.capacity import Sample
from slipstream.federation.parents import Parents
from slipstream.federation.shortfall import OrderCost, Parent, cost_of
from slipstream.federation.slippage import Slippage
from slipstream.model.errors import ConfigError, JournalError
from slipstream.runtime.journal.events import Journal, open_journal

ROWS_A_READ = 20_000


class Reading(msgspec.Struct, frozen=True):
    """What new rows told: slippage of aggressive orders, costs of parent orders that ended."""

    samples: tuple[Sample, ...] = ()
    costs: tuple[OrderCost, ...] = ()


class JournalTape:
    """One pod's journal from where it ends now. It may not exist yet; a pod that stops does not end it."""

    def __init__(self, pod: str, where: str) -> None:
        self.pod = pod
        self.where = where
        self.error: str | None = None
        self._journal: Journal | None = None
        self._seq = 0
        self._slippage = Slippage()
        self._parents = Parents(pod)

    def read(self) -> Reading:
        """What the rows since the last read tell, of at most `ROWS_A_READ` of them. Blocking; raises nothing.

        A journal that cannot be read tells nothing: capacity then rests on order books alone. See ``error``.
        """
        samples: list[Sample] = []
        orders: list[Parent] = []
        try:
            if self._journal is None:
                self._journal = open_journal(self.where, read_only=True)
                self._seq = self._journal.last_seq
            for seq, event, commands in islice(self._journal.read(self._seq), ROWS_A_READ):
                self._seq = seq
                sample = self._slippage.take(event, commands)
                if sample is not None:
                    samples.append(sample)
                orders += self._parents.take(event, commands)
        except (JournalError, ConfigError) as error:
            self.error = str(error)
            self.close()
            return Reading()
        self.error = None
        return Reading(tuple(samples), tuple(cost_of(one) for one in orders))

    def close(self) -> None:
        """Let go of the file."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
