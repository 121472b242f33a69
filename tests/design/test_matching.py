"""Matching: agreement with MatchIt, what every matching keeps to, ties, options and refusals."""

import numpy as np
import pandas as pd
import pytest

from evaluation.design import match
from evaluation.design.matching import ALL_MATCHED, NO_FREE, NO_STRATUM, OUTSIDE_CALIPER, OUTSIDE_SUPPORT, SOME_DROPPED
from evaluation.design.nearest import Problem, ScoreLine
from evaluation.errors import DataError, EvaluationError, ParameterError, UnidentifiedError
from tests.design.matching_invariants import check_matching, pair_set


def tiny(treated, score, **columns) -> pd.DataFrame:
    return pd.DataFrame({"treated": treated, "score": np.array(score, dtype=float), **columns})


def test_by_hand_the_nearest_free_unit_is_taken():
    # On one covariate the score rises or falls with it, so nearness on the score is nearness on the covariate.
    data = tiny([1, 0, 0, 1, 0, 0, 0, 0], [5.0, 4.0, 5.9, 6.0, 9.0, 0.0, 1.0, 2.0])
    assert pair_set(match(data, "treated", on=["score"])) == {(3, 2), (0, 1)}
    reused = match(data, "treated", on=["score"], replace=True)
    assert pair_set(reused) == {(3, 2), (0, 2)}
    assert reused.weights[2] == 2.0 and reused.effective_n["comparison"] == 1.0


def test_a_second_comparison_never_costs_another_its_first():
    data = tiny([1, 1, 0, 0, 0, 0, 0], [6.0, 5.0, 5.5, 4.0, 3.0, 1.0, 0.0])
    result = match(data, "treated", on=["score"], ratio=2)
    sizes = result.pairs.groupby("set_id").size()
    assert (sizes == 3).all()
    assert (0, 2) in pair_set(result) and (1, 3) in pair_set(result)
    weights = result.pairs.loc[~result.pairs["treated"], "weight"]
    assert (weights == 0.5).all()


def test_ties_are_drawn_by_seed_and_not_by_the_order_of_rows():
    data = tiny([1, 0, 0, 0, 0, 0, 0, 0], [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 3.5])
    chosen = {next(iter(pair_set(match(data, "treated", on=["score"], seed=seed))))[1] for seed in range(60)}
    assert chosen == {1, 2, 3, 4, 5}
    shuffled = data.sample(frac=1.0, random_state=3)
    for seed in range(10):
        assert pair_set(match(data, "treated", on=["score"], seed=seed)) == pair_set(match(shuffled, "treated", on=["score"], seed=seed))


def test_equal_units_on_either_side_are_drawn_too():
    data = pd.DataFrame({"treated": [1, 0, 0, 1, 0, 0], "a": [0, 0, 0, 1, 1, 1]})
    sides = {next(u for t, u in pair_set(match(data, "treated", on=["a"], seed=seed)) if t == 0) for seed in range(40)}
    assert sides == {1, 2}
    assert {next(u for t, u in pair_set(match(data, "treated", on=["a"], seed=seed, replace=True)) if t == 0) for seed in range(40)} == {1, 2}


@pytest.mark.parametrize(("coin", "taken"), [(True, 2), (False, 0)])
def test_a_unit_halfway_between_two_takes_the_side_of_its_coin(coin, taken):
    seekers = np.array([False, True, False])
    problem = Problem(seekers=seekers, pool=~seekers, group=np.zeros(3, dtype=int), rank=np.arange(3), coin=np.array([coin] * 3), score=np.array([0.0, 1.0, 2.0]))
    assert ScoreLine(problem).nearest(1) == (taken, 1.0)


@pytest.mark.parametrize(("strata", "taken"), [("babb", 3), ("bbba", 1), ("abbb", 1), ("bbbb", 1), ("aabb", 3)])
def test_ties_by_order_take_the_unit_fewer_rows_away_and_the_left_one_if_as_many(strata, taken):
    """All scores equal, so that rows stand in file order; row 2 seeks a partner of its stratum."""
    seekers = np.array([False, False, True, False])
    problem = Problem(seekers=seekers, pool=~seekers, group=np.array([ord(s) - ord("a") for s in strata]), rank=np.arange(4), coin=None, score=np.zeros(4))
    assert ScoreLine(problem).nearest(2) == (taken, 0.0)


def test_dropped_units_have_a_reason_and_change_the_estimand():
    data = tiny([1, 0, 1, 1, 0, 1, 0, 0], [1.0, 1.1, 1.2, 3.0, 0.9, 2.0, 2.9, 9.0], g=list("aabbccdd"))
    data.loc[5, "g"] = "a"
    result = match(data, "treated", on=["score"], exact=["g"])
    assert result.dropped.to_dict() == {2: NO_STRATUM, 3: NO_STRATUM, 5: NO_FREE}
    assert result.estimand == SOME_DROPPED
    wide = tiny([1, 1, 0, 0, 0, 0], [1.0, 20.0, 1.0, 0.0, 3.0, 30.0])
    narrow = match(wide, "treated", on=["score"], caliper=0.05)
    assert narrow.dropped.to_dict() == {1: OUTSIDE_CALIPER}
    assert match(wide, "treated", on=["score"]).estimand == ALL_MATCHED


