"""Patterns in the marks: by code, by weekday and session, and how complete each school's registers are week by week."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .codes import ABSENT_CLASSES, PRESENT_CLASSES, attendance_codes
from .panel import percentage

if TYPE_CHECKING:
    import pandas as pd

POSSIBLE = (*PRESENT_CLASSES, *ABSENT_CLASSES)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def code_mix(marks: pd.DataFrame) -> pd.DataFrame:
    """How common each code is, but those for being present.

    Parameters
    ----------
    marks : DataFrame
        Table ``mark_counts``.

    Returns
    -------
    DataFrame
        ``academic_year, code, meaning, class, sessions, share`` (% of possible sessions), the commonest code first.
        Codes that are no possible session are left out.
    """
    rows = marks.loc[marks["class"].isin(POSSIBLE)]
    possible = rows.groupby("academic_year")["sessions"].sum()
    chosen = rows.loc[~rows["code"].isin(["/", "\\"])]
    table = chosen.groupby(["academic_year", "code", "class"], as_index=False)["sessions"].sum()
    table["share"] = percentage(table["sessions"], table["academic_year"].map(possible).astype("float64"))
    table["meaning"] = table["code"].map({code.code: code.meaning for code in attendance_codes().values()})
    order = table.groupby("code")["sessions"].sum()
    table["total"] = table["code"].map(order)
    table = table.sort_values(["total", "code", "academic_year"], ascending=[False, True, True], ignore_index=True)
    return table[["academic_year", "code", "meaning", "class", "sessions", "share"]]


def weekday_pattern(marks: pd.DataFrame, quality: pd.DataFrame) -> pd.DataFrame:
    """Absence by weekday and session, over all years.

    Parameters
    ----------
    marks, quality : DataFrame
        Tables ``mark_counts`` and ``register_quality``.

    Returns
    -------
    DataFrame
        Table ``absence_by_weekday``: ``weekday`` (name), ``session, pupils`` (on the registers of all areas in the half-term with the fewest),
        ``sessions_possible, sessions_absent, absence_rate`` (% of possible sessions).
    """
    rows = marks.loc[marks["class"].isin(POSSIBLE)]
    rows = rows.assign(absent=rows["sessions"].where(rows["class"].isin(ABSENT_CLASSES), 0))
    table = rows.groupby(["weekday", "session"], as_index=False)[["sessions", "absent"]].sum()
    table["absence_rate"] = percentage(table["absent"], table["sessions"])
    table["weekday"] = table["weekday"].map(dict(enumerate(WEEKDAYS, start=1)))
    table = table.rename(columns={"sessions": "sessions_possible", "absent": "sessions_absent"})
    table["pupils"] = int(quality.groupby("half_term")["pupils"].sum().min()) if len(quality) else 0
    return table[["weekday", "session", "pupils", "sessions_possible", "sessions_absent", "absence_rate"]]


def school_weeks(weeks: pd.DataFrame, schools: pd.DataFrame) -> pd.DataFrame:
    """Completeness by school and week, with the school's area; schools in order of area.

    Parameters
    ----------
    weeks, schools : DataFrame
        Tables ``register_weeks`` and ``school_list``.

    Returns
    -------
    DataFrame
        ``area_name, school_id, week, sessions_expected, sessions_marked, completeness`` (%).
    """
    table = weeks.groupby(["school_id", "week"], as_index=False)[["sessions_expected", "sessions_marked"]].sum()
    table["completeness"] = percentage(table["sessions_marked"], table["sessions_expected"]).clip(upper=100.0)
    table = table.merge(schools[["school_id", "area_name"]], on="school_id", validate="many_to_one")
    table = table.sort_values(["area_name", "school_id", "week"], ignore_index=True)
    return table[["area_name", "school_id", "week", "sessions_expected", "sessions_marked", "completeness"]]
