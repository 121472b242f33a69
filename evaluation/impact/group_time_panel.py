"""Reads who is in the analysis and when they start, and leaves out or refuses, by name and number, who cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.group_time_arrays import Long, Wide, long_values, row_values, runs, wide_values
from evaluation.impact.group_time_periods import ALWAYS, NEVER, Timeline, read_timeline
from evaluation.inference.columns import NO_WEIGHT, check_present, read_numbers, refuse_rows

@dataclass(frozen=True)
class Request:
    """The columns and options of one call, as :func:`evaluation.impact.group_time_effects` takes them."""

    outcome: str
    unit: str | None
    time: str
    start: str
    covariates: tuple[str, ...]
    comparison: str
    anticipation: int
    cluster: str | None
    weights: str | None
    weights_from: str | None
    unbalanced: str


@dataclass(frozen=True, eq=False)
class Sample:
    """Who is in the analysis. Units lie cohort by cohort, the never treated first, then by start.

    Attributes
    ----------
    labels : Index
        The T periods that are used.
    units : Index
        Names of the n units in their order here (row labels where units are not followed).
    blocks : dict
        Key of a block of units that enter the same cells, to its cohort and its place (begin, end) among units. The key is the cohort;
        (period, cohort) where units are not followed.
    mass : ndarray, shape (n,)
        Weight of each unit in averages over cohorts.
    clusters : ndarray of int, shape (n,), or None
    cluster_labels : Sequence
    values : Wide or Long
        Outcomes, covariates and weights.
    notes : tuple of str
        What was left out, with counts.
    """

    labels: pd.Index
    units: pd.Index
    blocks: dict
    mass: np.ndarray
    clusters: np.ndarray | None
    cluster_labels: Sequence
    values: Wide | Long
    notes: tuple[str, ...]

    @property
    def cohorts(self) -> list[int]:
        """Start positions of the treated cohorts, in order."""
        return sorted({cohort for cohort, _, _ in self.blocks.values()} - {NEVER})


def read_sample(data: pd.DataFrame, ask: Request) -> Sample:
    """Read, check and arrange everything that one call needs; the caller's frame is never changed.

    Raises
    ------
    DataError, UnidentifiedError
        See :func:`evaluation.impact.group_time_effects`.
    """
    _check_columns(data, ask)
    rows, notes = _rows_with_weight(data, ask.weights)
    source = data if len(rows) == len(data) else data.iloc[rows]
    line = read_timeline(source, ask.time, ask.start)
    if ask.unit is None:
        codes, names = np.arange(len(source)), source.index
    else:
        codes, names = pd.factorize(source[ask.unit], use_na_sentinel=True)
        refuse_rows(source, ask.unit, np.flatnonzero(codes < 0), "missing", "give every row its unit.")
    own = np.empty(len(names), dtype=np.int64)
    own[codes[::-1]] = np.arange(len(source))[::-1]  # the first row of each unit
    starts = line.start[own]
    if ask.unit is not None:
        _refuse_changing(source, ask.unit, ask.start, names, codes, line.start != starts[codes], "a unit has one start; correct its rows.")
    cohort, horizon, more = _cohorts(starts, line, ask)
    notes += more
    clusters = _read_clusters(source, ask, names, codes, own)
    if ask.unit is None:
        return _cross_sections(source, ask, line, cohort, horizon, clusters, notes)
    return _followed(source, ask, line, codes, names, cohort, horizon, clusters, notes)


def _check_columns(data: pd.DataFrame, ask: Request) -> None:
    if not isinstance(data, pd.DataFrame):
        raise DataError(f"the data are a {type(data).__name__}, not a table", mend="pass a pandas DataFrame.")
    named = [ask.outcome, ask.time, ask.start, *ask.covariates, *(name for name in (ask.unit, ask.cluster, ask.weights) if name is not None)]
    for name in named:
        check_present(data, name)
    repeated = sorted({str(name) for name in ask.covariates if ask.covariates.count(name) > 1})
    if repeated:
        raise DataError("the covariate is named more than once", where=", ".join(repeated), mend="name each once.")
    roles = [role for role, name in (("outcome", ask.outcome), ("start", ask.start)) if name in ask.covariates]
    if roles:
        raise DataError(f"the {roles[0]} is also a covariate", where="covariates", mend="leave it out of the covariates.")
    if not len(data):
        raise DataError("there are no rows", mend="look at the step that selected the rows.")


def _rows_with_weight(data: pd.DataFrame, weights: str | None) -> tuple[np.ndarray, list[str]]:
    rows = np.arange(len(data))
    if weights is None:
        return rows, []
    weight = read_numbers(data, weights, rows)
    refuse_rows(data, weights, rows[weight < 0], "negative", "weights are zero or more; correct them.")
    refuse_rows(data, weights, rows[(weight > 0) & (weight < NO_WEIGHT * weight.max())], "nothing beside the largest weight",
                "give such rows a weight of zero.")  # fmt: skip
    kept = np.flatnonzero(weight > 0)
    if not len(kept):
        raise DataError("every weight is zero, so no row is left", where=f"column {weights!r}", mend="look at the step that made the weights.")
    return kept, [f"{len(rows) - len(kept):,} rows have a weight of zero and took no part."] if len(kept) < len(rows) else []


def _refuse_changing(data: pd.DataFrame, unit: str, column: str, names: Sequence, codes: np.ndarray, changed: np.ndarray, mend: str) -> None:
    if not changed.any():
        return
    which = codes[changed]
    raise DataError(f"the value changes over time within {len(np.unique(which)):,} of {len(names):,} units, the first {_shown(names[which[0]])}",
                    where=f"column {column!r} by {unit!r}", mend=mend)  # fmt: skip


def _shown(value: object) -> str:
    """A value as its owner would write it."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _read_clusters(data: pd.DataFrame, ask: Request, names: Sequence, codes: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, Sequence] | None:
    if ask.cluster is None:
        return None
    which, labels = pd.factorize(data[ask.cluster], use_na_sentinel=True)
    refuse_rows(data, ask.cluster, np.flatnonzero(which < 0), "missing", "give every row a cluster, or leave the rows out and count them.")
    if ask.unit is not None:
        _refuse_changing(data, ask.unit, ask.cluster, names, codes, which != which[own][codes],
                         "freeze it: give a unit the cluster it has in the first period, or at entry, in all its rows.")  # fmt: skip
    if len(labels) < 2:
        raise UnidentifiedError(f"all rows belong to one cluster ({labels[0]})", where=f"column {ask.cluster!r}", mend="cluster by a column with more groups.")
    return which[own].astype(np.int64), labels


