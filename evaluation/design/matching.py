"""Matching: who is compared with whom, as a long table of pairs from which everything else is derived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from evaluation.design.assignment import match_fully, pair_optimally
from evaluation.design.balance import effective_sample_size
from evaluation.design.covariates import numeric_columns, treatment_indicator
from evaluation.design.entropy import entropy_weights
from evaluation.design.measure import Measure, measure
from evaluation.design.nearest import Problem, ScoreLine, Triples, choose_closest_first, choose_in_turn
from evaluation.design.nearest_covariates import CovariateSpace
from evaluation.design.options import Options
from evaluation.design.pairs import (
    NO_FREE,
    NO_STRATUM,
    OUTSIDE_CALIPER,
    OUTSIDE_SUPPORT,
    reasons_of_dropped,
    strata_of,
    table_of_pairs,
    table_of_sets,
    weights_of,
)
from evaluation.design.propensity import PropensityModel
from evaluation.design.subclass import classes_of_covariates, classes_of_score
from evaluation.errors import DataError, UnidentifiedError

__all__ = ["ALL_MATCHED", "NO_FREE", "NO_STRATUM", "OUTSIDE_CALIPER", "OUTSIDE_SUPPORT", "SOME_DROPPED", "Matching", "match"]

ALL_MATCHED = "effect on the treated"
SOME_DROPPED = "effect on the treated who could be matched"
ESTIMANDS = {"ATT": (ALL_MATCHED, SOME_DROPPED), "ATC": ("effect on the comparison units", "effect on the comparison units who could be matched"),
             "ATE": ("effect on all", "effect on those who could be matched")}


@dataclass(frozen=True)
class Matching:
    """The result of matching.

    Attributes
    ----------
    pairs : DataFrame
        The only truth about who is compared with whom: one row per set and unit, with ``set_id`` (1, 2, ... in the data's order of
        treated units), ``unit`` (row label of the data), ``treated``, ``weight`` (1 for a treated unit; comparison units of a set share
        its number of treated units), ``distance`` (from the set's treated unit, or its centre; 0 for that unit itself, missing in
        classes, which have no centre). Empty for entropy balancing, which makes no sets.
    weights : Series
        On the data's index: a unit's weights summed over its sets, 0 for units in no set. Comparison weights add up to the number of
        matched treated units. (MatchIt rescales them to the number of matched comparison units; within one arm the two differ by
        one factor.) For the estimand ATC the arms change roles; for ATE a set's weights in each arm add up to its number of units.
    dropped : Series
        Units the estimand is about that are in no set: row label to reason.
    effective_n : dict
        Kish's effective number of units by arm, keys ``treated`` and ``comparison``.
    estimand : str
        Says so when units were dropped: the estimate is then about other pupils than the cohort.
    score : Series or None
        The propensity score on its scale, where the matching used one.
    caliper : float or None
        The caliper on the score, in its units.
    model : PropensityModel or None
        The fitted score.
    calipers : dict
        Every caliper in units of its column.
    outside_preferred : Index
        Units that found nobody in their preferred stratum and were matched outside it; None when no preference was named.
    method : str
    """

    pairs: pd.DataFrame
    weights: pd.Series
    dropped: pd.Series
    effective_n: dict[str, float]
    estimand: str
    score: pd.Series | None
    caliper: float | None
    model: PropensityModel | None
    calipers: dict[str, float] = field(default_factory=dict)
    outside_preferred: pd.Index | None = None
    method: str = "nearest"

    def _repr_html_(self) -> str:
        sets, lost = self.pairs["set_id"].nunique(), len(self.dropped)
        return f"<p>{sets} matched sets, {lost} treated units without a match: {self.estimand}.</p>{self.pairs.head(10).to_html(index=False)}"


def match(data: pd.DataFrame, treatment: str, *, on: Sequence[str], exact: Sequence[str] = (), method: str = "nearest",
          distance: str = "logit", caliper: float | Mapping[str, float] | None = None, ratio: int = 1, replace: bool = False,
          order: str | None = None, ties: str = "random", seed: int = 0, reuse_cap: int | None = None, prefer: Sequence[str] = (),
          distance_on: Sequence[str] = (), caliper_unit: str = "sd", common_support: str | None = None, estimand: str = "ATT",
          subclasses: int = 6, coarsen: Mapping[str, Any] | None = None) -> Matching:
    """Match treated to comparison units.

    By default nearest-neighbour matching on the propensity score [Rosenbaum and Rubin 1985; Stuart 2010], greedy in the given order,
    inside exact strata. The score is fitted once on all rows; each treated unit then takes the nearest comparison unit that is free.
    With ``ratio`` k the treated units take their first comparison in turn, then their second, and so on, so that nobody's second
    comparison costs another its first.

    Parameters
    ----------
    data : DataFrame
        One row a unit; the index labels units and must be unique.
    treatment : str
        0/1 column.
    on : sequence of str
        Covariates of the score, of the distance, of the sets (``cem``, ``exact``) or to be balanced (``entropy``).
    exact : sequence of str
        Columns on which a set's units are equal.
    method : {"nearest", "optimal", "full", "subclass", "cem", "exact", "entropy"}
        Greedy pairs; pairs of least total distance [Rosenbaum 1989]; sets of one to many of least total distance [Hansen 2004]; classes of
        the score; coarsened exact matching [Iacus, King and Porro 2012]; equal covariates; entropy balancing [Hainmueller 2012].
    distance, caliper, ratio, replace, order, ties, seed
        Of pairs: nearness, its limit in standard deviations, comparison units for each treated one, whether these may serve again, who
        chooses first, and how ties are broken.
    reuse_cap, prefer, distance_on, caliper_unit, common_support, estimand, subclasses, coarsen
        All options with their meanings: :class:`evaluation.design.options.Options`.

    Returns
    -------
    Matching

    Raises
    ------
    ParameterError
        An option that does not exist, with those that do; one that the method does not use.
    DataError, UnidentifiedError
        As :func:`evaluation.design.propensity.propensity_score`; labels that repeat, an exact column that is absent or has missing
        values, or not a single pair.
    """
    asked = Options(method=method, exact=exact, distance=distance, distance_on=distance_on, caliper=caliper, caliper_unit=caliper_unit, ratio=ratio,
                    replace=replace, reuse_cap=reuse_cap, order=order, ties=ties, seed=seed, prefer=prefer, common_support=common_support,
                    estimand=estimand, subclasses=subclasses, coarsen=coarsen).checked()  # fmt: skip
    if not data.index.is_unique:
        raise DataError("row labels repeat", where="data", mend="give each unit its own index label")
    treated = treatment_indicator(data, treatment)
    for arm, inside in (("treated", treated), ("comparison", ~treated)):
        if not inside.any():
            raise UnidentifiedError(f"there is no {arm} unit among {len(data)} rows", where=f"column `{treatment}`",
                                    mend="see the flow table for where the arm was lost")
    if method == "entropy":
        return _balanced(data, treated, on)
    if method in ("cem", "exact"):
        own = classes_of_covariates(data, on, coarsen if method == "cem" else dict.fromkeys(on, "exact"), treated)
        return _from_sets(data, treated, own, asked, None)
    return _by_distance(data, treated, asked, measure(data, treatment, treated, on, asked))


def _by_distance(data: pd.DataFrame, treated: np.ndarray, asked: Options, measured: Measure) -> Matching:
    """The methods that need a score or a distance."""
    strata = strata_of(data, asked.exact)
    if asked.method == "subclass":
        inside = measured.inside
        leading = {"ATT": treated, "ATC": ~treated, "ATE": np.ones(len(data), dtype=bool)}[asked.estimand]
        own = np.full(len(data), -1)
        own[inside] = classes_of_score(measured.score[inside], leading[inside], treated[inside], asked.subclasses)
        return _from_sets(data, treated, own, asked, measured)
    problem = _problem(data, treated, strata, measured, asked)
    if asked.method == "full":
        own, gaps = match_fully(problem)
        return _from_sets(data, treated, own, asked, measured, gaps)
    if asked.method == "optimal":
        return _from_pairs(data, treated, problem, pair_optimally(problem, asked.ratio), asked, measured, None)
    triples, outside = _nearest(data, problem, asked)
    return _from_pairs(data, treated, problem, triples, asked, measured, outside)


def _problem(data: pd.DataFrame, treated: np.ndarray, strata: np.ndarray, measured: Measure, asked: Options) -> Problem:
    seeking = ~treated if asked.estimand == "ATC" else treated
    rank, coin = _tie_rank(data.index, asked.ties, asked.seed)
    return Problem(seekers=seeking & measured.inside, pool=~seeking & measured.inside, group=strata, rank=rank, coin=coin, score=measured.score,
                   points=measured.points, width=measured.width, limits=measured.limits)


def _nearest(data: pd.DataFrame, problem: Problem, asked: Options) -> tuple[Triples, pd.Index | None]:
    """Greedy pairs, first within the preferred strata if there are any; and who was matched outside them."""
    queue = _queue(problem, asked.queue)
    if not asked.prefer:
        return _choose(problem, queue, asked, {}), None
    served: dict[int, int] = {}
    narrow = replace(problem, group=strata_of(data, [*asked.exact, *(c for c in asked.prefer if c not in asked.exact)], where="prefer"))
    first = _choose(narrow, queue, asked, served)
    left = queue[~np.isin(queue, first[0])]
    used_up = [unit for unit, times in served.items() if asked.capacity is not None and times >= asked.capacity]
    pool = problem.pool.copy()
    pool[used_up] = False
    second = _choose(replace(problem, pool=pool), left, asked, served)
    triples = tuple(np.concatenate(column) for column in zip(first, second, strict=True))
    return triples, data.index.take(np.unique(second[0]))


def _choose(problem: Problem, queue: np.ndarray, asked: Options, served: dict[int, int]) -> Triples:
    if not len(queue) or not problem.pool.any():
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)
    finder = CovariateSpace(problem) if asked.by_covariates else ScoreLine(problem)
    choose = choose_closest_first if asked.queue == "closest" else choose_in_turn
    return choose(finder, queue, ratio=asked.ratio, capacity=asked.capacity, served=served)


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


def _queue(problem: Problem, order: str) -> np.ndarray:
    """Rows of the seekers in the order in which they choose."""
    rows = np.flatnonzero(problem.seekers)
    if order == "closest" and problem.coin is not None:
        return rows[np.argsort(problem.rank[rows])]
    if order in ("data", "closest"):
        return rows
    first = -problem.score[rows] if order == "largest" else problem.score[rows]
    return rows[np.lexsort((problem.rank[rows], first))]


def _from_pairs(data: pd.DataFrame, treated: np.ndarray, problem: Problem, triples: Triples, asked: Options, measured: Measure,
                outside: pd.Index | None) -> Matching:
    takers, taken, gaps = triples
    matched = np.zeros(len(data), dtype=bool)
    matched[takers] = True
    return _result(data, treated, table_of_pairs(data.index, treated, takers, taken, gaps), matched, problem.group, asked, measured, outside)


def _from_sets(data: pd.DataFrame, treated: np.ndarray, own: np.ndarray, asked: Options, measured: Measure | None,
               gaps: np.ndarray | None = None) -> Matching:
    gaps = np.full(len(data), np.nan) if gaps is None else gaps
    # Sets of covariates are their own strata: who is in none has no comparison unit there.
    group = strata_of(data, asked.exact) if measured is not None else np.where(own >= 0, own, own.max() + 1)
    return _result(data, treated, table_of_sets(data.index, treated, own, gaps, asked.estimand), own >= 0, group, asked, measured, None)


def _result(data: pd.DataFrame, treated: np.ndarray, pairs: pd.DataFrame, matched: np.ndarray, group: np.ndarray, asked: Options,
            measured: Measure | None, outside: pd.Index | None) -> Matching:
    if not len(pairs):
        raise UnidentifiedError("not one treated unit found a comparison unit", where="match",
                                mend="widen the caliper, or match exactly on fewer columns")
    about = {"ATT": treated, "ATC": ~treated, "ATE": np.ones(len(data), dtype=bool)}[asked.estimand]
    inside = np.ones(len(data), dtype=bool) if measured is None else measured.inside
    pool = (~about if asked.estimand != "ATE" else about) & inside & (matched if measured is None else True)
    dropped = reasons_of_dropped(data.index, about, inside, matched, group, pool, asked.caliper is not None)
    weights = weights_of(pairs, data.index)
    return Matching(
        pairs=pairs, weights=weights, dropped=dropped, effective_n=_effective(weights.to_numpy(), treated),
        estimand=ESTIMANDS[asked.estimand][int(len(dropped) > 0)], method=asked.method, outside_preferred=outside,
        score=None if measured is None or measured.score is None else pd.Series(measured.score, index=data.index, name=asked.score_name),
        caliper=None if measured is None else measured.width, model=None if measured is None else measured.model,
        calipers={} if measured is None else measured.calipers)  # fmt: skip


def _effective(weights: np.ndarray, treated: np.ndarray) -> dict[str, float]:
    return {"treated": effective_sample_size(weights[treated]), "comparison": effective_sample_size(weights[~treated])}


def _balanced(data: pd.DataFrame, treated: np.ndarray, on: Sequence[str]) -> Matching:
    weights = pd.Series(entropy_weights(numeric_columns(data, on, drop_first=True), treated), index=data.index, name="weight")
    empty = table_of_pairs(data.index, treated, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
    return Matching(pairs=empty, weights=weights, dropped=pd.Series([], index=data.index[:0], name="reason", dtype="str"),
                    effective_n=_effective(weights.to_numpy(), treated), estimand=ALL_MATCHED, score=None, caliper=None, model=None, method="entropy")
