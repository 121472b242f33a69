"""Pupils lost between entry and follow-up: where, why, and what they could do to the headline."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evaluation.errors import UnidentifiedError
from evaluation.impact.bounds import lee_bounds, tipping_point, worst_case_bounds
from evaluation.impact.change import ChangeEstimate
from evaluation.impact.judge import figures_of
from evaluation.protocol.trial import ImpactSection

ARMS = {"referred": "referred pupils", "mentored": "other eligible pupils of schools with mentors", "comparison": "eligible pupils of comparison schools"}
LEE, WORST, TIPPING = "Lee bounds", "worst-case bounds", "tipping point"
ALL_SCHOOLS, ANY_REASON = "all", "any reason"

WORST_SAYS = "assumes nothing of pupils who were lost but that their absence lay between none and all of their sessions"
TIPPING_SAYS = "lost comparison pupils taken to have changed as those observed"
NOBODY_LOST = "no treated pupil was lost, so none can overturn the estimate"
NOT_ABOVE = "the estimate is not above zero, so there is no benefit for lost pupils to overturn"


def entered_rows(cohort: pd.DataFrame, used: pd.DataFrame, *, entries: str, referred_only: bool, within_area: bool) -> pd.DataFrame:
    """Everyone who could have been in an estimate: its cells' pupils at entry, lost ones included.

    Parameters
    ----------
    cohort : DataFrame
        Table ``cohort``.
    used : DataFrame
        The estimator's own rows: they say which stacks (and areas) it speaks of.
    entries : {"first", "matched_history", "risk_set"}
        Of referred pupils; everyone eligible enters at the first window.
    referred_only : bool
        Treated are referred pupils, else everyone eligible in schools with mentors.
    within_area : bool

    Returns
    -------
    DataFrame
        Rows of the cohort with ``treated``, ``retained`` and ``weight``: treated 1, comparison pupils together as much as the treated of
        their cell.
    """
    keys = ["stack", "area_code"] if within_area else ["stack"]
    rows = cohort.loc[(cohort["analysed"] | cohort["attrition"]) & ((cohort["entry"] == "first") | (entries != "first" and referred_only))]
    treated = rows["mentor_school"] & (rows["referred"] if referred_only else True)
    inside = (treated | ~rows["mentor_school"]) & rows["within_area" if within_area else "between_pool"]
    rows = rows.loc[inside].assign(treated=treated.loc[inside].astype("int64"), retained=rows.loc[inside, "analysed"])
    rows = rows.merge(used[keys].drop_duplicates(), on=keys, how="inner")
    counts = rows.groupby(keys)["treated"].agg(["sum", "size"])
    cells = pd.MultiIndex.from_frame(rows[keys]) if within_area else rows["stack"]
    here = counts.reindex(cells)
    rows["weight"] = np.where(rows["treated"] == 1, 1.0, here["sum"].to_numpy() / np.maximum(here["size"] - here["sum"], 1).to_numpy())
    return rows.loc[rows["weight"] > 0].reset_index(drop=True)


def attrition_schools(cohort: pd.DataFrame) -> pd.DataFrame:
    """Count pupils lost by arm, school and reason, at their first qualifying window.

    Returns
    -------
    DataFrame
        Table ``attrition_schools``: ``arm, school_id`` ("all" for the arm as a whole), ``area_code, reason`` ("any reason" for their sum),
        ``pupils`` (lost), ``of_pupils`` (could have been analysed), ``share`` (%).
    """
    rows = cohort.loc[(cohort["analysed"] | cohort["attrition"]) & (cohort["entry"] == "first")]
    arm = np.select([rows["mentor_school"] & rows["referred"], rows["mentor_school"]], ["referred", "mentored"], "comparison")
    rows = rows.assign(arm=arm, reason=rows["exclusion"].astype("object").where(rows["attrition"]))
    reasons = [ANY_REASON, *sorted(rows["reason"].dropna().unique())]
    places = [rows, rows.assign(school_id=ALL_SCHOOLS, area_code=ALL_SCHOOLS)]
    parts = []
    for part in places:
        entered = part.groupby(["arm", "school_id", "area_code"]).size()
        for reason in reasons:
            lost = part.loc[part["attrition"] & ((part["reason"] == reason) | (reason == ANY_REASON))].groupby(["arm", "school_id", "area_code"]).size()
            table = pd.DataFrame({"of_pupils": entered, "pupils": lost.reindex(entered.index, fill_value=0)}).reset_index()
            parts.append(table.assign(reason=reason))
    table = pd.concat(parts, ignore_index=True)
    table["share"] = 100.0 * table["pupils"] / table["of_pupils"]
    return table[["arm", "school_id", "area_code", "reason", "pupils", "of_pupils", "share"]]


def attrition_arms(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of table ``attrition_schools`` for arms as a whole, in words, and how far schools differ.

    Returns
    -------
    DataFrame
        ``arm, reason, pupils, of_pupils, share, highest_school`` (largest share of any school, for any reason; %).
    """
    whole = table.loc[table["school_id"] == ALL_SCHOOLS].copy()
    highest = table.loc[(table["school_id"] != ALL_SCHOOLS) & (table["reason"] == ANY_REASON)].groupby("arm")["share"].max()
    whole["highest_school"] = whole["arm"].map(highest).where(whole["reason"] == ANY_REASON)
    order = {arm: place for place, arm in enumerate(ARMS)}
    whole = whole.sort_values(["arm", "reason"], key=lambda s: s.map(order) if s.name == "arm" else s.ne(ANY_REASON), kind="stable")
    return whole.assign(arm=whole["arm"].map(ARMS))[["arm", "reason", "pupils", "of_pupils", "share", "highest_school"]].reset_index(drop=True)


