"""Taking in an extract folder: every row accepted or rejected with its reason, and the tables of stage `registers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.errors import DataError
from evaluation.protocol.trial import RegistersSection

from .accept import REJECT_COLUMNS, Accepted, Keep, accept, accept_marks
from .deliveries import check_deliveries, delivery_changes
from .dictionary import load_table
from .extracts import Source, find_file, open_source, refuse_misspelt, unread_files, workspace
from .grid import SchoolGrid, load_grid, school_grid
from .lists import barrier_list, calendar_used, enrolments_used, meeting_list, referral_list, school_list
from .linkage import linkage_table
from .panel import load_codes, load_places, percentage
from .periods import panel_of_periods
from .quality import register_quality, register_weeks
from .reconciliation import official_measures, reconcile_periods
from .register_counts import Counted, count_marks
from .suspensions import suspension_counts
from .surveys import survey_reliability, survey_scores

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

# In this order, so that a table comes after those it refers to.
EXTRACT_TABLES = ("deliveries", "calendar", "schools", "pupils", "programmes", "referrals", "meetings", "barriers", "suspensions", "survey_scales",
                  "survey_items", "absence_by_period", "costs", "marks")


@dataclass(frozen=True)
class TakenIn:
    """What intake made of an extract: the tables of stage ``registers`` by name."""

    tables: dict[str, pd.DataFrame]

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.tables[name]


def take_in(extracts: Path, root: Path, section: RegistersSection, progress: Callable[[str], None] | None = None, keep_rejects: Path | None = None) -> TakenIn:
    """Read an extract folder, hold every row against the data dictionary, and make the tables of stage ``registers``.

    Parameters
    ----------
    extracts : Path
        Folder with one CSV or Parquet file for each extract table; optional ones may be absent, and ``marks`` may be
        where ``absence_by_period`` holds half-terms.
    root : Path
        Root of the project, for its data dictionary.
    section : RegistersSection
        Tolerated rejects by table.
    progress : callable, optional
        Called with a sentence before each step.
    keep_rejects : Path, optional
        Folder that gets ``intake_rejects.csv``, every reject so far, where too many stop the intake.

    Returns
    -------
    TakenIn
        Every table that stage ``registers`` writes.

    Raises
    ------
    DataError
        The folder, a table or a column is absent or of the wrong type, a file is empty, or more rows are rejected than
        tolerated. File, column, rule and mend are named, each rule of a table that has too many rejects.
    UnidentifiedError
        There are no marks, and the totals supplied instead cannot give the panel.
    """
    say = progress or (lambda sentence: None)
    extracts = Path(extracts)
    marked = has_marks(extracts)
    if not marked:
        refuse_misspelt(extracts, load_table(root, "marks"))
    tables = {name: load_table(root, name) for name in EXTRACT_TABLES if marked or name != "marks"}
    for name, table in tables.items():
        find_file(extracts, name, optional=table.optional)
    for note in unread_files(extracts, tables):
        say(note)
    with workspace(root) as con:
        sources = {name: open_source(con, extracts, table) for name, table in tables.items()}
        for source in sources.values():
            for note in source.notes:
                say(f"{source.path.name}: {note}")
        supplied = {name: source.path.name for name, source in sources.items() if source.supplied}
        for note in check_deliveries(con, sources["deliveries"], extracts, supplied, date.today()):
            say(note)
        results: list[Accepted] = []
        keep = None if keep_rejects is None else lambda rejects: _keep_rejects(Path(keep_rejects), results, rejects)
        accepted, grid = _accept_tables(con, sources, section, say, results, keep)
        counted = None
        if marked:
            say(f"checking {sources['marks'].path.name}")
            results.append(accept_marks(con, sources["marks"], section.reject_tolerance["marks"], keep))
            say("counting sessions")
            counted = count_marks(con, grid)
        changes = delivery_changes(con, sources["deliveries"], extracts, root, sources)
    accounts = {"intake_counts": _intake_counts(results, sources, section), "intake_rejects": _intake_rejects(results), "delivery_changes": changes}
    return TakenIn(_tables(accepted, counted, grid) | accounts)


def has_marks(extracts: Path) -> bool:
    """Whether an extract has marks, or only the totals that may stand for them.

    Raises
    ------
    DataError
        It has neither.
    """
    if find_file(extracts, "marks", optional=True) is not None:
        return True
    if find_file(extracts, "absence_by_period", optional=True) is not None:
        return False
    find_file(extracts, "marks")
    return True


def _keep_rejects(folder: Path, results: list[Accepted], rejects: pd.DataFrame) -> str:
    """Write every reject so far into ``intake_rejects.csv``, for the person who mends the extract."""
    import pandas as pd

    path = folder / "intake_rejects.csv"
    pd.concat([*(r.rejects for r in results if len(r.rejects)), rejects], ignore_index=True).to_csv(path, index=False)
    return f"all are listed in {path}"


def _accept_tables(con: duckdb.DuckDBPyConnection, sources: dict[str, Source], section: RegistersSection, say: Callable[[str], None],
                   results: list[Accepted], keep: Keep | None) -> tuple[dict[str, pd.DataFrame], SchoolGrid]:
    """Accept every table but the marks, adding to ``results``; their accepted rows as frames, and the calendar's grid, which the
    connection holds too."""
    load_codes(con)
    accepted = {}
    for name, source in sources.items():
        if name == "marks":
            continue
        say(f"checking {source.path.name}")
        results.append(accept(con, source, section.reject_tolerance[name], keep))
        accepted[name] = con.execute(f"SELECT * FROM accepted_{name}").df()
        if name == "calendar":
            grid = school_grid(accepted[name])
            load_grid(con, grid)
        if name == "pupils":
            calendars = calendars_of_schools(accepted["schools"], grid)
            _refuse_years_without_days(accepted["pupils"], calendars, grid)
            load_places(con, calendars)
    return accepted, grid


def calendars_of_schools(schools: pd.DataFrame, grid: SchoolGrid) -> pd.DataFrame:
    """The calendar of each school: ``school_id, area_code, calendar``."""
    known = {area: grid.calendar_of(area) for area in schools["area_code"].unique()}
    return schools[["school_id", "area_code"]].assign(calendar=schools["area_code"].map(known))


def _refuse_years_without_days(pupils: pd.DataFrame, calendars: pd.DataFrame, grid: SchoolGrid) -> None:
    """An authority's own calendar must have every year in which its schools have pupils."""
    years = pupils[["school_id", "academic_year"]].drop_duplicates().merge(calendars, on="school_id")
    known = grid.openings[["calendar", "academic_year"]].drop_duplicates()
    lacking = years.merge(known, on=["calendar", "academic_year"], how="left", indicator=True).query("_merge == 'left_only'")
    if len(lacking):
        first = lacking.sort_values(["calendar", "academic_year"]).iloc[0]
        raise DataError(f"the calendar of area {first['calendar']} has no school day in {first['academic_year']}, when its schools have pupils",
                        where="calendar, column `area_code`", mend="supply the days of that year: an authority's own rows replace the default for it throughout")