def _cohorts(starts: np.ndarray, line: Timeline, ask: Request) -> tuple[np.ndarray, int, list[str]]:
    """Each unit's cohort (``ALWAYS`` for those left out), the number of periods used, and what to tell."""
    periods, kind = len(line.labels), "units" if ask.unit is not None else "rows"
    cohort, notes = starts.copy(), []
    early = (starts == ALWAYS) | ((starts >= 0) & (starts <= ask.anticipation))
    if early.any():
        cohort[early] = ALWAYS
        notes.append(f"{int(early.sum()):,} {kind} are treated{' or anticipate treatment' if ask.anticipation else ''} from the first period on: left out.")
    later = starts >= periods + ask.anticipation
    window = (starts >= periods) & ~later
    if later.any():
        cohort[later] = NEVER
        notes.append(f"{int(later.sum()):,} {kind} start after the last period: they count as never treated.")
    if window.any():
        cohort[window] = ALWAYS
        notes.append(f"{int(window.sum()):,} {kind} start after the last period but may anticipate it within the data: left out.")
    if not (cohort != ALWAYS).any():
        raise UnidentifiedError("every unit is treated from the first period on", where=f"column {ask.start!r}", mend="add periods before the start.")
    horizon = periods
    if not (cohort == NEVER).any():
        if ask.comparison == "never":
            raise UnidentifiedError("there are no never-treated units to compare with", where=f"column {ask.start!r}",
                                    mend='use comparison="not_yet", or add units that are never treated (start 0 or missing).')  # fmt: skip
        last = int(cohort.max())
        horizon = last - ask.anticipation
        cohort[cohort == last] = NEVER
        notes.append(f"nobody is never treated: the units that start last ({line.labels[last]}) serve only as comparison, and periods from "
                     f"{line.labels[horizon]} on, when nobody is left to compare with, are left out.")  # fmt: skip
    if not (cohort >= 0).any():
        raise UnidentifiedError("no treated cohort is left to estimate an effect for", where=f"column {ask.start!r}",
                                mend="units are needed that start after the first period, and others that start later or never.")  # fmt: skip
    if horizon < 2:
        raise UnidentifiedError("fewer than two periods are left", where=f"column {ask.time!r}", mend="add periods, or never-treated units.")
    return cohort, horizon, notes


