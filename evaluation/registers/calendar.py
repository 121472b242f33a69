"""School days and half-terms: six half-terms an academic year, counted through the study as one ordered integer."""

from __future__ import annotations

import csv
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from evaluation.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

HALF_TERMS_A_YEAR = 6
HALF_TERMS_A_TERM = 2
SESSIONS_A_DAY = 2
TERMS = ("autumn", "spring", "summer")


FIRST_YEAR, LAST_YEAR = 2022, 2024
"""Academic years of the simulated study, by the year in which they begin."""

# Days of the National Education Union's strike of teachers in England in 2023, and where members were called out. Schools
# were open to some pupils on most of them: they stay school days, and a school's registers show what was closed.
STRIKE_DAYS = {
    date(2023, 2, 1): "all regions", date(2023, 2, 28): "northern regions", date(2023, 3, 1): "midland and eastern regions",
    date(2023, 3, 2): "southern regions and London", date(2023, 3, 15): "all regions", date(2023, 3, 16): "all regions",
    date(2023, 4, 27): "all regions", date(2023, 5, 2): "all regions", date(2023, 7, 5): "all regions", date(2023, 7, 7): "all regions",
}
STRIKE_NOTE = "teachers' strike"


def bank_holidays(first_year: int, last_year: int) -> dict[date, str]:
    """Bank holidays of England by day, calendar years inclusive; those proclaimed for one year (the Platinum Jubilee, the
    State Funeral of Queen Elizabeth II, the Coronation) are among them."""
    return dict(_bank_holidays(first_year, last_year))


@lru_cache(maxsize=8)
def _bank_holidays(first_year: int, last_year: int) -> dict[date, str]:
    import holidays

    return dict(sorted(holidays.country_holidays("GB", subdiv="ENG", years=range(first_year, last_year + 1)).items()))


def default_calendar(first_year: int = FIRST_YEAR, last_year: int = LAST_YEAR) -> pd.DataFrame:
    """A plausible school calendar of England, in the form of extract table ``calendar``.

    Parameters
    ----------
    first_year, last_year : int
        Years in which the first and the last academic year begin, 2021 to 2025. Half-terms are counted from the first.

    Returns
    -------
    DataFrame
        One row per weekday from the first to the last day of each academic year: ``date`` (datetime64),
        ``academic_year``, ``term``, ``half_term`` (from 1; missing when school is out), ``school_day``, ``note``.

    Raises
    ------
    DataError
        A year has no calendar here.

    Notes
    -----
    Term dates are of our own making, close to those of northern authorities, with 190 school days a year; weekends
    and the bank holidays of England are never school days. Strike days are school days with a note.
    """
    import pandas as pd

    text = resources.files(__package__).joinpath("terms.csv").read_text(encoding="utf-8")
    wanted = {f"{year}/{(year + 1) % 100:02d}" for year in range(first_year, last_year + 1)}
    periods = [row for row in csv.DictReader(text.splitlines()) if row["academic_year"] in wanted]
    if not wanted or {row["academic_year"] for row in periods} != wanted:
        raise DataError(f"there is no default calendar for {first_year} to {last_year}", where="default_calendar", mend="give years from 2021 to 2025, or supply a calendar")
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
    bank = bank_holidays(first_year, last_year + 1)
    names = frame["date"].dt.date.map(lambda day: bank.get(day))
    frame["school_day"] = frame["half_term"].notna() & names.isna()
    strikes = frame["date"].dt.date.map(lambda day: f"{STRIKE_NOTE} ({STRIKE_DAYS[day]})" if day in STRIKE_DAYS else None)
    frame["note"] = names.where(names.notna(), strikes.where(frame["school_day"], None))
    frame.loc[~frame["school_day"] & frame["note"].isna(), "note"] = "school holiday"
    frame.loc[~frame["school_day"], ["term", "half_term"]] = None
    frame["half_term"] = frame["half_term"].astype("Int64")
    return frame[["date", "academic_year", "term", "half_term", "school_day", "note"]]


def working_days(first: date, last: date) -> int:
    """Weekdays from one day to another, both counted, without the bank holidays of England; 0 if the last is earlier."""
    import numpy as np

    if last < first:
        return 0
    closed = np.array(list(bank_holidays(first.year, last.year)), dtype="datetime64[D]")
    return int(np.busday_count(np.datetime64(first, "D"), np.datetime64(last, "D") + 1, holidays=closed))


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
