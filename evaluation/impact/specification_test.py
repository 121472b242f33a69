"""The joint test of a specification curve: could so many branches point one way if mentoring did nothing?

Branches share pupils and schools, so their p-values cannot be counted. The test deals the mentors again among the schools of
each area, all branches at once and with their matches held fixed, and asks how often the whole curve lies as far from zero
[Simonsohn, Simmons and Nelson 2020; Young 2019]. Or, on demand, every branch is matched anew under every assignment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.alternatives import Alternative, alternative_of, rematched_weights
from evaluation.errors import UnidentifiedError
from evaluation.impact.change import ChangeEstimate, estimate_change
from evaluation.impact.specification_curve import SESSIONS, Branch, SpecificationCurve
from evaluation.inference.assignments import assignments
from evaluation.protocol.trial import MatchingSection

MEDIAN, MEAN_T = "median effect", "mean t"
NOTHING_LEFT = 1e-12
ROUNDING = 1e-9
STEP = 250
"""Assignments worked through at a time."""

COLUMNS = ["statistic", "value", "p_value", "floor", "branches", "left_out", "assignments", "enumerated", "schools_treated", "schools", "method"]
HELD = "matches held, school labels dealt again within areas"
REMATCHED = "matched anew under every assignment"


@dataclass(frozen=True)
class JointTest:
    """Joint tests of a curve.

    Attributes
    ----------
    frame : DataFrame
        Table ``specification_tests``: ``statistic`` ("median effect" of the branches in points, "mean t"), ``value, p_value`` (two-sided), ``floor``
        (the smallest possible), ``branches, left_out`` (branches of designs in which labels cannot be dealt within areas), ``assignments`` used,
        ``enumerated, schools_treated, schools, method``.
    """

    frame: pd.DataFrame


@dataclass(frozen=True)
class _Sums:
    """One branch by school and cell: totals of weight, and of weight times what the cells leave of the outcome (higher is better)."""

    school: np.ndarray
    cell: np.ndarray
    weight: np.ndarray
    outcome: np.ndarray
    by_cell: np.ndarray


def joint_test(changes: Sequence[ChangeEstimate], *, draws: int, seed: int, left_out: int = 0,
               rematch: Callable[[int, pd.Series], float] | None = None) -> JointTest:
    """Test all branches together.

    Parameters
    ----------
    changes : sequence of ChangeEstimate
        Branches within areas: their rows hold ``school_id, area_code, cell, treated, weight``. Each school is treated or not, the same in all branches.
    draws : int
        Assignments drawn beside the observed one; all are used where there are no more.
    seed : int
    left_out : int
        Branches that are not among ``changes``, to be stated.
    rematch : callable, optional
        Given a branch's number and a 0/1 Series by school, the branch's estimate after matching anew. The "mean t" is then not made.

    Returns
    -------
    JointTest
        Exact if mentors had been dealt to schools at random within areas and matches did not depend on them; an approximation otherwise.

    Raises
    ------
    UnidentifiedError
        No branch, a school that is treated in one branch and not in another, or no area with schools of both kinds.
    """
    if not changes:
        raise UnidentifiedError("no branch within areas could be estimated, so there is nothing to test together", where="joint_test",
                                mend="register a design within areas, or report the curve without its test")
    schools = _schools(changes)
    treated, blocks = schools["treated"].to_numpy(dtype=bool), pd.factorize(schools["area_code"])[0]
    counts, given = np.bincount(blocks), np.bincount(blocks, treated)
    if not ((given > 0) & (given < counts)).any():
        raise UnidentifiedError("no area has schools of both kinds, so no label can be dealt again", where="joint_test", mend="report the curve without its test")
    dealt = assignments(treated, blocks, draws, seed, np.arange(len(treated)))
    observed, drawn = _effects(changes, schools, treated[None]), _effects(changes, schools, dealt.given)
    if rematch is not None:
        estimates = np.array([[rematch(b, pd.Series(row.astype(int), index=schools.index)) for b in range(len(changes))] for row in dealt.given])
        drawn = (estimates, np.full_like(estimates, np.nan))
    lines = []
    for statistic, place, combine in ((MEDIAN, 0, np.median), (MEAN_T, 1, np.mean)):
        if rematch is not None and statistic == MEAN_T:
            continue
        value, under = combine(observed[place], axis=1)[0], np.abs(combine(drawn[place], axis=1))
        extreme = int((~(under < abs(value) * (1 - ROUNDING))).sum())  # ties and statistics that do not exist count as extreme
        p_value = extreme / len(under) if dealt.enumerated else (1 + extreme) / (1 + len(under))
        lines.append({"statistic": statistic, "value": float(value), "p_value": p_value, "floor": dealt.floor, "branches": len(changes), "left_out": left_out,
                      "assignments": len(under) + (0 if dealt.enumerated else 1), "enumerated": dealt.enumerated, "schools_treated": int(treated.sum()),
                      "schools": len(treated), "method": HELD if rematch is None else REMATCHED})  # fmt: skip
    return JointTest(pd.DataFrame(lines))


def joint_test_of(curve: SpecificationCurve, *, draws: int, seed: int, rematch: MatchingSection | None = None) -> pd.DataFrame:
    """Table ``specification_tests`` of a curve: its branches within areas.

    Without a branch within areas the table has no rows: between areas no label can be dealt again.

    Parameters
    ----------
    curve : SpecificationCurve
    draws, seed : int
    rematch : MatchingSection, optional
        On demand: every branch is matched anew under every assignment, by the rules of this section and with this seed, among the pupils that
        the branch holds (who would have been referred in other schools is not known). That takes as long as so many curves.
    """
    lines = curve.frame.set_index("branch_id")
    inside = [branch for branch in curve.branches if branch.change is not None and lines.loc[branch.branch_id, "design"] == "within_area"]
    if not inside:
        return pd.DataFrame(columns=COLUMNS)
    anew = None
    if rematch is not None:
        alternatives = [alternative_of(lines.loc[branch.branch_id]) for branch in inside]

        def anew(number: int, given: pd.Series) -> float:
            return rematched_estimate(inside[number], alternatives[number], given, rules=rematch, seed=seed)

    return joint_test([branch.change for branch in inside], draws=draws, seed=seed, left_out=len(curve.branches) - len(inside), rematch=anew).frame


def rematched_estimate(branch: Branch, alternative: Alternative, given: pd.Series, *, rules: MatchingSection, seed: int) -> float:
    """A branch's estimate after mentors are dealt to other schools and its pupils are matched anew; missing where that cannot be done.

    Parameters
    ----------
    branch : Branch
    alternative : Alternative
        How it is matched.
    given : Series
        By school, whether it is dealt mentors.
    rules : MatchingSection
    seed : int
    """
    rows = branch.change.rows.drop(columns=["weight", "cell"]).assign(treated=lambda f: f["school_id"].map(given).astype("int64"))
    try:
        weights = rematched_weights(rows, alternative, rules, seed)
        by_sessions = branch.choices["weighting"] == SESSIONS
        kept = rows.loc[weights.index].assign(weight=weights * (rows.loc[weights.index, "baseline_possible"] if by_sessions else 1.0))
        return estimate_change(kept, within_area=True, weight="weight", scale=by_sessions).estimate
    except UnidentifiedError:
        return np.nan


def _schools(changes: Sequence[ChangeEstimate]) -> pd.DataFrame:
    """Every school of any branch, sorted: ``area_code, treated``."""
    rows = pd.concat([change.rows[["school_id", "area_code", "treated"]] for change in changes], ignore_index=True).drop_duplicates()
    twice = rows.loc[rows["school_id"].duplicated(), "school_id"]
    if len(twice):
        raise UnidentifiedError(f"school {twice.iloc[0]} is in both arms or in two areas, so its label cannot be dealt", where="joint_test",
                                mend="test the branches of one design, in which a school is in one arm")
    return rows.sort_values("school_id", kind="stable").set_index("school_id")


def _effects(changes: Sequence[ChangeEstimate], schools: pd.DataFrame, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and t statistics of every branch under every assignment, each (R, branches); missing where they do not exist."""
    found = [_branch(_sums(change, schools), given) for change in changes]
    return np.column_stack([estimate for estimate, _ in found]), np.column_stack([t for _, t in found])


