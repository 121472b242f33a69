"""Each rule of marks and of enrolments, alone: what breaks it, what it says, and what it leaves in peace."""

from datetime import date

import duckdb
import pandas as pd
import pytest
import tiny
from by_hand import DAYS, account, enrolment, mark, rejects, take

from evaluation.registers.adapter import DuckDB
from evaluation.registers.grid import load_grid, school_grid
from evaluation.registers.panel import load_codes, load_places, suspects_query, tally_marks

BEFORE, SINCE = date(2024, 6, 3), date(2024, 9, 2)
SATURDAY, CHRISTMAS, HALF_TERM_BREAK, LONG_AGO = date(2023, 11, 11), date(2023, 12, 25), date(2023, 10, 24), date(2019, 3, 1)
PUPILS = [enrolment("P1", y) for y in ("2023/24", "2024/25")] + [enrolment("P2", y) for y in ("2023/24", "2024/25")]
LONE = [
    # what, pupil, day, code, column, rule, value, mend
    ("lower case", "P1", SINCE, "c2", "code", "unknown code", "c2", "did you mean `C2`?"),
    ("a letter for a digit", "P1", SINCE, "CI", "code", "unknown code", "CI", "did you mean `C1`?"),
    ("a space", "P1", SINCE, " I", "code", "unknown code", " I", "did you mean `I`?"),
    ("no code at all", "P1", SINCE, "??", "code", "unknown code", "??", "use a code of the attendance register"),
    ("withdrawn", "P1", SINCE, "H", "code", "outdated code", "H on 2024-09-02", "use `C`, or `G` if leave was not granted"),
    ("withdrawn interview", "P1", SINCE, "J", "code", "outdated code", "J on 2024-09-02", "use `J1`"),
    ("withdrawn Y", "P1", SINCE, "Y", "code", "outdated code", "Y on 2024-09-02", "use one of `Y1` to `Y7`"),
    ("too new", "P1", BEFORE, "C2", "code", "code not yet in use", "C2 on 2024-06-03", "use `C`"),
    ("too new Y", "P1", BEFORE, "Y5", "code", "code not yet in use", "Y5 on 2024-06-03", "use `Y`"),
    ("weekend", "P1", SATURDAY, "/", "date", "on a weekend", "2023-11-11", "correct the date, or the calendar"),
    ("bank holiday", "P1", CHRISTMAS, "/", "date", "on a bank holiday", "2023-12-25: Christmas Day", "correct the date, or the calendar"),
    ("holiday", "P1", HALF_TERM_BREAK, "/", "date", "in the school holidays", "2023-10-24", "correct the date, or the calendar"),
    ("outside", "P1", LONG_AGO, "/", "date", "outside the calendar", "2019-03-01", "correct the date, or supply the calendar of that year"),
    ("unknown pupil", "P9", BEFORE, "/", "pupil_id", "not in pupils", None, "correct it, or supply the row of `pupils` it refers to"),
]


@pytest.fixture(scope="module")
def lone(tmp_path_factory):
    """All of them in one extract, among clean marks of both pupils."""
    clean = [mark("P1", day, s, "/") for day in DAYS[:5] for s in ("AM", "PM")]
    days = iter(d for d in DAYS if d > SINCE and d.month == 11)
    odd = [mark(case[1], case[2], "AM", case[3]) for case in LONE]
    used: set = set()
    for row in odd:  # two cases on one day take different sessions or pupils, so that neither is a duplicate
        while (row["pupil_id"], row["date"], row["session"]) in used:
            row["pupil_id"], row["session"] = ("P2", row["session"]) if row["pupil_id"] == "P1" else ("P1", "PM")
            if (row["pupil_id"], row["date"], row["session"]) in used and row["session"] == "PM":
                row["date"], row["session"] = next(days), "AM"
        used.add((row["pupil_id"], row["date"], row["session"]))
    return take(tmp_path_factory.mktemp("lone"), PUPILS, clean + odd), len(clean), odd


@pytest.mark.parametrize("place", range(len(LONE)), ids=[case[0] for case in LONE])
def test_one_rule_alone(lone, place):
    taken, before, odd = lone
    _, _, given, _, column, rule, value, mend = LONE[place]
    rows = taken["intake_rejects"].query("table == 'marks'").set_index("file_row").loc[[before + place + 1]]
    assert rows["rule"].tolist() == [rule] and rows["column"].tolist() == [column] and rows["mend"].tolist() == [mend]
    assert value is None or rows["value"].iloc[0] == value.replace(str(given), str(odd[place]["date"]))


