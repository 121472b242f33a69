"""Puts periods and starts on one line: which period comes after which, and in which of them each row's unit is treated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.errors import DataError

NEVER = -1
"""Start position of rows whose unit is never treated."""

ALWAYS = -2
"""Start position of rows whose unit is treated before the second period of the data."""

FAR = 1e6
"""Steps after the first period beyond which a start need not be told apart from later ones."""

SPACING = 1e-9
"""Share of the step between periods by which rounding may move a period."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """Periods in order, and every row's place among them.

    Attributes
    ----------
    labels : Index
        The periods as the caller names them, in order.
    time : ndarray of int, one per row
        Position of the row's period, 0 for the first.
    start : ndarray of int, one per row
        Position of the first treated period; the number of periods or more where it lies beyond the data;
        ``NEVER`` or ``ALWAYS``.
    """

    labels: pd.Index
    time: np.ndarray
    start: np.ndarray


def read_timeline(data: pd.DataFrame, time: str, start: str) -> Timeline:
    """Read the period and start columns.

    Periods are whole steps on an even scale: numbers, pandas periods, or an ordered categorical, whose declared
    categories are the scale. A gap in the scale is refused, because the number of periods since the start, on which
    averages rest, would depend on how the gap is read. Event time counts periods, whatever the step between labels.

    Raises
    ------
    DataError
        A period is missing, unordered, off the scale, or skipped; a start inside the data is none of its periods; or 0
        is at once a period and the mark of the never treated.
    """
    column = data[time]
    if column.isna().any():
        raise DataError(f"{int(column.isna().sum()):,} rows have no period", where=f"column {time!r}", mend="give every row its period.")
    if isinstance(column.dtype, pd.CategoricalDtype) and not pd.api.types.is_numeric_dtype(column.cat.categories.dtype):
        return _categorical(data, time, start)
    if isinstance(column.dtype, pd.PeriodDtype):
        freq = column.dtype.freq
        return _numeric(pd.PeriodIndex(column).asi8, _ordinals(data[start], column.dtype, start), time, start,
                        lambda values: pd.PeriodIndex.from_ordinals(values.astype("int64"), freq=freq), zero_is_never=False)  # fmt: skip
    numbers = _as_numbers(column, time)
    return _numeric(numbers, _start_numbers(data[start], start), time, start, _plain_labels, zero_is_never=True)


def _plain_labels(values: np.ndarray) -> pd.Index:
    whole = values == np.round(values)
    return pd.Index(values.astype("int64") if whole.all() else values)


def _as_numbers(column: pd.Series, name: str) -> np.ndarray:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        raise DataError(f"periods are {column.dtype}, whose order and spacing are not known", where=f"column {name!r}",
                        mend="number the periods, or make the column an ordered categorical that lists every period.")  # fmt: skip
    return column.to_numpy(dtype="int64" if pd.api.types.is_integer_dtype(column.dtype) else float)


def _start_numbers(column: pd.Series, name: str) -> np.ndarray:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = pd.Series(np.asarray(column))
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        raise DataError(f"starts are {column.dtype}, where periods are numbers", where=f"column {name!r}",
                        mend="give the first treated period as a number, 0 or missing for the never treated.")  # fmt: skip
    return column.to_numpy(dtype=float, na_value=np.nan)


def _ordinals(column: pd.Series, dtype: pd.PeriodDtype, name: str) -> np.ndarray:
    if column.dtype != dtype:
        raise DataError(f"starts are {column.dtype}, where periods are {dtype}", where=f"column {name!r}",
                        mend="give starts in the kind of the periods, missing for the never treated.")  # fmt: skip
    ordinals = np.full(len(column), np.nan)
    known = column.notna().to_numpy()
    ordinals[known] = pd.PeriodIndex(column[known]).asi8
    return ordinals


def _numeric(times, starts: np.ndarray, time: str, start: str, name_labels, *, zero_is_never: bool) -> Timeline:
    times = np.asarray(times)
    codes, found = pd.factorize(times)
    order = np.argsort(found, kind="stable")
    place = np.empty(len(found), dtype=np.int64)
    place[order] = np.arange(len(found))
    periods = np.asarray(found, dtype=float)[order]
    if not np.isfinite(periods).all():
        raise DataError("a period is infinite", where=f"column {time!r}", mend="number the periods.")
    step = _even_step(periods, time)
    never = np.isnan(starts) | np.isposinf(starts)
    if zero_is_never:
        zero = starts == 0
        if zero.any() and ((periods == 0).any() or (periods < 0).any()):
            raise DataError("a start of 0 marks the never treated, but the periods include 0 or lie below it, so that 0 could be a start",
                            where=f"columns {time!r} and {start!r}", mend="leave the start of the never treated missing, or number periods from 1.")  # fmt: skip
        never |= zero
    position = np.full(len(starts), NEVER, dtype=np.int64)
    treated = ~never
    steps = (starts[treated] - periods[0]) / step
    inside = (steps > -SPACING) & (steps < len(periods) - 1 + SPACING)
    off = inside & (np.abs(steps - np.round(steps)) > SPACING)
    if off.any():
        value = starts[treated][off][0]
        raise DataError(f"{int(off.sum()):,} rows have a start that is none of the periods, the first {value:g}", where=f"column {start!r}",
                        mend="give the first period of the data in which the unit is treated.")  # fmt: skip
    whole = np.where(inside, np.round(steps), np.ceil(np.clip(steps, -1, FAR) - SPACING))
    position[treated] = np.where(whole <= 0, ALWAYS, whole).astype(np.int64)
    return Timeline(name_labels(periods), place[codes], position)


def _even_step(periods: np.ndarray, time: str) -> float:
    if len(periods) < 2:
        raise DataError("the data hold one period, and a change needs two", where=f"column {time!r}", mend="add periods before and after the start.")
    steps = np.diff(periods)
    step = float(steps.min())
    wide = np.flatnonzero(steps > step * (1 + SPACING))
    if len(wide):
        before, after = periods[wide[0]], periods[wide[0] + 1]
        raise DataError(f"periods are {step:g} apart, but between {before:g} and {after:g} some are missing", where=f"column {time!r}",
                        mend="add the missing periods, or number the periods without gaps if the gap should count as one step.")  # fmt: skip
    return step


def _categorical(data: pd.DataFrame, time: str, start: str) -> Timeline:
    column, begins = data[time], data[start]
    categories = column.cat.categories
    if not column.cat.ordered:
        raise DataError("the categories of the periods have no order", where=f"column {time!r}",
                        mend="make the column an ordered categorical, or number the periods.")  # fmt: skip
    codes = column.cat.codes.to_numpy(dtype=np.int64)
    seen = np.unique(codes)
    if len(seen) < 2:
        raise DataError("the data hold one period, and a change needs two", where=f"column {time!r}", mend="add periods before and after the start.")
    skipped = [str(categories[code]) for code in range(seen[0], seen[-1]) if code not in set(seen)]
    if skipped:
        raise DataError(f"no row is in period {', '.join(skipped)}, which lies between others", where=f"column {time!r}",
                        mend="add its rows, or remove the category if the gap should count as one step.")  # fmt: skip
    which, named = pd.factorize(begins, use_na_sentinel=True)
    named = [value for value in named]
    place = categories.get_indexer(pd.Index(named, dtype=object))
    mark = np.array([isinstance(value, (int, float, np.number)) and value == 0 for value in named], dtype=bool)
    unknown = (place < 0) & ~mark
    if unknown.any():
        raise DataError(f"the start {named[int(np.flatnonzero(unknown)[0])]!r} is none of the periods", where=f"column {start!r}",
                        mend="name a category of the period column, or leave the start of the never treated missing.")  # fmt: skip
    place = np.where(mark, NEVER, np.where(place <= seen[0], ALWAYS, place - seen[0]))
    position = np.append(place, NEVER)[which]  # a missing start has code -1, the last entry
    return Timeline(pd.Index(categories[seen[0] : seen[-1] + 1]), codes - seen[0], position.astype(np.int64))
