"""The restricted wild cluster bootstrap of one coefficient, weighted and with absorbed effects, from sums by cluster.

Cameron, A. C., Gelbach, J. & Miller, D. (2008). Bootstrap-based improvements for inference with clustered errors. Review
of Economics and Statistics 90(3), 414-427. Roodman, D., MacKinnon, J., Nielsen, M. & Webb, M. (2019). Fast and wild.
Stata Journal 19(1), 4-60. Webb, M. (2023). Reworking wild bootstrap-based inference for clustered errors. Canadian
Journal of Economics 56(3), 839-858.

Conventions: `p_value` is the share of draws whose statistic is larger, as in boottest and fwildclusterboot, and the interval
inverts it. With few clusters it is too small, for the sample itself is one of the draws: `p_value_with_ties` counts statistics
at least as large, (1 + at least as large) / (1 + draws) where draws are sampled, and a test by it is exact for errors symmetric
by cluster. Where the first falls below the least that the second can be, a warning says so. Statistics within a relative 1e-9
are ties. The t statistic is CR1's whatever the kind of the fit; any scalar factor cancels. With few treated clusters the test may
reject hardly ever or far too often (MacKinnon, J. & Webb, M. 2017, Journal of Applied Econometrics 32(2), 233-254; here
tests/simulation/RESULTS.md): it stands beside the test that decides and does not replace it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from evaluation.errors import DataError
from evaluation.inference.design_matrix import Solution
from evaluation.inference.inversion import Inverted, Resampled, check_request, invert, sentences, without_rounding

WEIGHTS = ("auto", "rademacher", "webb")
CONF_LEVEL = 0.95
# Below this many clusters two-point weights give too few distinct draws, and "auto" takes six-point ones (Webb 2023).
FEW_CLUSTERS = 12
WEBB_POINTS = np.sqrt([0.5, 1.0, 1.5]).repeat(2) * np.tile([1.0, -1.0], 3)
# Cells of one block of clusters by draws (32 MB).
BLOCK_CELLS = 4_000_000
# Digits of a cluster's share of information by which clusters are put in order; rounding touches those beyond.
ORDER_DIGITS = 9


@dataclass(frozen=True, eq=False, repr=False)
class WildTest:
    """A wild cluster bootstrap test of one coefficient.

    Attributes
    ----------
    term : str
    estimate, null : float
        In units of the outcome per unit of the term.
    statistic : float
        (estimate - null) / CR1 standard error.
    p_value : float
        Two-sided, symmetric: larger draws / draws, as boottest and fwildclusterboot have it.
    p_value_with_ties : float
        The same with ties and the sample itself counted; never 0.
    conf_low, conf_high : float
        Smallest interval that holds every null whose p_value exceeds 1 - conf_level; infinite where it does not end, or where
        no p-value that counts the sample could be so small.
    conf_level : float
    draws : int
        Draws used: 2^G where enumerated.
    enumerated : bool
        Whether every sign vector was used, so that the p-value has no Monte Carlo error.
    weights : {"rademacher", "webb"}
    n_greater, n_equal : int
        Draws larger in size than the statistic, and draws that tie with it (the sample itself and its mirror image among
        them where enumerated).
    clusters : int
    seed : int
    resampled : ndarray, shape (draws,) or (draws / 2,) where enumerated
        The draws' statistics under the null, CR1; where enumerated one of each pair of equal size and opposite sign.
        Tests on the same rows, clusters and terms with the same seed share their draws column by column.
    warnings : tuple of str
    """

    term: str
    estimate: float
    null: float
    statistic: float
    p_value: float
    p_value_with_ties: float
    conf_low: float
    conf_high: float
    conf_level: float
    draws: int
    enumerated: bool
    weights: str
    n_greater: int
    n_equal: int
    clusters: int
    seed: int
    warnings: tuple[str, ...]
    resampled: np.ndarray = field(compare=False)

    @property
    def frame(self) -> pd.DataFrame:
        """One row: term, estimate, null, statistic, p_value, p_value_with_ties, conf_low, conf_high, draws, weights, clusters."""
        names = ["term", "estimate", "null", "statistic", "p_value", "p_value_with_ties", "conf_low", "conf_high", "draws", "weights", "clusters"]
        return pd.DataFrame([[getattr(self, name) for name in names]], columns=names)

    @property
    def _heading(self) -> str:
        how = f"all {self.draws:,} sign vectors" if self.enumerated else f"{self.draws:,} {self.weights} draws, seed {self.seed}"
        return f"restricted wild cluster bootstrap, {self.clusters} clusters, {how}, {self.conf_level:.0%} interval"

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.frame.to_string(index=False), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.warnings)
        return f"<p>{escape(self._heading)}</p>{self.frame.to_html(index=False, border=0)}{notes}"


def wild_test(
    solution: Solution,
    term_index: int,
    *,
    name: str = "",
    labels: Sequence | None = None,
    null: float = 0.0,
    draws: int = 9999,
    weights: str = "auto",
    seed: int = 0,
    conf_level: float = CONF_LEVEL,
) -> WildTest:
    """Test a coefficient against a null by the wild cluster bootstrap with the null imposed.

    Residuals of the model with the null imposed are multiplied by one weight a cluster; the model is fitted again and its
    t statistic compared with the sample's. Exact for weighted fits and whatever effects are absorbed: what is drawn is the
    outcome before anything is taken out of it.

    Parameters
    ----------
    solution : Solution
        Of :func:`evaluation.inference.design_matrix.solve`.
    term_index : int
        Place of the coefficient among the reported terms.
    name : str
    labels : sequence of length G, optional
        The clusters' labels. Clusters draw in an order set by their shares of information, labels breaking ties, so that
        the order of rows does not matter.
    null : float
        At most 1e30 in size, as columns are.
    draws : int
    weights : {"auto", "rademacher", "webb"}
        "rademacher": signs, every vector of them once if 2^G <= draws. "webb": six points. "auto": Rademacher where it
        can be enumerated, else Webb below 12 clusters, else Rademacher.
    seed : int
    conf_level : float

    Raises
    ------
    DataError
        Weights, draws, seed, null or level that are no such thing.
    """
    if weights not in WEIGHTS:
        raise DataError(f"weights {weights!r} are not known", mend=f"use one of {', '.join(WEIGHTS)}.")
    check_request(null, draws, seed, conf_level)
    resampled, used = wild_statistics(solution, term_index, draws=draws, weights=weights, seed=seed, labels=labels)
    asked = {"term": str(name), "null": float(null), "conf_level": conf_level, "seed": seed}
    return WildTest(**asked, weights=used, **_findings(resampled, null, int(solution.clusters[-1]) + 1, conf_level))


def _findings(resampled: Resampled, null: float, clusters: int, conf_level: float) -> dict[str, Any]:
    """What a result says of the statistics drawn."""
    factor = np.sqrt((clusters - 1) / clusters)  # from CR0 to CR1
    can_reject = resampled.floor <= 1 - conf_level
    inverted = invert(resampled, conf_level) if can_reject else Inverted(-np.inf, np.inf, ((-np.inf, np.inf),))
    greater, equal = resampled.counts(null)
    return {
        "estimate": resampled.estimate,
        "statistic": factor * (resampled.estimate - null) / np.sqrt(resampled.variance),
        "p_value": resampled.p_value(null),
        "p_value_with_ties": resampled.p_value_with_ties(null),
        "conf_low": inverted.low,
        "conf_high": inverted.high,
        "draws": resampled.draws,
        "enumerated": resampled.itself == 0,
        "n_greater": greater,
        "n_equal": equal,
        "clusters": clusters,
        "warnings": (*_warnings(resampled, null, clusters, conf_level), *sentences(inverted, conf_level)),
        "resampled": factor * resampled.statistics(null),
    }


def _warnings(resampled: Resampled, null: float, clusters: int, level: float) -> tuple[str, ...]:
    said = []
    floor = resampled.floor
    if floor > 1 - level:
        source = f"{clusters} clusters" if resampled.itself == 0 else f"{resampled.draws:,} draws"
        said.append(f"With {source} no effect, however large, can have a p-value that counts the sample itself below {floor:.2g}.")
    if resampled.p_value(null) < floor:
        said.append(f"The p-value of {resampled.p_value(null):.2g} leaves the sample itself out, which is one of the draws: claim no less than {floor:.2g}.")
    return tuple(said)


def wild_statistics(
    solution: Solution, term_index: int, *, draws: int, weights: str = "auto", seed: int = 0, labels: Sequence | None = None
) -> tuple[Resampled, str]:
    """The draws' statistics for every null, and the weights that made them ("rademacher" or "webb")."""
    sums = _cluster_sums(solution, term_index)
    order = _order(sums, solution.clusters, labels)
    clusters = len(order)
    enumerated = weights != "webb" and 2**clusters <= draws
    used = "webb" if weights == "webb" or (weights == "auto" and not enumerated and clusters < FEW_CLUSTERS) else "rademacher"
    columns = _every_sign(clusters) if enumerated else _sampled(clusters, draws, used, seed)
    blocks = []
    for block in columns:
        vectors = np.empty_like(block)
        vectors[order] = block
        blocks.append(_five_numbers(sums, vectors))
    numbers = without_rounding(np.concatenate(blocks, axis=1))
    variance = float((sums.score0**2).sum())
    resampled = Resampled(float(solution.estimates[term_index]), variance, *numbers, copies=2 if enumerated else 1, itself=0 if enumerated else 1,
                          ties=False)  # fmt: skip
    return resampled, used


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums by cluster that the bootstrap needs; those with suffix 1 multiply the estimate less the null.

    With M the residual maker, x = M(term) scaled so that x'W y is the estimate, and u the restricted residuals
    u0 + d u1: `score` x'W u (G,); `left` x'W Z and `right` Z'W u over the orthonormal columns Z (G, z); the same over
    levels of the absorbed factor that several clusters share, as sparse arrays (G, L). For a level within one cluster
    Z'W u is zero. `information`: trace of Z'W Z, the cluster's share of it.
    """

    score0: np.ndarray
    score1: np.ndarray
    left: np.ndarray
    right0: np.ndarray
    level_left: csr_array | None
    level_right0: csr_array | None
    scale: float
    information: np.ndarray


def _cluster_sums(solution: Solution, term_index: int) -> _Sums:
    combine, weights = solution.combine[:, term_index], solution.weights
    columns = solution.orthonormal
    direction = columns @ combine
    scale = float(combine @ combine)  # u1 = direction / scale
    starts = np.flatnonzero(np.diff(solution.clusters, prepend=-1))
    weighted_residuals = weights * solution.residuals

    def by_cluster(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, starts)

    def over_columns(values: np.ndarray) -> np.ndarray:
        return np.column_stack([by_cluster(values * column) for column in columns.T])

    weighted_direction = weights * direction
    score0, left = by_cluster(weighted_direction * solution.residuals), over_columns(weighted_direction)
    information = np.sum([by_cluster(weights * column**2) for column in columns.T], axis=0)
    level_left = level_right0 = None
    if solution.levels is not None:
        level_left, level_right0 = _shared_levels(solution, weighted_direction, weighted_residuals, len(starts))
    score1 = by_cluster(weighted_direction * direction) / scale
    return _Sums(score0, score1, left, over_columns(weighted_residuals), level_left, level_right0, scale, information)


def _shared_levels(
    solution: Solution, direction: np.ndarray, residuals: np.ndarray, clusters: int
) -> tuple[csr_array | None, csr_array | None]:
    """Sums over the levels that lie in more than one cluster, divided by the root of the level's weight."""
    levels = len(np.bincount(solution.levels))
    pairs, where = np.unique(solution.clusters * levels + solution.levels, return_inverse=True)
    cluster, level = np.divmod(pairs, levels)
    shared = np.bincount(level, minlength=levels)[level] > 1
    if not shared.any():
        return None, None
    root = np.sqrt(np.bincount(solution.levels, solution.weights))[level]

    def sparse(values: np.ndarray) -> csr_array:
        sums = np.bincount(where, values) / root
        return csr_array((sums[shared], (cluster[shared], level[shared])), shape=(clusters, levels))

    return sparse(direction), sparse(residuals)