def _tables(accepted: dict[str, pd.DataFrame], counted: Counted | None, grid: SchoolGrid) -> dict[str, pd.DataFrame]:
    """The stage's tables from the accepted rows and the counts of marks."""
    calendars = calendars_of_schools(accepted["schools"], grid)
    terms = calendar_used(grid)
    schools = school_list(accepted["schools"], calendars, terms)
    enrolments = enrolments_used(accepted["pupils"], calendars, terms)
    periods = accepted["absence_by_period"]
    if counted is None:
        counted = panel_of_periods(periods, accepted["pupils"], calendars, grid)
    panel = counted.panel
    weeks = register_weeks(counted, accepted["pupils"], calendars, grid)
    return {
        "panel": panel, "enrolments": enrolments, "school_list": schools, "programme_list": accepted["programmes"],
        "referral_list": referral_list(accepted["referrals"], calendars, terms),
        "meeting_list": meeting_list(accepted["meetings"], accepted["pupils"], calendars, terms),
        "barrier_list": barrier_list(accepted["barriers"], accepted["pupils"], calendars, terms),
        "suspension_counts": suspension_counts(accepted["suspensions"], panel, calendars, terms),
        "survey_scores": survey_scores(accepted["survey_items"], accepted["survey_scales"]),
        "survey_reliability": survey_reliability(accepted["survey_items"], accepted["survey_scales"]),
        "cost_list": accepted["costs"], "calendar_used": terms, "linkage": linkage_table(accepted, panel),
        "register_quality": register_quality(counted, weeks, terms, schools),
        "register_weeks": weeks, "mark_counts": counted.codes,
        "absence_reconciliation": reconcile_periods(counted.enrolments if counted.from_marks else None, periods, calendars, grid),
        "measure_reconciliation": official_measures(counted.enrolments, panel, terms),
    }


def _intake_counts(results: list[Accepted], sources: dict[str, Source], section: RegistersSection) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame([{
        "table": r.name, "file": r.file, "rows_read": r.read, "rows_accepted": r.accepted, "rows_rejected": r.rejected,
        "rows_collapsed": r.collapsed, "tolerance": section.reject_tolerance[r.name], "notes": "; ".join(sources[r.name].notes) or None,
    } for r in results])
    table["rejected_share"] = percentage(table["rows_rejected"], table["rows_read"]).fillna(0.0)
    return table


def _intake_rejects(results: list[Accepted]) -> pd.DataFrame:
    import pandas as pd

    parts = [r.rejects for r in results if len(r.rejects)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(REJECT_COLUMNS))
    return table.astype({"file_row": "int64"})
