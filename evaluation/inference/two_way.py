"""Covariance of estimates whose errors are shared within either of two groupings, such as matched pairs and schools.

Cameron, A. C., Gelbach, J. B. & Miller, D. L. (2011). Robust inference with multiway clustering. Journal of Business &
Economic Statistics 29(2), 238-249.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference.absorbed import absorbed_effects
from evaluation.inference.cluster_robust import ClusterRobust, cluster_sums, refuse_lone_terms, small_sample_factor
from evaluation.inference.design_matrix import Solution

TWO_WAY_KINDS = ("CR0", "CR1", "CR1S")
# Share of the two one-way variances below which their difference from the intersection's is rounding.
NOTHING_LEFT = 1e-12
# Smallest eigenvalue, as a share of the largest in size, that still counts as zero.
ZERO_EIGENVALUE = 1e-10


def two_way_robust(
    solution: Solution, kind: str, names: Sequence[str], labels: Sequence, crossed: np.ndarray, crossed_labels: Sequence
) -> ClusterRobust:
    """Covariance by the first grouping, plus that by the second, less that by their intersection.

    Each of the three takes the small-sample factor of its own number of groups, as the R package sandwich does
    (`vcovCL` with `multi0 = FALSE`: its type HC0 is CR1 here, its HC1 is CR1S). Degrees of freedom: the smaller number
    of clusters less one.

    The difference need not be positive semi-definite. It is returned as it comes, like sandwich's default: the eigenvalue
    correction of Cameron, Gelbach & Miller would change every standard error to mend one.

    Parameters
    ----------
    solution : Solution
        Sorted by the first grouping.
    kind : {"CR0", "CR1", "CR1S"}
    names, labels : sequence
        As for :func:`cluster_robust`; labels of the first grouping.
    crossed : ndarray of int, shape (n,)
        Codes of the second grouping.
    crossed_labels : sequence

    Raises
    ------
    DataError
        Another kind.
    UnidentifiedError
        A term rests on one cluster alone, of either grouping, or its variance is not positive.
    """
    if kind not in TWO_WAY_KINDS:
        raise DataError(f"{kind} is not defined for two-way clustering", where="kind",
                        mend=f"use one of {', '.join(TWO_WAY_KINDS)}, or cluster by one column.")  # fmt: skip
    refuse_lone_terms(solution, absorbed_effects(solution), names, labels)
    turned = _sorted_by(solution, crossed)
    refuse_lone_terms(turned, absorbed_effects(turned), names, crossed_labels)
    both = np.unique(solution.clusters.astype(np.int64) * len(crossed_labels) + crossed, return_inverse=True)[1]
    first, second, shared = (_one_way(solution, kind, codes) for codes in (solution.clusters, crossed, both))
    vcov = first + second - shared
    nothing = np.diag(vcov) <= NOTHING_LEFT * (np.diag(first) + np.diag(second))
    listed = ", ".join(name for name, flag in zip(names, nothing, strict=False) if flag)
    if listed:
        raise UnidentifiedError("the two-way variance is not positive: what the groupings share outweighs each of them", where=f"term {listed}",
                                mend="cluster by each column in turn and report the larger standard error.")  # fmt: skip
    vcov[nothing, nothing] = np.minimum(vcov[nothing, nothing], 0.0)
    df = min(len(labels), len(crossed_labels)) - 1.0
    return ClusterRobust(vcov, np.full(len(vcov), df))


def positive_semi_definite(vcov: np.ndarray) -> bool:
    """Whether a covariance matrix is one, up to rounding and whatever the units of its columns."""
    scale = np.sqrt(np.abs(np.diag(vcov)))
    scale[scale == 0] = 1
    values = np.linalg.eigvalsh(vcov / np.outer(scale, scale))
    return bool(values[0] >= -ZERO_EIGENVALUE * np.abs(values).max())


def _one_way(solution: Solution, kind: str, codes: np.ndarray) -> np.ndarray:
    sums = cluster_sums(solution, codes)
    return small_sample_factor(kind, len(sums), len(codes), solution.parameters) * (sums.T @ sums)


def _sorted_by(solution: Solution, codes: np.ndarray) -> Solution:
    order = np.argsort(codes, kind="stable")
    return replace(
        solution,
        weights=solution.weights[order],
        orthonormal=solution.orthonormal[order],
        residuals=solution.residuals[order],
        clusters=codes[order],
        levels=None if solution.levels is None else solution.levels[order],
    )
