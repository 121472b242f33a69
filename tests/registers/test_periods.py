"""Totals in place of marks, and beside them."""

from datetime import date

import pandas as pd
import pytest
import tiny
from by_hand import DAYS, HALF_TERM, YEAR, enrolment, mark, section, take_whole, write

from evaluation.errors import DataError, UnidentifiedError
from evaluation.registers.dictionary import check_frame, load_table
from evaluation.registers.intake import take_in

OLD = [d for d in DAYS if YEAR[d] == "2023/24"]
PUPILS = [enrolment("P1", end=OLD[12]), enrolment("P1", school="S2", start=OLD[13]), enrolment("P2")]


def register() -> list[dict]:
    codes = "/ \\ I O B L C U E G".split()
    rows = []
    for n, d in enumerate(OLD):
        rows += [mark("P1", d, s, codes[(2 * n + i) % 10], "S1" if d <= OLD[12] else "S2") for i, s in enumerate(("AM", "PM"))]
        rows += [mark("P2", d, s, codes[(7 * n + i) % 10], "S1") for i, s in enumerate(("AM", "PM"))]
    return rows


def totals(kind: str = "half_term") -> list[dict]:
    """Totals of the same marks, counted one by one."""
    cells: dict[tuple, list[int]] = {}
    for row in register():
        period = HALF_TERM[row["date"]]
        cell = cells.setdefault((row["pupil_id"], row["school_id"], period if kind == "half_term" else (period + 1) // 2), [0, 0, 0])
        cell[0] += 1
        cell[1] += row["code"] in "ICE"
        cell[2] += row["code"] in "OUG"
    return [{"pupil_id": p, "school_id": s, "academic_year": "2023/24", "period_kind": kind, "period": n, "sessions_possible": a, "sessions_authorised": b,
             "sessions_unauthorised": c} for (p, s, n), (a, b, c) in cells.items()]


def without_marks(folder, periods, pupils=None, **others):
    write(folder, pupils or PUPILS, [mark("P1", OLD[0], "AM", "/")], absence_by_period=periods, **others)
    (folder / "marks.parquet").unlink()
    return take_in(folder, tiny.ROOT, section())


def test_totals_by_half_term_give_the_panel_that_the_marks_give(tmp_path):
    from_totals, from_marks = without_marks(tmp_path / "totals", totals()), take_whole(tmp_path / "marks", PUPILS, register())
    same = ["pupil_id", "half_term", "academic_year", "school_id", "area_code", "year_group", "sessions_possible", "sessions_attended", "sessions_authorised",
            "sessions_unauthorised", "sessions_open", "absence_rate", "persistent_absence", "severe_absence", "harmonised_possible", "harmonised_absent", "harmonised_absence_rate"]
    table = load_table(tiny.ROOT, "panel")
    checked = {name: check_frame(table, taken["panel"]) for name, taken in (("totals", from_totals), ("marks", from_marks))}
    pd.testing.assert_frame_equal(checked["totals"][same], checked["marks"][same])
    unknown = ["sessions_no_mark", "sessions_c2", "sessions_late", "sessions_suspended", "sessions_off_site", "sessions_approved_activity"]
    assert checked["totals"][unknown].isna().all().all(), "what totals cannot tell is missing, not 0"
    for name, frame in from_totals.tables.items():
        check_frame(load_table(tiny.ROOT, name), frame)
    quality = from_totals["register_quality"]
    assert quality["completeness"].isna().all() and quality["sessions_no_mark"].isna().all() and quality["sessions_possible"].sum() == len(register())
    pd.testing.assert_frame_equal(from_totals["measure_reconciliation"], from_marks["measure_reconciliation"])


def test_totals_by_term_alone_are_refused_with_the_reason(tmp_path):
    with pytest.raises(UnidentifiedError, match="a term cannot be cut in two"):
        without_marks(tmp_path, totals("term"))


def test_totals_on_both_sides_of_the_code_change_are_refused(tmp_path):
    later = [{**row, "academic_year": "2024/25", "school_id": "S1"} for row in totals() if row["pupil_id"] == "P2"]
    with pytest.raises(UnidentifiedError, match="both sides of 19 August 2024"):
        without_marks(tmp_path, totals() + later, [*PUPILS, enrolment("P2", "2024/25")])


def test_totals_of_pupils_who_are_not_enrolled_there_are_refused(tmp_path):
    with pytest.raises(DataError, match="1 rows are of pupils who are not enrolled at that school in that year"):
        without_marks(tmp_path, [*totals(), {**totals()[0], "pupil_id": "P2", "school_id": "S2", "period": 1}])


def test_totals_of_a_half_term_that_the_calendar_lacks_are_refused(tmp_path):
    calendar = [row for row in tiny.calendar() if row["half_term"] not in (6,)]
    calendar = [{**row, "half_term": row["half_term"] - 1 if row["half_term"] and row["half_term"] > 6 else row["half_term"]} for row in calendar]
    with pytest.raises(DataError, match="half-term 6 of 2023/24 is not in the calendar"):
        without_marks(tmp_path, totals(), calendar=calendar)


def test_neither_marks_nor_totals_is_refused(tmp_path):
    write(tmp_path, PUPILS, [mark("P1", OLD[0], "AM", "/")])
    (tmp_path / "marks.parquet").unlink()
    with pytest.raises(DataError, match="lacks table `marks`"):
        take_in(tmp_path, tiny.ROOT, section())


def test_marks_and_totals_are_held_against_each_other(tmp_path):
    half, term = totals(), totals("term")
    half[0] = {**half[0], "sessions_possible": half[0]["sessions_possible"] + 3, "sessions_authorised": half[0]["sessions_authorised"] - 1}
    extra = {**half[0], "pupil_id": "P2", "school_id": "S2", "period": 6, "sessions_possible": 4, "sessions_authorised": 0, "sessions_unauthorised": 4}
    taken = take_whole(tmp_path, PUPILS, register(), absence_by_period=[*half, extra, *term])
    table = taken["absence_reconciliation"].set_index(["school_id", "period_kind", "period"])
    changed = table.loc[(half[0]["school_id"], "half_term", half[0]["period"])]
    assert (changed["pupils_different"], changed["sessions_possible_difference"], changed["sessions_authorised_difference"]) == (1, -3, 1)
    added = table.loc[("S2", "half_term", 6)]
    assert (added["pupils_counted"], added["pupils_supplied"], added["pupils_different"], added["sessions_unauthorised_difference"]) == (1, 2, 1, -4)
    others = table.drop(index=[changed.name, added.name])
    assert (others[["pupils_different", "sessions_possible_difference", "sessions_authorised_difference", "sessions_unauthorised_difference"]] == 0).all().all()
    assert set(table.index.get_level_values("period_kind")) == {"half_term", "term"} and len(table) == len({(r["school_id"], r["period_kind"], r["period"]) for r in half + term})


def test_calendar_days_are_those_of_the_old_codes():
    assert max(OLD) < date(2024, 8, 19)


def test_totals_of_a_year_that_the_calendar_has_in_part_are_refused(tmp_path):
    """Counted from the first half-term that is there, every period would fall into a later one."""
    calendar = [{**row, "half_term": row["half_term"] and row["half_term"] - 1} for row in tiny.calendar() if row["half_term"] != 1]
    early = [row for row in totals() if row["period"] < 5]
    with pytest.raises(DataError, match="the calendar has 5 half-terms of 2023/24, so a period cannot be told by its number"):
        without_marks(tmp_path, early, calendar=calendar)
