"""Effects of one cell of a balanced panel, with influence functions: doubly robust, weighting, regression.

Sant'Anna, P. & Zhao, J. (2020). Doubly robust difference-in-differences estimators. Journal of Econometrics 219(1), 101-122.
Influence functions here are scaled so that the variance of an estimate is the sum of their squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.impact.group_time_score import TRIM, Score, dependent_column, fit_score


@dataclass(frozen=True, eq=False)
class Nuisance:
    """What the cells of one cohort with the same comparison units, covariates and weights share.

    Attributes
    ----------
    treated, comparison : ndarray, shapes (m, k), (n, k)
        Covariates by arm, constant first.
    treated_weights, comparison_weights : ndarray, shapes (m,), (n,)
    score : Score or None
    odds : ndarray, shape (n,), or None
        Weights of the comparison units that make them like the treated, summing to 1.
    inverse : ndarray, shape (k, k), or None
        Inverse cross-products of the outcome regression.
    pull : ndarray, shape (n,), or None
        Each comparison unit's weight times what its residual moves the estimate through the outcome regression.
    trimmed : int
        Comparison units whose score is too high to be weighted.
    refused : str or None
        Why no cell can be estimated.
    """

    treated: np.ndarray
    comparison: np.ndarray
    treated_weights: np.ndarray
    comparison_weights: np.ndarray
    score: Score | None = None
    odds: np.ndarray | None = None
    inverse: np.ndarray | None = None
    pull: np.ndarray | None = None
    trimmed: int = 0
    refused: str | None = None


def too_small(treated: int, comparison: int, columns: int, method: str) -> str | None:
    """Why arms of these sizes cannot carry the method with this many columns (the constant included); None if they can.

    A score has a coefficient a column to learn from the treated; an outcome regression, from the comparison units.
    """
    if treated < 2 or comparison < 2:
        return f"{treated:,} treated and {comparison:,} comparison units: each arm needs at least two for a standard error"
    if columns > 1 and method in ("dr", "ipw") and treated < columns:
        return f"{treated:,} treated units are too few for a propensity score with {columns - 1} covariates"
    if columns > 1 and method in ("dr", "reg") and comparison <= columns:
        return f"{comparison:,} comparison units are too few for an outcome regression with {columns - 1} covariates"
    return None


def prepare(method: str, treated: np.ndarray, comparison: np.ndarray, treated_weights: np.ndarray, comparison_weights: np.ndarray) -> Nuisance:
    """Fit the propensity score and the regression's cross-products for one pair of arms.

    Parameters
    ----------
    method : {"dr", "ipw", "reg"}
    treated, comparison, treated_weights, comparison_weights : ndarray
        As in :class:`Nuisance`.
    """
    arms = (treated, comparison, treated_weights, comparison_weights)
    reason = too_small(len(treated), len(comparison), treated.shape[1], method)
    if reason:
        return Nuisance(*arms, refused=reason)
    if treated.shape[1] == 1:  # without covariates the three estimators are one
        method = "reg"
    score = odds = inverse = pull = None
    trimmed = 0
    if method in ("dr", "ipw"):
        score = fit_score(*arms)
        if score.refused:
            return Nuisance(*arms, refused=score.refused)
        high = score.comparison >= TRIM
        trimmed = int(high.sum())
        odds = comparison_weights * np.where(high, 0.0, score.comparison / (1 - score.comparison))
        odds /= odds.sum()
    if method in ("dr", "reg"):
        gram = (comparison * comparison_weights[:, None]).T @ comparison
        if dependent_column(gram) is not None:
            return Nuisance(*arms, refused="covariates are collinear, or do not vary, among the comparison units")
        inverse = np.linalg.inv(gram)
        toward = -(treated_weights @ treated) / treated_weights.sum()
        if odds is not None:
            toward = toward + odds @ comparison
        pull = comparison_weights * (comparison @ (inverse @ toward))
    return Nuisance(*arms, score=score, odds=odds, inverse=inverse, pull=pull, trimmed=trimmed)


def cell_effect(arms: Nuisance, treated_change: np.ndarray, comparison_change: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Effect on the treated of one cell, from each unit's change between two periods.

    Returns
    -------
    estimate : float
    treated, comparison : ndarray, shapes (m,), (n,)
        Influence functions. Those of "dr", "ipw" and "reg" are the ones of drdid_panel, std_ipw_did_panel and reg_did_panel in the R
        package DRDID (doubly robust with the propensity score and regression of maximum likelihood and least squares, its "traditional"
        form).
    """
    x, z, w, v = arms.treated, arms.comparison, arms.treated_weights, arms.comparison_weights
    left, right = treated_change, comparison_change
    if arms.inverse is not None:
        beta = arms.inverse @ (z.T @ (v * right))
        left, right = left - x @ beta, right - z @ beta
    share = w / w.sum()
    estimate = float(share @ left)
    treated = share * (left - estimate)
    comparison = arms.pull * right if arms.pull is not None else np.zeros(len(right))
    if arms.odds is not None:
        level = float(arms.odds @ right)
        estimate -= level
        deviation = arms.odds * (right - level)
        comparison -= deviation
        tilt = arms.score.inverse @ (z.T @ deviation)
        comparison += v * arms.score.comparison * (z @ tilt)
        treated -= w * (1 - arms.score.treated) * (x @ tilt)
    return estimate, treated, comparison