def test_the_clean_marks_beside_them_are_all_counted(lone):
    taken, before, odd = lone
    assert account(taken) == (before, len(odd), 0)
    assert taken["panel"]["sessions_possible"].sum() == before


def test_duplicates_collapse_where_identical_and_are_all_rejected_where_they_contradict(tmp_path):
    day = DAYS[0]
    rows = [mark("P1", day, "AM", "/"), mark("P1", day, "PM", "I"), mark("P1", day, "AM", "/"), mark("P1", day, "PM", "O"), mark("P2", day, "AM", "/")]
    taken = take(tmp_path, PUPILS, rows)
    assert account(taken) == (2, 2, 1)
    assert rejects(taken) == [(2, "pupil_id+school_id+date+session", "contradictory rows with one key"), (4, "pupil_id+school_id+date+session", "contradictory rows with one key")]
    assert taken["panel"].set_index("pupil_id")["sessions_possible"].to_dict() == {"P1": 1, "P2": 1}


def test_a_hundred_copies_of_one_mark_are_one_session(tmp_path):
    """More marks than a counter of the sums can hold."""
    taken = take(tmp_path, PUPILS, [mark("P1", DAYS[0], "AM", "I")] * 600 + [mark("P2", DAYS[0], "AM", "/")])
    assert account(taken) == (2, 0, 599)
    assert taken["panel"].set_index("pupil_id")["sessions_possible"].to_dict() == {"P1": 1, "P2": 1}


def test_a_mark_is_held_against_the_dates_of_the_enrolment(tmp_path):
    days = [d for d in DAYS if d < date(2023, 12, 1)]
    pupils = [enrolment("P1", start=days[2], end=days[6]), enrolment("P2", end=days[1]), enrolment("P2", start=days[4], school="S2"), enrolment("P3", "2024/25")]
    marks = [mark("P1", d, "AM", "/") for d in days[:10]] + [mark("P2", d, "AM", "/") for d in days[:6]] + [mark("P3", days[0], "AM", "/")]
    taken = take(tmp_path, pupils, marks)
    assert rejects(taken) == sorted([(1, "date", "before admission"), (2, "date", "before admission"), (8, "date", "after leaving"), (9, "date", "after leaving"),
                                     (10, "date", "after leaving"), (13, "date", "between two enrolments"), (14, "date", "between two enrolments"),
                                     (17, "date", "not enrolled in that year")])
    assert taken["panel"].groupby("pupil_id")["sessions_possible"].sum().to_dict() == {"P1": 5, "P2": 4}


# First and last day on roll, days marked, and what is wrong with which: half-terms are of five days here.
ENDS = {
    "starts within a half-term": (2, None, range(5), {0: "before admission", 1: "before admission"}), "starts later": (6, None, (3, 4, 7, 8), {3: "before admission", 4: "before admission"}),
    "ends within a half-term": (None, 2, range(5), {3: "after leaving", 4: "after leaving"}), "ended earlier": (None, 3, (0, 1, 6), {6: "after leaving"}),
    "to the day": (1, 8, range(1, 9), {}),
}  # fmt: skip


def test_each_end_of_an_enrolment_alone(tmp_path):
    """The first and the last day on roll are found within a half-term and across half-terms, for each pupil by itself."""
    days = [d for d in DAYS if d < date(2023, 12, 1)]
    pupils = [enrolment(name, start=None if start is None else days[start], end=None if end is None else days[end]) for name, (start, end, _, _) in ENDS.items()]
    rows = [(name, place) for name, (_, _, marked, _) in ENDS.items() for place in marked]
    taken = take(tmp_path, pupils, [mark(name, days[place], "PM", "/") for name, place in rows])
    assert rejects(taken) == [(i, "date", ENDS[name][3][place]) for i, (name, place) in enumerate(rows, start=1) if place in ENDS[name][3]]
    assert taken["panel"].groupby("pupil_id")["sessions_possible"].sum().to_dict() == {name: len(marked) - len(wrong) for name, (_, _, marked, wrong) in ENDS.items()}


