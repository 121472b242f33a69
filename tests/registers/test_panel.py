"""The panel by hand: a few pupils whose every session is written out."""

import duckdb
import pandas as pd
import pytest

from evaluation.registers.panel import PANEL_COLUMNS, build_panel, count_sessions, load_codes, tally_marks

DAYS = {12: ["2024-07-08", "2024-07-09", "2024-07-10", "2024-07-11", "2024-07-12", *(f"2024-07-{day}" for day in (15, 16, 17, 18, 19, 22))], 13: ["2024-09-03", "2024-09-04", "2024-09-05", "2024-09-06", "2024-09-09"]}
YEARS = {12: "2023/24", 13: "2024/25"}


def panel_of(marks: dict[tuple[str, int], str]) -> pd.DataFrame:
    """The panel of pupils whose codes of a half-term are given as words, AM and PM in turn from the first day."""
    rows = []
    for (pupil, half_term), codes in marks.items():
        for place, code in enumerate(codes.split()):
            rows.append((pupil, DAYS[half_term][place // 2], "AM" if place % 2 == 0 else "PM", code))
    with duckdb.connect() as con:
        load_codes(con)
        con.execute("CREATE TABLE marks (pupil_id VARCHAR, date DATE, session VARCHAR, code VARCHAR)")
        con.executemany("INSERT INTO marks VALUES (?, ?, ?, ?)", rows)
        con.execute("CREATE TABLE days (date DATE, half_term BIGINT, academic_year VARCHAR, slot BIGINT)")
        con.executemany("INSERT INTO days VALUES (?, ?, ?, ?)", [(day, h, YEARS[h], 2 * i) for h, days in DAYS.items() for i, day in enumerate(days)])
        tally_marks(con, "marks")
        counts = count_sessions(con)
    pupils = sorted({pupil for pupil, _ in marks})
    enrolments = pd.DataFrame([(p, y, "S1", 9) for p in pupils for y in YEARS.values()], columns=["pupil_id", "academic_year", "school_id", "year_group"])
    schools = pd.DataFrame({"school_id": ["S1"], "area_code": ["A1"]})
    terms = pd.DataFrame({"half_term": [12, 13], "academic_year": list(YEARS.values()), "sessions_open": [10, 10]})
    return build_panel(counts, enrolments, schools, terms).set_index(["pupil_id", "half_term"])


def test_every_code_lands_in_its_count():
    row = panel_of({("P1", 12): "/ \\ L B I O C U E -", ("P1", 13): "/ \\ L K C2 G C1 U D -"})
    before, since = row.loc[("P1", 12)], row.loc[("P1", 13)]
    assert (before["sessions_possible"], before["sessions_attended"], before["sessions_authorised"], before["sessions_unauthorised"]) == (9, 4, 3, 2)
    assert (before["sessions_approved_activity"], before["sessions_late"], before["sessions_suspended"], before["sessions_late_after_close"]) == (1, 1, 1, 1)
    assert (before["sessions_no_mark"], before["sessions_not_possible"], before["sessions_c2"]) == (1, 0, 0)
    assert (since["sessions_possible"], since["sessions_attended"], since["sessions_authorised"], since["sessions_unauthorised"]) == (8, 4, 2, 2)
    assert (since["sessions_no_mark"], since["sessions_not_possible"], since["sessions_c2"]) == (1, 1, 1)
    assert before["absence_rate"] == pytest.approx(100 * 5 / 9) and since["absence_rate"] == 50.0
    assert list(row.reset_index().columns) == list(PANEL_COLUMNS)


def test_an_interview_moves_from_attending_to_absent_but_not_when_harmonised():
    row = panel_of({("P1", 12): "J \\ / \\", ("P1", 13): "J1 \\ / \\"})
    assert row["absence_rate"].tolist() == [0.0, 25.0]
    assert row["harmonised_absence_rate"].tolist() == [0.0, 0.0]
    assert row["harmonised_possible"].tolist() == [4, 4]


@pytest.mark.parametrize(("absent", "persistent", "severe"), [(0, False, False), (1, True, False), (4, True, False), (5, True, True), (10, True, True)])
def test_the_thresholds_include_their_own_value(absent, persistent, severe):
    row = panel_of({("P1", 12): " ".join(["I"] * absent + ["/"] * (10 - absent))}).loc[("P1", 12)]
    assert bool(row["persistent_absence"]) is persistent and bool(row["severe_absence"]) is severe


def test_nine_and_a_half_per_cent_is_not_persistent():
    row = panel_of({("P1", 12): " ".join(["I"] * 2 + ["/"] * 18), ("P2", 12): " ".join(["I"] * 2 + ["/"] * 19)})
    assert row["sessions_possible"].tolist() == [20, 21]
    assert bool(row.loc[("P1", 12), "persistent_absence"]) is True
    assert bool(row.loc[("P2", 12), "persistent_absence"]) is False


def test_without_a_possible_session_there_is_no_rate():
    row = panel_of({("P1", 12): "- - D X Z #"}).loc[("P1", 12)]
    assert row["sessions_possible"] == 0 and row["sessions_not_possible"] == 4 and row["sessions_no_mark"] == 2
    assert pd.isna(row["absence_rate"]) and pd.isna(row["persistent_absence"]) and pd.isna(row["severe_absence"]) and pd.isna(row["harmonised_absence_rate"])


def test_the_order_of_rows_does_not_matter():
    marks = {("P2", 13): "I O / \\", ("P1", 12): "/ \\ L U", ("P1", 13): "C2 C / -"}
    pd.testing.assert_frame_equal(panel_of(marks).sort_index(), panel_of(dict(reversed(marks.items()))).sort_index())
