"""Lee bounds, worst-case bounds and tipping points: by hand, and against brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from scipy.stats import t

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.bounds import lee_bounds, tipping_point, trimmed_mean, worst_case_bounds


def rows_of(treated, comparison, weights=None) -> pd.DataFrame:
    """Outcome rows of both arms, a school for every two pupils."""
    values = [*treated, *comparison]
    arm = [1] * len(treated) + [0] * len(comparison)
    return pd.DataFrame({"treated": arm, "weight": weights if weights is not None else 1.0, "y": np.asarray(values, dtype=float),
                         "school_id": [f"{'MC'[1 - a]}{i // 2}" for i, a in enumerate(arm)]})


def entered_of(rows, lost_treated, lost_comparison) -> pd.DataFrame:
    lost = pd.DataFrame({"treated": [1] * lost_treated + [0] * lost_comparison, "weight": 1.0, "school_id": "M0"})
    lost.loc[lost["treated"] == 0, "school_id"] = rows.loc[rows["treated"] == 0, "school_id"].iloc[0]
    return pd.concat([rows.assign(retained=True), lost.assign(retained=False)], ignore_index=True)


def bounds(rows, entered):
    return lee_bounds(rows, entered, outcome="y", confidence_level=0.95, df=20.0)


def test_lee_bounds_of_a_case_worked_by_hand():
    # Treated: nobody lost of 4. Comparison: 1 lost of 4. So a quarter of the treated is trimmed: 1, 2, 3 or 2, 3, 10, against a mean of 2.
    found = bounds(rows_of([1, 2, 3, 10], [1, 2, 3]), entered_of(rows_of([1, 2, 3, 10], [1, 2, 3]), 0, 1))
    assert (found.lower, found.upper) == (pytest.approx(0.0), pytest.approx(3.0))
    assert found.trimmed == "treated" and found.share_trimmed == pytest.approx(0.25)
    assert (found.retention_treated, found.retention_comparison) == (1.0, 0.75) and "makes nobody leave" in found.monotonicity


def test_where_the_treated_are_lost_more_often_the_comparison_arm_is_trimmed_and_the_direction_said():
    rows = rows_of([1, 2, 3], [1, 2, 3, 10])
    found = bounds(rows, entered_of(rows, 1, 0))
    assert (found.lower, found.upper) == (pytest.approx(2.0 - 5.0), pytest.approx(2.0 - 2.0))
    assert found.trimmed == "comparison" and "little trust" in found.monotonicity


def test_without_differential_attrition_both_bounds_are_the_difference_of_means():
    rows = rows_of([1, 5, 6, 8], [2, 3, 4, 9])
    found = bounds(rows, entered_of(rows, 1, 1))
    assert found.lower == found.upper == pytest.approx(5.0 - 4.5) and found.trimmed == "none"
    usual = float(t.ppf(0.975, 20))
    assert found.conf_high - found.upper == pytest.approx(usual * found.std_error_upper)


@pytest.mark.parametrize("seed", range(4))
def test_lee_bounds_are_the_extremes_over_all_subsets_that_could_have_been_trimmed(seed):
    draw = np.random.default_rng(seed)
    treated, comparison = draw.normal(size=8), draw.normal(size=9)
    rows = rows_of(treated, comparison)
    found = bounds(rows, entered_of(rows, 0, 3))  # a quarter of 8: two pupils
    means = [np.mean(kept) for kept in combinations(treated, 6)]
    assert found.lower == pytest.approx(min(means) - comparison.mean()) and found.upper == pytest.approx(max(means) - comparison.mean())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("keep", ["high", "low"])
def test_trimmed_means_with_weights_solve_the_linear_programme_that_defines_them(seed, keep):
    draw = np.random.default_rng([seed, 5])
    values, weights, share = draw.normal(size=15).round(1), draw.uniform(0.1, 3, 15), draw.uniform(0, 0.6)
    sign = -1.0 if keep == "high" else 1.0
    room = (1 - share) * weights.sum()
    solved = linprog(sign * values / room, A_eq=[np.ones(15)], b_eq=[room], bounds=[(0, w) for w in weights])
    assert trimmed_mean(values, weights, share, keep=keep)[0] == pytest.approx(sign * solved.fun, abs=1e-9)


def test_doubling_a_weight_is_a_second_row_and_order_does_not_matter():
    rows, twice = rows_of([1, 2, 3, 10, 4], [1, 2, 3]), rows_of([1, 2, 3, 10, 4, 4], [1, 2, 3])
    heavy = rows.assign(weight=[1, 1, 1, 1, 2, 1, 1, 1.0])
    heavy["school_id"] = ["M0", "M0", "M1", "M1", "M2", "C1", "C1", "C2"]
    twice["school_id"] = ["M0", "M0", "M1", "M1", "M2", "M2", "C1", "C1", "C2"]
    first, second = (bounds(r, entered_of(r, 0, 1)) for r in (heavy, twice))
    for name in ("lower", "upper", "std_error_lower", "std_error_upper", "conf_low", "conf_high"):
        assert getattr(first, name) == pytest.approx(getattr(second, name)), name
    back = bounds(heavy.iloc[::-1], entered_of(heavy, 0, 1).sample(frac=1, random_state=1))
    assert back.lower == pytest.approx(first.lower) and back.std_error_lower == pytest.approx(first.std_error_lower)


def test_standard_errors_are_those_of_leaving_out_a_school_at_a_time():
    draw = np.random.default_rng(3)
    shock, stay = draw.normal(0, 0.1, 60), np.where(np.arange(60) < 30, draw.uniform(0.8, 1.0, 60), draw.uniform(0.5, 0.9, 60))
    school = np.repeat(np.arange(60), 25)
    arm = (school < 30).astype(int)
    entered = pd.DataFrame({"treated": arm, "weight": draw.uniform(0.5, 2, 1500), "school_id": school,
                            "retained": draw.random(1500) < stay[school], "y": draw.normal(0, 2, 1500) + shock[school] + arm})
    found = bounds(entered.loc[entered["retained"]], entered)
    apart = [bounds(own.loc[own["retained"]], own) for own in (entered.loc[entered["school_id"] != s] for s in range(60))]
    for end in ("lower", "upper"):
        values = np.array([getattr(b, end) for b in apart])
        jackknife = np.sqrt(59 / 60 * ((values - values.mean()) ** 2).sum())
        assert getattr(found, f"std_error_{end}") == pytest.approx(jackknife, rel=0.05)


def test_the_interval_for_the_effect_is_never_wider_than_one_around_both_bounds():
    rows = rows_of([1, 2, 3, 10, 4, 7], [1, 2, 3, 5])
    found = bounds(rows, entered_of(rows, 0, 2))
    low, high = (float(t.ppf(p, 20)) for p in (0.95, 0.975))
    assert low - 1e-9 <= (found.lower - found.conf_low) / found.std_error_lower <= high + 1e-9


def test_an_arm_that_was_wholly_lost_is_refused():
    rows = rows_of([1, 2], [1, 2])
    with pytest.raises(UnidentifiedError, match="there is no treated pupil"):
        bounds(rows.loc[rows["treated"] == 0], entered_of(rows, 0, 0))
    gone = entered_of(rows, 0, 0).assign(retained=lambda f: f["treated"] == 1)
    with pytest.raises(UnidentifiedError, match="every comparison pupil was lost"):
        bounds(rows, gone)


def test_worst_case_bounds_of_a_case_worked_by_hand():
    rows = rows_of([2, 4], [1, 1, 1])
    entered = entered_of(rows, 2, 1)
    lost = pd.DataFrame({"treated": [1, 1, 0], "weight": 1.0, "lowest": [-80.0, -60.0, -90.0], "highest": [20.0, 40.0, 10.0]})
    found = worst_case_bounds(rows, lost, entered, outcome="y")
    # treated: half of 3 and half of -70 or 30; comparison: three quarters of 1 and a quarter of -90 or 10
    assert found.lower == pytest.approx((0.5 * 3 - 0.5 * 70) - (0.75 + 2.5)) and found.upper == pytest.approx((1.5 + 15) - (0.75 - 22.5))
    nobody = worst_case_bounds(rows, lost.head(0), entered_of(rows, 0, 0), outcome="y")
    assert nobody.lower == nobody.upper == pytest.approx(2.0)
    with pytest.raises(DataError, match="limits"):
        worst_case_bounds(rows, lost.assign(lowest=np.nan), entered, outcome="y")


def test_at_the_tipping_point_the_effect_over_everyone_is_zero():
    value, kept = 1.2, 0.8
    gap = tipping_point(value, kept)
    comparison, seen = 0.5, 0.5 + value
    assert kept * seen + (1 - kept) * (seen - gap) - comparison == pytest.approx(0.0)
    assert tipping_point(-0.1, 0.8) == 0.0 and tipping_point(1.0, 1.0) == float("inf")
