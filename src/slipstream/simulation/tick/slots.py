"""Which of the kernel's orders are in which slot of the replay: two while one is being changed into the other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Held:
    """An order in a slot. ``oid`` is 0 until the exchange has taken it."""

    cloid: str
    oid: int = 0

    @property
    def rests(self) -> bool:
        """Whether the exchange has taken it, by what is known here."""
        return self.oid > 0


class Slots:
    """The orders of every slot, oldest first, and the slot of every order."""

    def __init__(self) -> None:
        self._held: dict[int, list[Held]] = {}
        self._slot: dict[str, int] = {}
        self._last: dict[int, str] = {}
        self._oid = 0

    def put(self, slot: int, cloid: str) -> None:
        """An order was sent, as a new one or as a change of what is in the slot."""
        self._held.setdefault(slot, []).append(Held(cloid))
        self._slot[cloid] = slot
        self._last[slot] = cloid

    def of(self, cloid: str) -> int:
        """The slot of an order that lives. Raises KeyError."""
        return self._slot[cloid]

    def held(self, slot: int) -> list[Held]:
        """The orders in a slot, oldest first."""
        return self._held.get(slot, [])

    def last(self, slot: int) -> str:
        """The last order that was put into a slot."""
        return self._last[slot]

    def take(self, slot: int) -> Held:
        """The newest order of a slot was taken by the exchange; it has a number now."""
        newest = self._held[slot][-1]
        self._oid += 1
        newest.oid = self._oid
        return newest

    def end(self, slot: int, place: int) -> Held:
        """An order of a slot is over: the oldest (0) or the newest (-1)."""
        ended = self._held[slot].pop(place)
        del self._slot[ended.cloid]
        return ended
