"""Standard errors and bands of any linear combination of group-time effects: analytic or by multiplier bootstrap, clustered or not."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    moments: np.ndarray
    drawn: np.ndarray | None
    clusters: int | None
    cluster: str | None
    conf_level: float
    seed: int
    warnings: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Form of the standard errors, in words."""
        form = "analytic" if self.drawn is None else f"multiplier bootstrap, {len(self.drawn)} draws"
        return form if self.cluster is None else f"{form}, clustered by {self.cluster}"

    def covariance(self, loadings: np.ndarray) -> np.ndarray:
        """Analytic covariance of combinations, shape (m, m), from their loadings (m, columns)."""
        return loadings @ self.moments @ loadings.T

    def std_error(self, loadings: np.ndarray) -> np.ndarray:
        """Standard errors of combinations; from the bootstrap, the interquartile range of the draws over that of the normal."""
        if not len(loadings):
            return np.empty(0)
        if self.drawn is None:
            return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", loadings, self.moments, loadings), 0.0))
        low, high = np.quantile(self.drawn @ loadings.T, [0.25, 0.75], axis=0)
        return (high - low) / QUARTILES

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
    return Errors(sums.T @ sums, drawn, found, cluster, conf_level, seed, _few(influence, codes, cluster))


def _few(influence: Influence, codes: np.ndarray, cluster: str | None) -> tuple[str, ...]:
    treated = np.concatenate([codes[block.begin : block.end] for block in influence.blocks if block.cohort >= 0])
    count = len(np.unique(treated))
    if count >= FEW_CLUSTERS:
        return ()
    return (f"Treated units lie in {count} clusters by {cluster}: errors have no small-sample correction and are fragile.",)
