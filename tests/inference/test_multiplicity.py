"""Adjusted p-values: by hand, monotone, against published values and simulation, refusals."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from evaluation.errors import DataError
from evaluation.inference import adjust_p_values


def test_holm_by_hand():
    found = adjust_p_values({"fsm": 0.01, "sen": 0.04, "area": 0.03, "phase": 0.005}).frame
    # In order: 4 * 0.005, 3 * 0.01, 2 * 0.03, 1 * 0.04 raised to 0.06.
    assert found["term"].tolist() == ["fsm", "sen", "area", "phase"]
    assert found["p_adjusted"].tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels_monotone_and_never_smaller(values):
    frame = adjust_p_values(values).frame
    np.testing.assert_allclose(frame["p_adjusted"], multipletests(values, method="holm")[1], atol=1e-15)
    assert (frame["p_adjusted"] >= frame["p_value"]).all() and (frame["p_adjusted"] <= 1).all()
    assert frame.sort_values("p_value")["p_adjusted"].is_monotonic_increasing


def test_romano_wolf_by_hand():
    draws = pd.DataFrame({"a": [0.5, -3.0, 1.0, 0.1], "b": [2.5, 0.2, -0.3, 0.4], "c": [0.1, 0.2, 1.6, -0.9]})
    frame = adjust_p_values(method="romano_wolf", statistics=pd.Series({"a": -2.0, "b": 3.1, "c": 1.5}), resampled=draws).frame
    # b first, against the largest of all (2.5, 3.0, 1.6, 0.9): none reaches 3.1. Then a against the larger of a and c
    # (0.5, 3.0, 1.6, 0.9): one reaches 2.0. Then c against itself (0.1, 0.2, 1.6, 0.9): one reaches 1.5.
    assert frame["p_adjusted"].tolist() == pytest.approx([2 / 5, 1 / 5, 2 / 5])
    assert frame["p_value"].tolist() == pytest.approx([2 / 5, 1 / 5, 2 / 5])
    assert frame["statistic"].tolist() == [-2.0, 3.1, 1.5]


def test_romano_wolf_is_made_monotone():
    # The smaller statistic would have the smaller p-value: its own draws never reach it, while the larger's often do.
    draws = np.column_stack([np.full(9, 5.0), np.zeros(9)])
    frame = adjust_p_values(method="romano_wolf", statistics=[4.0, 1.0], resampled=draws).frame
    assert frame["p_value"].tolist() == pytest.approx([1.0, 0.1])
    assert frame["p_adjusted"].tolist() == pytest.approx([1.0, 1.0])


def test_a_draw_that_ties_with_the_statistic_counts():
    for drawn in (2.0, -2.0, 2.0 * (1 - 1e-12)):
        frame = adjust_p_values(method="romano_wolf", statistics=[2.0], resampled=[[drawn], [1.0]]).frame
        assert frame[["p_value", "p_adjusted"]].to_numpy().ravel() == pytest.approx([2 / 3, 2 / 3])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_romano_wolf_is_monotone_and_never_smaller(count, seed):
    rng = np.random.default_rng(seed)
    frame = adjust_p_values(method="romano_wolf", statistics=rng.normal(size=count), resampled=rng.normal(size=(50, count))).frame
    assert (frame["p_adjusted"] >= frame["p_value"]).all() and (frame["p_adjusted"] <= 1).all()
    assert frame.sort_values("statistic", key=np.abs, ascending=False)["p_adjusted"].is_monotonic_increasing


def test_romano_wolf_of_one_hypothesis_four_times_is_that_of_one():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=999)
    frame = adjust_p_values(method="romano_wolf", statistics=[1.9] * 4, resampled=np.tile(draws[:, None], 4)).frame
    assert frame["p_adjusted"].tolist() == frame["p_value"].tolist()
    assert adjust_p_values(frame["p_value"]).frame["p_adjusted"].iloc[0] == pytest.approx(4 * frame["p_value"].iloc[0])


def test_romano_wolf_of_independent_statistics_agrees_with_the_normal_distribution():
    draws = np.random.default_rng(0).normal(size=(40_000, 3))
    sizes = np.array([2.4, 2.0, 1.0])
    frame = adjust_p_values(method="romano_wolf", statistics=sizes, resampled=draws).frame
    exact = 1 - (1 - 2 * norm.sf(sizes)) ** np.array([3, 2, 1])
    np.testing.assert_allclose(frame["p_adjusted"], exact, atol=3 * (0.25 / 40_000) ** 0.5)


def test_wild_tests_of_one_fit_share_their_draws():
    """The docstring's example: tests of several outcomes with one seed, side by side; a repeated outcome then costs nothing."""
    from evaluation.inference import linear

    rng = np.random.default_rng(0)
    school = np.repeat(np.arange(14), 5 + np.arange(14) % 4)
    data = pd.DataFrame({"school": school, "given": (school < 6) * 1.0, "x": rng.normal(size=len(school))})
    data["one"] = rng.normal(size=14)[school] + rng.normal(size=len(school)) + data["given"]
    data["again"], data["other"] = 2 * data["one"], rng.normal(size=len(school))
    tests = {name: linear(data, name, ["given", "x"], cluster="school").wild_test("given", draws=999) for name in ("one", "again", "other")}
    np.testing.assert_allclose(tests["one"].resampled, tests["again"].resampled)
    assert abs(np.corrcoef(tests["one"].resampled, tests["other"].resampled)[0, 1]) < 0.5
    family = adjust_p_values(method="romano_wolf", statistics={name: test.statistic for name, test in tests.items()},
                             resampled=pd.DataFrame({name: test.resampled for name, test in tests.items()}))  # fmt: skip
    frame = family.frame.set_index("term")
    assert frame.loc["one", "p_value"] == tests["one"].p_value_with_ties
    assert frame.loc["one", "p_adjusted"] == frame.loc["again", "p_adjusted"]


