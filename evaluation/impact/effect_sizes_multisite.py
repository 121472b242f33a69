"""A model in which schools differ both in level and in effect, fitted by restricted maximum likelihood: pupils treated one by one within schools.

References
----------
.. [1] Bates, D., Maechler, M., Bolker, B. & Walker, S. (2015). Fitting linear mixed-effects models using lme4. Journal of Statistical Software
   67(1), 1-48.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evaluation.errors import UnidentifiedError
from evaluation.impact.effect_sizes_reml import fits_exactly
from evaluation.inference.columns import Columns

# Standard deviations of both random effects, over that within clusters, that the search starts from.
STARTS = (0.05, 0.3, 1.0)
# Slope of -2 log likelihood, over its number of rows, at which a maximum is taken as found.
FLAT = 1e-9
# Share of the variance within clusters (or of the variance of effects) below which what is left of a random effect is rounding.
BOUNDARY = 1e-8
# Share of a column's length below which what the others leave of it counts as nothing.
NEGLIGIBLE = 1e-8


@dataclass(frozen=True, eq=False)
class RandomSlope:
    """Effect of treatment, its standard error, and variances: within clusters, of levels and of effects between them, and of both together.

    ``warnings`` says where the variances lie on their boundary.
    """

    effect: float
    std_error: float
    var_within: float
    var_level: float
    var_effect: float
    covariance: float
    warnings: tuple[str, ...]


class _Sums(NamedTuple):
    """Cross-products of orthonormal columns and outcome; each cluster's [1, treatment] with itself (2, 2) and with them (2, p + 1)."""

    cross: np.ndarray
    inner: np.ndarray
    outer: np.ndarray
    n: int


class _Point(NamedTuple):
    """Criterion, its derivative by the covariance of the random effects, coefficients, their inverse cross-products, variance within."""

    criterion: float
    slope: np.ndarray
    coefficients: np.ndarray
    inverse: np.ndarray
    within: float


def random_slope(read: Columns, names: Sequence[str]) -> RandomSlope:
    """Fit an intercept and an effect of treatment that vary, correlated, over clusters, as the R package lme4 does [1]_.

    Parameters
    ----------
    read : Columns
        Terms are treatment (0/1), then covariates; sorted by cluster.
    names : sequence of str
        Of the terms, for messages.

    Raises
    ------
    UnidentifiedError
        Collinear terms, an exact fit, or no maximum is found.
    """
    design = np.column_stack([read.terms, np.ones(len(read.outcome))])
    orthonormal, triangle = np.linalg.qr(design)
    weak = np.abs(np.diag(triangle)) <= NEGLIGIBLE * np.linalg.norm(design, axis=0)
    left = read.outcome - orthonormal @ (orthonormal.T @ read.outcome)
    if weak.any() or fits_exactly(left, read.outcome):
        raise UnidentifiedError("terms are combinations of one another, or fit the outcome exactly", where=f"terms {', '.join(names)}",
                                mend="leave one of them out.")  # fmt: skip
    scale = np.linalg.norm(left) / np.sqrt(len(left))
    clusters = int(read.clusters[-1]) + 1
    if len(left) <= 2 * clusters:
        raise UnidentifiedError(f"{len(left):,} rows of {clusters:,} clusters cannot tell their levels and effects from variance within", where=f"column {names[0]!r}",
                                mend="use clusters with more rows of either arm, or leave the cluster out where pairs were formed.")  # fmt: skip
    columns = np.column_stack([orthonormal, left / scale])
    random = np.column_stack([np.ones(len(left)), read.terms[:, 0]])
    begin = np.searchsorted(read.clusters, np.arange(read.clusters[-1] + 1))
    sums = _Sums(columns.T @ columns, np.add.reduceat(random[:, :, None] * random[:, None, :], begin),
                 np.add.reduceat(random[:, :, None] * columns[:, None, :], begin), len(left))  # fmt: skip
    root = _maximise(sums, names[0])
    point, spread = _at(sums, root), root @ root.T
    back = np.linalg.inv(triangle)[0]
    effect = float(back @ (orthonormal.T @ read.outcome + scale * point.coefficients))
    within = point.within * scale**2
    error = float(np.sqrt(within * back @ point.inverse @ back))
    boundary = root[0, 0] ** 2 < BOUNDARY or root[1, 1] ** 2 < BOUNDARY * max(spread[1, 1], 1.0)
    notes = ("Clusters' levels and effects do not vary, or vary together exactly: the estimated variances lie on their boundary.",) if boundary else ()
    return RandomSlope(effect, error, within, *(float(within * value) for value in (spread[0, 0], spread[1, 1], spread[0, 1])), notes)


def _maximise(sums: _Sums, treatment: str) -> np.ndarray:
    """Lower triangular root of the random effects' covariance over the variance within, at the highest restricted likelihood."""
    from scipy.optimize import minimize, root

    def build(values: np.ndarray) -> np.ndarray:
        return np.array([[values[0], 0.0], [values[1], values[2]]])

    def slope(values: np.ndarray) -> np.ndarray:
        matrix = build(values)
        return 2 * (_at(sums, matrix).slope @ matrix)[[0, 1, 1], [0, 0, 1]]

    found = []
    for start in STARTS:
        first = minimize(lambda values: _at(sums, build(values)).criterion, [start, 0.0, start], jac=slope, method="BFGS", options={"gtol": 1e-8})
        last = root(slope, first.x, tol=1e-14).x
        found += [values for values in (first.x, last) if np.abs(slope(values)).max() <= FLAT * sums.n]
    if not found:
        raise UnidentifiedError("the restricted likelihood has no maximum that could be found", where=f"column {treatment!r}",
                                mend="use fewer covariates, or clusters with more rows of either arm.")  # fmt: skip
    # Among points alike to rounding in height, the flattest.
    lowest = min(_at(sums, build(values)).criterion for values in found)
    near = [values for values in found if _at(sums, build(values)).criterion <= lowest + 1e-9 * sums.n]
    return build(min(near, key=lambda values: np.abs(slope(values)).max()))


def _at(sums: _Sums, root: np.ndarray) -> _Point:
    """-2 log restricted likelihood, profiled over coefficients and variance within, and its derivative."""
    inside = np.eye(2) + root.T @ sums.inner @ root
    middle = root @ np.linalg.inv(inside) @ root.T
    shrunk = middle @ sums.outer
    cross = sums.cross - np.einsum("jab,jac->bc", sums.outer, shrunk)
    inverse = np.linalg.inv(cross[:-1, :-1])
    coefficients = inverse @ cross[:-1, -1]
    rest = sums.n - len(coefficients)
    within = float(cross[-1, -1] - cross[:-1, -1] @ coefficients) / rest
    criterion = rest * (np.log(2 * np.pi * within) + 1) + np.linalg.slogdet(inside)[1].sum() - np.linalg.slogdet(inverse)[1]
    reduced = sums.outer - sums.inner @ shrunk
    own = sums.inner - sums.inner @ middle @ sums.inner
    residual = reduced[:, :, -1] - reduced[:, :, :-1] @ coefficients
    slope = own.sum(axis=0) - np.einsum("jab,bc,jdc->ad", reduced[:, :, :-1], inverse, reduced[:, :, :-1]) - residual.T @ residual / within
    return _Point(float(criterion), slope, coefficients, inverse, within)
