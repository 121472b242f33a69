"""Completeness, bands and mixes of marks by hand."""

import pandas as pd
import pytest

from evaluation.registers.grid import school_grid
from evaluation.registers.lists import calendar_used
from evaluation.registers.quality import absence_by_half_term, annual_absence, annual_bands, completeness_by_area, mark_mix, register_quality, register_weeks, reject_summary
from evaluation.registers.register_counts import Counted

SCHOOLS = pd.DataFrame({"school_id": ["S1", "S2"], "area_code": ["A1", "A2"], "area_name": ["North", "South"]})


def panel_row(pupil: str, half_term: int, possible: int, authorised: int, unauthorised: int, no_mark: int = 0, c2: int = 0, school: str = "S1") -> dict:
    area = SCHOOLS.set_index("school_id").loc[school, "area_code"]
    return {"pupil_id": pupil, "half_term": half_term, "academic_year": "2023/24" if half_term <= 12 else "2024/25", "school_id": school, "area_code": area,
            "sessions_possible": possible, "sessions_attended": possible - authorised - unauthorised, "sessions_authorised": authorised,
            "sessions_unauthorised": unauthorised, "sessions_not_possible": 0, "sessions_no_mark": no_mark, "sessions_c2": c2}


PANEL = pd.DataFrame([
    panel_row("P1", 11, 100, 4, 0), panel_row("P1", 12, 100, 0, 16),
    panel_row("P2", 11, 100, 60, 0), panel_row("P2", 12, 100, 0, 40, school="S1"),
    panel_row("P3", 11, 100, 2, 1, school="S2"), panel_row("P3", 13, 100, 8, 2, c2=3, school="S2"),
    panel_row("P4", 12, 0, 0, 0, no_mark=10, school="S2"),
])  # fmt: skip


def test_annual_rates_use_the_pupils_own_year_and_include_the_threshold():
    table = annual_absence(PANEL, SCHOOLS).set_index(["academic_year", "area_name"])
    north = table.loc[("2023/24", "North")]
    assert (north["pupils"], north["persistent_absence"], north["severe_absence"]) == (2, 100.0, 50.0)
    assert north["absence_rate"] == pytest.approx(100 * 120 / 400)
    south = table.loc[("2023/24", "South")]
    assert (south["pupils"], south["persistent_absence"], south["absence_rate"]) == (1, 0.0, 3.0), "a pupil without a possible session is not counted"
    assert table.loc[("2023/24", "All areas"), "pupils"] == 3 and table.loc[("2024/25", "All areas"), "persistent_absence"] == 100.0


def test_bands_hold_each_pupil_once():
    table = annual_bands(PANEL)
    year = table.loc[table["academic_year"] == "2023/24"].set_index("band")["pupils"]
    assert year.to_dict() == {"Below 5%": 1, "5% to below 10%": 0, "10% to below 20%": 1, "20% to below 50%": 0, "50% or more": 1}
    assert table.groupby("academic_year")["share"].sum().tolist() == pytest.approx([100.0, 100.0])


def counted(**changes) -> tuple:
    """P1 on roll for two days and P2 for the first of them, at a school whose calendar is of its own area."""
    days = pd.DataFrame({"date": pd.to_datetime(["2024-06-03", "2024-06-04", "2024-09-03", "2024-09-04"]), "academic_year": ["2023/24"] * 2 + ["2024/25"] * 2,
                         "half_term": [12, 12, 13, 13], "term": "x", "school_day": True})
    pupils = pd.DataFrame({"pupil_id": ["P1", "P2"], "academic_year": "2023/24", "school_id": "S1", "enrolment_start": pd.to_datetime("2023-09-01"),
                           "enrolment_end": pd.to_datetime([None, "2024-06-03"]), "enrolment_status": None})
    panel = pd.DataFrame([panel_row("P1", 12, 3, 1, 0, no_mark=1), panel_row("P2", 12, 2, 0, 0)])
    marked = pd.DataFrame({"school_id": ["S1"], "week": pd.to_datetime(["2024-06-03"]), "half_term": [12], "sessions_marked": [5]})
    made = Counted(panel, panel, marked, pd.DataFrame(), True, changes.pop("by_school", True))
    return made, pupils.assign(**changes), school_grid(days)


CALENDARS = SCHOOLS[["school_id", "area_code"]].assign(calendar="all")


def quality() -> pd.DataFrame:
    made, pupils, grid = counted()
    return register_quality(made, register_weeks(made, pupils, CALENDARS, grid), calendar_used(grid), SCHOOLS)


def test_the_subsidiary_school_is_expected_to_keep_a_register_only_where_marks_name_their_school():
    for by_school, expected in ((True, 6), (False, 4)):
        made, pupils, grid = counted(by_school=by_school, enrolment_status=["main", "subsidiary"])
        assert register_weeks(made, pupils, CALENDARS, grid)["sessions_expected"].tolist() == [expected]


def test_sessions_are_expected_on_school_days_on_roll_alone():
    row = quality().set_index(["area_code", "half_term"]).loc[("A1", 12)]
    assert row["sessions_expected"] == 6, "four of the pupil who stays, two of the one who leaves after the first day"
    assert (row["sessions_marked"], row["sessions_no_mark"], row["pupils"]) == (5, 1, 2)
    assert row["completeness"] == pytest.approx(100 * 5 / 6) and row["absence_rate"] == 20.0


def test_thin_half_terms_are_counted_below_the_floor_alone():
    assert completeness_by_area(quality(), 83.0)["thin_half_terms"].tolist() == [0]
    poorest = completeness_by_area(quality(), 84.0).iloc[0]
    assert (poorest["thin_half_terms"], poorest["lowest_half_term"], poorest["area_name"]) == (1, 12, "North")


def test_part_time_timetables_are_shown_apart_from_authorised_absence():
    columns = ["half_term", "academic_year", "sessions_possible", "sessions_attended", "sessions_authorised", "sessions_unauthorised",
               "sessions_not_possible", "sessions_no_mark", "sessions_c2"]
    mix = mark_mix(PANEL[columns]).set_index("half_term")
    assert mix.loc[13, ["authorised", "unauthorised", "part_time"]].tolist() == [5.0, 2.0, 3.0]
    assert mix.loc[12, "part_time"] == 0.0


def test_absence_by_half_term_says_how_many_pupils_and_how_many_on_a_part_time_timetable():
    by_area = PANEL.groupby(["half_term", "academic_year"], as_index=False).sum(numeric_only=True).assign(pupils=PANEL.groupby("half_term").size().to_numpy())
    mix = absence_by_half_term(by_area, PANEL).set_index("half_term")
    assert mix["pupils"].to_dict() == PANEL.groupby("half_term").size().to_dict()
    assert mix["part_time_pupils"].to_dict() == {h: int((rows["sessions_c2"].fillna(0) > 0).sum()) for h, rows in PANEL.groupby("half_term")}
    assert mix.loc[13, "part_time_pupils"] >= 1 and mix.loc[12, "part_time_pupils"] == 0


def test_rejects_are_counted_by_row():
    rejects = pd.DataFrame({"table": "pupils", "file": "pupils.csv", "file_row": [1, 1, 2, 3], "column": ["sex", "fsm", "sex", "sex"],
                            "rule": "missing", "value": None, "mend": "supply the value"})
    assert reject_summary(rejects)[["column", "rows"]].to_numpy().tolist() == [["sex", 3], ["fsm", 1]]
    assert len(reject_summary(rejects.iloc[:0])) == 0
