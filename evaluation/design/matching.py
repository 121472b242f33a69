"""Matching: who is compared with whom, as a long table of pairs from which everything else is derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.balance import effective_sample_size
from evaluation.design.covariates import treatment_indicator
from evaluation.design.nearest import nearest_with_replacement, nearest_without_replacement
from evaluation.design.propensity import PropensityModel, propensity_score
from evaluation.errors import DataError, ParameterError, UnidentifiedError

METHODS = ("nearest",)
DISTANCES = ("propensity", "logit")
ORDERS = ("largest", "smallest", "data")
TIES = ("random", "order")

ALL_MATCHED = "effect on the treated"
SOME_DROPPED = "effect on the treated who could be matched"

NO_STRATUM = "no comparison unit in its exact stratum"
NO_FREE = "comparison units of its exact stratum all taken"
OUTSIDE_CALIPER = "no comparison unit within the caliper"


@dataclass(frozen=True)
class Matching:
    """The result of matching.

    Attributes
    ----------
    pairs : DataFrame
        The only truth about who is compared with whom: one row per set and unit, with ``set_id`` (1, 2, ... in
        the data's order of treated units), ``unit`` (row label of the data), ``treated``, ``weight`` (1 for the
        treated unit, 1/k for each of its k comparisons), ``distance`` (absolute difference of the distance
        measure from the set's treated unit; 0 for that unit itself).
    weights : Series
        On the data's index: a unit's weights summed over its sets, 0 for units in no set. Comparison weights add
        up to the number of matched treated units. (MatchIt rescales them to the number of matched comparison
        units; within one arm the two differ by one factor.)
    dropped : Series
        Treated units in no set: row label to reason.
    effective_n : dict
        Kish's effective number of units by arm, keys ``treated`` and ``comparison``.
    estimand : str
        Says so when treated units were dropped: the estimate is then about other pupils than the cohort.
    score : Series
        The distance measure of every row.
    caliper : float or None
        The caliper in units of the distance measure.
    model : PropensityModel
        The fitted score.
    """

    pairs: pd.DataFrame
    weights: pd.Series
    dropped: pd.Series
    effective_n: dict[str, float]
    estimand: str
    score: pd.Series
    caliper: float | None
    model: PropensityModel

    def _repr_html_(self) -> str:
        sets, lost = self.pairs["set_id"].nunique(), len(self.dropped)
        return f"<p>{sets} matched sets, {lost} treated units without a match: {self.estimand}.</p>{self.pairs.head(10).to_html(index=False)}"


def match(data: pd.DataFrame, treatment: str, *, on: Sequence[str], exact: Sequence[str] = (), method: str = "nearest",
          distance: str = "logit", caliper: float | None = None, ratio: int = 1, replace: bool = False,
          order: str = "largest", ties: str = "random", seed: int = 0) -> Matching:
    """Match treated to comparison units.

    Nearest-neighbour matching on the propensity score [Rosenbaum and Rubin 1985; Stuart 2010], greedy in the
    given order, inside exact strata. The score is fitted once on all rows; each treated unit then takes the
    nearest comparison unit that is free. With ``ratio`` k the treated units take their first comparison in turn,
    then their second, and so on, so that nobody's second comparison costs another its first.

    Parameters
    ----------
    data : DataFrame
        One row a unit; the index labels units and must be unique.
    treatment : str
        0/1 column.
    on, exact : sequence of str
        Covariates of the score; columns on which a set's units are equal.
    method : {"nearest"}
    distance : {"logit", "propensity"}
        Linear predictor, or probability. The order "largest" is the same on both; a caliper is not.
    caliper : float, optional
        Largest distance allowed, in standard deviations of the distance measure over all rows (as MatchIt).
    ratio : int
        Comparison units for each treated unit; fewer are taken where no more can be had.
    replace : bool
        Whether a comparison unit may serve several treated units.
    order : {"largest", "smallest", "data"}
        Which treated unit chooses first, by the distance measure or by row.
    ties : {"random", "order"}
        Between equally near units: a seeded draw that does not depend on the order of rows when labels can be
        sorted; or MatchIt's rule, which follows the order of rows.
    seed : int
        Seed of the draw for ties.

    Returns
    -------
    Matching

    Raises
    ------
    ParameterError
        An option that does not exist, with those that do.
    DataError, UnidentifiedError
        As :func:`evaluation.design.propensity.propensity_score`; labels that repeat, an exact column that is
        absent or has missing values, or not a single pair.
    """
    _check_options(method, distance, caliper, ratio, order, ties)
    if not data.index.is_unique:
        raise DataError("row labels repeat", where="data", mend="give each unit its own index label")
    treated = treatment_indicator(data, treatment)
    model = propensity_score(data, treatment, on)
    score = model.logit if distance == "logit" else model.probability
    values = score.to_numpy()
    group = _strata(data, exact)
    width = None if caliper is None else caliper * float(np.std(values, ddof=1))
    rank, coin = _tie_rank(data.index, ties, seed)
    chooser = _queue(values, treated, rank, order)
    search = nearest_with_replacement if replace else nearest_without_replacement
    takers, taken, gaps = search(values, treated, group, rank, chooser, coin, ratio=ratio, caliper=width)
    if not len(takers):
        raise UnidentifiedError("not one treated unit found a comparison unit", where="match",
                                mend="widen the caliper, or match exactly on fewer columns")
    pairs = _pair_table(data.index, takers, taken, gaps)
    weights = pairs.groupby("unit", sort=False)["weight"].sum().reindex(data.index, fill_value=0.0).rename("weight")
    dropped = _dropped(data.index, treated, group, takers, replace, width)
    return Matching(
        pairs=pairs, weights=weights, dropped=dropped,
        effective_n={arm: effective_sample_size(weights.to_numpy()[inside]) for arm, inside in (("treated", treated), ("comparison", ~treated))},
        estimand=SOME_DROPPED if len(dropped) else ALL_MATCHED, score=score.rename(distance), caliper=width, model=model)


def _check_options(method: str, distance: str, caliper: float | None, ratio: int, order: str, ties: str) -> None:
    for name, given, known in (("method", method, METHODS), ("distance", distance, DISTANCES), ("order", order, ORDERS), ("ties", ties, TIES)):
        if given not in known:
            raise ParameterError(f"{name} {given!r} does not exist", where=name, mend=f"choose from {', '.join(known)}")
    if caliper is not None and (isinstance(caliper, (bool, dict)) or not np.isfinite(caliper) or caliper <= 0):
        raise ParameterError(f"a caliper of {caliper!r} makes no sense", where="caliper",
                             mend="give a positive number of standard deviations of the distance, or None for no caliper")
    if isinstance(ratio, bool) or not isinstance(ratio, (int, np.integer)) or ratio < 1:
        raise ParameterError(f"a ratio of {ratio!r} makes no sense", where="ratio", mend="give a whole number of at least 1")


def _strata(data: pd.DataFrame, exact: Sequence[str]) -> np.ndarray:
    """One whole number for each combination of the exact columns."""
    for name in exact:
        if name not in data.columns:
            raise DataError(f"there is no column `{name}`", where="exact", mend=f"columns are {', '.join(map(str, data.columns))}")
        if data[name].isna().any():
            raise DataError(f"exact column `{name}` has {int(data[name].isna().sum())} missing value(s)", where=f"column `{name}`",
                            mend="give missing values a level of their own, or leave these rows out and count them")
    if not len(exact):
        return np.zeros(len(data), dtype=np.int64)
    return data.groupby(list(exact), sort=True, observed=True).ngroup().to_numpy(dtype=np.int64)


def _tie_rank(labels: pd.Index, ties: str, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Each row's place among rows with equal scores, and a coin a row for equal distances on either side."""
    if ties == "order":
        return np.arange(len(labels)), None
    try:
        by_label = np.asarray(labels.argsort())
    except TypeError:  # labels of several kinds have no order; rows then keep the one they stand in
        by_label = np.arange(len(labels))
    generator = np.random.default_rng(seed)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_label] = generator.permutation(len(labels))
    coin = np.empty(len(labels), dtype=bool)
    coin[by_label] = generator.random(len(labels)) < 0.5
    return rank, coin


