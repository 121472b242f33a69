"""The imputation estimator: what treated units would have had is predicted from rows not treated yet, and taken off.

References
----------
.. [1] Borusyak, K., Jaravel, X. & Spiess, J. (2024). Revisiting event-study designs: robust and efficient estimation. Review of Economic
   Studies 91(6), 3253-3285.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.estimate import CONF_LEVEL, Estimate, figures, tidy
from evaluation.impact.two_way import counted, refuse_zero_errors, row_notes, solved, within, without_lone
from evaluation.impact.two_way_covariance import covariance
from evaluation.impact.two_way_panel import Panel, read_panel, read_starts
from evaluation.impact.two_way_solve import LONE_CLUSTER, LONE_TERM, NEGLIGIBLE, NO_TERM, ROUNDING, Design

# Share of a unit's row that no untreated row explains, above which its untreated outcome is not told (rounding leaves about 1e-14).
UNTOLD = 1e-8


@dataclass(frozen=True, eq=False, repr=False)
class ImputationFit:
    """Imputation estimates.

    Attributes
    ----------
    frame : DataFrame
        One row per event time from 0: term, event_time, estimate, std_error, df, statistic, p_value, conf_low, conf_high, n (treated rows).
    leads : DataFrame
        The same of event times before 0, from untreated rows alone, measured from all earlier periods; of no rows unless asked for.
    overall : Estimate
        Mean effect over treated rows.
    n, units, periods, clusters : int
    outcome, cluster : str
    conf_level : float
    warnings : tuple of str
    """

    frame: pd.DataFrame
    leads: pd.DataFrame
    overall: Estimate
    n: int
    units: int
    periods: int
    clusters: int
    outcome: str
    cluster: str
    conf_level: float
    warnings: tuple[str, ...]

    @property
    def _heading(self) -> str:
        return f"{self.outcome}: {self.n:,} rows, {self.units:,} units, {self.periods} periods, {self.clusters:,} clusters by {self.cluster}, imputation"

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.overall.frame.to_string(index=False), self.frame.to_string(index=False), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.warnings)
        return f"<p>{escape(self._heading)}</p>{self.frame.to_html(index=False, border=0)}{notes}"


@dataclass(frozen=True, eq=False)
class _Model:
    """Unit and period effects and covariates, fitted on untreated rows.

    `columns` (n, r): orthonormal there, of periods and covariates less their unit means over untreated rows; `totals` (N,): weight of each unit's
    untreated rows; `gap` (n,): outcome less what is predicted.
    """

    columns: np.ndarray
    totals: np.ndarray
    gap: np.ndarray


def imputation_effects(
    panel: pd.DataFrame,
    outcome: str,
    *,
    unit: str,
    time: str,
    start: str,
    covariates: Sequence[str] = (),
    weights: str | None = None,
    cluster: str,
    leads: int = 0,
) -> ImputationFit:
    """Impute untreated outcomes from unit and period effects and average the differences [1]_: a cross-check of group-time effects.

    Standard errors are the conservative ones of the paper, clustered, with effects centred on the mean of their start group and event time
    (weighted by squared influence), as the R package didimputation has them; unlike there, intervals use t with G - 1 degrees of freedom.

    Parameters
    ----------
    panel : DataFrame
        One row per unit and period, any order. Never changed.
    outcome, unit, time, start, covariates, weights
        As in :func:`evaluation.impact.two_way_effects`. Treated rows of units without an untreated row are left out and counted.
    cluster : str
        Column that is constant within units.
    leads : int
        Event times before 0 to test, from untreated rows alone: the further back, the fewer periods they are measured from.

    Raises
    ------
    DataError, UnidentifiedError
        As there; also a treated row whose period or covariates no untreated row shares, so that its untreated outcome cannot be told.
    """
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    if cluster is None:
        raise DataError("no cluster column is named", where="cluster", mend="name the column of groups whose rows share shocks, as a rule the school.")
    if isinstance(leads, bool) or not isinstance(leads, int | np.integer) or leads < 0:
        raise DataError(f"leads is {leads!r}; it counts periods", where="leads", mend="give a whole number, zero or more.")
    read = read_panel(panel, outcome, unit=unit, time=time, weights=weights, covariates=covariates, cluster=cluster)
    starts = read_starts(read, panel, unit=unit, time=time, start=start)
    notes = row_notes(read)
    read, starts, said = _imputable(read, starts, start)
    treated = read.times >= starts[read.units]
    model = _fit_untreated(read, treated)
    distance = np.where(treated, read.times - starts[read.units], NO_TERM)
    times = np.unique(distance[treated])
    names = [f"event_time={time}" for time in times]
    found = [_effect(read, starts, model, treated, distance == time) for time in times]
    estimates, errors = (np.array(values) for values in zip(*found, strict=True))
    refuse_zero_errors(estimates, errors, names)
    errors, lone = _without_lone(read, starts, model, distance, times, errors)
    clusters = len(np.unique(read.clusters))
    frame = tidy(names, estimates, errors, clusters - 1.0)
    frame.insert(1, "event_time", times)
    frame["n"] = [int((distance == time).sum()) for time in times]
    early, early_notes = _leads(read, starts, treated, leads, covariates, cluster)
    notes += said + lone + early_notes
    ever = starts < len(read.periods)
    total, error = _effect(read, starts, model, treated, treated)
    overall = Estimate(
        **figures(total, np.nan if lone else error, clusters - 1.0), term="average effect on treated rows", method="imputation",
        kind="conservative, clustered", n=len(read.units), n_treated=int(ever.sum()), n_comparison=int((~ever).sum()), clusters=clusters, warnings=notes,
    )  # fmt: skip
    return ImputationFit(
        frame=frame, leads=early, overall=overall, n=len(read.units), units=read.count,
        periods=len(read.periods), clusters=clusters, outcome=outcome, cluster=cluster, conf_level=CONF_LEVEL, warnings=notes,
    )  # fmt: skip


def _imputable(read: Panel, starts: np.ndarray, start: str) -> tuple[Panel, np.ndarray, tuple[str, ...]]:
    """The panel without units that have no untreated row."""
    starts, notes = within(starts, len(read.periods))
    untreated = np.bincount(read.units, read.times < starts[read.units], minlength=read.count)
    without = untreated == 0
    if without.any():
        verb = "has" if without.sum() == 1 else "have"
        notes += (f"{counted(int(without.sum()), 'unit')} {verb} no untreated row: left out, because nothing tells their untreated outcome.",)
        kept = ~without[read.units]
        if not kept.any():
            raise UnidentifiedError("no unit has an untreated row", where=f"column {start!r}", mend="add earlier periods or untreated units.")
        read, starts = read.keep(kept), starts[~without]
    if not (read.times >= starts[read.units]).any():
        raise UnidentifiedError("no row is treated, so there is no effect to estimate", where=f"column {start!r}",
                                mend="check that starts and periods are numbered alike.")  # fmt: skip
    if len(np.unique(read.clusters)) < 2:
        raise UnidentifiedError("all rows belong to one cluster", where="cluster", mend="cluster by a column with at least two groups.")
    return read, starts, notes


def _fit_untreated(read: Panel, treated: np.ndarray) -> _Model:
    periods = np.eye(len(read.periods))[read.times]
    columns = np.column_stack([periods, read.covariates, read.outcome])
    weight = np.where(treated, 0.0, read.weights)
    totals = np.bincount(read.units, weight, minlength=read.count)
    for place in range(columns.shape[1]):
        columns[:, place] -= (np.bincount(read.units, weight * columns[:, place], minlength=read.count) / totals)[read.units]
    columns, outcome = columns[:, :-1], columns[:, -1]
    root = np.sqrt(weight)
    scale = np.linalg.norm(columns, axis=0)
    columns = columns / np.where(scale > 0, scale, 1.0)
    sizes, directions = np.linalg.svd(np.linalg.qr(root[:, None] * columns, mode="r"))[1:]
    told = sizes > NEGLIGIBLE * sizes[0]
    untold = np.linalg.norm(columns[treated] @ np.vstack([directions[: len(sizes)][~told], directions[len(sizes) :]]).T, axis=1)
    far = untold > UNTOLD * np.linalg.norm(columns[treated], axis=1)
    if far.any():
        times = ", ".join(str(label) for label in read.periods[np.unique(read.times[treated][far])])
        raise UnidentifiedError(f"no untreated row tells what {counted(int(far.sum()), 'treated row')} would have had",
                                where=f"periods {times}",
                                mend="end the panel before no unit is untreated any more, or leave out covariates that only treated rows vary in.")  # fmt: skip
    kept = directions[: len(sizes)][told]
    columns = columns @ (kept.T / sizes[told])
    gap = outcome - columns @ (columns.T @ (weight * outcome))
    if np.abs(gap[~treated]).max() <= ROUNDING * np.abs(read.outcome).max():
        raise UnidentifiedError("unit and period effects fit the untreated rows exactly, so nothing is left to judge uncertainty by",
                                mend="check that the outcome is not constant and not made from the terms.")  # fmt: skip
    return _Model(columns, totals, gap)


def _effect(read: Panel, starts: np.ndarray, model: _Model, treated: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Weighted mean of the gaps of some treated rows, and its conservative standard error."""
    share = np.where(target, read.weights, 0.0)
    share /= share.sum()
    estimate = float(share @ model.gap)
    by_unit = np.bincount(read.units, share, minlength=read.count) / model.totals
    influence = np.where(treated, share, -read.weights * (by_unit[read.units] + model.columns @ (model.columns.T @ share)))
    cell = np.where(treated, starts[read.units] * len(read.periods) + read.times, 0)
    squared = np.where(treated, influence**2, 0.0)
    total = np.bincount(cell, squared)
    centre = np.divide(np.bincount(cell, squared * model.gap), total, out=np.zeros(len(total)), where=total > 0)
    left = model.gap - np.where(treated, centre[cell], 0.0)
    return estimate, float(np.sqrt((np.bincount(read.clusters[read.units], influence * left) ** 2).sum()))


