"""Totals of the school census or the national pupil database in place of marks: the panel of their half-terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.errors import DataError, UnidentifiedError

from .calendar import HALF_TERMS_A_YEAR
from .codes import CODE_CHANGE
from .grid import SchoolGrid
from .panel import CODE_COUNTS, PANEL_COLUMNS, PERSISTENT_TIMES, SEVERE_TIMES, percentage
from .register_counts import Counted

if TYPE_CHECKING:
    import pandas as pd

GIVEN = ("sessions_possible", "sessions_authorised", "sessions_unauthorised")
CODES_COLUMNS = ("academic_year", "weekday", "session", "code", "class", "sessions")


def half_term_numbers(periods: pd.DataFrame, calendars: pd.DataFrame, grid: SchoolGrid) -> pd.DataFrame:
    """Periods of one half-term with the study's number for it (``half_term``), by the calendar of the school.

    Raises
    ------
    DataError
        A period has no half-term in the calendar, or its year is there in part, so that no half-term can be told by its number.
    """
    rows = periods.loc[periods["period_kind"] == "half_term"].merge(calendars, on="school_id", how="left", validate="many_to_one")
    openings = grid.openings.assign(period=grid.openings.groupby(["calendar", "academic_year"])["half_term"].rank(method="first").astype("int64"))
    rows = rows.merge(openings[["calendar", "academic_year", "period", "half_term", "first_day", "sessions_open"]], on=["calendar", "academic_year", "period"], how="left",
                      validate="many_to_one")
    lost = rows["half_term"].isna()
    if lost.any():
        first = rows.loc[lost].iloc[0]
        raise DataError(f"half-term {first['period']} of {first['academic_year']} is not in the calendar ({int(lost.sum()):,} rows)",
                        where="absence_by_period, column `period`", mend=f"supply the calendar of that year, with its {HALF_TERMS_A_YEAR} half-terms")
    known = openings.groupby(["calendar", "academic_year"]).size().rename("half_terms").reset_index()
    years = periods[["school_id", "academic_year"]].drop_duplicates().merge(calendars, on="school_id").merge(known, on=["calendar", "academic_year"], how="left")
    part = years.loc[years["half_terms"].fillna(0) < HALF_TERMS_A_YEAR]
    if len(part):
        first = part.iloc[0]
        raise DataError(f"the calendar has {int(first['half_terms']) if first['half_terms'] > 0 else 'no'} half-terms of {first['academic_year']}, so a period cannot be told by its number",
                        where="absence_by_period, column `period`", mend=f"supply the calendar of that year, with its {HALF_TERMS_A_YEAR} half-terms")
    return rows.astype({"half_term": "int64"})


def panel_of_periods(periods: pd.DataFrame, pupils: pd.DataFrame, calendars: pd.DataFrame, grid: SchoolGrid) -> Counted:
    """The panel from totals by half-term.

    Parameters
    ----------
    periods, pupils : DataFrame
        Accepted rows of extract tables ``absence_by_period`` and ``pupils``.
    calendars : DataFrame
        ``school_id, area_code, calendar``.

    Returns
    -------
    Counted
        Counts by code are missing: totals do not hold them. The school of a half-term is the one with most possible
        sessions (ties: the main registration, then the earlier). Harmonised counts are the official ones, which is exact
        for half-terms before the code change; a study that lies wholly after it uses the official rule at both ends.

    Raises
    ------
    UnidentifiedError
        There are totals by term only, or half-terms on both sides of the code change.
    DataError
        Totals of a pupil who is not enrolled at that school in that year, or of half-terms that the calendar lacks.
    """
    if not (periods["period_kind"] == "half_term").any():
        raise UnidentifiedError("there are no marks, and absence_by_period holds terms only: windows of this study are half-terms, and a term cannot be cut in two",
                                where="absence_by_period, column `period_kind`", mend="supply totals by half-term, or the marks")
    rows = half_term_numbers(periods, calendars, grid)
    sides = (rows["first_day"] >= str(CODE_CHANGE)).unique()
    if len(sides) > 1:
        raise UnidentifiedError(f"totals on both sides of {CODE_CHANGE:%d %B %Y}, when codes changed: without codes, interviews (attending before, absent since) "
                                "cannot be told apart, so no outcome is the same on both sides", where="absence_by_period",
                                mend="supply the marks, or only years on one side of the change")
    rows = rows.drop(columns="area_code").merge(_places(pupils, calendars), on=["pupil_id", "academic_year", "school_id"], how="left", validate="many_to_one")
    lost = rows["rank"].isna()
    if lost.any():
        first = rows.loc[lost].iloc[0]
        raise DataError(f"{int(lost.sum()):,} rows are of pupils who are not enrolled at that school in that year, the first at school {first['school_id']} in "
                        f"{first['academic_year']}", where="absence_by_period, column `school_id`", mend="supply the enrolments, or correct the rows")
    enrolments = _enrolments(rows)
    return Counted(_panel(rows), enrolments, _no_weeks(), _no_codes(), False, True)


def _places(pupils: pd.DataFrame, calendars: pd.DataFrame) -> pd.DataFrame:
    """One row per pupil, year and school, with the order of a pupil's schools: main before subsidiary, then the earlier."""
    subsidiary = pupils["enrolment_status"].eq("subsidiary").fillna(False)
    rows = pupils.assign(subsidiary=subsidiary).sort_values(["pupil_id", "academic_year", "subsidiary", "enrolment_start", "school_id"], kind="stable")
    rows["rank"] = rows.groupby(["pupil_id", "academic_year"]).cumcount() + 1
    rows = rows.drop_duplicates(["pupil_id", "academic_year", "school_id"]).merge(calendars[["school_id", "area_code"]], on="school_id", validate="many_to_one")
    return rows[["pupil_id", "academic_year", "school_id", "area_code", "year_group", "rank"]]


