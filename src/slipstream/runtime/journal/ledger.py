"""The ledger's rows: every fill and every funding payment a pod recorded, once each, as columns that SQL can sum.

Written in the transaction of the journal row that brought them, so that the two never differ. Money is exact: NUMERIC
in PostgreSQL, its digits in SQLite. A fill that is seen twice (stream and sweep) is one row, the first that came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Executable, Table, select
from sqlalchemy.dialects import sqlite

from slipstream.model.errors import JournalError
from slipstream.model.events import Event, Fill, FundingPayment
from slipstream.model.instrument import Side
from slipstream.runtime.journal.address import Address
from slipstream.runtime.journal.database import CHUNK, Database
from slipstream.runtime.journal.open import open_database
from slipstream.runtime.journal.tables import FILLS, PAYMENTS


def record(connection: Connection, events: Sequence[tuple[int, Event]]) -> None:
    """Write the fills and payments among numbered events; those that are there already stay as they are."""
    fills = [_fill(seq, one) for seq, one in events if isinstance(one, Fill)]
    payments = [_payment(seq, one) for seq, one in events if isinstance(one, FundingPayment)]
    for table, rows in ((FILLS, fills), (PAYMENTS, payments)):
        if rows:
            connection.execute(_insert_new(connection, table), rows)


def _insert_new(connection: Connection, table: Table) -> Executable:
    """An insert that leaves rows alone whose key is there."""
    if connection.dialect.name != "postgresql":
        return sqlite.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql  # a fund on files does not load it

    return postgresql.insert(table).on_conflict_do_nothing()


def _fill(seq: int, fill: Fill) -> dict[str, Any]:
    return {
        "tid": fill.tid,
        "oid": fill.oid,
        "seq": seq,
        "ns": fill.ns,
        "coin": fill.coin,
        "side": fill.side.value,
        "px": fill.px,
        "sz": fill.sz,
        "fee": fill.fee,
        "cloid": fill.cloid,
        "crossed": fill.crossed,
        "start_position": fill.start_position,
        "closed_pnl": fill.closed_pnl,
        "liquidation": fill.liquidation,
    }


def _payment(seq: int, row: FundingPayment) -> dict[str, Any]:
    return {"coin": row.coin, "ns": row.ns, "seq": seq, "usdc": row.usdc, "szi": row.szi, "rate": row.rate}


class LedgerRows:
    """Reads the ledger's rows of a journal, at any time, also while its process writes. Use as a context manager.

    ``where`` is the journal's address. Raises ConfigError and JournalError.
    """

    def __init__(self, where: str | Path | Address) -> None:
        self._database: Database = open_database(where, read_only=True)
        self.name = self._database.name
        try:
            if not self._database.has(FILLS):
                raise JournalError(
                    f"journal {self.name}: an older release wrote it, without ledger rows; start its process once"
                )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> LedgerRows:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fills(self, start: int = 0) -> Iterator[tuple[int, Fill]]:
        """Fills that came with journal rows after sequence number ``start``, with that number, in order."""
        for row in self._read(FILLS, start):
            yield (
                row.seq,
                Fill(
                    coin=row.coin,
                    side=Side(row.side),
                    px=row.px,
                    sz=row.sz,
                    fee=row.fee,
                    tid=row.tid,
                    oid=row.oid,
                    ns=row.ns,
                    cloid=row.cloid,
                    crossed=row.crossed,
                    start_position=row.start_position,
                    closed_pnl=row.closed_pnl,
                    liquidation=row.liquidation,
                ),
            )

    def payments(self, start: int = 0) -> Iterator[tuple[int, FundingPayment]]:
        """Funding payments that came with journal rows after sequence number ``start``, with that number, in order."""
        for row in self._read(PAYMENTS, start):
            yield row.seq, FundingPayment(row.coin, row.usdc, row.szi, row.rate, row.ns)

    def _read(self, table: Table, start: int) -> Iterator[Any]:
        # a journal row is one event: a sequence number names one fill or payment
        query = select(table).order_by(table.c.seq).limit(CHUNK)
        while chunk := self._database.rows(query.where(table.c.seq > start)):
            yield from chunk
            start = chunk[-1].seq

    def close(self) -> None:
        """Close the database."""
        self._database.close()
