"""From session marks to the pupil by half-term panel: whole-number counts, and the rates that follow from them.

One scan of the marks adds up whole numbers per pupil and stretch of days (``tallies.sql``). Each code adds one to the counter
of its group; nine counters of seven bits share a number, so three numbers hold every group. Every count and rate of the
panel, and every rule of marks that a clean register keeps, follows from these sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .adapter import Engine, read_query
from .codes import ABSENT_CLASSES, CLASSES, OWN_COUNTS, PRESENT_CLASSES, attendance_codes, code_groups

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

# Department for Education: absent for 10% or more (50% or more) of the pupil's own possible sessions.
PERSISTENT_TIMES, SEVERE_TIMES = 10, 2
COUNTER_BITS, COUNTERS = 7, 9
NUMBERS = ("codes_a", "codes_b", "codes_c")  # each holds COUNTERS counters
MOST_MARKS = (1 << COUNTER_BITS) - 1  # marks of a stretch of days that a counter can hold; a stretch has at most 124 sessions

CODE_COUNTS = (
    "sessions_attending", "sessions_approved_activity", "sessions_authorised", "sessions_unauthorised", "sessions_not_possible", "sessions_no_mark",
    "sessions_off_site", "sessions_c2", "sessions_late", "sessions_suspended", "sessions_late_after_close", "sessions_medical", "sessions_illness",
    "harmonised_attended", "harmonised_absent",
)
PANEL_COLUMNS = (
    "pupil_id", "half_term", "academic_year", "school_id", "area_code", "year_group", "sessions_possible", "sessions_attended",
    "sessions_authorised", "sessions_unauthorised", "sessions_not_possible", "sessions_no_mark", "sessions_approved_activity", "sessions_off_site",
    "sessions_c2", "sessions_late", "sessions_suspended", "sessions_late_after_close", "sessions_medical", "sessions_illness", "sessions_open", "absence_rate",
    "persistent_absence", "severe_absence", "harmonised_possible", "harmonised_absent", "harmonised_absence_rate",
)


def load_codes(con: duckdb.DuckDBPyConnection) -> None:
    """Make tables ``mark_codes`` (code and ``NUMBERS``: what a mark adds to the counters) and ``mark_classes`` (code,
    class_before, class_from, harmonised_class) in a connection."""
    rows = []
    for place, group in enumerate(code_groups()):
        one = 1 << (COUNTER_BITS * (place % COUNTERS))
        added = [one if place // COUNTERS == number else 0 for number in range(len(NUMBERS))]
        rows += [(code, *added) for code in group.codes]
    classes = [(c.code, c.class_before, c.class_from, c.harmonised_class) for c in attendance_codes().values()]
    for columns, values in ((f"mark_codes (code VARCHAR, {', '.join(f'{name} BIGINT' for name in NUMBERS)})", rows),
                            ("mark_classes (code VARCHAR, class_before VARCHAR, class_from VARCHAR, harmonised_class VARCHAR)", classes)):
        con.execute(f"CREATE OR REPLACE TEMP TABLE {columns}")
        marks = "(" + ", ".join("?" * len(values[0])) + ")"
        con.execute(f"INSERT INTO {columns.split()[0]} VALUES " + ", ".join([marks] * len(values)), [value for row in values for value in row])


def load_places(con: duckdb.DuckDBPyConnection, calendar_of_school: pd.DataFrame) -> None:
    """Make tables ``rolls`` (enrolments), ``places`` (one row per pupil, academic year and school) and ``openings``.

    Parameters
    ----------
    con : DuckDBPyConnection
        Holds ``accepted_pupils``, and what :func:`~evaluation.registers.grid.load_grid` made.
    calendar_of_school : DataFrame
        ``school_id, area_code, calendar``.
    """
    con.register("frame_given", calendar_of_school[["school_id", "area_code", "calendar"]])
    con.execute("CREATE OR REPLACE TEMP TABLE school_calendars AS SELECT * FROM frame_given")
    con.unregister("frame_given")
    con.execute(f"CREATE OR REPLACE TEMP TABLE rolls AS {read_query('rolls')}")
    con.execute("CREATE OR REPLACE TEMP TABLE places AS SELECT pupil_id, academic_year, school_id, area_code, calendar, year_group, rank, alone FROM ("
                "SELECT *, row_number() OVER (PARTITION BY pupil_id, academic_year, school_id ORDER BY rank) AS number FROM rolls) AS r WHERE number = 1")
    con.execute("CREATE OR REPLACE TEMP TABLE openings AS SELECT DISTINCT s.area_code, o.half_term, o.sessions_open FROM school_calendars AS s "
                "JOIN calendar_openings AS o ON s.calendar = o.calendar")


def tally_marks(engine: Engine, marks: str, name: str, by_school: bool, cuts: tuple[str, ...] = ()) -> None:
    """Define ``name``: one scan of a relation of marks, summed per pupil, stretch of days and, where marks name it, school.

    Parameters
    ----------
    engine : Engine
        Holds ``marks``, ``days`` and ``mark_codes``.
    marks : str
        Relation with ``pupil_id`` (text or whole number), ``date, session, code`` and, ``by_school``, ``school_id``.
    cuts : tuple of str
        Conditions of the ranges that are summed one after another (:func:`~evaluation.registers.cuts.cut_marks`); all at once when empty.
    """
    keys = "m.pupil_id, m.school_id, d.segment" if by_school else "m.pupil_id, d.segment"
    school_id = "m.school_id" if by_school else "CAST(NULL AS VARCHAR)"
    engine.define(name, *(read_query("tallies", marks=marks, school_id=school_id, keys=keys, only=only) for only in cuts or ("true",)))


def suspects_query(tallies: str) -> str:
    """SQL of the pupils whose marks must be gone through one by one; ``odd_sessions`` lists those with a session that is neither AM nor PM."""
    before = _total(_counter(place) for place, group in enumerate(code_groups()) if group.class_before)
    since = _total(_counter(place) for place, group in enumerate(code_groups()) if group.class_from)
    return read_query("suspects", tallies=tallies, most_marks=MOST_MARKS, codes_in_use=f"(CASE WHEN s.later THEN {since} ELSE {before} END)")


def counts_query(tallies: str, split: bool) -> str:
    """SQL of sessions by class of mark, one row per tally.

    ``split``: tallies name the school, and a pupil may have several; otherwise each pupil has one school in the year.
    """
    groups = ", ".join(f"{_counter(place)} AS g{place}" for place in range(len(code_groups())))
    before = {name: _measure(lambda g, name=name: g.class_before == name) for name in CLASSES}
    since = {name: _measure(lambda g, name=name: g.class_from == name) for name in CLASSES}
    classes = {name: f"CASE WHEN later THEN {since[name]} ELSE {before[name]} END" for name in CLASSES}
    own = {name: _measure(lambda g, name=name: g.own_count == name) for name in set(OWN_COUNTS.values())}
    return read_query("counts", tallies=tallies, groups=groups, place="t.school_id = p.school_id" if split else "p.alone", **classes, **own,
                      harmonised_attended=_measure(lambda g: g.harmonised_class in PRESENT_CLASSES),
                      harmonised_absent=_measure(lambda g: g.harmonised_class in ABSENT_CLASSES))


def one_school_query(counts: str) -> str:
    """SQL of counts by pupil and half-term, from counts by pupil, school and stretch of days."""
    columns = ["s." + name for name in CODE_COUNTS]
    columns[CODE_COUNTS.index("sessions_not_possible")] = "s.sessions_not_possible - coalesce(d.sessions, 0) AS sessions_not_possible"
    return read_query("schools_of_half_term", counts=counts, sums=_sums(), columns=", ".join(columns))


def by_school_query(counts: str) -> str:
    """SQL of counts by pupil, school and half-term, from counts by stretch of days: the official unit, the enrolment."""
    keys = "pupil_id, school_id, area_code, year_group, rank, half_term, academic_year"
    return f"SELECT {keys}, {_sums()} FROM {counts} GROUP BY {keys}"


def panel_query(counts: str) -> str:
    """SQL of the panel, from a relation (or a query in brackets) of counts by pupil and half-term."""
    return read_query("panel", counts=counts, persistent_times=PERSISTENT_TIMES, severe_times=SEVERE_TIMES)


def percentage(part: pd.Series, whole: pd.Series) -> pd.Series:
    """Part of a whole in per cent, missing where the whole is 0 (both whole numbers)."""
    return (100.0 * part / whole.where(whole > 0)).astype("float64")


def _sums() -> str:
    return ", ".join(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in CODE_COUNTS)


def _counter(place: int) -> str:
    """SQL of one counter of a tally ``t``: a division by a power of two, which is exact."""
    unit = 1 << (COUNTER_BITS * (place % COUNTERS))
    return f"CAST((t.{NUMBERS[place // COUNTERS]} & {MOST_MARKS * unit}) / {unit} AS BIGINT)"


def _measure(chosen) -> str:
    """SQL of the sum of the counters ``g<place>`` of the groups that are chosen."""
    return _total(f"g{place}" for place, group in enumerate(code_groups()) if chosen(group))


def _total(terms) -> str:
    return "(" + (" + ".join(terms) or "0") + ")"