def _five_numbers(sums: _Sums, vectors: np.ndarray) -> np.ndarray:
    """numerator0, numerator1, square0, square1, square2 of each column of weights, shape (5, R)."""
    scores0 = sums.score0[:, None] * vectors - sums.left @ (sums.right0.T @ vectors)
    scores1 = sums.score1[:, None] * vectors - sums.left @ (sums.left.T @ vectors) / sums.scale
    if sums.level_left is not None:
        scores0 -= sums.level_left @ (sums.level_right0.T @ vectors)
        scores1 -= sums.level_left @ (sums.level_left.T @ vectors) / sums.scale
    return np.array([
        sums.score0 @ vectors,
        sums.score1 @ vectors,
        np.einsum("gr,gr->r", scores0, scores0),
        np.einsum("gr,gr->r", scores0, scores1),
        np.einsum("gr,gr->r", scores1, scores1),
    ])  # fmt: skip


def _order(sums: _Sums, clusters: np.ndarray, labels: Sequence | None) -> np.ndarray:
    """The clusters by their share of information, so that neither the order of rows nor the outcome sets who draws what."""
    names = np.zeros(len(sums.score0)) if labels is None else np.argsort(np.argsort([str(label) for label in labels]))
    return np.lexsort([names, np.bincount(clusters), np.round(sums.information, ORDER_DIGITS)])


def _every_sign(clusters: int) -> Iterator[np.ndarray]:
    """Every vector of signs whose first is +1, as columns of blocks; each stands for its opposite too."""
    count = 2 ** (clusters - 1)
    step = max(1, BLOCK_CELLS // clusters)
    for start in range(0, count, step):
        numbers = np.arange(start, min(start + step, count))
        signs = np.ones((clusters, len(numbers)))
        for place in range(1, clusters):
            signs[place] -= 2.0 * (numbers >> (place - 1) & 1)
        yield signs


def _sampled(clusters: int, draws: int, weights: str, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    points = WEBB_POINTS if weights == "webb" else np.array([1.0, -1.0])
    step = max(1, BLOCK_CELLS // clusters)
    for start in range(0, draws, step):
        yield points[rng.integers(0, len(points), (min(step, draws - start), clusters))].T
