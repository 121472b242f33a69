"""Effects of one cell of repeated cross-sections, with influence functions: doubly robust, weighting, regression.

Sant'Anna, P. & Zhao, J. (2020). Doubly robust difference-in-differences estimators. Journal of Econometrics 219(1), 101-122.
Influence functions are derived from the moments that define each estimator, so that they are exact: those of the R package DRDID 1.2.3 for
its doubly robust estimators of cross-sections are not (up to 1% on a standard error), although its estimates are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.impact.group_time_cells import too_small
from evaluation.impact.group_time_score import TRIM, Score, dependent_column, fit_score

COLLINEAR = "covariates are collinear, or do not vary, among the {arm} rows of one period"


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one arm in one period: outcome (n,), covariates (n, k) with the constant first, weights (n,)."""

    outcome: np.ndarray
    covariates: np.ndarray
    weights: np.ndarray

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Weighted mean over rows."""
        return self.weights @ values / self.weights.sum()


@dataclass(frozen=True, eq=False)
class SectionEffect:
    """An estimate with the influence functions of its four sets of rows; or why there is none."""

    estimate: float = np.nan
    treated_before: np.ndarray | None = None
    treated_after: np.ndarray | None = None
    comparison_before: np.ndarray | None = None
    comparison_after: np.ndarray | None = None
    trimmed: int = 0
    refused: str | None = None


@dataclass(frozen=True, eq=False)
class Regression:
    """A least-squares fit on one set of rows."""

    beta: np.ndarray
    inverse: np.ndarray
    residual: np.ndarray


@dataclass(frozen=True, eq=False)
class Scores:
    """Pooled rows by arm, their propensity scores, and the comparison rows of each period weighted by the odds of treatment."""

    treated: Rows | None = None
    comparison: Rows | None = None
    score: Score | None = None
    tuned: tuple[Rows, Rows] | None = None
    trimmed: int = 0
    refused: str | None = None


def section_effect(method: str, treated: tuple[Rows, Rows], comparison: tuple[Rows, Rows]) -> SectionEffect:
    """Effect on the treated from rows before and after.

    Parameters
    ----------
    method : {"dr", "ipw", "reg"}
        The estimators drdid_rc, std_ipw_did_rc and reg_did_rc of the R package DRDID: "dr" is the locally efficient form, which also
        fits outcome regressions among the treated.
    treated, comparison : tuple of Rows
        Before, after.
    """
    columns = treated[0].covariates.shape[1]
    smallest = min(len(rows.outcome) for rows in treated), min(len(rows.outcome) for rows in comparison)
    reason = too_small(*smallest, columns, method)
    if not reason and columns > 1 and method == "dr" and smallest[0] <= columns:
        reason = f"{smallest[0]:,} treated rows in a period are too few for an outcome regression with {columns - 1} covariates"
    if reason:
        return SectionEffect(refused=reason)
    if columns == 1:  # without covariates the three estimators are one
        method = "reg"
    scores = _scores(treated, comparison) if method in ("dr", "ipw") else None
    if scores is not None and scores.refused:
        return SectionEffect(refused=scores.refused)
    if method == "ipw":
        return _weighted(treated, comparison, scores, [rows.outcome for rows in treated], [rows.outcome for rows in comparison])
    fits = [_regress(rows) for rows in comparison]
    if None in fits:
        return SectionEffect(refused=COLLINEAR.format(arm="comparison"))
    if method == "reg":
        return _regression(treated, comparison, fits)
    own = [_regress(rows) for rows in treated]
    if None in own:
        return SectionEffect(refused=COLLINEAR.format(arm="treated"))
    return _doubly_robust(treated, comparison, scores, fits, own)


def _regress(rows: Rows) -> Regression | None:
    weighted = rows.covariates * rows.weights[:, None]
    gram = weighted.T @ rows.covariates
    if dependent_column(gram) is not None:
        return None
    inverse = np.linalg.inv(gram)
    beta = inverse @ (weighted.T @ rows.outcome)
    return Regression(beta, inverse, rows.outcome - rows.covariates @ beta)


def _pull(rows: Rows, fit: Regression, toward: np.ndarray) -> np.ndarray:
    """What each row moves ``toward' beta``."""
    return rows.weights * fit.residual * (rows.covariates @ (fit.inverse @ toward))


def _deviation(rows: Rows, values: np.ndarray) -> np.ndarray:
    """What each row moves the weighted mean of the values."""
    return rows.weights * (values - rows.mean(values)) / rows.weights.sum()


