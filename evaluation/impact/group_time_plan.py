"""Lists the cells to estimate: each treated cohort in each period, with its base period and the cohorts it is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.impact.group_time_periods import NEVER


@dataclass(frozen=True)
class Cell:
    """One cohort in one period.

    Attributes
    ----------
    start, time, base : int
        Positions of the cohort's start, of the period, and of the period that the change is taken from.
    comparison : tuple of int
        Cohorts compared with; ``NEVER`` for the never treated.
    anticipation : int
    """

    start: int
    time: int
    base: int
    comparison: tuple[int, ...]
    anticipation: int

    @property
    def event(self) -> int:
        """Periods since the start."""
        return self.time - self.start

    @property
    def reference(self) -> bool:
        """Whether the period is its own base, so that the estimate is zero by construction."""
        return self.time == self.base

    @property
    def post(self) -> bool:
        """Whether the period is at or after the start."""
        return self.time >= self.start

    @property
    def pre(self) -> bool:
        """Whether the cell belongs to the pre-test: before the start and its anticipation, and not the base."""
        return self.time < self.start - self.anticipation and not self.reference


def plan_cells(cohorts: list[int], periods: int, *, never: bool, comparison: str, base_period: str, anticipation: int) -> list[Cell]:
    """Every cell in order of start, then period.

    Parameters
    ----------
    cohorts : list of int
        Start positions of the treated cohorts.
    periods : int
    never : bool
        Whether there are never-treated units.
    comparison : {"never", "not_yet"}
        Not yet: the never treated, and cohorts whose start, less the anticipation, lies after both periods of the cell.
    base_period : {"varying", "universal"}
    anticipation : int

    Notes
    -----
    From ``anticipation`` periods before the start on, the base is the last period before that. Earlier cells compare with the period
    before ("varying") or with the same base ("universal").
    """
    cells = []
    for start in cohorts:
        last = start - anticipation - 1
        for time in range(periods):
            base = last if base_period == "universal" or time > last else time - 1
            if base < 0:
                continue
            others = [NEVER] if never else []
            if comparison == "not_yet":
                others += [other for other in cohorts if other != start and other > max(time, base) + anticipation]
            cells.append(Cell(start, time, base, tuple(others), anticipation))
    return cells
