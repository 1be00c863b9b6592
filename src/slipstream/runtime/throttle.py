"""Which alerts people are told of: a matter once, few a minute at each level, what was held back in one line.

Pure but for its own memory, which is bounded; times are monotonic seconds given by the caller.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

import msgspec

from slipstream.model.messages import Alert

RANKS = {"info": 0, "warning": 1, "error": 2, "critical": 3}
_OTHER_NAMES = {"debug": "info", "notice": "info", "warn": "warning", "fatal": "critical"}
REMEMBERED = 4_096  # matters kept in mind; the one longest unheard of is forgotten first
NAMED = 10  # titles that one summary names
REPEAT = 3_600.0  # seconds after which a matter that goes on is told again


class Note(msgspec.Struct, frozen=True):
    """Text to deliver. ``level`` is one of `RANKS`."""

    level: str
    title: str
    body: str


class _Matter(msgspec.Struct):
    rank: int
    told_at: float
    since: int = 0


def level_of(text: str) -> str:
    """A level by any of its usual names; a word nobody knows counts as an error, so that it is not overheard."""
    word = text.strip().lower()
    word = _OTHER_NAMES.get(word, word)
    return word if word in RANKS else "error"


class Throttle:
    """``per_minute`` and level: a bucket that holds as many. A matter is told again when its level rises."""

    def __init__(self, per_minute: float, *, repeat: float = REPEAT) -> None:
        if not per_minute > 0.0:
            raise ValueError(f"alerts: per_minute must be above 0, not {per_minute}")
        self._rate = per_minute / 60.0
        self._full = max(1.0, per_minute)
        self._repeat = repeat
        self._tokens = dict.fromkeys(RANKS, self._full)
        self._filled_at: float | None = None
        self._matters: OrderedDict[str, _Matter] = OrderedDict()
        self._held: OrderedDict[str, Note] = OrderedDict()
        self._held_counts: Counter[str] = Counter()
        self.counted = 0
        self.held_back = 0

    def take(self, alert: Alert, now: float) -> Note | None:
        """The note to send now, or None: it was told before, or must wait for the next summary."""
        self._fill(now)
        level = level_of(alert.level)
        matter = self._matters.get(alert.key)
        if matter is not None:
            self._matters.move_to_end(alert.key)
            if RANKS[level] <= matter.rank and now - matter.told_at < self._repeat:
                matter.since += 1
                self.counted += 1
                return None
        if self._tokens[level] < 1.0:
            self._hold(alert, level)
            return None
        self._tokens[level] -= 1.0
        again = f"\n({matter.since} more since it was last told)" if matter is not None and matter.since else ""
        self._held.pop(alert.key, None)  # told now: the summary need not name it
        self._remember(alert.key, RANKS[level], now)
        return Note(level, alert.title, alert.body + again)

    def summary_at(self, now: float) -> float | None:
        """When the summary of what is held back may be sent, monotonic seconds; None: nothing is held back."""
        if not self._held_counts:
            return None
        self._fill(now)
        return now + max(0.0, 1.0 - self._tokens[self._worst()]) / self._rate

    def summary(self, now: float) -> Note | None:
        """One line of what was held back, if its time has come; what it names counts as told."""
        at = self.summary_at(now)
        if at is None or at > now:
            return None
        level = self._worst()
        self._tokens[level] = max(0.0, self._tokens[level] - 1.0)
        total = sum(self._held_counts.values())
        parts = ", ".join(f"{self._held_counts[one]} {one}" for one in reversed(RANKS) if self._held_counts[one])
        by_rank = sorted(self._held.items(), key=lambda item: -RANKS[item[1].level])
        named = by_rank[:NAMED]
        for key, note in named:
            self._remember(key, RANKS[note.level], now)
        lines = [f"{note.level}: {note.title}" for _, note in named]
        if len(by_rank) > len(named):
            lines.append(f"and {len(by_rank) - len(named)} more matters; see `slipstream breaks` and the logs")
        self._held.clear()
        self._held_counts.clear()
        return Note(level, f"{total} alerts held back: {parts}", "\n".join(lines))

    def _worst(self) -> str:
        return max(self._held_counts, key=RANKS.__getitem__)

    def _fill(self, now: float) -> None:
        before = now if self._filled_at is None else self._filled_at
        gained = max(0.0, now - before) * self._rate
        self._filled_at = max(now, before)
        for level in RANKS:
            # a hair more, so that waiting exactly as long as told is enough whatever the rounding
            self._tokens[level] = min(self._full, self._tokens[level] + gained * (1.0 + 1e-9))

    def _hold(self, alert: Alert, level: str) -> None:
        self.held_back += 1
        self._held_counts[level] += 1
        old = self._held.get(alert.key)
        if old is None or RANKS[level] >= RANKS[old.level]:
            self._held[alert.key] = Note(level, alert.title, alert.body)
        if len(self._held) > REMEMBERED:
            self._held.popitem(last=False)

    def _remember(self, key: str, rank: int, now: float) -> None:
        self._matters[key] = _Matter(rank, now)
        self._matters.move_to_end(key)
        if len(self._matters) > REMEMBERED:
            self._matters.popitem(last=False)
