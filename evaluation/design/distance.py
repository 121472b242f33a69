"""Distances over several covariates, as columns whose Euclidean distance is the distance asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from evaluation.design.covariates import numeric_columns
from evaluation.errors import UnidentifiedError

COVARIATE_DISTANCES = ("mahalanobis", "robust_mahalanobis", "scaled_euclidean")

RANK_TOLERANCE = 1.5e-8
"""Singular values of a covariance below this share of the largest are directions in which units do not differ (as MatchIt)."""


def distance_columns(data: pd.DataFrame, treated: np.ndarray, on: Sequence[str], distance: str, used: np.ndarray) -> np.ndarray:
    """Transform covariates so that Euclidean distance between rows is the distance asked for.

    Parameters
    ----------
    data : DataFrame
        One row a unit.
    treated : ndarray of bool
    on : sequence of str
        Covariates. Every level of a category enters, divided by the square root of 2, so that two units of different levels are as
        far apart as two units of different sides of a 0/1 column [Hansen's optmatch]. In ``scaled_euclidean`` each level is divided by
        its own standard deviation, so that a category of two levels counts twice as much as the same 0/1 column (as MatchIt).
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
    if not (np.ptp(x[used], axis=0) > 0).any():
        raise UnidentifiedError("no covariate of the distance varies", where="on", mend="name covariates that tell units apart")
    x = x[:, np.ptp(x[used], axis=0) > 0]
    if distance == "robust_mahalanobis":
        ranked = np.zeros_like(x)
        ranked[used] = pd.DataFrame(x[used]).rank().to_numpy()
        covariance = np.atleast_2d(np.cov(ranked[used], rowvar=False))
        scale = np.std(np.arange(1, used.sum() + 1), ddof=1) / np.sqrt(np.diag(covariance))
        return ranked @ _root_of_inverse(covariance * np.outer(scale, scale))
    if distance == "scaled_euclidean":
        spread = np.sqrt(np.diag(_pooled_covariance(x[used], treated[used])))
        if not (spread > 0).all():
            raise UnidentifiedError("a covariate of the distance does not vary within the arms", where="on", mend="match exactly on it instead")
        return x / spread
    x = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    return x @ _root_of_inverse(_pooled_covariance(x[used], treated[used]))


def _columns(data: pd.DataFrame, on: Sequence[str]) -> np.ndarray:
    """Numbers as they are, and a column for every level of a category, in the order of ``on``."""
    parts = []
    for name in on:
        part = numeric_columns(data, [name], drop_first=False)
        if list(part.columns) == [name]:
            parts.append(part.to_numpy())
            continue
        levels = part.to_numpy()
        if levels.shape[1] == 1 and np.ptp(levels) > 0:  # two levels, of which the balance table shows one
            levels = np.column_stack([1.0 - levels[:, 0], levels[:, 0]])
        parts.append(levels / np.sqrt(2.0))
    numeric_columns(data, on, drop_first=False)  # refuses a covariate that is named twice
    return np.column_stack(parts)


def _pooled_covariance(x: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Covariance around each arm's own means, with denominator n - 2."""
    left = x - np.where(treated[:, None], x[treated].mean(axis=0), x[~treated].mean(axis=0))
    return left.T @ left / (len(x) - 2)


def _root_of_inverse(covariance: np.ndarray) -> np.ndarray:
    """A matrix R with R R' the inverse (the Moore-Penrose one, where columns determine one another).

    By pivoted Cholesky, whose first column depends on the pivot: the rule for ties sorts by it, as in MatchIt.
    """
    from scipy.linalg.lapack import dpstrf  # slow to import: only who asks for it waits

    values, vectors = np.linalg.eigh(covariance)
    kept = values > RANK_TOLERANCE * values.max()
    inverse = np.linalg.inv(covariance) if kept.all() else (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    root, pivot, rank, _ = dpstrf(inverse, lower=0)
    rows = np.triu(root)[: min(int(rank), int(kept.sum()))]
    unpivoted = np.empty_like(rows)
    unpivoted[:, np.asarray(pivot) - 1] = rows
    return unpivoted.T
