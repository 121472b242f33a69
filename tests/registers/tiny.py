"""A tiny hand-made extract with every table, as rows of plain Python values, and writers of it as CSV and Parquet."""

import csv
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from small_study import ROOT

from evaluation.registers.entries import Table, load_table

Rows = list[dict]
# First days of twelve half-terms of one week each, in two academic years; 19 August 2024 lies between them.
WEEKS = ("2023-09-04", "2023-11-06", "2024-01-08", "2024-02-26", "2024-04-15", "2024-06-03",
         "2024-09-02", "2024-11-04", "2025-01-06", "2025-02-24", "2025-04-28", "2025-06-02")
TERMS = ("autumn", "autumn", "spring", "spring", "summer", "summer")
YEARS = ("2023/24", "2024/25")
OPENS = {"2023/24": date(2023, 9, 4), "2024/25": date(2024, 9, 2)}
PUPILS = tuple(f"pupil-{i}" for i in range(1, 7))
SCHOOL_OF = {p: "S1" if i < 3 else "S2" for i, p in enumerate(PUPILS)}
# In this order a table comes after those that it refers to.
ORDER = ("deliveries", "calendar", "schools", "pupils", "programmes", "referrals", "meetings", "barriers", "suspensions", "survey_scales",
         "survey_items", "absence_by_period", "costs", "marks")


