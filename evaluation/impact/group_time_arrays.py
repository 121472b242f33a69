"""Arranges outcomes, covariates and weights as arrays: periods by units for a panel, rows by period for cross-sections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from evaluation.design.covariates import numeric_columns
from evaluation.errors import UnidentifiedError
from evaluation.impact.group_time_score import dependent_column
from evaluation.inference.columns import read_numbers

STILL = 1e-12
"""Standard deviation, as a share of a covariate's size, below which the covariate counts as constant."""


@dataclass(frozen=True, eq=False)
class Wide:
    """A balanced panel of n units over T periods.

    Attributes
    ----------
    outcome : ndarray, shape (T, n)
    covariates : tuple of T ndarrays, each of shape (n, k)
        Constant first, the others standardised; one and the same array in every period where nothing changes over time.
    weights : tuple of T ndarrays, each of shape (n,), or None
        Likewise; None for equal weights.
    mass : ndarray, shape (n,)
        Weight of a unit in averages over cohorts: its weight in the first period.
    names : tuple of str
        Covariates after the constant.
    """

    outcome: np.ndarray
    covariates: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...] | None
    mass: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Long:
    """N rows sorted by period, then by unit.

    Attributes
    ----------
    outcome, weights : ndarray, shape (N,)
    covariates : ndarray, shape (N, k)
        Constant first, the others standardised.
    unit : ndarray of int, shape (N,)
        Each row's unit.
    place : dict
        (period, cohort) to the place (begin, end) of its rows.
    mass : ndarray, shape (n,)
        Weight of a unit in averages over cohorts: the mean of its rows' weights; in a balanced panel, its weight in the first period.
    names : tuple of str
    """

    outcome: np.ndarray
    covariates: np.ndarray
    weights: np.ndarray
    unit: np.ndarray
    place: dict[tuple[int, int], tuple[int, int]]
    mass: np.ndarray
    names: tuple[str, ...]


def runs(codes: np.ndarray) -> dict[int, tuple[int, int]]:
    """Place (begin, end) of every value in a sorted array."""
    edges = np.flatnonzero(np.diff(codes)) + 1
    begins, ends = np.append(0, edges), np.append(edges, len(codes))
    return {int(codes[begin]): (int(begin), int(end)) for begin, end in zip(begins, ends, strict=True)}


def wide_values(data: pd.DataFrame, outcome: str, covariates: Sequence[str], weights: str | None, at: np.ndarray) -> Wide:
    """Values of a balanced panel; ``at`` (T, n) holds the row of each period and unit."""
    periods, count = at.shape
    every = np.arange(len(data))
    names, columns = [], []
    for name, values in _covariate_columns(data, covariates, every):
        first = values[at[0]]
        moving = any(not np.array_equal(values[at[t]], first) for t in range(1, periods))
        names.append(name)
        columns.append(values[at] if moving else first[None, :])
    centred = _standardised(columns, names)
    distinct = periods if any(column.shape[0] > 1 for column in columns) else 1
    matrices = [np.column_stack([np.ones(count), *(column[min(t, len(column) - 1)] for column in centred)]) for t in range(distinct)]
    _refuse_dependent(sum(matrix.T @ matrix for matrix in matrices), names)
    by_period, mass = None, np.ones(count)
    if weights is not None:
        values = read_numbers(data, weights, every)
        first = values[at[0]]
        moving = any(not np.array_equal(values[at[t]], first) for t in range(1, periods))
        by_period, mass = tuple(values[at[t]] for t in range(periods)) if moving else (first,) * periods, first
    return Wide(read_numbers(data, outcome, every)[at], tuple(matrices) if distinct > 1 else (matrices[0],) * periods, by_period, mass, tuple(names))


def long_values(data: pd.DataFrame, outcome: str, covariates: Sequence[str], weights: str | None, at: np.ndarray, cohort: np.ndarray) -> Long:
    """Values of units that lack some periods; ``at`` holds -1 there, ``cohort`` the cohort of each unit."""
    period, unit = np.nonzero(at >= 0)
    values = row_values(data, outcome, covariates, weights, at[period, unit], unit, period, cohort[unit])
    return replace(values, mass=values.weights[: at.shape[1]]) if (at >= 0).all() else values  # as in a balanced panel: the first period's


def row_values(data: pd.DataFrame, outcome: str, covariates: Sequence[str], weights: str | None, rows: np.ndarray, unit: np.ndarray,
               period: np.ndarray, cohort: np.ndarray) -> Long:  # fmt: skip
    """Values of rows that are already sorted by period, cohort and unit; ``rows`` says where each lies in the table."""
    names, columns = [], []
    for name, values in _covariate_columns(data, covariates, np.arange(len(data))):
        names.append(name)
        columns.append(values[rows][None, :])
    matrix = np.column_stack([np.ones(len(rows)), *(column[0] for column in _standardised(columns, names))])
    _refuse_dependent(matrix.T @ matrix, names)
    weight = np.ones(len(rows)) if weights is None else read_numbers(data, weights, rows)
    span = int(cohort.max()) + 2
    place = {(key // span, key % span - 1): ends for key, ends in runs(period * span + cohort + 1).items()}
    mass = np.bincount(unit, weight) / np.bincount(unit)
    return Long(read_numbers(data, outcome, rows), matrix, weight, unit, place, mass, tuple(names))


def _covariate_columns(data: pd.DataFrame, covariates: Sequence[str], every: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each covariate's numeric columns in turn: numbers as they are, categories as 0/1 columns without their first level."""
    for name in covariates:
        kind = data[name].dtype
        if pd.api.types.is_numeric_dtype(kind):
            yield name, read_numbers(data, name, every)
            continue
        frame = numeric_columns(data[[name]], [name], drop_first=True)
        for column in frame.columns:
            yield column, frame[column].to_numpy()


def _standardised(columns: list[np.ndarray], names: list[str]) -> list[np.ndarray]:
    """Columns with mean 0 and standard deviation 1: no estimate depends on it, and it keeps equations well conditioned."""
    out = []
    for column, name in zip(columns, names, strict=True):
        spread = float(column.std())
        if not spread > STILL * float(np.abs(column).max()):
            raise UnidentifiedError("the covariate takes one value throughout", where=f"covariate {name!r}", mend="leave it out.")
        out.append((column - column.mean()) / spread)
    return out


def _refuse_dependent(gram: np.ndarray, names: list[str]) -> None:
    dependent = dependent_column(gram)
    if dependent:
        raise UnidentifiedError("the covariate is a combination of those named before it", where=f"covariate {names[dependent - 1]!r}",
                                mend="leave one of them out.")  # fmt: skip
