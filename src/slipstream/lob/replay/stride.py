"""From one record of an array to another, without the array, and from one record into another.

An array that one compiled function hands to another costs an atomic reference count each time; a record is a plain
pointer. So the engine hands on the first record of an array and steps from it. Who steps keeps the array alive, and
within its bounds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_pointer_add: Any = cgutils.pointer_add
_memcpy: Any = cgutils.raw_memcpy
_BYTES = ir.PointerType(ir.IntType(8))


def _step(typingctx: Any, record: Any, n: Any) -> Any:
    if not isinstance(record, types.Record):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offset = builder.mul(args[1], ir.Constant(ir.IntType(64), record.size))
        first = builder.bitcast(args[0], _BYTES)
        return builder.bitcast(builder.gep(first, [offset]), args[0].type)

    return record(record, types.int64), codegen


def _shared(to: Any, of: Any) -> list[tuple[int, int, int]]:
    """(offset in ``to``, offset in ``of``, bytes) of the fields of one name and type, neighbours together."""
    runs: list[tuple[int, int, int]] = []
    for name, field in sorted(to.fields.items(), key=lambda item: int(item[1].offset)):
        number = isinstance(field.type, types.Integer | types.Float)
        if not number or name not in of.fields or of.fields[name].type != field.type:
            continue
        size = field.type.bitwidth // 8
        if runs and runs[-1][0] + runs[-1][2] == field.offset and runs[-1][1] + runs[-1][2] == of.offset(name):
            runs[-1] = (runs[-1][0], runs[-1][1], runs[-1][2] + size)
        else:
            runs.append((field.offset, of.offset(name), size))
    return runs


def _copy(typingctx: Any, to: Any, of: Any) -> Any:
    if not (isinstance(to, types.Record) and isinstance(of, types.Record)):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for at, source, size in _shared(to, of):
            target, origin = (_pointer_add(builder, args[k], offset, _BYTES) for k, offset in ((0, at), (1, source)))
            _memcpy(builder, target, origin, ir.Constant(ir.IntType(64), size), 1)
        return context.get_dummy_value()

    return types.void(to, of), codegen


step: Any = intrinsic(_step)
"""step(record, n): the n-th record after this one."""
copy: Any = intrinsic(_copy)
"""copy(to, of): every number that both records have under one name goes from ``of`` to ``to``, neighbours at once."""
