"""Spillover to pupils who were not referred, and contamination of schools that have no mentors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evaluation.design.registered import KEY
from evaluation.errors import UnidentifiedError
from evaluation.impact.change import ChangeEstimate
from evaluation.impact.judge import NOT_DONE, ended, figures_of, judge, no_figures, try_change
from evaluation.protocol.trial import ImpactSection

WITHIN, NOT_REFERRED, CONTAMINATION = "within schools", "pupils not referred", "comparison schools beside mentors"
SHOWN = "shown beside the headline, not judged"
SAYS = {
    WITHIN: "referred against eligible pupils of the same school and stack who were not, weighted by the odds of referral. Below the headline: mentors may "
            "have helped other pupils of their schools too. It rests on who was chosen inside a school, as the headline does not",
    NOT_REFERRED: "eligible pupils of schools with mentors who were not referred, against those of comparison schools, both weighted by the chance of not "
                  "being referred. About zero unless mentors reach pupils who were not referred, or the schools differ",
    CONTAMINATION: "comparison schools of areas with mentors against schools of areas without, on one clock. About zero unless comparison schools took up "
                   "something of the programme, or the areas differ: area shocks are not in the interval",
}


def spillover(leading: Mapping[str, ChangeEstimate], cohort: pd.DataFrame, offer_weights: pd.DataFrame, *,
              rules: ImpactSection) -> pd.DataFrame:
    """Table ``spillover``: three comparisons that would show help, or harm, to pupils who count as untouched, at their first windows.

    Parameters
    ----------
    leading : mapping of str to ChangeEstimate
        The leading estimates by analysis.
    cohort, offer_weights : DataFrame
        Tables of those names.
    rules : ImpactSection

    Returns
    -------
    DataFrame
        ``comparison, estimate, std_error, df, conf_low, conf_high, detectable`` (points of sessions attended), ``test``, counts, ``headline`` (the effect on
        referred pupils, for the comparison within schools), ``tolerance, result, text``.
    """
    within_area = offer_weights.loc[offer_weights["design"] == "within_area", [*KEY, "referral_risk"]]
    analysed = cohort.loc[cohort["analysed"] & (cohort["entry"] == "first")]
    with_risk = analysed.merge(within_area, on=KEY, how="inner", validate="one_to_one")
    referred = next((change.estimate for analysis, change in leading.items() if analysis.startswith("B")), None)
    lines = [
        _line(WITHIN, within_schools(with_risk), {"within_area": True}, rules, headline=referred),
        _line(NOT_REFERRED, not_referred(with_risk), {"within_area": True}, rules),
        _line(CONTAMINATION, beside_mentors(analysed), {"within_area": False}, rules),
    ]
    return ended(pd.DataFrame(lines))


def within_schools(rows: pd.DataFrame) -> pd.DataFrame:
    """Referred pupils against pupils of the same school and stack who were never referred, weighted by the odds of referral.

    The school stands in the place of the area, so that every cell is one school and stack.
    """
    own = rows.loc[rows["mentor_school"] & (rows["referred"] | ~rows["referred_by_followup"])]
    risk = own["referral_risk"].to_numpy(dtype=float)
    return _to_treated(own.assign(treated=own["referred"].astype("int64"), area_code=own["school_id"]), risk / (1.0 - risk))


def not_referred(rows: pd.DataFrame) -> pd.DataFrame:
    """Pupils of schools with mentors who were not referred by the end of the follow-up, against eligible pupils of comparison schools."""
    own = rows.loc[~rows["referred_by_followup"] & ~rows["referred"]]
    return _to_treated(own.assign(treated=own["mentor_school"].astype("int64")), 1.0 - own["referral_risk"].to_numpy(dtype=float))


def beside_mentors(rows: pd.DataFrame) -> pd.DataFrame:
    """Comparison schools of areas with mentors, as if treated, against schools of areas without, in stacks with as many earlier windows."""
    with_mentors = rows.groupby("area_code")["mentor_school"].transform("any")
    own = rows.loc[~rows["mentor_school"]].assign(treated=lambda f: with_mentors.loc[f.index].astype("int64"))
    own = own.assign(stack_label=own["stack"], stack=own["stack"] * 1000 + own["windows_before"])
    return _to_treated(own, np.ones(len(own)), cells=["stack"])


def _to_treated(rows: pd.DataFrame, odds: np.ndarray, *, cells: list[str] | None = None) -> pd.DataFrame:
    """Weights: treated 1, comparison by ``odds`` and together as much as the treated of their cell; cells without both arms weigh nothing."""
    keys = [rows[c] for c in (cells or ["stack", "area_code"])]
    treated = rows["treated"] == 1
    number = treated.astype(float).groupby(keys).transform("sum")
    total = pd.Series(np.where(treated, 0.0, odds), index=rows.index).groupby(keys).transform("sum")
    scale = np.divide(number, total, out=np.zeros(len(rows)), where=total > 0)
    return rows.assign(weight=np.where(treated, (total > 0).astype(float), odds * scale)).reset_index(drop=True)


def _line(comparison: str, rows: pd.DataFrame, how: dict, rules: ImpactSection, *, headline: float | None = None) -> dict:
    judged = comparison != WITHIN
    known = {"comparison": comparison, "headline": headline, "tolerance": rules.placebo_tolerance if judged else None}
    change = try_change(rows, weight="weight", **how)
    if isinstance(change, UnidentifiedError):
        return {**known, **no_figures(rows), "result": NOT_DONE, "text": change.message}
    figures = figures_of(change, rules, within_area=how["within_area"])
    result = judge(figures["conf_low"], figures["conf_high"], rules.placebo_tolerance) if judged else SHOWN
    return {**known, **figures, "result": result, "text": SAYS[comparison]}
