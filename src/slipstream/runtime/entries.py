"""Lists of named entries that may give keys of the top level a value of their own, as Brawler's ``symbols`` do.

A model says that it has such a list by ``ENTRIES = (key of the list, key of an entry's name)``. Flags win over the file
everywhere: one at the top level (``base_spread``) also over what entries say for themselves, and one of an entry
(``symbols.SOL.base_spread``) over both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from slipstream.model.errors import ConfigError


class Own(NamedTuple):
    """An entry's own value of a key of the top level."""

    entry: str
    key: str
    value: Any


def of_entry(model: type, loc: tuple[str, ...]) -> bool:
    """Whether a dotted key means one entry (``symbols.SOL.base_spread``), not the list. Raises ConfigError."""
    entries = getattr(model, "ENTRIES", None)
    if entries is None or loc[0] != entries[0] or len(loc) == 1:
        return False
    if len(loc) == 2 or not all(loc):
        raise ConfigError(f"flag: {'.'.join(loc)}: write {loc[0]}.NAME.KEY for a key of one entry")
    return True


def place_of(tree: Mapping[str, Any], model: type, loc: tuple[str, ...]) -> int:
    """The place in its list of the entry that a dotted key means. Raises ConfigError."""
    places = {name: place for place, name, _ in _entries(tree, model)}
    if loc[1] not in places:
        there = f"there are {', '.join(places)}" if places else "there is none"
        raise ConfigError(f"flag: {'.'.join(loc)}: `{loc[0]}` has no entry {loc[1]}; {there}")
    return places[loc[1]]


def own_values(tree: Mapping[str, Any], model: type, flags: Collection[str]) -> tuple[Own, ...]:
    """What entries say for themselves of keys that flags give for all of them, and no flag for the entry alone."""
    entries = getattr(model, "ENTRIES", None)
    if entries is None or entries[0] in flags:
        return ()  # the whole list is a flag's
    return tuple(
        Own(name, key, entry[key])
        for _, name, entry in _entries(tree, model)
        for key in sorted(flags)
        if entry.get(key) is not None and f"{entries[0]}.{name}.{key}" not in flags
    )


def without_own(tree: Mapping[str, Any], model: type, flags: Collection[str]) -> None:
    """Take what `own_values` finds out of the tree."""
    by_name = {name: entry for _, name, entry in _entries(tree, model)}
    for own in own_values(tree, model, flags):
        del by_name[own.entry][own.key]


def _entries(tree: Mapping[str, Any], model: type) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Place, name and block of every entry; what is none is left to the model, which says so."""
    entries = getattr(model, "ENTRIES", None)
    listed = None if entries is None else tree.get(entries[0])
    for place, entry in enumerate(listed if isinstance(listed, list) else ()):
        if entries is not None and isinstance(entry, dict):
            yield place, str(entry.get(entries[1])), entry