def _sums(change: ChangeEstimate, schools: pd.DataFrame) -> _Sums:
    rows = change.rows
    cell, school = pd.factorize(rows["cell"])[0], schools.index.get_indexer(rows["school_id"])
    weight = rows["weight"].to_numpy(dtype=float)
    outcome = change.sign * rows[change.outcome].to_numpy(dtype=float)
    by_cell = np.bincount(cell, weight)
    left = outcome - (np.bincount(cell, weight * outcome) / by_cell)[cell]
    pair, place = np.unique(school * len(by_cell) + cell, return_inverse=True)
    return _Sums(pair // len(by_cell), pair % len(by_cell), np.bincount(place, weight), np.bincount(place, weight * left), by_cell)


def _branch(sums: _Sums, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares on treated and cell effects, and its CR1 t statistic but for a constant factor, from sums by school and cell."""
    estimates, statistics = np.full(len(given), np.nan), np.full(len(given), np.nan)
    into_cells = np.zeros((given.shape[1], len(sums.by_cell)))
    np.add.at(into_cells, (sums.school, sums.cell), sums.weight)
    into_schools = (sums.school[:, None] == np.arange(given.shape[1])).astype(float)
    for start in range(0, len(given), STEP):
        dealt = given[start : start + STEP].astype(float)
        apart = dealt[:, sums.school] - (dealt @ into_cells / sums.by_cell)[:, sums.cell]
        left = (apart**2) @ sums.weight
        exists = left > NOTHING_LEFT * sums.by_cell.sum()
        estimate = np.divide(apart @ sums.outcome, left, out=np.full(len(dealt), np.nan), where=exists)
        scores = (apart * sums.outcome - estimate[:, None] * apart**2 * sums.weight) @ into_schools
        error = np.sqrt((scores**2).sum(axis=1))
        estimates[start : start + STEP] = estimate
        statistics[start : start + STEP] = np.divide(estimate * left, error, out=np.full(len(dealt), np.nan), where=exists & (error > 0))
    return estimates, statistics
