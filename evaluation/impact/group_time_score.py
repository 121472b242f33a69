"""The propensity score of one comparison: weighted logistic regression by Newton's method, with its separation and overlap checks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

MAX_STEPS = 60
"""Newton steps before a fit is given up; one whose maximum exists takes about eight."""

DECREMENT = 1e-18
"""Newton decrement per unit of weight at which the step just taken was the last one needed."""

LONGEST = 4.0
"""Longest step, in standard deviations of the linear predictor; longer ones, far from the maximum, may overshoot."""

DEPENDENT = 1e-10
"""Share of a column's sum of squares left by the columns before it, below which it counts as their combination."""

OVERLAP = 0.999
"""Largest score with which a cell is estimated: above it covariates all but tell who is treated (the limit of the R package did)."""

TRIM = 0.995
"""Comparison units with a score from here up get no weight (the limit of the R package DRDID)."""


@dataclass(frozen=True, eq=False)
class Score:
    """Fitted scores and the inverse of the information matrix; or why there are none."""

    treated: np.ndarray | None = None
    comparison: np.ndarray | None = None
    inverse: np.ndarray | None = None
    refused: str | None = None


def dependent_column(gram: np.ndarray) -> int | None:
    """Position of the first column that those before it determine, from the columns' cross-products; None if there is none."""
    scale = np.sqrt(np.diag(gram))
    if not (scale > 0).all():
        return int(np.argmin(scale > 0))
    left = gram / np.outer(scale, scale)
    for column in range(len(left)):
        if left[column, column] < DEPENDENT:
            return column
        row = left[column, column + 1 :] / left[column, column]
        left[column + 1 :, column + 1 :] -= np.outer(row, left[column, column + 1 :])
    return None


def fit_score(treated: np.ndarray, comparison: np.ndarray, treated_weights: np.ndarray, comparison_weights: np.ndarray) -> Score:
    """Chance of being treated given the covariates, by maximum likelihood.

    Parameters
    ----------
    treated, comparison : ndarray, shapes (m, k), (n, k)
        Covariates by arm, constant first.
    treated_weights, comparison_weights : ndarray, shapes (m,), (n,)

    Returns
    -------
    Score
        ``refused`` where the arms are separated, overlap fails or covariates are collinear.
    """
    total = treated_weights.sum() + comparison_weights.sum()
    beta = np.zeros(treated.shape[1])
    beta[0] = np.log(treated_weights.sum() / comparison_weights.sum())
    for _ in range(MAX_STEPS):
        p, q = expit(treated @ beta), expit(comparison @ beta)
        if p.max() >= 1 - 1e-9:  # on the way to a maximum at infinity
            break
        gradient = treated.T @ (treated_weights * (1 - p)) - comparison.T @ (comparison_weights * q)
        information = (treated * (treated_weights * p * (1 - p))[:, None]).T @ treated
        information += (comparison * (comparison_weights * q * (1 - q))[:, None]).T @ comparison
        if dependent_column(information) is not None:
            break
        step = np.linalg.solve(information, gradient)
        beta = beta + step * min(1.0, LONGEST / float(np.linalg.norm(step)) if step.any() else 1.0)
        if float(gradient @ step) <= DECREMENT * total:
            return _checked(treated, comparison, beta, information)
    return Score(refused="covariates are collinear here, or tell the treated from the comparison units, so that no propensity score exists")


def _checked(treated: np.ndarray, comparison: np.ndarray, beta: np.ndarray, information: np.ndarray) -> Score:
    p, q = expit(treated @ beta), expit(comparison @ beta)
    top = max(p.max(), q.max())
    if top >= OVERLAP:
        return Score(refused=f"no overlap: propensity scores reach {top:.4f}, where {OVERLAP} is the limit")
    return Score(p, q, np.linalg.inv(information))
