"""From chosen partners to the long pair table, the one truth from which weights and counts derive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from evaluation.errors import DataError

NO_STRATUM = "no comparison unit in its exact stratum"
NO_FREE = "comparison units of its exact stratum all taken"
OUTSIDE_CALIPER = "no comparison unit within the caliper"
OUTSIDE_SUPPORT = "outside the range of scores that both arms share"


def strata_of(data: pd.DataFrame, exact: Sequence[str], *, where: str = "exact") -> np.ndarray:
    """One whole number, 0 upwards, for each combination of the columns.

    Raises
    ------
    DataError
        A column is absent or has missing values.
    """
    for name in exact:
        if name not in data.columns:
            raise DataError(f"there is no column `{name}`", where=where, mend=f"columns are {', '.join(map(str, data.columns))}")
        if data[name].isna().any():
            raise DataError(f"{where} column `{name}` has {int(data[name].isna().sum())} missing value(s)", where=f"column `{name}`",
                            mend="give missing values a level of their own, or leave these rows out and count them")
    if not len(exact):
        return np.zeros(len(data), dtype=np.int64)
    return data.groupby(list(exact), sort=True, observed=True).ngroup().to_numpy(dtype=np.int64)


def table_of_pairs(labels: pd.Index, treated: np.ndarray, seekers: np.ndarray, partners: np.ndarray, gaps: np.ndarray) -> pd.DataFrame:
    """The long table from pairs: a set is a seeker with its partners, which share its weight of 1.

    Parameters
    ----------
    labels : Index, length n
        Row labels of the data.
    treated : ndarray of bool, shape (n,)
    seekers, partners, gaps : ndarray
        Row of the unit that was to be matched, row of its partner, distance: one entry a pair.

    Returns
    -------
    DataFrame
        ``set_id, unit, treated, weight, distance``, sets in the order of the seekers' rows, the seeker first.
    """
    heads, place, size = np.unique(seekers, return_inverse=True, return_counts=True)
    set_id = np.concatenate([np.arange(len(heads)), place]) + 1
    row = np.concatenate([heads, partners])
    later = np.repeat([False, True], [len(heads), len(partners)])
    weight = np.concatenate([np.ones(len(heads)), 1.0 / size[place]])
    gap = np.concatenate([np.zeros(len(heads)), gaps])
    arranged = np.lexsort((row, later, set_id))
    return pd.DataFrame({"set_id": set_id[arranged], "unit": labels.take(row[arranged]), "treated": treated[row[arranged]],
                         "weight": weight[arranged], "distance": gap[arranged]})


def table_of_sets(labels: pd.Index, treated: np.ndarray, set_of_row: np.ndarray, gaps: np.ndarray, estimand: str) -> pd.DataFrame:
    """The long table from sets that hold any number of units of both arms.

    Parameters
    ----------
    labels : Index, length n
    treated : ndarray of bool, shape (n,)
    set_of_row : ndarray of int, shape (n,)
        Any number for a set, -1 for units in none.
    gaps : ndarray of float, shape (n,)
        Distance from the set's centre; missing where a set has none.
    estimand : {"ATT", "ATC", "ATE"}
        Within a set, each arm's weights add up to its number of treated units, of comparison units, or of both.

    Returns
    -------
    DataFrame
        As :func:`table_of_pairs`; sets are numbered in the order of their first unit of the arm the estimand is about.
    """
    rows = np.flatnonzero(set_of_row >= 0)
    _, own = np.unique(set_of_row[rows], return_inverse=True)
    in_arm = treated[rows]
    sizes = {True: np.bincount(own[in_arm], minlength=own.max(initial=-1) + 1), False: np.bincount(own[~in_arm], minlength=own.max(initial=-1) + 1)}
    target = {"ATT": sizes[True], "ATC": sizes[False], "ATE": sizes[True] + sizes[False]}[estimand]
    weight = target[own] / np.where(in_arm, sizes[True][own], sizes[False][own])
    leads = in_arm if estimand != "ATC" else ~in_arm
    first = np.full(own.max(initial=-1) + 1, len(labels))
    np.minimum.at(first, own[leads], rows[leads])
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first, kind="stable")] = np.arange(1, len(first) + 1)
    arranged = np.lexsort((rows, ~leads, number[own]))
    return pd.DataFrame({"set_id": number[own][arranged], "unit": labels.take(rows[arranged]), "treated": in_arm[arranged],
                         "weight": weight[arranged].astype(float), "distance": gaps[rows][arranged]})


def weights_of(pairs: pd.DataFrame, labels: pd.Index) -> pd.Series:
    """A unit's weights summed over its sets, 0 for units in none, on the data's index."""
    return pairs.groupby("unit", sort=False)["weight"].sum().reindex(labels, fill_value=0.0).rename("weight")


def reasons_of_dropped(labels: pd.Index, asked: np.ndarray, inside: np.ndarray, matched: np.ndarray, group: np.ndarray, pool: np.ndarray,
                       limited: bool) -> pd.Series:
    """Why each unit that was to be matched is in no set.

    Parameters
    ----------
    labels : Index
    asked, inside, matched, pool : ndarray of bool, shape (n,)
        Units that were to be matched; rows inside common support; rows in a set; rows that could stand beside a unit.
    group : ndarray of int, shape (n,)
        Exact stratum.
    limited : bool
        Whether a caliper stood.

    Returns
    -------
    Series
        Row label to reason.
    """
    rows = np.flatnonzero(asked & ~matched)
    available = np.bincount(group[pool], minlength=int(group.max()) + 1)[group[rows]]
    reason = np.where(available == 0, NO_STRATUM, OUTSIDE_CALIPER if limited else NO_FREE)
    reason = np.where(inside[rows], reason, OUTSIDE_SUPPORT)
    return pd.Series(reason, index=labels.take(rows), name="reason", dtype="str")
