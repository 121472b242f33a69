"""Randomisation inference: the treatment is dealt again to whole clusters within blocks, and the statistic taken each time.

Fisher, R. A. (1935). The design of experiments. MacKinnon, J. & Webb, M. (2020). Randomization inference for difference-
in-differences with few treated clusters. Journal of Econometrics 218(2), 435-450 (the t statistic rather than the
coefficient). Phipson, B. & Smyth, G. (2010). Permutation p-values should never be zero. Statistical Applications in
Genetics and Molecular Biology 9(1), 39.

Conventions: all assignments are used if there are at most `draws` beside the observed one; otherwise that many are sampled, none of them twice and the
observed one not among them, and p = (1 + at least as extreme) / (1 + draws). Ties count as extreme, as does an assignment under
which the statistic does not exist. The t statistic is CR1's; any scalar factor cancels. The interval holds the constant shifts
that this very test does not reject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference.assignments import Assignments, assignments
from evaluation.inference.columns import Columns, named, read_columns, refuse_repeated
from evaluation.inference.design_matrix import MOST_CELLS, Solution, solve
from evaluation.inference.inversion import Resampled, check_request, invert, sentences, without_rounding

STATISTICS = ("t", "difference")
CONF_LEVEL = 0.95
# Share of a treatment column's weight below which what covariates and blocks leave of it is nothing but rounding.
NOTHING_LEFT = 1e-12
# Assignments from which their number is printed as a power of ten.
HUGE = 10**12
# Digits of a cluster's share of the largest by which clusters are put in order; rounding touches those beyond.
ORDER_DIGITS = 9
# Cells of one block of column pairs by assignments (32 MB).
BLOCK_CELLS = 4_000_000


@dataclass(frozen=True, eq=False, repr=False)
class RandomisationTest:
    """A randomisation test of the effect of a treatment given to whole clusters.

    Attributes
    ----------
    treatment : str
    estimate, null : float
        In units of the outcome; the estimate is the weighted least-squares coefficient of the treatment.
    statistic : float
        For "t", (estimate - null) / CR1 standard error; for "difference", estimate - null.
    statistic_name : {"t", "difference"}
    p_value : float
        Two-sided: share of assignments whose statistic is at least as large in size, the observed one counted.
    floor : float
        The smallest p-value that the design allows, whatever the outcomes.
    conf_low, conf_high : float
        Smallest interval that holds every constant shift not rejected at 1 - conf_level; infinite where it does not end.
    conf_level : float
    assignments : int
        Ways in which the treatment could have been dealt: as many treated clusters in each block as there are.
    draws : int
        Assignments used, the observed one among them.
    enumerated : bool
        Whether all were, so that the p-value has no Monte Carlo error.
    clusters, treated_clusters, blocks : int
    seed : int
    warnings : tuple of str
    """

    treatment: str
    estimate: float
    null: float
    statistic: float
    statistic_name: str
    p_value: float
    floor: float
    conf_low: float
    conf_high: float
    conf_level: float
    assignments: int
    draws: int
    enumerated: bool
    clusters: int
    treated_clusters: int
    blocks: int
    seed: int
    warnings: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """One row: term, estimate, null, statistic, p_value, floor, conf_low, conf_high, assignments (rounded where huge), draws."""
        names = ["estimate", "null", "statistic", "p_value", "floor", "conf_low", "conf_high", "assignments", "draws"]
        row = pd.DataFrame([[self.treatment, *(getattr(self, name) for name in names)]], columns=["term", *names])
        return row if self.assignments < HUGE else row.assign(assignments=float(f"1e{len(str(self.assignments)) - 1}"))

    @property
    def _heading(self) -> str:
        many = f"{self.assignments:,}" if self.assignments < HUGE else f"over 10^{len(str(self.assignments)) - 1}"
        how = "all of them" if self.enumerated else f"{self.draws:,} of them, seed {self.seed}"
        return (f"randomisation test on the {self.statistic_name}, {self.treated_clusters} of {self.clusters} clusters treated, "
                f"{self.blocks} block{'s' if self.blocks > 1 else ''}, {many} assignments, {how}")  # fmt: skip

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.frame.to_string(index=False), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.warnings)
        return f"<p>{escape(self._heading)}</p>{self.frame.to_html(index=False, border=0)}{notes}"


def randomisation_test(
    data: pd.DataFrame,
    outcome: str,
    treatment: str,
    *,
    cluster: str,
    block: str | None = None,
    covariates: str | Sequence[str] | None = (),
    weights: str | None = None,
    statistic: str = "t",
    null: float = 0.0,
    draws: int = 9999,
    seed: int = 0,
    conf_level: float = CONF_LEVEL,
) -> RandomisationTest:
    """Test the sharp hypothesis that the treatment shifts every outcome by the same amount.

    The statistic comes from weighted least squares of the outcome on the treatment, the covariates and an effect of each
    block. The p-value is exact, whatever the errors, if treatment was dealt to clusters at random within blocks; where it was
    not, the test asks whether the treated clusters stand out among the clusters of their blocks. "t" is safer than
    "difference" where clusters differ in size or spread.

    Parameters
    ----------
    data : DataFrame
        One row per observation; any index. Never changed.
    outcome : str
        Numeric column.
    treatment : str
        Column of 0 and 1 (or False and True), one value in each cluster.
    cluster, block : str
        Columns of the groups that were treated as wholes, as a rule schools, and of those within which treatment is dealt, as
        a rule areas (optional); each cluster lies in one block.
    covariates : str or sequence of str, optional
        Numeric columns, not affected by the treatment.
    weights : str, optional
        Column of weights, zero or more. They stay with their rows when treatment is dealt again: exactness needs weights that
        do not depend on who was treated. Those of matching, scaled to the number treated, do; pass them before scaling.
    statistic : {"t", "difference"}
    null : float
        The shift that is tested; at most 1e30 in size, as columns are.
    draws, seed : int
    conf_level : float

    Raises
    ------
    DataError
        A column, null, seed, level or number of draws is absent or unfit; a treatment other than 0 and 1 or varying within a cluster; a cluster in several blocks.
    UnidentifiedError
        A block without an untreated cluster; no treated cluster; a treatment that blocks and covariates fix.
    """
    covariates = named("covariates", covariates)
    _check_request(treatment, covariates, statistic)
    check_request(null, draws, seed, conf_level)
    terms = (treatment, *covariates)
    columns = read_columns(data, outcome, terms, weights, () if block is None else (block,), (cluster,))
    treated, blocks = _by_cluster(columns, treatment, cluster, block)
    _check_blocks(treated, blocks, columns, data, cluster, block)
    dealt = assignments(treated, blocks, draws, seed, _order(columns))
    resampled = randomisation_statistics(columns, terms, dealt, statistic)
    asked = {"treatment": treatment, "null": float(null), "statistic_name": statistic, "conf_level": conf_level, "seed": seed}
    return RandomisationTest(**asked, **_findings(resampled, dealt, treated, blocks, asked))


def _check_request(treatment: str, covariates: tuple[str, ...], statistic: str) -> None:
    if statistic not in STATISTICS:
        raise DataError(f"statistic {statistic!r} is not known", mend=f"use one of {', '.join(STATISTICS)}.")
    if treatment in covariates:
        raise DataError("the treatment is also a covariate", where=f"column {treatment!r}", mend="leave it out of the covariates.")
    refuse_repeated("covariate", covariates)


def _findings(resampled: Resampled, dealt: Assignments, treated: np.ndarray, blocks: np.ndarray, asked: dict[str, Any]) -> dict[str, Any]:
    """What a result says of the statistics of the assignments."""
    null, level = asked["null"], asked["conf_level"]
    inverted = invert(resampled, level)
    to_cr1 = np.sqrt((len(treated) - 1) / len(treated) / resampled.variance)
    return {
        "estimate": resampled.estimate,
        "statistic": float((to_cr1 if asked["statistic_name"] == "t" else 1.0) * (resampled.estimate - null)),
        "p_value": resampled.p_value(null),
        "floor": dealt.floor,
        "conf_low": inverted.low,
        "conf_high": inverted.high,
        "assignments": dealt.possible,
        "draws": resampled.draws + resampled.itself,
        "enumerated": dealt.enumerated,
        "clusters": len(treated),
        "treated_clusters": int(treated.sum()),
        "blocks": len(np.unique(blocks)),
        "warnings": (*_warnings(dealt, treated, blocks, level), *sentences(inverted, level)),
    }


def _by_cluster(columns: Columns, treatment: str, cluster: str, block: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Treatment (bool) and block (int) of each cluster, shape (G,)."""
    starts = np.flatnonzero(np.diff(columns.clusters, prepend=-1))
    given = columns.terms[:, 0]
    if not np.isin(given, (0, 1)).all():
        odd = given[~np.isin(given, (0, 1))][0]
        raise DataError(f"the treatment takes the value {odd:g}", where=f"column {treatment!r}", mend="use 0 and 1: untreated and treated.")
    blocks = columns.effects[0] if columns.effects else np.zeros(len(given), dtype=int)
    for values, what, mend in (
        (given, f"the treatment {treatment!r} varies", "test a treatment within clusters by linear with the clusters' effects absorbed."),
        (blocks, f"the block {block!r} varies", "give each cluster one block."),
    ):
        varies = np.flatnonzero(values != values[starts][columns.clusters])
        if len(varies):
            label = columns.cluster_labels[columns.clusters[varies[0]]]
            raise DataError(f"{what} within a cluster", where=f"cluster {label} of column {cluster!r}", mend=mend)
    return given[starts] == 1, blocks[starts]


