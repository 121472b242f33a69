"""Standard errors and bands of any linear combination of group-time effects: analytic or by multiplier bootstrap, clustered or not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from evaluation.errors import UnidentifiedError
from evaluation.impact.group_time_influence import Influence, random_signs
from evaluation.inference.bands import critical_of_draws, simultaneous_band

QUARTILES = float(ndtri(0.75) - ndtri(0.25))
"""Interquartile range of the standard normal."""

FEW_CLUSTERS = 10
"""Treated clusters below which errors without a small-sample correction are called fragile."""


@dataclass(frozen=True, eq=False)
class Errors:
    """The uncertainty of one result.

    Attributes
    ----------
    moments : ndarray, shape (columns, columns)
        Covariance of the influence columns: cells, then cohorts' sizes.
    drawn : ndarray, shape (draws, columns), or None
        Multiplier-bootstrap draws of the columns; None for analytic errors.
    clusters : int or None
    cluster : str or None
    conf_level : float
    seed : int
    warnings : tuple of str
        What makes the errors fragile.
    presence : (ndarray, ndarray) or None
        Clusters that hold treated, and comparison, units of each cell (:meth:`Influence.presence`); None without clusters.
    """

    moments: np.ndarray
    drawn: np.ndarray | None
    clusters: int | None
    cluster: str | None
    conf_level: float
    seed: int
    warnings: tuple[str, ...] = ()
    presence: tuple[np.ndarray, np.ndarray] | None = None

    def lone(self, loadings: np.ndarray) -> np.ndarray:
        """Which combinations, shape (m, columns), have an arm within one cluster, whose sum of influences says nothing of the error.

        All treated units of the cells that enter in one cluster, or all comparison units of one of these cells.
        """
        if self.presence is None:
            return np.zeros(len(loadings), dtype=bool)
        treated, comparison = self.presence
        enters = (loadings[:, : len(treated)] != 0).astype(float)
        return ((enters @ treated > 0).sum(axis=1) == 1) | (enters @ (comparison.sum(axis=1) == 1) > 0)

    @property
    def testable(self) -> np.ndarray:
        """The covariance with missing variances of cells that have no standard error."""
        moments, cells = self.moments.copy(), np.eye(len(self.moments))
        moments[self.lone(cells), self.lone(cells)] = np.nan
        return moments

    @property
    def kind(self) -> str:
        """Form of the standard errors, in words."""
        form = "analytic" if self.drawn is None else f"multiplier bootstrap, {len(self.drawn)} draws"
        return form if self.cluster is None else f"{form}, clustered by {self.cluster}"

    def covariance(self, loadings: np.ndarray) -> np.ndarray:
        """Analytic covariance of combinations, shape (m, m), from their loadings (m, columns)."""
        found, alone = loadings @ self.moments @ loadings.T, self.lone(loadings)
        found[alone, :] = np.nan
        found[:, alone] = np.nan
        return found

    def std_error(self, loadings: np.ndarray) -> np.ndarray:
        """Standard errors of combinations, missing where an arm lies in one cluster; from the bootstrap, the interquartile range of the draws over that of the normal."""
        if not len(loadings):
            return np.empty(0)
        if self.drawn is None:
            found = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", loadings, self.moments, loadings), 0.0))
        else:
            low, high = np.quantile(self.drawn @ loadings.T, [0.25, 0.75], axis=0)
            found = (high - low) / QUARTILES
        return np.where(self.lone(loadings), np.nan, found)

    def band(self, estimates: np.ndarray, loadings: np.ndarray) -> float:
        """Standard errors from each of the estimates to a band that covers all of them at once; missing where there are none."""
        std_error = self.std_error(loadings)
        usable = std_error > 0
        if not usable.any():
            return float("nan")
        if self.drawn is None:
            return simultaneous_band(estimates[usable], self.covariance(loadings[usable]), conf_level=self.conf_level, seed=self.seed).critical
        return critical_of_draws(self.drawn @ loadings[usable].T, std_error[usable], conf_level=self.conf_level)


def make_errors(influence: Influence, clusters: np.ndarray | None, cluster: str | None, *, draws: int, seed: int, conf_level: float) -> Errors:
    """Covariance of the influence columns over independent units or clusters, and bootstrap draws where asked.

    Clusters enter by the sums of their units' influence, without a small-sample factor. Draws multiply each unit or cluster by a random
    sign (Rademacher), as the R package did.

    Raises
    ------
    UnidentifiedError
        One cluster.
    """
    if clusters is None:
        drawn = influence.draws(draws, seed) if draws else None
        return Errors(influence.cross_products(), drawn, None, None, conf_level, seed)
    codes, found = np.unique(clusters, return_inverse=True)[1], int(np.unique(clusters).size)
    if found < 2:
        raise UnidentifiedError("all units that are left belong to one cluster", where=f"column {cluster!r}", mend="cluster by a column with more groups.")
    sums = influence.cluster_sums(codes, found)
    drawn = random_signs(np.random.default_rng(seed), draws, found) @ sums if draws else None
    errors = Errors(sums.T @ sums, drawn, found, cluster, conf_level, seed, _few(influence, codes, cluster), influence.presence(codes, found))
    alone = int(errors.lone(np.eye(influence.cells, influence.columns)).sum())
    if not alone:
        return errors
    said = (f"{alone} of {influence.cells} group-time effects have their treated or their comparison units within one cluster by {cluster}: no standard "
            "error can be given of them.")  # fmt: skip
    return replace(errors, warnings=(said, *errors.warnings))


def _few(influence: Influence, codes: np.ndarray, cluster: str | None) -> tuple[str, ...]:
    treated = np.concatenate([codes[block.begin : block.end] for block in influence.blocks if block.cohort >= 0])
    count = len(np.unique(treated))
    if count >= FEW_CLUSTERS:
        return ()
    return (f"Treated units lie in {count} cluster{'' if count == 1 else 's'} by {cluster}: errors have no small-sample correction and are fragile.",)