def test_marks_at_a_school_without_an_enrolment_are_rejected(tmp_path):
    taken = take(tmp_path, PUPILS, [mark("P1", DAYS[0], "AM", "/", "S1"), mark("P1", DAYS[0], "PM", "/", "S2"), mark("P2", DAYS[0], "AM", "/", "S1")])
    assert rejects(taken) == [(2, "school_id", "not enrolled at that school")]


def test_two_schools_in_one_session_are_both_rejected_but_d_beside_a_mark_is_not(tmp_path):
    dual = [enrolment("P1", status="main"), enrolment("P1", school="S2", status="subsidiary")]
    day, other = DAYS[:2]
    marks = [mark("P1", day, "AM", "/", "S1"), mark("P1", day, "AM", "I", "S2"), mark("P1", day, "PM", "\\", "S1"), mark("P1", day, "PM", "D", "S2"),
             mark("P1", other, "AM", "D", "S1"), mark("P1", other, "AM", "/", "S2")]
    taken = take(tmp_path, dual, marks)
    rule = "marked at two schools in one session"
    assert rejects(taken) == [(1, "session", rule), (2, "session", rule)] and account(taken) == (4, 2, 0)
    row = taken["panel"].iloc[0]
    assert (row["sessions_possible"], row["sessions_not_possible"]) == (2, 0)


def test_a_session_that_is_neither_morning_nor_afternoon(tmp_path):
    taken = take(tmp_path, PUPILS, [mark("P1", DAYS[0], "EV", "/"), mark("P1", DAYS[0], "AM", "/"), mark("P2", DAYS[0], None, "/")])
    assert rejects(taken) == [(1, "session", "not in list"), (3, "session", "missing")] and account(taken) == (1, 2, 0)


def test_a_pupil_in_two_schools_at_once_is_rejected_unless_one_is_subsidiary(tmp_path):
    days = [d for d in DAYS if d < date(2023, 12, 1)]
    pupils = [enrolment("P1"), enrolment("P1", school="S2"), enrolment("P2", status="main"), enrolment("P2", school="S2", status="subsidiary"),
              enrolment("P3", end=days[3]), enrolment("P3", school="S2", start=days[4]), enrolment("P4", end=days[4]), enrolment("P4", school="S2", start=days[4]),
              enrolment("P5", end=days[5]), enrolment("P5", start=days[2]), enrolment("P6", status="main"), enrolment("P6", school="S2", status="main")]
    taken = take(tmp_path, pupils, [mark("P2", days[0], "AM", "/"), mark("P3", days[0], "AM", "/")])
    twice, once = "in two schools at once", "overlapping enrolments at one school"
    assert rejects(taken, "pupils") == [(1, "school_id", twice), (2, "school_id", twice), (7, "school_id", twice), (8, "school_id", twice), (9, "enrolment_start", once),
                                        (10, "enrolment_start", once), (11, "school_id", twice), (12, "school_id", twice)]
    assert account(taken, "pupils") == (4, 8, 0)


def test_too_many_rejects_stop_the_run_and_name_the_commonest_rule(tmp_path):
    from evaluation.errors import DataError

    rows = [mark("P1", d, "AM", "c2" if i < 3 else "/") for i, d in enumerate(DAYS[:20])]
    with pytest.raises(DataError, match=r"marks\.parquet, column `code`: 3 of 20 rows are rejected \(15\.00%, tolerated 10%\)\. 3 by unknown code, column `code`, first in row 1 \(value c2\)\. Mend: did you mean `C2`\?; or register"):
        take(tmp_path, PUPILS, rows, tolerance=10.0)


