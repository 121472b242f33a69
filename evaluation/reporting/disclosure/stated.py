"""To how many digits a release states its measures: a fraction to the last digit tells its denominator, however well the count is hidden.

| measure | stated |
|---|---|
| money | whole pounds; below 100, three significant digits |
| degrees of freedom | one decimal |
| any other number with decimals | two decimals; below 1, three significant digits |
| sums of sessions | to the nearest 1,000, for a pupil adds a known number of them; below 1,000 suppressed, other than 0 |
| other whole numbers that are no counts | as they are |
| a column whose entry says so (``decimals``) | at so many decimals |

Counts have a rule of their own (the profile's rounding base), and published statistics are public as they stand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from evaluation.registers.entries import Table
from evaluation.reporting.disclosure.bounds import round_counts
from evaluation.reporting.disclosure.spec import Disclosure

if TYPE_CHECKING:
    import pandas as pd

MONEY = re.compile("\u00a3|\\bGBP\\b|\\bpounds?\\b")
SESSIONS_BASE = 1000
"""To what sums of sessions are rounded: more than the sessions of ten pupils in the longest half-term."""


def state_frame(table: Table, spec: Disclosure, frame: pd.DataFrame) -> pd.DataFrame:
    """A table with every measure stated to the digits that a release states.

    Parameters
    ----------
    table : Table
        Its units, by column; where a column has none, by row from the column ``unit``, if there is one.
    spec : Disclosure
    frame : DataFrame
        Columns that leave.

    Returns
    -------
    DataFrame
        The same columns; counts, codes and words as they were.
    """
    if spec.about == "published statistics":
        return frame
    stated = frame.copy()
    units = {c.name: c.unit for c in table.columns}
    in_pounds = np.array([bool(MONEY.search(str(u))) for u in frame["unit"]], dtype=bool) if "unit" in frame else np.zeros(len(frame), dtype=bool)
    for column in frame.columns:
        kind = frame[column].dtype.kind
        if column in spec.decimals:
            stated[column] = np.round(frame[column].to_numpy(dtype=float), spec.decimals[column])
        elif kind == "f" and column not in spec.counts:
            values = frame[column].to_numpy(dtype=float)
            unit = units.get(column)
            money = bool(MONEY.search(unit)) if unit else in_pounds
            stated[column] = state_degrees(values) if column == "df" or unit == "degrees of freedom" else np.where(money, state_money(values), state_number(values))
        elif column in sums_of_sessions(table, spec):
            values = frame[column]
            stated[column] = values.where(values.isna(), round_counts(values.to_numpy(dtype=float, na_value=np.nan), SESSIONS_BASE)).astype(values.dtype)
    return stated


def sums_of_sessions(table: Table, spec: Disclosure) -> set[str]:
    """Columns of whole numbers of sessions summed over pupils."""
    return {c.name for c in table.columns if c.unit == "sessions" and c.type == "integer" and c.name in {**spec.based_on, **spec.reveals}}


def state_number(values: np.ndarray) -> np.ndarray:
    """Measures as a release states them: two decimals, or three significant digits below one.

    Parameters
    ----------
    values : ndarray of float
        Missing values stay missing.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        decimals = np.where(np.abs(values) >= 1, 2, 2 - np.floor(np.log10(np.abs(values))))
    return _rounded(values, decimals)


def state_money(values: np.ndarray) -> np.ndarray:
    """Money as a release states it: whole pounds, or three significant digits below a hundred."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decimals = np.where(np.abs(values) >= 100, 0, 2 - np.floor(np.log10(np.abs(values))))
    return _rounded(values, decimals)


def state_degrees(values: np.ndarray) -> np.ndarray:
    """Degrees of freedom as a release states them: one decimal."""
    return np.round(values, 1)


def _rounded(values: np.ndarray, decimals: np.ndarray) -> np.ndarray:
    decimals = np.where(np.isfinite(decimals), decimals, 0)
    scale = 10.0 ** np.clip(decimals, 0, 300)
    return np.where(np.isfinite(values), np.round(values * scale) / scale, values)
