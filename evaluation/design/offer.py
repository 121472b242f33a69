"""Weights of the offer estimand: every eligible pupil of both arms, weighted by the risk of being referred.

The risk is fitted in schools with mentors, on stable characteristics and the window alone, and carried to both arms, so that the
comparison is about pupils like those whom mentors are sent to while whatever else drove the referrals stays out of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.registered import KEY, LEFT_OUT, check_columns, design_rows, exact_columns, outside_design
from evaluation.design.weighting import ReferralRisk, referral_risk_weights
from evaluation.errors import UnidentifiedError
from evaluation.protocol.trial import MatchingSection


@dataclass(frozen=True)
class OfferWeights:
    """Referral-risk weights of every registered design.

    Attributes
    ----------
    frame : DataFrame
        Table ``offer_weights``: ``design, stack, pupil_id, treated, referral_risk, weight, weight_unscaled``.
    overlap : DataFrame
        Table ``offer_overlap``.
    risks : dict of str to ReferralRisk
        By design; labels are row numbers of the design's rows.
    """

    frame: pd.DataFrame
    overlap: pd.DataFrame
    risks: dict[str, ReferralRisk]


def offer_weights(cohort: pd.DataFrame, *, rules: MatchingSection) -> OfferWeights:
    """Weight eligible pupils by their risk of referral in every registered design.

    Parameters
    ----------
    cohort : DataFrame
        Table ``cohort``.
    rules : MatchingSection
        The risk is fitted on the score's characteristics; comparison pupils are scaled to the weight of pupils in schools with
        mentors inside the columns on which pupils are matched exactly (and the area, within areas).

    Returns
    -------
    OfferWeights
        A pupil of either arm with a characteristic of which no pupil (or every pupil) of the schools with mentors was referred has no
        risk between 0 and 1: weight 0, counted, as is one whose cell lacks an arm.

    Raises
    ------
    UnidentifiedError
        In the leading design: an arm is empty, nobody was referred, or no cell holds both arms. A later design is left out, and
        ``overlap`` says why.
    """
    check_columns(cohort, rules)
    frames, overlaps, risks = [], [], {}
    for design in rules.designs:
        rows = design_rows(cohort, design, referred_only=False)
        outside = len(outside_design(cohort, design, referred_only=False))
        try:
            risk, usable = _risk(rows, design, rules)
        except UnidentifiedError as error:
            if design == rules.designs[0]:
                raise
            overlaps.append(pd.DataFrame([{"design": design, "arm": arm, "outside_design": outside, "reason": f"{LEFT_OUT}: {error.message}"}
                                          for arm in ("schools with mentors", "schools without mentors")]))
            continue
        risks[design] = risk
        weight = risk.weights.reindex(rows.index).fillna(0.0)
        unscaled = risk.risk.reindex(rows.index).where(weight > 0, 0.0)
        frames.append(rows[KEY].assign(design=design, treated=rows["treated"].astype(bool), referral_risk=risk.risk.reindex(rows.index), weight=weight,
                                       weight_unscaled=unscaled))
        overlaps.append(_overlap(rows, usable, risk, design, outside))
    columns = ["design", *KEY, "treated", "referral_risk", "weight", "weight_unscaled"]
    return OfferWeights(frame=pd.concat(frames, ignore_index=True)[columns], overlap=pd.concat(overlaps, ignore_index=True)[OVERLAP_COLUMNS], risks=risks)


def _risk(rows: pd.DataFrame, design: str, rules: MatchingSection) -> tuple[ReferralRisk, pd.DataFrame]:
    """Fit the risk on the rows whose characteristics allow one."""
    on = list(rules.score_covariates)
    usable = _with_a_risk(rows, on)
    data = usable.assign(year_group=usable["year_group"].astype(str).str.zfill(2))
    offered = data.loc[data["treated"] == 1]
    varying = [name for name in on if offered[name].nunique() > 1]
    if not varying:
        raise UnidentifiedError("no characteristic varies among eligible pupils of schools with mentors, so no risk of referral can be fitted",
                                where=f"offer weights, design `{design}`", mend="see the flow table; the unweighted comparison needs no risk")
    risk = referral_risk_weights(data, mentor_school="treated", referred="referred", on=varying, within=exact_columns(design, rules),
                                 baseline_reason=rules.baseline_overlap_reason)
    return risk, usable


def _with_a_risk(rows: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    """Rows whose every level holds referred pupils and others in schools with mentors."""
    levels = [name for name in on if not pd.api.types.is_float_dtype(rows[name].dtype)]
    usable = rows
    while True:
        before = len(usable)
        for name in levels:
            offered = usable.loc[usable["treated"] == 1].groupby(name)["referred"].agg(["min", "max"])
            usable = usable.loc[usable[name].isin(offered.index[offered["max"] & ~offered["min"]])]
        if len(usable) == before or usable.empty:
            return usable


OVERLAP_COLUMNS = ["design", "arm", "pupils", "used", "without_risk", "without_cell", "outside_design", "risk_min", "risk_q10", "risk_median", "risk_q90",
                   "risk_max", "outside_range", "weight_outside_range", "largest_share", "effective_n", "referred_share",
                   "referred_by_followup_share", "reason"]


def _overlap(rows: pd.DataFrame, usable: pd.DataFrame, risk: ReferralRisk, design: str, outside: int) -> pd.DataFrame:
    """Overlap of the risk by arm, who has no weight, and the weighted shares referred (0 in schools without mentors)."""
    table = risk.overlap.assign(design=design, outside_design=[outside, 0], reason=None)
    weight = risk.weights
    for place, arm in enumerate((1, 0)):
        own, inside = rows.loc[rows["treated"] == arm], usable.loc[usable["treated"] == arm]
        w = weight.loc[inside.index].to_numpy()
        table.loc[place, ["pupils", "without_risk", "without_cell"]] = len(own), len(own) - len(inside), int((w == 0).sum())
        for column in ("referred", "referred_by_followup"):
            table.loc[place, f"{column}_share"] = float(np.average(inside[column], weights=w))
    return table.astype({"pupils": "int64", "without_risk": "int64", "without_cell": "int64"})
