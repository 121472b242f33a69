"""The panel as pupils by half-terms: arrays on which windows are sums and rules are comparisons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.windows import HALF_TERMS_A_YEAR
from evaluation.errors import DataError

LAST_YEAR_GROUP = 11

ELIGIBILITY_RULES = {"persistent_absence": 10, "severe_absence": 2}
"""Sessions absent times this number, at least the possible sessions: 10% or more, 50% or more, in whole numbers."""

BANDS = {"persistent_absence": ("persistent_absence", None), "severe_absence": ("severe_absence", None),
         "persistent_not_severe": ("persistent_absence", "severe_absence")}
"""By eligibility rule: the rule to meet, and the one not to meet."""


@dataclass(frozen=True)
class Grid:
    """Counts of every pupil (rows) and half-term (columns; column h is half-term h, column 0 is empty).

    Attributes
    ----------
    pupils : Index
        Row labels, sorted.
    absent, possible : ndarray of int, shape (pupils, half-terms + 1)
        Harmonised sessions; 0 where the pupil was not on roll and in Year 11's last half-term.
    school : ndarray of int
        Row in the list of schools; -1 where not on roll.
    year_group : ndarray of int
        -1 where not on roll.
    year : list of str
        Academic year by half-term.
    """

    pupils: pd.Index
    absent: np.ndarray
    possible: np.ndarray
    school: np.ndarray
    year_group: np.ndarray
    year: list[str]

    @property
    def last_half_term(self) -> int:
        """The last half-term of the panel."""
        return self.absent.shape[1] - 1

    def sums(self, half_term: int, event_times: tuple[int, ...], keep: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Absent and possible sessions over event times around a half-term; ``keep`` has a column an event time."""
        columns = [half_term + e for e in event_times]
        inside = [0 <= c <= self.last_half_term for c in columns]
        columns = [c if ok else 0 for c, ok in zip(columns, inside, strict=True)]  # column 0 holds nothing
        absent, possible = self.absent[:, columns], self.possible[:, columns]
        if keep is not None:
            absent, possible = absent * keep, possible * keep
        return absent.sum(axis=1), possible.sum(axis=1)

    def meets(self, rule: str, half_term: int, event_times: tuple[int, ...]) -> np.ndarray:
        """Whether each pupil meets an absence rule over a window that ends in a half-term and held possible sessions."""
        absent, possible = self.sums(half_term, event_times)
        meets, but_not = BANDS[rule]
        found = (possible > 0) & (ELIGIBILITY_RULES[meets] * absent >= possible)
        return found if but_not is None else found & (ELIGIBILITY_RULES[but_not] * absent < possible)


def panel_grid(panel: pd.DataFrame, schools: pd.DataFrame) -> Grid:
    """Lay the panel out.

    Parameters
    ----------
    panel : DataFrame
        Table ``panel``; one row a pupil and half-term.
    schools : DataFrame
        Table ``school_list``.

    Raises
    ------
    DataError
        The panel is empty, repeats a pupil's half-term, or names a school that is not in the list.
    """
    if panel.empty:
        raise DataError("the panel has no rows", where="table `panel`", mend="see the intake counts: every row may have been rejected")
    repeated = panel.duplicated(["pupil_id", "half_term"])
    if repeated.any():
        row = panel.loc[repeated].iloc[0]
        raise DataError(f"half-term {row['half_term']} of a pupil stands twice", where="table `panel`", mend="keep one enrolment a pupil and half-term")
    pupils = pd.Index(np.sort(panel["pupil_id"].unique()), name="pupil_id")
    place = pd.Series(np.arange(len(schools)), index=schools["school_id"])
    school = panel["school_id"].map(place)
    if school.isna().any():
        raise DataError(f"school {panel.loc[school.isna(), 'school_id'].iloc[0]!r} is not in the list of schools", where="table `panel`, column `school_id`",
                        mend="add the school to the schools extract")
    row, column = _places(pupils, panel)
    shape = (len(pupils), int(column.max()) + 1)
    group, ended = panel["year_group"].to_numpy(dtype=int), _ended(panel)

    def lay(values: np.ndarray, empty: int) -> np.ndarray:
        grid = np.full(shape, empty, dtype=np.int64)
        grid[row, column] = values
        return grid

    years = panel.drop_duplicates("half_term").set_index("half_term")["academic_year"]
    return Grid(
        pupils=pupils,
        absent=lay(np.where(ended, 0, panel["harmonised_absent"].to_numpy(dtype=int)), 0),
        possible=lay(np.where(ended, 0, panel["harmonised_possible"].to_numpy(dtype=int)), 0),
        school=lay(school.to_numpy(dtype=int), -1), year_group=lay(group, -1),
        year=[str(years.get(h, "")) for h in range(shape[1])])


def lay_out(grid: Grid, panel: pd.DataFrame, columns: list[str]) -> dict[str, np.ndarray]:
    """Further counts of the panel on the grid's pupils and half-terms; 0 where not on roll and in Year 11's last half-term."""
    place, ended = _places(grid.pupils, panel), _ended(panel)
    laid = {}
    for name in columns:
        laid[name] = np.zeros(grid.absent.shape, dtype=np.int64)
        laid[name][place] = np.where(ended, 0, panel[name].to_numpy(dtype=int))
    return laid


def _places(pupils: pd.Index, panel: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return pupils.get_indexer(panel["pupil_id"]), panel["half_term"].to_numpy(dtype=int)


def _ended(panel: pd.DataFrame) -> np.ndarray:
    """Whether a row is the last half-term of Year 11, in which these pupils are at their examinations or gone."""
    return (panel["year_group"].to_numpy(dtype=int) == LAST_YEAR_GROUP) & (panel["half_term"].to_numpy(dtype=int) % HALF_TERMS_A_YEAR == 0)
