"""Reads a caller's columns into arrays and refuses those that cannot carry an estimate, naming column and row."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError

INTERCEPT = "intercept"
# Largest size of a column's values, and its inverse: estimates then lie within 1e60 of 1, and what is made of their fourth
# powers within the range of double precision.
LARGEST = 1e30
# Share of the largest weight below which a positive one is a zero that was not rounded.
NO_WEIGHT = 1e-100


@dataclass(frozen=True, eq=False)
class Columns:
    """The rows of one fit, as arrays, sorted by cluster.

    Attributes
    ----------
    outcome : ndarray, shape (n,), or None
        None where only the design is wanted.
    terms : ndarray, shape (n, t)
    weights : ndarray, shape (n,)
        Positive, with mean 1 (nothing that is reported depends on their scale).
    clusters : ndarray of int, shape (n,)
        0 to G - 1, ascending.
    cluster_labels : sequence of length G
    cluster_names : tuple of str
        The cluster columns, the one with fewer clusters first.
    crossed : ndarray of int, shape (n,), or None
        Second clustering, 0 to H - 1 with H >= G; None where there is one.
    crossed_labels : sequence of length H
    effects : tuple of ndarray of int, each of shape (n,)
        One array of level codes per absorbed column, most levels first.
    zero_weight_rows : int
        Rows left out because their weight is zero.
    """

    outcome: np.ndarray | None
    terms: np.ndarray
    weights: np.ndarray
    clusters: np.ndarray
    cluster_labels: Sequence
    cluster_names: tuple[str, ...]
    crossed: np.ndarray | None
    crossed_labels: Sequence
    effects: tuple[np.ndarray, ...]
    zero_weight_rows: int


def check_request(
    outcome: str | None, terms: tuple[str, ...], absorb: tuple[str, ...], cluster: str | Sequence[str] | None
) -> tuple[str, ...]:
    """Refuse a request that names a column twice, or in two places where that makes no sense.

    Returns
    -------
    tuple of str
        The one or two cluster columns.

    Raises
    ------
    DataError
    """
    groups = named("cluster", cluster)
    for name in (outcome, *terms, *absorb, *groups):
        _refuse_no_name(name)
    if not groups:
        raise DataError("no cluster column is named", mend="name the column of groups whose rows share shocks, as a rule the school.")
    if len(groups) > 2:
        raise DataError(f"{len(groups)} cluster columns are named", where="cluster", mend="name one or two.")
    for role, names in (("term", terms), ("absorbed column", absorb), ("cluster column", groups)):
        refuse_repeated(role, names)
    if outcome in terms:
        raise DataError("the outcome is also a term", where=f"column {outcome!r}", mend="leave it out of the terms.")
    if INTERCEPT in terms:
        raise DataError(f"{INTERCEPT!r} is the name of the fitted constant", where="terms", mend="rename the column.")
    return groups


def named(role: str, names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Column names as a tuple: of one name, of several, or of none.

    Raises
    ------
    DataError
        Something that is neither a name nor several.
    """
    if names is None:
        return ()
    if pd.api.types.is_scalar(names):
        return (names,)
    try:
        return tuple(names)
    except TypeError as error:
        raise DataError(f"a {type(names).__name__} names no columns", where=role, mend="give names of columns.") from error