def _check_blocks(treated: np.ndarray, blocks: np.ndarray, columns: Columns, data: pd.DataFrame, cluster: str, block: str | None) -> None:
    counts, given = np.bincount(blocks), np.bincount(blocks, treated)
    if not treated.any() or (block is None and treated.all()):
        raise UnidentifiedError(f"{'all' if treated.any() else 'none'} of the {len(treated)} clusters are treated",
                                mend="a comparison needs clusters of both kinds.")  # fmt: skip
    full = np.flatnonzero(given == counts)
    if len(full):
        listed = ", ".join(str(_block_label(columns, data, cluster, block, number)) for number in full)
        count = "1 block has" if len(full) == 1 else f"{len(full)} blocks have"
        raise UnidentifiedError(f"{count} no untreated cluster: {listed}", where=f"column {block!r}",
                                mend="leave the block out and say so, or join it to a like one by a rule made before outcomes are seen.")  # fmt: skip


def _block_label(columns: Columns, data: pd.DataFrame, cluster: str, block: str, number: int):
    """The label of a block, looked up at one of its clusters."""
    row = int(np.flatnonzero(columns.effects[0] == number)[0])
    label = columns.cluster_labels[columns.clusters[row]]
    return data.loc[(data[cluster] == label).to_numpy(), block].iloc[0]