def _queue(values: np.ndarray, treated: np.ndarray, rank: np.ndarray, order: str) -> np.ndarray:
    """Rows of the treated units in the order in which they choose."""
    rows = np.flatnonzero(treated)
    if order == "data":
        return rows
    first = -values[rows] if order == "largest" else values[rows]
    return rows[np.lexsort((rank[rows], first))]


def _pair_table(labels: pd.Index, takers: np.ndarray, taken: np.ndarray, gaps: np.ndarray) -> pd.DataFrame:
    """The long table of sets from (treated row, comparison row, distance) triples."""
    heads, place, size = np.unique(takers, return_inverse=True, return_counts=True)
    set_id = np.concatenate([np.arange(len(heads)), place]) + 1
    row = np.concatenate([heads, taken])
    treated = np.concatenate([np.ones(len(heads), dtype=bool), np.zeros(len(taken), dtype=bool)])
    weight = np.concatenate([np.ones(len(heads)), 1.0 / size[place]])
    gap = np.concatenate([np.zeros(len(heads)), gaps])
    arranged = np.lexsort((row, ~treated, set_id))
    return pd.DataFrame({"set_id": set_id[arranged], "unit": labels.take(row[arranged]), "treated": treated[arranged],
                         "weight": weight[arranged], "distance": gap[arranged]})


def _dropped(labels: pd.Index, treated: np.ndarray, group: np.ndarray, takers: np.ndarray, replace: bool, width: float | None) -> pd.Series:
    """Why each treated unit without a set has none."""
    lost = treated.copy()
    lost[takers] = False
    rows = np.flatnonzero(lost)
    available = np.bincount(group[~treated], minlength=int(group.max()) + 1)[group[rows]]
    other = OUTSIDE_CALIPER if width is not None else NO_FREE
    reason = np.where(available == 0, NO_STRATUM, other)
    return pd.Series(reason, index=labels.take(rows), name="reason", dtype="str")
