"""Invariants of every method: constraints, weights, order of rows, labels, and the caller's data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.design import match
from evaluation.errors import UnidentifiedError
from tests.design.matching_invariants import check_matching, pair_set
from tests.design.matching_reference import ON, options_of, reference_pupils

METHODS = {
    "nearest": {}, "ratio": {"ratio": 2, "caliper": 0.2}, "closest": {"order": "closest"}, "reuse": {"replace": True, "reuse_cap": 2, "ratio": 2},
    "closest reuse": {"order": "closest", "replace": True, "reuse_cap": 2}, "free reuse": {"replace": True}, "strata": {"exact": ["fsm", "sex"], "caliper": 0.3},
    "columns": {"caliper": {"logit": 0.3, "prior_absence": 0.2}}, "mahalanobis": {"distance": "mahalanobis"},
    "within score": {"distance": "mahalanobis", "caliper": {"logit": 0.2}, "ratio": 2, "distance_on": ["prior_absence", "idaci"]},
    "mahalanobis reuse": {"distance": "scaled_euclidean", "replace": True, "reuse_cap": 3, "caliper": {"idaci": 0.5}},
    "mahalanobis closest": {"distance": "robust_mahalanobis", "order": "closest"}, "prefer": {"prefer": ["school_id"], "caliper": 0.2},
    "support": {"common_support": "both"}, "comparison": {"estimand": "ATC", "replace": True}, "optimal": {"method": "optimal", "caliper": 0.05},
    "optimal in strata": {"method": "optimal", "exact": ["school_id"], "ratio": 2}, "full": {"method": "full", "caliper": 0.2},
    "full in strata": {"method": "full", "exact": ["fsm"], "estimand": "ATE"}, "full comparison": {"method": "full", "estimand": "ATC"},
    "subclass": {"method": "subclass", "subclasses": 4}, "cem": {"method": "cem", "coarsen": {"idaci": "q3", "prior_absence": 3}},
    "exact": {"method": "exact", "on": ["sex", "fsm", "sen"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def pupils() -> pd.DataFrame:
    return reference_pupils()


def _expectations(options, result, data):
    capacity = None if options.get("method", "nearest") != "nearest" or (options.get("replace") and "reuse_cap" not in options) else options.get("reuse_cap", 1)
    capacity = 1 if options.get("method") == "optimal" else capacity
    columns = {"logit": result.score, **{name: data[name] for name in result.calipers if name in data}}
    ratio = options.get("ratio", 1) if options.get("method", "nearest") in ("nearest", "optimal") else None
    return {"exact": options.get("exact", ()), "capacity": capacity, "ratio": ratio, "estimand": options.get("estimand", "ATT"),
            "calipers": {name: (columns[name], most) for name, most in result.calipers.items()}}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("ties", ["random", "order"])
def test_every_method_keeps_every_invariant(pupils, name, ties):
    options = {"on": ON, **METHODS[name]}
    if options.get("method", "nearest") in ("nearest", "optimal", "full"):
        options["ties"] = ties
    before = pupils.copy(deep=True)
    result = match(pupils, "treated", **options)
    pd.testing.assert_frame_equal(pupils, before)
    check_matching(result, pupils, "treated", **_expectations(options, result, pupils))


@pytest.mark.parametrize("name", METHODS)
def test_order_of_rows_changes_nothing_where_ties_are_drawn(pupils, name):
    """Except in the order "data", which is about rows."""
    options = {"on": ON, **METHODS[name]}
    if options.get("distance") in ("mahalanobis", "scaled_euclidean") and options.get("order") is None and "logit" not in (options.get("caliper") or {}):
        options["order"] = "closest"
    one = match(pupils, "treated", **options)
    two = match(pupils.sample(frac=1.0, random_state=4), "treated", **options)
    np.testing.assert_allclose(two.weights.reindex(pupils.index), one.weights, atol=1e-9)
    assert set(two.dropped.index) == set(one.dropped.index)


@pytest.mark.parametrize("run", ["nn_largest", "nn_mahal", "optimal", "full", "cem_cut", "subclass6"])
def test_relabelling_units_changes_nothing_where_ties_follow_rows(pupils, run):
    named = pupils.set_axis([f"pupil {label * 7919 % 1009}" for label in pupils.index])
    one, two = (match(data, "treated", **options_of(run)) for data in (pupils, named))
    assert two.pairs["unit"].tolist() == named.index[pupils.index.get_indexer(one.pairs["unit"])].tolist()
    np.testing.assert_array_equal(one.weights.to_numpy(), two.weights.to_numpy())


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(30, 110), ratio=st.integers(1, 3), cap=st.sampled_from([0, 1, 2, None]),
       caliper=st.sampled_from([None, 0.05, 0.5, {"x": 0.5}, {"logit": 0.6, "z": 0.4}]), order=st.sampled_from(["largest", "smallest", "data", "closest"]),
       distance=st.sampled_from(["logit", "mahalanobis"]), ties=st.sampled_from(["random", "order"]), prefer=st.booleans())  # fmt: skip
def test_pairs_of_discrete_data_keep_every_constraint(seed, n, ratio, cap, caliper, order, distance, ties, prefer):
    draw = np.random.default_rng(seed)
    data = pd.DataFrame({"x": draw.integers(0, 6, n).astype(float), "z": draw.normal(size=n).round(1), "g": draw.integers(0, 3, n), "area": draw.integers(0, 3, n)})
    data["treated"] = (draw.random(n) < 1 / (1 + np.exp(1 - 0.2 * data["x"]))).astype(int)
    if distance == "mahalanobis":
        order = order if isinstance(caliper, dict) and "logit" in caliper else {"largest": "data", "smallest": "closest"}.get(order, order)
        caliper = caliper if isinstance(caliper, dict) else None
    options = {"exact": ["g"], "caliper": caliper, "ratio": ratio, "order": order, "distance": distance, "ties": ties, "seed": seed,
               "prefer": ["area"] if prefer else (), "replace": cap != 0, **({"reuse_cap": cap} if cap else {})}  # fmt: skip
    try:
        result = match(data, "treated", on=["x", "z"], **options)
    except UnidentifiedError:
        return
    columns = {"logit": result.score, "x": data["x"], "z": data["z"]}
    check_matching(result, data, "treated", exact=["g"], ratio=ratio, capacity=1 if cap == 0 else cap,
                   calipers={name: (columns[name], most) for name, most in result.calipers.items()})


@pytest.mark.parametrize(("distance", "order"), [("logit", "largest"), ("logit", "closest"), ("mahalanobis", "data"), ("mahalanobis", "closest")])
def test_each_choice_is_the_nearest_that_is_free_by_brute_force(distance, order):
    draw = np.random.default_rng(9)
    data = pd.DataFrame({"x": draw.normal(size=130), "z": draw.normal(size=130), "treated": (draw.random(130) < 0.3).astype(int), "g": draw.integers(0, 2, 130)})
    result = match(data, "treated", on=["x", "z"], exact=["g"], distance=distance, order=order)
    if distance == "logit":
        gaps = np.abs(result.score.to_numpy()[:, None] - result.score.to_numpy())
    else:
        x = data[["x", "z"]].to_numpy()
        left = x - np.where(data[["treated"]] == 1, x[data["treated"] == 1].mean(axis=0), x[data["treated"] == 0].mean(axis=0))
        inverse = np.linalg.inv(left.T @ left / 128)
        apart = x[:, None] - x
        gaps = np.sqrt(np.einsum("ijk,kl,ijl->ij", apart, inverse, apart))
    allowed = np.equal.outer(data["g"].to_numpy(), data["g"].to_numpy())
    gaps = pd.DataFrame(np.where(allowed, gaps, np.inf)).loc[data["treated"] == 1, data["treated"] == 0]
    expected = set()
    queue = list(gaps.index if order == "data" else result.score[gaps.index].sort_values(ascending=False).index) if order != "closest" else None
    while len(gaps) and np.isfinite(gaps.to_numpy()).any():
        row = queue.pop(0) if queue is not None else gaps.min(axis=1).idxmin()
        if np.isfinite(gaps.loc[row]).any():
            expected.add((row, gaps.loc[row].idxmin()))
            gaps = gaps.drop(columns=gaps.loc[row].idxmin())
        gaps = gaps.drop(index=row)
    assert pair_set(result) == expected


def test_preferred_strata_come_first_and_the_fallback_is_counted():
    data = pd.DataFrame({"treated": [1, 1, 1, 0, 0, 0, 0], "x": [3.0, 2.0, 1.0, 2.9, 1.6, 1.1, 0.0], "area": list("aab") + list("abcc")})
    result = match(data, "treated", on=["x"], prefer=["area"])
    assert pair_set(result) == {(0, 3), (2, 4), (1, 5)}  # 0 and 2 stay in their areas; 1 finds area a used up
    assert result.outside_preferred.tolist() == [1]
    assert match(data, "treated", on=["x"]).outside_preferred is None
    assert len(match(data, "treated", on=["x"], prefer=["area"], exact=["area"]).dropped) == 1


def test_a_cap_on_reuse_is_used_up_and_not_passed():
    data = pd.DataFrame({"treated": [1, 1, 1, 0, 0, 1, 0], "x": [1.0, 1.1, 1.2, 1.1, 3.0, 2.0, 0.0]})
    counts = [match(data, "treated", on=["x"], replace=True, reuse_cap=cap).pairs.query("not treated")["unit"].value_counts().max() for cap in (1, 2, 3)]
    assert counts == [1, 2, 3]
