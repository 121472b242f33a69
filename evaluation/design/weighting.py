"""Weights by the propensity score, and the referral-risk weights of the offer estimand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.balance import effective_sample_size
from evaluation.design.covariates import numeric_columns, treatment_indicator
from evaluation.design.pairs import NO_STRATUM, strata_of
from evaluation.design.propensity import PropensityModel, fit_logit, propensity_score
from evaluation.errors import DataError, ParameterError, UnidentifiedError
from evaluation.protocol.trial import BASELINE_COLUMNS, OUTCOME_COLUMNS

ESTIMANDS = {"ATT": "effect on the treated", "ATC": "effect on the comparison units", "ATE": "effect on all",
             "ATO": "effect where the arms overlap most"}

RISK_ESTIMAND = "offer effect, eligible pupils weighted by their risk of referral"


@dataclass(frozen=True)
class Weighting:
    """Weights by the propensity score.

    Attributes
    ----------
    weights : Series
        On the data's index, as the formula gives them: not rescaled.
    effective_n : dict
        Kish's effective number of units by arm, keys ``treated`` and ``comparison``.
    largest_share : dict
        Largest single weight as a share of its arm's total, by arm.
    estimand : str
    model : PropensityModel
    """

    weights: pd.Series
    effective_n: dict[str, float]
    largest_share: dict[str, float]
    estimand: str
    model: PropensityModel


def propensity_weights(data: pd.DataFrame, treatment: str, *, on: Sequence[str], estimand: str = "ATT") -> Weighting:
    """Inverse-probability and overlap weights from a logistic propensity score p.

    Parameters
    ----------
    data : DataFrame
        One row a unit; labels must be unique.
    treatment : str
        0/1 column.
    on : sequence of str
        Covariates.
    estimand : {"ATT", "ATC", "ATE", "ATO"}
        Treated and comparison weights are 1 and p/(1-p); (1-p)/p and 1; 1/p and 1/(1-p) [Hirano, Imbens and Ridder 2003]; or 1-p and p,
        which balance the means of ``on`` exactly [Li, Morgan and Zaslavsky 2018]. Not trimmed, not stabilised; as WeightIt's ``glm``.

    Returns
    -------
    Weighting

    Raises
    ------
    ParameterError
        An estimand that does not exist.
    DataError, UnidentifiedError
        As :func:`evaluation.design.propensity.propensity_score`; labels that repeat.
    """
    if estimand not in ESTIMANDS:
        raise ParameterError(f"estimand {estimand!r} does not exist", where="estimand", mend=f"choose from {', '.join(ESTIMANDS)}")
    _refuse_repeated(data)
    model = propensity_score(data, treatment, on)
    treated = treatment_indicator(data, treatment)
    p = model.probability.to_numpy()
    own = {"ATT": np.ones(len(p)), "ATC": (1 - p) / p, "ATE": 1 / p, "ATO": 1 - p}[estimand]
    other = {"ATT": p / (1 - p), "ATC": np.ones(len(p)), "ATE": 1 / (1 - p), "ATO": p}[estimand]
    values = np.where(treated, own, other)
    arms = {"treated": values[treated], "comparison": values[~treated]}
    return Weighting(weights=pd.Series(values, index=data.index, name="weight"),
                     effective_n={arm: effective_sample_size(w) for arm, w in arms.items()},
                     largest_share={arm: float(w.max() / w.sum()) for arm, w in arms.items()}, estimand=ESTIMANDS[estimand], model=model)  # fmt: skip


@dataclass(frozen=True)
class ReferralRisk:
    """Referral-risk weights.

    Attributes
    ----------
    weights : Series
        On the data's index: in schools with mentors the predicted risk of referral; elsewhere the risk, scaled inside each stratum so
        that both arms weigh the same; 0 in strata that lack an arm.
    risk : Series
        Predicted risk of referral, both arms.
    referral_share : float
        Weighted share of pupils in schools with mentors who were referred: the offer effect is divided by it for an effect for each
        referred pupil, on the assumption that pupils who were not referred are not affected.
    overlap : DataFrame
        ``arm, pupils, used, risk_min, risk_q10, risk_median, risk_q90, risk_max, outside_range, weight_outside_range, largest_share,
        effective_n``: pupils whose risk lies outside the range seen in schools with mentors, and their share of the arm's weight.
    effective_n : dict
        Keys ``treated`` (schools with mentors) and ``comparison``.
    dropped : Series
        Pupils of schools with mentors in a stratum without comparison pupils: label to reason.
    estimand : str
    model : PropensityModel
    """

    weights: pd.Series
    risk: pd.Series
    referral_share: float
    overlap: pd.DataFrame
    effective_n: dict[str, float]
    dropped: pd.Series
    estimand: str
    model: PropensityModel


def referral_risk_weights(data: pd.DataFrame, *, mentor_school: str, referred: str, on: Sequence[str], within: Sequence[str] = (),
                          baseline_reason: str | None = None) -> ReferralRisk:
    """Weight eligible pupils of both arms by the risk of referral, fitted in schools with mentors.

    The offer estimand compares every pupil who meets the eligibility rule, referred or not. Weighting both arms by a risk that is
    predicted from stable characteristics and the window alone directs it to pupils like those whom mentors are sent to, while
    whatever else drove the referrals stays out of the comparison.

    Parameters
    ----------
    data : DataFrame
        One row an eligible pupil; labels must be unique.
    mentor_school : str
        0/1 column: the pupil's school has mentors.
    referred : str
        0/1 column; looked at in schools with mentors, must not be 1 elsewhere.
    on : sequence of str
        Stable characteristics and the eligibility window.
    within : sequence of str
        Strata, stack for instance, in which comparison weights add up to those of schools with mentors.
    baseline_reason : str, optional
        Why a column that overlaps the baseline is in ``on``; without it such a column is refused.

    Returns
    -------
    ReferralRisk

    Raises
    ------
    DataError
        A column is absent or has bad values; a pupil is referred in a school without mentors; labels repeat.
    ParameterError
        A column of ``on`` overlaps the baseline, or is known only after the window.
    UnidentifiedError
        An arm is empty; all or none were referred; a covariate does not vary in schools with mentors, is a combination of others, or
        separates the referred; or no stratum holds both arms.
    """
    _refuse_repeated(data)
    _refuse_overlapping(on, baseline_reason)
    offered, was_referred = treatment_indicator(data, mentor_school), _referred(data, referred, mentor_school)
    for said, empty in (("pupil in a school with mentors", not offered.any()), ("pupil in a school without mentors", offered.all()),
                        ("referred pupil", not was_referred.any()), ("pupil in a school with mentors who was not referred", was_referred[offered].all())):
        if empty:
            raise UnidentifiedError(f"there is no {said} among {len(data)} rows", where="referral_risk_weights",
                                    mend="see the flow table for where they were lost")
    model = fit_logit(numeric_columns(data, on, drop_first=True), was_referred, offered)
    risk = model.probability.to_numpy()
    strata = strata_of(data, within, where="within")
    total = np.bincount(strata[offered], risk[offered], minlength=strata.max() + 1)
    theirs = np.bincount(strata[~offered], risk[~offered], minlength=strata.max() + 1)
    both = (total > 0) & (theirs > 0)
    if not both.any():
        raise UnidentifiedError("no stratum holds pupils of schools with and without mentors", where="within", mend="weight within fewer columns")
    scale = np.divide(total, theirs, out=np.zeros_like(total), where=both)
    weights = np.where(offered, np.where(both[strata], 1.0, 0.0), scale[strata]) * risk
    lost = data.index[offered & ~both[strata]]
    return ReferralRisk(
        weights=pd.Series(weights, index=data.index, name="weight"), risk=pd.Series(risk, index=data.index, name="referral_risk"),
        referral_share=float(np.average(was_referred[offered], weights=weights[offered])), overlap=_overlap(risk, weights, offered),
        effective_n={"treated": effective_sample_size(weights[offered]), "comparison": effective_sample_size(weights[~offered])},
        dropped=pd.Series(NO_STRATUM, index=lost, name="reason", dtype="str"), estimand=RISK_ESTIMAND, model=model)  # fmt: skip


def _refuse_repeated(data: pd.DataFrame) -> None:
    if not data.index.is_unique:
        raise DataError("row labels repeat", where="data", mend="give each unit its own index label")


def _refuse_overlapping(on: Sequence[str], reason: str | None) -> None:
    later = [name for name in on if name in OUTCOME_COLUMNS]
    if later:
        raise ParameterError(f"{', '.join(later)}: known only after the window, so no risk may be predicted from it", where="on", mend="leave it out")
    overlapping = [name for name in on if name in BASELINE_COLUMNS]
    if overlapping and not reason:
        raise ParameterError(f"these columns overlap the baseline: {', '.join(overlapping)}", where="on",
                             mend="leave them out, or give `baseline_reason`: weighting on the baseline re-opens regression to the mean")


def _referred(data: pd.DataFrame, referred: str, mentor_school: str) -> np.ndarray:
    if referred not in data.columns:
        raise DataError(f"there is no column `{referred}`", where="referred", mend=f"columns are {', '.join(map(str, data.columns))}")
    offered = treatment_indicator(data, mentor_school)
    inside = treatment_indicator(data.loc[offered, [referred]], referred) if offered.any() else np.empty(0, dtype=bool)
    if (pd.to_numeric(data.loc[~offered, referred], errors="coerce") == 1).any():
        raise DataError("a pupil was referred in a school without mentors", where=f"column `{referred}`",
                        mend="these pupils had the programme: leave them out of the comparison and count them")
    whole = np.zeros(len(data), dtype=bool)
    whole[offered] = inside
    return whole


def _overlap(risk: np.ndarray, weights: np.ndarray, offered: np.ndarray) -> pd.DataFrame:
    low, high = risk[offered].min(), risk[offered].max()
    lines = []
    for arm, inside in (("schools with mentors", offered), ("schools without mentors", ~offered)):
        own, w = risk[inside], weights[inside]
        outside = (own < low) | (own > high)
        q10, median, q90 = np.quantile(own, (0.1, 0.5, 0.9))
        lines.append({"arm": arm, "pupils": len(own), "used": int((w > 0).sum()), "risk_min": own.min(), "risk_q10": q10, "risk_median": median,
                      "risk_q90": q90, "risk_max": own.max(), "outside_range": int(outside.sum()), "weight_outside_range": float(w[outside].sum() / w.sum()),
                      "largest_share": float(w.max() / w.sum()), "effective_n": effective_sample_size(w)})  # fmt: skip
    return pd.DataFrame(lines)