def calendar() -> Rows:
    rows = []
    for i, first in enumerate(WEEKS):
        days = [date.fromisoformat(first) + timedelta(days=d) for d in range(5)]
        rows += [{"date": d, "academic_year": YEARS[i // 6], "term": TERMS[i % 6], "half_term": i + 1, "school_day": True, "note": None} for d in days]
    rows += [{"date": d, "academic_year": "2023/24", "term": None, "half_term": None, "school_day": False, "note": "Christmas holiday"}
             for d in (date(2023, 12, 25), date(2023, 12, 26))]
    return rows


def marks() -> Rows:
    codes = ("/", "/", "L", "I", "O", "/", "B", "/")
    rows, n = [], 0
    for pupil in PUPILS:
        for first in (WEEKS[0], WEEKS[6]):
            for d in range(5):
                for session in ("AM", "PM"):
                    code = codes[n % len(codes)]
                    rows.append({"pupil_id": pupil, "date": date.fromisoformat(first) + timedelta(days=d), "session": session,
                                 "code": "\\" if code == "/" and session == "PM" else code})
                    n += 1
    return rows


def tables() -> dict[str, Rows]:
    """Every table of the extract; the caller may change what it gets."""
    return {name: rows_of(name) for name in _tables()}


def rows_of(name: str) -> Rows:
    """One table of the extract; the caller may change what it gets."""
    return [dict(row) for row in _tables()[name]]


@lru_cache(maxsize=1)
def _tables() -> dict[str, Rows]:
    day = date
    pupils = [{"pupil_id": p, "academic_year": y, "school_id": SCHOOL_OF[p], "year_group": 8 + YEARS.index(y), "sex": ("female", "male")[i % 2], "fsm": i % 3 == 0,
               "sen_provision": ("none", "support", "ehcp")[i % 3], "idaci": 0.1 * (i + 1), "enrolment_start": OPENS[y], "enrolment_end": None, "leaving_reason": None}
              for i, p in enumerate(PUPILS) for y in YEARS]
    return {
        "calendar": calendar(), "marks": marks(), "pupils": pupils,
        "schools": [
            {"school_id": "S1", "school_name": "Abbey School", "area_code": "E06000002", "area_name": "Middlesbrough", "phase": "secondary", "mentor_school": True,
             "mentoring_start": day(2023, 11, 6), "inspection_judgement": "good", "trust": None},
            {"school_id": "S2", "school_name": "Brook School", "area_code": "E08000017", "area_name": "Doncaster", "phase": "secondary", "mentor_school": False,
             "mentoring_start": None, "inspection_judgement": None, "trust": "Brook Trust"}],
        "programmes": [{"programme_id": "R1", "programme": "Attendance hub", "area_code": "E06000002", "school_id": None, "start_date": day(2023, 9, 1), "end_date": None}],
        "referrals": [
            {"referral_id": "F1", "pupil_id": "pupil-1", "school_id": "S1", "referral_date": day(2023, 11, 7), "consent": True, "start_date": day(2024, 1, 9),
             "end_date": day(2024, 3, 1), "delivery_model": "one to one", "mentor_id": "M1"},
            {"referral_id": "F2", "pupil_id": "pupil-2", "school_id": "S1", "referral_date": day(2023, 11, 8), "consent": False, "start_date": None,
             "end_date": None, "delivery_model": None, "mentor_id": None},
            {"referral_id": "F3", "pupil_id": "pupil-3", "school_id": "S1", "referral_date": day(2024, 1, 10), "consent": True, "start_date": day(2024, 2, 26),
             "end_date": None, "delivery_model": "family", "mentor_id": "M2"}],
        "meetings": [{"meeting_id": f"E{i}", "pupil_id": "pupil-1", "mentor_id": "M1", "meeting_date": day(2024, 1, 9) + timedelta(days=i), "with_whom": "pupil",
                      "mode": "in person", "minutes": 30, "kept": True} for i in range(3)],
        "barriers": [{"barrier_id": "B1", "pupil_id": "pupil-1", "barrier_type": "anxiety", "assessed_on": day(2024, 1, 9), "resolved_on": None},
                     {"barrier_id": "B2", "pupil_id": "pupil-3", "barrier_type": "transport", "assessed_on": day(2024, 2, 26), "resolved_on": day(2024, 3, 1)}],
        "suspensions": [{"suspension_id": "X1", "pupil_id": "pupil-4", "school_id": "S2", "start_date": day(2024, 1, 9), "sessions": 4, "kind": "suspension", "reason": None},
                        {"suspension_id": "X2", "pupil_id": "pupil-5", "school_id": "S2", "start_date": day(2024, 1, 9), "sessions": 0, "kind": "permanent exclusion", "reason": None}],
        "survey_scales": [{"scale": "engagement", "item": item, "wording": f"I like {item}", "reverse": item == "b", "lowest": 1, "highest": 5, "minimum_items": 1}
                          for item in ("a", "b")],
        "survey_items": [{"pupil_id": "pupil-1", "wave": wave, "answered_on": day(2024, 1, 9), "scale": "engagement", "item": item, "response": 3}
                         for wave in ("baseline", "follow-up") for item in ("a", "b")],
        "absence_by_period": [{"pupil_id": p, "school_id": SCHOOL_OF[p], "academic_year": "2023/24", "period_kind": "half_term", "period": 1, "sessions_possible": 10,
                               "sessions_authorised": 1, "sessions_unauthorised": 1} for p in PUPILS],
        "costs": [{"cost_id": "C1", "item": "Mentors", "category": "mentor pay", "kind": "running", "payer": "Department", "area_code": None, "delivery_model": None,
                   "period": "2023/24", "amount": 30000.0, "vat": None, "credit": False, "price_year": "2023/24", "quantity": 1.0, "unit": "mentor", "basis": "outturn",
                   "source": "accounts"},
                  {"cost_id": "C2", "item": "Refund", "category": "travel", "kind": "running", "payer": "Department", "area_code": None, "delivery_model": None,
                   "period": "2023/24", "amount": -50.5, "vat": None, "credit": True, "price_year": "2023/24", "quantity": None, "unit": None, "basis": "outturn",
                   "source": "accounts"}],
        "deliveries": [],
    }


def entry(name: str) -> Table:
    """The dictionary's entry."""
    return load_table(ROOT, name)


def header(name: str, rows: Rows) -> list[str]:
    """The columns that the rows have, in the order of the first; those that are not optional where there is no row."""
    return list(dict.fromkeys(key for row in rows for key in row)) or [c.name for c in entry(name).columns if not c.optional]


def text(value) -> str:
    """A value as a CSV file holds it."""
    if value is None or value != value:
        return ""
    return str(value).lower() if isinstance(value, bool) else value.isoformat() if isinstance(value, date) else repr(value) if isinstance(value, float) else str(value)


def write_csv(folder: Path, name: str, rows: Rows) -> Path:
    path = folder / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        columns = header(name, rows)
        writer.writerow(columns)
        writer.writerows([[text(row.get(key)) for key in columns] for row in rows])
    return path


KINDS = {"string": (str, pa.string()), "integer": (int, pa.int64()), "number": (float, pa.float64()), "boolean": (bool, pa.bool_()), "date": (date, pa.date32())}


def write_parquet(folder: Path, name: str, rows: Rows) -> Path:
    """In declared types where every value is of its type, as text otherwise."""
    declared = {c.name: c.type for c in entry(name).columns}
    arrays = {}
    for key in header(name, rows):
        python, arrow = KINDS[declared.get(key, "string")]
        values = [row.get(key) for row in rows]
        try:
            assert all(v is None or type(v) is python for v in values)
            arrays[key] = pa.array(values, arrow)
        except (AssertionError, OverflowError):
            arrays[key] = pa.array([None if v is None else text(v) for v in values], pa.string())
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table(arrays), path)
    return path


def write_extract(folder: Path, all_tables: dict[str, Rows], write=write_csv) -> Path:
    """Every table with rows as a file of a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in all_tables.items():
        if rows or not entry(name).optional:
            write(folder, name, rows)
    return folder
