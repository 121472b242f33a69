"""How complete the registers are, and what they show, by area."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .calendar import SESSIONS_A_DAY
from .grid import SchoolGrid
from .panel import PERSISTENT_TIMES, SEVERE_TIMES, percentage

if TYPE_CHECKING:
    import pandas as pd

    from .register_counts import Counted

COUNTS = (
    "sessions_possible", "sessions_attended", "sessions_authorised", "sessions_unauthorised", "sessions_not_possible",
    "sessions_no_mark", "sessions_c2",
)
WEEK_COLUMNS = ("school_id", "week", "half_term", "sessions_expected", "sessions_marked", "completeness")


def register_quality(counted: Counted, weeks: pd.DataFrame, terms: pd.DataFrame, schools: pd.DataFrame) -> pd.DataFrame:
    """Completeness of the registers and the mix of marks.

    Parameters
    ----------
    counted : Counted
    weeks, terms, schools : DataFrame
        Tables ``register_weeks``, ``calendar_used`` and ``school_list``.

    Returns
    -------
    DataFrame
        Table ``register_quality``: one row per area and half-term in which a session is expected or marked. A session is
        expected on every school day on roll, at both schools of a dually registered pupil where marks name the school;
        completeness is the share of them with any mark but a gap. Without marks nothing is known of it.
    """
    places = schools[["school_id", "area_code", "area_name"]]
    panel = counted.panel
    table = panel.groupby(["area_code", "half_term"], as_index=False)[list(COUNTS)].sum(min_count=1)
    heads = panel.groupby(["area_code", "half_term"], as_index=False).agg(pupils=("pupil_id", "nunique"))
    expected = weeks.merge(places, on="school_id", validate="many_to_one").groupby(["area_code", "half_term"], as_index=False)[["sessions_expected", "sessions_marked"]].sum()
    table = expected.merge(table, on=["area_code", "half_term"], how="outer").merge(heads, on=["area_code", "half_term"], how="left")
    whole = ["sessions_expected", "sessions_marked", *COUNTS, "pupils"] if counted.from_marks else ["pupils"]
    table[whole] = table[whole].fillna(0).astype("int64")
    table["area_name"] = table["area_code"].map(places.drop_duplicates("area_code").set_index("area_code")["area_name"])
    years = terms.drop_duplicates("half_term").set_index("half_term")["academic_year"]
    table["academic_year"] = table["half_term"].map(years)
    table["completeness"] = percentage(table["sessions_marked"].astype("float64"), table["sessions_expected"].astype("float64")).clip(upper=100.0)
    absent = (table["sessions_authorised"] + table["sessions_unauthorised"]).astype("float64")
    table["absence_rate"] = percentage(absent, table["sessions_possible"].astype("float64"))
    whole = ["sessions_expected", "sessions_marked", *COUNTS]
    return table.astype(dict.fromkeys(whole, "Int64"))


def register_weeks(counted: Counted, pupils: pd.DataFrame, calendars: pd.DataFrame, grid: SchoolGrid) -> pd.DataFrame:
    """Completeness by school and week.

    Returns
    -------
    DataFrame
        Table ``register_weeks``: ``school_id, week`` (its Monday), ``half_term, sessions_expected, sessions_marked,
        completeness`` (%). No rows without marks.
    """
    if not counted.from_marks:
        return counted.marked.assign(sessions_expected=counted.marked["sessions_marked"], completeness=counted.marked["sessions_marked"].astype("float64"))[list(WEEK_COLUMNS)]
    on_roll = pupils if counted.by_school else pupils.loc[~pupils["enrolment_status"].eq("subsidiary").fillna(False)]
    table = _expected(on_roll, calendars, grid).merge(counted.marked.astype({"week": "datetime64[us]"}), on=["school_id", "week", "half_term"], how="outer")
    whole = ["sessions_expected", "sessions_marked"]
    table[whole] = table[whole].fillna(0).astype("int64")
    table["completeness"] = percentage(table["sessions_marked"], table["sessions_expected"]).clip(upper=100.0)
    return table.sort_values(["school_id", "week", "half_term"], ignore_index=True)[list(WEEK_COLUMNS)]


def _expected(pupils: pd.DataFrame, calendars: pd.DataFrame, grid: SchoolGrid) -> pd.DataFrame:
    """Sessions on roll by school, week and half-term: two for each school day between the first and the last day on roll."""
    import numpy as np
    import pandas as pd

    days = grid.dates.merge(grid.days, on="date").merge(grid.grid[["calendar", "segment", "half_term"]], on=["calendar", "segment"]).sort_values(["calendar", "date"])
    days["week"] = (days["date"] - pd.to_timedelta(days["date"].dt.day_of_week, unit="D")).astype("datetime64[us]")
    spells = pupils[["school_id", "academic_year", "enrolment_start", "enrolment_end"]].merge(calendars, on="school_id", validate="many_to_one")
    parts = []
    for (calendar, year), own in days.groupby(["calendar", "academic_year"]):
        here = spells.loc[spells["calendar"].eq(calendar) & spells["academic_year"].eq(year)]
        when = own["date"].to_numpy()
        first = np.searchsorted(when, here["enrolment_start"].to_numpy(dtype=when.dtype), side="left")
        ends = here["enrolment_end"].fillna(own["date"].max()).to_numpy(dtype=when.dtype)
        stop = np.maximum(np.searchsorted(when, ends, side="right"), first)
        school, names = pd.factorize(here["school_id"])
        change = np.zeros((len(names), len(when) + 1), dtype=np.int64)
        np.add.at(change, (school, first), 1)
        np.add.at(change, (school, stop), -1)
        heads = change.cumsum(axis=1)[:, :-1]
        parts.append(pd.DataFrame({"school_id": np.repeat(np.asarray(names, dtype=object), len(when)), "week": np.tile(own["week"].to_numpy(), len(names)),
                                   "half_term": np.tile(own["half_term"].to_numpy(), len(names)), "sessions_expected": SESSIONS_A_DAY * heads.ravel()}))
    table = pd.concat(parts).groupby(["school_id", "week", "half_term"], as_index=False)["sessions_expected"].sum()
    return table.loc[table["sessions_expected"] > 0].astype({"school_id": "str", "half_term": "int64"})


def annual_absence(panel: pd.DataFrame, schools: pd.DataFrame) -> pd.DataFrame:
    """Absence, persistent and severe absence by area and academic year.

    Parameters
    ----------
    panel, schools : DataFrame
        Tables ``panel`` and ``school_list``.

    Returns
    -------
    DataFrame
        ``academic_year, area_name, pupils, absence_rate, persistent_absence, severe_absence``: pupils with a possible
        session; pooled sessions absent of possible sessions; pupils absent for 10% (50%) or more of their own possible
        sessions of the year (% each). A row for each area and one for all.
    """
    import pandas as pd

    panel = panel.assign(absent=panel["sessions_authorised"] + panel["sessions_unauthorised"])
    keys = ["academic_year", "area_code", "pupil_id"]
    year = panel.groupby(keys, as_index=False).agg(possible=("sessions_possible", "sum"), absent=("absent", "sum"))
    year = year.loc[year["possible"] > 0]
    year["persistent"] = PERSISTENT_TIMES * year["absent"] >= year["possible"]
    year["severe"] = SEVERE_TIMES * year["absent"] >= year["possible"]
    names = schools.drop_duplicates("area_code").set_index("area_code")["area_name"]
    by_area = year.assign(area_name=year["area_code"].map(names))
    both = pd.concat([by_area, by_area.assign(area_name="All areas")], ignore_index=True)
    table = both.groupby(["academic_year", "area_name"], as_index=False).agg(
        pupils=("possible", "size"), possible=("possible", "sum"), absent=("absent", "sum"), persistent=("persistent", "sum"), severe=("severe", "sum"))
    table["absence_rate"] = percentage(table["absent"], table["possible"])
    table["persistent_absence"] = percentage(table["persistent"], table["pupils"])
    table["severe_absence"] = percentage(table["severe"], table["pupils"])
    return table[["academic_year", "area_name", "pupils", "absence_rate", "persistent_absence", "severe_absence"]]


# Bands of annual absence, % of the pupil's own possible sessions; 10 and 50 are the official thresholds.
BANDS = (("Below 5%", 0, 5), ("5% to below 10%", 5, 10), ("10% to below 20%", 10, 20), ("20% to below 50%", 20, 50), ("50% or more", 50, None))


def annual_bands(panel: pd.DataFrame) -> pd.DataFrame:
    """How many pupils miss how much of an academic year.

    Parameters
    ----------
    panel : DataFrame
        Table ``panel``.

    Returns
    -------
    DataFrame
        Table ``absence_by_band``: ``academic_year, band, pupils, of_pupils`` (with a possible session), ``share`` (%): a row for each year and band.
    """
    import pandas as pd

    panel = panel.assign(absent=panel["sessions_authorised"] + panel["sessions_unauthorised"])
    year = panel.groupby(["academic_year", "pupil_id"], as_index=False).agg(possible=("sessions_possible", "sum"), absent=("absent", "sum"))
    year = year.loc[year["possible"] > 0]
    rows = []
    for name, pupils in year.groupby("academic_year"):
        for band, low, high in BANDS:
            inside = 100 * pupils["absent"] >= low * pupils["possible"]
            if high is not None:
                inside &= 100 * pupils["absent"] < high * pupils["possible"]
            rows.append({"academic_year": name, "band": band, "pupils": int(inside.sum()), "of_pupils": len(pupils)})
    table = pd.DataFrame(rows)
    table["share"] = percentage(table["pupils"], table["of_pupils"])
    return table[["academic_year", "band", "pupils", "of_pupils", "share"]]


def mark_mix(quality: pd.DataFrame) -> pd.DataFrame:
    """Absence by kind and half-term, over all areas.

    Parameters
    ----------
    quality : DataFrame
        Table ``register_quality``.

    Returns
    -------
    DataFrame
        ``half_term, academic_year, authorised`` (without part-time timetables), ``unauthorised, part_time``: % of pooled
        possible sessions. Part-time timetables have a code of their own (C2) from 19 August 2024 only.
    """
    table = quality.groupby(["half_term", "academic_year"], as_index=False)[list(COUNTS)].sum(min_count=1)
    possible = table["sessions_possible"]
    return table[["half_term", "academic_year"]].assign(
        authorised=percentage(table["sessions_authorised"] - table["sessions_c2"].fillna(0), possible),
        unauthorised=percentage(table["sessions_unauthorised"], possible), part_time=percentage(table["sessions_c2"], possible))


def absence_by_half_term(quality: pd.DataFrame, panel: pd.DataFrame) -> pd.DataFrame:
    """Absence by kind and half-term with the pupils behind it.

    Parameters
    ----------
    quality, panel : DataFrame
        Tables ``register_quality`` and ``panel``.

    Returns
    -------
    DataFrame
        Table ``absence_by_half_term``: the columns of :func:`mark_mix`, ``pupils`` (on the registers) and ``part_time_pupils`` (with a session
        on a part-time timetable).
    """
    pupils = quality.groupby("half_term")["pupils"].sum()
    part_time = panel.loc[panel["sessions_c2"].fillna(0) > 0].groupby("half_term")["pupil_id"].nunique()
    mix = mark_mix(quality)
    return mix.assign(pupils=mix["half_term"].map(pupils).astype("int64"), part_time_pupils=mix["half_term"].map(part_time).fillna(0).astype("int64"))


def completeness_by_area(quality: pd.DataFrame, floor: float) -> pd.DataFrame:
    """Completeness of the registers of each area over the study, and its poorest half-term.

    Parameters
    ----------
    quality : DataFrame
        Table ``register_quality``.
    floor : float
        Completeness (%) below which a half-term is counted as thin.

    Returns
    -------
    DataFrame
        Table ``completeness_by_area``: ``area_name, pupils`` (the fewest of a half-term), ``completeness`` (pooled, %), ``lowest`` (%),
        ``lowest_half_term, thin_half_terms``; no rows where totals were supplied in place of marks.
    """
    rows = quality.loc[quality["sessions_expected"].fillna(0) > 0].astype({"sessions_expected": "int64", "sessions_marked": "int64"})
    pooled = rows.groupby("area_name")[["sessions_marked", "sessions_expected"]].sum()
    lowest = rows.loc[rows.groupby("area_name")["completeness"].idxmin()].set_index("area_name")
    thin = rows["completeness"].lt(floor).groupby(rows["area_name"]).sum()
    table = pooled.assign(
        pupils=rows.groupby("area_name")["pupils"].min(),
        completeness=percentage(pooled["sessions_marked"], pooled["sessions_expected"]).clip(upper=100.0),
        lowest=lowest["completeness"], lowest_half_term=lowest["half_term"], thin_half_terms=thin)
    return table.reset_index()[["area_name", "pupils", "completeness", "lowest", "lowest_half_term", "thin_half_terms"]]


def reject_summary(rejects: pd.DataFrame) -> pd.DataFrame:
    """Rejected rows by table, column and rule, the commonest first.

    Parameters
    ----------
    rejects : DataFrame
        Table ``intake_rejects``.

    Returns
    -------
    DataFrame
        ``table, column, rule, rows, mend``.
    """
    table = rejects.groupby(["table", "column", "rule", "mend"], as_index=False).agg(rows=("file_row", "nunique"))
    return table.sort_values(["rows", "table", "column", "rule"], ascending=[False, True, True, True], ignore_index=True)[
        ["table", "column", "rule", "rows", "mend"]]