@pytest.mark.parametrize(("arguments", "message"), [
    ({"p_values": [0.1, np.nan]}, "hypothesis 1: a p-value is missing"),
    ({"p_values": pd.Series({"fsm": None, "sen": 0.2}, dtype=object)}, "hypothesis fsm: a p-value is missing"),
    ({"p_values": [0.1, 1.2]}, "hypothesis 1: a p-value is below 0 or above 1"),
    ({"p_values": []}, "there is no p-value"),
    ({"p_values": ["low"]}, "a p-value is not a number"),
    ({"p_values": 0.5}, "float is no series, mapping or list"),
    ({"p_values": np.array(0.5)}, "ndarray is no series, mapping or list"),
    ({"p_values": pd.DataFrame([[0.01, 0.2]])}, "DataFrame is no series"),  # its columns' names, 0 and 1, are no p-values
    ({"method": "romano_wolf", "statistics": 2.0, "resampled": [[1.0]]}, "float is no series"),
    ({"method": "romano_wolf", "statistics": [1.0], "resampled": [["a"], ["b"]]}, "the table of resampled statistics is not made of numbers"),
    ({"method": "romano_wolf", "statistics": [1.0], "resampled": "draws"}, "the table of resampled statistics is not made of numbers"),
    ({"method": "romano_wolf", "statistics": [1.0], "resampled": np.empty((0, 1))}, r"shape \(0, 1\)"),
    ({"p_values": pd.Series([0.1, 0.2], index=["a", "a"])}, "hypothesis a: a hypothesis is named twice"),
    ({"p_values": [0.1], "method": "bonferroni"}, "method 'bonferroni' is not known"),
    ({"p_values": [0.1], "method": "romano_wolf"}, "romano_wolf takes statistics and resampled"),
    ({"p_values": [0.1], "statistics": [1.0]}, "holm takes p_values"),
    ({"method": "romano_wolf", "statistics": [1.0, 2.0], "resampled": np.ones((5, 3))}, r"shape \(5, 3\)"),
    ({"method": "romano_wolf", "statistics": [1.0], "resampled": np.full((5, 1), np.nan)}, "draw 1: a resampled statistic is missing"),
    ({"method": "romano_wolf", "statistics": [np.inf], "resampled": np.ones((5, 1))}, "hypothesis 0: a statistic is missing or infinite"),
    ({"method": "romano_wolf", "statistics": {"a": 1.0, "b": 2.0}, "resampled": pd.DataFrame({"b": [1.0], "a": [1.0]})}, "another order"),
])  # fmt: skip
def test_requests_without_sense_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        adjust_p_values(**arguments)


def test_results_print_the_method():
    found = adjust_p_values([0.01, 0.2])
    assert "2 hypotheses, adjusted by holm" in repr(found) and "<table" in found._repr_html_()
