"""The bus's topics: ``slip/v1/<realm>/...``. One writer a topic; retained where a late joiner must know.

===============================  ============  ========  ==========================================
topic                            writer        retained  message
===============================  ============  ========  ==========================================
``beat/<process>``               each          no        Beat, 1 Hz of wall time
``pod/<slug>/status``            pod (+ will)  yes       phase, as text
``pod/<slug>/report``            pod           yes       PodReport
``pod/<slug>/ack``               pod           no        Decision: what it made of a Mandate, Halt, Configure
``alloc/<slug>``                 allocator     yes       Mandate
``stage/<slug>``                 allocator     yes       StageChange
``forecast/vol``                 allocator     yes       Forecast
``decision/<process>``           each          no        Decision
``halt/<writer>/<slug or all>``  each writer   yes       Halt or Resume; writers: auditor breaker allocator operator
``flatten/<slug or all>``        operator      no        Flatten (also the auditor's, at level breaker)
``configure/<slug>``             operator      no        Configure
``audit/report``                 auditor       yes       AuditReport
``audit/break/<slug or fund>``   auditor       no        Break, at every change
``alert/<process>``              each          no        Alert
===============================  ============  ========  ==========================================
"""

from __future__ import annotations

ALL = "all"
WRITERS = ("auditor", "breaker", "allocator", "operator")  # who may halt
_ESCAPED = {"%": "%25", "/": "%2F", "+": "%2B", "#": "%23", " ": "%20"}


def escape(part: str) -> str:
    """One topic level of any text (coins may hold ``/``)."""
    return "".join(_ESCAPED.get(char, char) for char in part)


class Topics:
    """The topics of one realm (one fund at one venue)."""

    def __init__(self, realm: str) -> None:
        self.root = f"slip/v1/{escape(realm)}"

    def beat(self, process: str) -> str:
        """Beats of a process; ``+`` for every one's."""
        return f"{self.root}/beat/{process}"

    def pod(self, slug: str, leaf: str) -> str:
        """A pod's own: ``status``, ``report``, ``ack``; slug ``+`` for every pod's."""
        return f"{self.root}/pod/{slug}/{leaf}"

    def mandate(self, slug: str) -> str:
        """A pod's lease."""
        return f"{self.root}/alloc/{slug}"

    def stage(self, slug: str) -> str:
        """A pod's stage."""
        return f"{self.root}/stage/{slug}"

    @property
    def forecast(self) -> str:
        """The shared volatility forecast."""
        return f"{self.root}/forecast/vol"

    def decision(self, process: str) -> str:
        """Decisions of a process, in plain words."""
        return f"{self.root}/decision/{process}"

    def halt(self, writer: str, slug: str) -> str:
        """Halts and resumes of one writer for one pod (or ``all``)."""
        return f"{self.root}/halt/{writer}/{slug}"

    def flatten(self, slug: str) -> str:
        """Orders to close positions."""
        return f"{self.root}/flatten/{slug}"

    def configure(self, slug: str) -> str:
        """New values for a pod."""
        return f"{self.root}/configure/{slug}"

    @property
    def audit(self) -> str:
        """The auditor's last cycle."""
        return f"{self.root}/audit/report"

    def broken(self, slug: str) -> str:
        """Breaks as they open, grow and close."""
        return f"{self.root}/audit/break/{slug}"

    def alert(self, process: str) -> str:
        """What people should hear of."""
        return f"{self.root}/alert/{process}"
