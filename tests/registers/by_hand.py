"""Small extracts whose every enrolment and mark is written out, and an independent count of them in plain Python."""

import json
from collections import Counter, defaultdict
from datetime import date
from functools import lru_cache
from pathlib import Path

import pandas as pd
import tiny
from small_study import ROOT, study_values
from take import take_marks
from test_codes import BEFORE_AND_FROM, FIRST_FROM

from evaluation.protocol.trial import RegistersSection
from evaluation.registers.intake import EXTRACT_TABLES, TakenIn, take_in

NOT_NEEDED = ("referrals", "meetings", "barriers", "suspensions", "survey_scales", "survey_items", "absence_by_period", "deliveries")
MARKED = ("calendar", "schools", "pupils", "marks")
TOLERANT = dict.fromkeys(EXTRACT_TABLES, 100.0)
DAYS = [row["date"] for row in tiny.calendar() if row["school_day"]]
HALF_TERM = {row["date"]: row["half_term"] for row in tiny.calendar() if row["school_day"]}
YEAR = {row["date"]: row["academic_year"] for row in tiny.calendar() if row["school_day"]}


def enrolment(pupil: str, year: str = "2023/24", school: str = "S1", start: date | None = None, end: date | None = None, status: str | None = None, year_group: int = 9) -> dict:
    return {"pupil_id": pupil, "academic_year": year, "school_id": school, "enrolment_status": status, "year_group": year_group, "sex": "female", "fsm": False,
            "sen_provision": "none", "idaci": 0.2, "enrolment_start": start or tiny.OPENS[year], "enrolment_end": end, "leaving_reason": None}


def mark(pupil: str, day: date, session: str, code: str, school: str | None = None) -> dict:
    row = {"pupil_id": pupil, "date": day, "session": session, "code": code}
    return row if school is None else {**row, "school_id": school}


def marks_of_week(pupil: str, first: date, codes: str, school: str | None = None) -> list[dict]:
    """Marks of consecutive sessions, AM and PM in turn from the first day; days must be school days in a row."""
    days = DAYS[DAYS.index(first):]
    return [mark(pupil, days[i // 2], ("AM", "PM")[i % 2], code, school) for i, code in enumerate(codes.split())]


def write(folder: Path, pupils: list[dict], marks: list[dict], **others: list[dict]) -> Path:
    """An extract of these rows, in Parquet."""
    rows = {**tiny.tables(), **dict.fromkeys(NOT_NEEDED, []), "pupils": pupils, "marks": marks, **others}
    return tiny.write_extract(folder, {name: given for name, given in rows.items() if given is not None}, tiny.write_parquet)


@lru_cache(maxsize=None)
def section(tolerance: float | None = 100.0) -> RegistersSection:
    values = study_values()["registers"]
    if tolerance is not None:
        values["reject_tolerance"] = dict.fromkeys(EXTRACT_TABLES, tolerance)
    return RegistersSection.model_validate_json(json.dumps(values))


def take(folder: Path, pupils: list[dict], marks: list[dict], tolerance: float = 100.0, **others) -> dict[str, pd.DataFrame]:
    """Panel, counts and rejects of an extract of these rows; the tables that marks do not refer to are left out."""
    rest = dict.fromkeys((name for name in tiny.ORDER if name not in MARKED), [])
    return take_marks(write(folder, pupils, marks, **rest, **others), tolerance)


def take_whole(folder: Path, pupils: list[dict], marks: list[dict], tolerance: float = 100.0, **others) -> TakenIn:
    """Every table of the stage."""
    return take_in(write(folder, pupils, marks, **others), ROOT, section(tolerance))


def rejects(taken: TakenIn | dict[str, pd.DataFrame], table: str = "marks") -> list[tuple]:
    """File row, column, rule of every reject of a table."""
    rows = taken["intake_rejects"]
    rows = rows.loc[rows["table"] == table]
    return sorted(zip(rows["file_row"], rows["column"], rows["rule"], strict=True))


def account(taken: TakenIn | dict[str, pd.DataFrame], table: str = "marks") -> tuple[int, int, int]:
    """Rows accepted, rejected, collapsed; they add up to the rows read."""
    row = taken["intake_counts"].set_index("table").loc[table]
    assert row["rows_read"] == row["rows_accepted"] + row["rows_rejected"] + row["rows_collapsed"]
    return int(row["rows_accepted"]), int(row["rows_rejected"]), int(row["rows_collapsed"])


def count_by_hand(pupils: list[dict], marks: list[dict]) -> dict[tuple[str, int], dict]:
    """The panel of clean marks, mark by mark: no sums, no joins."""
    found: dict[tuple[str, int], dict] = {}
    sessions = defaultdict(list)
    for row in marks:
        sessions[row["pupil_id"], row["date"], row["session"]].append(row)
    schools: dict[tuple[str, int], Counter] = defaultdict(Counter)
    for (pupil, day, _), rows in sessions.items():
        cell = found.setdefault((pupil, HALF_TERM[day]), Counter())
        real = [r for r in rows if r["code"] != "D"]
        for row in real or rows[:1]:
            code, kind = row["code"], BEFORE_AND_FROM[row["code"]][day >= FIRST_FROM]
            cell[kind] += 1
            cell[code] += 1
            attended = kind in ("attending", "approved_educational_activity")
            cell["harmonised_attended"] += attended or code == "J1"
            cell["harmonised_absent"] += kind in ("authorised_absence", "unauthorised_absence") and code != "J1"
            order = 0
            for e in pupils:
                covers = e["pupil_id"] == pupil and e["academic_year"] == YEAR[day] and e["enrolment_start"] <= day and (e["enrolment_end"] is None or day <= e["enrolment_end"])
                if covers and row.get("school_id") in (None, e["school_id"]) and (order == 0 or e["enrolment_status"] == "main"):
                    school, order = e["school_id"], 1
            schools[pupil, HALF_TERM[day]][school] += kind not in ("not_possible", "no_mark")
    for key, cell in found.items():
        cell["schools"] = [s for s, sessions in schools[key].items() if sessions == max(schools[key].values())]
    return found
