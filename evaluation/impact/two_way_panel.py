"""Reads a long panel into arrays sorted by unit and period, and refuses panels that cannot carry a comparison over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.inference.columns import NO_WEIGHT, check_present, read_numbers, refuse_rows

# Longest step between dates over the shortest, from which on a period must be missing.
UNEVEN = 1.5


@dataclass(frozen=True, eq=False)
class Panel:
    """The rows of one fit, sorted by unit, then by period.

    Attributes
    ----------
    units, times : ndarray of int, shape (n,)
        0 to N - 1, ascending; 0 to T - 1, the place of the row's period.
    outcome, weights : ndarray, shape (n,)
        Weights are positive with mean 1.
    covariates : ndarray, shape (n, p)
    rows : ndarray of int, shape (n,)
        Where each row lies in the caller's table.
    first : ndarray of int, shape (N + 1,)
        Where each unit's rows begin, and n.
    periods : Index of length T
        The periods' labels in order.
    clusters : ndarray of int, shape (N,), or None
        Each unit's cluster, 0 to G - 1.
    cluster_labels : sequence of length G
    zero_weight_rows : int
        Rows left out because their weight is zero.
    """

    units: np.ndarray
    times: np.ndarray
    outcome: np.ndarray
    weights: np.ndarray
    covariates: np.ndarray
    rows: np.ndarray
    first: np.ndarray
    periods: pd.Index
    clusters: np.ndarray | None
    cluster_labels: Sequence
    zero_weight_rows: int

    @property
    def count(self) -> int:
        """Units."""
        return len(self.first) - 1

    @property
    def balanced(self) -> bool:
        """Whether every unit has a row in every period."""
        return len(self.units) == self.count * len(self.periods)

    @property
    def steady_weights(self) -> bool:
        """Whether every unit has one weight throughout."""
        return bool((self.weights == self.weights[self.first[:-1]][self.units]).all())

    def keep(self, kept: np.ndarray) -> Panel:
        """The panel with some of its rows, a boolean array of shape (n,); units and clusters without a row go, periods stay."""
        present, units = np.unique(self.units[kept], return_inverse=True)
        clusters, labels = None, self.cluster_labels
        if self.clusters is not None:
            left, clusters = np.unique(self.clusters[present], return_inverse=True)
            labels = [labels[code] for code in left]
        return replace(
            self, units=units, times=self.times[kept], outcome=self.outcome[kept], weights=self.weights[kept],
            covariates=self.covariates[kept], rows=self.rows[kept], first=np.searchsorted(units, np.arange(len(present) + 1)),
            clusters=clusters, cluster_labels=labels,
        )  # fmt: skip


def read_panel(
    data: pd.DataFrame, outcome: str, *, unit: str, time: str, weights: str | None = None, covariates: Sequence[str] = (),
    cluster: str | None = None,
) -> Panel:  # fmt: skip
    """Read, check and sort the columns of a panel; the caller's frame is never changed.

    Rows of weight zero are left out before anything else is read.

    Parameters
    ----------
    data : DataFrame
        One row per unit and period, in any order.
    outcome, unit, time : str
        Columns. Periods are whole numbers, an ordered category, dates or time periods: text has no order.
    weights : str, optional
    covariates : sequence of str
        Numeric columns.
    cluster : str, optional
        Column that is constant within a unit.

    Raises
    ------
    DataError
        A column is absent, not numeric, missing or infinite in some row; a weight is negative; a unit has two rows in one period or
        changes its cluster; periods have no order; no row is left.
    """
    if not isinstance(data, pd.DataFrame):
        raise DataError(f"the data are a {type(data).__name__}, not a table", mend="pass a pandas DataFrame.")
    for name in (outcome, unit, time, *covariates, *(name for name in (weights, cluster) if name is not None)):
        check_present(data, name)
    if not len(data):
        raise DataError("there are no rows to fit", mend="look at the step that selected the rows.")
    rows, weight = _weighted_rows(data, weights)
    units = _codes(data, unit, rows)[0]
    times, periods = _periods(data, time, rows)
    place = units.astype(np.int64) * len(periods) + times
    if not (place[1:] > place[:-1]).all():
        order = np.argsort(place, kind="stable")
        place, units, times, rows = place[order], units[order], times[order], rows[order]
        _refuse_duplicates(data, unit, time, rows, place)
    first = np.append(np.flatnonzero(np.append(True, units[1:] != units[:-1])), len(units))
    clusters, labels = None, ()
    if cluster is not None:
        codes, labels = _codes(data, cluster, rows)
        clusters = codes[first[:-1]]
        _refuse_changing(data, cluster, unit, rows, codes != clusters[units],
                         "freeze it, for example at the school of the first period.")  # fmt: skip
    columns = [read_numbers(data, name, rows) for name in covariates]
    return Panel(
        units=units, times=times, outcome=read_numbers(data, outcome, rows), weights=_mean_one(weight[rows]),
        covariates=np.column_stack(columns) if columns else np.empty((len(rows), 0)), rows=rows, first=first, periods=periods,
        clusters=clusters, cluster_labels=labels, zero_weight_rows=len(data) - len(rows),
    )  # fmt: skip


def read_starts(panel: Panel, data: pd.DataFrame, *, unit: str, time: str, start: str, steps: bool = True) -> np.ndarray:
    """Each unit's first treated period, as a place among the periods.

    Parameters
    ----------
    panel : Panel
    data : DataFrame
    unit, time, start : str
        Columns; 0 (for periods that are numbers) or missing in ``start`` is never treated.
    steps : bool
        Whether distances between periods are used, so that a gap between periods is refused.

    Returns
    -------
    ndarray of int, shape (N,)
        0: treated in every period of the panel; T: never; T + 1: after its last period.

    Raises
    ------
    DataError
        The column changes within a unit, is of another kind than the periods, or is neither a period nor before or after all of them; 0 is
        a period; periods have gaps.
    """
    check_present(data, start)
    own = panel.rows[panel.first[:-1]]
    column = data[start]
    values = column.iloc[panel.rows]
    codes = pd.factorize(values, use_na_sentinel=True)[0]
    _refuse_changing(data, start, unit, panel.rows, codes != codes[panel.first[:-1]][panel.units],
                     "a unit has one first treated period; correct the rows that differ.")  # fmt: skip
    periods, count = panel.periods, len(panel.periods)
    if steps:
        _refuse_gaps(periods, time)
    mine = column.iloc[own]
    if pd.api.types.is_numeric_dtype(periods.dtype):
        return _numeric_starts(mine, periods, start, steps)
    if isinstance(mine.dtype, pd.CategoricalDtype):
        mine = mine.astype(object)
    places = periods.get_indexer(pd.Index(mine))
    missing = mine.isna().to_numpy()
    unknown = (places < 0) & ~missing
    if unknown.any():
        raise DataError(f"{mine.iloc[int(np.flatnonzero(unknown)[0])]} is not one of the periods", where=f"column {start!r}",
                        mend=f"use the labels of column {time!r}, and leave it missing for units that are never treated.")  # fmt: skip
    return np.where(missing, count, places)


def _numeric_starts(mine: pd.Series, periods: pd.Index, start: str, steps: bool) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(mine.dtype):
        raise DataError(f"the column is {mine.dtype}, but periods are numbers", where=f"column {start!r}",
                        mend="give the first treated period as a number, 0 or missing for never treated.")  # fmt: skip
    values = mine.to_numpy(dtype=float, na_value=np.nan)
    if (periods <= 0).any() and (values == 0).any():
        raise DataError("0 means never treated, but 0 is also a period (or lies among them)", where=f"column {start!r}",
                        mend="number the periods from 1, or leave never treated units' start missing after shifting the others.")  # fmt: skip
    never = np.isnan(values) | (values == 0)
    odd = ~never & (~np.isfinite(values) | (values != np.round(values)))
    if odd.any():
        raise DataError(f"{values[odd][0]} is not a period", where=f"column {start!r}",
                        mend="give whole periods; 0 or missing for never treated.")  # fmt: skip
    known = periods.to_numpy(dtype=float)
    places = np.searchsorted(known, np.where(never, 0.0, values), side="left") + (np.where(never, 0.0, values) > known[-1])
    return np.where(never, len(known), places).astype(np.int64)


def read_treated(panel: Panel, data: pd.DataFrame, treated: str) -> np.ndarray:
    """The 0/1 column of being treated, as int of shape (n,).

    Raises
    ------
    DataError
        Another value than 0 and 1.
    """
    check_present(data, treated)
    values = read_numbers(data, treated, panel.rows)
    refuse_rows(data, treated, np.sort(panel.rows[(values != 0) & (values != 1)]), "neither 0 nor 1",
                 "mark each row treated (1) or not (0); name a dose under `covariates`.")  # fmt: skip
    return values.astype(np.int64)


def _weighted_rows(data: pd.DataFrame, weights: str | None) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(len(data))
    if weights is None:
        return rows, np.ones(len(data))
    weight = read_numbers(data, weights, rows)
    refuse_rows(data, weights, rows[weight < 0], "negative", "weights are zero or more; correct them.")
    refuse_rows(data, weights, rows[(weight > 0) & (weight < NO_WEIGHT * weight.max())], "nothing beside the largest weight",
                "give such rows a weight of zero.")  # fmt: skip
    rows = np.flatnonzero(weight > 0)
    if not len(rows):
        raise DataError("every weight is zero, so no row is left to fit", where=f"column {weights!r}",
                        mend="look at the step that made the weights.")  # fmt: skip
    return rows, weight


def _mean_one(weights: np.ndarray) -> np.ndarray:
    return weights / weights.mean()


def _codes(data: pd.DataFrame, name: str, rows: np.ndarray) -> tuple[np.ndarray, Sequence]:
    codes, labels = pd.factorize(data[name].iloc[rows] if len(rows) < len(data) or (rows[1:] < rows[:-1]).any() else data[name])
    refuse_rows(data, name, np.sort(rows[codes < 0]), "missing", "give every row a value, or leave the rows out and count them.")
    return codes, labels


def _periods(data: pd.DataFrame, time: str, rows: np.ndarray) -> tuple[np.ndarray, pd.Index]:
    """Each row's place among the ordered periods, and the periods; a category that no row has is no period."""
    dtype = data[time].dtype
    ordered = isinstance(dtype, pd.CategoricalDtype) and dtype.ordered
    numeric = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    if not (ordered or numeric or pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype)):
        raise DataError(f"the periods are {dtype}, which has no order in time", where=f"column {time!r}",
                        mend="number them 1, 2, 3 ..., or make the column an ordered category.")  # fmt: skip
    codes, labels = _codes(data, time, rows)
    if ordered:
        labels = pd.Categorical(labels, dtype=dtype)
        order = np.argsort(labels.codes, kind="stable")
        used = labels.codes[order]
        if len(used) < used[-1] - used[0] + 1:
            unused = dtype.categories[next(code for code in range(used[0], used[-1]) if code not in used)]
            raise DataError(f"no row is of period {unused!r}, which lies between others", where=f"column {time!r}",
                            mend="remove the unused category if the period does not exist.")  # fmt: skip
        periods = pd.Index(np.asarray(labels)[order], dtype=object)
    else:
        periods = pd.Index(labels)
        if numeric and not np.isfinite(periods.to_numpy(dtype=float)).all():
            raise DataError("a period is infinite", where=f"column {time!r}", mend="number the periods 1, 2, 3 ...")
        order = np.argsort(periods, kind="stable")
        periods = periods[order]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    if len(periods) < 2:
        raise DataError(f"all rows are of one period ({periods[0]})", where=f"column {time!r}", mend="use at least two periods.")
    return place[codes], periods


