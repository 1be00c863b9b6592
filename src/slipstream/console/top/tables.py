"""A Textual table that follows rows of text: cells change in place, so that the cursor stays where it is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import DataTable

from slipstream.console.rows import Row
from slipstream.console.tables import is_right, style_of


class RowTable(DataTable[Text]):
    """Rows keyed by their first cell (or cells); `follow` makes the table show the rows given."""

    def __init__(self, columns: Sequence[str], *, key_cells: int = 1, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=0)
        self._names = tuple(columns)
        self._key_cells = key_cells
        self._shown: dict[str, Row] = {}

    def on_mount(self) -> None:
        """Put up the names."""
        for name in self._names:
            self.add_column(Text(f"{name} ", justify="right" if is_right(name) else "left"), key=name)

    def key_of(self, row: Row) -> str:
        """What tells a row from others."""
        return "\x1f".join(row[: self._key_cells])

    def follow(self, rows: Sequence[Row]) -> None:
        """Show these rows. A row that went is removed, a new one is added below, the others change in place."""
        wanted = {self.key_of(row): row for row in rows}
        for key in [key for key in self._shown if key not in wanted]:
            self.remove_row(key)
            del self._shown[key]
        for key, row in wanted.items():
            before = self._shown.get(key)
            if before is None:
                self.add_row(*map(self._cell, self._names, row), key=key)
            else:
                for name, old, new in zip(self._names, before, row, strict=True):
                    if old != new:
                        self.update_cell(key, name, self._cell(name, new), update_width=True)
            self._shown[key] = row

    @staticmethod
    def _cell(name: str, text: str) -> Text:
        right = is_right(name)
        return Text(f"{text} ", style=style_of(text), justify="right" if right else "left")

    @property
    def chosen(self) -> str | None:
        """The key under the cursor."""
        if not self.row_count:
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value
