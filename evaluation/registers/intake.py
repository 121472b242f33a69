"""Taking in an extract folder: every row accepted or rejected with its reason, and the tables of stage `registers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.errors import DataError
from evaluation.protocol.trial import RegistersSection

from .accept import REJECT_COLUMNS, Accepted, accept, accept_marks
from .calendar import half_term_of, half_terms
from .dictionary import load_table
from .extracts import find_file, open_source
from .panel import build_panel, count_sessions, load_codes, percentage
from .quality import register_quality

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

# In this order, so that a table comes after those it refers to.
EXTRACT_TABLES = ("calendar", "schools", "pupils", "programmes", "referrals", "meetings", "costs", "marks")


@dataclass(frozen=True)
class TakenIn:
    """What intake made of an extract: the tables of stage ``registers`` by name."""

    tables: dict[str, pd.DataFrame]

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.tables[name]


def take_in(extracts: Path, root: Path, section: RegistersSection, progress: Callable[[str], None] | None = None) -> TakenIn:
    """Read an extract folder, hold every row against the data dictionary, and make the tables of stage ``registers``.

    Parameters
    ----------
    extracts : Path
        Folder with one CSV or Parquet file for each extract table.
    root : Path
        Root of the project, for its data dictionary.
    section : RegistersSection
        Tolerated rejects by table.
    progress : callable, optional
        Called with a sentence before each step.

    Returns
    -------
    TakenIn
        ``panel, enrolments, school_list, referral_list, meeting_list, cost_list, calendar_used, intake_counts,
        intake_rejects, register_quality``.

    Raises
    ------
    DataError
        The folder, a table or a column is absent or of the wrong type, a file is empty, or more rows are rejected than
        tolerated. File, column, rule and mend are named.
    """
    import duckdb

    say = progress or (lambda sentence: None)
    for name in EXTRACT_TABLES:
        find_file(extracts, name)
    with duckdb.connect() as con:
        load_codes(con)
        sources = {name: open_source(con, Path(extracts), load_table(root, name)) for name in EXTRACT_TABLES}
        results: list[Accepted] = []
        for name in EXTRACT_TABLES:
            say(f"checking {sources[name].path.name}")
            results.append((accept_marks if name == "marks" else accept)(con, sources[name], section.reject_tolerance[name]))
            if name == "calendar":
                _load_days(con)
        say("counting sessions")
        counts = count_sessions(con)
        accepted = {name: con.execute(f"SELECT * FROM accepted_{name}").df() for name in EXTRACT_TABLES if name != "marks"}
    return TakenIn(_tables(accepted, counts, results, section))


def _load_days(con: duckdb.DuckDBPyConnection) -> None:
    """Make relation ``days``: school days with half-term, academic year and ``slot``, the number of sessions before it."""
    con.execute("CREATE OR REPLACE TEMP TABLE days AS SELECT date, half_term, academic_year, "
                "2 * (row_number() OVER (PARTITION BY half_term ORDER BY date) - 1) AS slot FROM accepted_calendar WHERE school_day")
    spans = con.execute("SELECT half_term, min(date) AS first, max(date) AS last, count(DISTINCT academic_year) AS years FROM days "
                        "GROUP BY half_term ORDER BY half_term").fetchall()
    if not spans:
        raise DataError("no day is a school day", where="calendar, column `school_day`", mend="mark the days on which schools were open")
    for position, (half_term, first, _, years) in enumerate(spans):
        late = position > 0 and first <= spans[position - 1][2]
        if late or years > 1 or half_term != spans[0][0] + position:
            raise DataError(f"half-term {half_term} is out of order: half-terms count up by one with the dates, each within one academic year",
                            where="calendar, column `half_term`", mend="number half-terms in order of date, six an academic year")


def _tables(accepted: dict[str, pd.DataFrame], counts: pd.DataFrame, results: list[Accepted], section: RegistersSection) -> dict[str, pd.DataFrame]:
    terms = half_terms(accepted["calendar"])
    schools = _school_list(accepted["schools"], terms)
    enrolments = _enrolments(accepted["pupils"], terms)
    panel = build_panel(counts, enrolments, schools, terms)
    return {
        "panel": panel, "enrolments": enrolments, "school_list": schools,
        "referral_list": _referral_list(accepted["referrals"], terms), "meeting_list": _meeting_list(accepted["meetings"], terms),
        "cost_list": accepted["costs"], "calendar_used": terms,
        "intake_counts": _intake_counts(results, section), "intake_rejects": _intake_rejects(results),
        "register_quality": register_quality(panel, accepted["pupils"], accepted["calendar"], schools),
    }


def _half_terms_of(dates: pd.Series, terms: pd.DataFrame) -> pd.Series:
    """Half-term of each date (Int64); a date between half-terms counts to the next. Dates outside the calendar were rejected."""
    known = {day: half_term_of(day, terms) for day in dates.dropna().unique()}
    return dates.map(known).astype("Int64")


def _school_list(schools: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    table = schools.assign(first_mentor_half_term=_half_terms_of(schools["mentoring_start"], terms))
    return table[["school_id", "school_name", "area_code", "area_name", "phase", "mentor_school", "first_mentor_half_term"]]


def _enrolments(pupils: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """Enrolments with the half-terms in which they begin and end."""
    years = terms.groupby("academic_year")["half_term"].agg(["min", "max"])
    table = pupils.copy()
    opens, closes = (table["academic_year"].map(years[side]).astype("int64") for side in ("min", "max"))
    ends = terms.sort_values("first_day")
    last = table["enrolment_end"].map({day: _last_half_term(day, ends) for day in table["enrolment_end"].dropna().unique()}).astype("Int64")
    table["first_half_term"] = _half_terms_of(table["enrolment_start"], terms).fillna(closes).astype("int64").clip(opens, closes)
    table["last_half_term"] = last.fillna(closes).astype("int64").clip(table["first_half_term"], closes)
    table = table.rename(columns={"sen_provision": "sen"})
    return table[["pupil_id", "academic_year", "school_id", "year_group", "sex", "fsm", "sen", "idaci", "first_half_term", "last_half_term",
                  "leaving_reason"]]


def _last_half_term(day: pd.Timestamp, terms: pd.DataFrame) -> int:
    """The last half-term that had begun by a day (0 if none had)."""
    begun = terms.loc[terms["first_day"] <= day, "half_term"]
    return int(begun.iloc[-1]) if len(begun) else 0


def _referral_list(referrals: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    table = referrals.rename(columns={"consent": "consented"})
    table["referral_half_term"] = _half_terms_of(table["referral_date"], terms)
    table["started"] = table["start_date"].notna()
    return table[["referral_id", "pupil_id", "school_id", "referral_date", "referral_half_term", "consented", "started", "start_date",
                  "end_date", "delivery_model", "mentor_id"]]


def _meeting_list(meetings: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    table = meetings.assign(half_term=_half_terms_of(meetings["meeting_date"], terms))
    return table[["meeting_id", "pupil_id", "mentor_id", "meeting_date", "half_term", "with_whom", "mode", "minutes", "kept"]]


def _intake_counts(results: list[Accepted], section: RegistersSection) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame([{
        "table": r.name, "file": r.file, "rows_read": r.read, "rows_accepted": r.accepted, "rows_rejected": r.rejected,
        "rows_collapsed": r.collapsed, "tolerance": section.reject_tolerance[r.name],
    } for r in results])
    table["rejected_share"] = percentage(table["rows_rejected"], table["rows_read"]).fillna(0.0)
    return table


def _intake_rejects(results: list[Accepted]) -> pd.DataFrame:
    import pandas as pd

    parts = [r.rejects for r in results if len(r.rejects)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(REJECT_COLUMNS))
    return table.astype({"file_row": "int64"})