def _without_lone(
    read: Panel, starts: np.ndarray, model: _Model, distance: np.ndarray, times: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Missing errors of effects that one cluster alone tells on either side, as its residuals there say nothing of the error.

    Treated rows of one start group and event time in one cluster: centring takes out how they vary. Untreated rows: what only one cluster
    tells, as a rule a period in which no other is untreated, fits that cluster exactly.
    """
    treated = distance != NO_TERM
    cells = pd.DataFrame({"start": starts[read.units], "time": distance, "cluster": read.clusters[read.units]})[treated]
    owners = cells.groupby(["start", "time"])["cluster"].nunique().reset_index(name="count").query("count == 1")
    notes = []
    if len(owners):
        for group, part in owners.groupby("start")["time"]:
            notes.append(f"Start group {read.periods[group]} lies within one cluster at event times {', '.join(map(str, part))}, so that effects "
                         "which it enters then have no standard error.")  # fmt: skip
    resting, whose = _resting(read, model, distance, times)
    if resting.any():
        named = ", ".join(str(read.cluster_labels[cluster]) for cluster in whose)
        notes.append(f"What is imputed at event times {', '.join(map(str, times[resting]))} rests on the untreated rows of one cluster alone ({named}), so "
                     "that these effects have no standard error.")  # fmt: skip
    return np.where(resting | np.isin(times, owners["time"]), np.nan, errors), tuple(notes)


def _resting(read: Panel, model: _Model, distance: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which event times' imputed outcomes rest on the untreated rows of one cluster, and these clusters."""
    untreated, owner = distance == NO_TERM, read.clusters[read.units]
    own = np.sqrt(read.weights)[:, None] * model.columns
    leverage = np.bincount(owner[untreated], (own[untreated] ** 2).sum(axis=1), minlength=int(owner.max()) + 1)
    wanted = np.array([(np.where(distance == time, read.weights, 0.0) @ model.columns) for time in times])
    wanted /= np.maximum(np.linalg.norm(wanted, axis=1), np.finfo(float).tiny)[:, None]
    resting, whose = np.zeros(len(times), dtype=bool), []
    for cluster in np.flatnonzero(leverage >= 1 - LONE_CLUSTER):
        part = own[untreated & (owner == cluster)]
        values, vectors = np.linalg.eigh(part.T @ part)
        found = np.linalg.norm(wanted @ vectors[:, values > 1 - LONE_CLUSTER], axis=1) > LONE_TERM
        resting |= found
        whose += [cluster] * bool(found.any())
    return resting, np.array(whose, dtype=int)


def _leads(read: Panel, starts: np.ndarray, treated: np.ndarray, leads: int, covariates: Sequence[str], cluster: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Effects before treatment: untreated rows on indicators of the last periods before start, with unit and period effects."""
    if leads == 0:
        return tidy([], np.empty(0), np.empty(0)).assign(event_time=np.empty(0, dtype=int), n=np.empty(0, dtype=int)), ()
    distance = read.times - starts[read.units]
    ever = (starts < len(read.periods))[read.units]
    before = (distance < 0) & (distance >= -leads) & ever
    if not ((distance < -leads) & ever).any():
        raise DataError(f"no start group has a period more than {leads} before its start, from which leads could be measured", where="leads",
                        mend="ask for fewer.")  # fmt: skip
    own, kept = read.keep(~treated), ~treated
    times = np.unique(distance[before])
    effect = np.where(before, distance + leads, NO_TERM)[kept]
    effect = np.where(effect == NO_TERM, NO_TERM, np.searchsorted(times + leads, effect))
    names = [f"event_time={time}" for time in times]
    solution = solved(Design(own, effect, starts, (*names, *covariates)), "CR1", cluster)
    vcov, df = covariance(solution, own, "CR1")
    vcov, said = without_lone(vcov, solution, [*names, *covariates], own.cluster_labels)
    count = len(names)
    table = tidy(names, solution.estimates[:count], np.sqrt(np.diag(vcov))[:count], df)
    table.insert(1, "event_time", times)
    return table.assign(n=[int((distance[before] == time).sum()) for time in times]), said
