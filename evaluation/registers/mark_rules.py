"""Rules of single marks: codes valid by date, days on which school was open, and the enrolment that each mark falls into."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from .code_lists import UNKNOWN, code_rules_sql
from .codes import CODE_CHANGE, unknown_code_mend, withdrawn_code_mend
from .extracts import Source, literal
from .rules import SHOWN, Rule

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

FIRST_KNOWN, LAST_KNOWN = 1990, 2060  # years whose bank holidays are looked up; a mistyped date may lie anywhere
TWO_SCHOOLS = "marked at two schools in one session"
CLOSED = {
    "on a weekend": "correct the date, or the calendar", "on a bank holiday": "correct the date, or the calendar",
    "in the school holidays": "correct the date, or the calendar", "outside the calendar": "correct the date, or supply the calendar of that year",
}
OFF_ROLL = {
    "before admission": "correct the date, or the day on which the enrolment began", "after leaving": "correct the date, or the day on which the enrolment ended",
    "between two enrolments": "correct the date, or the enrolments' dates", "not enrolled in that year": "supply the enrolment of that year",
    "not enrolled at that school": "correct the school, or supply the enrolment there",
}


def code_rules(source: Source) -> list[Rule]:
    """Rules of columns with a code list: unknown, not yet in use, outdated."""
    rules = []
    for column in source.table.columns:
        if not column.code_list:
            continue
        for name, broken in code_rules_sql(column).items():
            code = f'left("typed_{column.name}", {SHOWN})'
            value = code if name == UNKNOWN else f"{code} || ' on ' || CAST(\"typed_{column.valid_by}\" AS VARCHAR)"
            rules.append(Rule(column.name, name, broken, value, f"codes changed on {CODE_CHANGE:%d %B %Y}", False))
    return rules


def code_mends(rule: Rule, values: pd.Series) -> pd.Series:
    """What to do about each code that a rule of codes rejects: the code that was probably meant, or the one in force."""
    def mend(value: str) -> str:
        if rule.name == UNKNOWN:
            return unknown_code_mend(value)
        code, _, day = value.rpartition(" on ")
        return withdrawn_code_mend(code, date.fromisoformat(day))

    return values.map({value: mend(value) for value in values.dropna().unique()}).fillna(rule.mend)


def place_rules() -> list[Rule]:
    """Rules of day and enrolment, over what :func:`place_marks` found out about each row."""
    day = "CAST(typed_date AS VARCHAR) || coalesce(': ' || placed.note, '')"
    rules = [Rule("date", name, f"placed.closed = '{name}'", day, mend, False) for name, mend in CLOSED.items()]
    rules += [Rule("school_id" if name == "not enrolled at that school" else "date", name, f"placed.closed IS NULL AND placed.off_roll = '{name}'",
                   "CAST(typed_date AS VARCHAR)", mend, False) for name, mend in OFF_ROLL.items()]
    return [*rules, Rule("session", TWO_SCHOOLS, "placed.elsewhere", "CAST(typed_date AS VARCHAR) || ' ' || typed_session",
                         "keep the mark of the school where the pupil was, and code D at the other", False)]


# After the rows as `rows_read`, for `place_rules`.
PLACE_JOIN = "LEFT JOIN placed_marks AS placed ON rows_read.file_row = placed.file_row"


def place_marks(con: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Make table ``placed_marks``: for each row of a source of marks the enrolment that it falls into, and what is wrong with its day.

    Columns: ``file_row, school_id`` (of the mark, else of the enrolment that covers its day, main before subsidiary),
    ``closed`` and ``off_roll`` (name of the rule it breaks), ``note`` (of the calendar), ``elsewhere`` (another school has a
    real mark for the same session). The connection also holds ``accepted_calendar``, ``bank_holidays``, ``open_dates``, ``days``, ``rolls``.
    """
    columns = {name: source.typed(source.table.column(name)) for name in ("pupil_id", "school_id", "date", "session", "code")}
    values = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    first, last = con.execute("SELECT min(date), max(date) FROM days").fetchone()
    con.execute(f"CREATE OR REPLACE TEMP TABLE marks_read AS SELECT file_row, {values} FROM {source.relation}")
    con.execute(PLACES)
    con.execute("CREATE OR REPLACE TEMP TABLE placed_marks AS " + FAULTS.format(first=f"DATE '{first}'", last=f"DATE '{last}'"))


