"""How much of a fit rests on single clusters: effective clusters, leverage and partial leverage.

Carter, A. V., Schnepel, K. T. & Steigerwald, D. G. (2017). Asymptotic behavior of a t-test robust to cluster
heterogeneity. Review of Economics and Statistics 99(4), 698-709. MacKinnon, J. G., Nielsen, M. O. & Webb, M. D. (2023).
Leverage, influence, and the jackknife in clustered regression models: Reliable inference using summclust. Stata Journal
23(4), 942-982.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from evaluation.inference.design_matrix import Design

# Share of a term's variance under independent errors below which that under shared errors is rounding: effects of the
# clusters themselves are absorbed, so a shock that a whole cluster shares does not reach the term.
NO_SHARED = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class Leverage:
    """Leverage of a design's clusters; nothing here depends on the outcome's values.

    Attributes
    ----------
    frame : DataFrame
        One row per reported term: term; clusters; effective_clusters, G* of Carter, Schnepel & Steigerwald with errors
        wholly shared within a cluster (their feasible choice; missing where cluster effects are absorbed, which take
        such errors out); effective_clusters_independent, the same with independent errors; largest_partial_leverage;
        largest_cluster, the label of the cluster that has it.
    clusters : Sequence, length G
        The clusters' labels.
    rows : ndarray of int, shape (G,)
    leverage : ndarray, shape (G,)
        The cluster's share of the trace of the hat matrix; they sum to the number of parameters, absorbed effects included.
    partial : ndarray, shape (G, k)
        The cluster's share of a term's variation once everything else is taken out; over clusters they sum to 1.
    summary : tuple of str
        A line for each term but the intercept.
    """

    frame: pd.DataFrame
    clusters: Sequence
    rows: np.ndarray
    leverage: np.ndarray
    partial: np.ndarray
    summary: tuple[str, ...]

    @property
    def by_cluster(self) -> pd.DataFrame:
        """One row per cluster and term: cluster, rows, leverage, term, partial_leverage."""
        terms = self.frame["term"]
        return pd.DataFrame({
            "cluster": np.repeat(np.asarray(self.clusters), len(terms)),
            "rows": np.repeat(self.rows, len(terms)),
            "leverage": np.repeat(self.leverage, len(terms)),
            "term": np.tile(terms, len(self.rows)),
            "partial_leverage": self.partial.ravel(),
        })  # fmt: skip

    def __repr__(self) -> str:
        return "\n".join(self.summary)

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{escape(line)}</p>" for line in self.summary)
        return lines + self.frame.to_html(index=False, border=0)


def cluster_leverage(design: Design, names: Sequence[str], labels: Sequence, *, cluster: str, terms: int) -> Leverage:
    """Leverage, partial leverage and effective number of clusters.

    Weights enter as they do in the fit: leverage and partial leverage are shares of weighted sums of squares. Effective
    clusters take the working model of CR2, errors of one variance whatever the weights.

    Parameters
    ----------
    design : Design
    names : sequence of str, length k
        Reported terms, the intercept included.
    labels : sequence
        The clusters' labels.
    cluster : str
        Name of the cluster column, for the summary.
    terms : int
        How many of the names, from the first, get a line of summary.
    """
    count, weights, codes = len(labels), design.weights, design.clusters
    held = weights * np.einsum("ij,ij->i", design.orthonormal, design.orthonormal)
    if design.levels is not None:
        held = held + weights / np.bincount(design.levels, weights)[design.levels]
    leverage, rows = np.bincount(codes, held), np.bincount(codes)
    lines, shares = [], []
    for position, name in enumerate(names):
        error = weights * (design.orthonormal @ design.combine[:, position])
        partial = np.bincount(codes, error**2 / weights)
        partial = partial / partial.sum()
        alone, shared = np.bincount(codes, error**2), np.bincount(codes, error) ** 2
        most = int(partial.argmax())
        lines.append({
            "term": name,
            "clusters": count,
            "effective_clusters": _effective(shared) if shared.sum() > NO_SHARED * alone.sum() else np.nan,
            "effective_clusters_independent": _effective(alone),
            "largest_partial_leverage": float(partial[most]),
            "largest_cluster": labels[most],
        })  # fmt: skip
        shares.append(partial)
    summary = tuple(_sentence(line, cluster) for line in lines[:terms])
    return Leverage(pd.DataFrame(lines), labels, rows, leverage, np.column_stack(shares), summary)


def _effective(variance: np.ndarray) -> float:
    """G / (1 + Gamma), Gamma the squared coefficient of variation of the clusters' shares in the term's variance."""
    return float(variance.sum() ** 2 / (variance**2).sum())


def _sentence(line: dict, cluster: str) -> str:
    independent = f"{line['effective_clusters_independent']:.1f}"
    if np.isnan(line["effective_clusters"]):
        effective = f"{independent} effective clusters of {line['clusters']:,} by {cluster} (independent errors)"
    else:
        effective = (f"{line['effective_clusters']:.1f} effective clusters of {line['clusters']:,} by {cluster} "
                     f"({independent} if errors are independent)")  # fmt: skip
    return f"{line['term']}: {effective}; largest partial leverage {line['largest_partial_leverage']:.2f} ({line['largest_cluster']})"
