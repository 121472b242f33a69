"""Cluster-robust covariance CR0 to CR3 and the Satterthwaite degrees of freedom of CR2.

Bell, R. & McCaffrey, D. (2002), Survey Methodology 28(2), 169-181; Pustejovsky, J. & Tipton, E. (2018), Journal of
Business & Economic Statistics 36(4), 672-683. Conventions are those of the R package clubSandwich for `lm`: the
working model is the identity, also where the fit is weighted, and CR1 multiplies by G / (G - 1) and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference.design_matrix import MOST_CELLS, Solution

KINDS = ("CR0", "CR1", "CR2", "CR3")
# Eigenvalues of an adjustment matrix below this share of its largest (at least 1) are zero: a pseudo-inverse is
# taken. Rounding leaves about 1e-15; a cluster that leaves less than this of a direction has in effect fixed it.
ZERO_EIGENVALUE = 1e-10
# A direction of which other clusters hold less than this share of the information rests on one cluster alone.
LONE_CLUSTER = 1e-9
# Share of a term's own direction, in the same sense, above which the term is said to rest on that cluster.
LONE_TERM = 1e-6
# Cells of one block of the clusters-by-clusters matrix of the degrees of freedom (64 MB).
BLOCK_CELLS = 8_000_000


@dataclass(frozen=True, eq=False)
class ClusterRobust:
    """Covariance of the reported terms, shape (k, k), and degrees of freedom, shape (k,)."""

    vcov: np.ndarray
    df: np.ndarray


@dataclass(frozen=True, eq=False)
class _Effects:
    """The largest absorbed factor in orthonormal coordinates; arrays over its L levels.

    `lone`: all rows of the level lie in one cluster; `silent`: lone, and of one weight. A silent level's indicator is
    orthogonal to every other column, weighted or not, and its adjustment is zero, so it is left out exactly.
    """

    codes: np.ndarray
    scale: np.ndarray
    lone: np.ndarray
    silent: np.ndarray
    own: np.ndarray
    cross: np.ndarray


@dataclass(frozen=True, eq=False)
class _Cluster:
    """Rows of one cluster: orthonormal columns (first z of the terms, then of the levels kept), weights, residuals."""

    number: int
    columns: np.ndarray
    levels: np.ndarray
    weights: np.ndarray
    residuals: np.ndarray


def cluster_robust(solution: Solution, kind: str, names: Sequence[str], labels: Sequence) -> ClusterRobust:
    """Covariance and degrees of freedom of the reported terms.

    Nothing of n by n or of cluster size by cluster size is formed: a cluster's adjustment matrix differs from the
    identity only on the span of its columns and its weighted columns, and is worked out there.

    Parameters
    ----------
    solution : Solution
    kind : {"CR0", "CR1", "CR2", "CR3"}
    names : sequence of str
        The terms that must not rest on one cluster alone (the first of the reported terms).
    labels : sequence
        The clusters' labels, for messages.

    Raises
    ------
    UnidentifiedError
        A term rests on one cluster alone, or CR3 does not exist.
    """
    count = len(labels)
    effects = _effects(solution)
    square = solution.orthonormal.T @ (solution.weights[:, None] ** 2 * solution.orthonormal)
    scores = np.empty((count, len(solution.estimates)))
    parts = []
    for cluster in _clusters(solution, effects, count):
        information = cluster.columns.T @ (cluster.weights[:, None] * cluster.columns)
        _refuse_lone_terms(information, cluster, effects, solution.combine, names, labels)
        if kind == "CR2":
            part = _adjust(cluster, effects, square, solution.combine)
            parts.append(part)
            scores[cluster.number] = part.score
        else:
            sums = cluster.columns.T @ (cluster.weights * cluster.residuals)
            if kind == "CR3":
                sums = _leave_cluster_out(information, sums, cluster, effects, labels)
            scores[cluster.number] = solution.combine.T @ sums[: len(solution.combine)]
    vcov = scores.T @ scores * (count / (count - 1) if kind == "CR1" else 1.0)
    df = _satterthwaite(parts, effects) if kind == "CR2" else np.full(len(solution.estimates), count - 1.0)
    return ClusterRobust(vcov, df)


def _effects(solution: Solution) -> _Effects | None:
    if solution.levels is None:
        return None
    codes, weights, clusters = solution.levels, solution.weights, solution.clusters
    total = np.bincount(codes, weights)
    count = len(total)

    def spread(values: np.ndarray) -> np.ndarray:
        low, high = np.full(count, np.inf), np.full(count, -np.inf)
        np.minimum.at(low, codes, values)
        np.maximum.at(high, codes, values)
        return high - low

    lone = spread(clusters) == 0
    scale = 1 / np.sqrt(total)
    own = np.bincount(codes, weights**2) / total
    cross = np.array([np.bincount(codes, weights**2 * column) * scale for column in solution.orthonormal.T])
    return _Effects(codes, scale, lone, lone & (spread(weights) == 0), own, cross.reshape(-1, count))


def _clusters(solution: Solution, effects: _Effects | None, count: int) -> Iterator[_Cluster]:
    bounds = np.searchsorted(solution.clusters, np.arange(count + 1))
    for number in range(count):
        rows = slice(bounds[number], bounds[number + 1])
        columns, levels = solution.orthonormal[rows], np.empty(0, dtype=int)
        if effects is not None:
            codes = effects.codes[rows]
            present = np.unique(codes)
            levels = present[~effects.silent[present]]
            if len(levels) * len(codes) > MOST_CELLS:
                raise DataError(f"a cluster of {len(codes):,} rows holds {len(levels):,} absorbed effects: too many for memory",
                                mend="absorb a coarser column, or use weights that are constant within it.")  # fmt: skip
            indicators = (codes[:, None] == levels) * effects.scale[levels]
            columns = np.column_stack([columns, indicators])
        yield _Cluster(number, columns, levels, solution.weights[rows], solution.residuals[rows])


def _refuse_lone_terms(
    information: np.ndarray,
    cluster: _Cluster,
    effects: _Effects | None,
    combine: np.ndarray,
    names: Sequence[str],
    labels: Sequence,
) -> None:
    """Refuse a term that the other clusters could not tell: its cluster's residuals say nothing of its error."""
    width = len(combine)
    if effects is not None:
        shared = np.append(np.ones(width, dtype=bool), ~effects.lone[cluster.levels])
        information = information[np.ix_(shared, shared)]
    if np.trace(information) < 1 - LONE_CLUSTER:  # no eigenvalue exceeds the trace
        return
    values, vectors = np.linalg.eigh(information)
    lone = vectors[:width, values > 1 - LONE_CLUSTER]
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