def load_bank_holidays(con: duckdb.DuckDBPyConnection, first: int | None, last: int | None) -> None:
    """Make table ``bank_holidays`` (date, name) of some calendar years, those that a school year of today can lie in."""
    from .calendar import bank_holidays

    known = bank_holidays(max(first, FIRST_KNOWN), min(last, LAST_KNOWN)) if first is not None else {}
    con.execute("CREATE OR REPLACE TEMP TABLE bank_holidays (date DATE, name VARCHAR)")
    if known:
        con.execute("INSERT INTO bank_holidays VALUES " + ", ".join(f"(DATE '{day}', {literal(name)})" for day, name in known.items()))


# The enrolment of the mark's academic year (which lasts until the next begins) that covers its day, else the nearest.
PLACES = """
CREATE OR REPLACE TEMP TABLE nearest_rolls AS
WITH years AS (
    SELECT academic_year, min(date) AS opens, coalesce(lead(min(date)) OVER (ORDER BY min(date)), DATE '9999-12-31') AS next_opens FROM days GROUP BY academic_year
), candidates AS (
    SELECT m.file_row, m.date, r.school_id, r.calendar, r.rank, r.enrolment_start, r.enrolment_end, m.school_id IS NULL OR m.school_id = r.school_id AS here,
           m.date >= r.enrolment_start AND (r.enrolment_end IS NULL OR m.date <= r.enrolment_end) AS covered
    FROM marks_read AS m JOIN years AS y ON m.date >= y.opens AND m.date < y.next_opens
    JOIN rolls AS r ON m.pupil_id = r.pupil_id AND y.academic_year = r.academic_year
), gathered AS (
    SELECT *, row_number() OVER (PARTITION BY file_row ORDER BY here DESC, covered DESC, rank) AS place,
           bool_or(here AND date > enrolment_end) OVER same AS after_one, bool_or(here AND date < enrolment_start) OVER same AS before_one
    FROM candidates WINDOW same AS (PARTITION BY file_row)
)
SELECT file_row, school_id, calendar, here, covered, after_one, before_one FROM gathered WHERE place = 1
"""

FAULTS = """
WITH known AS (
    SELECT m.file_row, m.pupil_id, m.date, m.session, m.code, coalesce(m.school_id, r.school_id) AS school_id, r.covered AND r.here AS covered,
           CASE WHEN m.date IS NULL OR o.date IS NOT NULL OR (r.file_row IS NULL AND m.date IN (SELECT date FROM days)) THEN NULL
                WHEN m.date < {first} OR m.date > {last} THEN 'outside the calendar'
                WHEN isodow(m.date) > 5 THEN 'on a weekend'
                WHEN b.date IS NOT NULL THEN 'on a bank holiday'
                ELSE 'in the school holidays' END AS closed,
           coalesce(b.name, n.note) AS note,
           CASE WHEN m.date IS NULL OR m.pupil_id NOT IN (SELECT pupil_id FROM accepted_pupils) THEN NULL
                WHEN r.file_row IS NULL THEN 'not enrolled in that year'
                WHEN NOT r.here THEN 'not enrolled at that school'
                WHEN r.covered THEN NULL
                WHEN r.after_one AND r.before_one THEN 'between two enrolments'
                WHEN r.after_one THEN 'after leaving'
                ELSE 'before admission' END AS off_roll
    FROM marks_read AS m
    LEFT JOIN nearest_rolls AS r ON m.file_row = r.file_row
    LEFT JOIN open_dates AS o ON r.calendar = o.calendar AND m.date = o.date
    LEFT JOIN bank_holidays AS b ON m.date = b.date
    LEFT JOIN (SELECT date, min(note) AS note FROM accepted_calendar WHERE NOT school_day GROUP BY date) AS n ON m.date = n.date
), real AS (
    SELECT pupil_id, date, session FROM known
    WHERE covered AND closed IS NULL AND code <> 'D' AND code IN (SELECT code FROM mark_classes)
    GROUP BY pupil_id, date, session HAVING count(DISTINCT school_id) > 1
)
SELECT k.file_row, k.school_id, k.closed, k.note, k.off_roll, coalesce(x.pupil_id IS NOT NULL AND k.covered AND k.code <> 'D', false) AS elsewhere
FROM known AS k LEFT JOIN real AS x ON k.pupil_id = x.pupil_id AND k.date = x.date AND k.session = x.session
"""
