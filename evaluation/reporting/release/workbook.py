"""Cleared tables as one workbook: cover, contents, notes, one table a sheet, in the form that assistive software reads."""

from __future__ import annotations

import io
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evaluation.reporting.disclosure.result import ClearedTable
from evaluation.reporting.release.tables import column_cells
from evaluation.reporting.text import SIMULATED, header_text, is_missing, spreadsheet_safe

if TYPE_CHECKING:
    import pandas as pd

LONGEST_SHEET = 31
WIDEST_COLUMN, LETTER_WIDTH, SLACK, LINE_POINTS, A4 = 60, 1.15, 1.1, 15.75, 9
"""Characters of a line that is easily read; widest letter's width, how many more common letters fit, and height of a line of Arial 12, as
spreadsheets count them; the paper's number in them."""

_LEFT_HANGING = frozenset("a and by for from in into is most of on or the their to was were what which with".split())
"""Words with which the name of a sheet does not end."""

SUPPRESSED, UNAVAILABLE = "[c]", "[x]"
NOTES = (
    ("note 1", "[c] stands for a number that is withheld so that no pupil can be recognised. Some numbers are withheld only because they would let another be worked out."),
    ("note 2", "[x] stands for a number that is not available."),
    ("note 3", "Numbers are unweighted counts of pupils unless the column says otherwise."),
)

SIGNS = {"%": "per cent", "£": "pounds", "€": "euros"}
"""Units that are a sign alone, in words."""


def workbook_bytes(tables: Sequence[ClearedTable], *, title: str, label: str, facts: Sequence[str], rounding_base: int) -> bytes:
    """Write the workbook.

    Parameters
    ----------
    tables : sequence of ClearedTable
        In the order of the sheets.
    title : str
    label : str
        Standing of the data; simulated data say so on every sheet.
    facts : sequence of str
        Lines of the cover: study, run, profile, standing.
    rounding_base : int
        To which counts are rounded.

    Returns
    -------
    bytes
        The same bytes for the same tables.
    """
    import gptables
    import pandas as pd

    mark = f"{SIMULATED}. " if label == "simulated" else ""
    sheets, frames = {}, {}
    used: set[str] = set()
    for cleared in tables:
        name = _sheet_name(cleared.table.title, used)
        frame = frames[name] = display_frame(cleared)
        rounding = f" Counts are rounded to the nearest {rounding_base}." if rounding_base > 1 and cleared.spec.counts else ""
        legend = [n for n in (SUPPRESSED, UNAVAILABLE) if (frame == n).any().any()]
        sheets[name] = gptables.GPTable(
            table=frame, table_name=re.sub(r"\W", "_", cleared.table.name), title=spreadsheet_safe(f"{mark}{cleared.table.title}"),
            subtitles=[spreadsheet_safe(f"{cleared.table.description}{rounding}")], instructions="This worksheet has one table.",
            legend=[{"[c]": "[c] withheld to protect pupils", "[x]": "[x] not available"}[n] for n in legend], source=spreadsheet_safe(cleared.table.source or "This study"))
    cover = gptables.Cover(title=spreadsheet_safe(f"{mark}{title}"), intro=[spreadsheet_safe(fact) for fact in facts], cover_label="Cover")
    notes = pd.DataFrame(NOTES, columns=["Note reference", "Note text"])
    notes["Note text"] = [f"{mark}{text}" for text in notes["Note text"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gptables warns of notes that no table refers to
        target = io.BytesIO()
        book = gptables.produce_workbook(filename=target, sheets=sheets, cover=cover, contentsheet_label="Contents", notes_table=notes, notesheet_label="Notes",
                                         auto_width=False, workbook_options={"in_memory": True})
        _lay_out(book, {**frames, "Notes": notes, "Contents": pd.DataFrame({"Sheet name": list(frames), "Table description": [sheet.title for sheet in sheets.values()]})})
        book.set_properties({"title": f"{mark}{title}", "created": datetime(2000, 1, 1)})
        book.close()
    return target.getvalue()


def _lay_out(book: Any, frames: dict[str, pd.DataFrame]) -> None:
    """Columns as wide as their longest text, at most as wide as a line that is easily read; rows as high as what wraps in them;
    printed across the paper."""
    for name, frame in frames.items():
        sheet = book.get_worksheet_by_name(name)
        top = int(re.search(r"\d+", sheet.tables[0]["range"])[0]) - 1
        columns = [[str(column), *map(str, frame[column].tolist())] for column in frame.columns]
        letters = [min(WIDEST_COLUMN, max([max(map(len, head.split())), *map(len, texts)])) for head, *texts in columns]
        lines = [1] * (len(frame) + 1)
        for place, (texts, room) in enumerate(zip(columns, letters, strict=True)):
            sheet.set_column(place, place, LETTER_WIDTH * room + 2)
            for row, text in enumerate(texts):
                if len(text) > room:
                    lines[row] = max(lines[row], len(textwrap.wrap(text, round(SLACK * room))))
        for row, count in enumerate(lines):
            if count > 1:
                sheet.set_row(top + row, count * LINE_POINTS)
        sheet.set_landscape()
        sheet.set_paper(A4)
        sheet.fit_to_pages(1, 0)


def display_frame(cleared: ClearedTable) -> pd.DataFrame:
    """A cleared table as it is read: headers in words with units, symbols for what is withheld or missing, text made safe."""
    import pandas as pd

    shown = {}
    for column in cleared.table.columns:
        if column.name not in cleared.frame:
            continue
        said = column.unit is not None and column.unit.split(" ")[0].lower() in column.title.lower()
        header = header_text(column.name, column.title, None if said else column.unit)
        header = header if header not in shown else f"{header} [{column.name}]"
        shown[spreadsheet_safe(header)] = [_value(value, hidden, column.type) for value, hidden in column_cells(cleared, column.name)]
    return pd.DataFrame(shown)


def _value(value: Any, hidden: bool, kind: str) -> Any:
    if hidden:
        return SUPPRESSED
    if is_missing(value):
        return UNAVAILABLE
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        return "Yes" if value else "No"
    if kind == "integer":
        return int(value)
    if kind == "number":
        return round(float(value), 4)
    if kind == "date":
        return f"{value:%Y-%m-%d}"
    return spreadsheet_safe(_in_letters(str(value)))


def _in_letters(text: str) -> str:
    """A text in which a letter or digit stands: a unit that is only a sign is written out, because a cell of signs is refused as one that says nothing."""
    if re.search(r"[a-zA-Z0-9]", text):
        return text
    return SIGNS.get(text.strip()) or " ".join(unicodedata.name(sign, "sign").lower() for sign in text if not sign.isspace()) or UNAVAILABLE


def _sheet_name(title: str, used: set[str]) -> str:
    """A sheet's name: the title as far as it fits, no characters that spreadsheets refuse, none twice."""
    words = re.sub(r"[\[\]:*?/\\']", " ", title).split()
    kept = list(words)
    while len(kept) > 1 and len(" ".join(kept)) > LONGEST_SHEET or len(kept) < len(words) and len(kept) > 2 and kept[-1].lower() in _LEFT_HANGING:
        kept.pop()
    stem = " ".join(kept)[:LONGEST_SHEET].rstrip(" ,.;")
    name, copy = stem, 1
    while name.lower() in used or name.lower() in ("cover", "contents", "notes", "history"):
        copy += 1
        name = f"{stem[: LONGEST_SHEET - 3]} {copy}"
    used.add(name.lower())
    return name
