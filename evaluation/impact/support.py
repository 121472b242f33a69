"""Support as it was given: fidelity to the programme's design, barriers found and resolved, and mentors' caseloads.

Descriptive throughout: a barrier that was resolved, or a component that was met, is no effect of the programme on attendance.
"""

from __future__ import annotations

import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.delivery import ALL, LEVELS, identification
from evaluation.protocol.trial import DeliverySection

EVERY, CONSENT, SOON, OFTEN, LONG = "every component", "agreement of a parent or carer", "first meeting in time", "meetings often enough", "support long enough"


def delivery_fidelity(delivery: pd.DataFrame, *, rules: DeliverySection) -> pd.DataFrame:
    """Table ``delivery_fidelity``: how many referrals that started had each registered component of support.

    Parameters
    ----------
    delivery : DataFrame
        From :func:`evaluation.impact.delivery.referral_delivery`.
    rules : DeliverySection

    Returns
    -------
    DataFrame
        ``level, area_code, area_name, delivery_model`` ("all" where a row is not split), ``component, schools`` (of them), ``started`` (referrals), ``known`` (of these, with
        what the component needs: support that has not ended has no length), ``met, share`` (of known), ``identification``. A referral
        that led to no first meeting has not met it in time. "every component" counts referrals of which all are known.
    """
    started = delivery.loc[delivery["started"]].reset_index(drop=True)
    weeks = started["weeks"].astype("Float64")
    often = (started["meetings_kept"] >= rules.meetings_per_week * weeks).astype("boolean")
    soon = started["days_to_first_meeting"].le(rules.first_meeting_within_days).fillna(False).astype("boolean")
    components = {CONSENT: started["consented"].astype("boolean"), SOON: soon, OFTEN: often, LONG: weeks.ge(rules.completion_minimum_weeks).astype("boolean")}
    whole = pd.DataFrame(components)
    components[EVERY] = whole.all(axis=1, skipna=False).astype("boolean").mask(whole.isna().any(axis=1))
    said = identification(delivery, minimum_models=rules.within_area_minimum_models)
    parts = []
    for level, keys in LEVELS.items():
        for component, met in components.items():
            table = started.assign(known=met.notna().astype(int), met=met.fillna(False).astype(int), all_rows=1)
            grouped = table.groupby(keys or "all_rows")[["all_rows", "known", "met"]].sum().assign(schools=table.groupby(keys or "all_rows")["school_id"].nunique())
            grouped = grouped.rename(columns={"all_rows": "started"}).reset_index()
            parts.append(grouped.assign(level=level, component=component))
    table = pd.concat(parts, ignore_index=True)
    for key in ("area_code", "delivery_model"):
        table[key] = table[key].fillna(ALL) if key in table else ALL
    names = delivery.drop_duplicates("area_code").set_index("area_code")["area_name"].to_dict() | {ALL: "All areas"}
    table["area_name"] = table["area_code"].map(names)
    table["share"] = (table["met"] / table["known"].where(table["known"] > 0)).astype(float)
    table["identification"] = table["delivery_model"].map(said).fillna("not a comparison of models")
    return table[["level", "area_code", "area_name", "delivery_model", "component", "schools", "started", "known", "met", "share", "identification"]]


def delivery_barriers(barriers: pd.DataFrame, delivery: pd.DataFrame) -> pd.DataFrame:
    """Table ``delivery_barriers``: what stood in the way of attendance, among pupils who started, and what was resolved.

    Parameters
    ----------
    barriers : DataFrame
        Table ``barrier_list``.
    delivery : DataFrame
        From :func:`evaluation.impact.delivery.referral_delivery`.

    Returns
    -------
    DataFrame
        ``area_code, area_name`` ("all"), ``barrier_type`` ("any" for pupils with any barrier), ``pupils_started, pupils_assessed`` (with any barrier
        recorded), ``pupils`` (with this one), ``share`` (of pupils assessed), ``barriers, resolved, share_resolved, median_days_to_resolve``. Barriers
        of pupils who did not start are left out. Pupils with several barriers are in several rows, so rows are not to be added up.

    Raises
    ------
    DataError
        A barrier was resolved before it was assessed.
    """
    backwards = (barriers["resolved_on"] < barriers["assessed_on"]).fillna(False).astype(bool)
    if backwards.any():
        raise DataError(f"resolved before it was assessed; {int(backwards.sum())} barrier(s) break this rule",
                        where=f"barrier_list, barrier {barriers.loc[backwards, 'barrier_id'].iloc[0]}, column `resolved_on`", mend="correct the dates")
    started = delivery.loc[delivery["started"], ["pupil_id", "area_code", "area_name"]].drop_duplicates("pupil_id")
    own = barriers.merge(started, on="pupil_id", how="inner", validate="many_to_one")
    own = own.assign(days=(own["resolved_on"] - own["assessed_on"]).dt.days.astype("Float64"))
    places = [(ALL, "All areas", started, own)]
    names = started.drop_duplicates("area_code").set_index("area_code")["area_name"]
    places += [(code, names[code], started.loc[started["area_code"] == code], own.loc[own["area_code"] == code]) for code in sorted(names.index)]
    lines = []
    for code, name, pupils, found in places:
        known = {"area_code": code, "area_name": name, "pupils_started": len(pupils), "pupils_assessed": found["pupil_id"].nunique()}
        lines.append({**known, "barrier_type": "any", **_barrier(found, known["pupils_assessed"])})
        lines += [{**known, "barrier_type": kind, **_barrier(rows, known["pupils_assessed"])} for kind, rows in found.groupby("barrier_type")]
    columns = ["area_code", "area_name", "barrier_type", "pupils_started", "pupils_assessed", "pupils", "share", "barriers", "resolved", "share_resolved",
               "median_days_to_resolve"]
    return pd.DataFrame(lines)[columns]


