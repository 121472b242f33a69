"""The HTML of what a notebook shows: tables, figures and sentences, from data made safe."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from evaluation.reporting.digits import cell_decimals, column_decimals
from evaluation.reporting.text import NOT_AVAILABLE, SIMULATED, WITHHELD, escape, header_text, is_missing, number_text, shorten, value_text
from evaluation.reporting.words import true_minus

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS = 30
"""Columns of one table that are shown before it is cut."""

MOST_ROWS = 200
"""Rows of one table that are shown before it is cut."""

CSS_PIXELS_PER_INCH = 96

TABLE_PREFIX = "result-table-"
"""Begins the id of each result table's line in the technical edition's record."""

MOST_ROWS_BEHIND = 60
"""Rows of one result table that are shown below a sentence built from it."""


def caption_html(caption: str, label: str | None, identifier: str) -> str:
    """Return the inside of a caption: a place for its number, the simulated label, the words."""
    simulated = f'<strong class="simulated">{SIMULATED}.</strong> ' if label == "simulated" else ""
    return f'<span class="item-number" id="{identifier}-number"></span>{simulated}<span id="{identifier}-caption">{escape(true_minus(caption))}</span>'


def _cut_note(rows: int, columns: int, shown_rows: int, shown_columns: int, whole: str) -> str:
    parts = []
    if shown_rows < rows:
        parts.append(f"the first {shown_rows:,} of {rows:,} rows")
    if shown_columns < columns:
        parts.append(f"the first {shown_columns} of {columns} columns")
    return f"Shown: {' and '.join(parts)}. The whole is in {whole}." if parts else ""


def table_html(
    frame: pd.DataFrame,
    *,
    caption: str,
    identifier: str,
    label: str | None = None,
    units: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
    max_rows: int = MOST_ROWS,
    whole: str = "the tables of this stage",
    row_ids: Sequence[str] | None = None,
    codes: bool = False,
) -> str:
    """Return a table that can be read by eye, keyboard and screen reader.

    Parameters
    ----------
    frame : pandas.DataFrame, shape (rows, columns)
        Shown in its order, without its index. The first column heads each row.
    caption : str
        What the table shows.
    identifier : str
        Unique id of the table.
    label : str, optional
        Standing of the data; "simulated" is written into the caption.
    units, decimals, labels : mapping, optional
        By column name: unit for the header, digits after the point, header in plain words.
    max_rows : int
        Rows shown at most.
    whole : str
        Where the whole table is, for the sentence under a table that was cut.
    row_ids : sequence of str, optional
        An id for each row, so that a sentence can point to it.
    codes : bool
        Show codes as they stand in the table instead of plain words, for a reader who looks them up.

    Returns
    -------
    str
        HTML: a region that scrolls, with the table in it, and notes below.
    """
    return record_html(
        table_record(frame, units=units, decimals=decimals, labels=labels, max_rows=max_rows, whole=whole, codes=codes),
        caption=caption, identifier=identifier, label=label, row_ids=row_ids,
    )  # fmt: skip


def table_record(
    frame: pd.DataFrame,
    *,
    units: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
    max_rows: int = MOST_ROWS,
    whole: str = "the tables of this stage",
    codes: bool = False,
) -> dict[str, Any]:
    """Return what a shown table is made of, in plain values, so that it can be written again with some of them held back.

    Parameters
    ----------
    frame, units, decimals, labels, max_rows, whole, codes
        As in :func:`table_html`.

    Returns
    -------
    dict
        ``columns`` (each with ``name``, ``head``, ``digits`` and whether they were ``chosen``, ``numeric`` and the ``values`` of the rows shown), ``rows`` and
        ``of_columns`` of the whole, ``whole`` (where it is), ``codes``, ``notes``.
    """
    units, decimals, labels = units or {}, decimals or {}, labels or {}
    columns = []
    for name in frame.columns[:MOST_COLUMNS]:
        digits = column_decimals(frame[name])
        columns.append({
            "name": str(name), "head": header_text(name, labels.get(name), units.get(name)), "digits": decimals.get(name, digits), "chosen": name in decimals,
            "numeric": digits is not None,
            "values": [plain_value(value) for value in frame[name].iloc[:max_rows].tolist()],
        })
    return {"columns": columns, "rows": len(frame), "of_columns": len(frame.columns), "whole": whole, "codes": codes, "notes": []}


def plain_value(value: Any) -> str | float | int | bool | None:
    """Return a value of a table as JSON can hold it, to be written just as the value itself would be."""
    if is_missing(value):
        return None
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(float(value)) else number_text(value)
    return value_text(value) if isinstance(value, (date, datetime)) else str(value)


def record_html(record: Mapping[str, Any], *, caption: str, identifier: str, label: str | None = None, row_ids: Sequence[str] | None = None) -> str:
    """Return the HTML of a table from its record (see :func:`table_record`); parameters as in :func:`table_html`."""
    columns = record["columns"]
    shown = len(columns[0]["values"]) if columns else 0
    cells = {place: [escape(_cell_text(value, column, record["codes"])) for value in column["values"]] for place, column in enumerate(columns)}
    numeric = {place: column["numeric"] for place, column in enumerate(columns)}
    head = "".join(f'<th scope="col"{_number_class(column["numeric"])}>{escape(column["head"])}</th>' for column in columns)
    body = _body_html(cells, numeric, shown, row_ids)
    notes = [_cut_note(record["rows"], record["of_columns"], shown, len(columns) + len(record.get("left_out", ())), record["whole"])]
    if record["rows"] == 0:
        notes.append("No rows.")
    if any(WITHHELD in column for column in cells.values()):
        notes.append(f"{WITHHELD} means withheld, so that no pupil can be recognised.")
    if any(NOT_AVAILABLE in column for column in cells.values()):
        notes.append(f"{NOT_AVAILABLE} means not available.")
    notes_html = "".join(f'<p class="note">{escape(note)}</p>' for note in [*notes, *record["notes"]] if note)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{identifier}-number {identifier}-caption">'
        f'<table id="{identifier}"><caption>{caption_html(caption, label, identifier)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{notes_html}"
    )


def _cell_text(value: Any, column: Mapping[str, Any], codes: bool) -> str:
    return value_text(value, column["digits"] if column["chosen"] else cell_decimals(value, column["digits"]), codes=codes)


def held_back_html(kind: str, caption: str, reason: str, identifier: str, label: str | None = None) -> str:
    """Return the notice that stands where something is held back.

    Parameters
    ----------
    kind : str
        What it is: "table", "figure".
    caption : str
        What it shows.
    reason : str
        Why it is held back, in plain words.
    identifier, label : str
        As in :func:`table_html`.
    """
    simulated = f'<strong class="simulated">{SIMULATED}.</strong> ' if label == "simulated" else ""
    return (
        f'<div class="held-back" id="{identifier}"><p>{simulated}<strong>{escape(kind.capitalize())} held back: {escape(true_minus(caption))}.</strong> '
        f"It is in the working edition only, because {escape(reason)}.</p></div>"
    )


def plain_table_html(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, identifier: str, label: str | None = None, numeric: frozenset[int] | set[int] = frozenset(),
    row_ids: Sequence[str] | None = None,
) -> str:
    """Return a table of texts, with the same structure as :func:`table_html`, where no frame is at hand.

    Parameters
    ----------
    headers, rows : sequence
        Not yet escaped; the first column heads each row.
    caption, identifier, label : str
        As in :func:`table_html`.
    numeric : set of int
        Places of the columns that hold numbers.
    row_ids : sequence of str, optional
        An id for each row.
    """
    head = "".join(f'<th scope="col"{_number_class(place in numeric)}>{escape(words)}</th>' for place, words in enumerate(headers))
    cells = {place: [escape(str(row[place])) for row in rows] for place in range(len(headers))}
    body = _body_html(cells, {place: place in numeric for place in cells}, len(rows), row_ids)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{identifier}-number {identifier}-caption">'
        f'<table id="{identifier}"><caption>{caption_html(caption, label, identifier)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _body_html(cells: Mapping[str, Sequence[str]], numeric: Mapping[str, bool], rows: int, row_ids: Sequence[str] | None) -> str:
    """Return the rows of a table, the first cell of each heading it."""
    first, *rest = cells
    body = []
    for position in range(rows):
        row_id = f' id="{row_ids[position]}"' if row_ids is not None else ""
        line = f'<th scope="row"{_number_class(numeric[first])}>{cells[first][position]}</th>' + "".join(
            f"<td{_number_class(numeric[column])}>{cells[column][position]}</td>" for column in rest
        )
        body.append(f"<tr{row_id}>{line}</tr>")
    return "".join(body)


def _number_class(numeric: bool) -> str:
    return ' class="num"' if numeric else ""


def figure_html(
    png: bytes,
    data: pd.DataFrame,
    *,
    alt: str,
    caption: str,
    identifier: str,
    size: tuple[float, float],
    label: str | None = None,
    data_file: str | None = None,
    units: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
) -> str:
    """Return a figure with alternative text, caption and, folded below it, the numbers plotted.

    Parameters
    ----------
    png : bytes
        The drawing.
    data : pandas.DataFrame
        The numbers plotted.
    alt, caption : str
        What the figure says, for readers who cannot see it; what it shows, for all.
    identifier : str
        Unique id of the figure.
    size : tuple of float
        Width and height in inches.
    label : str, optional
        Standing of the data; "simulated" is written into the caption.
    data_file : str, optional
        File that holds all plotted numbers.
    units, decimals, labels : mapping, optional
        For the table of plotted numbers, as in :func:`table_html`.

    Returns
    -------
    str
        HTML.
    """
    record = table_record(data, units=units, decimals=decimals, labels=labels, whole=data_file or "the frame plotted")
    caption, alt = true_minus(caption), true_minus(alt)
    width, height = (round(inches * CSS_PIXELS_PER_INCH) for inches in size)
    source = base64.b64encode(png).decode("ascii")
    return (
        f'<figure class="shown-figure" id="{identifier}">'
        f"<figcaption>{caption_html(caption, label, identifier)}</figcaption>"
        f'<img alt="{escape(alt)}" width="{width}" height="{height}" src="data:image/png;base64,{source}">'
        f"</figure>{numbers_html(record, caption=caption, identifier=identifier, label=label)}"
    )


def numbers_html(record: Mapping[str, Any], *, caption: str, identifier: str, label: str | None = None) -> str:
    """Return the folded table of the numbers that a figure plots; ``identifier`` and ``caption`` are the figure's."""
    caption = true_minus(caption)
    numbers = record_html(record, caption=f"Numbers plotted: {caption}", identifier=f"{identifier}-numbers", label=label)
    return f'<details><summary>Numbers in this figure<span class="hidden">: {escape(caption)}</span></summary>{numbers}</details>'


