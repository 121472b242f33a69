"""Solves a weighted least-squares problem after taking absorbed effects out, and refuses what is not identified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference.columns import Columns

# Share of a column's length below which what is left after other columns counts as nothing: well above rounding
# (about 1e-15), well below any variation that double precision could still turn into eight correct digits.
NEGLIGIBLE = 1e-8
# Loading above which a term is named as part of an exact linear relation among unit-length columns.
LOADING = 1e-6
# Share of the outcome's length that rounding alone can leave behind.
ROUNDING = 1e-13
# Cells of the widest dense array that is formed (2 GB of double precision).
MOST_CELLS = 250_000_000


@dataclass(frozen=True, eq=False)
class Design:
    """What a fit takes from everything but the outcome, in coordinates in which the cross-product matrix is the identity.

    With Z the columns left after the largest absorbed factor's group means, W the weights and Z'WZ = R'R, the
    orthonormal columns are Z R^-1; the absorbed factor's are its indicators divided by the root of the level's
    weight. The two sets are orthogonal under W.

    Attributes
    ----------
    weights : ndarray, shape (n,)
    orthonormal : ndarray, shape (n, z)
        Z R^-1.
    combine : ndarray, shape (z, k)
        Takes sums over orthonormal columns to the k reported terms.
    clusters : ndarray of int, shape (n,)
        Ascending.
    levels : ndarray of int, shape (n,), or None
        Level of the largest absorbed factor.
    parameters : int
        Rank of the whole model, absorbed effects included.
    """

    weights: np.ndarray
    orthonormal: np.ndarray
    combine: np.ndarray
    clusters: np.ndarray
    levels: np.ndarray | None
    parameters: int


@dataclass(frozen=True, eq=False)
class Solution(Design):
    """A solved problem: its design, and what the outcome adds.

    Attributes
    ----------
    estimates : ndarray, shape (k,)
        One per reported term: combine' (Z R^-1)' W y.
    residuals : ndarray, shape (n,)
    """

    estimates: np.ndarray
    residuals: np.ndarray


def factor(columns: Columns, names: Sequence[str]) -> Design:
    """The design of a fit, without its outcome.

    Parameters
    ----------
    columns : Columns
    names : sequence of str
        The terms' names, for messages.

    Raises
    ------
    UnidentifiedError
        A term does not vary, terms are collinear, or there are as many parameters as rows.
    """
    matrix, reported, parameters = _matrix(columns, names)
    upper = np.linalg.qr(np.sqrt(columns.weights)[:, None] * matrix, mode="r")
    return Design(**_coordinates(columns, matrix, upper, reported), parameters=parameters)


def solve(columns: Columns, names: Sequence[str]) -> Solution:
    """Weighted least squares of the outcome on the terms, with an intercept or the absorbed effects.

    Parameters
    ----------
    columns : Columns
    names : sequence of str
        The terms' names, for messages.

    Raises
    ------
    UnidentifiedError
        As :func:`factor`, or the fit is exact.
    """
    weights, root = columns.weights, np.sqrt(columns.weights)
    matrix, reported, parameters = _matrix(columns, names)
    # Without effects the outcome loses its mean all the same, which the constant gets back: it can be large beside the rest.
    mean = np.average(columns.outcome, weights=weights)
    centred = columns.outcome - mean
    outcome = _less_group_means(centred[:, None], weights, columns.effects[0])[:, 0] if columns.effects else centred
    triangle = np.linalg.qr(root[:, None] * np.column_stack([matrix, outcome]), mode="r")
    upper, projected = triangle[:-1, :-1], triangle[:-1, -1]
    coefficients = np.linalg.solve(upper, projected)
    residuals = outcome - matrix @ coefficients
    if not columns.effects:
        coefficients[-1] += mean
    exact = max(NEGLIGIBLE * np.linalg.norm(root * centred), ROUNDING * np.linalg.norm(root * columns.outcome))
    if np.linalg.norm(root * residuals) <= exact:
        raise UnidentifiedError("the terms and effects fit the outcome exactly, so nothing is left to judge uncertainty by",
                                mend="check that the outcome is not constant and not made from the terms.")  # fmt: skip
    return Solution(**_coordinates(columns, matrix, upper, reported), parameters=parameters,
                    estimates=coefficients[:reported], residuals=residuals)  # fmt: skip


def _matrix(columns: Columns, names: Sequence[str]) -> tuple[np.ndarray, int, int]:
    """Columns left after the largest factor's group means, how many of them are reported, and the model's rank."""
    weights = columns.weights
    groups = columns.effects[0] if columns.effects else np.zeros(len(weights), dtype=int)
    terms = _less_group_means(columns.terms, weights, groups)
    others = _other_effects(columns, weights, groups)
    _check_identified(columns.terms, terms, others, np.sqrt(weights), names, bool(columns.effects))
    if columns.effects:
        matrix, reported = np.column_stack([terms, others]), terms.shape[1]
        parameters = matrix.shape[1] + int(groups.max()) + 1
    else:
        matrix = np.column_stack([columns.terms, np.ones(len(weights))])
        reported = parameters = matrix.shape[1]
    if len(weights) <= parameters:
        raise UnidentifiedError(f"{len(weights):,} rows cannot carry {parameters:,} parameters",
                                mend="use fewer terms or absorbed effects, or more rows.")  # fmt: skip
    return matrix, reported, parameters


def _coordinates(columns: Columns, matrix: np.ndarray, upper: np.ndarray, reported: int) -> dict:
    inverse = np.linalg.inv(upper)
    return {
        "weights": columns.weights,
        "orthonormal": matrix @ inverse,
        "combine": inverse[:reported].T,
        "clusters": columns.clusters,
        "levels": columns.effects[0] if columns.effects else None,
    }


def _less_group_means(matrix: np.ndarray, weights: np.ndarray, groups: np.ndarray) -> np.ndarray:
    totals = np.bincount(groups, weights)
    left = np.empty_like(matrix, dtype=float)
    for column in range(matrix.shape[1]):
        means = np.bincount(groups, weights * matrix[:, column]) / totals
        left[:, column] = matrix[:, column] - means[groups]
    return left


def _other_effects(columns: Columns, weights: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Indicator columns of the smaller absorbed factors, less the largest's group means, without repeats."""
    counts = [int(codes.max()) + 1 for codes in columns.effects[1:]]
    if len(weights) * sum(counts) > MOST_CELLS:
        raise DataError(f"{sum(counts):,} absorbed effects beside the largest factor's, on {len(weights):,} rows, do not fit in memory",
                        mend="absorb fewer factors, or combine them into one column where the protocol allows.")  # fmt: skip
    indicators = [np.eye(count)[codes][:, 1:] for codes, count in zip(columns.effects[1:], counts, strict=True)]
    if not indicators:
        return np.empty((len(weights), 0))
    raw = np.column_stack(indicators)
    left = _less_group_means(raw, weights, groups)
    scale = np.sqrt(weights @ raw**2)
    triangle = np.linalg.qr(np.sqrt(weights)[:, None] * left / scale, mode="r")
    triangle, order = qr(triangle, mode="r", pivoting=True)
    kept = order[: int((np.abs(np.diag(triangle)) > NEGLIGIBLE).sum())]
    return left[:, np.sort(kept)]


