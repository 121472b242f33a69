"""Cluster-robust covariance CR0 to CR3, with the degrees of freedom of CR2.

Bell, R. & McCaffrey, D. (2002), Survey Methodology 28(2), 169-181; Pustejovsky, J. & Tipton, E. (2018), Journal of
Business & Economic Statistics 36(4), 672-683. Conventions are those of the R package clubSandwich for `lm`: the
working model is the identity, also where the fit is weighted, and CR1 multiplies by G / (G - 1) and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference.absorbed import AbsorbedEffects, absorbed_effects
from evaluation.inference.design_matrix import MOST_CELLS, Design, Solution
from evaluation.inference.satterthwaite import ClusterPart, satterthwaite_df

SCALED = ("CR0", "CR1", "CR1p", "CR1S")
"""Kinds that are CR0 times a number."""
KINDS = (*SCALED, "CR2", "CR3")
# Eigenvalues of an adjustment matrix below this share of its largest (at least 1) are zero: a pseudo-inverse is
# taken. Rounding leaves about 1e-15; a cluster that leaves less than this of a direction has in effect fixed it.
ZERO_EIGENVALUE = 1e-10
# A direction of which other clusters hold less than this share of the information rests on one cluster alone.
LONE_CLUSTER = 1e-9
# Share of a term's own direction, in the same sense, above which the term is said to rest on that cluster.
LONE_TERM = 1e-6


@dataclass(frozen=True, eq=False)
class ClusterRobust:
    """Covariance of the reported terms, shape (k, k), their degrees of freedom, shape (k,), and CR2's parts by cluster."""

    vcov: np.ndarray
    df: np.ndarray
    parts: tuple[ClusterPart, ...] = ()


@dataclass(frozen=True, eq=False)
class _Cluster:
    """Rows of one cluster, as a slice; orthonormal columns (first the design's, then of levels shared with others); weights."""

    number: int
    rows: slice
    columns: np.ndarray
    levels: np.ndarray
    weights: np.ndarray


def cluster_robust(solution: Solution, kind: str, names: Sequence[str], labels: Sequence) -> ClusterRobust:
    """Covariance and degrees of freedom of the reported terms.

    Nothing of n by n or of cluster size by cluster size is formed: a cluster's adjustment matrix differs from the
    identity only on the span of its columns and its weighted columns, and is worked out there.

    Parameters
    ----------
    solution : Solution
    kind : {"CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"}
    names : sequence of str
        The terms that must not rest on one cluster alone (the first of the reported terms).
    labels : sequence
        The clusters' labels, for messages.

    Raises
    ------
    UnidentifiedError
        A term rests on one cluster alone, or CR1p or CR3 does not exist.
    """
    count = len(labels)
    effects = absorbed_effects(solution)
    refuse_lone_terms(solution, effects, names, labels)
    if kind == "CR2":
        adjusted = list(_adjusted(solution, effects, solution.residuals))
        parts = tuple(part for part, _ in adjusted)
        scores = np.array([score for _, score in adjusted])
        return ClusterRobust(scores.T @ scores, satterthwaite_df(parts), parts)
    if kind == "CR3":
        scores = np.array([_leave_cluster_out(cluster, effects, solution, labels) for cluster in _clusters(solution, effects, range(count))])
        factor = 1.0
    else:
        scores = cluster_sums(solution, solution.clusters)
        factor = small_sample_factor(kind, count, len(solution.weights), solution.parameters)
    return ClusterRobust(factor * scores.T @ scores, np.full(len(solution.estimates), count - 1.0))


def design_parts(design: Design, names: Sequence[str], labels: Sequence) -> tuple[ClusterPart, ...]:
    """CR2's parts of a design whose outcome is not known; parameters and errors as :func:`cluster_robust`."""
    effects = absorbed_effects(design)
    refuse_lone_terms(design, effects, names, labels)
    return tuple(part for part, _ in _adjusted(design, effects, np.zeros(len(design.weights))))


def cluster_sums(solution: Solution, codes: np.ndarray) -> np.ndarray:
    """Each group's sum of the rows' shares in the estimates' errors (weight, residual, column), shape (groups, k)."""
    rows = (solution.weights * solution.residuals)[:, None] * (solution.orthonormal @ solution.combine)
    return np.array([np.bincount(codes, column) for column in rows.T]).T