def _barrier(rows: pd.DataFrame, assessed: int) -> dict:
    resolved, days = int(rows["resolved"].astype(bool).sum()), rows["days"].dropna().astype(float)
    return {"pupils": rows["pupil_id"].nunique(), "share": rows["pupil_id"].nunique() / assessed if assessed else None, "barriers": len(rows),
            "resolved": resolved, "share_resolved": resolved / len(rows) if len(rows) else None,
            "median_days_to_resolve": float(days.median()) if len(days) else None}


def delivery_caseload(referrals: pd.DataFrame, meetings: pd.DataFrame, schools: pd.DataFrame) -> pd.DataFrame:
    """Table ``delivery_caseload``: pupils whom a mentor supports at once, and over the study.

    A pupil is on a mentor's caseload from the start of support to its end; support that has not ended lasts to the last day that any
    meeting is recorded.

    Parameters
    ----------
    referrals, meetings, schools : DataFrame
        Tables ``referral_list, meeting_list`` and ``school_list``.

    Returns
    -------
    DataFrame
        ``area_code, area_name`` ("all"), ``mentors, pupils`` (who started with a named mentor), ``without_mentor`` (who started, no mentor named),
        ``schools_per_mentor`` (mean), ``pupils_per_mentor`` (median over the study), ``median_most_at_once, most_at_once`` (largest
        caseload of a day: median over mentors, and the largest), ``mean_at_once`` (mean over the days on which a mentor has anyone).
    """
    started = referrals.loc[referrals["started"].astype("boolean").fillna(False) & referrals["start_date"].notna()]
    started = started.merge(schools[["school_id", "area_code", "area_name"]], on="school_id", how="left", validate="many_to_one")
    last = max(meetings["meeting_date"].max(), started["start_date"].max()) if len(meetings) else started["start_date"].max()
    named = started.loc[started["mentor_id"].notna()].assign(end=lambda f: f["end_date"].fillna(last))
    by_mentor = pd.DataFrame([{"mentor_id": mentor, "area_code": own["area_code"].mode().iloc[0], "schools": own["school_id"].nunique(),
                               "pupils": own["pupil_id"].nunique(), **_at_once(own)} for mentor, own in named.groupby("mentor_id")])
    names = started.drop_duplicates("area_code").set_index("area_code")["area_name"]
    lines = []
    for code in (ALL, *sorted(names.index)):
        mentors = by_mentor if code == ALL or by_mentor.empty else by_mentor.loc[by_mentor["area_code"] == code]
        pupils = started if code == ALL else started.loc[started["area_code"] == code]
        known = len(mentors) > 0
        lines.append({"area_code": code, "area_name": "All areas" if code == ALL else names[code], "mentors": len(mentors),
                      "pupils": int(pupils.loc[pupils["mentor_id"].notna(), "pupil_id"].nunique()),
                      "without_mentor": int(pupils.loc[pupils["mentor_id"].isna(), "pupil_id"].nunique()),
                      "schools_per_mentor": float(mentors["schools"].mean()) if known else None,
                      "pupils_per_mentor": float(mentors["pupils"].median()) if known else None,
                      "median_most_at_once": float(mentors["most"].median()) if known else None,
                      "most_at_once": int(mentors["most"].max()) if known else None,
                      "mean_at_once": float(mentors["pupil_days"].sum() / mentors["days"].sum()) if known else None})
    return pd.DataFrame(lines)


def _at_once(own: pd.DataFrame) -> dict[str, int]:
    """Largest number of pupils on one day, and pupil-days over days with anyone; a pupil counts on first and last day of support."""
    day = pd.Timedelta(days=1)
    steps = pd.concat([pd.Series(1, index=pd.DatetimeIndex(own["start_date"])), pd.Series(-1, index=pd.DatetimeIndex(own["end"] + day))])
    at = steps.groupby(level=0).sum().sort_index().cumsum()
    lasting = pd.Series(at.index, index=at.index).diff().shift(-1).dt.days.fillna(0).astype(int)
    return {"most": int(at.max()), "pupil_days": int((at * lasting).sum()), "days": int(lasting[at > 0].sum())}