@pytest.mark.parametrize(("option", "value", "listed"), [
    ("method", "genetic", "nearest, optimal, full, subclass, cem, exact, entropy"), ("distance", "probit", "propensity, logit, mahalanobis"),
    ("order", "random", "largest, smallest, data, closest"), ("ties", "first", "random, order"), ("caliper", -1.0, "positive number"),
    ("caliper", {"score": 0.0}, "positive number"), ("caliper", {"propensity": 0.1}, "cannot be kept"), ("ratio", 0, "at least 1"), ("ratio", 1.5, "at least 1"),
    ("reuse_cap", 2, "replace=True"), ("estimand", "ATE", "no effect on all"), ("caliper_unit", "iqr", "sd, absolute"), ("common_support", "all", "treated, comparison"),
    ("distance_on", ["score"], "distance over covariates"), ("subclasses", 3, "does not use"), ("coarsen", {"score": 2}, "does not use"),
])  # fmt: skip
def test_options_that_do_not_exist_are_refused_with_those_that_do(option, value, listed):
    with pytest.raises(ParameterError, match=listed):
        match(tiny([1, 0, 0, 1], [1.0, 2.0, 3.0, 2.5]), "treated", on=["score"], **{option: value})


@pytest.mark.parametrize(("options", "said"), [
    ({"method": "cem", "caliper": 0.2}, "does not use `caliper`"), ({"method": "entropy", "exact": ["score"]}, "does not use `exact`"),
    ({"method": "full", "ratio": 2}, "does not use `ratio`"), ({"method": "optimal", "replace": True}, "does not use `replace`"),
    ({"method": "optimal", "prefer": ["score"]}, "does not use `prefer`"), ({"distance": "mahalanobis", "order": "largest"}, "needs a propensity score"),
    ({"distance": "mahalanobis", "caliper": 0.2}, "cannot be kept"), ({"distance": "mahalanobis", "common_support": "both"}, "range of a propensity score"),
    ({"method": "subclass", "distance": "mahalanobis"}, "classes are of a score"), ({"method": "cem", "coarsen": {"other": 2}}, "not among the covariates"),
    ({"method": "cem", "coarsen": {"score": "wide"}}, "cannot be read"), ({"method": "cem", "coarsen": {"score": [["a"]]}}, "cannot be read"),
])  # fmt: skip
def test_options_that_a_method_does_not_use_are_refused_rather_than_ignored(options, said):
    with pytest.raises(ParameterError, match=said):
        match(tiny([1, 0, 0, 1], [1.0, 2.0, 3.0, 2.5]), "treated", on=["score"], **options)


@pytest.mark.parametrize(("change", "said"), [
    ({"score": [1.0, np.nan, 2.0, 3.0, 4.0, 2.5]}, "missing"), ({"score": [1.0, np.inf, 2.0, 3.0, 4.0, 2.5]}, "infinite"),
    ({"score": [1.0] * 6}, "do not vary"), ({"twice": [2.0, 4.0, 4.0, 6.0, 8.0, 5.0]}, "combination"),
    ({"score": [9.0, 8.0, 2.0, 3.0, 4.0, 2.5]}, "separate"), ({"treated": [0] * 6}, "no treated unit"), ({"treated": [1] * 6}, "no comparison unit"),
    ({"treated": [0, 1, 2, 0, 1, 0]}, "only 0 and 1"),
])
def test_a_score_that_does_not_exist_is_refused(change, said):
    data = tiny([1, 0, 1, 0, 1, 0], [1.0, 2.0, 2.0, 3.0, 4.0, 2.5])
    if said == "separate":
        data["treated"] = [1, 1, 0, 0, 0, 0]
    data = data.assign(**change)
    with pytest.raises(EvaluationError, match=said):
        match(data, "treated", on=[c for c in data.columns if c != "treated"])


def test_bad_tables_are_refused():
    data = tiny([1, 0, 1, 0], [1.0, 2.0, 2.0, 3.0], g=["a", None, "b", "b"])
    data["score"] = [2.0, 1.0, 2.0, 3.0]
    with pytest.raises(DataError, match="missing value"):
        match(data, "treated", on=["score"], exact=["g"])
    with pytest.raises(DataError, match="no column `absent`"):
        match(data, "treated", on=["absent"])
    with pytest.raises(DataError, match="labels repeat"):
        match(data.set_axis([1, 1, 2, 3]), "treated", on=["score"])
    with pytest.raises(UnidentifiedError, match="not one treated unit"):
        match(data.assign(g=["a", "b", "a", "b"]), "treated", on=["score"], exact=["g"])


def overlapping(n: int = 40) -> pd.DataFrame:
    draw = np.random.default_rng(2)
    return pd.DataFrame({"treated": np.arange(n) % 4 == 0, "score": draw.normal(size=n), "z": draw.normal(size=n)}).astype({"treated": int})


