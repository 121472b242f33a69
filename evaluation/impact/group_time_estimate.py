"""Estimates every cell of a plan from the arranged data, and keeps its influence functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.impact.group_time_arrays import Long, Wide
from evaluation.impact.group_time_cells import Nuisance, cell_effect, prepare
from evaluation.impact.group_time_influence import Block, Influence
from evaluation.impact.group_time_panel import Sample
from evaluation.impact.group_time_plan import Cell
from evaluation.impact.group_time_sections import Rows, section_effect

NO_SPREAD = "nobody's change differs from what is expected in their arm, so that nothing is left to judge uncertainty by"
ROUNDING = 1e-14
"""Standard error, as a share of the largest outcome, that rounding alone leaves."""
NO_COMPARISON = "no comparison units: every other cohort has started by then"


@dataclass(frozen=True, eq=False)
class Estimated:
    """Cells with their estimates.

    Attributes
    ----------
    cells : tuple of Cell
    estimate : ndarray, shape (c,)
        0 in a reference cell, missing where the cell was refused.
    reason : tuple of (str or None)
        Why a cell was refused.
    n_treated, n_comparison, trimmed : ndarray of int, shape (c,)
    influence : Influence
    """

    cells: tuple[Cell, ...]
    estimate: np.ndarray
    reason: tuple[str | None, ...]
    n_treated: np.ndarray
    n_comparison: np.ndarray
    trimmed: np.ndarray
    influence: Influence


class _Store:
    """Rows of influence functions while cells are being estimated."""

    def __init__(self, sample: Sample, cells: list[Cell], keys: list[list]):
        self.sample = sample
        members: dict = {}
        for number, names in enumerate(keys):
            for key in names:
                members.setdefault(key, []).append(number)
        cohorts = {cohort: place for place, cohort in enumerate(sample.cohorts)}
        blocks, self.row = [], {}
        for key, (cohort, begin, end) in sample.blocks.items():
            numbers = members.get(key, [])
            for row, number in enumerate(numbers):
                self.row[key, number] = row
            blocks.append(Block(np.array(numbers, dtype=np.int64), np.zeros((len(numbers), end - begin)), begin, end, cohorts.get(cohort, -1)))
        self.block = dict(zip(sample.blocks, blocks, strict=True))
        self.influence = Influence(tuple(blocks), len(cells), len(cohorts), len(sample.units), sample.mass,
                                   np.array([cohorts.get(cell.start, -1) for cell in cells], dtype=np.int64))  # fmt: skip

    def values(self, key, number: int) -> np.ndarray:
        """The influence of one block's units on one cell, to be written to."""
        return self.block[key].values[self.row[key, number]]

    def spread(self, keys: list, number: int) -> float:
        """Standard error of one cell over independent units."""
        return float(np.sqrt(sum(np.dot(row, row) for row in (self.values(key, number) for key in keys))))


def estimate_cells(sample: Sample, cells: list[Cell], method: str, weights_from: str | None) -> Estimated:
    """Estimate each cell; one that cannot be estimated gets a reason and leaves the others alone.

    Parameters
    ----------
    sample : Sample
    cells : list of Cell
    method : {"dr", "ipw", "reg"}
    weights_from : {None, "earlier", "base", "first", "varying"}
        As in :func:`evaluation.impact.group_time_effects`.
    """
    wide = isinstance(sample.values, Wide)
    arms = [[] if cell.reference or not cell.comparison else [cell.start, *cell.comparison] for cell in cells]
    if not wide and (sample.blocks and isinstance(next(iter(sample.blocks)), tuple)):
        keys = [[(time, cohort) for time in (cell.base, cell.time) for cohort in names if (time, cohort) in sample.blocks]
                for cell, names in zip(cells, arms, strict=True)]  # fmt: skip
    else:
        keys = arms
    store = _Store(sample, cells, keys)
    run = _wide_cell if wide else _long_cell
    estimate, counts, reasons = np.full(len(cells), np.nan), np.zeros((3, len(cells)), dtype=np.int64), []
    nuisances: dict = {}
    scale = float(np.abs(sample.values.outcome).max())
    for number, cell in enumerate(cells):
        if cell.reference:
            estimate[number], reason = 0.0, None
            counts[:2, number] = _reference_counts(sample, cell)
        elif not cell.comparison:
            reason = NO_COMPARISON
        else:
            estimate[number], counts[:, number], reason = run(sample, cell, number, method, weights_from, store, nuisances)
            if reason is None and store.spread(keys[number], number) <= ROUNDING * scale:
                estimate[number], reason = np.nan, NO_SPREAD
        reasons.append(reason)
    return Estimated(tuple(cells), estimate, tuple(reasons), *counts, store.influence)


def _units(sample: Sample, cohort: int) -> int:
    return sum(end - begin for own, begin, end in sample.blocks.values() if own == cohort)


