"""Marks for the benchmark, as `marks.parquet` and `calendar.parquet`: seeded, sorted by pupil and date, codes as dictionaries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

PUPILS, DAYS, SEED = 263_158, 190, 3
ROWS = (35, 34, 28, 30, 28, 35)  # school days by half-term
BEGIN = (0, 40, 80, 115, 150, 185)  # weekday of the year on which each half-term begins
CODES = ("/", "\\", "I", "O", "M", "L", "B", "C", "#", "N")
SHARES = (0.455, 0.455, 0.03, 0.012, 0.01, 0.012, 0.005, 0.006, 0.01, 0.005)
BLOCK = 2632  # pupils of a row group: a million marks
SCHEMA = pa.schema([("pupil_id", pa.int32()), ("date", pa.date32()), ("session", pa.dictionary(pa.int8(), pa.string())), ("code", pa.dictionary(pa.int8(), pa.string()))])


def make(folder: Path, pupils: int, name: str = "marks.parquet") -> Path:
    """The file of the marks of that many pupils, and the calendar, where they are not there."""
    path = folder / name
    days = pd.bdate_range("2024-09-02", periods=290)[np.concatenate([np.arange(s, s + n) for s, n in zip(BEGIN, ROWS, strict=True)])]
    dates = days.to_numpy().astype("datetime64[D]")
    if not (folder / "calendar.parquet").is_file():
        pd.DataFrame({"date": dates, "half_term": np.repeat(np.arange(1, 7), ROWS).astype(np.int8)}).to_parquet(folder / "calendar.parquet")
    if path.is_file():
        return path
    edges = np.cumsum(SHARES) / np.sum(SHARES)
    rng = np.random.default_rng(SEED)
    day = np.repeat(dates, 2).astype(np.int32)
    with pq.ParquetWriter(path, SCHEMA, compression="snappy") as writer:
        for first in range(0, pupils, BLOCK):
            count = min(BLOCK, pupils - first)
            rows = count * 2 * DAYS
            codes = np.searchsorted(edges, rng.random(rows)).clip(0, len(CODES) - 1).astype(np.int8)
            writer.write_table(pa.table({
                "pupil_id": np.repeat(np.arange(first, first + count, dtype=np.int32), 2 * DAYS),
                "date": pa.array(np.tile(day, count)).cast(pa.date32()),
                "session": pa.DictionaryArray.from_arrays(pa.array(np.tile(np.array([0, 1], np.int8), rows // 2)), pa.array(["am", "pm"])),
                "code": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(CODES)))}, schema=SCHEMA), row_group_size=rows)
    return path


def shifted(folder: Path, part: int) -> Path:
    """The same marks as of other pupils: identifiers moved on by ``part`` times their number."""
    path = folder / f"marks_part{part}.parquet"
    if path.is_file():
        return path
    source = pq.ParquetFile(folder / "marks.parquet")
    with pq.ParquetWriter(path, SCHEMA, compression="snappy") as writer:
        for group in range(source.num_row_groups):
            rows = source.read_row_group(group)
            moved = pa.array(rows["pupil_id"].to_numpy() + np.int32(part * PUPILS), pa.int32())
            columns = [moved, rows["date"], *(pa.chunked_array([c.cast(pa.string()).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())) if not pa.types.is_dictionary(c.type)
                                                                 else c for c in rows[name].chunks]) for name in ("session", "code"))]
            writer.write_table(pa.table(columns, schema=SCHEMA), row_group_size=rows.num_rows)
    return path
