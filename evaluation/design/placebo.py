"""A cohort of before the programme, and the weights of placebos that stand in for referral."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.balance import effective_sample_size
from evaluation.design.cohort import build_cohort, school_places
from evaluation.design.covariates import numeric_columns
from evaluation.design.grid import panel_grid
from evaluation.design.propensity import fit_logit, redundant_columns
from evaluation.design.registered import KEY
from evaluation.design.windows import Windows
from evaluation.errors import UnidentifiedError
from evaluation.protocol.trial import CohortSection

COLUMNS = ["stack", "pupil_id", "school_id", "area_code", "mentor_school", "entry", "year_group", "sex", "fsm", "sen", "idaci", "window_absence_rate",
           "baseline_possible", "baseline_rate", "followup_possible", "followup_rate", "change", "half_terms_measured", "within_area"]


@dataclass(frozen=True)
class PlaceboCohort:
    """The cohort of before the programme.

    Attributes
    ----------
    frame : DataFrame
        Table ``placebo_cohort``: analysed rows, ``mentor_school`` where the school had mentors later; no rows where none can be built.
    reason : str or None
        Why it has no rows.
    """

    frame: pd.DataFrame
    reason: str | None


def placebo_windows(rules: CohortSection) -> Windows:
    """Windows of the placebo cohort: symmetric around the eligibility window, and short enough to end before mentors began.

    They need not be the same half-terms one year apart: both arms share whatever the time of year does.
    """
    first, gap, length = 1 - rules.window_length, rules.placebo_gap, rules.placebo_measured_length
    return Windows(eligibility=tuple(range(first, 1)), baseline=tuple(range(first - gap - length, first - gap)),
                   follow_up=tuple(range(gap + 1, gap + length + 1)))


def placebo_cohort(panel: pd.DataFrame, enrolments: pd.DataFrame, schools: pd.DataFrame, *, rules: CohortSection) -> PlaceboCohort:
    """Build the cohort as if mentors had come earlier, from half-terms that all lie before they did.

    Every area's opening is moved back by the registered number of half-terms; entry, exclusions and measurement follow the study's rule.
    Only windows whose follow-up ends before the area really opened are kept, so that nobody in them had a mentor, and areas that are not open
    early enough drop out.

    Parameters
    ----------
    panel, enrolments, schools : DataFrame
        Tables ``panel``, ``enrolments`` and ``school_list``.
    rules : CohortSection

    Returns
    -------
    PlaceboCohort

    Raises
    ------
    DataError
        As :func:`evaluation.design.cohort.build_cohort`.
    """
    windows, shift = placebo_windows(rules), rules.placebo_half_terms_earlier
    grid = panel_grid(panel, schools)
    begins = int(np.flatnonzero((grid.school >= 0).any(axis=0))[0])
    places = school_places(schools.reset_index(drop=True), rules)
    opening = pd.Series(places["area_open"].to_numpy(), index=schools["school_id"].to_numpy())
    last = opening - 1 - windows.follow_up[-1]
    first = begins - windows.baseline[0]
    early = opening.index[last.to_numpy() >= first]
    kept = schools.loc[schools["school_id"].isin(early)].reset_index(drop=True)
    if not kept["mentor_school"].astype(bool).any():
        return PlaceboCohort(pd.DataFrame(columns=COLUMNS), f"the registers begin in half-term {begins}, so no area with mentors has a window that holds a "
                             "baseline before it and a follow-up that ends before mentors came; registers of an earlier year would give one")
    moved = kept.assign(first_mentor_half_term=(kept["first_mentor_half_term"].astype("Int64") - shift).clip(lower=1))
    default = None if rules.opening_without_mentors is None else max(rules.opening_without_mentors - shift, 1)
    finite = last[early][np.isfinite(last[early])]
    shifted = rules.model_copy(update={"first_window_half_term": first, "last_window_half_term": int(finite.max()), "opening_without_mentors": default})
    nobody = pd.DataFrame({"referral_id": pd.Series(dtype="str"), "pupil_id": pd.Series(dtype="str"), "school_id": pd.Series(dtype="str"),
                           "referral_date": pd.Series(dtype="datetime64[ns]"), "referral_half_term": pd.Series(dtype="Int64"),
                           "consented": pd.Series(dtype="boolean"), "started": pd.Series(dtype="boolean")})
    own = panel.loc[panel["school_id"].isin(early)]
    try:
        frame = build_cohort(own, enrolments, moved, nobody, rules=shifted, windows=windows).frame
    except UnidentifiedError as error:
        return PlaceboCohort(pd.DataFrame(columns=COLUMNS), error.message)
    frame = frame.loc[frame["analysed"] & (frame["stack"] <= frame["school_id"].map(last))]
    return PlaceboCohort(frame[COLUMNS].sort_values(KEY, kind="stable", ignore_index=True), None)


def placebo_weights(cohort: pd.DataFrame, placebo: pd.DataFrame, *, score_covariates: list[str]) -> pd.DataFrame:
    """Weights of the placebo cohort and of the placebo referral.

    Both rest on the risk of referral that the registered score predicts in schools with mentors of the study proper. The cohort's arms are weighted by
    that risk. In the placebo referral each pupil of a school without mentors stands twice: as if referred, with weight p, its risk, and as if passed
    over, with weight 1 - p. That is the average over all draws of such referrals, and no draw is needed. Nobody was referred, so the two sides change
    alike if being chosen for the window and for stable characteristics leaves no trace in the change, whatever p is; no score is matched on, for
    then the two sides would be equal by construction. Pupils enter at their first window, as in the offer effect.

    Parameters
    ----------
    cohort, placebo : DataFrame
        Tables ``cohort`` and ``placebo_cohort``.
    score_covariates : list of str
        Of the registered score.

    Returns
    -------
    DataFrame
        Table ``placebo_weights``: ``check`` ("cohort", "cohort_every_window", "referral"), ``stack, pupil_id, treated, weight``; inside areas and
        stacks that hold both sides, comparison weights add up to the treated ones.

    No rows where no risk of referral can be fitted.
    """
    rows = cohort.loc[cohort["analysed"] & cohort["within_area"] & (cohort["entry"] == "first")].reset_index(drop=True)
    early = placebo.loc[placebo["within_area"]].reset_index(drop=True)
    together = pd.concat([rows, early], ignore_index=True) if len(early) else rows
    study, offered = np.arange(len(together)) < len(rows), together["mentor_school"].to_numpy(dtype=bool)
    referred = np.zeros(len(together), dtype=bool)
    referred[study] = rows["referred"].to_numpy(dtype=bool)
    if len(set(referred[study & offered])) < 2:
        return pd.DataFrame(columns=["check", *KEY, "treated", "weight"])
    try:
        risk = _risk(together, score_covariates, referred, study & offered)
    except UnidentifiedError:
        return pd.DataFrame(columns=["check", *KEY, "treated", "weight"])
    early = early.assign(treated=early["mentor_school"].astype(bool), weight=risk[~study])
    own = early.loc[early["entry"] == "first"]
    comparison, p = rows.loc[~offered[study]], risk[study & ~offered]
    sides = [comparison.assign(treated=True, weight=p), comparison.assign(treated=False, weight=1.0 - p)]
    return pd.concat([_scaled(own, "cohort"), _scaled(early, "cohort_every_window"), _scaled(pd.concat(sides), "referral")], ignore_index=True)


def _risk(data: pd.DataFrame, on: list[str], outcome: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Chance of referral predicted for all rows from a logit on some; columns that do not vary there are left out."""
    frame = numeric_columns(data.assign(year_group=data["year_group"].astype("category")), on, drop_first=True)
    return fit_logit(frame.drop(columns=redundant_columns(frame.loc[fitted])), outcome, fitted).probability.to_numpy()