def small_sample_factor(kind: str, count: int, n: int, parameters: int) -> float:
    """What a kind multiplies CR0 by, for G clusters, n rows and p parameters.

    CR1: G / (G - 1). CR1p: G / (G - p). CR1S (Stata's, and the usual meaning of "CR1" elsewhere):
    G (n - 1) / ((G - 1) (n - p)). All absorbed effects count as parameters.

    Raises
    ------
    UnidentifiedError
        CR1p with as many parameters as clusters.
    """
    if kind == "CR1p" and count <= parameters:
        raise UnidentifiedError(f"CR1p does not exist here: {count:,} clusters do not exceed {parameters:,} parameters",
                                mend='use kind="CR2".')  # fmt: skip
    if kind == "CR1p":
        return count / (count - parameters)
    share = count / (count - 1)
    return {"CR0": 1.0, "CR1": share, "CR1S": share * (n - 1) / (n - parameters)}[kind]


def _clusters(solution: Design, effects: AbsorbedEffects | None, numbers: Sequence[int]) -> Iterator[_Cluster]:
    """The clusters of these numbers, one by one."""
    bounds = np.searchsorted(solution.clusters, np.arange(solution.clusters[-1] + 2))
    for number in numbers:
        rows = slice(bounds[number], bounds[number + 1])
        columns, levels = solution.orthonormal[rows], np.empty(0, dtype=int)
        if effects is not None:
            codes = effects.codes[rows]
            present = np.unique(codes)
            levels = present[~effects.lone[present]]
            if len(levels) * len(codes) > MOST_CELLS:
                raise DataError(f"a cluster of {len(codes):,} rows holds {len(levels):,} absorbed effects that other clusters share: too many for "
                                "memory", mend="absorb a coarser column, or cluster by one within which its levels lie.")  # fmt: skip
            indicators = (codes[:, None] == levels) * effects.scale[levels]
            columns = np.column_stack([columns, indicators])
        yield _Cluster(number, rows, columns, levels, solution.weights[rows])


def refuse_lone_terms(solution: Design, effects: AbsorbedEffects | None, names: Sequence[str], labels: Sequence) -> None:
    """Refuse a term that the other clusters could not tell: its cluster's residuals say nothing of its error.

    Raises
    ------
    UnidentifiedError
    """
    held = solution.weights * np.einsum("ij,ij->i", solution.orthonormal, solution.orthonormal)
    if effects is not None:
        held = held + ~effects.lone[effects.codes] * solution.weights * effects.scale[effects.codes] ** 2
    # No eigenvalue exceeds the trace.
    heavy = np.flatnonzero(np.bincount(solution.clusters, held) >= 1 - LONE_CLUSTER)
    for cluster in _clusters(solution, effects, heavy):
        _refuse_lone_terms_of(cluster, solution.combine, names, labels)


def _refuse_lone_terms_of(cluster: _Cluster, combine: np.ndarray, names: Sequence[str], labels: Sequence) -> None:
    information = cluster.columns.T @ (cluster.weights[:, None] * cluster.columns)
    values, vectors = np.linalg.eigh(information)
    lone = vectors[: len(combine), values > 1 - LONE_CLUSTER]
    share = np.linalg.norm(combine.T @ lone, axis=1) / np.linalg.norm(combine, axis=0)
    resting = [name for name, value in zip(names, share, strict=False) if value > LONE_TERM]
    if resting:
        raise UnidentifiedError(
            f"the effect rests on one cluster alone ({labels[cluster.number]}), so no clustered standard error can say how "
            "far it may be off",
            where=f"term {', '.join(resting)}",
            mend="use more clusters on each side, absorb the term if it is only an adjustment, or place the effect in "
            "every cluster in turn.",
        )


def _leave_cluster_out(cluster: _Cluster, effects: AbsorbedEffects | None, solution: Solution, labels: Sequence) -> np.ndarray:
    """CR3's score: X'W (I - H)^-1 e = (I - X'WX)^-1 X'W e within the cluster, in orthonormal coordinates."""
    left = np.eye(cluster.columns.shape[1]) - cluster.columns.T @ (cluster.weights[:, None] * cluster.columns)
    if (effects is not None and effects.lone.any()) or np.linalg.eigvalsh(left)[0] < LONE_CLUSTER:
        raise UnidentifiedError(f"CR3 does not exist here: the other clusters cannot fit cluster {labels[cluster.number]}",
                                mend='use kind="CR2", which takes a pseudo-inverse there.')  # fmt: skip
    sums = np.linalg.solve(left, cluster.columns.T @ (cluster.weights * solution.residuals[cluster.rows]))
    return solution.combine.T @ sums[: len(solution.combine)]


