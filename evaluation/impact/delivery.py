"""What was delivered: whom the mentors reached, how soon they first met, and how much support was given.

Descriptive throughout. A delivery model that only one area or one school ran, or that never ran beside another
model in the same area, cannot be told apart from that place, and is labelled so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluation.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"
NO_MODEL = "not assigned"
LEVELS = {
    "programme": [],
    "area": ["area_code"],
    "delivery model": ["delivery_model"],
    "area and delivery model": ["area_code", "delivery_model"],
}
DAYS_IN_A_WEEK = 7


def referral_delivery(
    referrals: pd.DataFrame, meetings: pd.DataFrame, schools: pd.DataFrame, *, first_meeting_with: Sequence[str],
    completion_minimum_weeks: int,
) -> pd.DataFrame:
    """Put each referral beside the meetings that followed it.

    A meeting belongs to the pupil's latest referral on or before its date. Time to first meeting runs from the
    referral, not from the start of support, so that waiting is counted.

    Parameters
    ----------
    referrals : DataFrame
        Table ``referral_list``, one row per referral.
    meetings : DataFrame
        Table ``meeting_list``, one row per meeting.
    schools : DataFrame
        Table ``school_list``; gives the area of each referral's school.
    first_meeting_with : sequence of str
        Values of ``with_whom`` that count as a first meeting.
    completion_minimum_weeks : int
        Support that ran at least this long, start to end, counts as completed.

    Returns
    -------
    DataFrame
        One row per referral: ``referral_id, pupil_id, school_id, area_code, area_name, delivery_model, consented,
        started, completed, days_to_first_meeting`` (missing when there was none), ``meetings_arranged,
        meetings_kept, minutes`` (of kept meetings), ``weeks`` (start to end; missing without both dates).

    Raises
    ------
    DataError
        A referral's school is not in the list of schools, or support ends before it starts.
    """
    import pandas as pd

    table = referrals.merge(schools[["school_id", "area_code", "area_name"]], on="school_id", how="left", validate="many_to_one")
    _check_referrals(table)
    table["delivery_model"] = table["delivery_model"].astype("str").where(table["delivery_model"].notna(), NO_MODEL)
    linked = link_meetings(table, meetings)
    kept = linked.loc[linked["kept"].astype(bool)]
    first = kept.loc[kept["with_whom"].isin(list(first_meeting_with))].groupby("referral_id")["meeting_date"].min()
    met_on = pd.Series(first.reindex(table["referral_id"]).to_numpy(), index=table.index)
    table["days_to_first_meeting"] = (met_on - table["referral_date"]).dt.days.astype("Float64")
    counts = {"meetings_arranged": linked.groupby("referral_id").size(), "meetings_kept": kept.groupby("referral_id").size(),
              "minutes": kept.groupby("referral_id")["minutes"].sum()}
    for name, values in counts.items():
        table[name] = table["referral_id"].map(values).fillna(0).astype("int64")
    table["weeks"] = ((table["end_date"] - table["start_date"]).dt.days / DAYS_IN_A_WEEK).astype("Float64")
    for name in ("consented", "started"):
        table[name] = table[name].fillna(False).astype(bool)
    table["completed"] = table["started"] & table["weeks"].ge(completion_minimum_weeks).fillna(False).astype(bool)
    columns = ["referral_id", "pupil_id", "school_id", "area_code", "area_name", "delivery_model", "consented", "started", "completed",
               "days_to_first_meeting", "meetings_arranged", "meetings_kept", "minutes", "weeks"]
    return pd.DataFrame(table[columns]).sort_values("referral_id", ignore_index=True)


def _check_referrals(table: pd.DataFrame) -> None:
    homeless = table["area_code"].isna()
    backwards = (table["end_date"] < table["start_date"]).fillna(False).astype(bool)
    for broken, column, said in ((homeless, "school_id", "its school is not in the list of schools"),
                                 (backwards, "end_date", "support ends before it starts")):
        if broken.any():
            row = table.loc[broken].iloc[0]
            raise DataError(f"{said}; {int(broken.sum())} referral(s) break this rule",
                            where=f"referral_list, referral {row['referral_id']}, column `{column}`",
                            mend="correct the referral, or supply the school")


def link_meetings(referrals: pd.DataFrame, meetings: pd.DataFrame) -> pd.DataFrame:
    """Give each meeting the pupil's latest referral on or before its date.

    Returns
    -------
    DataFrame
        The meetings with ``referral_id``; it is missing where the pupil had not been referred by then.
    """
    import pandas as pd

    left = meetings.sort_values(["meeting_date", "meeting_id"], kind="stable")
    right = referrals[["pupil_id", "referral_id", "referral_date"]].sort_values(["referral_date", "referral_id"], kind="stable")
    return pd.merge_asof(left, right, left_on="meeting_date", right_on="referral_date", by="pupil_id", direction="backward")


def identification(delivery: pd.DataFrame, *, minimum_models: int) -> pd.Series:
    """Say for each delivery model what a difference between models could mean.

    Parameters
    ----------
    delivery : DataFrame
        From :func:`referral_delivery`; only referrals that started are looked at.
    minimum_models : int
        Models that one area must run side by side for models to be compared inside it.

    Returns
    -------
    Series
        Text by delivery model.
    """
    started = delivery.loc[delivery["started"]]
    places = started.groupby("delivery_model").agg(areas=("area_code", "nunique"), schools=("school_id", "nunique"))
    side_by_side = started.groupby("area_code")["delivery_model"].transform("nunique").ge(minimum_models)
    shared = started.loc[side_by_side].groupby("delivery_model")["area_code"].nunique().reindex(places.index, fill_value=0)
    said = places["areas"].astype("object").rename("identification")
    said[:] = "descriptive: models ran side by side, but were not allocated at random"
    said[shared.eq(0)] = "not identified: never beside another model in the same area"
    said[places["areas"].eq(1)] = "not identified: in one area only"
    said[places["schools"].eq(1)] = "not identified: in one school only"
    return said


def delivery_reach(delivery: pd.DataFrame, cohort: pd.DataFrame, *, minimum_models: int) -> pd.DataFrame:
    """Count who was reached, for the programme, by area, by delivery model, and by both.

    Pupils are counted once in each row; a pupil referred to two models is in both models' rows, so rows are not
    to be added up. Eligible pupils are those of the cohort, have no model and are given by area only; pupils referred
    outside the cohort's windows or rule are in ``referred`` alone.

    Parameters
    ----------
    delivery : DataFrame
        From :func:`referral_delivery`.
    cohort : DataFrame
        Table ``cohort``; eligible pupils in schools with mentors.
    minimum_models : int
        See :func:`identification`.

    Returns
    -------
    DataFrame
        Table ``delivery_reach``: ``level, area_code, area_name, delivery_model`` ("all" where a row is not split),
        ``schools, eligible, eligible_referred`` (of the eligible, those ever referred), ``referrals, referred, consented,
        started, completed, share_started`` (of referred; missing by delivery model where only starters have one),
        ``share_completed`` (of started), ``first_meetings, median_days_to_first_meeting,
        quarter_met_by_days, three_quarters_met_by_days`` (among pupils who met a mentor), ``identification``.
    """
    import pandas as pd

    offered = cohort.loc[cohort["mentor_school"].astype(bool) & cohort["eligible"].astype(bool)]
    counts = {"eligible": offered, "eligible_referred": offered.loc[offered["pupil_id"].isin(delivery["pupil_id"])]}
    said = identification(delivery, minimum_models=minimum_models)
    known_before_start = delivery.loc[~delivery["started"], "delivery_model"].ne(NO_MODEL).any()
    parts = []
    for level, keys in LEVELS.items():
        table = _by(delivery, keys, _reach_of)
        if "delivery_model" in keys and not known_before_start:
            table["share_started"] = None   # a model known only for pupils who start says nothing about starting
        for name, pupils in counts.items():
            if keys == []:
                table[name] = pupils["pupil_id"].nunique()
            elif keys == ["area_code"]:
                table[name] = table["area_code"].map(pupils.groupby("area_code")["pupil_id"].nunique()).fillna(0)
            else:
                table[name] = pd.NA
        parts.append(_name_rows(table, level, delivery, said))
    columns = ["level", "area_code", "area_name", "delivery_model", "schools", "eligible", "eligible_referred", "referrals", "referred", "consented", "started",
               "completed", "share_started", "share_completed", "first_meetings", "median_days_to_first_meeting", "quarter_met_by_days",
               "three_quarters_met_by_days", "identification"]
    table = pd.concat(parts, ignore_index=True)[columns]
    return table.astype({name: "Int64" for name in counts})


def delivery_dose(delivery: pd.DataFrame, *, minimum_models: int) -> pd.DataFrame:
    """Describe how much support was given to pupils who started it: meetings, minutes and weeks.

    Observational: pupils who stayed longer differ from those who left, so more meetings beside a larger change is
    no effect of more meetings.

    Parameters
    ----------
    delivery : DataFrame
        From :func:`referral_delivery`.
    minimum_models : int
        See :func:`identification`.

    Returns
    -------
    DataFrame
        Table ``delivery_dose``: ``level, area_code, area_name, delivery_model, schools, pupils, meetings_arranged, meetings_kept,
        share_kept, median_meetings_kept, quarter_meetings_kept, three_quarters_meetings_kept, median_minutes,
        minutes_per_meeting, median_weeks`` (per referral that started), ``identification``.
    """
    import pandas as pd

    said = identification(delivery, minimum_models=minimum_models)
    started = delivery.loc[delivery["started"]]
    parts = [_name_rows(_by(started, keys, _dose_of), level, delivery, said) for level, keys in LEVELS.items()]
    columns = ["level", "area_code", "area_name", "delivery_model", "schools", "pupils", "meetings_arranged", "meetings_kept", "share_kept",
               "median_meetings_kept", "quarter_meetings_kept", "three_quarters_meetings_kept", "median_minutes", "minutes_per_meeting",
               "median_weeks", "identification"]
    return pd.concat(parts, ignore_index=True)[columns]


def _by(delivery: pd.DataFrame, keys: list[str], summarise) -> pd.DataFrame:
    """One row a group (or one for everything), with the group's keys as columns."""
    import pandas as pd

    if not keys:
        return pd.DataFrame([summarise(delivery)])
    rows = [{**dict(zip(keys, name, strict=True)), **summarise(group)} for name, group in delivery.groupby(keys)]
    return pd.DataFrame(rows, columns=[*keys, *summarise(delivery)])