def _check_identified(
    raw: np.ndarray, left: np.ndarray, others: np.ndarray, root: np.ndarray, names: Sequence[str], absorbed: bool
) -> None:
    """Refuse terms that do not vary beside the effects, and terms that repeat one another."""
    scaled = root[:, None] * left
    if others.shape[1]:
        basis = np.linalg.qr(root[:, None] * others)[0]
        scaled = scaled - basis @ (basis.T @ scaled)
    lengths = np.linalg.norm(scaled, axis=0)
    still = lengths <= NEGLIGIBLE * np.linalg.norm(root[:, None] * raw, axis=0)
    if still.any():
        listed = ", ".join(name for name, flag in zip(names, still, strict=True) if flag)
        what = "does not vary once the absorbed effects are taken out" if absorbed else "takes one value in every row, as far as its digits tell"
        raise UnidentifiedError(f"the term {what}, so its effect cannot be told", where=f"term {listed}",
                                mend="leave it out" + (", or absorb effects that it varies within." if absorbed else "."))  # fmt: skip
    if not names:
        return
    _, sizes, directions = np.linalg.svd(np.linalg.qr(scaled / lengths, mode="r"))
    involved = (np.abs(directions[sizes <= NEGLIGIBLE]) > LOADING).any(axis=0)
    if involved.any():
        listed = ", ".join(name for name, flag in zip(names, involved, strict=True) if flag)
        raise UnidentifiedError("these terms are exact combinations of one another (and of the effects), so their effects "
                                "cannot be told apart", where=f"terms {listed}", mend="leave one of them out.")  # fmt: skip