def _order(columns: Columns) -> np.ndarray:
    """The clusters by weight, size and mean outcome, labels last, so that the order of rows and labels do not set who is dealt what."""
    weight = np.bincount(columns.clusters, columns.weights)
    mean = np.bincount(columns.clusters, columns.weights * columns.outcome) / weight
    labels = np.argsort(np.argsort([str(label) for label in columns.cluster_labels]))
    rounded = [np.round(values / np.abs(values).max(initial=0) if values.any() else values, ORDER_DIGITS) for values in (mean, weight)]
    return np.lexsort([labels, rounded[0], np.bincount(columns.clusters), rounded[1]])


def _warnings(dealt: Assignments, treated: np.ndarray, blocks: np.ndarray, level: float) -> tuple[str, ...]:
    said = []
    if dealt.floor > 1 - level:
        many = f"{dealt.possible:,} assignments" if dealt.enumerated else f"{len(dealt.given):,} draw{'s' if len(dealt.given) > 1 else ''}"
        said.append(f"With {many} no effect, however large, can have a p-value below {dealt.floor:.2g}.")
    idle = int((np.bincount(blocks, treated) == 0).sum())
    if idle:
        said.append(f"{'1 block has' if idle == 1 else f'{idle} blocks have'} no treated cluster and bear on the covariates alone.")
    return tuple(said)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums by cluster over orthonormal columns Z of covariates and blocks, with weights W.

    `weight` (G,); `columns` Z'W 1 (z, G); `squares` Z'W Z (G, z * z). For u, the two parts of the outcome that neither Z
    nor the treatment at the estimate explain, u0 + d u1: `total` 1'W u (2, G) and `crossed` Z'W u (2, G, z).
    """

    weight: np.ndarray
    columns: np.ndarray
    squares: np.ndarray
    total: np.ndarray
    crossed: np.ndarray


def randomisation_statistics(columns: Columns, terms: Sequence[str], dealt: Assignments, statistic: str) -> Resampled:
    """The statistics of every assignment for every constant shift.

    Parameters
    ----------
    columns : Columns
        Their first term is the treatment, their absorbed effect, if there is one, the block.
    terms : sequence of str
        Names of the terms, for messages.
    dealt : Assignments
    statistic : {"t", "difference"}

    Raises
    ------
    DataError
        More rows by blocks than fit in memory.
    UnidentifiedError
        The clusters leave no residual variation to make a t statistic of.
    """
    fitted = solve(columns, terms)
    sums = _cluster_sums(columns, fitted, terms)
    blocks = [_five_numbers(sums, block.astype(float), statistic) for block in dealt.columns(_step(sums))]
    numbers = without_rounding(np.concatenate(blocks, axis=1))
    variance = 1.0
    if statistic == "t":
        rows = fitted.weights * (fitted.orthonormal @ fitted.combine[:, 0]) * fitted.residuals
        variance = float((np.bincount(columns.clusters, rows) ** 2).sum())
        if variance <= NOTHING_LEFT**2 * float(rows @ rows):
            raise UnidentifiedError("the clusters leave no residual variation, so the t statistic does not exist",
                                    mend='use statistic="difference", or more clusters.')  # fmt: skip
    return Resampled(float(fitted.estimates[0]), variance, *numbers, copies=1, itself=0 if dealt.enumerated else 1, ties=True)


def _cluster_sums(columns: Columns, fitted: Solution, terms: Sequence[str]) -> _Sums:
    weights = columns.weights
    blocks = columns.effects[0] if columns.effects else None
    parts = []
    width = len(terms) + (0 if blocks is None else int(blocks.max()))
    if len(weights) * width > MOST_CELLS:
        raise DataError(f"{len(weights):,} rows by {width:,} blocks and covariates do not fit in memory",
                        mend="test means by cluster, weighted by the clusters' sizes.")  # fmt: skip
    if blocks is not None:
        parts.append((blocks[:, None] == np.arange(blocks.max() + 1)) / np.sqrt(np.bincount(blocks, weights)))
    if blocks is None or len(terms) > 1:
        parts.append(solve(replace(columns, terms=columns.terms[:, 1:]), terms[1:]).orthonormal)
    basis = np.column_stack(parts)
    starts = np.flatnonzero(np.diff(columns.clusters, prepend=-1))
    weighted = weights[:, None] * basis
    direction = fitted.orthonormal @ fitted.combine[:, 0]
    unexplained = (fitted.residuals, direction / (fitted.combine[:, 0] @ fitted.combine[:, 0]))
    return _Sums(
        weight=np.add.reduceat(weights, starts),
        columns=np.add.reduceat(weighted, starts).T,
        squares=np.array([(basis[rows].T @ weighted[rows]).ravel() for rows in map(slice, starts, [*starts[1:], len(weights)])]),
        total=np.array([np.add.reduceat(weights * u, starts) for u in unexplained]),
        crossed=np.array([np.add.reduceat(weighted * u[:, None], starts) for u in unexplained]),
    )


def _step(sums: _Sums) -> int:
    """Assignments worked through at a time."""
    return max(1, BLOCK_CELLS // max(sums.squares.shape))


def _five_numbers(sums: _Sums, given: np.ndarray, statistic: str) -> np.ndarray:
    """numerator0, numerator1, square0, square1, square2 of each column of 0/1 assignments, shape (5, R).

    With x = given - Z explained, what Z leaves of the treatment: the coefficient of u is x'W u / x'W x, and a cluster's
    share of its error x'W (u - x coefficient) / x'W x.
    """
    explained = sums.columns @ given
    left = sums.weight @ given - (explained**2).sum(axis=0)
    exists = left > NOTHING_LEFT * (sums.weight @ given)
    left = np.where(exists, left, 1.0)
    coefficients = sums.total @ given / left
    if statistic == "difference":
        return np.array([*np.where(exists, coefficients, 0.0), exists.astype(float), 0 * left, 0 * left])
    pairs = (explained[:, None] * explained[None]).reshape(-1, given.shape[1])
    squares = given * (sums.weight[:, None] - 2 * (sums.columns.T @ explained)) + sums.squares @ pairs
    scores = [(given * total[:, None] - crossed @ explained - squares * coefficient) / left
              for total, crossed, coefficient in zip(sums.total, sums.crossed, coefficients, strict=True)]  # fmt: skip
    products = [np.einsum("gr,gr->r", one, other) for one, other in ((scores[0], scores[0]), (scores[0], scores[1]), (scores[1], scores[1]))]
    return np.where(exists, np.array([*coefficients, *products]), 0.0)
