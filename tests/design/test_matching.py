"""Matching: agreement with MatchIt, what every matching keeps to, ties, options and refusals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.design import match
from evaluation.design.matching import ALL_MATCHED, NO_FREE, NO_STRATUM, OUTSIDE_CALIPER, SOME_DROPPED
from evaluation.design.propensity import propensity_score
from evaluation.errors import DataError, EvaluationError, ParameterError, UnidentifiedError

REFERENCE = Path(__file__).parents[1] / "reference"
ON = ["prior_absence", "idaci", "year_group", "sex", "fsm", "sen"]
SCORE_TOLERANCE = 1e-8  # R stops its logit when the deviance changes by less than 1e-8 of itself
RUNS = {
    "nn_largest": {}, "nn_data": {"order": "data"}, "nn_smallest": {"order": "smallest"}, "nn_caliper": {"caliper": 0.2},
    "nn_caliper_logit": {"caliper": 0.2, "distance": "logit"}, "nn_logit": {"distance": "logit"}, "nn_exact": {"exact": ["fsm", "sex"]},
    "nn_exact_school": {"exact": ["school_id"]}, "nn_exact_caliper": {"exact": ["fsm", "sex"], "caliper": 0.1}, "nn_ratio2": {"ratio": 2},
    "nn_ratio2_caliper": {"ratio": 2, "caliper": 0.1}, "nn_replace": {"replace": True},
    "nn_replace_ratio3": {"replace": True, "ratio": 3, "caliper": 0.2},
}


@pytest.fixture(scope="module")
def pupils() -> pd.DataFrame:
    data = pd.read_csv(REFERENCE / "data" / "cohort.csv", index_col="pupil_id")
    return data.assign(year_group=data["year_group"].astype("category"), sen=data["sen"].astype("category"))


def pair_set(matching) -> set[tuple]:
    heads = matching.pairs.loc[matching.pairs["treated"]].set_index("set_id")["unit"]
    taken = matching.pairs.loc[~matching.pairs["treated"]]
    return set(zip(taken["set_id"].map(heads), taken["unit"], strict=True))


def tiny(treated, score, **columns) -> pd.DataFrame:
    return pd.DataFrame({"treated": treated, "score": np.array(score, dtype=float), **columns})


@pytest.mark.parametrize("run", RUNS)
def test_pairs_are_those_of_matchit(pupils, run):
    expected = pd.read_csv(REFERENCE / "results" / "match_pairs.csv").query("run == @run")
    summary = pd.read_csv(REFERENCE / "results" / "match_summary.csv", index_col="run").loc[run]
    result = match(pupils, "treated", on=ON, ties="order", **{"distance": "propensity", **RUNS[run]})
    assert pair_set(result) == set(zip(expected["unit"], expected["match"], strict=True))
    assert result.effective_n["comparison"] == pytest.approx(summary["ess_control"], abs=1e-9)
    assert len(result.dropped) == summary["n_treated"] - summary["matched_treated"]
    if result.caliper is not None:
        assert result.caliper == pytest.approx(summary["caliper_used"], rel=SCORE_TOLERANCE)


def test_scores_are_those_of_r(pupils):
    expected = pd.read_csv(REFERENCE / "results" / "match_ps.csv", index_col="pupil_id")
    model = propensity_score(pupils, "treated", ON)
    np.testing.assert_allclose(model.probability, expected["ps"], atol=SCORE_TOLERANCE)
    np.testing.assert_allclose(model.logit, expected["logit"], atol=SCORE_TOLERANCE)


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


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(30, 120), ratio=st.integers(1, 3), replace=st.booleans(),
       caliper=st.sampled_from([None, 0.05, 0.5]), order=st.sampled_from(["largest", "smallest", "data"]), distance=st.sampled_from(["logit", "propensity"]))
def test_every_pair_keeps_every_declared_constraint(seed, n, ratio, replace, caliper, order, distance):
    draw = np.random.default_rng(seed)
    data = pd.DataFrame({"x": draw.integers(0, 6, n).astype(float), "z": draw.normal(size=n).round(1), "g": draw.integers(0, 4, n)})
    data["treated"] = (draw.random(n) < 1 / (1 + np.exp(1 - 0.2 * data["x"]))).astype(int)
    try:
        result = match(data, "treated", on=["x", "z"], exact=["g"], caliper=caliper, ratio=ratio, replace=replace, order=order, distance=distance, seed=seed)
    except UnidentifiedError:
        return
    pairs = result.pairs.join(data[["g", "treated"]].rename(columns={"treated": "given"}), on="unit")
    sets = pairs.groupby("set_id")
    assert (pairs["treated"] == pairs["given"].eq(1)).all()
    assert sets["treated"].sum().eq(1).all() and sets.size().between(2, ratio + 1).all()
    assert sets["g"].nunique().eq(1).all()
    taken = pairs.loc[~pairs["treated"], "unit"]
    assert replace or taken.is_unique
    assert not pairs.duplicated(["set_id", "unit"]).any()
    if caliper is not None:
        assert pairs["distance"].max() <= result.caliper
    # Weights follow from the pairs, comparison weights add up to the matched treated, and every treated unit is accounted for.
    assert result.weights.sum() == pytest.approx(pairs["weight"].sum())
    assert result.weights[data["treated"] == 0].sum() == pytest.approx(sets.ngroups)
    heads = set(pairs.loc[pairs["treated"], "unit"])
    assert heads | set(result.dropped.index) == set(data.index[data["treated"] == 1]) and not heads & set(result.dropped.index)


def test_greedy_choice_is_the_nearest_of_all_free_units_checked_by_brute_force():
    draw = np.random.default_rng(5)
    data = pd.DataFrame({"x": draw.normal(size=150), "treated": (draw.random(150) < 0.3).astype(int), "g": draw.integers(0, 3, 150)})
    result = match(data, "treated", on=["x"], exact=["g"], order="largest", ties="order")
    score, free = result.score, set(data.index[data["treated"] == 0])
    expected = set()
    for unit in score[data["treated"] == 1].sort_values(ascending=False, kind="stable").index:
        candidates = [u for u in free if data["g"][u] == data["g"][unit]]
        if candidates:
            best = min(candidates, key=lambda u: abs(score[u] - score[unit]))
            expected.add((unit, best))
            free.remove(best)
    assert pair_set(result) == expected


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


def test_data_are_not_changed(pupils):
    before = pupils.copy(deep=True)
    match(pupils, "treated", on=ON, exact=["fsm"], seed=3)
    pd.testing.assert_frame_equal(pupils, before)


@pytest.mark.parametrize(("option", "value", "listed"), [
    ("method", "optimal", "nearest"), ("distance", "mahalanobis", "propensity, logit"), ("order", "closest", "largest, smallest, data"),
    ("ties", "first", "random, order"), ("caliper", -1.0, "positive number"), ("caliper", {"score": 0.1}, "positive number"), ("ratio", 0, "at least 1"),
])
def test_options_that_do_not_exist_are_refused_with_those_that_do(option, value, listed):
    with pytest.raises(ParameterError, match=listed):
        match(tiny([1, 0, 0], [1.0, 2.0, 3.0]), "treated", on=["score"], **{option: value})


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
