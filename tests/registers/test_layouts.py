"""Marks by week and by session are read to the same accepted marks as one row a mark."""

from datetime import date, timedelta

import pandas as pd
import pytest
import tiny
from by_hand import DAYS, HALF_TERM, NOT_NEEDED, account, enrolment, mark, rejects, write
from take import take_marks

MONDAYS = [d for d in DAYS if d.weekday() == 0]
PUPILS = [enrolment("P1", y) for y in ("2023/24", "2024/25")] + [enrolment("P2", y, start=d) for y, d in (("2023/24", DAYS[2]), ("2024/25", None))]
OLD, NEW = ("/", "\\", "L", "I", "O", "B", "J", "U"), ("/", "\\", "C2", "J1", "K", "Y1", "-", "E")


def register() -> list[dict]:
    """Marks of both pupils on every school day, P2 from its third."""
    rows = []
    for number, day in enumerate(DAYS):
        codes = NEW if day > date(2024, 8, 19) else OLD
        for half, session in enumerate(("AM", "PM")):
            rows.append(mark("P1", day, session, codes[(2 * number + half) % 8]))
            if day >= DAYS[2]:
                rows.append(mark("P2", day, session, codes[(3 * number + half + 1) % 8]))
    return rows


def by_week(rows: list[dict], school: str | None = None) -> list[dict]:
    cells = {(r["pupil_id"], r["date"], r["session"]): r["code"] for r in rows}
    weeks = []
    for pupil in ("P1", "P2"):
        for monday in MONDAYS:
            codes = [cells.get((pupil, monday + timedelta(days=d), s), ".") for d in range(5) for s in ("AM", "PM")]
            joined = "".join(codes) if all(len(c) == 1 for c in codes) else " ".join(codes)
            weeks.append({"pupil_id": pupil, **({"school_id": school} if school else {}), "week_beginning": monday, "marks": joined})
    return weeks


def by_session(rows: list[dict]) -> list[dict]:
    cells = {(r["pupil_id"], r["date"], r["session"]): r["code"] for r in rows}
    return [{"pupil_id": p, **{f"{d} {s}": cells.get((p, d, s)) for d in DAYS for s in ("AM", "PM")}} for p in ("P1", "P2")]


def take_layout(folder, rows: list[dict], suffix: str = "parquet"):
    """Take an extract in whose marks are these rows, whatever their columns."""
    write(folder, PUPILS, [mark("P1", DAYS[0], "AM", "/")])
    (folder / "marks.parquet").unlink()
    frame = pd.DataFrame(rows, dtype=object)
    frame.to_parquet(folder / "marks.parquet") if suffix == "parquet" else frame.to_csv(folder / "marks.csv", index=False)
    return take_marks(folder)


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    return take_layout(tmp_path_factory.mktemp("long"), register())


@pytest.mark.parametrize(("layout", "suffix"), [(by_week, "csv"), (by_session, "parquet"), pytest.param(by_week, "parquet", marks=pytest.mark.slow), pytest.param(by_session, "csv", marks=pytest.mark.slow)])
def test_every_layout_gives_the_same_panel(tmp_path, long, layout, suffix):
    taken = take_layout(tmp_path, layout(register()), suffix)
    assert account(taken) == account(long) == (len(register()), 0, 0)
    pd.testing.assert_frame_equal(taken["panel"], long["panel"])
    pd.testing.assert_frame_equal(taken["mark_counts"], long["mark_counts"])


def test_a_week_with_a_school_column_and_a_synonym(tmp_path, long):
    weeks = [{("URN" if k == "school_id" else "WeekCommencing" if k == "week_beginning" else k): v for k, v in row.items()} for row in by_week(register(), school="S1")]
    taken = take_layout(tmp_path, weeks)
    pd.testing.assert_frame_equal(taken["panel"], long["panel"])


def test_rejects_name_the_row_of_the_file_and_the_place_in_the_week(tmp_path):
    weeks = [row for row in by_week(register()) if row["pupil_id"] == "P1"][:4]
    weeks[0]["marks"] = weeks[0]["marks"][:2] + "?" + weeks[0]["marks"][3:]
    weeks[1]["marks"] = weeks[1]["marks"][:-1]
    weeks[2]["week_beginning"] += timedelta(days=1)
    weeks += [{"pupil_id": "P9", "week_beginning": MONDAYS[0], "marks": "//////////"}]
    taken = take_layout(tmp_path, weeks)
    assert rejects(taken) == [(1, "marks, place 3", "unknown code"), (2, "marks", "not ten marks"), (3, "week_beginning", "not a Monday"), (5, "pupil_id", "not in pupils")]
    assert account(taken) == (9 + 10, 1 + 1 + 1 + 10, 0), "a week that cannot be taken apart counts as one mark"


def test_rejects_name_the_column_of_the_session(tmp_path):
    rows = by_session(register())
    column = f"{DAYS[0]} PM"
    rows[0][column] = "c"
    rows[1][column] = "/"
    taken = take_layout(tmp_path, rows)
    assert rejects(taken) == [(1, column, "unknown code"), (2, column, "before admission")]
    assert account(taken) == (len(register()) - 1, 2, 0)


def test_the_optional_tables_of_these_tests_are_those_that_may_be_absent():
    assert {name for name in NOT_NEEDED if not tiny.entry(name).optional} == {"referrals", "meetings"} and HALF_TERM[MONDAYS[0]] == 1


@pytest.mark.parametrize(("heading", "said"), [("2023-02-30 AM", "does not name a session"), ("04/09/2023 AM", "does not name a session"), ("2023-09-04 am", "does not know")])
def test_a_heading_that_names_no_session_is_refused(tmp_path, heading, said):
    from evaluation.errors import DataError

    rows = [{(heading if key == f"{DAYS[0]} AM" else key): value for key, value in row.items()} for row in by_session(register())]
    with pytest.raises(DataError, match=f"`{heading}`.*{said}"):
        take_layout(tmp_path, rows)


def test_nine_marks_are_no_week_though_a_code_of_two_characters_makes_ten(tmp_path):
    """Split by character, every mark after the code would move by one place."""
    week = [{"pupil_id": "P1", "week_beginning": MONDAYS[-1], "marks": "/\\C2/\\/\\/\\"}]
    taken = take_layout(tmp_path, week)
    assert rejects(taken) == [(1, "marks", "not ten marks")] and account(taken) == (0, 1, 0) and len(taken["panel"]) == 0