def refuse_repeated(role: str, names: Sequence[str]) -> None:
    """Refuse names given more than once."""
    repeated = sorted({str(name) for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"the {role} is named more than once", where=", ".join(repeated), mend="name each once.")


def read_columns(
    data: pd.DataFrame,
    outcome: str | None,
    terms: Sequence[str],
    weights: str | None,
    absorb: Sequence[str],
    clusters: Sequence[str],
    *,
    least: int = 2,
) -> Columns:
    """Read, check and sort the columns of one fit; the caller's frame is never changed.

    Of two cluster columns the one with fewer clusters comes first and sorts the rows.

    Rows of weight zero are left out before anything else is read, so that a value missing there does no harm.

    Raises
    ------
    DataError
        A column is absent, repeated, not numeric, or holds missing or infinite values; a weight is negative;
        no row is left.
    UnidentifiedError
        There are fewer clusters than `least`.
    """
    if not isinstance(data, pd.DataFrame):
        raise DataError(f"the data are a {type(data).__name__}, not a table", mend="pass a pandas DataFrame.")
    for name in (outcome, *terms, *absorb, *clusters, weights):
        if name is not None:
            check_present(data, name)
    if None in (*terms, *absorb, *clusters):
        raise DataError("None stands among the names of columns", mend="name a column, as a rule the school for cluster=.")
    if not len(data):
        raise DataError("there are no rows to fit", mend="look at the step that selected the rows.")
    rows = np.arange(len(data))
    weight = np.ones(len(data))
    if weights is not None:
        weight = read_numbers(data, weights, rows)
        refuse_rows(data, weights, rows[weight < 0], "negative", "weights are zero or more; correct them.")
        weight = weight / (weight.max() or 1.0)
        refuse_rows(data, weights, rows[(weight > 0) & (weight < NO_WEIGHT)], "nothing beside the largest weight",
                     "give such rows a weight of zero.")  # fmt: skip
        rows = np.flatnonzero(weight > 0)
        if not len(rows):
            raise DataError("every weight is zero, so no row is left to fit", where=f"column {weights!r}",
                            mend="look at the step that made the weights.")  # fmt: skip
    groups = sorted(((name, *_codes(data, name, rows)) for name in clusters), key=lambda group: len(group[2]))
    name, codes, labels = groups[0]
    if len(labels) < least:
        raise UnidentifiedError(f"all rows belong to one cluster ({labels[0]})", where=f"column {name!r}",
                                mend="cluster by a column with at least two groups; few groups give few degrees of freedom.")  # fmt: skip
    order = np.argsort(codes, kind="stable")
    rows = rows[order]
    effects = [_codes(data, name, rows) for name in absorb]
    effects.sort(key=lambda pair: -len(pair[1]))
    return Columns(
        outcome=None if outcome is None else read_numbers(data, outcome, rows),
        terms=np.column_stack([read_numbers(data, name, rows) for name in terms]) if terms else np.empty((len(rows), 0)),
        weights=weight[rows] / weight[rows].mean(),
        clusters=codes[order],
        cluster_labels=labels,
        cluster_names=tuple(group[0] for group in groups),
        crossed=groups[1][1][order] if len(groups) > 1 else None,
        crossed_labels=groups[-1][2],
        effects=tuple(pair[0] for pair in effects),
        zero_weight_rows=len(data) - len(rows),
    )


def _refuse_no_name(name: object) -> None:
    if not pd.api.types.is_scalar(name):
        raise DataError(f"a {type(name).__name__} stands where the name of a column belongs",
                        mend="give the name; put values of your own into a column of the table first.")  # fmt: skip


def check_present(data: pd.DataFrame, name: str) -> None:
    """Refuse a column that the table lacks, with the nearest name, or has more than once."""
    _refuse_no_name(name)
    count = int((data.columns == name).sum())
    if count == 1:
        return
    if count > 1:
        raise DataError(f"the table has {count} columns of this name", where=f"column {name!r}", mend="keep one of them.")
    near = difflib.get_close_matches(str(name), [str(column) for column in data.columns], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the table has {', '.join(map(str, data.columns[:20])) or 'no columns'}."
    raise DataError("the table has no such column", where=f"column {name!r}", mend=hint)


def read_numbers(data: pd.DataFrame, name: str, rows: np.ndarray) -> np.ndarray:
    """Values of a numeric or boolean column at the given positions, all finite."""
    column = data[name]
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_complex_dtype(column.dtype):
        raise DataError(f"the column is {column.dtype}, not numeric", where=f"column {name!r}",
                        mend="turn it into numbers or 0/1 columns, or name a category under absorb.")  # fmt: skip
    values = column.to_numpy(dtype=float, na_value=np.nan)[rows]
    refuse_rows(data, name, np.sort(rows[~np.isfinite(values)]), "missing or infinite",
                 "fill them by a rule of the protocol, or leave the rows out and count them.")  # fmt: skip
    size = np.abs(values).max(initial=0)
    if size and not 1 / LARGEST <= size <= LARGEST:
        raise DataError(f"the largest value is {size:.0e} in size, where double precision has no squares to spare", where=f"column {name!r}",
                        mend="give the column in other units.")  # fmt: skip
    return values


def _codes(data: pd.DataFrame, name: str, rows: np.ndarray) -> tuple[np.ndarray, Sequence]:
    """Level codes of a column at the given positions, and the labels behind them."""
    try:
        codes, labels = pd.factorize(data[name].iloc[rows], use_na_sentinel=True)
    except TypeError as error:
        raise DataError("the column holds values that are no labels, such as lists", where=f"column {name!r}",
                        mend="give every row a number or a text.") from error  # fmt: skip
    refuse_rows(data, name, np.sort(rows[codes < 0]), "missing", "give every row a group, or leave the rows out and count them.")
    return codes, labels


def refuse_rows(data: pd.DataFrame, name: str, bad: np.ndarray, what: str, mend: str) -> None:
    """Refuse the values of a column at the positions ``bad``, if any, naming the first; ``what`` says what they are."""
    if not len(bad):
        return
    first = int(bad[0])
    number = "1 value is" if len(bad) == 1 else f"{len(bad):,} values are"
    where = f"column {name!r}, row {first + 1} of {len(data):,} (index {data.index[first]})"
    raise DataError(f"{number} {what}{'' if len(bad) == 1 else '; this row is the first'}", where=where, mend=mend)
