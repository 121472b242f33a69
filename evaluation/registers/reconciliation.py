"""Counts held against totals that the supplier gives, and this study's definitions against the official ones."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from .grid import SchoolGrid
from .panel import PERSISTENT_TIMES, SEVERE_TIMES, percentage
from .periods import GIVEN, half_term_numbers

if TYPE_CHECKING:
    import pandas as pd

LAST_YEAR_GROUP = 11
KEYS = ["school_id", "academic_year", "period_kind", "period"]
OFFICIAL = "official: enrolments, Year 11 without its last half-term"
ALL_ENROLMENTS = "enrolments, every half-term"
ANALYSIS = "this study: pupils, every half-term"


def reconcile_periods(enrolments: pd.DataFrame | None, periods: pd.DataFrame, calendars: pd.DataFrame, grid: SchoolGrid) -> pd.DataFrame:
    """Sessions counted from marks beside the totals supplied, by school and period.

    Parameters
    ----------
    enrolments : DataFrame or None
        ``pupil_id, school_id, half_term`` and counts of sessions; None where there are no marks to count.
    periods : DataFrame
        Accepted rows of extract table ``absence_by_period``.
    calendars : DataFrame
        ``school_id, area_code, calendar``.

    Returns
    -------
    DataFrame
        Table ``absence_reconciliation``: for each school and period that totals were supplied for, pupils and sessions of
        both sources, how many pupils differ, and differences (counted less supplied). No rows where there is nothing to compare.
    """
    import pandas as pd

    columns = [*KEYS, "pupils_counted", "pupils_supplied", "pupils_different"]
    columns += [f"{name}_{source}" for name in GIVEN for source in ("counted", "supplied", "difference")]
    if enrolments is None or periods.empty:
        return pd.DataFrame({name: pd.Series([], dtype="str" if name in KEYS[:3] else "int64") for name in columns})
    half_term_numbers(periods, calendars, grid)
    wanted = periods[KEYS].drop_duplicates()
    counted = _counted(enrolments, calendars, grid, wanted["period_kind"].unique())
    both = periods.merge(counted.merge(wanted, on=KEYS), on=["pupil_id", *KEYS], how="outer", suffixes=("_supplied", "_counted"), indicator=True)
    both["pupils_counted"], both["pupils_supplied"] = both["_merge"].ne("left_only"), both["_merge"].ne("right_only")
    sums = {f"{name}_{source}": both[f"{name}_{source}"].fillna(0).astype("int64") for name in GIVEN for source in ("supplied", "counted")}
    both = both.drop(columns=list(sums)).assign(**sums)
    both["pupils_different"] = pd.concat([sums[f"{name}_counted"] != sums[f"{name}_supplied"] for name in GIVEN], axis=1).any(axis=1)
    table = both.groupby(KEYS, as_index=False)[["pupils_counted", "pupils_supplied", "pupils_different", *sums]].sum()
    for name in GIVEN:
        table[f"{name}_difference"] = table[f"{name}_counted"] - table[f"{name}_supplied"]
    return table[columns].astype({name: "int64" for name in columns if name not in KEYS[:3]})


def _counted(enrolments: pd.DataFrame, calendars: pd.DataFrame, grid: SchoolGrid, kinds: Collection[str]) -> pd.DataFrame:
    """Sessions of each enrolment by the wanted kinds of period, in the columns of ``absence_by_period``."""
    import pandas as pd

    openings = grid.openings.assign(period=grid.openings.groupby(["calendar", "academic_year"])["half_term"].rank(method="first").astype("int64"))
    rows = enrolments.merge(calendars[["school_id", "calendar"]], on="school_id").merge(openings[["calendar", "half_term", "period"]], on=["calendar", "half_term"])
    rows = rows.assign(period_kind="half_term", sessions_possible=_possible(rows))
    both = pd.concat([r for kind, r in (("half_term", rows), ("term", rows.assign(period_kind="term", period=(rows["period"] + 1) // 2))) if kind in kinds])
    sums = both.groupby(["pupil_id", *KEYS], as_index=False)[list(GIVEN)].sum()
    return sums.loc[sums["sessions_possible"] > 0]


def _possible(counts: pd.DataFrame) -> pd.Series:
    return counts["sessions_attending"] + counts["sessions_approved_activity"] + counts["sessions_authorised"] + counts["sessions_unauthorised"]


def official_measures(enrolments: pd.DataFrame, panel: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """Absence of each academic year by the official definitions and by this study's.

    Parameters
    ----------
    enrolments : DataFrame
        ``pupil_id, school_id, year_group, half_term, academic_year`` and counts of sessions.
    panel, terms : DataFrame
        Tables ``panel`` and ``calendar_used``.

    Returns
    -------
    DataFrame
        Table ``measure_reconciliation``: by academic year and definition, how many units with a possible session, how many
        without one (left out), how many begun in the last half-term (left out of the official figures), the pooled rate
        (sessions absent of sessions possible), the mean of the units' own rates, and the shares absent for 10% and for 50%
        or more (% each).

    Notes
    -----
    Department for Education, "Pupil absence in schools in England: methodology": the unit is the enrolment, enrolments
    without a possible session and those begun in the second half of the summer term are left out, and Year 11 is counted
    without that half-term.
    """
    import pandas as pd

    rows = enrolments.assign(possible=_possible(enrolments), absent=enrolments["sessions_authorised"] + enrolments["sessions_unauthorised"])
    closing = terms.loc[terms["term"].eq("summer") & terms["half"].eq(2), "half_term"].unique()
    late = rows.groupby(["pupil_id", "school_id", "academic_year"])["half_term"].transform("min").isin(closing)
    leavers = rows["half_term"].isin(closing) & rows["year_group"].eq(LAST_YEAR_GROUP)
    own = panel.assign(possible=panel["sessions_possible"], absent=panel["sessions_authorised"] + panel["sessions_unauthorised"])
    unit = ["academic_year", "pupil_id", "school_id"]
    parts = [
        _measures(rows.loc[~leavers & ~late], unit, OFFICIAL, rows.loc[late].drop_duplicates(unit).groupby("academic_year").size()),
        _measures(rows, unit, ALL_ENROLMENTS, None), _measures(own, unit[:2], ANALYSIS, None),
    ]
    return pd.concat(parts, ignore_index=True)


def _measures(rows: pd.DataFrame, unit: list[str], definition: str, late: pd.Series | None) -> pd.DataFrame:
    year = rows.groupby(unit, as_index=False)[["possible", "absent"]].sum()
    some = year.loc[year["possible"] > 0]
    some = some.assign(rate=percentage(some["absent"], some["possible"]), persistent=PERSISTENT_TIMES * some["absent"] >= some["possible"],
                       severe=SEVERE_TIMES * some["absent"] >= some["possible"])
    table = some.groupby("academic_year").agg(units=("possible", "size"), sessions_possible=("possible", "sum"), absent=("absent", "sum"),
                                              mean_rate=("rate", "mean"), persistent=("persistent", "sum"), severe=("severe", "sum"))
    table["left_out_no_session"] = (year["possible"] == 0).groupby(year["academic_year"]).sum().reindex(table.index)
    table["left_out_late"] = 0 if late is None else late.reindex(table.index).fillna(0)
    table["pooled_rate"] = percentage(table["absent"], table["sessions_possible"])
    table["persistent_absence"], table["severe_absence"] = (percentage(table[name], table["units"]) for name in ("persistent", "severe"))
    table = table.reset_index().assign(definition=definition)
    whole = ["units", "left_out_no_session", "left_out_late", "sessions_possible"]
    return table.astype({name: "int64" for name in whole})[["academic_year", "definition", *whole, "pooled_rate", "mean_rate", "persistent_absence", "severe_absence"]]


def reconciliation_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Differences from supplied totals by academic year and kind of period.

    Parameters
    ----------
    table : DataFrame
        Table ``absence_reconciliation``.

    Returns
    -------
    DataFrame
        ``academic_year, period_kind, compared`` and ``differing`` (schools by period), ``pupils_different`` and the sums of
        the differences of possible, authorised and unauthorised sessions.
    """
    rows = table.assign(compared=1, differing=table["pupils_different"].gt(0).astype("int64"))
    names = {f"{name}_difference": name for name in GIVEN}
    sums = rows.groupby(["academic_year", "period_kind"], as_index=False)[["compared", "differing", "pupils_different", *names]].sum()
    return sums.rename(columns=names)
