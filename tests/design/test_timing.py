"""Support before, in and after the follow-up, in weeks by hand."""

import pandas as pd
import pytest

from evaluation.design import season_matched_windows, support_timing

WINDOWS = season_matched_windows()
TERMS = pd.DataFrame({"area_code": "all", "half_term": range(1, 19), "first_day": pd.date_range("2024-01-01", periods=18, freq="28D"),
                      "last_day": pd.date_range("2024-01-01", periods=18, freq="28D") + pd.Timedelta(days=27)})


def day(half_term: int, weeks: float = 0) -> pd.Timestamp:
    return TERMS["first_day"].iloc[half_term - 1] + pd.Timedelta(days=round(7 * weeks))


def table(*spans: tuple, **changes) -> pd.DataFrame:
    """Pupils of stack 8 with support from a day to another (exclusive; None: not ended); the follow-up is half-terms 10 to 12."""
    n = len(spans)
    cohort = pd.DataFrame({"stack": 8, "pupil_id": [f"p{i}" for i in range(n)], "area_code": "X", "half_terms_measured": 3, "started": True, "analysed": True, "entry": "first"})
    referrals = pd.DataFrame({"referral_id": [f"r{i}" for i in range(n)], "pupil_id": cohort["pupil_id"], "referral_date": day(9), "start_date": [s for s, _ in spans],
                              "end_date": [None if e is None else e - pd.Timedelta(days=1) for _, e in spans]})
    return support_timing(cohort.assign(**changes), referrals, TERMS, windows=WINDOWS).set_index("part")


def test_weeks_fall_before_in_and_after_the_follow_up():
    found = table((day(9, 2), day(11)), (day(9), day(9, 4)), (day(12), day(14)))
    assert found["weeks"].tolist() == pytest.approx([(2 + 4 + 0) / 3, (4 + 0 + 4) / 3, 4 / 3])
    assert found["pupils"].tolist() == [2, 2, 1] and found["share"].sum() == pytest.approx(100) and (found["of_pupils"] == 3).all()


def test_year_11s_follow_up_ends_earlier_and_support_without_an_end_runs_to_the_last_day():
    assert table((day(9), day(13)), half_terms_measured=2)["weeks"].tolist() == pytest.approx([4, 8, 4])
    found = table((day(17), None))
    assert found["weeks"].tolist() == pytest.approx([0, 0, 8]) and (found["open_ended"] == 1).all()


def test_an_area_with_a_calendar_of_its_own_is_measured_by_it():
    own = pd.concat([TERMS, TERMS.assign(area_code="X", first_day=TERMS["first_day"] + pd.Timedelta(days=7), last_day=TERMS["last_day"] + pd.Timedelta(days=7))])
    cohort = pd.DataFrame({"stack": [8], "pupil_id": ["p"], "area_code": "X", "half_terms_measured": 3, "started": True, "analysed": True, "entry": "first"})
    referrals = pd.DataFrame({"referral_id": ["r"], "pupil_id": ["p"], "referral_date": [day(9)], "start_date": [day(9)], "end_date": [day(11) - pd.Timedelta(days=1)]})
    assert support_timing(cohort, referrals, own, windows=WINDOWS)["weeks"].tolist() == pytest.approx([5, 3, 0])


def test_without_anyone_who_started_there_are_no_rows():
    assert table((day(9), day(10)), started=False).empty
