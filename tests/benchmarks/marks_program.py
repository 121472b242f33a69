"""The project's program of the marks benchmark: python -m tests.benchmarks.marks_program panel|validation|panel-file CALENDAR MARKS..."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import pandas as pd

from evaluation.registers import panel as marks_panel
from evaluation.registers.adapter import DuckDB
from evaluation.registers.calendar import HALF_TERMS_A_TERM, TERMS
from evaluation.registers.cuts import cut_marks
from evaluation.registers.extracts import MEMORY_LIMIT, literal
from evaluation.registers.grid import load_grid, school_grid

YEAR = "2024/25"
LARGE_LIMIT = "2500MB"  # for a billion marks


def prepare(con: duckdb.DuckDBPyConnection, calendar: str, files: list[str]) -> DuckDB:
    """Calendar, codes, enrolments (one for each pupil) and the marks as intake sees them."""
    engine = DuckDB(con)
    days = pd.read_parquet(calendar).assign(academic_year=YEAR, school_day=True)
    days["term"] = days["half_term"].map(lambda half_term: TERMS[(half_term - 1) // HALF_TERMS_A_TERM])
    load_grid(con, school_grid(days))
    marks_panel.load_codes(con)
    listed = ", ".join(literal(name) for name in files)
    con.execute(f"CREATE TEMP VIEW marks AS SELECT pupil_id, date, upper(session) AS session, code FROM read_parquet([{listed}])")
    con.execute(f"CREATE TEMP TABLE accepted_pupils AS SELECT DISTINCT pupil_id, '{YEAR}' AS academic_year, 'S1' AS school_id, CAST(NULL AS VARCHAR) AS enrolment_status, "
                "9 AS year_group, DATE '2024-09-01' AS enrolment_start, CAST(NULL AS DATE) AS enrolment_end FROM marks")
    marks_panel.load_places(con, pd.DataFrame({"school_id": ["S1"], "area_code": ["A"], "calendar": ["all"]}))
    return engine


def main(job: str, calendar: str, *files: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        limit = LARGE_LIMIT if job == "panel-file" else MEMORY_LIMIT
        with duckdb.connect(config={"temp_directory": folder, "memory_limit": limit}) as con:
            engine = prepare(con, calendar, list(files))
            start, used = time.perf_counter(), time.process_time()
            marks_panel.tally_marks(engine, "marks", "tallies", by_school=False, cuts=cut_marks(con, list(files), ("pupil_id", "INTEGER"), ("date", "DATE")))
            suspects = -1
            if job == "validation":
                engine.define("suspects", marks_panel.suspects_query("tallies", by_school=False))
                suspects = con.execute("SELECT count(*) FROM suspects").fetchall()[0][0]
            query = marks_panel.panel_query(f"({marks_panel.counts_query('tallies', split=False)})")
            if job == "panel-file":
                out = Path(folder) / "panel.parquet"
                con.execute(f"COPY ({query}) TO {literal(out)} (FORMAT parquet)")
                groups = con.execute(f"SELECT count(*) FROM {literal(out)}").fetchall()[0][0]
            else:
                groups = con.sql(query).to_arrow_table().num_rows
            seconds, processor = time.perf_counter() - start, time.process_time() - used
    print(json.dumps({"seconds": seconds, "processor": processor, "groups": groups, "suspects": suspects}))


if __name__ == "__main__":
    main(*sys.argv[1:])