def _leave_cluster_out(
    information: np.ndarray, sums: np.ndarray, cluster: _Cluster, effects: _Effects | None, labels: Sequence
) -> np.ndarray:
    """CR3's score: X'W (I - H)^-1 e = (I - X'WX)^-1 X'W e within the cluster, in orthonormal coordinates."""
    left = np.eye(len(information)) - information
    if (effects is not None and effects.lone.any()) or np.linalg.eigvalsh(left)[0] < LONE_CLUSTER:
        raise UnidentifiedError(f"CR3 does not exist here: the other clusters cannot fit cluster {labels[cluster.number]}",
                                mend='use kind="CR2", which takes a pseudo-inverse there.')  # fmt: skip
    return np.linalg.solve(left, sums)


@dataclass(frozen=True, eq=False)
class _Part:
    """One cluster's share of CR2: score (k,); own variance (k,); sums over its columns (z or levels, k)."""

    number: int
    levels: np.ndarray
    score: np.ndarray
    variance: np.ndarray
    left: np.ndarray
    right: np.ndarray


def _adjust(cluster: _Cluster, effects: _Effects | None, square: np.ndarray, combine: np.ndarray) -> _Part:
    """Apply A = B^(-1/2) to the cluster's weighted columns, in the coordinates of their QR decomposition.

    B = (I - H) (I - H)' restricted to the cluster = I - X X'W - W X X' + X S X', X orthonormal, S = X'W^2 X over all
    rows. With v = A W X c: `left` is X'v; `right` is such that v_i' B_ij v_j = left_i . right_j + right_i . left_j for
    two clusters i, j; `variance` is v_i' B_ii v_i.
    """
    x, w = cluster.columns, cluster.weights
    width, k = len(combine), x.shape[1]
    even = (w == w[0]).all()
    stacked = [x, cluster.residuals[:, None]] if even else [x, w[:, None] * x, cluster.residuals[:, None]]
    triangle = np.linalg.qr(np.column_stack(stacked), mode="r")
    plain, residual = triangle[:, :k], triangle[:, -1]
    weighted = w[0] * plain if even else triangle[:, k : 2 * k]
    middle = np.zeros((k, k))
    middle[:width, :width] = square
    if effects is not None:
        middle[:width, width:] = effects.cross[:, cluster.levels]
        middle[width:, :width] = middle[:width, width:].T
        middle[range(width, k), range(width, k)] = effects.own[cluster.levels]
    crossed = plain @ weighted.T
    values, vectors = np.linalg.eigh(np.eye(len(triangle)) - crossed - crossed.T + plain @ middle @ plain.T)
    kept = values > ZERO_EIGENVALUE * max(1.0, values[-1])
    turned = vectors[:, kept].T @ weighted[:, :width] @ combine
    adjusted = vectors[:, kept] @ (turned / np.sqrt(values[kept])[:, None])
    left = plain.T @ adjusted
    half = middle.copy()
    half[:width, width:] *= 2
    half[width:, :width] = 0
    right = half @ left / 2 - weighted.T @ adjusted
    return _Part(cluster.number, cluster.levels, adjusted.T @ residual, (turned**2).sum(axis=0), left, right)


def _satterthwaite(parts: list[_Part], effects: _Effects | None) -> np.ndarray:
    """(tr P)^2 / tr(P^2) for each term, P the clusters-by-clusters matrix of v_i' B_ij v_j.

    P is worked through in blocks of rows; time grows with the square of the number of clusters.
    """
    count, terms = len(parts), len(parts[0].score)
    width = len(parts[0].left) - len(parts[0].levels)
    levels = 0 if effects is None else len(effects.scale)
    ends = np.cumsum([0, *(len(part.levels) for part in parts)])
    where = np.concatenate([part.levels for part in parts])
    df = np.empty(terms)
    for term in range(terms):
        left, right = (np.array([side[:width, term] for side in sides]) for sides in _sides(parts))
        beyond = [np.concatenate([side[width:, term] for side in sides]) for sides in _sides(parts)]
        sparse_left, sparse_right = (csr_array((values, where, ends), shape=(count, levels)) for values in beyond)
        variance = np.array([part.variance[term] for part in parts])
        total = 0.0
        step = max(1, BLOCK_CELLS // count)
        for start in range(0, count, step):
            rows = slice(start, min(start + step, count))
            block = left[rows] @ right.T + right[rows] @ left.T
            if len(where):
                block += (sparse_left[rows] @ sparse_right.T + sparse_right[rows] @ sparse_left.T).toarray()
            block[np.arange(block.shape[0]), np.arange(rows.start, rows.stop)] = variance[rows]
            total += float((block**2).sum())
        df[term] = variance.sum() ** 2 / total
    return df


def _sides(parts: list[_Part]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [part.left for part in parts], [part.right for part in parts]
