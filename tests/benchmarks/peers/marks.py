"""A plain group-by of the benchmark marks: python marks.py duckdb|sixteen|polars MARKS CALENDAR. Toy code sets, not the real list."""

import json
import sys
import time

engine, marks, calendar = sys.argv[1:]
CODES = ("/", "\\", "I", "O", "M", "L", "B", "C", "#", "N", "U", "E", "C2", "G", "V", "-")
start, used = time.perf_counter(), time.process_time()
if engine in ("duckdb", "sixteen"):
    import duckdb

    two = "count(*) filter (code not in ('#')) possible, count(*) filter (code in ('I', 'O', 'M', 'N')) absent"
    many = ", ".join(f"count(*) filter (code = '{code}') c{place}" for place, code in enumerate(CODES))
    groups = duckdb.connect().sql(
        f"select pupil_id, half_term, {two if engine == 'duckdb' else many} from '{marks}' m "
        f"join (select date::date d, half_term from '{calendar}') c on m.date = c.d group by 1, 2").to_arrow_table().num_rows
else:
    import polars as pl

    code = pl.col("code").cast(pl.String)
    groups = len(
        pl.scan_parquet(marks).select("pupil_id", "date", "code").join(pl.scan_parquet(calendar).with_columns(pl.col("date").cast(pl.Date)), on="date")
        .group_by("pupil_id", "half_term").agg(possible=(code != "#").sum(), absent=code.is_in(["I", "O", "M", "N"]).sum()).collect(engine="streaming"))
print(json.dumps({"seconds": time.perf_counter() - start, "processor": time.process_time() - used, "groups": groups}))