def _name_rows(table: pd.DataFrame, level: str, delivery: pd.DataFrame, said: pd.Series) -> pd.DataFrame:
    """Fill in the keys that a row is not split by, the area's name, and what a comparison of models could mean."""
    table = table.assign(level=level)
    for key in ("area_code", "delivery_model"):
        if key not in table:
            table[key] = ALL
    names = delivery.drop_duplicates("area_code").set_index("area_code")["area_name"]
    table["area_name"] = table["area_code"].map(names.to_dict() | {ALL: "All areas"}).astype("str")
    by_model = table["delivery_model"].map(said).astype("object")
    unmodelled = by_model.where(table["delivery_model"].isin([ALL, NO_MODEL]), "not identified: nobody started")
    table["identification"] = by_model.where(by_model.notna(), unmodelled.where(unmodelled.notna(), "not a comparison of models"))
    return table


def _reach_of(group: pd.DataFrame) -> dict[str, float | int | None]:
    pupils = {name: int(group.loc[group[name], "pupil_id"].nunique()) for name in ("consented", "started", "completed")}
    referred = int(group["pupil_id"].nunique())
    met = group["days_to_first_meeting"].dropna().astype(float)
    return {
        "schools": int(group["school_id"].nunique()), "referrals": len(group), "referred": referred, **pupils,
        "share_started": pupils["started"] / referred if referred else None,
        "share_completed": pupils["completed"] / pupils["started"] if pupils["started"] else None,
        "first_meetings": len(met), "median_days_to_first_meeting": _quantile(met, 0.5),
        "quarter_met_by_days": _quantile(met, 0.25), "three_quarters_met_by_days": _quantile(met, 0.75),
    }


def _dose_of(group: pd.DataFrame) -> dict[str, float | int | None]:
    arranged, kept = int(group["meetings_arranged"].sum()), int(group["meetings_kept"].sum())
    meetings = group["meetings_kept"].astype(float)
    return {
        "schools": int(group["school_id"].nunique()), "pupils": int(group["pupil_id"].nunique()), "meetings_arranged": arranged, "meetings_kept": kept,
        "share_kept": kept / arranged if arranged else None,
        "median_meetings_kept": _quantile(meetings, 0.5), "quarter_meetings_kept": _quantile(meetings, 0.25),
        "three_quarters_meetings_kept": _quantile(meetings, 0.75), "median_minutes": _quantile(group["minutes"].astype(float), 0.5),
        "minutes_per_meeting": float(group["minutes"].sum()) / kept if kept else None,
        "median_weeks": _quantile(group["weeks"].dropna().astype(float), 0.5),
    }


def _quantile(values: pd.Series, share: float) -> float | None:
    return float(values.quantile(share)) if len(values) else None