def _refuse_gaps(periods: pd.Index, time: str) -> None:
    """Event time is counted in periods: refuse numbers that do not follow one another."""
    if isinstance(periods.dtype, pd.PeriodDtype):
        values = periods.asi8.astype(float)
    elif pd.api.types.is_datetime64_any_dtype(periods.dtype):
        _refuse_uneven_dates(periods, time)
        return
    elif pd.api.types.is_numeric_dtype(periods.dtype):
        values = periods.to_numpy(dtype=float)
    else:
        return
    steps = np.diff(values)
    if (values != np.round(values)).any() or (steps != 1).any():
        place = int(np.flatnonzero(steps != 1)[0]) if (steps != 1).any() else 0
        raise DataError(f"periods do not follow one another ({periods[place]} is followed by {periods[place + 1]}), so that time since start "
                        "cannot be counted", where=f"column {time!r}",
                        mend="number the periods (and the starts) 1, 2, 3 ... in order, if steps between them are to count alike.")  # fmt: skip


def _refuse_uneven_dates(periods: pd.Index, time: str) -> None:
    """Months and quarters differ in length, but a step half as long again as another is more than that."""
    steps = np.diff(periods.asi8).astype(float)
    if steps.max() > UNEVEN * steps.min():
        place = int(steps.argmax())
        raise DataError(f"dates are unevenly spaced (the longest step is from {periods[place]:%Y-%m-%d} to {periods[place + 1]:%Y-%m-%d}), so that time "
                        "since start cannot be counted", where=f"column {time!r}",
                        mend="number the periods (and the starts) 1, 2, 3 ... in order, if steps between them are to count alike.")  # fmt: skip


def _refuse_duplicates(data: pd.DataFrame, unit: str, time: str, rows: np.ndarray, place: np.ndarray) -> None:
    again = np.flatnonzero(place[1:] == place[:-1])
    if not len(again):
        return
    row = int(rows[again[0] + 1])
    number = "1 row repeats" if len(again) == 1 else f"{len(again):,} rows repeat"
    raise DataError(f"{number} a unit and period that another row has: {unit} {data[unit].iloc[row]}, {time} {data[time].iloc[row]}",
                    where=f"row {row + 1} of {len(data):,} (index {data.index[row]})",
                    mend="keep one row per unit and period.")  # fmt: skip


def _refuse_changing(data: pd.DataFrame, name: str, unit: str, rows: np.ndarray, changed: np.ndarray, mend: str) -> None:
    if not changed.any():
        return
    row = int(rows[np.flatnonzero(changed)[0]])
    raise DataError(f"the column changes within a unit ({unit} {data[unit].iloc[row]})",
                    where=f"column {name!r}, row {row + 1} of {len(data):,} (index {data.index[row]})", mend=mend)  # fmt: skip
