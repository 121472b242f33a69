"""Regression to the mean by hand: the line through all pupils, the prediction for those who met the rule, and first entries apart."""

import pandas as pd
import pytest

from evaluation.design import build_cohort, regression_to_mean, season_matched_windows
from evaluation.errors import UnidentifiedError
from small_trial import panel_of, referrals_of, school_list, section

WINDOWS = season_matched_windows()
SCHOOLS = school_list(X={"M1": 6, "M2": 6, "C1": None, "C2": None})
RULES = section("cohort", minimum_schools_per_arm=2, first_window_half_term=8, last_window_half_term=8)


def around(window: int, other: int) -> list:
    return [window if h == 8 else other for h in range(1, 19)]


def found(comparison: dict[str, tuple], rules=RULES) -> pd.DataFrame:
    """The table where comparison pupils are absent (window, other half-terms) of 60; the arm with mentors would spoil it if it were looked at."""
    pupils = {"m": {"school": "M1", "absent": around(12, 1)}, "n": {"school": "M2", "absent": around(12, 59)}, **{p: {"school": "C1", "absent": around(*said)} for p, said in comparison.items()}}
    panel, enrolments = panel_of(pupils, SCHOOLS)
    cohort = build_cohort(panel, enrolments, SCHOOLS, referrals_of(), rules=rules, windows=WINDOWS)
    return regression_to_mean(cohort, rules=rules, windows=WINDOWS).set_index("event_time")


def test_on_a_straight_line_the_prediction_is_what_was_seen():
    table = found({"a": (2, 1), "b": (4, 2), "c": (6, 3), "d": (12, 6)})
    assert table.index.tolist() == list(range(-4, 5)) and table["role"].tolist() == [WINDOWS.role(e) for e in range(-4, 5)]
    away = table.drop(index=0)
    # Those who met the rule: c and d, absent 15% in the window; the line has slope 0.5.
    assert away["predicted"].tolist() == pytest.approx([7.5] * 8) and away["seen"].tolist() == pytest.approx([7.5] * 8)
    assert away["correlation"].tolist() == pytest.approx([1.0] * 8) and away["mean_all"].tolist() == pytest.approx([100 * 12 / 240] * 8)
    assert (away["pupils_all"] == 4).all() and (away["pupils"] == 2).all()
    # d met the rule in the half-terms before as well.
    assert (away["pupils_first"] == 1).all() and away["seen_first"].tolist() == pytest.approx([5.0] * 8)
    assert table.loc[0, ["predicted", "seen", "seen_first"]].tolist() == pytest.approx([15.0, 15.0, 10.0])


def test_a_window_that_says_nothing_predicts_the_mean_of_all():
    table = found({"a": (2, 1), "b": (2, 5), "c": (12, 1), "d": (12, 5)}).drop(index=0)
    assert table["correlation"].tolist() == pytest.approx([0.0] * 8, abs=1e-12)
    assert table["predicted"].tolist() == pytest.approx(table["mean_all"].tolist())


def test_stacks_are_weighted_by_those_who_met_the_rule_and_thin_half_terms_are_left_out():
    pupils = {p: {"school": "C1", "absent": [1] * 7 + [a] * 2 + [1 + a] * 9} for p, a in (("a", 1), ("b", 3), ("c", 12))}
    pupils["m"] = {"school": "M1", "absent": around(12, 1)}
    pupils["thin"] = {"school": "C2", "absent": [(9, 10)] * 18}  # 10 possible sessions: below the minimum of 20
    panel, enrolments = panel_of(pupils, SCHOOLS)
    rules = section("cohort", minimum_schools_per_arm=2, first_window_half_term=8, last_window_half_term=9)
    table = regression_to_mean(build_cohort(panel, enrolments, SCHOOLS, referrals_of(), rules=rules, windows=WINDOWS), rules=rules, windows=WINDOWS)
    table = table.set_index("event_time")
    # Before the window all three are absent alike in stack 8, which leaves only stack 9 there; both stacks count in the window and after it.
    assert table.loc[0, ["pupils_all", "pupils", "seen", "pupils_first"]].tolist() == pytest.approx([6, 2, 20.0, 1])
    assert table.loc[3, "seen"] == pytest.approx(100 * 13 / 60) and table.loc[-1, ["pupils_all", "pupils"]].tolist() == [3, 1]


def test_without_spread_nothing_is_predicted():
    with pytest.raises(UnidentifiedError, match="pupils enough to see regression to the mean"):
        found({"a": (12, 1), "b": (12, 5)})
