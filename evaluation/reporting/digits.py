"""How many digits of a number are written where nobody chose."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from evaluation.reporting.text import NOT_AVAILABLE, WITHHELD

if TYPE_CHECKING:
    import pandas as pd

MOST_DECIMALS = 6


def column_decimals(values: pd.Series) -> int | None:
    """Choose the digits of a column that nobody chose: enough for its largest value to be read.

    Parameters
    ----------
    values : pandas.Series

    Returns
    -------
    int or None
        0 for whole numbers, 1 from 100 on, 2 from 1 on, 3 below; None for a column that is not numeric.
    """
    from pandas.api.types import is_bool_dtype, is_float_dtype, is_integer_dtype

    if values.dtype == object:
        known = values.dropna()
        known = known[~known.isin([WITHHELD, NOT_AVAILABLE])]
        if known.empty or not all(isinstance(value, Real) and not isinstance(value, bool) for value in known):
            return None
        values = known.astype("float64") if any(not isinstance(value, Integral) for value in known) else known.astype("int64")
    if is_bool_dtype(values.dtype) or not (is_float_dtype(values.dtype) or is_integer_dtype(values.dtype)):
        return None
    if is_integer_dtype(values.dtype):
        return 0
    known = values.dropna().abs()
    known = known[known < float("inf")]
    if known.empty or bool((known == known.round()).all()):
        return 0
    largest = float(known.max())
    return 1 if largest >= 100 else 2 if largest >= 1 else 3


def cell_decimals(value: Any, digits: int | None) -> int | None:
    """Digits of a cell in a column whose digits nobody chose: more where the column's would print a number that is not zero as zero, or nearly so.

    A column may hold pounds and probabilities: below one there are at least two, and what is smaller than one in the last place keeps two significant digits.
    """
    if digits is None or isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        return digits
    size = abs(float(value))
    if size >= 10.0**-digits or size < 0.5 * 10.0**-MOST_DECIMALS:
        return max(digits, 2) if 10.0**-digits <= size < 1 else digits
    return min(MOST_DECIMALS, 1 - math.floor(math.log10(size)))
