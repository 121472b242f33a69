"""School days and half-terms: six half-terms an academic year, counted through the study as one ordered integer."""

from __future__ import annotations

import csv
from datetime import date
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

HALF_TERMS_A_YEAR = 6
SESSIONS_A_DAY = 2
TERMS = ("autumn", "spring", "summer")


def default_calendar() -> pd.DataFrame:
    """A plausible school calendar of England for 2022/23 to 2024/25, in the form of extract table ``calendar``.

    Term dates are of our own making, close to those of northern authorities, with 190 school days a year; weekends
    and the bank holidays of England are never school days. Strike days are left as school days: closures were
    partial, and a school's own registers show them.

    Returns
    -------
    DataFrame
        One row per weekday from the first to the last day of each academic year: ``date`` (datetime64),
        ``academic_year``, ``term``, ``half_term`` (1 to 18; missing when school is out), ``school_day``, ``note``.
    """
    import holidays
    import pandas as pd

    text = resources.files(__package__).joinpath("terms.csv").read_text(encoding="utf-8")
    periods = list(csv.DictReader(text.splitlines()))
    parts = []
    for position, period in enumerate(periods):
        days = pd.bdate_range(period["first_day"], period["last_day"], unit="us")
        parts.append(pd.DataFrame({"date": days, "academic_year": period["academic_year"], "term": period["term"],
                                   "half_term": position + 1}))
        if position + 1 < len(periods) and periods[position + 1]["academic_year"] == period["academic_year"]:
            first = pd.Timestamp(period["last_day"]) + pd.Timedelta(days=1)
            last = pd.Timestamp(periods[position + 1]["first_day"]) - pd.Timedelta(days=1)
            parts.append(pd.DataFrame({"date": pd.bdate_range(first, last, unit="us"), "academic_year": period["academic_year"]}))
    frame = pd.concat(parts, ignore_index=True)
    bank = holidays.country_holidays("GB", subdiv="ENG", years=range(2022, 2026))
    names = frame["date"].dt.date.map(lambda day: bank.get(day))
    frame["school_day"] = frame["half_term"].notna() & names.isna()
    frame["note"] = names.where(names.notna(), None)
    frame.loc[~frame["school_day"] & frame["note"].isna(), "note"] = "school holiday"
    frame.loc[~frame["school_day"], ["term", "half_term"]] = None
    frame["half_term"] = frame["half_term"].astype("Int64")
    return frame[["date", "academic_year", "term", "half_term", "school_day", "note"]]


def school_days(calendar: pd.DataFrame) -> pd.DataFrame:
    """The school days of a calendar in order of date: ``date, academic_year, term, half_term``."""
    days = calendar.loc[calendar["school_day"].astype(bool), ["date", "academic_year", "term", "half_term"]]
    return days.sort_values("date", ignore_index=True).astype({"half_term": "int64"})


def half_terms(calendar: pd.DataFrame) -> pd.DataFrame:
    """The half-terms of a calendar, in the form of table ``calendar_used``.

    Parameters
    ----------
    calendar : DataFrame
        As extract table ``calendar``.

    Returns
    -------
    DataFrame
        ``half_term, academic_year, term, half, first_day, last_day, school_days, sessions_open``.
    """
    days = school_days(calendar)
    table = days.groupby("half_term", as_index=False).agg(
        academic_year=("academic_year", "first"), term=("term", "first"), first_day=("date", "min"), last_day=("date", "max"),
        school_days=("date", "size"),
    )
    table["half"] = table.groupby(["academic_year", "term"])["half_term"].rank(method="first").astype("int64")
    table["sessions_open"] = table["school_days"] * SESSIONS_A_DAY
    return table[["half_term", "academic_year", "term", "half", "first_day", "last_day", "school_days", "sessions_open"]]


def half_term_of(day: date, table: pd.DataFrame) -> int | None:
    """The half-term of a day; a day between half-terms counts to the next one, None after the last.

    Parameters
    ----------
    day : date
    table : DataFrame
        As :func:`half_terms` returns it.
    """
    import pandas as pd

    later = table.loc[table["last_day"] >= pd.Timestamp(day), "half_term"]
    return int(later.iloc[0]) if len(later) else None
