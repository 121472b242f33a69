"""From session marks to the pupil by half-term panel: whole-number counts, and the rates that follow from them.

One scan of the marks adds up whole numbers per pupil and stretch of days (``tallies.sql``). Each code adds one to the counter
of its group, and a code that was in use on one side of the code change only adds one to a second counter; eight counters of
seven bits share a number, so two numbers hold them all. Every count and rate of the panel, and every rule of marks that a clean
register keeps, follows from these sums.
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
COUNTER_BITS, COUNTERS = 7, 8
NUMBERS = ("codes_a", "codes_b")  # each holds COUNTERS counters
NEW, WITHDRAWN = len(code_groups()), len(code_groups()) + 1  # counters of marks with a code that was in use only from, or only before, the change
MOST_MARKS = (1 << COUNTER_BITS) - 1  # marks that a counter can hold; a stretch of days has at most 124 sessions

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
    """Make what the queries of marks need of codes in a connection.

    Functions ``NUMBERS`` of a code (what a mark adds to the counters; NULL for an unknown code), ``in_morning`` and
    ``in_afternoon`` of a session (1 or 0; NULL for any other), ``counter`` of a number and the place of its first bit; table
    ``mark_classes`` (code, class_before, class_from, harmonised_class). Texts are looked up in a list: where a file holds them as
    numbers into a dictionary, once per entry and not per mark.
    """
    codes = attendance_codes()
    places = {code: [place] for place, group in enumerate(code_groups()) for code in group.codes}
    for code, found in places.items():
        found += [NEW] if codes[code].class_before is None else []
        found += [WITHDRAWN] if codes[code].class_from is None else []
    for number, name in enumerate(NUMBERS):  # in the order of the list of codes, in which the commonest come first
        _look_up(con, name, {code: sum(_unit(place) for place in places[code] if place // COUNTERS == number) for code in codes})
    _look_up(con, "in_morning", {"AM": 1, "PM": 0})
    _look_up(con, "in_afternoon", {"AM": 0, "PM": 1})
    con.execute(f"CREATE OR REPLACE TEMP MACRO counter(number, bits) AS (number >> bits) & {MOST_MARKS}")
    classes = [(c.code, c.class_before, c.class_from, c.harmonised_class) for c in codes.values()]
    con.execute("CREATE OR REPLACE TEMP TABLE mark_classes (code VARCHAR, class_before VARCHAR, class_from VARCHAR, harmonised_class VARCHAR)")
    con.execute("INSERT INTO mark_classes VALUES " + ", ".join(["(?, ?, ?, ?)"] * len(classes)), [value for row in classes for value in row])


def _look_up(con: duckdb.DuckDBPyConnection, name: str, values: dict[str, int]) -> None:
    """Make a function of a text: its whole number, NULL where the text is not listed."""
    texts = ", ".join("'" + text.replace("'", "''") + "'" for text in values)
    numbers = ", ".join(str(value) for value in values.values())
    con.execute(f"CREATE OR REPLACE TEMP MACRO {name}(given) AS CAST([{numbers}] AS BIGINT[])[list_position([{texts}], given)]")


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
        Holds ``marks``, ``days`` and the functions of :func:`load_codes`.
    marks : str
        Relation with ``pupil_id`` (text or whole number), ``date, session, code`` and, ``by_school``, ``school_id``.
    cuts : tuple of str
        Conditions of the ranges that are summed one after another (:func:`~evaluation.registers.cuts.cut_marks`); all at once when empty.
    """
    keys = "m.pupil_id, m.school_id, d.segment" if by_school else "m.pupil_id, d.segment"
    school_id = "m.school_id" if by_school else "CAST(NULL AS VARCHAR)"
    engine.define(name, *(read_query("tallies", marks=marks, school_id=school_id, keys=keys, only=only) for only in cuts or ("true",)))


def suspects_query(tallies: str, by_school: bool) -> str:
    """SQL of the pupils whose marks must be gone through one by one; ``by_school``: every mark must name the school of its pupil."""
    known = _total(_counter(place) for place in range(len(code_groups())))
    other_school = "coalesce(t.school_id <> r.school_id, true)" if by_school else "false"
    codes_in_use = f"({known} - CASE WHEN s.later THEN {_counter(WITHDRAWN)} ELSE {_counter(NEW)} END)"
    return read_query("suspects", tallies=tallies, other_school=other_school, codes_in_use=codes_in_use)


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


def _unit(place: int) -> int:
    """What a mark adds to its number for one counter."""
    return 1 << (COUNTER_BITS * (place % COUNTERS))


def _counter(place: int) -> str:
    """SQL of one counter of a tally ``t``."""
    return f"counter(t.{NUMBERS[place // COUNTERS]}, {COUNTER_BITS * (place % COUNTERS)})"


def _measure(chosen) -> str:
    """SQL of the sum of the counters ``g<place>`` of the groups that are chosen."""
    return _total(f"g{place}" for place, group in enumerate(code_groups()) if chosen(group))


def _total(terms) -> str:
    return "(" + (" + ".join(terms) or "0") + ")"
