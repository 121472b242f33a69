"""The propensity score: a logistic regression by iteratively reweighted least squares that refuses rather than guesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.covariates import numeric_columns, treatment_indicator
from evaluation.errors import UnidentifiedError

MAX_STEPS = 50
"""Newton steps before a fit is given up; a fit that exists takes fewer than 15."""

SCORE_TOLERANCE = 1e-10
"""Largest change in a linear predictor at convergence; reference software stops at about 1e-8."""

RANK_TOLERANCE = 1e-9
"""Share of a standardised column left after projection on the others, below which it is a combination of them."""

CLEARLY_INDEPENDENT = 1e-6
"""Smallest eigenvalue of the correlation matrix above which every column keeps more of itself than ``RANK_TOLERANCE``."""

LARGEST_LOGIT = 25.0
"""A fitted logit beyond this is a probability within 1e-11 of 0 or 1: the data are separated there."""


@dataclass(frozen=True)
class PropensityModel:
    """A fitted propensity score.

    Attributes
    ----------
    coefficients : Series
        ``(Intercept)`` and one coefficient a column, on the covariates' own scales.
    logit : Series
        Linear predictor, one value a row of the data.
    probability : Series
        The fitted chance of being treated.
    """

    coefficients: pd.Series
    logit: pd.Series
    probability: pd.Series


def propensity_score(data: pd.DataFrame, treatment: str, on: Sequence[str]) -> PropensityModel:
    """Fit the chance of treatment by maximum likelihood [Rosenbaum and Rubin 1983].

    Parameters
    ----------
    data : DataFrame
        One row a unit.
    treatment : str
        0/1 column.
    on : sequence of str
        Covariates; text and categories enter as 0/1 columns without their first level.

    Returns
    -------
    PropensityModel

    Raises
    ------
    DataError
        A covariate is absent, missing or infinite somewhere.
    UnidentifiedError
        One arm is empty; a covariate is constant, or is a combination of others; or the covariates separate the
        arms, so that no maximum of the likelihood exists.
    """
    treated = treatment_indicator(data, treatment)
    if not treated.any() or treated.all():
        arm = "treated" if not treated.any() else "comparison"
        raise UnidentifiedError(f"there is no {arm} unit among {len(data)} rows", where=f"column `{treatment}`",
                                mend="see the flow table for where the arm was lost")
    frame = numeric_columns(data, on, drop_first=True)
    return fit_logit(frame, treated, np.ones(len(frame), dtype=bool))


def fit_logit(frame: pd.DataFrame, outcome: np.ndarray, rows: np.ndarray) -> PropensityModel:
    """Fit a logistic regression on some rows and predict it for all.

    Parameters
    ----------
    frame : DataFrame
        Finite numbers.
    outcome : ndarray of bool, shape (n,)
        Both values occur among ``rows``.
    rows : ndarray of bool, shape (n,)
        Rows to fit on.

    Returns
    -------
    PropensityModel
        For every row of ``frame``.

    Raises
    ------
    UnidentifiedError
        A column is constant among ``rows`` or a combination of others, or the columns separate the outcomes.
    """
    fitted = frame if rows.all() else frame.loc[rows]
    values = fitted.to_numpy()
    _refuse_redundant(fitted, values)
    centre, scale = fitted.mean().to_numpy(), fitted.std(ddof=0).to_numpy()
    beta = _maximise(np.column_stack([np.ones(len(fitted)), (values - centre) / scale]), outcome[rows].astype(float))
    slopes = beta[1:] / scale
    intercept = beta[0] - float(slopes @ centre)
    # Column by column, so that units with equal covariates get equal scores to the last bit wherever they stand.
    logit = np.full(len(frame), intercept)
    for j, name in enumerate(frame.columns):
        logit += slopes[j] * frame[name].to_numpy()
    return PropensityModel(
        coefficients=pd.Series([intercept, *slopes], index=["(Intercept)", *frame.columns], name="coefficient"),
        logit=pd.Series(logit, index=frame.index, name="logit"),
        probability=pd.Series(1.0 / (1.0 + np.exp(-logit)), index=frame.index, name="propensity_score"),
    )


def _refuse_redundant(frame: pd.DataFrame, values: np.ndarray) -> None:
    """Refuse constant columns and columns that the ones before them already determine."""
    constant = [name for name, varies in zip(frame.columns, values.max(axis=0) > values.min(axis=0), strict=True) if not varies]
    if constant:
        raise UnidentifiedError(f"covariate(s) that do not vary: {', '.join(constant)}", where="on",
                                mend="leave them out: a constant cannot tell units apart")
    redundant = redundant_columns(frame)
    if redundant:
        name = redundant[0]
        raise UnidentifiedError(f"covariate `{name}` is a combination of the covariates before it", where="on",
                                mend=f"leave `{name}` out, or one of the columns that determine it")


def redundant_columns(frame: pd.DataFrame) -> list[str]:
    """Columns that are constant, or a linear combination of a constant and the columns before them.

    Parameters
    ----------
    frame : DataFrame
        Finite numbers.

    Returns
    -------
    list of str
        In the frame's order; leaving them out changes no fit.
    """
    if _clearly_independent(frame):
        return []
    basis = np.empty((len(frame), 0))
    redundant = []
    for name in frame.columns:
        column = frame[name].to_numpy(dtype=float)
        column = column - column.mean()
        size = np.linalg.norm(column)
        left = column / size if size > 0 else column
        for _ in range(2):  # a second pass removes what rounding left of the first
            left = left - basis @ (basis.T @ left)
        remainder = np.linalg.norm(left)
        if remainder < RANK_TOLERANCE:
            redundant.append(name)
        else:
            basis = np.column_stack([basis, left / remainder])
    return redundant


def _clearly_independent(frame: pd.DataFrame) -> bool:
    """Whether the correlations alone show, far from any rounding, that no column is a combination of others."""
    values = frame.to_numpy(dtype=float)
    centred = values - values.mean(axis=0)
    products = centred.T @ centred
    sizes = np.sqrt(np.diag(products))
    if not (sizes > 0).all():
        return False
    return bool(np.linalg.eigvalsh(products / np.outer(sizes, sizes)).min() > CLEARLY_INDEPENDENT)


def _maximise(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Newton steps on the logistic likelihood; a step that lowers the likelihood is halved."""
    beta = np.zeros(x.shape[1])
    beta[0] = np.log(y.mean() / (1.0 - y.mean()))
    eta = x @ beta
    reached = _log_likelihood(eta, y)
    for _ in range(MAX_STEPS):
        probability = 1.0 / (1.0 + np.exp(-eta))
        weight = probability * (1.0 - probability)
        information = (x * weight[:, None]).T @ x
        try:
            step = np.linalg.solve(information, x.T @ (y - probability))
        except np.linalg.LinAlgError:
            break
        for _ in range(20):
            new_eta = x @ (beta + step)
            now = _log_likelihood(new_eta, y)
            if now >= reached - 1e-12 * abs(reached):
                break
            step = step / 2.0
        moved = np.abs(new_eta - eta).max()
        beta, eta, reached = beta + step, new_eta, now
        if np.abs(eta).max() > LARGEST_LOGIT:
            break
        if moved < SCORE_TOLERANCE:
            return beta
    raise UnidentifiedError(
        "the covariates separate treated from comparison units (some fitted chances run to 0 or 1), so no propensity score exists",
        where="on", mend="leave out or coarsen the covariate that tells the arms apart, or match exactly on it")


def _log_likelihood(eta: np.ndarray, y: np.ndarray) -> float:
    softplus = np.log1p(np.exp(-np.abs(eta))) + np.maximum(eta, 0.0)  # log(1 + exp(eta)) without overflow
    return float(y @ eta - softplus.sum())
