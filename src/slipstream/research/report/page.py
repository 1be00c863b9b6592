"""The report as one HTML page and as Markdown. Nothing is fetched and nothing runs: no script, no font, no sheet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slipstream.research.report.charts import Picture, usd
from slipstream.research.report.figures import Report

HERE = Path(__file__).parent
NONE = "–"


def amount(value: float | None, digits: int | None = None) -> str:
    """Signed USD: +1,234; with cents below 100."""
    if value is None:
        return NONE
    places = digits if digits is not None else 0 if abs(value) >= 99.995 else 2
    return f"{_zero(value, places):+,.{places}f}".replace("-", "−")


def share(value: float | None, digits: int | None = None) -> str:
    """Per cent of a share of 1; four digits below 0.1 %."""
    if value is None:
        return NONE
    places = digits if digits is not None else 4 if 5e-7 <= abs(value) < 1e-3 else 2
    return f"{_zero(100.0 * value, places):,.{places}f} %".replace("-", "−")


def length(days: float) -> str:
    """How long a record is, in the unit that suits it."""
    if days >= 2.0:
        return f"{days:,.1f} days"
    return f"{days * 24.0:.1f} hours" if days >= 1.0 / 12.0 else f"{days * 1_440.0:.0f} minutes"


def signed(value: float | None, digits: int | None = None) -> str:
    """Per cent with its sign: a gain or a loss."""
    text = share(value, digits)
    rounds_to_zero = not any(digit in text for digit in "123456789")
    return f"+{text}" if value is not None and value > 0.0 and not rounds_to_zero else text


def number(value: float | None, digits: int = 2) -> str:
    """A plain number."""
    return NONE if value is None else f"{_zero(value, digits):,.{digits}f}".replace("-", "−")


def _zero(value: float, digits: int) -> float:
    """What rounds to zero has no sign."""
    return 0.0 if abs(value) < 0.5 * 10.0**-digits else value


def chance(value: float | None) -> str:
    """A p value or probability as a share of 1."""
    if value is None:
        return NONE
    return "<0.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.01 else f"{value:.2f}"


def quantity(value: float | None, unit: str) -> str:
    """A ratio, share or amount by its unit."""
    return share(value) if unit == "share" else amount(value) if unit == "usd" else number(value)


def tone(value: float | None) -> str:
    """The class that colours a value."""
    return "" if value is None or value == 0.0 else "up" if value > 0.0 else "down"


def shade(value: float, most: float) -> str:
    """How strongly a cell is coloured, 0 to 60 per cent."""
    return f"{60.0 * min(1.0, abs(value) / most):.0f}%" if most > 0.0 else "0%"


def plain_markdown(text: object) -> str:
    """Text that Markdown shows as it is, in one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    line = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", line)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def grid(found: Report) -> tuple[list[str], list[dict[str, Any]]]:
    """Years by months: the columns' names, and a row a year of its months' figures with the year's sum."""
    years = sorted({month.name[:4] for month in found.calendar})
    months = [f"{k:02d}" for k in range(1, 13)]
    by_name = {month.name: month for month in found.calendar}
    rows = []
    for year in years:
        cells = [by_name.get(f"{year}-{month}") for month in months]
        kept = [cell for cell in cells if cell is not None]
        growth = 1.0
        for cell in kept:
            growth *= 1.0 + cell.share
        rows.append({"year": year, "cells": cells, "profit": sum(c.profit for c in kept), "share": growth - 1.0})
    return ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], rows


def _environment(escape: bool) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "amount": amount,
        "share": share,
        "signed": signed,
        "short": lambda value: ("+" if value > 0.0 else "") + usd(value),
        "number": number,
        "lasting": length,
        "chance": chance,
        "tone": tone,
        "md": plain_markdown,
    }
    made.filters.update(filters)
    made.globals |= {"quantity": quantity, "shade": shade, "grid": grid}
    return made


def html(found: Report, pictures: Mapping[str, Picture], chapters: Sequence[object] = ()) -> str:
    """The page, with `Chapter`s of the strategy's own. Everything that is not a picture of ours is escaped."""
    made = _environment(True).get_template("page.html.j2")
    return str(made.render(r=found, pictures=_safe(pictures), chapters=chapters)) + "\n"


def rendered(template: str, **values: Any) -> str:
    """A template of this folder as HTML; what it does not call safe is escaped."""
    return str(_environment(True).get_template(template).render(**values)) + "\n"


def sheet(
    title: str,
    pictures: Sequence[Picture],
    *,
    lines: Sequence[str] = (),
    rows: Sequence[Mapping[str, object]] = (),
) -> str:
    """A page of the same look for a study: sentences, pictures, and a table (rows of the same keys) as it stands."""
    drawn = _safe({str(k): one for k, one in enumerate(pictures)})
    made = _environment(True).get_template("sheet.html.j2")
    return str(made.render(title=title, pictures=drawn, lines=lines, rows=rows)) + "\n"


def _safe(pictures: Mapping[str, Picture]) -> dict[str, dict[str, str]]:
    from markupsafe import Markup

    return {
        name: {"title": one.title, "note": one.note, "wide": Markup(one.wide), "narrow": Markup(one.narrow)}
        for name, one in pictures.items()
    }


def markdown(found: Report) -> str:
    """The same words and tables for a terminal, a pull request, a mail."""
    return str(_environment(False).get_template("page.md.j2").render(r=found)).strip() + "\n"
