"""The change estimator by hand, its signs, weights and invariants, days over the window, and refusals."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import UnidentifiedError
from evaluation.impact import days_over_window, estimate_change, smallest_detectable_effect


def rows(seed=0, schools=8, per_school=12, effect=-2.0) -> pd.DataFrame:
    """Changes in absence in two stacks of two areas; the treated schools' pupils change by ``effect`` more."""
    draw = np.random.default_rng(seed)
    school = np.repeat(np.arange(2 * schools), per_school)
    frame = pd.DataFrame({"school_id": [f"S{s:02d}" for s in school], "treated": (school < schools).astype(int), "area_code": np.where(school % 2 == 0, "X", "Y"),
                          "stack": draw.integers(6, 8, len(school)), "followup_possible": 180})
    shock = draw.normal(0, 1, 2 * schools)[school]
    return frame.assign(change=effect * frame["treated"] + shock + (frame["area_code"] == "Y") * 3 + (frame["stack"] == 7) * 5 + draw.normal(0, 4, len(frame)))


def test_by_hand_fewer_absences_are_a_gain_in_attendance():
    data = pd.DataFrame({"school_id": ["M1", "M2", "C1", "C2", "C3"], "treated": [1, 1, 0, 0, 0], "area_code": "X", "stack": 6,
                         "followup_possible": [180, 160, 170, 170, 170], "change": [-4.0, -2.0, 1.0, -1.0, 3.0], "weight": [1.0, 1.0, 1.0, 0.5, 0.5]})
    result = estimate_change(data, within_area=True, weight="weight")
    assert result.estimate == pytest.approx(-(-3.0 - (1.0 - 0.5 + 1.5) / 2.0))
    assert result.change_treated == pytest.approx(3.0) and result.change_comparison == pytest.approx(-1.0)
    assert result.estimate == pytest.approx(result.change_treated - result.change_comparison)
    assert result.followup_sessions == 170.0 and result.effective_n == pytest.approx(4.0 / 1.5)
    assert (result.n_treated, result.n_comparison, result.schools_treated, result.schools_comparison, result.areas) == (2, 3, 2, 3, 1)


def test_days_are_those_of_the_measured_window():
    # Two sessions are a day: 2% of 180 sessions are 3.6 sessions.
    assert days_over_window(2.0, 180.0) == pytest.approx(1.8)
    assert days_over_window(-1.0, 200.0) == pytest.approx(-1.0)


def test_without_weights_the_comparison_is_weighted_to_the_treated_of_each_cell():
    data = rows()
    result = estimate_change(data, within_area=True)
    cells = data.assign(cell=data["stack"].astype(str) + data["area_code"])
    means = cells.groupby(["cell", "treated"])["change"].mean().unstack()
    treated = cells.loc[cells["treated"] == 1, "cell"].value_counts()
    assert result.estimate == pytest.approx(-np.average(means[1] - means[0], weights=treated[means.index]))
    weights = result.rows.groupby(["cell", "treated"])["weight"].sum().unstack()
    np.testing.assert_allclose(weights[0], weights[1])


def test_between_areas_leaves_area_differences_in():
    data = rows()
    within = estimate_change(data, within_area=True)
    shifted = data.assign(change=data["change"] + 10 * (data["area_code"] == "Y"))
    assert estimate_change(shifted, within_area=True).estimate == pytest.approx(within.estimate)
    uneven = data.loc[~((data["area_code"] == "Y") & (data["treated"] == 1) & (data["school_id"] > "S04"))]
    moved = uneven.assign(change=uneven["change"] + 10 * (uneven["area_code"] == "Y"))
    assert abs(estimate_change(moved, within_area=False).estimate - estimate_change(uneven, within_area=False).estimate) > 0.5


def test_invariants():
    data = rows()
    result = estimate_change(data, within_area=True)
    shuffled = estimate_change(data.sample(frac=1.0, random_state=1), within_area=True)
    renamed = estimate_change(data.assign(school_id="x" + data["school_id"].str[::-1]), within_area=True)
    for other in (shuffled, renamed):
        assert (other.estimate, other.std_error, other.df) == pytest.approx((result.estimate, result.std_error, result.df))
    # A comparison school of a stack without treated pupils takes no part.
    stranger = data.head(5).assign(school_id="new", stack=99, treated=0, change=50.0)
    added = estimate_change(pd.concat([data, stranger]), within_area=True)
    assert (added.estimate, added.std_error, added.n_comparison) == pytest.approx((result.estimate, result.std_error, result.n_comparison))
    weighted = data.assign(weight=1.0)
    doubled = weighted.assign(weight=np.where(weighted.index == 3, 2.0, 1.0))
    repeated = pd.concat([weighted, weighted.loc[[3]]])
    assert estimate_change(doubled, within_area=True, weight="weight").estimate == pytest.approx(estimate_change(repeated, within_area=True, weight="weight").estimate)


def test_treated_pupils_of_cells_without_comparison_are_counted():
    data = rows()
    alone = data.head(3).assign(stack=99, treated=1, change=-90.0)
    assert estimate_change(pd.concat([data, alone]), within_area=True).left_out == 3


def test_smallest_detectable_effect_at_many_degrees_of_freedom():
    # 1.96 + 0.84 standard errors at 5% and 80% power.
    assert smallest_detectable_effect(1.0, 1e6, confidence_level=0.95, power=0.8) == pytest.approx(2.8016, abs=1e-3)
    assert smallest_detectable_effect(1.0, 5, confidence_level=0.95, power=0.8) > 3.4


def test_one_school_with_mentors_is_refused():
    data = rows()
    with pytest.raises(UnidentifiedError, match="one school"):
        estimate_change(data.loc[(data["treated"] == 0) | (data["school_id"] == "S00")], within_area=True)
    with pytest.raises(UnidentifiedError, match="no stack holds"):
        estimate_change(data.loc[data["treated"] == 1], within_area=True)