# Marks of one pupil that break a rule of single sessions, each alone: sums hide none of them.
DAY = DAYS[0]
HIDDEN = {
    "twice": [(DAY, "AM", "/")] * 2, "three times": [(DAY, "AM", "/")] * 3, "four times": [(DAY, "AM", "/")] * 4, "an afternoon twice": [(DAY, "PM", "/")] * 2,
    "both sessions twice": [(DAY, "AM", "/"), (DAY, "PM", "/")] * 2, "twice beside the other session": [(DAY, "AM", "/"), (DAY, "PM", "/"), (DAY, "AM", "/")],
    "twice in two codes": [(DAY, "AM", "/"), (DAY, "AM", "I")], "two days twice": [(DAY, "AM", "/"), (DAYS[1], "AM", "/")] * 2,
    "one day three times and one twice": [(DAY, "AM", "/")] * 3 + [(DAYS[1], "PM", "/")] * 2, "127 times": [(DAY, "AM", "/")] * 127, "129 times": [(DAY, "PM", "/")] * 129,
    "another session": [(DAY, "EV", "/")], "no session": [(DAY, None, "/")], "a session in lower case": [(DAY, "am", "/")], "another session twice": [(DAY, "EV", "/")] * 2,
    "no session beside two": [(DAY, "AM", "/"), (DAY, None, "/"), (DAY, "PM", "/")], "a day off": [(SATURDAY, "AM", "/")], "a day off twice": [(SATURDAY, "AM", "/")] * 2,
    "no day": [(None, "AM", "/")], "no code": [(DAY, "AM", None)], "no such code": [(DAY, "AM", "?")], "no such code twice": [(DAY, "AM", "?")] * 2,
    "a code too new": [(DAY, "AM", "C2")], "too new and withdrawn": [(DAY, "AM", "J1"), (SINCE, "AM", "J")], "twice and unknown": [(DAY, "AM", "/"), (DAY, "AM", "?")],
}  # fmt: skip


# The same of pupils of the school S2, whose authority is closed on the second day and after the first half-term.
CLOSED_THERE = {"a morning off there": [(DAYS[1], "AM", "/")], "an afternoon off there": [(DAYS[1], "PM", "/")], "a half-term off there": [(DAYS[5], "AM", "/")]}
NAMED = {"no school": [(DAY, "AM", "/", None)], "another school": [(DAY, "AM", "/", "S2")], "one of two marks without a school": [(DAY, "AM", "/"), (DAY, "PM", "/", None)]}
CLEAN = {"clean": [(d, s, c) for d in DAYS[:5] for s, c in (("AM", "/"), ("PM", "\\"))], "clean mornings": [(d, "AM", "I") for d in DAYS[:9]],
         "clean on both sides": [(DAY, "PM", "J"), (SINCE, "AM", "J1"), (SINCE, "PM", "C2")], "clean there": [(DAYS[0], "AM", "/"), (DAYS[2], "PM", "/")]}


@pytest.mark.parametrize("named", [False, True], ids=["marks do not name their school", "marks name it"])
def test_no_fault_hides_in_the_sums_of_its_pupil(named):
    """Every pupil with a fault, off roll or with two enrolments is gone through one by one, and nobody else is."""
    faults = {**HIDDEN, **CLOSED_THERE, "off roll": [(DAY, "AM", "/")], "two enrolments": [(DAY, "AM", "/")], **(NAMED if named else {})}
    school = {pupil: "S2" if pupil in (*CLOSED_THERE, "clean there") else "S1" for pupil in (*faults, *CLEAN)}
    rows = [(pupil, (given + (school[pupil],))[3] if named else None, *given[:3]) for pupil, found in {**faults, **CLEAN}.items() for given in found]
    enrolments = [enrolment(pupil, year, place) for pupil, place in school.items() for year in tiny.OPENS if pupil != "off roll"]
    enrolments.append(enrolment("two enrolments", school="S2"))
    calendar = pd.DataFrame(tiny.calendar()).assign(date=lambda days: pd.to_datetime(days["date"]), area_code=None)
    there = calendar.loc[(calendar["date"] < "2023-11-01") & (calendar["date"] != pd.Timestamp(DAYS[1]))].assign(area_code="B")
    with duckdb.connect() as con:
        load_codes(con)
        load_grid(con, school_grid(pd.concat([calendar, there])))
        con.register("on_roll", pd.DataFrame(enrolments))
        con.execute("CREATE TABLE accepted_pupils AS SELECT * REPLACE (CAST(enrolment_start AS DATE) AS enrolment_start, CAST(NULL AS DATE) AS enrolment_end) FROM on_roll")
        load_places(con, pd.DataFrame({"school_id": ["S1", "S2"], "area_code": ["A", "B"], "calendar": ["all", "B"]}))
        con.execute("CREATE TABLE marks (pupil_id VARCHAR, school_id VARCHAR, date DATE, session VARCHAR, code VARCHAR)")
        con.executemany("INSERT INTO marks VALUES (?, ?, ?, ?, ?)", rows)
        tally_marks(DuckDB(con), "marks", "tallies", by_school=named)
        found = {pupil for (pupil,) in con.execute(suspects_query("tallies", by_school=named)).fetchall()}
    assert found == set(faults)