def _enrolments(rows: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    table = rows[["pupil_id", "school_id", "area_code", "year_group", "half_term", "academic_year"]].copy()
    for name in CODE_COUNTS:
        table[name] = pd.array([None] * len(table), dtype="Int64")
    absent = rows["sessions_authorised"] + rows["sessions_unauthorised"]
    table["sessions_attending"] = rows["sessions_possible"] - absent
    table["sessions_approved_activity"] = 0
    table["sessions_authorised"], table["sessions_unauthorised"] = rows["sessions_authorised"], rows["sessions_unauthorised"]
    return table


def _panel(rows: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    keys = ["pupil_id", "half_term"]
    sums = rows.groupby(keys, as_index=False)[list(GIVEN)].sum()
    first = rows.sort_values([*keys, "sessions_possible", "rank"], ascending=[True, True, False, True], kind="stable").drop_duplicates(keys)
    panel = first[[*keys, "academic_year", "school_id", "area_code", "year_group", "sessions_open"]].merge(sums, on=keys, validate="one_to_one")
    absent, possible = panel["sessions_authorised"] + panel["sessions_unauthorised"], panel["sessions_possible"]
    panel["sessions_attended"] = possible - absent
    panel["absence_rate"] = percentage(absent, possible)
    panel["persistent_absence"] = (PERSISTENT_TIMES * absent >= possible).astype("boolean").where(possible > 0)
    panel["severe_absence"] = (SEVERE_TIMES * absent >= possible).astype("boolean").where(possible > 0)
    panel["harmonised_possible"], panel["harmonised_absent"], panel["harmonised_absence_rate"] = possible, absent, panel["absence_rate"]
    for name in PANEL_COLUMNS:
        if name not in panel:
            panel[name] = pd.array([None] * len(panel), dtype="Int64")
    return panel[list(PANEL_COLUMNS)]


def _no_weeks() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"school_id": pd.Series([], dtype="str"), "week": pd.Series([], dtype="datetime64[us]"), "half_term": pd.Series([], dtype="int64"),
                         "sessions_marked": pd.Series([], dtype="int64")})


def _no_codes() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: pd.Series([], dtype="str" if name in ("academic_year", "session", "code", "class") else "int64") for name in CODES_COLUMNS})
