"""From one record of an array to another, without the array.

An array that one compiled function hands to another costs an atomic reference count each time; a record is a plain
pointer. So the engine hands on the first record of an array and steps from it. Who steps keeps the array alive, and
within its bounds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _step(typingctx: Any, record: Any, n: Any) -> Any:
    if not isinstance(record, types.Record):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offset = builder.mul(args[1], ir.Constant(ir.IntType(64), record.size))
        first = builder.bitcast(args[0], ir.PointerType(ir.IntType(8)))
        return builder.bitcast(builder.gep(first, [offset]), args[0].type)

    return record(record, types.int64), codegen


step: Any = intrinsic(_step)
"""step(record, n): the n-th record after this one."""
