"""Official definitions beside this study's, by hand; suspensions, surveys and the lists of the stage."""

from datetime import date

import pandas as pd
import pytest
import tiny
from by_hand import DAYS, HALF_TERM, YEAR, enrolment, mark, take_whole

from evaluation.errors import DataError
from evaluation.registers.mark_patterns import code_mix, school_weeks, weekday_pattern
from evaluation.registers.reconciliation import ALL_ENROLMENTS, ANALYSIS, OFFICIAL, reconciliation_summary
from evaluation.registers.surveys import survey_scores

OLD = [d for d in DAYS if YEAR[d] == "2023/24"]
LAST = [d for d in OLD if HALF_TERM[d] == 6]
QUALITY = pd.DataFrame({"half_term": [1, 1, 2], "pupils": [3, 2, 4]})


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """A Year 11 pupil who is absent in the last half-term, a mover, one who joins in the last half-term, one who was never expected."""
    pupils = [enrolment("P1", year_group=11), enrolment("P2", end=OLD[9]), enrolment("P2", school="S2", start=OLD[10]), enrolment("P3", start=LAST[0]), enrolment("P4")]
    marks = [mark("P1", d, "AM", "I" if d in LAST else "/") for d in OLD]
    marks += [mark("P2", d, "AM", "O" if n < 4 else "/") for n, d in enumerate(OLD)]
    marks += [mark("P3", d, "AM", "I") for d in LAST] + [mark("P4", OLD[0], "AM", "X")]
    suspensions = [{"suspension_id": "X1", "pupil_id": "P1", "school_id": "S1", "start_date": OLD[0], "sessions": 4, "kind": "suspension", "reason": None},
                   {"suspension_id": "X2", "pupil_id": "P1", "school_id": "S1", "start_date": OLD[1], "sessions": 0, "kind": "permanent exclusion", "reason": None}]
    barriers = [{"barrier_id": "B1", "pupil_id": "P1", "barrier_type": "transport", "assessed_on": OLD[6], "resolved_on": None}]
    marks += [mark("P2", d, "PM", "E") for d in OLD[:2]]
    return take_whole(tmp_path_factory.mktemp("definitions"), pupils, marks, suspensions=suspensions, barriers=barriers)


def test_each_definition_by_hand(taken):
    table = taken["measure_reconciliation"].set_index("definition")
    official, every, own = (table.loc[name] for name in (OFFICIAL, ALL_ENROLMENTS, ANALYSIS))
    # 30 days; P1 25 without the last half-term; P2 10 days at S1 with two afternoons, 20 at S2; P3 only the last half-term; P4 none
    assert (official["units"], official["left_out_no_session"], official["left_out_late"]) == (3, 1, 1)
    assert (official["sessions_possible"], official["pooled_rate"]) == (25 + 12 + 20, pytest.approx(100 * 6 / 57))
    assert official["mean_rate"] == pytest.approx((0 + 50 + 0) / 3) and official["persistent_absence"] == pytest.approx(100 / 3) == official["severe_absence"]
    assert (every["units"], every["sessions_possible"], every["pooled_rate"]) == (4, 30 + 32 + 5, pytest.approx(100 * (5 + 6 + 5) / 67))
    assert (own["units"], own["sessions_possible"], own["pooled_rate"]) == (3, 67, pytest.approx(100 * 16 / 67))
    assert own["mean_rate"] == pytest.approx((100 * 5 / 30 + 100 * 6 / 32 + 100) / 3)
    assert own["persistent_absence"] == 100.0 and own["severe_absence"] == pytest.approx(100 / 3)


def test_suspensions_stand_beside_the_register(taken):
    table = taken["suspension_counts"].set_index(["pupil_id", "half_term"])
    assert table.loc[("P1", 1)].tolist() == [1, 1, 4, 0] and table.loc[("P2", 1)].tolist() == [0, 0, 0, 2] and len(table) == 2