@pytest.mark.parametrize("method", ["nearest", "optimal", "full"])
def test_a_caliper_that_drops_everyone_is_refused(method):
    with pytest.raises(UnidentifiedError, match="not one treated unit"):
        match(overlapping(), "treated", on=["score", "z"], method=method, caliper=1e-9)


@pytest.mark.parametrize("method", ["nearest", "optimal"])
def test_more_treated_than_comparison_units_leaves_some_unmatched_and_says_so(method):
    data = overlapping().assign(treated=lambda f: 1 - f["treated"])
    result = match(data, "treated", on=["score", "z"], method=method)
    assert len(result.dropped) == 20 and set(result.dropped) == {NO_FREE} and result.estimand == SOME_DROPPED
    check_matching(result, data, "treated", ratio=1)
    reused = match(data, "treated", on=["score", "z"], replace=True)
    assert not len(reused.dropped)
    full = match(data, "treated", on=["score", "z"], method="full")
    assert not len(full.dropped) and full.estimand == ALL_MATCHED


@pytest.mark.parametrize("method", ["nearest", "optimal", "full", "cem", "exact", "entropy", "subclass"])
@pytest.mark.parametrize(("rows", "said"), [([0], "comparison unit"), ([1], "treated unit")])
def test_one_pupil_is_refused(method, rows, said):
    with pytest.raises(UnidentifiedError, match=said):
        match(overlapping().loc[rows], "treated", on=["score"], method=method)


@pytest.mark.parametrize("method", ["optimal", "full", "cem", "exact", "entropy", "subclass"])
@pytest.mark.parametrize(("change", "said"), [({"score": np.nan}, "missing"), ({"score": np.inf}, "infinite"), ({"treated": 2}, "only 0 and 1")])
def test_bad_values_are_refused_by_every_method(method, change, said):
    data = overlapping().astype({"treated": float})
    for column, value in change.items():
        data.loc[3, column] = value
    if method == "exact" and said == "infinite":
        data["score"] = data["score"].round()  # equal infinite values are equal: nothing is measured
        return
    with pytest.raises(DataError, match=said):
        match(data, "treated", on=["score"], method=method)


@pytest.mark.parametrize("method", ["nearest", "optimal", "full", "cem", "entropy", "subclass"])
def test_a_repeated_index_is_refused_by_every_method(method):
    with pytest.raises(DataError, match="labels repeat"):
        match(overlapping().set_axis([1] * 40), "treated", on=["score"], method=method)


def test_a_mahalanobis_distance_of_constants_is_refused_and_of_collinear_columns_is_not():
    with pytest.raises(UnidentifiedError, match="no covariate of the distance varies"):
        match(overlapping().assign(score=1.0), "treated", on=["score"], distance="mahalanobis")
    data = overlapping().assign(sum=lambda f: f["score"] + f["z"])
    one, two = (match(data, "treated", on=on, distance="mahalanobis") for on in (["score", "z"], ["score", "z", "sum"]))
    assert pair_set(one) == pair_set(two)  # a generalised inverse: a combination adds no direction


def test_common_support_is_counted_apart():
    data = tiny([1, 1, 1, 0, 0, 0, 0], [9.0, 2.0, 1.5, 1.0, 2.1, 2.2, 0.0])
    result = match(data, "treated", on=["score"], common_support="treated")
    assert result.dropped.to_dict() == {0: OUTSIDE_SUPPORT}


def test_classes_without_an_arm_are_refused():
    with pytest.raises(UnidentifiedError, match="classes of the score have no"):
        match(overlapping(), "treated", on=["score", "z"], method="subclass", subclasses=10)


def test_optimal_pairs_make_every_match_that_a_caliper_allows():
    # Greedy takes 2 for the first treated unit and leaves the second without; the other way round both are matched.
    data = tiny([1, 1, 0, 0, 0], [3.0, 2.0, 2.6, 3.9, -5.0])
    assert len(match(data, "treated", on=["score"], order="largest", caliper={"score": 1.0}, caliper_unit="absolute", method="nearest").dropped) == 1
    assert not len(match(data, "treated", on=["score"], caliper={"score": 1.0}, caliper_unit="absolute", method="optimal").dropped)


def test_optimal_pairs_give_every_unit_a_first_partner_before_anyone_gets_a_second():
    # Two pairs are possible either way; the first unit with both of its partners is the cheaper one and leaves the second unit without.
    data = tiny([1, 1, 0, 0, 0], [3.0, 2.0, 2.6, 3.9, -5.0])
    result = match(data, "treated", on=["score"], caliper={"score": 1.0}, caliper_unit="absolute", method="optimal", ratio=2)
    assert pair_set(result) == {(0, 3), (1, 2)}


def test_a_table_too_large_for_optimal_matching_is_refused(monkeypatch):
    monkeypatch.setattr("evaluation.design.assignment.MOST_CELLS", 100)
    with pytest.raises(ParameterError, match="too many for optimal matching"):
        match(overlapping(), "treated", on=["score", "z"], method="full")
