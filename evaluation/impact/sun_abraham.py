"""The interaction-weighted event study: effects of each start group at each event time, then averaged with known weights.

References
----------
.. [1] Sun, L. & Abraham, S. (2021). Estimating dynamic treatment effects in event studies with heterogeneous treatment effects. Journal
   of Econometrics 225(2), 175-199.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from evaluation.impact.estimate import CONF_LEVEL, Estimate, figures, tidy
from evaluation.impact.two_way import REFERENCE, check_kind, comparable, refuse_zero_errors, refuse_without_reference, row_notes, solved, with_band, without_lone
from evaluation.impact.two_way_covariance import CLUSTERED, UNCLUSTERED, covariance
from evaluation.impact.two_way_panel import Panel, read_panel, read_starts
from evaluation.impact.two_way_solve import NO_TERM, Design, Solution


@dataclass(frozen=True, eq=False, repr=False)
class SunAbraham:
    """Interaction-weighted effects.

    Attributes
    ----------
    frame : DataFrame
        One row per event time but the reference: term, event_time, estimate, std_error, df, statistic, p_value, conf_low, conf_high.
    groups : DataFrame
        One row per start group, its event times 0 and later averaged: term, start, and the same figures.
    cells : DataFrame
        One row per start group and event time: term, start, event_time, weight (the share of treated rows, weighted), and the figures.
    covariates : DataFrame
    vcov, cells_vcov : DataFrame
        Covariance of ``frame``, and of ``cells`` and then covariates, labelled by term.
    overall : Estimate
        Average over all cells at event times 0 and later.
    reference : int
        Event time that the others are measured from.
    n, units, periods : int
    clusters : int or None
    kind : str
    conf_level : float
    warnings : tuple of str
    """

    frame: pd.DataFrame
    groups: pd.DataFrame
    cells: pd.DataFrame
    covariates: pd.DataFrame
    vcov: pd.DataFrame
    cells_vcov: pd.DataFrame
    overall: Estimate
    reference: int
    n: int
    units: int
    periods: int
    clusters: int | None
    outcome: str
    kind: str
    conf_level: float
    warnings: tuple[str, ...]

    def banded(self, *, draws: int = 9999, seed: int = 0) -> pd.DataFrame:
        """``frame`` with band_low and band_high: limits that hold for all effects together (:func:`evaluation.inference.simultaneous_band`)."""
        return with_band(self.frame, self.vcov, self.conf_level, draws=draws, seed=seed)

    @property
    def _heading(self) -> str:
        return (f"{self.outcome}: {self.n:,} rows, {self.units:,} units, {self.periods} periods, {self.kind}, "
                f"{self.conf_level:.0%} intervals, effects measured from event time {self.reference}")  # fmt: skip

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.frame.to_string(index=False), self.overall.frame.to_string(index=False), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.warnings)
        both = pd.concat([self.overall.frame, self.frame.drop(columns="event_time")])
        return f"<p>{escape(self._heading)}</p>{both.to_html(index=False, border=0)}{notes}"


def sun_abraham_effects(
    panel: pd.DataFrame,
    outcome: str,
    *,
    unit: str,
    time: str,
    start: str,
    covariates: Sequence[str] = (),
    weights: str | None = None,
    cluster: str | None = None,
    kind: str = "CR1",
) -> SunAbraham:
    """Event study that no comparison between treated units contaminates [1]_.

    Each start group has its own effect at each event time but -1, told from units that are not treated in the panel; effects are averaged
    over groups by their shares of rows. Shares are taken as known, as the R package fixest does (``sunab``); its small-sample factor too.

    Parameters
    ----------
    panel : DataFrame
        One row per unit and period, any order. Never changed.
    outcome, unit, time, start, covariates, weights, cluster, kind
        As in :func:`evaluation.impact.two_way_effects`, kinds "CR1", "CR0", "iid" and "HC1". Units treated from the first period on are
        left out and counted; units that start after the last period count as never treated.

    Returns
    -------
    SunAbraham

    Raises
    ------
    DataError, UnidentifiedError
        As :func:`evaluation.impact.two_way_effects`. A start group within one cluster leaves averages that it enters without a standard
        error, with a warning.
    """
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    check_kind(kind, cluster, (*CLUSTERED, *UNCLUSTERED))
    read = read_panel(panel, outcome, unit=unit, time=time, weights=weights, covariates=covariates, cluster=None if kind in UNCLUSTERED else cluster)
    starts = read_starts(read, panel, unit=unit, time=time, start=start)
    notes = row_notes(read)
    read, starts, said = comparable(read, starts, start)
    cells, effect = _cells(read, starts)
    names = (*cells["term"], *covariates)
    solution = solved(Design(read, effect, starts, names), kind, cluster)
    vcov, df = covariance(solution, read, kind)
    refuse_zero_errors(solution.estimates, np.sqrt(np.diag(vcov)), names)
    tables, shown, sentences = _tables(cells, list(names), solution, vcov, df, read.cluster_labels)
    notes += said + sentences
    clusters = None if kind in UNCLUSTERED else len(np.unique(read.clusters))
    total = tables["overall"].iloc[0]
    overall = Estimate(
        **figures(total["estimate"], total["std_error"], df), term="average effect on treated rows", method="Sun and Abraham", kind=kind, n=len(read.units),
        n_treated=int((starts < len(read.periods)).sum()), n_comparison=int((starts >= len(read.periods)).sum()), clusters=clusters, warnings=notes,
    )  # fmt: skip
    count = len(cells)
    return SunAbraham(
        frame=tables["event"], groups=tables["start"], cells=cells.merge(tables["cells"].iloc[:count], on="term", validate="one_to_one"),
        covariates=tables["cells"].iloc[count:].reset_index(drop=True), vcov=shown["event"], cells_vcov=shown["cells"], overall=overall,
        reference=REFERENCE, n=len(read.units), units=read.count, periods=len(read.periods), clusters=clusters, outcome=outcome, kind=kind,
        conf_level=CONF_LEVEL, warnings=notes,
    )  # fmt: skip


def _tables(cells: pd.DataFrame, names: list[str], solution: Solution, vcov: np.ndarray, df: float, labels: Sequence) -> tuple[dict, dict, tuple[str, ...]]:
    """Cells and their averages as tables, their covariances, and what must be said of them."""
    averages = _averages(cells, len(names))
    wanted = {"cells": (names, np.eye(len(names))), "overall": (["overall"], averages["overall"])}
    wanted |= {key: ([f"{word}={label}" for label in averages[key][0]], averages[key][1]) for key, word in (("event", "event_time"), ("start", "start"))}
    shown, tables, notes = {}, {}, []
    for key, (terms, directions) in wanted.items():
        matrix, said = without_lone(directions.T @ vcov @ directions, solution, terms, labels, directions=directions,
                                    required=len(cells) if key == "cells" else 0)  # fmt: skip
        notes += said
        shown[key] = pd.DataFrame(matrix, index=terms, columns=terms)
        tables[key] = tidy(terms, directions.T @ solution.estimates, np.sqrt(np.diag(matrix)), df)
    tables["event"].insert(1, "event_time", averages["event"][0])
    tables["start"].insert(1, "start", averages["start"][0])
    return tables, shown, tuple(dict.fromkeys(notes))


def _cells(read: Panel, starts: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """The start groups' event times, with their weighted rows, and each row's cell."""
    last = len(read.periods)
    own = starts[read.units]
    base = read.times - own == REFERENCE
    for group in np.unique(own[own < last]):
        refuse_without_reference(base, own == group, f"no unit of start group {read.periods[group]}")
    inside = (own < last) & ~base
    key = np.where(inside, own * last + read.times, -1)
    kept, place = np.unique(key[inside], return_inverse=True)
    effect = np.full(len(key), NO_TERM)
    effect[inside] = place
    groups, times = kept // last, kept % last - kept // last
    labels = read.periods[groups]
    cells = pd.DataFrame({
        "term": [f"start={label}, event_time={time}" for label, time in zip(labels, times, strict=True)], "start": labels, "event_time": times,
        "weight": np.bincount(place, read.weights[inside]),
    })  # fmt: skip
    return cells.assign(weight=cells["weight"] / cells["weight"].sum()), effect


def _averages(cells: pd.DataFrame, terms: int) -> dict:
    """What takes cells to event times, to start groups and to one number, by shares of weighted rows."""
    weight, after = cells["weight"].to_numpy(), cells["event_time"].to_numpy() >= 0

    def average(member: np.ndarray) -> np.ndarray:
        padded = np.zeros((terms, member.shape[1]))
        padded[: len(cells)] = member * weight[:, None]
        return padded / padded.sum(axis=0)

    times, groups = np.unique(cells["event_time"]), pd.unique(cells.loc[after, "start"])
    return {
        "event": (times, average(cells["event_time"].to_numpy()[:, None] == times)),
        "start": (groups, average((cells["start"].to_numpy()[:, None] == np.asarray(groups)) & after[:, None])),
        "overall": average(after[:, None]),
    }
