"""Reads the numbers that a caller passes beside a table (levels, draws, seeds, nulls, estimates) and refuses those that are no such thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.inference.columns import LARGEST


def is_number(value: object) -> bool:
    """Whether a value is one real number; True and False are none, NaN and infinity are."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def check_draws(draws: int) -> None:
    """Refuse a number of draws that is no whole number from 1 on.

    Raises
    ------
    DataError
    """
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 1:
        raise DataError(f"{draws!r} is no number of draws", where="draws", mend="ask for a whole number, as a rule 9999.")


def check_seed(seed: int) -> None:
    """Refuse a seed that is no whole number from 0 on, used or not.

    Raises
    ------
    DataError
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise DataError(f"{seed!r} is no seed", where="seed", mend="use a whole number from 0 on, so that the draws can be repeated.")


def check_level(conf_level: float) -> None:
    """Refuse a confidence level that is no share between 0 and 1.

    Raises
    ------
    DataError
    """
    if not is_number(conf_level) or not 0 < conf_level < 1:
        raise DataError(f"{conf_level!r} is no confidence level", where="conf_level", mend="use a share between 0 and 1, as a rule 0.95.")


def check_null(null: float) -> None:
    """Refuse a null that is no number, or larger than any value that a column may hold.

    Raises
    ------
    DataError
    """
    if not is_number(null):
        raise DataError(f"the null {null!r} is no number", where="null", mend="name the value that is tested.")
    if not abs(null) < np.inf:
        raise DataError("the null is missing or infinite", where="null", mend="name the value that is tested.")
    if abs(null) > LARGEST:
        raise DataError(f"the null is larger than {LARGEST:.0e} in size, where double precision has no squares to spare", where="null",
                        mend="name it in the units of the outcome.")  # fmt: skip


def named_numbers(values: pd.Series | Mapping | Sequence[float], noun: str, label: str, mend: str) -> tuple[list, np.ndarray]:
    """Names and finite numbers of a caller's Series, mapping or sequence; a sequence is named 0, 1, ...

    Parameters
    ----------
    values : Series, mapping or sequence of float
    noun : str
        What one of them is, with its article, such as "a p-value".
    label : str
        What a name stands for, such as "hypothesis".
    mend : str
        What to do about a missing value.

    Raises
    ------
    DataError
        Anything else; no value, one that is missing, infinite or no number, or a name given twice.
    """
    if not isinstance(values, pd.Series):
        values = _as_series(values, noun, label)
    if not len(values):
        raise DataError(f"there is no {noun.split()[-1]}", mend="pass at least one.")
    try:
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"{noun} is not a number", where=label, mend="pass numbers only.") from error
    if not np.isfinite(numbers).all():
        raise DataError(f"{noun} is missing or infinite", where=f"{label} {values.index[~np.isfinite(numbers)][0]}", mend=mend)
    repeated = values.index[values.index.duplicated()]
    if len(repeated):
        article = "an" if label[0] in "aeiou" else "a"
        raise DataError(f"{article} {label} is named twice", where=f"{label} {repeated[0]}", mend="name each once.")
    return list(values.index), numbers


def _as_series(values: Mapping | Sequence[float], noun: str, label: str) -> pd.Series:
    # Iterating over a table gives its columns' names, over a set any order.
    unfit = isinstance(values, (str, bytes, pd.DataFrame)) or not (isinstance(values, Mapping) or hasattr(values, "__getitem__"))
    try:
        given = None if unfit else dict(values) if isinstance(values, Mapping) else list(values)
    except TypeError:  # an array without dimensions
        given = None
    if given is None:
        raise DataError(f"{type(values).__name__} is no series, mapping or list", where=label,
                        mend=f"pass each {noun.split()[-1]} in a list, or in a series that names them.")  # fmt: skip
    return pd.Series(given, dtype=None if len(given) else float)


def table_of_numbers(values: pd.DataFrame | np.ndarray, width: int, what: str, *, height: int | None = None) -> np.ndarray:
    """Numbers in rows and columns, possibly missing or infinite, of a caller's table or array.

    Parameters
    ----------
    values : DataFrame or ndarray, shape (height, width)
    width : int
    what : str
        What they are, in the singular, such as "covariance".
    height : int, optional
        Without it any number of rows from 1 on.

    Raises
    ------
    DataError
        Values that are no numbers; another shape.
    """
    try:
        matrix = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"the {what} is not made of numbers in rows and columns", where=what, mend="pass a table or an array of numbers.") from error
    if matrix.ndim != 2 or matrix.shape[1] != width or height not in (None, matrix.shape[0]) or not len(matrix):
        rows = "." if height is None else f" and {height} rows."
        raise DataError(f"the {what} has shape {matrix.shape}", where=what, mend=f"it needs {width} columns{rows}")
    return matrix
