"""Hedges' g: an effect in standard deviations, corrected for clusters, for comparison with other studies.

References
----------
.. [1] Hedges, L. V. (2007). Effect sizes in cluster-randomized designs. Journal of Educational and Behavioral Statistics 32(4), 341-370.
.. [2] Hedges, L. V. & Olkin, I. (1985). Statistical Methods for Meta-Analysis. Academic Press.
.. [3] Raudenbush, S. W. & Liu, X. (2000). Statistical power and optimal design for multisite randomized trials. Psychological Methods 5(2),
   199-213.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.effect_sizes_multisite import RandomSlope, random_slope
from evaluation.impact.effect_sizes_reml import RandomIntercept, intraclass_correlation
from evaluation.impact.estimate import Estimate, figures
from evaluation.inference.columns import read_columns
from evaluation.inference.design_matrix import solve

VARIANCES, SCALES = ("unconditional", "conditional"), ("total", "within")


class _Arms(NamedTuple):
    """Rows of either arm in the clusters that have any; ``mixed`` where each has both, (G, 2)."""

    treated: np.ndarray
    comparison: np.ndarray
    mixed: np.ndarray | None = None

    @property
    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        return self.treated, self.comparison

    @property
    def n(self) -> tuple[int, int]:
        return int(self.treated.sum()), int(self.comparison.sum())


def hedges_g(
    data: pd.DataFrame,
    outcome: str,
    *,
    treatment: str,
    covariates: Sequence[str] = (),
    cluster: str | None = None,
    variance: str = "unconditional",
    scale: str = "total",
) -> Estimate:
    """Standardised mean difference, adjusted for covariates, as the R package eefAnalytics has it.

    Without a cluster: coefficient of treatment over the standard deviation, times J = 1 - 3 / (4 (n - 2) - 1) [2]_. With clusters that were
    treated as a whole [1]_: coefficient of a random-intercept model over the root of the variance within clusters, or of the total variance times
    the factor that corrects for unequal clusters; no J, as clusters rather than pupils limit it. With pupils treated one by one within every
    cluster: coefficient of a model whose intercept and effect vary over clusters, its conditional variances from that model, with a standard
    error that allows for effects that differ between clusters [3]_; unconditional ones take that model's coefficient, and the rest from the
    formulas of whole clusters.

    Parameters
    ----------
    data : DataFrame
        One row per pupil. Never changed.
    outcome, treatment : str
        Numeric outcome; treatment 0 or 1.
    covariates : sequence of str
        Numeric columns.
    cluster : str, optional
        Clusters of which each lies in one arm, or of which each has both.
    variance : {"unconditional", "conditional"}
        Standard deviation of the outcome as it is (no treatment, no covariates), which other studies can be compared on, or of what covariates
        leave of it.
    scale : {"total", "within"}
        With a cluster: variance in all, or within clusters only.

    Returns
    -------
    Estimate
        ``scale`` says which standard deviation; intervals by the normal distribution.

    Raises
    ------
    DataError
        Treatment is not 0 and 1; it varies within some clusters only; an unknown variance or scale; "within" without a cluster.
    UnidentifiedError
        An arm has fewer than two clusters or rows; whatever the models refuse.
    """
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    if variance not in VARIANCES or scale not in SCALES:
        raise DataError(f"variance {variance!r} or scale {scale!r} is not known", mend=f"use {' or '.join(VARIANCES)}; {' or '.join(SCALES)}.")
    if cluster is None:
        if scale == "within":
            raise DataError("there is no variance within clusters without a cluster", where="scale", mend='name `cluster`, or use "total".')
        return _single_level(data, outcome, treatment, covariates, variance)
    return _clustered(data, outcome, treatment, covariates, cluster, variance, scale)


def _clustered(data: pd.DataFrame, outcome: str, treatment: str, covariates: tuple[str, ...], cluster: str, variance: str, scale: str) -> Estimate:
    arms = _cluster_arms(data, treatment, cluster)
    notes: tuple[str, ...] = ()
    spread = intraclass_correlation(data, outcome, cluster=cluster, covariates=(treatment, *covariates) if variance == "conditional" else ())
    if arms.mixed is None:
        model = spread if variance == "conditional" else intraclass_correlation(data, outcome, cluster=cluster, covariates=(treatment, *covariates))
        effect, notes = float(model.frame["estimate"].iloc[0]), model.warnings
    else:
        terms = [treatment, *covariates]
        slope = random_slope(read_columns(data, outcome, terms, None, (), (cluster,)), terms)
        effect, notes = slope.effect, slope.warnings
    if arms.mixed is not None and variance == "conditional":
        value, error = _multisite(slope, arms, scale)
    else:
        value, error = (_within if scale == "within" else _total)(effect, spread, arms)
        notes += spread.warnings
    n_treated, n_comparison = arms.n
    words = f"standard deviations {'within clusters' if scale == 'within' else 'in all'}, {variance}"
    method = "Hedges' g, clusters" if arms.mixed is None else "Hedges' g, pupils within clusters"
    return Estimate(**figures(value, error), term=treatment, method=method, scale=words, n=sum(arms.n), n_treated=n_treated,
                    n_comparison=n_comparison, clusters=spread.clusters, warnings=tuple(dict.fromkeys(notes)))  # fmt: skip


def _single_level(data: pd.DataFrame, outcome: str, treatment: str, covariates: tuple[str, ...], variance: str) -> Estimate:
    rows = "row of the table"
    named = [name for name in dict.fromkeys((outcome, treatment, *covariates)) if name in data.columns]
    read = read_columns(data[named].assign(**{rows: np.arange(len(data))}), outcome, [treatment, *covariates], None, (), (rows,))
    _check_arms(read.terms[:, 0], treatment)
    solution = solve(read, [treatment, *covariates])
    treated = int(read.terms[:, 0].sum())
    comparison, n = len(read.outcome) - treated, len(read.outcome)
    if variance == "conditional":
        deviation = np.sqrt(solution.residuals @ solution.residuals / (n - solution.parameters))
    else:
        deviation = read.outcome.std(ddof=1)
    correction = 1 - 3 / (4 * (n - 2) - 1)
    difference = solution.estimates[0] / deviation
    error = correction * np.sqrt(n / (treated * comparison) + difference**2 / (2 * n))
    return Estimate(**figures(correction * difference, error), term=treatment, method="Hedges' g", scale=f"standard deviations, {variance}", n=n,
                    n_treated=treated, n_comparison=comparison)  # fmt: skip


def _check_arms(values: np.ndarray, treatment: str) -> None:
    if not np.isin(values, (0, 1)).all():
        raise DataError("treatment is neither 0 nor 1 in some row", where=f"column {treatment!r}", mend="mark each row treated (1) or not (0).")
    if (values == 1).sum() < 2 or (values == 0).sum() < 2:
        raise UnidentifiedError("an arm has fewer than two rows", where=f"column {treatment!r}", mend="use more rows of that arm.")


def _cluster_arms(data: pd.DataFrame, treatment: str, cluster: str) -> _Arms:
    read = read_columns(data, treatment, [], None, (), (cluster,))
    _check_arms(read.outcome, treatment)
    sizes, treated = np.bincount(read.clusters), np.bincount(read.clusters, read.outcome)
    mixed = (treated > 0) & (treated < sizes)
    if mixed.all() and len(sizes) > 1:
        return _Arms(treated, sizes - treated, np.column_stack([treated, sizes - treated]))
    if mixed.any():
        first = read.cluster_labels[int(np.flatnonzero(mixed)[0])]
        raise DataError(f"treatment varies within {int(mixed.sum()):,} of {len(sizes):,} clusters (the first is {first}), while others were treated as a "
                        "whole: no one formula holds", where=f"columns {treatment!r}, {cluster!r}",
                        mend="keep the clusters of one design and count the others, or leave the cluster out.")  # fmt: skip
    arms = _Arms(sizes[treated > 0], sizes[treated == 0])
    if min(len(arms.treated), len(arms.comparison)) < 2:
        raise UnidentifiedError("an arm has fewer than two clusters, so variance between clusters cannot be told from the effect",
                                where=f"column {cluster!r}", mend="use more clusters.")  # fmt: skip
    return arms


def _design_effect(arms: _Arms) -> tuple[float, float]:
    """Mean cluster size that counts for the variance of a difference of means, and that variance without clustering, over the variance."""
    (treated, comparison), n = arms.n, sum(arms.n)
    size = comparison * (arms.treated**2).sum() / (treated * n) + treated * (arms.comparison**2).sum() / (comparison * n)
    return float(size), n / (treated * comparison)


def _within(effect: float, spread: RandomIntercept, arms: _Arms) -> tuple[float, float]:
    """Effect over the root of the variance within clusters, and its standard error."""
    value = effect / np.sqrt(spread.var_within)
    size, plain = _design_effect(arms)
    clusters = len(arms.treated) + len(arms.comparison)
    return value, np.sqrt(plain * (1 + (size - 1) * spread.icc) / (1 - spread.icc) + value**2 / (2 * (sum(arms.n) - clusters)))


def _multisite(slope: RandomSlope, arms: _Arms, scale: str) -> tuple[float, float]:
    """Effect over the conditional variance where every cluster has both arms; its error allows for effects that differ between clusters."""
    n, share = sum(arms.n), arms.n[0] / sum(arms.n)
    # Mean over pupils of their own variance: only those treated carry their cluster's effect.
    total = slope.var_level + share * (slope.var_effect + 2 * slope.covariance) + slope.var_within
    spread = slope.var_within if scale == "within" else total
    value = slope.effect / np.sqrt(spread)
    pairs = arms.mixed.prod(axis=1) / arms.mixed.sum(axis=1)
    precision = (spread / (slope.var_effect + slope.var_within / pairs)).sum()
    return value, np.sqrt(1 / precision + value**2 / (2 * n - 4 * len(pairs)))


def _total(effect: float, spread: RandomIntercept, arms: _Arms) -> tuple[float, float]:
    """Effect over the root of the total variance, corrected for unequal clusters, and its standard error."""
    icc, n = spread.icc, sum(arms.n)
    typical = [(sizes.sum() ** 2 - (sizes**2).sum()) / (sizes.sum() * (len(sizes) - 1)) for sizes in arms.sides]
    inside = sum(size * (len(sizes) - 1) for size, sizes in zip(typical, arms.sides, strict=True))
    # With typical sizes u_t, u_c and m_t, m_c clusters: (N - u_t m_t - u_c m_c) + u_t + u_c - 2 = N - inside - 2.
    value = effect / np.sqrt(spread.var_between + spread.var_within) * np.sqrt(1 - icc * (n - inside - 2) / (n - 2))
    size, plain = _design_effect(arms)
    spreading = sum((k.sum() ** 2 * (k**2).sum() + (k**2).sum() ** 2 - 2 * k.sum() * (k**3).sum()) / k.sum() ** 2 for k in arms.sides)
    above = (n - 2) * (1 - icc) ** 2 + spreading * icc**2 + 2 * inside * icc * (1 - icc)
    below = 2 * (n - 2) * ((n - 2) - icc * (n - 2 - inside))
    return value, np.sqrt(plain * (1 + (size - 1) * icc) + above * value**2 / below)
