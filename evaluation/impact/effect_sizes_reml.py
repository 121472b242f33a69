"""A model with one random intercept, fitted by restricted maximum likelihood: how far units of one school resemble each other.

References
----------
.. [1] Bates, D., Maechler, M., Bolker, B. & Walker, S. (2015). Fitting linear mixed-effects models using lme4. Journal of Statistical Software
   67(1), 1-48.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from evaluation.errors import UnidentifiedError
from evaluation.impact.estimate import tidy
from evaluation.inference.columns import read_columns

INTERCEPT = "intercept"
# Shares of variance between clusters at which the criterion's slope is looked at, to bracket its minima.
SHARES = np.concatenate([[0.0], np.geomspace(1e-6, 0.5, 40), 1 - np.geomspace(0.5, 1e-6, 41)[1:]])
# Share of a column's length below which what the others leave of it counts as nothing.
NEGLIGIBLE = 1e-8
# Share of the outcome's length that rounding alone can leave behind.
ROUNDING = 1e-13


@dataclass(frozen=True, eq=False, repr=False)
class RandomIntercept:
    """A random-intercept model.

    Attributes
    ----------
    frame : DataFrame
        One row per covariate, then the intercept: term, estimate, std_error, ... by the normal distribution, from the model alone.
    var_between, var_within : float
        Variance of clusters' effects and within clusters, in squared units of the outcome.
    icc : float
        Intraclass correlation: var_between over their sum.
    log_likelihood : float
        Restricted.
    n, clusters : int
    outcome, cluster : str
    warnings : tuple of str
    """

    frame: pd.DataFrame
    var_between: float
    var_within: float
    icc: float
    log_likelihood: float
    n: int
    clusters: int
    outcome: str
    cluster: str
    warnings: tuple[str, ...]

    @property
    def _heading(self) -> str:
        return (f"{self.outcome}: intraclass correlation {self.icc:.4g} by {self.cluster} ({self.clusters:,} clusters, {self.n:,} rows; variance "
                f"between {self.var_between:.4g}, within {self.var_within:.4g}), REML")  # fmt: skip

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.frame.to_string(index=False), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.warnings)
        return f"<p>{escape(self._heading)}</p>{self.frame.to_html(index=False, border=0)}{notes}"


@dataclass(frozen=True, eq=False)
class _Sums:
    """Orthonormal columns (and outcome last) reduced to cross-products, and to sums by cluster, shape (G, p + 1)."""

    cross: np.ndarray
    by_cluster: np.ndarray
    sizes: np.ndarray
    n: int


def intraclass_correlation(data: pd.DataFrame, outcome: str, *, cluster: str, covariates: Sequence[str] = ()) -> RandomIntercept:
    """Variance between and within clusters by restricted maximum likelihood, as the R package lme4 [1]_.

    The likelihood is profiled down to the ratio of the variances and its slope is solved for zero, so that variances are exact to rounding; if
    it has several minima the lowest is taken.

    Parameters
    ----------
    data : DataFrame
        One row per pupil. Never changed.
    outcome, cluster : str
    covariates : sequence of str
        Numeric columns of the fixed part.

    Raises
    ------
    DataError
        A column is absent, not numeric, missing or infinite in some row.
    UnidentifiedError
        One cluster, or clusters of one row each; collinear covariates; an exact fit.
    """
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    read = read_columns(data, outcome, list(covariates), None, (), (cluster,))
    sizes = np.bincount(read.clusters)
    if (sizes == 1).all():
        raise UnidentifiedError("every cluster has a single row, so variance within cannot be told from variance between", where=f"column {cluster!r}",
                                mend="use the cluster that rows share.")  # fmt: skip
    design = np.column_stack([read.terms, np.ones(len(read.outcome))])
    names = [*covariates, INTERCEPT]
    orthonormal, triangle = np.linalg.qr(design)
    weak = np.abs(np.diag(triangle)) <= NEGLIGIBLE * np.linalg.norm(design, axis=0)
    if weak.any() or len(design) <= design.shape[1] + 1:
        listed = ", ".join(name for name, flag in zip(names, weak, strict=True) if flag) or "all"
        raise UnidentifiedError("a covariate is constant, a combination of others, or there are too many for the rows", where=f"term {listed}",
                                mend="leave it out.")  # fmt: skip
    left = read.outcome - orthonormal @ (orthonormal.T @ read.outcome)
    if fits_exactly(left, read.outcome):
        raise UnidentifiedError("the covariates fit the outcome exactly, so no variance is left", where=f"column {outcome!r}",
                                mend="check that the outcome is not constant and not made from the covariates.")  # fmt: skip
    scale = np.linalg.norm(left) / np.sqrt(len(left))
    columns = np.column_stack([orthonormal, left / scale])
    by_cluster = np.array([np.bincount(read.clusters, column) for column in columns.T]).T
    sums = _Sums(columns.T @ columns, by_cluster, sizes, len(left))
    ratio = _best_ratio(sums, outcome, cluster)
    inverse, shift, within, criterion = _profile(sums, ratio)
    back = np.linalg.inv(triangle)
    estimates = back @ (orthonormal.T @ read.outcome + scale * shift)
    errors = scale * np.sqrt(within * np.diag(back @ inverse @ back.T))
    within, between = within * scale**2, ratio * within * scale**2
    # Orthonormal columns and a scaled outcome leave their own constants in the likelihood.
    constant = 2 * (len(left) - len(names)) * np.log(scale) + 2 * np.log(np.abs(np.diag(triangle))).sum()
    notes = ("No variance between clusters is found: the estimate lies on its boundary, zero.",) if ratio == 0 else ()
    return RandomIntercept(tidy(names, estimates, errors), float(between), float(within), float(ratio / (1 + ratio)), float(-(criterion + constant) / 2),
                           len(left), len(sizes), outcome, cluster, notes)  # fmt: skip


def fits_exactly(left: np.ndarray, outcome: np.ndarray) -> bool:
    """Whether what a fit leaves of an outcome is nothing, beside how it varies or beside rounding."""
    return bool(np.linalg.norm(left) <= max(NEGLIGIBLE * np.linalg.norm(outcome - outcome.mean()), ROUNDING * np.linalg.norm(outcome)))


def _best_ratio(sums: _Sums, outcome: str, cluster: str) -> float:
    """The ratio of variances at which the profiled criterion is lowest."""
    from scipy.optimize import brentq

    slopes = np.array([_slope(sums, share / (1 - share)) for share in SHARES])
    found = [0.0] if slopes[0] >= 0 else []
    for start in np.flatnonzero((slopes[:-1] < 0) & (slopes[1:] >= 0)):
        share = brentq(lambda value: _slope(sums, value / (1 - value)), SHARES[start], SHARES[start + 1], xtol=1e-15, rtol=1e-14)
        found.append(share / (1 - share))
    if not found:
        raise UnidentifiedError("there is no variance within clusters", where=f"columns {outcome!r}, {cluster!r}",
                                mend="check that the outcome differs between rows of one cluster.")  # fmt: skip
    return min(found, key=lambda ratio: _profile(sums, ratio)[3])


def _profile(sums: _Sums, ratio: float) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Inverse cross-products, coefficients, variance within, and -2 log restricted likelihood at a ratio of variances."""
    shrink = ratio / (1 + sums.sizes * ratio)
    cross = sums.cross - (shrink[:, None] * sums.by_cluster).T @ sums.by_cluster
    inverse = np.linalg.inv(cross[:-1, :-1])
    coefficients = inverse @ cross[:-1, -1]
    left = sums.n - len(coefficients)
    within = float(cross[-1, -1] - cross[:-1, -1] @ coefficients) / left
    criterion = left * (np.log(2 * np.pi * within) + 1) + np.log1p(sums.sizes * ratio).sum() - np.linalg.slogdet(inverse)[1]
    return inverse, coefficients, within, float(criterion)


def _slope(sums: _Sums, ratio: float) -> float:
    """Derivative of the criterion by the ratio."""
    inverse, coefficients, within, _ = _profile(sums, ratio)
    shrink = 1 / (1 + sums.sizes * ratio)
    scaled = shrink[:, None] * sums.by_cluster
    residual = scaled[:, -1] - scaled[:, :-1] @ coefficients
    trace = np.einsum("ij,jk,ik->", scaled[:, :-1], inverse, scaled[:, :-1])
    return float((sums.sizes * shrink).sum() - trace - residual @ residual / within)
