"""Honest bounds: agreement with HonestDiD, hand cases, invariance and refusals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact import honest_bounds

RESULTS = Path(__file__).parents[1] / "reference" / "results"
# HonestDiD reports the kept points of a grid, with a simulated critical value: an end is off by up to a step for either reason.
GRID_STEPS = 2
# HonestDiD's folded normal quantile is simulated and its variance bound is searched on a grid.
FIXED_LENGTH_TOLERANCE = 5e-5
# The same 5e-5 on an end that moves by about 4 for each unit of m.
SMOOTHNESS_BREAKDOWN_TOLERANCE = 1.5e-5
# Published to three significant digits, from a grid of steps of 0.0004.
PUBLISHED_TOLERANCE = 1e-3
# Two exact routes to one number.
ROUNDING = 1e-9
# Breakdown values are found to this share of themselves.
ROOT = 2e-6

TARGETS = {"first": [1.0, 0.0, 0.0], "average": [1 / 3] * 3}
BOTH = ["relative_magnitude", "smoothness"]


@pytest.fixture(scope="module")
def fitted():
    table = pd.read_csv(RESULTS / "honest_input.csv")
    return table["estimate"].to_numpy(), table.filter(regex="^X").to_numpy()


@pytest.fixture(scope="module")
def reference():
    return pd.read_csv(RESULTS / "honestdid.csv")


def bounds(fitted, kind, m, **options):
    return honest_bounds(*fitted, n_pre=3, n_post=3, kind=kind, m=m, **options)


def ends(result):
    return result.frame[["conf_low", "conf_high"]].to_numpy()


# Agreement


@pytest.mark.parametrize("target", TARGETS)
def test_relative_magnitudes_agree_with_honestdid(fitted, reference, target):
    wanted = reference.query("restriction == 'DeltaRM' and method == 'C-LF' and l_vec == @target")
    got = ends(bounds(fitted, "relative_magnitude", wanted["M"], target=TARGETS[target]))
    assert len(got) == 5
    assert np.all(np.abs(got - wanted[["lb", "ub"]]) <= GRID_STEPS * wanted[["grid_step"]].to_numpy())


@pytest.mark.parametrize("target", TARGETS)
def test_smoothness_agrees_with_honestdid(fitted, reference, target):
    wanted = reference.query("restriction == 'DeltaSD' and method == 'FLCI' and l_vec == @target")
    got = ends(bounds(fitted, "smoothness", wanted["M"], target=TARGETS[target]))
    assert len(got) == 6
    np.testing.assert_allclose(got, wanted[["lb", "ub"]], rtol=0, atol=FIXED_LENGTH_TOLERANCE)


@pytest.mark.parametrize("target", TARGETS)
def test_the_interval_under_parallel_trends_agrees_with_honestdid(fitted, reference, target):
    wanted = reference.query("method == 'Original' and l_vec == @target").iloc[0]
    original = bounds(fitted, "smoothness", 0, target=TARGETS[target]).original
    np.testing.assert_allclose([original.conf_low, original.conf_high], [wanted["lb"], wanted["ub"]], rtol=ROUNDING)


@pytest.mark.parametrize("target", TARGETS)
def test_breakdown_values_agree_with_honestdid(fitted, target):
    wanted = pd.read_csv(RESULTS / "honestdid_breakdown.csv").query("l_vec == @target").set_index("restriction")
    relative = bounds(fitted, "relative_magnitude", 1, target=TARGETS[target]).breakdown
    bracket = wanted.loc["DeltaRM C-LF", "tolerance"]
    assert abs(relative - wanted.loc["DeltaRM C-LF", "breakdown"]) <= (0 if np.isnan(bracket) else bracket)
    smooth = bounds(fitted, "smoothness", 0, target=TARGETS[target]).breakdown
    assert abs(smooth - wanted.loc["DeltaSD FLCI", "breakdown"]) <= SMOOTHNESS_BREAKDOWN_TOLERANCE


def test_published_medicaid_bounds(published):
    beta = pd.read_csv(published / "published" / "ehec_beta.csv")["beta"]
    result = honest_bounds(beta, pd.read_csv(published / "published" / "ehec_vcov.csv"), n_pre=5, n_post=2, kind="relative_magnitude", m=[0.5, 1, 1.5, 2])
    wanted = [[0.0241, 0.0673], [0.0171, 0.0720], [0.00859, 0.0796], [-0.00107, 0.0883]]
    np.testing.assert_allclose(ends(result), wanted, rtol=0, atol=PUBLISHED_TOLERANCE)
    np.testing.assert_allclose([result.original.conf_low, result.original.conf_high], [0.0285, 0.0644], rtol=0, atol=5e-5)
    assert 1.5 < result.breakdown < 2


# By hand


def test_without_noise_relative_magnitudes_give_the_identified_set():
    # Steps before: 2, -3 (to the reference, 0); so the largest is 3, in either direction.
    estimates, noise = [1.0, 3.0, 10.0, 14.0], np.eye(4) * 1e-16
    first = honest_bounds(estimates, noise, n_pre=2, n_post=2, kind="relative_magnitude", m=[0, 0.5, 2])
    np.testing.assert_allclose(ends(first), [[10, 10], [8.5, 11.5], [4, 16]], atol=1e-6)
    assert first.breakdown == pytest.approx(10 / 3, rel=1e-5)
    second = honest_bounds(estimates, noise, n_pre=2, n_post=2, kind="relative_magnitude", m=0.5, target=[0, 1])
    np.testing.assert_allclose(ends(second), [[11, 17]], atol=1e-6)  # two steps of 1.5 add up
    change = honest_bounds(estimates, noise, n_pre=2, n_post=2, kind="relative_magnitude", m=0.5, target=[-1, 1])
    np.testing.assert_allclose(ends(change), [[2.5, 5.5]], atol=1e-6)


def test_without_noise_a_linear_trend_is_carried_on_and_may_bend():
    estimates, noise = [-4.0, -2.0, 12.0, 14.0], np.eye(4) * 1e-16
    first = honest_bounds(estimates, noise, n_pre=2, n_post=2, kind="smoothness", m=[0, 1])
    np.testing.assert_allclose(ends(first), [[10, 10], [9, 11]], atol=1e-6)
    second = honest_bounds(estimates, noise, n_pre=2, n_post=2, kind="smoothness", m=[0, 1], target=[0, 1])
    np.testing.assert_allclose(ends(second), [[10, 10], [7, 13]], atol=1e-6)  # a bend of 1 at the start, twice over, and one later
    assert second.breakdown == pytest.approx(10 / 3, rel=1e-5)


def test_elapsed_time_scales_steps_and_bends():
    estimates, noise = [3.0, 1.0, 10.0, 14.0], np.eye(4) * 1e-16
    times = [-7, -2, 0, 3]  # gaps 5, 1, 1, 3 around the reference at -1: steps per half-term 0.4, 1
    relative = [
        honest_bounds(estimates, noise, n_pre=2, n_post=2, kind="relative_magnitude", m=1, target=target, event_times=times)
        for target in ([1, 0], [0, 1])
    ]
    np.testing.assert_allclose(np.vstack([ends(result) for result in relative]), [[9, 11], [10, 18]], atol=1e-6)
    smooth = honest_bounds(estimates, noise, n_pre=2, n_post=2, kind="smoothness", m=1, target=[0, 1], event_times=times)
    # Trend carried on: -1 a half-term over 4. Slopes: bend of 1 over 1 half-term, then of 2 (middles 2 apart) over 3 half-terms.
    np.testing.assert_allclose(ends(smooth), [[18 - 10, 18 + 10]], atol=1e-6)


@pytest.mark.parametrize("kind", BOTH)
def test_equally_spaced_times_are_the_default(fitted, kind):
    plain, timed = bounds(fitted, kind, [0, 0.01, 1]), bounds(fitted, kind, [0, 0.01, 1], event_times=[-4, -3, -2, 0, 1, 2])
    np.testing.assert_allclose(ends(plain), ends(timed), rtol=ROUNDING)


def test_a_unit_of_time_twice_as_long_leaves_relative_magnitudes_and_quarters_bends(fitted):
    times = 2 * np.array([-3, -2, -1, 1, 2, 3])
    relative = [bounds(fitted, "relative_magnitude", 1, **options) for options in ({}, {"event_times": times, "reference_time": 0})]
    np.testing.assert_allclose(*map(ends, relative), rtol=ROUNDING)
    smooth = [bounds(fitted, "smoothness", 0.01), bounds(fitted, "smoothness", 0.0025, event_times=times, reference_time=0)]
    np.testing.assert_allclose(*map(ends, smooth), rtol=ROUNDING)


def test_no_relative_departure_is_parallel_trends(fitted):
    result = bounds(fitted, "relative_magnitude", 0, target=TARGETS["average"])
    np.testing.assert_allclose(ends(result)[0], [result.original.conf_low, result.original.conf_high], rtol=ROUNDING)


def test_no_bend_is_the_best_linear_extrapolation(fitted):
    estimates, vcov = fitted
    times = np.array([-3, -2, -1, 1, 2, 3.0])
    # Weighted least squares of all six estimates on a linear trend and one effect a period after the start.
    design = np.column_stack([times, np.eye(6)[:, 3:]])
    spread = np.linalg.inv(design.T @ np.linalg.solve(vcov, design))
    effects = spread @ design.T @ np.linalg.solve(vcov, estimates)
    reach = ndtri(0.975) * np.sqrt(spread[1, 1])
    np.testing.assert_allclose(ends(bounds(fitted, "smoothness", 0))[0], [effects[1] - reach, effects[1] + reach], rtol=ROUNDING)


# Properties


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("kind", "unit"), [("relative_magnitude", 1), ("smoothness", 0.005)])
def test_intervals_grow_with_the_departure(fitted, kind, unit, target):
    found = ends(bounds(fitted, kind, unit * np.array([0, 0.01, 0.1, 0.3, 1, 3, 10, 100]), target=TARGETS[target]))
    assert np.all(np.diff(found[:, 1] - found[:, 0]) > 0)
    if kind == "relative_magnitude":
        assert np.all(np.diff(found[:, 0]) < 0) and np.all(np.diff(found[:, 1]) > 0)


@pytest.mark.parametrize("factor", [1e-6, 100.0, -3.0])
@pytest.mark.parametrize("kind", BOTH)
def test_bounds_follow_the_unit_and_the_sign_of_the_outcome(fitted, kind, factor):
    estimates, vcov = fitted
    values = np.array([0.3, 1.0])
    other = values * (abs(factor) if kind == "smoothness" else 1)
    options = {"n_pre": 3, "n_post": 3, "kind": kind, "target": TARGETS["average"]}
    one = honest_bounds(estimates, vcov, m=values, **options)
    two = honest_bounds(factor * estimates, factor**2 * vcov, m=other, **options)
    np.testing.assert_allclose(np.sort(factor * ends(one), axis=1), ends(two), rtol=1e-7)
    assert two.breakdown == pytest.approx(one.breakdown * (abs(factor) if kind == "smoothness" else 1), rel=ROOT)


@pytest.mark.parametrize("kind", BOTH)
def test_bounds_are_linear_in_the_target(fitted, kind):
    one = bounds(fitted, kind, [0.2, 1], target=[0.5, -0.25, 1])
    two = bounds(fitted, kind, [0.2, 1], target=[1, -0.5, 2])
    np.testing.assert_allclose(2 * ends(one), ends(two), rtol=ROUNDING)


@pytest.mark.parametrize("kind", BOTH)
def test_at_the_breakdown_value_an_end_is_zero(fitted, kind):
    value = bounds(fitted, kind, 0, target=TARGETS["average"]).breakdown
    beside = bounds(fitted, kind, [value * (1 - 1e-5), value * (1 + 1e-5)], target=TARGETS["average"])
    assert beside.frame["excludes_zero"].tolist() == [True, False]


def test_one_period_before_and_one_after():
    estimates, vcov = [0.5, 3.0], [[1.0, 0.4], [0.4, 1.2]]
    smooth = honest_bounds(estimates, vcov, n_pre=1, n_post=1, kind="smoothness", m=0)
    # Effect 3 + 0.5, variance 1 + 1.2 + 2 * 0.4.
    np.testing.assert_allclose(ends(smooth)[0], 3.5 + ndtri(0.975) * np.sqrt(3.0) * np.array([-1, 1]), rtol=ROUNDING)
    relative = honest_bounds(estimates, vcov, n_pre=1, n_post=1, kind="relative_magnitude", m=[0, 1])
    np.testing.assert_allclose(ends(relative)[0], 3 + ndtri(0.975) * np.sqrt(1.2) * np.array([-1, 1]), rtol=ROUNDING)
    assert ends(relative)[1, 0] < ends(relative)[0, 0]
    assert "nothing shows" in smooth.warnings[0] and "nothing shows" in relative.warnings[0]


@pytest.mark.parametrize("kind", BOTH)
def test_lower_levels_give_shorter_intervals(fitted, kind):
    lengths = [np.diff(ends(bounds(fitted, kind, 1, conf_level=level))[0])[0] for level in (0.5, 0.8, 0.95, 0.999)]
    assert np.all(np.diff(lengths) > 0)


@pytest.mark.parametrize("kind", BOTH)
def test_equal_input_gives_equal_output_and_stays_as_it_was(fitted, kind):
    labels = [-4, -3, -2, 0, 1, 2]
    estimates, vcov = pd.Series(fitted[0], labels), pd.DataFrame(fitted[1], labels, labels)
    kept = estimates.copy(), vcov.copy()
    results = [honest_bounds(estimates, vcov, n_pre=3, n_post=3, kind=kind, m=[0.1, 1]) for _ in range(2)]
    pd.testing.assert_frame_equal(results[0].frame, results[1].frame, check_exact=True)
    pd.testing.assert_frame_equal(results[0].frame, bounds(fitted, kind, [0.1, 1]).frame, check_exact=True)
    pd.testing.assert_series_equal(estimates, kept[0])
    pd.testing.assert_frame_equal(vcov, kept[1])


def test_few_treated_schools_make_the_bounds_illustrative(fitted):
    assert not bounds(fitted, "smoothness", 0, effective_treated_schools=10).warnings
    result = bounds(fitted, "smoothness", 0, effective_treated_schools=9.4)
    assert result.warnings[0].startswith("illustrative: 9.4 effective treated schools")
    assert "illustrative" in repr(result) and "illustrative" in result._repr_html_()
    assert "breakdown at m = 0.002291" in repr(result)


# Refusals


def refused(kind="smoothness", estimates=(0.1, 0.2, 1.0), vcov=None, n_pre=2, n_post=1, m=0.1, **options):
    vcov = np.eye(3) if vcov is None else vcov
    return honest_bounds(estimates, vcov, n_pre=n_pre, n_post=n_post, kind=kind, m=m, **options)


TERMS = pd.Index(["event_time=-3", "event_time=-2", "event_time=0"])
ASYMMETRIC = np.eye(3) + np.eye(3, k=1) * 0.1
INDEFINITE = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])


@pytest.mark.parametrize(("given", "words"), [
    ({"kind": "other"}, "kind 'other' is not known"),
    ({"m": []}, "m holds no value"),
    ({"m": [0, -1]}, "below zero"),
    ({"m": [0, np.nan]}, "missing or infinite"),
    ({"m": "wide"}, "not a number"),
    ({"n_pre": 0, "n_post": 3}, "n_pre is 0"),
    ({"n_pre": 2.0}, "n_pre is 2.0"),
    ({"n_pre": True, "n_post": 2}, "n_pre is True"),
    ({"n_post": 2}, "3 estimates for 2 \\+ 2"),
    ({"estimates": [0.1, np.nan, 1]}, "position 1: estimates has a missing"),
    ({"estimates": [[0.1, 0.2, 1]]}, "not a list of numbers"),
    ({"estimates": ["a", 0.2, 1]}, "not a number"),
    ({"vcov": np.eye(4)}, "shape \\(4, 4\\)"),
    ({"vcov": np.ones(3)}, "shape \\(3,\\)"),
    ({"vcov": np.diag([1, np.inf, 1])}, "row 1, column 1"),
    ({"vcov": np.diag([1, 0, 1.0])}, "position 1: a variance is zero"),
    ({"vcov": ASYMMETRIC}, "not symmetric"),
    ({"vcov": INDEFINITE}, "not positive semi-definite"),
    ({"vcov": [["a"] * 3] * 3}, "not a number"),
    ({"target": [1, 0]}, "2 weights for 1"),
    ({"target": [0.0]}, "every weight of the target is zero"),
    ({"target": [np.inf]}, "missing or infinite"),
    ({"conf_level": 95}, "not between 0 and 1"),
    ({"event_times": [-3, -2]}, "2 event times"),
    ({"event_times": [-2, -3, 0]}, "do not increase: -2, -3, -1, 0"),
    ({"event_times": [-3, -2, 0], "reference_time": -2}, "do not increase"),
    ({"event_times": [-3, -2, 0], "reference_time": np.nan}, "reference_time has a missing"),
    ({"estimates": pd.Series([0.1, 0.2, 1.0], [-4, -2, 0])}, "-4, -2, 0 are not equally spaced"),
    ({"estimates": pd.Series([0.1, 0.2, 1.0], [-2, -1, 0])}, "are not equally spaced around a reference"),
    ({"estimates": pd.Series([0.1, 0.2, 1.0], TERMS), "n_pre": 1, "n_post": 2}, "-3, -2, 0 are not equally spaced around a reference"),
    ({"estimates": pd.Series([0.2, 0.1, 1.0], TERMS[[1, 0, 2]]), "vcov": pd.DataFrame(np.eye(3), TERMS[[1, 0, 2]], TERMS[[1, 0, 2]])}, "-2, -3, 0 are not"),
    ({"vcov": pd.DataFrame(np.eye(3), TERMS, TERMS), "n_pre": 1, "n_post": 2}, "are not equally spaced around a reference"),
    ({"estimates": pd.Series([0.1, 0.2, 1.0], list("abc")), "vcov": pd.DataFrame(np.eye(3), list("bac"), list("bac"))}, "not labelled as"),
])  # fmt: skip
def test_what_would_be_wrong_is_refused(given, words):
    with pytest.raises(DataError, match=words):
        refused(**given)


@pytest.mark.parametrize("kind", BOTH)
def test_a_covariance_of_short_rank_is_refused(kind):
    spread = np.random.default_rng(5).normal(size=(3, 2))
    with pytest.raises(UnidentifiedError, match="rank 2 for 3 estimates"):
        refused(kind, vcov=spread @ spread.T)
    assert refused(kind, vcov=spread @ spread.T + 1e-6 * np.eye(3)).frame["conf_low"].notna().all()


def test_unequally_spaced_labels_are_accepted_with_their_times():
    result = refused(estimates=pd.Series([0.1, 0.2, 1.0], [-4, -2, 0]), event_times=[-4, -2, 0])
    assert result.frame["conf_low"].notna().all()