def _followed(data: pd.DataFrame, ask: Request, line: Timeline, codes: np.ndarray, names: Sequence, cohort: np.ndarray, horizon: int,
              clusters: tuple | None, notes: list[str]) -> Sample:  # fmt: skip
    """Units that are followed: a wide panel, or rows where periods are missing and kept or weights vary."""
    count = len(names)
    at = np.full(len(line.labels) * count, -1, dtype=np.int64)  # the row of each period and unit
    place = line.time * count + codes
    at[place] = np.arange(len(data))
    if int((at >= 0).sum()) < len(data):
        _refuse_duplicates(data, ask, place)
    del place
    at = at.reshape(-1, count)[:horizon]
    kept = (cohort != ALWAYS) & (at >= 0).any(axis=0)
    complete = (at >= 0).all(axis=0)
    if ask.unbalanced == "drop" and not complete[kept].all():
        notes = [*notes, f"{int((kept & ~complete).sum()):,} of {int(kept.sum()):,} units lack a row in some period: left out."]
        kept &= complete
        if not kept.any():
            raise UnidentifiedError("no unit has a row in every period", where=f"column {ask.unit!r}", mend='use unbalanced="keep".')
    order = np.flatnonzero(kept)
    order = order[np.argsort(cohort[order], kind="stable")]
    at, cohort = at[:, order], cohort[order]
    _refuse_empty_arms(cohort, ask)
    if complete[order].all() and ask.weights_from != "varying":
        values = wide_values(data, ask.outcome, ask.covariates, ask.weights, at)
    elif ask.weights_from in (None, "varying"):
        values = long_values(data, ask.outcome, ask.covariates, ask.weights, at, cohort)
    else:
        raise DataError(f"weights_from={ask.weights_from!r} needs a row of every unit in every period", where="weights_from",
                        mend='leave it out, so that each row has its own weight, or use unbalanced="drop".')  # fmt: skip
    return Sample(
        labels=line.labels[:horizon], units=pd.Index(names)[order], blocks={key: (key, *ends) for key, ends in runs(cohort).items()},
        mass=values.mass, clusters=None if clusters is None else clusters[0][order], cluster_labels=() if clusters is None else clusters[1],
        values=values, notes=tuple(notes),
    )  # fmt: skip


def _cross_sections(data: pd.DataFrame, ask: Request, line: Timeline, cohort: np.ndarray, horizon: int, clusters: tuple | None,
                    notes: list[str]) -> Sample:  # fmt: skip
    """Rows that are units of their own."""
    if ask.weights_from not in (None, "varying"):
        raise DataError(f"weights_from={ask.weights_from!r} has no meaning where units are not followed", where="weights_from",
                        mend="leave it out: each row has its own weight.")  # fmt: skip
    order = np.flatnonzero((cohort != ALWAYS) & (line.time < horizon))
    order = order[np.lexsort((cohort[order], line.time[order]))]
    cohort, period = cohort[order], line.time[order]
    _refuse_empty_arms(cohort, ask)
    values = row_values(data, ask.outcome, ask.covariates, ask.weights, order, np.arange(len(order)), period, cohort)
    return Sample(
        labels=line.labels[:horizon], units=data.index[order], blocks={key: (key[1], *ends) for key, ends in values.place.items()},
        mass=values.mass, clusters=None if clusters is None else clusters[0][order], cluster_labels=() if clusters is None else clusters[1],
        values=values, notes=tuple(notes),
    )  # fmt: skip


def _refuse_duplicates(data: pd.DataFrame, ask: Request, place: np.ndarray) -> None:
    first = int(np.flatnonzero(pd.Series(place).duplicated())[0])
    unit, time = (_shown(data[name].iloc[first]) for name in (ask.unit, ask.time))
    raise DataError(f"unit {unit} has more than one row in period {time}", where=f"columns {ask.unit!r} and {ask.time!r}",
                    mend="keep one row a unit and period; for repeated cross-sections leave `unit` out.")  # fmt: skip


def _refuse_empty_arms(cohort: np.ndarray, ask: Request) -> None:
    """After units have been left out there must still be both arms."""
    if not (cohort >= 0).any():
        raise UnidentifiedError("no treated unit is left", where=f"column {ask.start!r}", mend="look at which units lack periods.")
    if ask.comparison == "never" and not (cohort == NEVER).any():
        raise UnidentifiedError("no never-treated unit is left", where=f"column {ask.start!r}",
                                mend='look at which units lack periods, or use comparison="not_yet".')  # fmt: skip