def attrition_bounds(leading: Mapping[str, ChangeEstimate], cohort: pd.DataFrame, *, entries: str, rules: ImpactSection) -> pd.DataFrame:
    """Table ``attrition_bounds``: Lee bounds, worst-case bounds and tipping points of every leading estimate.

    Parameters
    ----------
    leading : mapping of str to ChangeEstimate
        By analysis; keys that start with "B" are about referred pupils.
    cohort : DataFrame
        Table ``cohort``.
    entries : {"first", "matched_history", "risk_set"}
    rules : ImpactSection

    Returns
    -------
    DataFrame
        ``analysis, method, estimate, lower, upper, conf_low, conf_high`` (points of sessions attended; of Lee bounds, an interval for the effect),
        ``retention_treated, retention_comparison, trimmed, share_trimmed, tipping`` (points by which lost treated pupils must have changed less
        than those observed, for the estimate to be zero), ``tipping_interval`` (for its interval to reach zero), ``possible`` (the largest such
        gap that lost pupils' baselines allow; missing where nobody was lost), ``n_treated, n_comparison`` (who entered), ``holds`` (bounds wholly above zero, or a gap beyond what is
        possible), ``text``.
    """
    lines = []
    for analysis, change in leading.items():
        within = "within_area" in analysis
        entered = entered_rows(cohort, change.rows, entries=entries, referred_only=analysis.startswith("B"), within_area=within)
        lines += _bounds_of(analysis, change, entered, rules)
    return pd.DataFrame(lines)


def _bounds_of(analysis: str, change: ChangeEstimate, entered: pd.DataFrame, rules: ImpactSection) -> list[dict]:
    rows = change.rows.assign(attended_change=-change.rows["change"].astype(float))
    lost = entered.loc[~entered["retained"]].assign(lowest=lambda f: f["baseline_rate"] - 100.0, highest=lambda f: f["baseline_rate"])
    empty = dict.fromkeys(("lower", "upper", "conf_low", "conf_high", "trimmed", "share_trimmed", "tipping", "tipping_interval", "possible", "holds"))
    own = figures_of(change, rules, within_area="within_area" in analysis)
    low = own["conf_low"]
    counts = {"n_treated": int((entered["treated"] == 1).sum()), "n_comparison": int((entered["treated"] == 0).sum())}
    try:
        lee = lee_bounds(rows, entered, outcome="attended_change", confidence_level=rules.confidence_level, df=change.df)
        worst = worst_case_bounds(rows, lost, entered, outcome="attended_change")
    except UnidentifiedError as error:
        return [{"analysis": analysis, "method": LEE, "estimate": change.estimate, **empty, "retention_treated": None, "retention_comparison": None,
                 **counts, "text": error.message}]
    known = {"analysis": analysis, **counts, "estimate": change.estimate, "retention_treated": lee.retention_treated,
             "retention_comparison": lee.retention_comparison}
    gone = lost.loc[lost["treated"] == 1]
    arm = rows.loc[rows["treated"] == 1]
    observed = float(np.average(arm["attended_change"], weights=arm["weight"]))
    possible = observed - float(np.average(gone["lowest"], weights=gone["weight"])) if len(gone) else None
    tips = {"tipping": tipping_point(change.estimate, lee.retention_treated), "tipping_interval": tipping_point(low, lee.retention_treated)}
    finite = {name: value if np.isfinite(value) else None for name, value in tips.items()}
    said = NOT_ABOVE if change.estimate <= 0 else NOBODY_LOST if possible is None else TIPPING_SAYS
    beyond = None if change.estimate <= 0 else possible is None or tips["tipping"] > possible
    return [
        {**known, **empty, "method": LEE, "lower": lee.lower, "upper": lee.upper, "conf_low": lee.conf_low, "conf_high": lee.conf_high,
         "trimmed": lee.trimmed, "share_trimmed": lee.share_trimmed, "holds": lee.lower > 0, "text": lee.monotonicity},
        {**known, **empty, "method": WORST, "lower": worst.lower, "upper": worst.upper, "holds": worst.lower > 0, "text": WORST_SAYS},
        {**known, **empty, "method": TIPPING, **finite, "possible": possible, "holds": beyond, "text": said},
    ]


def attrition_sentences(table: pd.DataFrame) -> list[str]:
    """What the bounds assume and what overturns each estimate, from table ``attrition_bounds``: a list item for each analysis.

    Parameters
    ----------
    table : DataFrame
        From :func:`attrition_bounds`.
    """
    said = []
    for analysis, rows in table.groupby("analysis", sort=False):
        by = rows.set_index("method")
        who = "Referred pupils" if analysis.startswith("B") else "All eligible pupils"
        kept = by.loc[LEE, ["retention_treated", "retention_comparison"]].astype(float)
        shares = "" if kept.isna().any() else f" ({100 * kept.iloc[0]:.1f}% kept, {100 * kept.iloc[1]:.1f}% of comparison pupils)"
        parts = [f"{who}{shares}: {by.loc[LEE, 'text']}."]
        if TIPPING in by.index:
            tip = by.loc[TIPPING]
            if tip["estimate"] <= 0 or pd.isna(tip["possible"]):
                parts.append(f"{tip['text'][:1].upper()}{tip['text'][1:]}.")
            else:
                parts.append(f"For the estimate to be zero, lost pupils must have changed {tip['tipping']:.1f} points less than those observed, and "
                             f"{tip['tipping_interval']:.1f} for its interval to reach zero; their baselines allow {tip['possible']:.1f} at most "
                             f"({tip['text']}).")
        said.append("- " + " ".join(parts))
    return said