def sentence_html(sentence: str, rows: Sequence[str] | Mapping[str, Any], identifier: str, label: str | None = None, part: str = "", opening: str = "") -> str:
    """Return sentences as paragraphs and lists, each linked to the result rows that its numbers come from.

    Parameters
    ----------
    sentence : str
        Plain text. A blank line begins a new paragraph; lines that begin with "- " make a list.
    rows : sequence of str or mapping of str to pandas.DataFrame or record
        Names of the result rows behind the numbers ("estimates: B_referred"), linked to their table in the record of the
        run; or the rows themselves by table (or their records, see :func:`rows_record`), shown folded below.
    identifier : str
        Unique id.
    label : str, optional
        Standing of the data.
    part : str
        Part of the report that says it, so that two parts that begin with the same words are told apart.
    opening : str
        What the rows are said to stand behind; the first words of the text where nothing is given.

    Returns
    -------
    str
        HTML.
    """
    behind = isinstance(rows, Mapping) and bool(rows)
    link = f' <a class="row-link" href="#{identifier}-behind-1">rows<span class="hidden"> behind this text</span></a>' if behind else ""
    blocks = []
    for block in sentence.strip().split("\n\n"):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        if lines and all(line.startswith("- ") for line in lines):
            items = "".join(f"<li>{escape(true_minus(line[2:]))}{link if line is lines[-1] else ''}</li>" for line in lines)
            blocks.append(f"<ul>{items}</ul>")
        elif lines:
            blocks.append(f"<p>{escape(true_minus(' '.join(lines)))}{link}</p>")
    if rows and not behind:
        blocks.append(f'<p class="note">Numbers from: {"; ".join(_table_link(row) for row in rows)}.</p>')
    opening = opening or f"\u201c{_first_words(sentence)}\u201d"
    folded = _rows_behind(rows, f"{opening}{f' ({part})' if part else ''}", identifier, label) if behind else ""
    return f'<div class="shown-text" id="{identifier}">{"".join(blocks)}{folded}</div>'


