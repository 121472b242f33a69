"""How uncertain a CR2 covariance is under its working model: degrees of freedom of one term, and of several jointly.

Satterthwaite: Bell, R. & McCaffrey, D. (2002), Survey Methodology 28(2), 169-181. Jointly: Pustejovsky, J. & Tipton, E.
(2018), Journal of Business & Economic Statistics 36(4), 672-683, section 3.2 (the approximate Hotelling's T-squared
test that the R package clubSandwich calls HTZ).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.sparse import csr_array, hstack

# Cells of one block of a clusters-by-clusters matrix (64 MB).
BLOCK_CELLS = 8_000_000
# Blocks, or rows of one where that gives more: the mirror images of all but the squares on the diagonal are not computed.
BLOCKS, BLOCK_ROWS = 8, 200


@dataclass(frozen=True, eq=False)
class ClusterPart:
    """What one cluster contributes to CR2 of k reported terms.

    With v = A W X c the cluster's adjusted weighted columns, taken to the terms, and B the covariance of all residuals
    under the working model: v_i' B_ij v_j = left_i' right_j + right_i' left_j for two clusters, and v_i' B_ii v_i is
    `variance`.

    Attributes
    ----------
    levels : ndarray of int
        Levels of the largest absorbed factor that `left` and `right` speak of after their first z rows.
    variance : ndarray, shape (k, k)
    left, right : ndarray, shape (z + levels, k)
    """

    levels: np.ndarray
    variance: np.ndarray
    left: np.ndarray
    right: np.ndarray


def satterthwaite_df(parts: Sequence[ClusterPart]) -> np.ndarray:
    """(tr P)^2 / tr(P^2) for each term, P the clusters-by-clusters matrix of v_i' B_ij v_j; shape (k,).

    Time grows with the square of the number of clusters.
    """
    variances = np.array([part.variance for part in parts])
    df = np.empty(variances.shape[1])
    for term in range(len(df)):
        own = variances[:, term, term]
        df[term] = own.sum() ** 2 / sum(_both_sides(block[0, 0], block[0, 0]) for block in _covariances(parts, [term], variances))
    return df


def hotelling_df(parts: Sequence[ClusterPart], chosen: Sequence[int]) -> float:
    """Degrees of freedom of the Wishart distribution that the covariance of several terms is likened to.

    q (q + 1) divided by the total variance of the q by q covariance matrix, standardised to have the identity as mean;
    for one term this is Satterthwaite's.

    Parameters
    ----------
    parts : sequence of ClusterPart
    chosen : sequence of int
        Positions of the q terms among the reported ones.
    """
    q = len(chosen)
    variances = np.array([part.variance for part in parts])
    values, vectors = np.linalg.eigh(variances[:, chosen][:, :, chosen].sum(axis=0))
    turn = vectors / np.sqrt(values) @ vectors.T
    total = 0.0
    for block in _covariances(parts, chosen, variances):
        standard = np.einsum("as,stij,tb->abij", turn, block, turn, optimize=True)
        trace = np.einsum("aaij->ij", standard)
        total += _both_sides(trace, trace)
        total += sum(_both_sides(standard[s, t], standard[t, s]) for s in range(q) for t in range(q))
    return q * (q + 1) / total


def _both_sides(one: np.ndarray, other: np.ndarray) -> float:
    """A sum of products over a block of pairs of clusters and over its mirror image, the square that it begins with once."""
    square = len(one)
    return float(2 * np.vdot(one, other) - np.vdot(one[:, :square], other[:, :square]))


def _covariances(parts: Sequence[ClusterPart], chosen: Sequence[int], variances: np.ndarray) -> Iterator[np.ndarray]:
    """v_is' B_ij v_jt for the chosen terms s, t and pairs of clusters.

    Blocks of shape (q, q, some clusters, those and all after them); the other pairs are mirror images.
    """
    count, q = len(parts), len(chosen)
    width = len(parts[0].left) - len(parts[0].levels)
    ends = np.cumsum([0, *(len(part.levels) for part in parts)])
    where = np.concatenate([part.levels for part in parts])
    levels = int(where.max()) + 1 if len(where) else 0

    def sides(term: int, *names: str) -> tuple[np.ndarray, csr_array | None]:
        near = np.array([np.concatenate([getattr(part, name)[:width, term] for name in names]) for part in parts])
        if not levels:
            return near, None
        far = [csr_array((np.concatenate([getattr(part, name)[width:, term] for part in parts]), where, ends), shape=(count, levels)) for name in names]
        return near, hstack(far, format="csr")

    here, there = [sides(term, "left", "right") for term in chosen], [sides(term, "right", "left") for term in chosen]
    step = max(1, min(BLOCK_CELLS // (count * q * q), max(BLOCK_ROWS, -(-count // BLOCKS))))
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        size = rows.stop - start
        block = np.empty((q, q, size, count - start))
        for s, t in product(range(q), range(q)):
            np.matmul(here[s][0][rows], there[t][0][start:].T, out=block[s, t])
            if levels:
                block[s, t] += (here[s][1][rows] @ there[t][1][start:].T).toarray()
            block[s, t, range(size), range(size)] = variances[rows, chosen[s], chosen[t]]
        yield block