def test_lists_follow_from_their_extracts(taken):
    barrier = taken["barrier_list"].iloc[0]
    assert (barrier["barrier_type"], barrier["assessed_half_term"], bool(barrier["resolved"])) == ("transport", 2, False)
    assert taken["programme_list"]["programme"].tolist() == ["Attendance hub"] and set(taken["school_list"]["inspection_judgement"].dropna()) == {"good"}


def test_patterns_count_each_mark_once(taken):
    marks = taken["mark_counts"]
    assert marks["sessions"].sum() == taken["intake_counts"].set_index("table").loc["marks", "rows_accepted"]
    mix = code_mix(marks).set_index("code")
    assert mix.loc["E", "sessions"] == 2 and mix.loc["I", "sessions"] == 10 and mix.loc["I", "share"] == pytest.approx(100 * 10 / 67) and "X" not in mix.index
    pattern = weekday_pattern(marks, QUALITY).set_index(["weekday", "session"])
    assert pattern.loc[("Monday", "PM"), "absence_rate"] == 100.0 and pattern["sessions_possible"].sum() == 67
    assert pattern["pupils"].eq(4).all(), "the half-term with the fewest pupils, areas together"
    weeks = school_weeks(taken["register_weeks"], taken["school_list"])
    assert weeks["sessions_marked"].sum() == marks["sessions"].sum()
    first = weeks.set_index(["school_id", "week"]).loc[("S1", pd.Timestamp("2023-09-04"))]
    assert (first["sessions_expected"], first["sessions_marked"]) == (3 * 10, 5 + 7 + 1), "P1, P2 and P4 are on roll; P3 is not yet"


def test_a_summary_of_no_totals_has_no_rows(taken):
    assert len(taken["absence_reconciliation"]) == 0 and len(reconciliation_summary(taken["absence_reconciliation"])) == 0


def scales(**changes) -> pd.DataFrame:
    rows = [{"scale": "engagement", "item": item, "reverse": item == "b", "lowest": 1, "highest": 5, "minimum_items": 2, **changes.get(item, {})} for item in "abc"]
    return pd.DataFrame(rows)


def answers(*given: tuple[str, str, int | None]) -> pd.DataFrame:
    return pd.DataFrame([{"pupil_id": p, "wave": "baseline", "answered_on": pd.Timestamp("2024-01-09"), "scale": "engagement", "item": i, "response": r} for p, i, r in given]).astype(
        {"response": "Int64"})


def test_items_scored_in_reverse_are_turned_and_too_few_answers_give_no_score():
    table = survey_scores(answers(("P1", "a", 5), ("P1", "b", 1), ("P1", "c", 4), ("P2", "a", 2), ("P2", "b", 2), ("P2", "c", None), ("P3", "a", 3), ("P3", "b", None)), scales())
    by_pupil = table.set_index("pupil_id")
    assert by_pupil.loc["P1", "score"] == pytest.approx((5 + 5 + 4) / 3) and by_pupil.loc["P2", "score"] == (2 + 4) / 2
    assert pd.isna(by_pupil.loc["P3", "score"]) and by_pupil["items_answered"].to_dict() == {"P1": 3, "P2": 2, "P3": 1}


def test_a_scale_whose_items_have_different_ranges_is_refused():
    with pytest.raises(DataError, match="differ in lowest, highest or minimum_items"):
        survey_scores(answers(("P1", "a", 5)), scales(b={"highest": 7}))


def test_the_tiny_calendar_is_what_these_tests_count_on():
    assert len(OLD) == 30 and len(LAST) == 5 and tiny.WEEKS[0] == "2023-09-04" and date(2023, 9, 4) == OLD[0]


def test_where_everyone_is_always_present_no_code_is_listed():
    marks = pd.DataFrame({"academic_year": "2023/24", "weekday": [1, 1], "session": ["AM", "PM"], "code": ["/", "\\"], "class": "attending", "sessions": [3, 4]})
    assert len(code_mix(marks)) == 0 and weekday_pattern(marks, QUALITY)["absence_rate"].tolist() == [0.0, 0.0]
    assert len(code_mix(marks.iloc[:0])) == 0 and len(weekday_pattern(marks.iloc[:0], QUALITY)) == 0