def _table_link(row: str) -> str:
    """Return the name of a result row, its table linked to the record of the run; no link where it names no table."""
    table, colon, rest = row.partition(":")
    if not table.replace("_", "").isalnum() or table == "protocol":
        return escape(row)
    return f'<a href="#{TABLE_PREFIX}{escape(table)}">{escape(table)}</a>{escape(colon + rest)}'


def _first_words(sentence: str, most: int = 8) -> str:
    """Return how a text begins, so that what stands behind it has a name of its own."""
    words = sentence.removeprefix("- ").split()
    return f"{' '.join(words[:most]).rstrip('.,;:')}{' ...' if len(words) > most else ''}"


def rows_record(name: str, frame: pd.DataFrame) -> dict[str, Any]:
    """Return the record of the result rows of a table that stand behind a text."""
    return table_record(frame, max_rows=MOST_ROWS_BEHIND, whole=f"the table {name} in the run folder", codes=True)


def _rows_behind(rows: Mapping[str, Any], opening: str, identifier: str, label: str | None) -> str:
    """Return the folded tables of the rows that a text was built from."""
    tables = "".join(
        f'<p class="note">Rows of {escape(name)}: in the working edition only, because {escape(given["held"])}.</p>' if isinstance(given, Mapping) and "held" in given else
        record_html(given if isinstance(given, Mapping) else rows_record(name, given), caption=f"Rows of {name} behind {shorten(opening)}",
                    identifier=f"{identifier}-behind-{place}-rows", label=label)
        for place, (name, given) in enumerate(rows.items(), start=1)
    )
    return f'<details id="{identifier}-behind-1"><summary>Numbers behind this text</summary>{tables}</details>'
