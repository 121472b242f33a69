"""Large files of marks are summed range by range, with the same result as at once."""

from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from by_hand import DAYS, enrolment, marks_of_week, write
from take import take_marks

from evaluation.errors import DataError
from evaluation.registers import accept, cuts
from evaluation.registers.grid import load_grid, school_grid

PUPILS = [f"P{i:02d}" for i in range(40)]
ENROLMENTS = [enrolment(p, year) for p in PUPILS for year in ("2023/24", "2024/25")]
CODES = "/ \\ I O L / B - / I"


def marks(missing: bool = False) -> list[dict]:
    """Ten marks a pupil in each year, in order of pupil and date; with ``missing`` two more that lack a pupil or a date."""
    rows = [row for p in PUPILS for first in (DAYS[0], DAYS[30]) for row in marks_of_week(p, first, CODES)]
    return rows + [{**rows[0], "pupil_id": None}, {**rows[0], "date": None}] if missing else rows


def rewrite(folder: Path, rows: list[dict], block: int = 50) -> Path:
    """The marks again in blocks of so many rows."""
    frame = pd.DataFrame(rows)
    table = pa.table({name: pa.array(frame[name], pa.date32() if name == "date" else pa.string(), from_pandas=True) for name in frame})
    pq.write_table(table, folder / "marks.parquet", row_group_size=block)
    return folder / "marks.parquet"


def ranges(path: Path, rows_at_once: int = 100) -> tuple[str, ...]:
    with duckdb.connect() as con:
        load_grid(con, school_grid(pd.DataFrame(tiny.calendar()).assign(date=lambda days: pd.to_datetime(days["date"]))))
        return cuts.cut_marks(con, [path], ("pupil_id", "VARCHAR"), ("date", "DATE"), rows_at_once)


def counted(path: Path, conditions: tuple[str, ...]) -> list[int]:
    with duckdb.connect() as con:
        return [con.execute(f"SELECT count(*) FROM read_parquet('{path}') AS m WHERE {only}").fetchone()[0] for only in conditions]


def by_date(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda row: (row["date"] or date.min, row["pupil_id"] or ""))


@pytest.mark.parametrize(("order", "column"), [(lambda rows: rows, "m.pupil_id"), (by_date, "m.date")], ids=["pupils", "days"])
def test_every_mark_lies_in_one_range_and_ranges_are_no_larger_than_asked(tmp_path, order, column):
    rows = order(marks(missing=True))
    found = ranges(rewrite(tmp_path, rows, 20), 450 if column == "m.date" else 100)
    each = counted(tmp_path / "marks.parquet", found)
    assert all(column in condition for condition in found) and sum(each) == len(rows) == 802 and each[-1] == 1
    assert len(found) == (3 if column == "m.date" else 10) and max(each) <= (450 if column == "m.date" else 120)


def test_a_small_file_and_one_in_no_order_are_read_at_once(tmp_path):
    rows = marks()
    assert ranges(rewrite(tmp_path, rows), 800) == ()
    assert ranges(rewrite(tmp_path, rows[::20] + rows[1::20] + rows[2::20] + [row for i, row in enumerate(rows) if i % 20 > 2]), 100) == ()


def test_days_are_cut_between_half_terms_only(tmp_path):
    days = {row["half_term"]: row["date"] for row in reversed(tiny.calendar()) if row["school_day"]}
    for condition in ranges(rewrite(tmp_path, by_date(marks())), 300)[:-1]:
        assert set(condition.replace("'", " ").split()) & {str(day) for day in days.values()}


@pytest.mark.parametrize("order", [lambda rows: rows, by_date, lambda rows: rows[::-1]], ids=["pupils", "days", "backwards"])
def test_range_by_range_gives_the_panel_and_the_rejects_of_all_at_once(tmp_path, monkeypatch, order):
    rows = order([*marks(missing=True), {"pupil_id": "P03", "date": DAYS[2], "session": "AM", "code": "??"}])
    folder = write(tmp_path / "extract", ENROLMENTS, marks(), **dict.fromkeys((n for n in tiny.ORDER if n not in ("calendar", "schools", "pupils", "marks")), []))
    rewrite(folder, rows)
    whole = take_marks(folder)
    used = []
    monkeypatch.setattr(accept, "cut_marks", lambda *given: used.append(cuts.cut_marks(*given, rows_at_once=450)) or used[-1])
    parts = take_marks(folder)
    assert len(used[0]) >= 3
    for name, frame in whole.items():
        pd.testing.assert_frame_equal(frame, parts[name])


def test_rows_that_no_range_holds_are_refused_and_not_lost(tmp_path, monkeypatch):
    folder = write(tmp_path / "extract", ENROLMENTS, marks(), **dict.fromkeys((n for n in tiny.ORDER if n not in ("calendar", "schools", "pupils", "marks")), []))
    monkeypatch.setattr(accept, "cut_marks", lambda *given: ("m.pupil_id < 'P10'", "m.pupil_id > 'P10'"))
    with pytest.raises(DataError, match="800 rows are in the file, but 780 were read"):
        take_marks(folder)
