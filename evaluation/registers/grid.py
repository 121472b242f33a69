"""The calendar as marks are held against it: school days by authority, cut into stretches that fit one whole number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluation.errors import DataError

from .calendar import HALF_TERMS_A_TERM, SESSIONS_A_DAY, TERMS
from .codes import CODE_CHANGE

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

EVERY_AREA = "all"
# Days of a stretch: each has its own power of two, and those of mornings and afternoons together stay below 2 ** 63.
MOST_DAYS = 62


@dataclass(frozen=True)
class SchoolGrid:
    """School days of every calendar.

    Attributes
    ----------
    days : DataFrame
        ``date, segment, bit, academic_year``: every day on which any school is open, its stretch, and its power of two within it.
    segments : DataFrame
        ``segment, academic_year, later`` (whether it lies after the code change).
    grid : DataFrame
        ``calendar, segment, half_term, open_days`` (sum of the bits of the days that this calendar's schools are open).
    openings : DataFrame
        ``calendar, half_term, academic_year, term, first_day, last_day, school_days, sessions_open``.
    calendars : tuple of str
        ``"all"`` and the authorities with a calendar of their own.
    dates : DataFrame
        ``calendar, date``: the days on which each calendar's schools are open.
    """

    days: pd.DataFrame
    segments: pd.DataFrame
    grid: pd.DataFrame
    openings: pd.DataFrame
    calendars: tuple[str, ...]
    dates: pd.DataFrame

    def calendar_of(self, area_code: str) -> str:
        """The calendar of an authority.

        Raises
        ------
        DataError
            It has none, and there is none for all.
        """
        if area_code in self.calendars:
            return area_code
        if EVERY_AREA in self.calendars:
            return EVERY_AREA
        raise DataError(f"area {area_code} has no calendar", where="calendar, column `area_code`",
                        mend="supply its days, or days of an area called `all`")

    @property
    def one_segment_per_half_term(self) -> bool:
        """Whether every half-term of every calendar is one stretch."""
        return not self.grid.duplicated(["calendar", "half_term"]).any()


def school_grid(calendar: pd.DataFrame) -> SchoolGrid:
    """Cut the school days of a calendar into stretches within which no authority's half-term changes.

    Parameters
    ----------
    calendar : DataFrame
        Accepted rows of extract table ``calendar``; ``area_code`` missing or ``"all"`` stands for every authority that
        has no rows of its own.

    Raises
    ------
    DataError
        There is no school day; half-terms overlap, are not numbered in order of date, or lie in two academic years; a term
        has more than two half-terms or is out of order; or two calendars disagree on the academic year of a day.
    """
    import pandas as pd

    open_days = calendar.loc[calendar["school_day"].astype(bool)].copy()
    if not len(open_days):
        raise DataError("no day is a school day", where="calendar, column `school_day`", mend="mark the days on which schools were open")
    area = open_days["area_code"] if "area_code" in open_days else pd.Series(pd.NA, index=open_days.index)
    open_days["calendar"] = area.astype(object).where(area.notna() & area.ne(""), EVERY_AREA).astype("str")
    open_days["half_term"] = open_days["half_term"].astype("int64")
    years = open_days.groupby("date")["academic_year"].nunique()
    if (years > 1).any():
        raise DataError(f"{years.idxmax():%d %B %Y} lies in two academic years", where="calendar, column `academic_year`", mend="give each day one academic year")
    openings = _openings(open_days)
    days = _segments(open_days)
    placed = open_days.merge(days, on="date", validate="many_to_one")
    segments = placed.groupby("segment", as_index=False).agg(academic_year=("academic_year", "first"), first=("date", "min"))
    segments["later"] = segments.pop("first") >= pd.Timestamp(CODE_CHANGE)
    grid = placed.groupby(["calendar", "segment"], as_index=False).agg(half_term=("half_term", "first"), open_days=("bit", "sum"))
    return SchoolGrid(days.merge(segments[["segment", "academic_year"]], on="segment"), segments, grid, openings, tuple(sorted(openings["calendar"].unique())),
                      open_days[["calendar", "date"]].reset_index(drop=True))


def _openings(open_days: pd.DataFrame) -> pd.DataFrame:
    """Half-terms by calendar, refused where they overlap or are out of order."""
    table = open_days.groupby(["calendar", "half_term"], as_index=False).agg(
        academic_year=("academic_year", "first"), years=("academic_year", "nunique"), term=("term", "first"), terms=("term", "nunique"),
        first_day=("date", "min"), last_day=("date", "max"), school_days=("date", "nunique"))
    for name, rows in table.groupby("calendar"):
        said = "" if name == EVERY_AREA else f" of area {name}"
        for before, after in zip(rows.iloc[:-1].itertuples(), rows.iloc[1:].itertuples(), strict=True):
            if after.first_day <= before.last_day:
                raise DataError(f"half-terms {before.half_term} and {after.half_term}{said} overlap or are out of order: {after.half_term} begins on "
                                f"{after.first_day:%Y-%m-%d}, {before.half_term} ends on {before.last_day:%Y-%m-%d}", where="calendar, column `half_term`",
                                mend="number half-terms in order of date, six an academic year")
            if after.half_term != before.half_term + 1:
                raise DataError(f"half-term {after.half_term}{said} is out of order: half-terms count up by one with the dates", where="calendar, column `half_term`",
                                mend="number half-terms in order of date, six an academic year")
        if rows["years"].max() > 1:
            raise DataError(f"half-term {rows.loc[rows['years'].idxmax(), 'half_term']}{said} is out of order: it lies in two academic years",
                            where="calendar, column `academic_year`", mend="number half-terms in order of date, six an academic year")
    _refuse_terms(table)
    disagree = table.groupby("half_term")["academic_year"].nunique()
    if (disagree > 1).any():
        raise DataError(f"half-term {disagree.idxmax()} lies in different academic years in different areas", where="calendar, column `half_term`",
                        mend="number the half-terms of every area from the same academic year")
    table["sessions_open"] = SESSIONS_A_DAY * table["school_days"]
    return table.drop(columns=["years", "terms"])


def _refuse_terms(table: pd.DataFrame) -> None:
    """Terms follow each other through the year, two half-terms each: official figures leave out the second of the summer."""
    order = table["term"].map({term: i for i, term in enumerate(TERMS)})
    before = order.groupby([table["calendar"], table["academic_year"]]).shift()
    number = table.groupby(["calendar", "academic_year", "term"]).cumcount() + 1
    wrong = table.loc[(table["terms"] > 1) | (order < before) | (number > HALF_TERMS_A_TERM)]
    if len(wrong):
        first = wrong.iloc[0]
        said = "lies in two terms" if first["terms"] > 1 else f"is said to lie in the {first['term']} term"
        raise DataError(f"half-term {first['half_term']} of {first['academic_year']} {said}: a year has an autumn, a spring and a summer term of two half-terms each",
                        where="calendar, column `term`", mend="correct the terms")


def _segments(open_days: pd.DataFrame) -> pd.DataFrame:
    """Stretch and power of two of each school day."""
    import pandas as pd

    by_day: dict[pd.Timestamp, dict[str, int]] = {}
    for day, name, half_term in zip(*(open_days.sort_values("date")[column].tolist() for column in ("date", "calendar", "half_term")), strict=True):
        by_day.setdefault(day, {})[name] = half_term
    rows, current, segment, place = [], {}, 0, MOST_DAYS
    before = None
    for day, half_terms in by_day.items():
        crossed = before is not None and (before < pd.Timestamp(CODE_CHANGE)) != (day < pd.Timestamp(CODE_CHANGE))
        if crossed or place >= MOST_DAYS or any(current.get(name, half_term) != half_term for name, half_term in half_terms.items()):
            current, segment, place = {}, segment + 1, 0
        current.update(half_terms)
        rows.append((day, segment, 1 << place))
        place, before = place + 1, day
    return pd.DataFrame(rows, columns=["date", "segment", "bit"])


def load_grid(con: duckdb.DuckDBPyConnection, grid: SchoolGrid) -> None:
    """Make relations ``days``, ``segments``, ``grid``, ``calendar_openings`` and ``open_dates`` in a connection."""
    for name, frame, columns in (
        ("days", grid.days, "CAST(date AS DATE) AS date, CAST(segment AS INTEGER) AS segment, CAST(bit AS BIGINT) AS bit, academic_year"),
        ("segments", grid.segments, "CAST(segment AS INTEGER) AS segment, academic_year, later"),
        ("grid", grid.grid, "calendar, CAST(segment AS INTEGER) AS segment, CAST(half_term AS BIGINT) AS half_term, CAST(open_days AS BIGINT) AS open_days"),
        ("calendar_openings", grid.openings, "calendar, half_term, academic_year, sessions_open"),
        ("open_dates", grid.dates, "calendar, CAST(date AS DATE) AS date"),
    ):
        con.register("frame_given", frame)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {columns} FROM frame_given")
        con.unregister("frame_given")
