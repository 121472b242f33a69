"""The panel by hand, and against an independent count of the same marks."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from by_hand import DAYS, YEAR, account, count_by_hand, enrolment, mark, marks_of_week, rejects, take, take_whole
from test_codes import BEFORE_AND_FROM, FIRST_FROM

from evaluation.registers.panel import PANEL_COLUMNS

BEFORE, SINCE = date(2024, 6, 3), date(2024, 9, 2)  # first days of half-terms 6 and 7 of the tiny calendar
COLUMN_OF = {
    "sessions_authorised": "authorised_absence", "sessions_unauthorised": "unauthorised_absence", "sessions_not_possible": "not_possible",
    "sessions_no_mark": "no_mark", "sessions_approved_activity": "approved_educational_activity", "sessions_c2": "C2", "sessions_late": "L",
    "sessions_suspended": "E", "sessions_late_after_close": "U", "sessions_medical": "M", "sessions_illness": "I", "harmonised_absent": "harmonised_absent",
}  # fmt: skip


def both_years(*pupils: str, school: str = "S1", year_group: int = 9) -> list[dict]:
    return [enrolment(p, year, school, year_group=year_group) for p in pupils for year in ("2023/24", "2024/25")]


def panel_of(folder, words: dict[tuple[str, date], str]) -> pd.DataFrame:
    """The panel of pupils whose codes are given as words from the first day of a half-term."""
    pupils = sorted({pupil for pupil, _ in words})
    marks = [row for (pupil, first), codes in words.items() for row in marks_of_week(pupil, first, codes)]
    return take(folder, both_years(*pupils), marks)["panel"].set_index(["pupil_id", "half_term"])


def test_every_code_lands_in_its_count(tmp_path):
    row = panel_of(tmp_path, {("P1", BEFORE): "/ \\ L B I O C U E -", ("P1", SINCE): "/ \\ L K C2 G C1 U D -"})
    before, since = row.loc[("P1", 6)], row.loc[("P1", 7)]
    assert (before["sessions_possible"], before["sessions_attended"], before["sessions_authorised"], before["sessions_unauthorised"]) == (9, 4, 3, 2)
    assert (before["sessions_approved_activity"], before["sessions_late"], before["sessions_suspended"], before["sessions_late_after_close"]) == (1, 1, 1, 1)
    assert (before["sessions_no_mark"], before["sessions_not_possible"], before["sessions_c2"]) == (1, 0, 0)
    assert (since["sessions_possible"], since["sessions_attended"], since["sessions_authorised"], since["sessions_unauthorised"]) == (8, 4, 2, 2)
    assert (since["sessions_no_mark"], since["sessions_not_possible"], since["sessions_c2"]) == (1, 1, 1)
    assert before["absence_rate"] == 100 * 5 / 9 and since["absence_rate"] == 50.0
    assert (before["sessions_off_site"], since["sessions_off_site"]) == (1, 1), "B before, K since"
    assert list(row.reset_index().columns) == list(PANEL_COLUMNS)


@pytest.mark.parametrize("since", [False, True], ids=["before", "from"])
def test_each_code_alone_on_each_side_of_the_change(tmp_path, since):
    """One pupil a code; codes that were not in use are rejected and leave no session."""
    codes = list(BEFORE_AND_FROM)
    pupils = {code: f"P{i:02d}" for i, code in enumerate(codes)}
    first = SINCE if since else BEFORE
    taken = take(tmp_path, both_years(*pupils.values()), [mark(pupils[c], first, "AM", c) for c in codes])
    panel = taken["panel"].set_index("pupil_id")
    for code, pupil in pupils.items():
        kind = BEFORE_AND_FROM[code][since]
        if kind is None:
            assert pupil not in panel.index
            continue
        row = panel.loc[pupil]
        expected = {"sessions_attended": kind in ("attending", "approved_educational_activity"), "sessions_authorised": kind == "authorised_absence",
                    "sessions_unauthorised": kind == "unauthorised_absence", "sessions_not_possible": kind == "not_possible", "sessions_no_mark": kind == "no_mark",
                    "sessions_approved_activity": kind == "approved_educational_activity", "sessions_c2": code == "C2", "sessions_late": code == "L",
                    "sessions_suspended": code == "E", "sessions_late_after_close": code == "U", "sessions_off_site": code in "BK",
                    "sessions_medical": code == "M", "sessions_illness": code == "I"}
        assert {name: int(row[name]) for name in expected} == {name: int(value) for name, value in expected.items()}, code
    rules = {row["value"].split(" on ")[0]: row["rule"] for _, row in taken["intake_rejects"].iterrows()}
    name = "outdated code" if since else "code not yet in use"
    assert rules == {code: name for code in codes if BEFORE_AND_FROM[code][since] is None}


def test_an_interview_moves_from_attending_to_absent_but_not_when_harmonised(tmp_path):
    row = panel_of(tmp_path, {("P1", BEFORE): "J \\ / \\", ("P1", SINCE): "J1 \\ / \\"})
    assert row["absence_rate"].tolist() == [0.0, 25.0]
    assert row["harmonised_absence_rate"].tolist() == [0.0, 0.0]
    assert row["harmonised_possible"].tolist() == [4, 4]


def test_the_thresholds_include_their_own_value(tmp_path):
    absent = {"P0": 0, "P1": 1, "P4": 4, "P5": 5, "P10": 10}
    row = panel_of(tmp_path, {(p, BEFORE): " ".join(["I"] * n + ["/"] * (10 - n)) for p, n in absent.items()})
    assert {p: (bool(row.loc[(p, 6), "persistent_absence"]), bool(row.loc[(p, 6), "severe_absence"])) for p in absent} == {
        "P0": (False, False), "P1": (True, False), "P4": (True, False), "P5": (True, True), "P10": (True, True)}


def test_without_a_possible_session_there_is_no_rate(tmp_path):
    row = panel_of(tmp_path, {("P1", BEFORE): "- - D X Z #"}).loc[("P1", 6)]
    assert row["sessions_possible"] == 0 and row["sessions_not_possible"] == 4 and row["sessions_no_mark"] == 2
    assert pd.isna(row["absence_rate"]) and pd.isna(row["persistent_absence"]) and pd.isna(row["severe_absence"]) and pd.isna(row["harmonised_absence_rate"])


def random_register(named: bool, seed: int) -> tuple[list[dict], list[dict]]:
    """Pupils of every kind (one school, moved, returned, at two schools) with a mark of random code for most sessions, in random order."""
    rng = np.random.default_rng(seed)
    codes = {since: [c for c, kinds in BEFORE_AND_FROM.items() if kinds[since] and c != "D"] for since in (False, True)}
    middle = {year: [d for d in DAYS if YEAR[d] == year][12] for year in ("2023/24", "2024/25")}
    pupils, marks = [], []
    for number in range(24):
        pupil, kind = f"P{number:02d}", number % 4
        for year in ("2023/24", "2024/25"):
            days = [d for d in DAYS if YEAR[d] == year]
            after = days[days.index(middle[year]) + 1]
            first, second = (("S1", "S2"), ("S2", "S1"))[number % 2]
            spells = {0: [(first, None, None, None)], 1: [(first, None, middle[year], None), (second, after, None, None)],
                      2: [(first, None, days[7], None), (second, days[8], middle[year], None), (first, after, None, None)],
                      3: [(first, None, None, "main"), (second, days[3], days[20], "subsidiary")]}[kind]
            pupils += [enrolment(pupil, year, school, start, end, status) for school, start, end, status in spells]
            for day in days:
                here = [school for school, start, end, _ in spells if (start is None or start <= day) and (end is None or day <= end)]
                for session in ("AM", "PM"):
                    if rng.random() < 0.1:
                        continue
                    code = str(rng.choice(codes[day >= FIRST_FROM]))
                    real = here[int(rng.integers(len(here)))] if named else here[0]
                    marks.append(mark(pupil, day, session, code, real if named else None))
                    if named and len(here) > 1 and rng.random() < 0.8:
                        marks.append(mark(pupil, day, session, "D", next(s for s in here if s != real)))
    return pupils, [marks[i] for i in rng.permutation(len(marks))]


@pytest.mark.parametrize("named", [True, False], ids=["marks name their school", "marks do not"])
def test_the_panel_is_an_independent_count_of_the_same_marks(tmp_path, named):
    pupils, marks = random_register(named, seed=3)
    taken = take_whole(tmp_path, pupils, marks, tolerance=0.0)
    panel, expected = taken["panel"].set_index(["pupil_id", "half_term"]), count_by_hand(pupils, marks)
    assert set(panel.index) == set(expected) and account(taken) == (len(marks), 0, 0)
    for key, cell in expected.items():
        row = panel.loc[key]
        assert {name: int(row[name]) for name in COLUMN_OF} == {name: cell[kind] for name, kind in COLUMN_OF.items()}, key
        assert row["sessions_attended"] == cell["attending"] + cell["approved_educational_activity"] and row["sessions_off_site"] == cell["B"] + cell["K"]
        possible = row["sessions_attended"] + cell["authorised_absence"] + cell["unauthorised_absence"]
        assert row["sessions_possible"] == possible and row["harmonised_possible"] == cell["harmonised_attended"] + cell["harmonised_absent"]
        assert possible == 0 or row["absence_rate"] == 100 * (cell["authorised_absence"] + cell["unauthorised_absence"]) / possible
        assert row["school_id"] in cell["schools"], key


def test_a_mover_is_one_row_at_the_school_with_most_possible_sessions(tmp_path):
    week = [d for d in DAYS if YEAR[d] == "2023/24"][:5]
    pupils = [enrolment("P1", school="S1", end=week[1]), enrolment("P1", school="S2", start=week[2])]
    marks = [mark("P1", d, s, "/" if s == "AM" else "\\") for d in week for s in ("AM", "PM")]
    taken = take_whole(tmp_path, pupils, marks)
    row = taken["panel"].iloc[0]
    assert len(taken["panel"]) == 1 and row["school_id"] == "S2" and row["area_code"] == "E08000017" and row["sessions_possible"] == 10
    marks[4:] = [{**m, "code": "X"} for m in marks[4:]]
    again = take(tmp_path / "again", pupils, marks)["panel"].iloc[0]
    assert again["school_id"] == "S1" and (again["sessions_possible"], again["sessions_not_possible"]) == (4, 6)
    used = taken["enrolments"].iloc[0]
    assert len(taken["enrolments"]) == 1 and (used["school_id"], used["schools"], used["first_half_term"], used["last_half_term"]) == ("S1", 2, 1, 6)


def test_ties_go_to_the_main_registration_then_to_the_earlier(tmp_path):
    first, second = DAYS[:2]
    marks = [mark("P1", first, s, "/", "S2") for s in ("AM", "PM")] + [mark("P1", second, s, "/", "S1") for s in ("AM", "PM")]
    dual = [enrolment("P1", school="S1", status="main"), enrolment("P1", school="S2", status="subsidiary")]
    assert take(tmp_path / "dual", dual, marks)["panel"]["school_id"].tolist() == ["S1"]
    moved = [enrolment("P1", school="S2", end=first), enrolment("P1", school="S1", start=second)]
    assert take(tmp_path / "moved", moved, marks)["panel"]["school_id"].tolist() == ["S2"]


def test_a_session_marked_d_beside_a_real_mark_counts_once(tmp_path):
    dual = [enrolment("P1", school="S1", status="main"), enrolment("P1", school="S2", status="subsidiary")]
    day = DAYS[0]
    marks = [mark("P1", day, "AM", "/", "S1"), mark("P1", day, "AM", "D", "S2"), mark("P1", day, "PM", "D", "S1"), mark("P1", day, "PM", "D", "S2")]
    taken = take(tmp_path, dual, marks)
    row = taken["panel"].iloc[0]
    assert (row["sessions_possible"], row["sessions_not_possible"]) == (1, 1), "D at both schools is one session that was not possible"
    assert account(taken) == (4, 0, 0) and rejects(taken) == []


def test_a_half_term_that_crosses_the_code_change_keeps_both_classes(tmp_path):
    import tiny

    odd = [{**row, "date": day} for row, day in zip([r for r in tiny.calendar() if r["half_term"] == 6], pd.date_range("2024-08-15", periods=5).date, strict=True)]
    calendar = [r for r in tiny.calendar() if r["half_term"] != 6] + [{**r, "date": r["date"]} for r in odd]
    marks = [mark("P1", date(2024, 8, 16), "AM", "J"), mark("P1", date(2024, 8, 19), "AM", "J1")]
    taken = take(tmp_path, both_years("P1"), marks, calendar=calendar)
    row = taken["panel"].iloc[0]
    assert rejects(taken) == [] and (row["half_term"], row["sessions_attended"], row["sessions_authorised"], row["harmonised_absent"]) == (6, 1, 1, 0)


def test_authorities_with_different_half_terms_are_counted_by_their_own(tmp_path):
    """In Doncaster the first half-term is a day longer: its schools are closed on the last day of the others' second."""
    import tiny

    every, own = tiny.calendar(), tiny.calendar()
    second = [r for r in own if r["half_term"] == 2]
    second[0].update(half_term=1)
    second[-1].update(half_term=None, term=None, school_day=False, note="training day")
    calendar = [{**r, "area_code": "all"} for r in every] + [{**r, "area_code": "E08000017"} for r in own]
    days = [d for d in DAYS if YEAR[d] == "2023/24"][:10]
    pupils = [enrolment("P1"), enrolment("P2", school="S2"), enrolment("P3", end=days[6]), enrolment("P3", school="S2", start=days[7])]
    marks = [mark(p, d, "AM", "I" if d == days[5] else "/") for p in ("P1", "P2", "P3") for d in days]
    taken = take_whole(tmp_path, pupils, marks, calendar=calendar)
    assert rejects(taken) == [(20, "date", "in the school holidays"), (30, "date", "in the school holidays")]
    rows = taken["panel"].set_index(["pupil_id", "half_term"])[["sessions_possible", "sessions_authorised", "sessions_open"]]
    assert rows.loc[("P1", 1)].tolist() == [5, 0, 10] and rows.loc[("P1", 2)].tolist() == [5, 1, 10]
    assert rows.loc[("P2", 1)].tolist() == [6, 1, 12] and rows.loc[("P2", 2)].tolist() == [3, 0, 6]
    assert rows.loc[("P3", 1)].tolist() == [5, 0, 10] and rows.loc[("P3", 2), "sessions_possible"] == 4
    used = taken["calendar_used"].set_index(["area_code", "half_term"])["school_days"]
    assert (used["all", 1], used["E08000017", 1], used["E08000017", 2]) == (5, 6, 3)


def test_an_authority_whose_own_calendar_lacks_a_year_is_refused(tmp_path):
    import tiny

    from evaluation.errors import DataError

    calendar = [{**r, "area_code": "all"} for r in tiny.calendar()] + [{**r, "area_code": "E06000002"} for r in tiny.calendar() if r["academic_year"] == "2023/24"]
    with pytest.raises(DataError, match="the calendar of area E06000002 has no school day in 2024/25, when its schools have pupils"):
        take_whole(tmp_path, both_years("P1"), [mark("P1", DAYS[0], "AM", "/")], calendar=calendar)
