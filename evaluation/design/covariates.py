"""Covariates as columns of numbers: one place where categories become 0/1 columns and bad values are refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from evaluation.errors import DataError


def numeric_columns(data: pd.DataFrame, covariates: Sequence[str], *, drop_first: bool) -> pd.DataFrame:
    """Turn covariates into numeric columns.

    Numbers stay as they are, booleans become 0/1, and text or categories become one 0/1 column for each level,
    named ``<covariate>_<level>``, levels in order (the order of the categories, else sorted).

    Parameters
    ----------
    data : DataFrame
        One row a unit.
    covariates : sequence of str
        Columns of ``data``.
    drop_first : bool
        True for a regression: the first level of each category is the base. False for a balance table: every
        level is shown, except that two levels need only one row (the second).

    Returns
    -------
    DataFrame
        float64, on ``data``'s index.

    Raises
    ------
    DataError
        A covariate is absent, named twice, or has missing or infinite values.
    """
    if not len(covariates):
        raise DataError("no covariate is named", where="on", mend="name at least one column to match or balance on")
    if len(set(covariates)) != len(list(covariates)):
        raise DataError(f"a covariate is named twice: {list(covariates)}", where="on", mend="name each column once")
    columns: dict[str, np.ndarray] = {}
    for name in covariates:
        if name not in data.columns:
            raise DataError(f"there is no column `{name}`", where="on", mend=f"columns are {', '.join(map(str, data.columns))}")
        values = data[name]
        if values.isna().any():
            first = values.index[int(np.argmax(values.isna().to_numpy()))]
            raise DataError(f"covariate `{name}` has {int(values.isna().sum())} missing value(s), the first in row {first!r}",
                            where=f"column `{name}`", mend="leave these rows out beforehand and count them, or leave the covariate out")
        if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
            numbers = values.to_numpy(dtype=float)
            if not np.isfinite(numbers).all():
                first = values.index[int(np.argmin(np.isfinite(numbers)))]
                raise DataError(f"covariate `{name}` has an infinite value in row {first!r}", where=f"column `{name}`",
                                mend="correct the value: every covariate must be a finite number")
            columns[name] = numbers
            continue
        levels = list(values.cat.categories) if isinstance(values.dtype, pd.CategoricalDtype) else sorted(values.unique())
        shown = levels[1:] if drop_first or len(levels) == 2 else levels
        for level in shown:
            columns[f"{name}_{level}"] = (values == level).to_numpy(dtype=float)
        if not shown:  # a single level: kept, so that whoever reads the result sees that it does not vary
            columns[f"{name}_{levels[0]}"] = np.ones(len(values))
    return pd.DataFrame(columns, index=data.index, copy=False)  # columns are read, never written to


def treatment_indicator(data: pd.DataFrame, treatment: str) -> np.ndarray:
    """The treatment column as booleans.

    Raises
    ------
    DataError
        The column is absent, has missing values, or holds anything but 0 and 1 (or false and true).
    """
    if treatment not in data.columns:
        raise DataError(f"there is no column `{treatment}`", where="treatment", mend="name the 0/1 column of the treated units")
    values = data[treatment]
    if values.isna().any() or not set(pd.unique(values)) <= {0, 1, True, False}:
        raise DataError(f"`{treatment}` must hold only 0 and 1, without missing values", where=f"column `{treatment}`",
                        mend="code treated units 1 and comparison units 0")
    return values.to_numpy(dtype=float) == 1.0
