"""The default school calendar, and half-terms as one ordered integer."""

from datetime import date

import pandas as pd
import pytest

from evaluation.registers.calendar import default_calendar, half_term_of, half_terms, school_days


@pytest.fixture(scope="module")
def calendar():
    return default_calendar()


def test_six_half_terms_a_year_counted_through_the_study(calendar):
    table = half_terms(calendar)
    assert table["half_term"].tolist() == list(range(1, 19))
    assert table["academic_year"].tolist() == ["2022/23"] * 6 + ["2023/24"] * 6 + ["2024/25"] * 6
    assert table["term"].tolist() == ["autumn", "autumn", "spring", "spring", "summer", "summer"] * 3
    assert table["half"].tolist() == [1, 2] * 9
    assert (table["first_day"].iloc[1:].to_numpy() > table["last_day"].iloc[:-1].to_numpy()).all()


def test_190_days_a_year_none_on_a_weekend_or_bank_holiday(calendar):
    days = school_days(calendar)
    assert days.groupby("academic_year").size().tolist() == [190, 190, 190]
    assert days["date"].dt.day_of_week.max() == 4 and days["date"].is_unique
    shut = pd.to_datetime(["2022-09-19", "2022-12-26", "2023-01-02", "2023-04-07", "2023-05-01", "2023-05-08", "2024-03-29", "2024-05-06",
                           "2025-04-21", "2025-05-05", "2025-05-26"])
    assert not days["date"].isin(shut).any()
    assert (half_terms(calendar)["sessions_open"] == 2 * half_terms(calendar)["school_days"]).all()


def test_the_code_change_falls_between_half_terms_12_and_13(calendar):
    table = half_terms(calendar).set_index("half_term")
    assert table.loc[12, "last_day"] < pd.Timestamp("2024-08-19") < table.loc[13, "first_day"]


def test_a_day_between_half_terms_counts_to_the_next(calendar):
    table = half_terms(calendar)
    assert half_term_of(date(2023, 1, 23), table) == 3
    assert half_term_of(date(2023, 2, 14), table) == 4
    assert half_term_of(date(2023, 8, 20), table) == 7
    assert half_term_of(date(2025, 8, 20), table) is None
