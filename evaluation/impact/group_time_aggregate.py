"""Averages of group-time effects: one overall, by cohort, by periods since the start, by calendar period.

Callaway, B. & Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of Econometrics 225(2), 200-230,
section 3. Weights are the cohorts' sizes; their sampling variation is part of the standard errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.errors import DataError, ParameterError, UnidentifiedError
from evaluation.impact.estimate import Estimate, figures, tidy
from evaluation.impact.group_time_errors import Errors
from evaluation.impact.group_time_estimate import Estimated

KINDS = ("simple", "group", "event", "calendar")
LABELS = {"simple": "average", "group": "start", "event": "event_time", "calendar": "time"}
MISSING = ("refuse", "leave_out")
OVERALL = {
    "simple": "average over all cells from the start on, by size of cohort",
    "group": "average over cohorts, by size, of each cohort's average over its periods from the start on",
    "event": "average over event times from 0 on, each with equal weight",
    "calendar": "average over calendar periods, each with equal weight",
}


@dataclass(frozen=True, eq=False, repr=False)
class AggregatedEffects:
    """An average of group-time effects.

    Attributes
    ----------
    kind : {"simple", "group", "event", "calendar"}
    frame : DataFrame
        One row per value of the first column (``event_time`` in periods since the start, ``start``, ``time``, or ``average``): term,
        estimate, std_error, df, statistic, p_value, conf_low, conf_high (pointwise), band_low, band_high (all rows at once), cohorts
        (how many are averaged), reason (why an estimate is missing). A reference period has estimate 0 and no standard error.
    vcov : DataFrame
        Covariance of the rows that have an estimate, labelled by the first column; zero for a reference period.
    overall : Estimate
        The one number; its estimate is missing, with the reason among its warnings, where a cell that it needs was refused.
    conf_level, critical_value : float
        Level, and standard errors from an estimate to its band.
    warnings : tuple of str
    """

    kind: str
    frame: pd.DataFrame
    vcov: pd.DataFrame
    overall: Estimate
    conf_level: float
    critical_value: float
    warnings: tuple[str, ...]

    @property
    def _heading(self) -> str:
        one = self.overall
        return (f"{self.kind}: {OVERALL[self.kind]}: {one.estimate:.6g} (standard error {one.std_error:.4g}), {self.conf_level:.0%} intervals, "
                f"band at {self.critical_value:.3f} standard errors")  # fmt: skip

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.frame.to_string(index=False), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.warnings)
        return f"<p>{escape(self._heading)}</p>{self.frame.to_html(index=False, border=0)}{notes}"


class Average(NamedTuple):
    """A linear combination of cells: its value and its loading on the influence columns; or why it has none."""

    label: object
    estimate: float
    loading: np.ndarray
    cells: tuple[int, ...]
    fixed: bool = False
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class Averaging:
    """What averages are made of: cells, labels of periods, weights of cohorts, and how a refused cell is treated."""

    found: Estimated
    labels: pd.Index
    sizes: dict[int, float]
    missing: str

    def over_cells(self, label: object, numbers: Sequence[int], *, by_size: bool = True) -> Average:
        """Average cells, by the sizes of their cohorts or equally."""
        found, columns = self.found, self.found.influence.columns
        lost = [number for number in numbers if np.isnan(found.estimate[number])]
        numbers = [number for number in numbers if number not in set(lost)]
        if (lost and self.missing == "refuse") or not numbers:
            return Average(label, np.nan, np.zeros(columns), tuple(lost), reason=self._why(lost))
        cohorts = list(self.sizes)
        weight = np.array([self.sizes[found.cells[number].start] if by_size else 1.0 for number in numbers])
        total = weight.sum()
        estimate = float(weight @ found.estimate[numbers] / total)
        loading = np.zeros(columns)
        loading[numbers] = weight / total
        if by_size:
            for number in numbers:
                place = found.influence.cells + cohorts.index(found.cells[number].start)
                loading[place] += (found.estimate[number] - estimate) / total
        fixed = all(found.cells[number].reference for number in numbers)
        return Average(label, estimate, loading, tuple(numbers), fixed)

    def over_averages(self, label: object, parts: Sequence[Average], sizes: Sequence[float] | None = None) -> Average:
        """Average averages, equally or, where sizes of cohorts are given, by those."""
        lost = [part for part in parts if part.reason]
        kept = [part for part in parts if not part.reason]
        if (lost and self.missing == "refuse") or not kept:
            return Average(label, np.nan, np.zeros(self.found.influence.columns), (), reason="; ".join(str(part.reason) for part in lost) or "no cell")
        weight = np.ones(len(kept)) if sizes is None else np.array([size for part, size in zip(parts, sizes, strict=True) if not part.reason])
        estimate = float(weight @ [part.estimate for part in kept] / weight.sum())
        loading = np.sum([share * part.loading for share, part in zip(weight / weight.sum(), kept, strict=True)], axis=0)
        if sizes is not None:
            cohorts = list(self.sizes)
            for part in kept:
                place = self.found.influence.cells + cohorts.index(self.found.cells[part.cells[0]].start)
                loading[place] += (part.estimate - estimate) / weight.sum()
        return Average(label, estimate, loading, tuple(cell for part in kept for cell in part.cells))

    def _why(self, lost: Sequence[int]) -> str:
        if not lost:
            return "no cell"
        said = [f"start {self.labels[self.found.cells[n].start]}, {self.labels[self.found.cells[n].time]}: {self.found.reason[n]}" for n in lost]
        return "; ".join(said)


def aggregate(found: Estimated, labels: pd.Index, sizes: dict[int, float], errors: Errors, kind: str, *, balance: int | None, min_event: int | None,
              max_event: int | None, missing: str, context: dict) -> AggregatedEffects:  # fmt: skip
    """Average the cells of one result; see :meth:`evaluation.impact.group_time.GroupTimeEffects.aggregate`."""
    _check(kind, balance, min_event, max_event, missing, len(labels))
    averaging = Averaging(found, labels, sizes, missing)
    rows, overall = _averages(averaging, kind, balance, min_event, max_event)
    if not rows:
        raise UnidentifiedError("no cell enters this average", where=kind, mend="look at the frame of group-time effects, and at the limits named.")
    lost = [number for number, cell in enumerate(found.cells) if np.isnan(found.estimate[number])]
    notes = []
    if lost and missing == "leave_out":
        used = {cell for row in rows for cell in row.cells}
        notes = [f"{len(lost)} of {len(found.cells)} group-time effects could not be estimated; {len(used)} enter these averages."]
    if any(row.reason for row in (*rows, overall)):
        notes.append('A missing average needs a group-time effect that could not be estimated; missing="leave_out" averages the others.')
    estimates = np.array([row.estimate for row in rows])
    ready = np.array([not row.reason and not row.fixed for row in rows])
    loadings = np.array([row.loading for row in rows])
    std_error = np.full(len(rows), np.nan)
    std_error[ready] = errors.std_error(loadings[ready])
    band = errors.band(estimates[ready], loadings[ready])
    name = LABELS[kind]
    values = [row.label for row in rows]
    frame = tidy([f"{name}={value}" for value in values] if kind != "simple" else ["simple"], estimates, std_error, conf_level=errors.conf_level)
    frame.insert(0, name, values)
    for side, sign in (("band_low", -1.0), ("band_high", 1.0)):
        frame[side] = estimates + sign * band * std_error
    frame["cohorts"] = [len({found.cells[cell].start for cell in row.cells}) if not row.reason else 0 for row in rows]
    frame["reason"] = [row.reason for row in rows]
    shown = [position for position, row in enumerate(rows) if not row.reason]
    labelled = pd.Index([values[position] for position in shown], name=name)
    vcov = pd.DataFrame(errors.covariance(loadings[shown]), index=labelled, columns=labelled)
    return AggregatedEffects(kind, frame, vcov, _overall(overall, errors, kind, context, tuple(notes)), errors.conf_level, band,
                             (*context["warnings"], *notes))  # fmt: skip


def _overall(overall: Average, errors: Errors, kind: str, context: dict, notes: tuple[str, ...]) -> Estimate:
    std_error = np.nan if overall.reason else float(errors.std_error(overall.loading[None, :])[0])
    said = (overall.reason,) if overall.reason else ()
    return Estimate(**figures(overall.estimate, std_error, conf_level=errors.conf_level), term=kind, kind=errors.kind,
                    estimand=f"effect on the treated: {OVERALL[kind]}", **{**context, "warnings": (*context["warnings"], *notes, *said)})  # fmt: skip


def _averages(averaging: Averaging, kind: str, balance: int | None, low: int | None, high: int | None) -> tuple[list[Average], Average]:
    cells, labels = averaging.found.cells, averaging.labels
    post = [number for number, cell in enumerate(cells) if cell.post and (high is None or cell.event <= high)]
    if kind == "simple":
        one = averaging.over_cells("simple", post)
        return ([one] if post else []), one
    if kind == "group":
        starts = [start for start in averaging.sizes if any(cells[number].start == start for number in post)]
        rows = [averaging.over_cells(labels[start], [n for n in post if cells[n].start == start], by_size=False) for start in starts]
        return rows, averaging.over_averages(kind, rows, [averaging.sizes[start] for start in starts])
    if kind == "calendar":
        times = sorted({cells[number].time for number in post})
        rows = [averaging.over_cells(labels[time], [n for n in post if cells[n].time == time]) for time in times]
        return rows, averaging.over_averages(kind, rows)
    periods = len(labels)
    chosen = [n for n, cell in enumerate(cells) if balance is None or periods - 1 - cell.start >= balance]
    events = sorted({cells[n].event for n in chosen})
    high = balance if high is None else high if balance is None else min(high, balance)
    events = [event for event in events if (low is None or event >= low) and (high is None or event <= high)]
    rows = [averaging.over_cells(event, [n for n in chosen if cells[n].event == event]) for event in events]
    return rows, averaging.over_averages(kind, [row for row in rows if row.label >= 0])


def _check(kind: str, balance: int | None, low: int | None, high: int | None, missing: str, periods: int) -> None:
    if kind not in KINDS:
        raise ParameterError(f"average {kind!r} does not exist", where="kind", mend=f"choose from {', '.join(KINDS)}.")
    if missing not in MISSING:
        raise ParameterError(f"missing={missing!r} does not exist", where="missing", mend=f"choose from {', '.join(MISSING)}.")
    for name, value in (("balance", balance), ("min_event", low), ("max_event", high)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise ParameterError(f"{name}={value!r} is not a whole number", where=name, mend="give a number of periods.")
        if kind != "event" and not (name == "max_event" and kind in ("simple", "group", "calendar")):
            raise ParameterError(f"{name} belongs to averages by event time", where=name, mend='use kind "event", or leave it out.')
    if balance is not None and not 0 <= balance < periods:
        raise DataError(f"balance={balance} is outside the panel of {periods} periods", where="balance", mend="give the periods after the start that every cohort has.")