def _adjusted(design: Design, effects: AbsorbedEffects | None, residuals: np.ndarray) -> Iterator[tuple[ClusterPart, np.ndarray]]:
    """CR2's part and score (k,) of every cluster in turn."""
    square = design.orthonormal.T @ (design.weights[:, None] ** 2 * design.orthonormal)
    for cluster in _clusters(design, effects, range(design.clusters[-1] + 1)):
        yield _adjust(cluster, effects, square, design.combine, residuals[cluster.rows])


def _adjust(
    cluster: _Cluster, effects: AbsorbedEffects | None, square: np.ndarray, combine: np.ndarray, residuals: np.ndarray
) -> tuple[ClusterPart, np.ndarray]:
    """Apply A = B^(-1/2) to the cluster's weighted columns, in the coordinates of their QR decomposition.

    B = (I - H) (I - H)' restricted to the cluster = L - X Q' - Q X' + X S X', with L what taking out lone levels makes of
    the identity, X the other orthonormal columns, Q = L W X and S = X'W^2 X over all rows. `left` is then X'v, and `right`
    makes the products of :class:`ClusterPart` come true.
    """
    x, w = cluster.columns, cluster.weights
    width, k = len(combine), x.shape[1]
    plain, bent, weighted, residual, stretch = _coordinates(cluster, effects, width, residuals)
    middle = np.zeros((k, k))
    middle[:width, :width] = square
    if effects is not None:
        middle[:width, width:] = effects.cross[:, cluster.levels]
        middle[width:, :width] = middle[:width, width:].T
        middle[range(width, k), range(width, k)] = effects.own[cluster.levels]
    crossed = plain @ bent.T
    values, vectors = np.linalg.eigh(np.diag(stretch) - crossed - crossed.T + plain @ middle @ plain.T)
    kept = values > ZERO_EIGENVALUE * max(1.0, values[-1])
    turned = vectors[:, kept].T @ weighted @ combine
    adjusted = vectors[:, kept] @ (turned / np.sqrt(values[kept])[:, None])
    left = plain.T @ adjusted
    half = middle.copy()
    half[:width, width:] *= 2
    half[width:, :width] = 0
    right = half @ left / 2 - bent.T @ adjusted
    return ClusterPart(cluster.levels, turned.T @ turned, left, right), adjusted.T @ residual


def _coordinates(
    cluster: _Cluster, effects: AbsorbedEffects | None, width: int, residuals: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X, L W X, W X of the first columns, and residuals in orthonormal coordinates that make L diagonal; and that diagonal.

    What W X has along directions in which L is zero is left out, as by the pseudo-inverse.
    """
    x, w = cluster.columns, cluster.weights
    k = x.shape[1]
    if (w == w[0]).all():  # then L W X = W X, for lone levels have d'W^2 X = w d'WX = 0
        triangle = np.linalg.qr(np.column_stack([x, residuals]), mode="r")
        plain = triangle[:, :k]
        return plain, w[0] * plain, w[0] * plain[:, :width], triangle[:, -1], np.ones(len(triangle))
    bent = w[:, None] * x
    along, weighted_along, stretch = np.empty((0, 2 * k + 1)), np.empty((0, width)), np.empty(0)
    if effects is None:
        columns = np.column_stack([x, bent, residuals])
    else:
        weighted, bends = bent[:, :width].copy(), effects.bends(cluster.rows, w)
        bent[:, :width] -= effects.tilt(cluster.rows)
        columns = np.column_stack([x, bent, residuals])
        if bends is not None:
            directions, stretch = bends
            weighted_along, along = directions @ weighted, directions @ columns
            columns -= directions.T @ along
    triangle = np.linalg.qr(columns, mode="r")
    whole = np.vstack([along, triangle])
    weighted = np.vstack([weighted_along, triangle[:, k : k + width]])
    return whole[:, :k], whole[:, k : 2 * k], weighted, whole[:, -1], np.append(stretch, np.ones(len(triangle)))
