"""Pupils and schools before anything began, by hand."""

import pandas as pd
import pytest

from evaluation.design import baseline_table, build_cohort, school_selection, season_matched_windows
from small_trial import panel_of, referrals_of, school_list, section

SCHOOLS = school_list(X={"M1": 6, "M2": 6, "C1": None, "C2": None})


def cohort_of(absent: dict[str, list], referred: tuple = ("a",), schools: pd.DataFrame = SCHOOLS):
    places = {"a": "M1", "b": "M1", "d": "M2", "e": "C1", "f": "C1", "g": "C2"}
    panel, enrolments = panel_of({p: {"school": places[p], "absent": values} for p, values in absent.items()}, schools)
    referrals = referrals_of(*((p, places[p], 9, True) for p in referred))
    return build_cohort(panel, enrolments, schools, referrals, rules=section("cohort", minimum_schools_per_arm=2), windows=season_matched_windows())


def months(before: int, window: int = 12) -> list:
    """Absent of 60 in half-terms 1 to 5, then quiet but for the window 8."""
    return [before] * 5 + [2, 2, window] + [2] * 10


ABSENT = {"a": months(5, 30), "b": months(3), "d": months(5), "e": months(1), "f": months(1), "g": months(4)}


def test_pupils_by_arm_in_their_own_units():
    table = baseline_table(cohort_of(ABSENT).frame).set_index("characteristic")
    window = table.loc["window_absence_rate"]
    assert window[["referred", "mentored", "comparison"]].tolist() == pytest.approx([50, (50 + 20 + 20) / 3, 20]) and window["unit"] == "% of possible sessions"
    assert window[["referred_pupils", "mentored_pupils", "comparison_pupils"]].tolist() == [1, 3, 3]
    # Baseline of stack 8: half-terms 4, 5 and 6.
    assert table.loc["baseline_rate", "referred"] == pytest.approx(100 * (5 + 5 + 2) / 180)
    mentored = pd.Series([12, 8, 12]) * 100 / 180
    comparison = (4 + 4 + 10) / 3 * 100 / 180
    assert table.loc["baseline_rate", "mentored_difference"] == pytest.approx((mentored.mean() - comparison) / mentored.std(ddof=1))
    assert table.loc["sex_male", "mentored"] + 0 == pytest.approx(100 / 3) and table.loc["sex_male", "unit"] == "% of pupils"
    assert table.loc["persistent_before", "mentored"] == 0 and table.loc["idaci", "unit"] == "hundredths of the index"


def test_without_referred_pupils_their_column_is_empty():
    table = baseline_table(cohort_of(ABSENT, referred=()).frame)
    assert table["referred"].isna().all() and table["mentored"].notna().all() and table["referred_pupils"].eq(0).all()


def test_schools_count_once_each_over_the_half_terms_before_their_area_opened():
    schools = SCHOOLS.assign(trust=["T", None, "T", None], inspection_judgement=["good", "good", "good", None])
    table = school_selection(cohort_of(ABSENT, schools=schools), schools).query("design == 'within_area'").set_index("characteristic")
    # Half-terms 1 to 5; M1 has two pupils, absent 5 and 3 of 60, M2 one, absent 5 of 60.
    assert table.loc["absence_rate", ["mentored", "comparison"]].tolist() == pytest.approx([100 * (4 / 60 + 5 / 60) / 2, 100 * (1 / 60 + 4 / 60) / 2])
    assert table.loc["pupils", ["mentored", "comparison", "mentored_schools", "comparison_schools"]].tolist() == [1.5, 1.5, 2, 2]
    spread = (100 * 1 / 60) / 2**0.5
    assert table.loc["absence_rate", "difference"] == pytest.approx(100 * (4.5 / 60 - 2.5 / 60) / spread)
    assert table.loc["trust: in a trust", ["mentored", "comparison"]].tolist() == [50, 50]
    assert table.loc["inspection judgement: not known", ["mentored", "comparison"]].tolist() == [0, 50]
    assert pd.isna(table.loc["phase: secondary", "difference"])
