"""Occupied price levels as a three-level bitmap: the next one up or down costs a handful of instructions.

Level i is bit ``i & 63`` of word ``i >> 6`` of the lowest layer; a word that is not empty sets its own bit one
layer up. Three layers of 64 span 2**18 levels. Everything is uint64: Numba would turn a mixture with int64 into
floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

MAX_LEVELS = 1 << 18
_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def _count_trailing(typingctx: Any, word: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


def _count_leading(typingctx: Any, word: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


_trailing_zeros: Any = intrinsic(_count_trailing)
_leading_zeros: Any = intrinsic(_count_leading)


@njit(cache=True, forceinline=True)
def mark(book: Any, level: int) -> None:
    """Note that a level holds orders."""
    word = level >> 6
    group = level >> 12
    book.bits0[word] |= _ONE << np.uint64(level & 63)
    book.bits1[group] |= _ONE << np.uint64(word & 63)
    book.bits2[0] |= _ONE << np.uint64(group)


@njit(cache=True, forceinline=True)
def unmark(book: Any, level: int, empty: bool) -> None:
    """Note that a level is empty, if it is: no branch, since whether it is cannot be foreseen."""
    word = level >> 6
    group = level >> 12
    low = book.bits0[word] & ~(np.uint64(empty) << np.uint64(level & 63))
    book.bits0[word] = low
    middle = book.bits1[group] & ~(np.uint64(low == 0) << np.uint64(word & 63))
    book.bits1[group] = middle
    book.bits2[0] &= ~(np.uint64(middle == 0) << np.uint64(group))


@njit(cache=True, forceinline=True)
def _above(word: int, place: int) -> int:
    """The lowest set bit of a word at or above a place, or -1."""
    if place > 63:
        return -1
    found = np.uint64(word) & (_ALL << np.uint64(place))
    return _trailing_zeros(found) if found != 0 else -1


@njit(cache=True, forceinline=True)
def _below(word: int, place: int) -> int:
    """The highest set bit of a word at or below a place, or -1."""
    if place < 0:
        return -1
    found = np.uint64(word) & (_ALL >> np.uint64(63 - place))
    return 63 - _leading_zeros(found) if found != 0 else -1


@njit(cache=True)
def next_up(book: Any, level: int) -> int:
    """The lowest occupied level above ``level`` (-1 asks for the lowest of all), or -1."""
    start = level + 1
    word = start >> 6
    if word >= 4096:
        return -1
    bit = _above(book.bits0[word], start & 63)
    if bit >= 0:
        return (word << 6) + bit
    group = word >> 6
    bit = _above(book.bits1[group], (word & 63) + 1)
    if bit < 0:
        group = _above(book.bits2[0], group + 1)
        if group < 0:
            return -1
        bit = _above(book.bits1[group], 0)
    word = (group << 6) + bit
    return (word << 6) + _above(book.bits0[word], 0)


@njit(cache=True)
def next_down(book: Any, level: int) -> int:
    """The highest occupied level below ``level``, or -1."""
    start = level - 1
    if start < 0:
        return -1
    word = start >> 6
    bit = _below(book.bits0[word], start & 63)
    if bit >= 0:
        return (word << 6) + bit
    group = word >> 6
    bit = _below(book.bits1[group], (word & 63) - 1)
    if bit < 0:
        group = _below(book.bits2[0], group - 1)
        if group < 0:
            return -1
        bit = _below(book.bits1[group], 63)
    word = (group << 6) + bit
    return (word << 6) + _below(book.bits0[word], 63)