def _scaled(rows: pd.DataFrame, check: str) -> pd.DataFrame:
    """Comparison weights scaled to the treated ones of area and stack; cells without both sides are left out."""
    cells = [rows["stack"], rows["area_code"]]
    of = {side: rows["weight"].where(rows["treated"] == side, 0.0).groupby(cells).transform("sum") for side in (True, False)}
    both = (of[True] > 0) & (of[False] > 0)
    weight = rows["weight"] * np.where(rows["treated"], 1.0, of[True] / of[False].where(both, 1.0))
    table = rows.assign(check=check, weight=weight).loc[both & (weight > 0), ["check", *KEY, "treated", "weight"]]
    return table.sort_values([*KEY, "treated"], kind="stable", ignore_index=True)


def placebo_counts(placebo: PlaceboCohort) -> pd.DataFrame:
    """Pupils of the placebo cohort at their first window and at every window; a single line with the reason where there is none.

    Returns
    -------
    DataFrame
        ``windows, areas, schools, mentored, comparison, note``.
    """
    lines = []
    for words, rows in (("first", placebo.frame.loc[placebo.frame["entry"] == "first"]), ("every", placebo.frame)):
        own = rows.loc[rows["within_area"].astype(bool)]
        lines.append({"windows": words, "areas": own["area_code"].nunique(), "schools": own["school_id"].nunique(),
                      "mentored": int(own["mentor_school"].sum()), "comparison": int((~own["mentor_school"].astype(bool)).sum()), "note": placebo.reason or ""})
    return pd.DataFrame(lines if placebo.reason is None else lines[:1])


def placebo_weight_counts(weights: pd.DataFrame) -> pd.DataFrame:
    """How many rows stand on either side of each placebo, and their weights.

    Returns
    -------
    DataFrame
        ``check, side, pupils, smallest, largest, effective_n`` (Kish).
    """
    words = {"cohort": "placebo cohort", "cohort_every_window": "placebo cohort, every window", "referral": "placebo referral"}
    lines = [{"check": words[check], "side": "as if treated" if treated else "comparison", "pupils": len(own), "smallest": own["weight"].min(),
              "largest": own["weight"].max(), "effective_n": effective_sample_size(own["weight"])}
             for (check, treated), own in weights.sort_values(["check", "treated"], ascending=[True, False]).groupby(["check", "treated"], sort=False)]
    return pd.DataFrame(lines, columns=["check", "side", "pupils", "smallest", "largest", "effective_n"])