def _reference_counts(sample: Sample, cell: Cell) -> tuple[int, int]:
    if isinstance(sample.values, Wide):
        return _units(sample, cell.start), sum(_units(sample, cohort) for cohort in cell.comparison)
    size = {key: end - begin for key, (begin, end) in sample.values.place.items()}
    return size.get((cell.time, cell.start), 0), sum(size.get((cell.time, cohort), 0) for cohort in cell.comparison)


def _wide_cell(sample: Sample, cell: Cell, number: int, method: str, weights_from: str | None, store: _Store, nuisances: dict):
    """One cell of a balanced panel. The propensity score and the regression's cross-products are shared by cells with the same arms."""
    values: Wide = sample.values
    earlier = min(cell.base, cell.time)
    last = cell.start - cell.anticipation - 1
    at = {None: earlier, "earlier": earlier, "base": last, "first": 0}[weights_from]
    covariates = values.covariates[earlier]
    weights = None if values.weights is None else values.weights[at]
    key = cell.start, cell.comparison, id(covariates), id(weights)
    if key not in nuisances:
        if nuisances and next(iter(nuisances))[0] != cell.start:
            nuisances.clear()  # the next cohort: nothing of the last one is needed again
        nuisances[key] = _nuisance(sample, cell, method, covariates, weights)
    arms: Nuisance = nuisances[key]
    counts = len(arms.treated), len(arms.comparison), arms.trimmed
    if arms.refused:
        return np.nan, counts, arms.refused
    after, before = values.outcome[cell.time], values.outcome[cell.base]
    change = [after[begin:end] - before[begin:end] for begin, end in _slices(sample, (cell.start, *cell.comparison))]
    estimate, treated, comparison = cell_effect(arms, change[0], change[1] if len(change) == 2 else np.concatenate(change[1:]))
    store.values(cell.start, number)[:] = treated
    done = 0
    for cohort in cell.comparison:
        into = store.values(cohort, number)
        into[:] = comparison[done : done + len(into)]
        done += len(into)
    return estimate, counts, None


def _slices(sample: Sample, cohorts: tuple[int, ...]) -> list[tuple[int, int]]:
    return [sample.blocks[cohort][1:] for cohort in cohorts]


def _nuisance(sample: Sample, cell: Cell, method: str, covariates: np.ndarray, weights: np.ndarray | None) -> Nuisance:
    def of(array: np.ndarray, cohorts: tuple[int, ...]) -> np.ndarray:
        parts = [array[begin:end] for begin, end in _slices(sample, cohorts)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    equal = np.broadcast_to(1.0, len(sample.units)) if weights is None else weights
    own = (cell.start,)
    return prepare(method, of(covariates, own), of(covariates, cell.comparison), of(equal, own), of(equal, cell.comparison))


def _long_cell(sample: Sample, cell: Cell, number: int, method: str, weights_from: str | None, store: _Store, nuisances: dict):
    """One cell of rows by period: repeated cross-sections, or units of which some periods are missing."""
    values: Long = sample.values
    places = {time: ([values.place.get((time, cell.start), (0, 0))], [values.place.get((time, other), (0, 0)) for other in cell.comparison])
              for time in (cell.base, cell.time)}  # fmt: skip
    arms = [tuple(_rows(values, places[time][arm]) for time in (cell.base, cell.time)) for arm in (0, 1)]
    counts = [_present(sample, [values.unit[begin:end] for time in places for begin, end in places[time][arm]]) for arm in (0, 1)]
    found = section_effect(method, *arms)
    if found.refused:
        return np.nan, (*counts, 0), found.refused
    parts = {cell.base: (found.treated_before, found.comparison_before), cell.time: (found.treated_after, found.comparison_after)}
    for time, (treated, comparison) in parts.items():
        for cohorts, influence in (((cell.start,), treated), (cell.comparison, comparison)):
            done = 0
            for cohort in cohorts:
                begin, end = values.place.get((time, cohort), (0, 0))
                if end == begin:
                    continue
                key = cohort if cohort in sample.blocks else (time, cohort)
                store.values(key, number)[values.unit[begin:end] - sample.blocks[key][1]] += influence[done : done + end - begin]
                done += end - begin
    return found.estimate, (*counts, found.trimmed), None


def _present(sample: Sample, units: list[np.ndarray]) -> int:
    """How many units these rows belong to."""
    seen = np.zeros(len(sample.units), dtype=bool)
    for some in units:
        seen[some] = True
    return int(seen.sum())


def _rows(values: Long, places: list[tuple[int, int]]) -> Rows:
    def of(array: np.ndarray) -> np.ndarray:
        parts = [array[begin:end] for begin, end in places]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    return Rows(of(values.outcome), of(values.covariates), of(values.weights))
