"""What the accepted marks add up to: the panel, enrolments by half-term, marks by week and school, marks by weekday and code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .adapter import DuckDB
from .grid import SchoolGrid
from .panel import by_school_query, counts_query, one_school_query, panel_query

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


@dataclass(frozen=True)
class Counted:
    """Counts of sessions.

    Attributes
    ----------
    panel : DataFrame
        Table ``panel``.
    enrolments : DataFrame
        ``pupil_id, school_id, area_code, year_group, half_term, academic_year`` and every count of sessions: the official unit.
    marked : DataFrame
        ``school_id, week`` (its Monday), ``half_term, sessions_marked``: sessions with any mark but a gap.
    codes : DataFrame
        Table ``mark_counts``.
    from_marks : bool
        False where totals were supplied instead of marks.
    by_school : bool
        Whether marks name their school, so that both schools of a dually registered pupil keep a register of it.
    """

    panel: pd.DataFrame
    enrolments: pd.DataFrame
    marked: pd.DataFrame
    codes: pd.DataFrame
    from_marks: bool
    by_school: bool


def count_marks(con: duckdb.DuckDBPyConnection, grid: SchoolGrid) -> Counted:
    """Count the accepted marks from what :func:`~evaluation.registers.accept.accept_marks` left in a connection."""
    engine = DuckDB(con)
    engine.define("split_counts", counts_query("split_tallies", split=True))
    engine.define("clean_counts", counts_query("clean_tallies", split=False))
    merged = "clean_counts" if grid.one_segment_per_half_term else f"({one_school_query('clean_counts')})"
    both = f"(SELECT * FROM {merged} UNION ALL SELECT * FROM ({one_school_query('split_counts')}))"
    panel = engine.collect(panel_query(both) + " ORDER BY pupil_id, half_term")
    units = "(SELECT * FROM clean_counts UNION ALL SELECT * FROM split_counts)"
    enrolments = engine.collect(by_school_query(units) + " ORDER BY pupil_id, half_term, school_id").drop(columns="rank")
    by_school = bool(con.execute("SELECT count(school_id) FROM tallies").fetchone()[0])
    return Counted(panel, enrolments, _marked_by_week(engine), engine.collect(CODES), True, by_school)


def _marked_by_week(engine: DuckDB) -> pd.DataFrame:
    """Sessions with a mark that is no gap, by school and week: from the days that the tallies hold, less the gaps."""
    engine.define("weeks", "SELECT segment, CAST(date_trunc('week', date) AS DATE) AS week, CAST(sum(bit) AS BIGINT) AS mask FROM days GROUP BY 1, 2")
    engine.define("gaps", "SELECT pupil_id, school_id, date FROM accepted_marks WHERE code = '-'")
    return engine.collect(WEEKS)


# `date_trunc('week', ...)` gives the Monday.
WEEKS = """
WITH tallied AS (
    SELECT t.pupil_id, t.segment, t.am_days, t.pm_days, p.school_id, p.calendar FROM clean_tallies AS t JOIN segments AS s ON t.segment = s.segment
    JOIN places AS p ON t.pupil_id = p.pupil_id AND s.academic_year = p.academic_year AND p.alone
    UNION ALL
    SELECT t.pupil_id, t.segment, t.am_days, t.pm_days, p.school_id, p.calendar FROM split_tallies AS t JOIN segments AS s ON t.segment = s.segment
    JOIN places AS p ON t.pupil_id = p.pupil_id AND s.academic_year = p.academic_year AND t.school_id = p.school_id
), any_mark AS (
    SELECT t.school_id, w.week, g.half_term,
           sum(bit_count(t.am_days & w.mask) + bit_count(t.pm_days & w.mask)) AS sessions
    FROM tallied AS t JOIN grid AS g ON t.calendar = g.calendar AND t.segment = g.segment JOIN weeks AS w ON t.segment = w.segment
    GROUP BY t.school_id, w.week, g.half_term
), no_mark AS (
    SELECT p.school_id, CAST(date_trunc('week', m.date) AS DATE) AS week, g.half_term, count(*) AS sessions
    FROM gaps AS m JOIN days AS d ON m.date = d.date
    JOIN places AS p ON m.pupil_id = p.pupil_id AND d.academic_year = p.academic_year AND (m.school_id = p.school_id OR (m.school_id IS NULL AND p.alone))
    JOIN grid AS g ON p.calendar = g.calendar AND d.segment = g.segment
    GROUP BY 1, 2, 3
)
SELECT a.school_id, a.week, a.half_term, CAST(a.sessions - coalesce(n.sessions, 0) AS BIGINT) AS sessions_marked
FROM any_mark AS a LEFT JOIN no_mark AS n ON a.school_id = n.school_id AND a.week = n.week AND a.half_term = n.half_term
WHERE a.sessions > 0 ORDER BY a.school_id, a.week, a.half_term
"""

# Marks of all rows, less those of pupils who were gone through one by one, plus what was accepted of those.
CODES = """
WITH counted AS (
    SELECT date, session, code, count(*) AS marks FROM typed_marks GROUP BY date, session, code
    UNION ALL
    SELECT date, session, code, -count(*) AS marks FROM typed_suspects GROUP BY date, session, code
    UNION ALL
    SELECT date, session, code, count(*) AS marks FROM kept_marks GROUP BY date, session, code
)
SELECT d.academic_year, CAST(isodow(m.date) AS BIGINT) AS weekday, m.session, m.code,
       CASE WHEN s.later THEN c.class_from ELSE c.class_before END AS class, CAST(sum(m.marks) AS BIGINT) AS sessions
FROM counted AS m JOIN days AS d ON m.date = d.date JOIN segments AS s ON d.segment = s.segment JOIN mark_classes AS c ON m.code = c.code
WHERE CASE WHEN s.later THEN c.class_from ELSE c.class_before END IS NOT NULL AND m.session IN ('AM', 'PM')
GROUP BY 1, 2, 3, 4, 5 HAVING sum(m.marks) > 0 ORDER BY 1, 2, 3, 4
"""