def _pooled(rows: tuple[Rows, Rows]) -> Rows:
    return Rows(*(np.concatenate([getattr(part, name) for part in rows]) for name in ("outcome", "covariates", "weights")))


def _regression(treated: tuple[Rows, Rows], comparison: tuple[Rows, Rows], fits: list[Regression]) -> SectionEffect:
    pooled = _pooled(treated)
    expected = pooled.covariates @ (fits[1].beta - fits[0].beta)
    estimate = treated[1].mean(treated[1].outcome) - treated[0].mean(treated[0].outcome) - pooled.mean(expected)
    shared = np.split(-_deviation(pooled, expected), [len(treated[0].outcome)])
    toward = pooled.mean(pooled.covariates)
    return SectionEffect(
        float(estimate), shared[0] - _deviation(treated[0], treated[0].outcome), shared[1] + _deviation(treated[1], treated[1].outcome),
        _pull(comparison[0], fits[0], toward), -_pull(comparison[1], fits[1], toward),
    )  # fmt: skip


def _scores(treated: tuple[Rows, Rows], comparison: tuple[Rows, Rows]) -> Scores:
    """One propensity score for the rows of both periods."""
    pooled, others = _pooled(treated), _pooled(comparison)
    score = fit_score(pooled.covariates, others.covariates, pooled.weights, others.weights)
    if score.refused:
        return Scores(refused=score.refused)
    high = score.comparison >= TRIM
    odds = others.weights * np.where(high, 0.0, score.comparison / (1 - score.comparison))
    parts = np.split(odds, [len(comparison[0].outcome)])
    tuned = tuple(Rows(rows.outcome, rows.covariates, weights) for rows, weights in zip(comparison, parts, strict=True))
    return Scores(pooled, others, score, tuned, int(high.sum()))


def _weighted(treated: tuple[Rows, Rows], comparison: tuple[Rows, Rows], scores: Scores, left: list[np.ndarray],
              right: list[np.ndarray]) -> SectionEffect:  # fmt: skip
    """Change of the treated in the values ``left``, less that of comparison rows in ``right`` weighted by the odds of treatment."""
    pooled, others, score, tuned = scores.treated, scores.comparison, scores.score, scores.tuned
    deviations = [_deviation(rows, values) for rows, values in zip(tuned, right, strict=True)]
    tilt = score.inverse @ (tuned[1].covariates.T @ deviations[1] - tuned[0].covariates.T @ deviations[0])
    lean = np.split(-pooled.weights * (1 - score.treated) * (pooled.covariates @ tilt), [len(left[0])])
    back = np.split(others.weights * score.comparison * (others.covariates @ tilt), [len(right[0])])
    estimate = treated[1].mean(left[1]) - treated[0].mean(left[0]) - tuned[1].mean(right[1]) + tuned[0].mean(right[0])
    return SectionEffect(
        float(estimate), lean[0] - _deviation(treated[0], left[0]), lean[1] + _deviation(treated[1], left[1]),
        back[0] + deviations[0], back[1] - deviations[1], trimmed=scores.trimmed,
    )  # fmt: skip


def _doubly_robust(treated: tuple[Rows, Rows], comparison: tuple[Rows, Rows], scores: Scores, fits: list[Regression],
                   own: list[Regression]) -> SectionEffect:  # fmt: skip
    """Weighting of what the comparison regressions leave, and the treated regressions' correction for a changing mix of covariates."""
    left = [rows.outcome - rows.covariates @ fit.beta for rows, fit in zip(treated, fits, strict=True)]
    core = _weighted(treated, comparison, scores, left, [fit.residual for fit in fits])
    pooled = scores.treated
    whole = pooled.mean(pooled.covariates)
    estimate, mine, others = core.estimate, [core.treated_before, core.treated_after], [core.comparison_before, core.comparison_after]
    for period, sign in ((0, -1.0), (1, 1.0)):
        here = treated[period]
        gap = own[period].beta - fits[period].beta
        now = here.mean(here.covariates)
        estimate += sign * float((whole - now) @ gap)
        spread = np.split(sign * _deviation(pooled, pooled.covariates @ gap), [len(treated[0].outcome)])
        mine = [part + more for part, more in zip(mine, spread, strict=True)]
        mine[period] = mine[period] + sign * (_pull(here, own[period], whole - now) - _deviation(here, here.covariates @ gap))
        toward = scores.tuned[period].mean(scores.tuned[period].covariates) - whole
        others[period] = others[period] + sign * _pull(comparison[period], fits[period], toward)
    return SectionEffect(estimate, *mine, *others, trimmed=core.trimmed)
