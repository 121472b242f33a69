"""Tables of the stage that follow from single extract tables: schools, enrolments, referrals, meetings, barriers, half-terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .grid import EVERY_AREA, SchoolGrid

if TYPE_CHECKING:
    import pandas as pd


def calendar_used(grid: SchoolGrid) -> pd.DataFrame:
    """Table ``calendar_used``: the half-terms of every calendar, ``area_code`` being ``"all"`` for the one that serves all others."""
    table = grid.openings.rename(columns={"calendar": "area_code"})
    table["half"] = table.groupby(["area_code", "academic_year", "term"])["half_term"].rank(method="first").astype("int64")
    return table[["area_code", "half_term", "academic_year", "term", "half", "first_day", "last_day", "school_days", "sessions_open"]]


def half_terms_on(dates: pd.Series, calendars: pd.Series | None, terms: pd.DataFrame) -> pd.Series:
    """Half-term of each date (Int64) by the calendar of its row; a date between half-terms counts to the next.

    ``calendars`` names each row's calendar (missing: the calendar for all, else the first).
    """
    import pandas as pd

    names = sorted(terms["area_code"].unique())
    usual = EVERY_AREA if EVERY_AREA in names else names[0]
    by_row = pd.Series(usual, index=dates.index) if calendars is None else calendars.fillna(usual)
    result = pd.Series(pd.NA, index=dates.index, dtype="Int64")
    for name in names:
        own = terms.loc[terms["area_code"] == name].sort_values("last_day")
        mine = by_row.eq(name) & dates.notna()
        place = own["last_day"].searchsorted(dates[mine].astype(own["last_day"].dtype), side="left")
        found = pd.array([*own["half_term"], pd.NA], dtype="Int64").take(place)
        result[mine] = found
    return result


def school_list(schools: pd.DataFrame, calendars: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """Table ``school_list``."""
    own = schools["school_id"].map(calendars.set_index("school_id")["calendar"])
    table = schools.assign(first_mentor_half_term=half_terms_on(schools["mentoring_start"], own, terms))
    return table[["school_id", "school_name", "area_code", "area_name", "phase", "mentor_school", "first_mentor_half_term", "inspection_judgement", "trust"]]


def enrolments_used(pupils: pd.DataFrame, calendars: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """Table ``enrolments``: one row per pupil and academic year.

    School and characteristics are those of the first enrolment of the year (the main one before a subsidiary one),
    ``schools`` counts the schools of the year, and the reason for leaving is that of the enrolment that ended last.
    """
    own = pupils["school_id"].map(calendars.set_index("school_id")["calendar"])
    years = terms.groupby(["area_code", "academic_year"])["half_term"].agg(["min", "max"]).reset_index()
    table = pupils.assign(calendar=own).merge(years, left_on=["calendar", "academic_year"], right_on=["area_code", "academic_year"], how="left")
    table.index = pupils.index
    opens, closes = table["min"].astype("int64"), table["max"].astype("int64")
    table["first_half_term"] = half_terms_on(table["enrolment_start"], own, terms).fillna(closes).astype("int64").clip(opens, closes)
    last = _last_half_terms(table["enrolment_end"], own, terms).fillna(closes).astype("int64")
    table["last_half_term"] = last.clip(table["first_half_term"], closes)
    table["subsidiary"] = table["enrolment_status"].eq("subsidiary").fillna(False)
    table = table.rename(columns={"sen_provision": "sen"})
    keys = ["pupil_id", "academic_year"]
    rows = table.sort_values([*keys, "subsidiary", "enrolment_start", "school_id"], kind="stable").groupby(keys, sort=False)
    first = table.sort_values([*keys, "first_half_term", "subsidiary", "enrolment_start", "school_id"], kind="stable").drop_duplicates(keys).set_index(keys)
    ends = table.sort_values([*keys, "last_half_term", "enrolment_end", "school_id"], na_position="last", kind="stable").drop_duplicates(keys, keep="last").set_index(keys)
    spans = rows.agg(first_half_term=("first_half_term", "min"), last_half_term=("last_half_term", "max"), schools=("school_id", "nunique"))
    result = first.drop(columns=["first_half_term", "last_half_term", "leaving_reason"]).join(spans).join(ends["leaving_reason"]).reset_index()
    return result[["pupil_id", "academic_year", "school_id", "year_group", "sex", "fsm", "sen", "idaci", "first_half_term", "last_half_term", "schools",
                   "leaving_reason"]]


def _last_half_terms(dates: pd.Series, calendars: pd.Series, terms: pd.DataFrame) -> pd.Series:
    """The last half-term that had begun by each date (0 if none had), by calendar."""
    import pandas as pd

    result = pd.Series(pd.NA, index=dates.index, dtype="Int64")
    for name in terms["area_code"].unique():
        own = terms.loc[terms["area_code"] == name].sort_values("first_day")
        mine = calendars.eq(name) & dates.notna()
        place = own["first_day"].searchsorted(dates[mine].astype(own["first_day"].dtype), side="right")
        result[mine] = pd.array([0, *own["half_term"]], dtype="Int64").take(place)
    return result


def referral_list(referrals: pd.DataFrame, calendars: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """Table ``referral_list``."""
    table = referrals.rename(columns={"consent": "consented"})
    own = table["school_id"].map(calendars.set_index("school_id")["calendar"])
    table["referral_half_term"] = half_terms_on(table["referral_date"], own, terms)
    table["started"] = table["start_date"].notna()
    return table[["referral_id", "pupil_id", "school_id", "referral_date", "referral_half_term", "consented", "started", "start_date",
                  "end_date", "delivery_model", "mentor_id"]]


def meeting_list(meetings: pd.DataFrame, pupils: pd.DataFrame, calendars: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """Table ``meeting_list``."""
    table = meetings.assign(half_term=half_terms_on(meetings["meeting_date"], _calendars_of_pupils(meetings["pupil_id"], pupils, calendars), terms))
    return table[["meeting_id", "pupil_id", "mentor_id", "meeting_date", "half_term", "with_whom", "mode", "minutes", "kept"]]


def barrier_list(barriers: pd.DataFrame, pupils: pd.DataFrame, calendars: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """Table ``barrier_list``: barriers with the half-term in which each was assessed, and whether it was resolved."""
    own = _calendars_of_pupils(barriers["pupil_id"], pupils, calendars)
    table = barriers.assign(assessed_half_term=half_terms_on(barriers["assessed_on"], own, terms), resolved=barriers["resolved_on"].notna())
    return table[["barrier_id", "pupil_id", "barrier_type", "assessed_on", "assessed_half_term", "resolved", "resolved_on"]]


def _calendars_of_pupils(wanted: pd.Series, pupils: pd.DataFrame, calendars: pd.DataFrame) -> pd.Series:
    """Calendar of each pupil by the first enrolment; missing for pupils who are not enrolled."""
    first = pupils.sort_values(["pupil_id", "enrolment_start", "school_id"]).drop_duplicates("pupil_id").set_index("pupil_id")["school_id"]
    return wanted.map(first).map(calendars.set_index("school_id")["calendar"])
