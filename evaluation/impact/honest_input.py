"""Reads the estimates and covariance of an event study for bounds, and refuses what would make the bounds wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.honest_restrictions import EventStudy

# Relative. Symmetry may be lost to rounding in printing; an eigenvalue of the correlations below the other is no information.
ASYMMETRY = 1e-8
SHORT_RANK = 1e-10
REFERENCE_TIME = -1.0
# Of the terms of two-way and group-time event studies.
TERM_PREFIX = "event_time="


def read_event_study(
    estimates: Sequence[float] | pd.Series,
    vcov: np.ndarray | pd.DataFrame,
    n_pre: int,
    n_post: int,
    target: Sequence[float] | None,
    event_times: Sequence[float] | None,
    reference_time: float,
) -> EventStudy:
    """Check and gather what :func:`evaluation.impact.honest_bounds` is given; its docstring has the parameters and errors."""
    for name, value in (("n_pre", n_pre), ("n_post", n_post)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise DataError(f"{name} is {value!r}; it counts periods, at least one", where=name,
                            mend="leave the reference period out and count the others before and after the start.")  # fmt: skip
    values = _numbers(estimates, "estimates")
    if len(values) != n_pre + n_post:
        raise DataError(f"there are {len(values)} estimates for {n_pre} + {n_post} periods", where="estimates",
                        mend="give one estimate a period in order of time, without the reference period.")  # fmt: skip
    _same_labels(estimates, vcov)
    covariance = _covariance(vcov, len(values))
    return EventStudy(values, covariance, int(n_pre), _target(target, n_post),
                      _gaps(estimates, vcov, n_pre, len(values), event_times, reference_time))  # fmt: skip


def read_bounds(m: float | Sequence[float]) -> np.ndarray:
    """The values of m as an array, each zero or more."""
    values = np.atleast_1d(_numbers(m, "m", scalar=True))
    if len(values) == 0 or (values < 0).any():
        raise DataError("m holds no value, or one below zero", where="m", mend="give one or more bounds, zero or more.")
    return values


def _numbers(given: object, name: str, *, scalar: bool = False) -> np.ndarray:
    try:
        values = np.array(given, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"{name} holds something that is not a number", where=name, mend="give numbers only.") from None
    if values.ndim > 1 or (values.ndim == 0 and not scalar):
        raise DataError(f"{name} is not a list of numbers: its shape is {values.shape}", where=name, mend="give one dimension.")
    wrong = np.flatnonzero(~np.isfinite(np.atleast_1d(values)))
    if len(wrong):
        raise DataError(f"{name} has a missing or infinite value", where=f"{name}, position {wrong[0]}", mend="leave no gaps.")
    return values


def _target(target: Sequence[float] | None, n_post: int) -> np.ndarray:
    if target is None:
        return np.eye(1, n_post)[0]
    weights = _numbers(target, "target")
    if len(weights) != n_post:
        raise DataError(f"the target has {len(weights)} weights for {n_post} periods after the start", where="target", mend="give one a period.")
    if not weights.any():
        raise DataError("every weight of the target is zero", where="target", mend="give a weight to the effects that are asked for.")
    return weights


def _labels(index: pd.Index) -> list | None:
    """Labels of an index, None where they only number its entries."""
    found = list(index)
    return None if found == list(range(len(found))) else found


def _same_labels(estimates: object, vcov: object) -> None:
    if not (isinstance(estimates, pd.Series) and isinstance(vcov, pd.DataFrame)):
        return
    own = _labels(estimates.index)
    for side, index in (("rows", vcov.index), ("columns", vcov.columns)):
        other = _labels(index)
        if own is not None and other is not None and own != other:
            raise DataError("the covariance is not labelled as the estimates are, or not in their order", where=f"{side} of vcov",
                            mend="put both in order of time; give arrays if the labels only differ in name.")  # fmt: skip


def _covariance(vcov: object, count: int) -> np.ndarray:
    try:
        matrix = np.array(vcov, dtype=float)
    except (TypeError, ValueError):
        raise DataError("vcov holds something that is not a number", where="vcov", mend="give the covariance matrix of the estimates.") from None
    if matrix.shape != (count, count):
        raise DataError(f"vcov has shape {matrix.shape} for {count} estimates", where="vcov", mend=f"give a {count} x {count} matrix.")
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise DataError("vcov has a missing or infinite entry", where=f"vcov, row {row}, column {column}", mend="leave no gaps.")
    variance = np.diag(matrix)
    if (variance <= 0).any():
        raise DataError("a variance is zero or below", where=f"vcov, position {np.argmax(variance <= 0)}",
                        mend="leave the reference period out of the estimates and of vcov.")  # fmt: skip
    unit = 1 / np.sqrt(variance)
    correlation = matrix * unit[:, None] * unit
    if np.abs(correlation - correlation.T).max() > ASYMMETRY:
        row, column = np.unravel_index(np.abs(correlation - correlation.T).argmax(), matrix.shape)
        raise DataError("vcov is not symmetric", where=f"vcov, row {row}, column {column}", mend="give the covariance matrix of the estimates.")
    eigenvalues = np.linalg.eigvalsh((correlation + correlation.T) / 2)
    if eigenvalues[0] < -SHORT_RANK * count:
        raise DataError(f"vcov is not positive semi-definite (least eigenvalue of the correlations {eigenvalues[0]:.2g})", where="vcov",
                        mend="give the covariance of estimates from one fit, unrounded.")  # fmt: skip
    rank = int((eigenvalues > SHORT_RANK * count).sum())
    if rank < count:
        raise UnidentifiedError(f"vcov has rank {rank} for {count} estimates: some combination of periods would seem known without error", where="vcov",
                                mend="use more clusters than periods, or fewer periods.")  # fmt: skip
    return matrix


def _gaps(estimates: object, vcov: object, n_pre: int, count: int, event_times: Sequence[float] | None, reference_time: float) -> np.ndarray:
    """Elapsed time between neighbouring periods, the reference among them."""
    if event_times is None:
        _refuse_uneven_labels(estimates, vcov, n_pre)
        return np.ones(count)
    times = _numbers(event_times, "event_times")
    if len(times) != count:
        raise DataError(f"there are {len(times)} event times for {count} estimates", where="event_times", mend="give one an estimate.")
    reference = float(_numbers(reference_time, "reference_time", scalar=True))
    whole = np.insert(times, n_pre, reference)
    gaps = np.diff(whole)
    if (gaps <= 0).any():
        listed = ", ".join(f"{value:g}" for value in whole)
        raise DataError(f"with the reference at {reference:g} between the {n_pre} periods before and the others, times do not increase: {listed}",
                        where="event_times", mend="sort by time, leave the reference out, and name its time as reference_time.")  # fmt: skip
    return gaps


def _labelled_times(labels: pd.Index) -> np.ndarray | None:
    """Times since the start that labels are, or name as an event study of this package does; None where they are neither."""
    found = [str(label).removeprefix(TERM_PREFIX) for label in labels]
    try:
        times = np.array(found, dtype=float)
    except ValueError:
        return None
    return times if (times < 0).any() else None  # otherwise numbering, or years


def _refuse_uneven_labels(estimates: object, vcov: object, n_pre: int) -> None:
    """Labels that are event times must be equally spaced, the reference period filling the one gap."""
    given = [part.index for part in (estimates, vcov) if isinstance(part, pd.Series | pd.DataFrame)]
    times = next((found for found in map(_labelled_times, given) if found is not None), None)
    if times is None:
        return
    steps = np.diff(times)
    across = steps[n_pre - 1]
    within = np.delete(steps, n_pre - 1)
    even = np.allclose(within, within[0]) and np.isclose(across, 2 * within[0]) if len(within) else True
    if not even or (steps <= 0).any():
        listed = ", ".join(f"{value:g}" for value in times)
        raise DataError(f"the periods {listed} are not equally spaced around a reference period", where="labels of estimates or vcov",
                        mend="put them in order of time and count n_pre as they have it; or give event_times (and reference_time), so that "
                             "departures are scaled by elapsed time.")  # fmt: skip
