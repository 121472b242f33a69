"""The layouts in which marks arrive: one row per mark, one string per pupil and week, or one column per session."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from evaluation.errors import DataError

from .entries import Column, Table, load_table, plain

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from .extracts import Source

LONG, WEEKS, SESSIONS = "long", "weeks", "sessions"
PLACES_OF_WEEK = 10
NOT_TEN, NOT_MONDAY = "not ten marks", "not a Monday"
_SESSION = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ _](AM|PM)")
_DAY_FIRST = re.compile(r"[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{2,4}")
REPLACED = ("date", "session", "code")  # columns of the long layout that the other two put together


def layout_table(table: Table, names: list[str]) -> Table:
    """The entry as a file with these columns fills it in: the table itself, or one of its other layouts.

    A layout by week is known by its fields, one by session by columns such as ``2024-09-03 AM``.
    """
    if not table.layouts:
        return table
    kept = tuple(c for c in table.columns if c.name not in REPLACED)
    own = {plain(name) for name in names}
    for layout in table.layouts:
        if layout.columns and all(any(plain(name) in own for name in (column.name, *column.synonyms)) for column in layout.columns):
            return replace(table, columns=(*kept, *layout.columns), primary_key=("pupil_id",), layout=layout.name)
    sessions = [name for name in names if _SESSION.fullmatch(name)]
    _refuse_headings(names, sessions)
    if sessions:
        model = table.column("code")
        columns = tuple(replace(model, name=name, required=False, synonyms=(), code_list=None, valid_by=None) for name in sessions)
        return replace(table, columns=(*kept, *columns), primary_key=("pupil_id",), layout=SESSIONS)
    return table


def _refuse_headings(names: list[str], sessions: list[str]) -> None:
    """Headings of sessions whose date is none, or day first."""
    wrong = [name for name in sessions if not _is_day(name[:10])] or [name for name in names if _DAY_FIRST.match(name)]
    if wrong:
        raise DataError(f"column `{wrong[0]:.60}` does not name a session", where="marks, header", mend="head each session's column as YYYY-MM-DD AM or YYYY-MM-DD PM")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


Relabel = Callable[["pd.DataFrame"], "pd.DataFrame"]


def long_form(con: duckdb.DuckDBPyConnection, source: Source) -> tuple[Source, Relabel | None]:
    """A source of marks with one row per mark, whatever its layout.

    Returns
    -------
    Source
        With the columns of the dictionary's table; ``file_row`` counts marks.
    callable or None
        Turns rejects of such rows into rejects of the file's own rows: each names the row of the file and, where one
        mark is meant, its place in the week or its column. None for the long layout.

    Notes
    -----
    In the layout by week a full stop stands for a session in which no mark was due; in the layout by session an empty
    cell does. They are no marks and are not counted.
    """
    if source.table.layout == LONG:
        return source, None
    table = load_table(source.table.path.parents[1], source.table.name)
    if source.table.layout == WEEKS:
        query, places, labels = _weeks(source), PLACES_OF_WEEK + 1, {p: f"marks, place {p}" for p in range(1, PLACES_OF_WEEK + 1)}
    else:
        columns = [c for c in source.table.columns if _SESSION.fullmatch(c.name)]
        query, places, labels = _sessions(source, columns), len(columns) + 1, {p: c.name for p, c in enumerate(columns, start=1)}
    con.execute(f"CREATE OR REPLACE TEMP VIEW long_marks AS {query}")
    from .extracts import NOTHING, TEXT

    school = NOTHING if source.physical["school_id"] == NOTHING else TEXT
    physical = {"pupil_id": TEXT, "school_id": school, "date": "DATE", "session": TEXT, "code": TEXT}
    return replace(source, table=table, relation="long_marks", physical=physical), lambda rejects: _relabel(con, rejects, places, labels)


def _identity(source: Source) -> str:
    """SQL of the columns that every layout has."""
    return ", ".join(f"{source.typed(source.table.column(name))} AS {name}" for name in ("pupil_id", "school_id"))


def _weeks(source: Source) -> str:
    week, marks = (source.typed(source.table.column(name)) for name in ("week_beginning", "marks"))
    codes = f"CASE WHEN strpos({marks}, ' ') > 0 THEN string_split({marks}, ' ') ELSE regexp_extract_all({marks}, '.') END"
    rows = f"SELECT file_row, {_identity(source)}, {week} AS week, {codes} AS codes, strpos({marks}, ' ') = 0 AND regexp_matches({marks}, '[0-9]') AS figures FROM {source.relation}"
    # In a week without spaces a figure belongs to a code of two characters, so that ten characters are not ten marks.
    sound = f"len(codes) = {PLACES_OF_WEEK} AND NOT figures AND isodow(week) = 1"
    step = PLACES_OF_WEEK + 1
    return (f"WITH rows_of_file AS ({rows}) "
            f"SELECT file_row * {step} + place AS file_row, pupil_id, school_id, week + CAST((place - 1) // 2 AS INTEGER) AS date, "
            f"CASE WHEN place % 2 = 1 THEN 'AM' ELSE 'PM' END AS session, codes[place] AS code "
            f"FROM rows_of_file, (SELECT CAST(unnest(range(1, {step})) AS BIGINT) AS place) AS p WHERE {sound} AND codes[place] <> '.' "
            f"UNION ALL SELECT file_row * {step}, pupil_id, school_id, CAST(NULL AS DATE), "
            f"CASE WHEN week IS NULL THEN NULL WHEN isodow(week) <> 1 THEN '{NOT_MONDAY}' ELSE '{NOT_TEN}' END, CAST(NULL AS VARCHAR) "
            f"FROM rows_of_file WHERE NOT coalesce({sound}, false)")


def _sessions(source: Source, columns: list[Column]) -> str:
    from .extracts import literal, quoted

    step = len(columns) + 1
    cells = []
    for place, column in enumerate(columns, start=1):
        day, session = _SESSION.fullmatch(column.name).groups()
        cells.append(f"{{'place': {place}, 'date': DATE {literal(day)}, 'session': {literal(session)}, 'code': {quoted(column.name)}}}")
    return (f"WITH rows_of_file AS (SELECT file_row, {_identity(source)}, unnest([{', '.join(cells)}]) AS cell FROM {source.relation}) "
            f"SELECT file_row * {step} + cell.place AS file_row, pupil_id, school_id, cell.date AS date, cell.session AS session, cell.code AS code "
            f"FROM rows_of_file WHERE cell.code IS NOT NULL AND cell.code <> ''")


def _relabel(con: duckdb.DuckDBPyConnection, rejects: pd.DataFrame, places: int, labels: dict[int, str]) -> pd.DataFrame:
    """Rejects by the file's own rows. A row that could not be taken apart is listed once, under what is wrong with it."""
    if rejects.empty:
        return rejects
    table = rejects.copy()
    place = table["file_row"] % places
    faulty = sorted(int(row) for row in table.loc[place == 0, "file_row"].unique())
    if faulty:
        found = con.execute("SELECT file_row, coalesce(session, 'missing') AS rule FROM long_marks WHERE file_row IN (SELECT unnest(?))", [faulty]).df()
        rule = table["file_row"].map(found.set_index("file_row")["rule"])
        whole = (place == 0) & table["column"].isin([*REPLACED])
        column = rule.map({NOT_MONDAY: "week_beginning", NOT_TEN: "marks", "missing": "week_beginning"})
        mend = rule.map({NOT_MONDAY: "give the Monday of the week", "missing": "give the Monday of the week, as YYYY-MM-DD",
                         NOT_TEN: f"give {PLACES_OF_WEEK} codes, AM and PM from Monday to Friday, with single spaces between them where one has two characters"})
        table.loc[whole, "rule"], table.loc[whole, "column"], table.loc[whole, "mend"] = rule[whole], column[whole], mend[whole]
        table.loc[whole, "value"] = None
    cell = (place > 0) & ~table["column"].isin(["pupil_id", "school_id"])
    table.loc[cell, "column"] = place[cell].map(labels)
    table["file_row"] //= places
    return table.drop_duplicates(["file_row", "column", "rule"], ignore_index=True)
