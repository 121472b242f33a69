"""Distances over several covariates, as columns whose Euclidean distance is the distance asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from evaluation.design.covariates import numeric_columns
from evaluation.errors import UnidentifiedError

COVARIATE_DISTANCES = ("mahalanobis", "robust_mahalanobis", "scaled_euclidean")

RANK_TOLERANCE = 1e-9
"""Eigenvalues of the correlation matrix below this share of the largest are directions in which units do not differ."""


def distance_columns(data: pd.DataFrame, treated: np.ndarray, on: Sequence[str], distance: str, used: np.ndarray) -> np.ndarray:
    """Transform covariates so that Euclidean distance between rows is the distance asked for.

    Parameters
    ----------
    data : DataFrame
        One row a unit.
    treated : ndarray of bool
    on : sequence of str
        Covariates. Every level of a category of three levels or more enters, divided by the square root of 2, so that two
        units of different levels are as far apart as two units of different sides of a 0/1 column [Hansen's optmatch].
    distance : {"mahalanobis", "robust_mahalanobis", "scaled_euclidean"}
        By the covariance pooled within the arms [Rubin 1980]; by ranks, whose covariance is rescaled to that of untied ranks
        [Rosenbaum 2010, section 8.3]; each column by its own standard deviation pooled within the arms. As MatchIt.
    used : ndarray of bool
        Rows that may be matched: covariances are taken over these.

    Returns
    -------
    ndarray of float, shape (n, d)

    Raises
    ------
    DataError
        A covariate is absent, missing or infinite somewhere.
    UnidentifiedError
        No covariate varies.
    """
    x = _columns(data, on)
    if distance == "robust_mahalanobis":
        x = x.rank().to_numpy()
        covariance = np.atleast_2d(np.cov(x[used], rowvar=False))
        spread = np.sqrt(np.diag(covariance))
        untied = np.std(np.arange(1, used.sum() + 1), ddof=1)
        scale = np.divide(untied, spread, out=np.zeros_like(spread), where=spread > 0)
        covariance = covariance * np.outer(scale, scale)
    else:
        x = x.to_numpy()
        covariance = _pooled_covariance(x[used], treated[used])
    if not (np.diag(covariance) > 0).any():
        raise UnidentifiedError("no covariate of the distance varies within the arms", where="on", mend="name covariates that tell units apart")
    if distance == "scaled_euclidean":
        spread = np.sqrt(np.diag(covariance))
        return x[:, spread > 0] / spread[spread > 0]
    return x @ _root_of_inverse(covariance)


def _columns(data: pd.DataFrame, on: Sequence[str]) -> pd.DataFrame:
    frame = numeric_columns(data, on, drop_first=False)
    for name in on:
        levels = [c for c in frame.columns if c not in data.columns and c.startswith(f"{name}_")]
        if len(levels) > 1:
            frame[levels] = frame[levels] / np.sqrt(2.0)
    return frame


def _pooled_covariance(x: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Covariance around each arm's own means, with denominator n - 2."""
    left = x - np.where(treated[:, None], x[treated].mean(axis=0), x[~treated].mean(axis=0))
    return left.T @ left / (len(x) - 2)


def _root_of_inverse(covariance: np.ndarray) -> np.ndarray:
    """A matrix R with R R' the inverse (the Moore-Penrose one, where columns determine one another)."""
    scale = np.sqrt(np.diag(covariance))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    kept = values > RANK_TOLERANCE * values.max()
    if kept.all():
        return np.linalg.cholesky(np.linalg.inv(covariance))
    values, vectors = np.linalg.eigh(covariance)
    kept = values > RANK_TOLERANCE * values.max()
    return vectors[:, kept] / np.sqrt(values[kept])
