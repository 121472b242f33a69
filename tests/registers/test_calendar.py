"""The default school calendar, and half-terms as one ordered integer."""

from datetime import date

import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.registers.calendar import STRIKE_DAYS, bank_holidays, default_calendar, half_term_of, half_terms, school_days, working_days
from evaluation.registers.grid import MOST_DAYS, school_grid


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


@pytest.fixture(scope="module")
def long_calendar():
    return default_calendar(2021, 2025)


def test_five_years_of_six_half_terms_and_190_days(long_calendar):
    table = half_terms(long_calendar)
    assert table["half_term"].tolist() == list(range(1, 31)) and table["term"].tolist() == ["autumn", "autumn", "spring", "spring", "summer", "summer"] * 5
    days = school_days(long_calendar)
    assert days.groupby("academic_year").size().to_dict() == dict.fromkeys(("2021/22", "2022/23", "2023/24", "2024/25", "2025/26"), 190)
    assert days["date"].dt.day_of_week.max() == 4 and days["date"].is_unique and (table["first_day"].iloc[1:].to_numpy() > table["last_day"].iloc[:-1].to_numpy()).all()


def test_the_years_of_the_study_keep_their_numbers(calendar, long_calendar):
    study = half_terms(long_calendar).query("academic_year in ('2022/23', '2023/24', '2024/25')")
    own = half_terms(calendar)
    assert (study["half_term"].to_numpy() - 6 == own["half_term"].to_numpy()).all() and (study["first_day"].to_numpy() == own["first_day"].to_numpy()).all()


def test_bank_holidays_of_one_year_are_known(long_calendar):
    once = {date(2022, 6, 2): "Spring Bank Holiday", date(2022, 6, 3): "Platinum Jubilee", date(2022, 9, 19): "State Funeral", date(2023, 5, 8): "Coronation"}
    known = bank_holidays(2021, 2026)
    assert all(name in known[day] for day, name in once.items())
    shut = long_calendar.loc[~long_calendar["school_day"]].set_index("date")["note"]
    assert all(name in shut[pd.Timestamp(day)] for day, name in once.items())


def test_strike_days_stay_school_days_with_their_note(long_calendar):
    rows = long_calendar.set_index("date").loc[[pd.Timestamp(day) for day in STRIKE_DAYS]]
    assert rows["school_day"].all() and rows["note"].str.startswith("teachers' strike (").all() and len(rows) == 10
    assert long_calendar["note"].str.contains("strike").sum() == 10


def test_years_without_a_default_calendar_are_refused():
    for first, last in ((2020, 2022), (2025, 2026), (2024, 2023)):
        with pytest.raises(DataError, match="no default calendar"):
            default_calendar(first, last)


def test_working_days_leave_out_weekends_and_bank_holidays():
    assert working_days(date(2023, 5, 1), date(2023, 5, 8)) == 4, "two Mondays are bank holidays"
    assert working_days(date(2023, 12, 22), date(2024, 1, 2)) == 5 and working_days(date(2024, 3, 2), date(2024, 3, 3)) == 0
    assert working_days(date(2024, 3, 4), date(2024, 3, 4)) == 1 and working_days(date(2024, 3, 4), date(2024, 3, 1)) == 0


def authorities(calendar: pd.DataFrame, shift: int) -> pd.DataFrame:
    """The calendar of every area, and one of an authority whose second half-term begins some days later."""
    own = calendar.copy()
    second = own["half_term"].eq(2).fillna(False)
    first_days = own.loc[second, "date"].sort_values().head(shift).index
    own.loc[first_days, ["half_term", "term"]] = [1, "autumn"]
    return pd.concat([calendar.assign(area_code="all"), own.assign(area_code="E1")], ignore_index=True)


def test_half_terms_by_authority(calendar):
    grid = school_grid(authorities(calendar, 3))
    sizes = grid.openings.set_index(["calendar", "half_term"])["school_days"]
    assert sizes["E1", 1] == sizes["all", 1] + 3 and sizes["E1", 2] == sizes["all", 2] - 3
    assert grid.calendar_of("E1") == "E1" and grid.calendar_of("E2") == "all" and not grid.one_segment_per_half_term
    assert grid.days.groupby("segment").size().max() <= MOST_DAYS and not grid.grid.duplicated(["calendar", "segment"]).any()
    assert school_grid(calendar).one_segment_per_half_term


def test_an_area_without_a_calendar_is_refused(calendar):
    with pytest.raises(DataError, match="area E2 has no calendar"):
        school_grid(calendar.assign(area_code="E1")).calendar_of("E2")


@pytest.mark.parametrize(("change", "said"), [
    (lambda c: c.assign(half_term=c["half_term"].replace({3: 4, 4: 3})), "half-terms 3 and 4 overlap or are out of order"),
    (lambda c: c.assign(half_term=c["half_term"].replace({3: 30})), "half-term 30|half-terms 18 and 30|half-term 4 is out of order"),
    (lambda c: c.assign(half_term=c["half_term"].where(c["date"] != pd.Timestamp("2022-12-05"), 1)), "half-terms 1 and 2 overlap"),
    (lambda c: c.assign(academic_year=c["academic_year"].where(c["half_term"].ne(6).fillna(True) | (c["date"] < pd.Timestamp("2023-07-01")), "2023/24")), "in two academic years"),
    (lambda c: c.assign(school_day=False), "no day is a school day"),
    (lambda c: pd.concat([c.assign(area_code="all"), c.assign(area_code="E1", half_term=c["half_term"] + 1)]), "different academic years in different areas"),
])
def test_a_calendar_whose_half_terms_are_in_disorder_is_refused(calendar, change, said):
    with pytest.raises(DataError, match=said):
        school_grid(change(calendar))


@pytest.mark.parametrize(("half_term", "days", "term", "said"), [
    (5, None, "spring", "half-term 5 of 2022/23 is said to lie in the spring term"), (2, None, "spring", "half-term 4 of 2022/23 is said to lie in the spring term"),
    (3, None, "autumn", "half-term 3 of 2022/23 is said to lie in the autumn term"), (6, 3, "spring", "half-term 6 of 2022/23 lies in two terms"),
], ids=["three in spring", "spring too early", "three in autumn", "two terms"])
def test_terms_that_do_not_follow_two_by_two_are_refused(calendar, half_term, days, term, said):
    """Official figures leave out the second half of the summer term: with a wrong term they would keep it."""
    rows = calendar.index[calendar["half_term"].eq(half_term).fillna(False)][:days]
    spoilt = calendar.copy()
    spoilt.loc[rows, "term"] = term
    with pytest.raises(DataError, match=said):
        school_grid(spoilt)
